// SPDX-License-Identifier: Apache-2.0
// See bind.h. A name that is unambiguous to the server in its scope cannot belong to an unknown table of the same
// scope as well (error 1052), so uncertainty only comes from unknown tables in scopes further in.
#include "rewrite/bind.h"

#include "rewrite/names.h"

namespace crossfade::rewrite {

bool Binder::SameTableName(std::string_view a, std::string_view b) const {
  return world_.table_names_fold() ? NameEq(a, b) : a == b;
}

// `has`: the source surely has the column; `maybe`: it may have.
Bound Binder::InSource(const Source& source, std::string_view column, bool* has, bool* maybe) const {
  Bound bound;
  bound.source = &source;
  *has = *maybe = false;
  if (source.table != nullptr) {
    bool named_new = false;
    if (const KeyColumn* key = source.table->FindKey(column, &named_new)) {
      *has = true;
      bound.kind = Bound::kBase;
      bound.column = key;
      bound.named_new = named_new;
      bound.tag = {key->key, named_new ? Side::kNew : Side::kOld};
      return bound;
    }
    if (source.table->table == nullptr) *maybe = true;
    else *has = source.table->table->FindColumn(column) != nullptr;
    bound.hidden = source.table->FindSet(column, &named_new) != nullptr && named_new;
    return bound;
  }
  for (const OutputColumn& output : source.output.columns) {
    if (!NameEq(output.name, column)) continue;
    *has = true;
    bound.tag = output.tag;
    if (output.tag.key != nullptr) bound.kind = Bound::kDerived;
    return bound;
  }
  *maybe = source.output.opaque;
  return bound;
}

Bound Binder::Resolve(const Expr& column, const Scope& start) const {
  const std::vector<Name>& parts = column.parts;
  if (parts.empty()) return {};
  const std::string_view name = parts.back().text;
  const bool qualified = parts.size() > 1;

  const auto aliased = [&](Bound* bound) {
    if (qualified || start.aliases == nullptr) return false;
    for (const OutputColumn& output : start.aliases->columns) {
      if (output.name.empty() || !NameEq(output.name, name)) continue;
      bound->via_alias = true;
      bound->scope = &start;
      bound->tag = output.tag;
      if (output.tag.key != nullptr) bound->kind = Bound::kDerived;
      return true;
    }
    return false;
  };
  Bound alias;
  if (!start.aliases_last && aliased(&alias)) return alias;

  for (const Scope* scope = &start; scope != nullptr; scope = scope->outer) {
    Bound found;
    bool any = false, found_hidden = false;
    size_t originals = 0;
    for (const Source& source : scope->sources) {
      if (qualified) {
        if (!SameTableName(source.alias, parts[parts.size() - 2].text)) continue;
        if (parts.size() > 2 && !source.schema.empty() && !SameTableName(source.schema, parts[0].text)) continue;
      }
      bool has = false, maybe = false;
      Bound bound = InSource(source, name, &has, &maybe);
      if (qualified) {
        bound.scope = scope;
        return bound;
      }
      if (!has) continue;
      // Between an original column and one that only the migration added, the client means the original one.
      const bool hidden = bound.hidden || (bound.kind == Bound::kBase && bound.named_new);
      if (!hidden) ++originals;
      if (!any || (found_hidden && !hidden)) found = bound, found_hidden = hidden;
      any = true;
    }
    if (any) {
      // Error 1052 already without the migration: the name stays as it is, and the server says so.
      if (originals > 1 && !scope->merged) return {};
      found.scope = scope;
      // An unknown table of this very scope cannot have it too; one of an inner scope would have caught it.
      bool inner_unknown = false;
      for (const Scope* inner = &start; inner != scope; inner = inner->outer)
        for (const Source& source : inner->sources)
          inner_unknown = inner_unknown || (source.table == nullptr && source.output.opaque) ||
                          (source.table != nullptr && source.table->table == nullptr);
      if (found.kind == Bound::kPlain) found.unsure = inner_unknown;
      else if (inner_unknown) found.kind = Bound::kUncertain;
      return found;
    }
    if (scope == &start && start.aliases_last && aliased(&alias)) {
      // A table that is not known may have the name, and would come first.
      bool unknown = false;
      for (const Source& source : start.sources) unknown = unknown || (source.table == nullptr ? source.output.opaque : source.table->table == nullptr);
      if (unknown && alias.tag.key != nullptr) alias.kind = Bound::kPlain, alias.tag = {nullptr, Side::kNone, alias.tag.side == Side::kNew ? alias.tag.key : nullptr, true};
      return alias;
    }
  }
  return {};
}

}  // namespace crossfade::rewrite
