// SPDX-License-Identifier: Apache-2.0
// JOIN … USING over a key that the session reads from the new side: the two tables have other names for it there, so the join
// is spelled out with ON, and what USING says of its columns' names is kept: alone, a name means the one that the join
// preserves, and * shows it once, in front. See reader.h.
#include <algorithm>

#include "fmt/format.h"
#include "rewrite/names.h"
#include "rewrite/reader.h"

namespace crossfade::rewrite {
namespace {

bool Unknown(const Source& source) { return source.table == nullptr ? source.output.opaque : source.table->table == nullptr; }

// The application's own column: none that the migration added.
bool Has(const Source& source, std::string_view name) {
  if (source.table != nullptr) return source.table->table->FindColumn(name) != nullptr && !source.table->IsNewColumn(name);
  return std::any_of(source.output.columns.begin(), source.output.columns.end(), [&](const OutputColumn& column) { return NameEq(column.name, name); });
}

// What the source has under that name: a key that is read from the new side, something plain, or what cannot be told here.
enum class Held : uint8_t { kPlain, kNewKey, kOther };

Held HeldAs(const Source& source, std::string_view name, const KeyColumn** key) {
  *key = nullptr;
  if (source.table == nullptr) {
    for (const OutputColumn& column : source.output.columns)
      if (NameEq(column.name, name)) return column.tag.key == nullptr || !column.tag.key->active ? Held::kPlain : Held::kOther;
    return Held::kOther;
  }
  bool named_new = false;
  const ColumnSet* set = source.table->FindSet(name, &named_new);
  if (set != nullptr && set->new_reader) return Held::kOther;
  *key = source.table->FindKey(name, &named_new);
  if (*key == nullptr || !(*key)->key->active || !(*key)->key->new_reader) return Held::kPlain;
  return named_new ? Held::kOther : Held::kNewKey;
}

}  // namespace

const Source* Reader::Joined(const Scope& scope, std::string_view name) {
  for (const JoinedColumn& column : scope.joined) {
    if (!NameEq(column.name, name)) continue;
    for (const Source& source : scope.sources)
      if (source.alias == column.alias) return &source;
  }
  return nullptr;
}

bool Reader::SpellUsing(TableRef& ref, size_t first, size_t middle, Scope* scope) {
  if (ref.natural || ref.using_columns.empty()) return false;
  const size_t last = scope->sources.size();
  for (size_t i = first; i < last; ++i) {
    if (Unknown(scope->sources[i])) return false;
    for (size_t j = 0; j < i; ++j)
      if (binder_.SameTableName(scope->sources[i].alias, scope->sources[j].alias)) return false;
  }
  const auto holder = [&](std::string_view name, size_t from, size_t to) -> const Source* {
    if (const Source* joined = Joined(*scope, name); joined != nullptr && joined >= &scope->sources[from] && joined < scope->sources.data() + to) return joined;
    const Source* found = nullptr;
    for (size_t i = from; i < to; ++i) {
      if (!Has(scope->sources[i], name)) continue;
      if (found != nullptr) return nullptr;
      found = &scope->sources[i];
    }
    return found;
  };
  bool wanted = false;
  std::string on;
  std::vector<JoinedColumn> joined;
  for (const Name& name : ref.using_columns) {
    const Source *left = holder(name.text, first, middle), *right = holder(name.text, middle, last);
    if (left == nullptr || right == nullptr) return false;
    const KeyColumn *a = nullptr, *b = nullptr;
    const Held held = HeldAs(*left, name.text, &a);
    if (held == Held::kOther || HeldAs(*right, name.text, &b) != held || (held == Held::kNewKey && a->key != b->key)) return false;
    wanted = wanted || held == Held::kNewKey;
    const std::string own = NameMark(ctx_.tokens, name.span.begin);
    const auto side = [&](const Source& source, const KeyColumn* key) { return QuoteName(source.alias) + "." + (held == Held::kNewKey ? QuoteName(key->new_name) : own); };
    on += fmt::format("{}{} = {}", on.empty() ? "" : " AND ", side(*left, a), side(*right, b));
    joined.push_back({std::string(name.text), (ref.join == JoinKind::kRight ? right : left)->alias});
  }
  const uint32_t begin = ref.using_columns.front().span.begin;
  if (!wanted || begin < 2 || !NameEq(ctx_.Word(begin - 2), "using")) return false;
  ctx_.editor.Replace({begin - 2, ref.using_columns.back().span.end + 1}, "ON " + on);
  ctx_.Note("USING over a key is spelled out");
  for (JoinedColumn& column : joined) {
    std::erase_if(scope->joined, [&](const JoinedColumn& each) { return NameEq(each.name, column.name); });
    scope->joined.push_back(std::move(column));
  }
  // How * orders the columns of a RIGHT JOIN is a matter of the server's.
  scope->spelled_joins += ref.join == JoinKind::kRight ? 2 : 1;
  return true;
}

}  // namespace crossfade::rewrite
