// SPDX-License-Identifier: Apache-2.0
// A mention of a column: what it means beside the columns that were added, and which side it reads. See reader.h.
#include "fmt/format.h"
#include "rewrite/names.h"
#include "rewrite/reader.h"
#include "rewrite/rules.h"

namespace crossfade::rewrite {

void Reader::Qualify(Expr& column, const Source& source) {
  ctx_.editor.Replace(column.span, QuoteName(source.alias) + "." + NameMark(ctx_.tokens, column.span.begin));
  ctx_.Note("a name that the new columns would make ambiguous is qualified");
  qualified_.insert(column.span.begin);
}

Reader::Addition Reader::AddedBy(const Source& source, std::string_view name) {
  if (source.table == nullptr) return {};
  const bool there = source.table->table != nullptr && source.table->table->FindColumn(name) != nullptr;
  bool named_new = false;
  if (const KeyColumn* key = source.table->FindKey(name, &named_new); key != nullptr) {
    if (!named_new || (!there && !key->key->active)) return {};
    return {key->key->spec_migration, key->key->active, key->key->either};
  }
  const ColumnSet* set = source.table->FindSet(name, &named_new);
  if (set == nullptr || !named_new || (!there && !set->active)) return {};
  return {set->spec_migration, set->active, false};
}

Bound Reader::Resolve(Expr& column, const Scope& scope) {
  Bound bound = binder_.Resolve(column, scope);
  if (column.parts.size() != 1 || bound.via_alias || bound.scope == nullptr) return bound;
  const std::string_view name = column.parts[0].text;
  if (const Source* joined = Joined(*bound.scope, name); joined != nullptr) {
    if (bound.kind == Bound::kUncertain) {
      ctx_.Refuse(*bound.tag.key, fmt::format("the name {} may belong to more than one table", name), "qualify it with its table");
      return {};
    }
    bound.source = joined;
    if (bound.kind == Bound::kBase) bound.column = joined->table->FindKey(name, &bound.named_new);
    Qualify(column, *joined);
    return bound;
  }
  const auto added = [&](const Source& source) { return AddedBy(source, name).migration != nullptr; };
  if (bound.kind == Bound::kPlain && !bound.hidden) {
    for (const Source& source : bound.scope->sources)
      if (&source != bound.source && added(source)) Qualify(column, *bound.source);
    return bound;
  }
  if ((!bound.named_new && !bound.hidden) || bound.source == nullptr) return bound;
  const Addition addition = AddedBy(*bound.source, name);
  if (addition.migration == nullptr) return bound;
  // A table that is not known may have had the name all along.
  const auto unknown = [](const Source& source) { return source.table == nullptr && source.output.opaque; };
  const Source* holder = nullptr;
  size_t holders = 0;
  for (const Source& source : bound.scope->sources)
    if (unknown(source)) holder = &source, ++holders;
  const bool same_scope = holders > 0;
  for (const Scope* outer = bound.scope->outer; !same_scope && outer != nullptr; outer = outer->outer) {
    for (const Source& source : outer->sources) {
      const bool has = source.table != nullptr && source.table->table != nullptr && source.table->table->FindColumn(name) != nullptr && !source.table->IsNewColumn(name);
      if (has || unknown(source)) holder = &source, ++holders;
    }
  }
  if (holders == 0) return bound;
  if (holders > 1 || (!same_scope && addition.either)) {
    if (addition.active) ctx_.Refuse(*addition.migration, fmt::format("the name {} may be the new column of {} or another table's", name, bound.source->table->name),
                "qualify it with its table");
    return bound;
  }
  Qualify(column, *holder);
  Bound plain;
  plain.source = holder;
  return plain;
}

Tag Reader::Mention(Expr& expr, const Scope& scope) {
  const Bound bound = Resolve(expr, scope);
  if (bound.tag.key == nullptr) {
    FromNewColumns(expr, bound);
    return {nullptr, Side::kNone, bound.tag.made, bound.tag.opaque};
  }
  return SetSide(expr, bound, MentionSide(bound));
}

// An old column that the session reads from the new ones: everywhere, so that what it reads is what it finds by.
bool Reader::FromNewColumns(Expr& column, const Bound& bound) {
  if (bound.kind != Bound::kPlain || bound.source == nullptr || bound.source->table == nullptr || bound.via_alias) return false;
  const std::string_view name = column.parts.back().text;
  bool named_new = false;
  const ColumnSet* set = bound.source->table->FindSet(name, &named_new);
  if (set != nullptr && !named_new) ctx_.OldName(*set, name);
  if (prefer_old_ || set == nullptr || named_new || !set->new_reader) return false;
  const ColumnExpression* back = set->Back(name);
  if (back == nullptr) {
    if (set->new_only) ctx_.Refuse(*set, fmt::format("{} is retired", name), fmt::format("read {}", set->spec->new_columns[0].name));
    return false;
  }
  if (grouping_ && !back->IsColumn()) {
    // Neither engine finds the expression again inside another one of the select list.
    ctx_.Refuse(*set, fmt::format("{} is grouped by, but made of other columns", name), fmt::format("group by {}", set->spec->new_columns[0].name));
    return false;
  }
  CheckValues(ctx_, *set);
  bool merged = bound.unsure;
  if (column.parts.size() == 1 && bound.scope != nullptr)
    for (const std::string& each : bound.scope->using_names) merged = merged || NameEq(each, name);
  if (merged) {
    ctx_.Refuse(*set, fmt::format("the name {} may belong to more than one table", name), "qualify it with its table");
    return false;
  }
  ctx_.editor.Replace(column.span, back->Text(bound.source->alias));
  qualified_.erase(column.span.begin);
  ctx_.Note("reads the old columns from the new ones");
  return true;
}

Side Reader::MentionSide(const Bound& bound) const {
  if (bound.kind == Bound::kDerived) return bound.tag.side;
  if (bound.named_new) return Side::kNew;
  const Key& key = *bound.tag.key;
  if (!key.active || !key.new_reader || (prefer_old_ && !key.new_only) || (bound.column->own && key.own_stays)) return Side::kOld;
  return Side::kNew;
}

std::string Reader::ColumnText(const Expr& column, const Bound& bound, Side side) const {
  const Side written = bound.named_new ? Side::kNew : Side::kOld;
  if (bound.kind != Bound::kBase || written == side) return ctx_.editor.Emit(column.span);
  const std::string name = QuoteName(side == Side::kNew ? bound.column->new_name : bound.column->old_name);
  if (column.parts.size() > 1) return ctx_.editor.Emit({column.span.begin, column.parts.back().span.begin}) + name;
  return QuoteName(bound.source->alias) + "." + name;
}

Tag Reader::SetSide(Expr& column, const Bound& bound, Side side) {
  const Key& key = *bound.tag.key;
  const Side written = bound.kind == Bound::kDerived ? bound.tag.side : bound.named_new ? Side::kNew : Side::kOld;
  const bool named = Asked(bound);
  const auto tagged = [&](Side which) { return Tag{&key, which, nullptr, false, named && which == Side::kNew}; };
  if (!key.active) return tagged(written);
  if (bound.column != nullptr && bound.kind == Bound::kBase && !bound.named_new) ctx_.OldName(*bound.column);
  const std::string_view name = column.parts.back().text;
  const bool stale = side == Side::kOld && key.new_only && bound.column != nullptr && !bound.column->own;
  if (bound.kind == Bound::kUncertain && (written != side || stale)) {
    ctx_.Refuse(key, fmt::format("the name {} may belong to more than one table", name), "qualify it with its table");
    return {};
  }
  if (!Reachable(bound, side)) {
    ctx_.Refuse(key, fmt::format("{} has no {} key any more here", name, side == Side::kOld ? "old" : "new"),
                "use the new key");
    return {};
  }
  if (written == side) return tagged(side);
  if (column.parts.size() == 1 && bound.scope != nullptr) {
    for (const std::string& merged : bound.scope->using_names) {
      if (NameEq(merged, name))
        ctx_.Refuse(key, fmt::format("{} is a column of a USING join", name), "qualify it with its table");
    }
  }
  ctx_.editor.Replace(column.span, ColumnText(column, bound, side));
  qualified_.erase(column.span.begin);
  ctx_.Note(side == Side::kNew ? "reads the new key" : "reads the old key");
  return tagged(side);
}

}  // namespace crossfade::rewrite
