// SPDX-License-Identifier: Apache-2.0
// INSERT … SELECT into a table with references. An INSERT … SELECT has no forward references, so the lookup of the new
// reference repeats the item of the select list; that is only done where the item is a plain column or value, or a string made
// of such, and is stored as it is. See rules.h, docs/rewriting.md.
#include <algorithm>
#include <cstdlib>

#include "fmt/format.h"
#include "rewrite/names.h"
#include "rewrite/rules.h"

namespace crossfade::rewrite {

namespace {

// A string made of columns and literals by functions that say the same twice, and warn of nothing. Names without a table get one in
// *editor: inside a lookup they could be the parent's.
bool QualifyPlain(Context& context, Reader& reader, Expr& item, const Scope& scope, Editor* editor) {
  static constexpr std::string_view kFunctions[] = {"concat", "concat_ws", "coalesce", "ifnull", "upper", "lower", "ucase", "lcase", "trim", "ltrim", "rtrim",
                                                    "substring", "substr", "left", "right", "replace", "lpad", "rpad", "reverse", "md5", "hex"};
  switch (item.kind) {
    case ExprKind::kColumn: {
      const Bound bound = reader.Resolve(item, scope);
      if (item.parts.size() != 1 || context.editor.Touched(item.span)) return true;
      const Source* source = bound.source == nullptr && scope.sources.size() == 1 ? &scope.sources[0] : bound.source;
      if (source != nullptr) editor->Replace(item.span, QuoteName(source->alias) + "." + NameMark(context.tokens, item.span.begin));
      return source != nullptr;
    }
    case ExprKind::kString: return !context.WarnsEachTime(item);
    case ExprKind::kInteger: return true;
    case ExprKind::kFunction:
      return item.parts.empty() && std::any_of(std::begin(kFunctions), std::end(kFunctions), [&](std::string_view name) { return NameEq(item.text, name); }) &&
             std::all_of(item.children.begin(), item.children.end(), [&](Expr* child) { return QualifyPlain(context, reader, Unwrap(*child), scope, editor); });
    default: return false;
  }
}

std::string Repeated(Context& context, Reader& reader, const Key& key, Expr& item, const Scope& scope, const Column* stored) {
  const bool strict = (context.facts.sql_mode & kStrict) != 0;
  if (item.kind == ExprKind::kColumn) {
    const Bound bound = reader.Resolve(item, scope);
    std::string text = context.editor.Emit(item.span);
    if (item.parts.size() == 1 && !context.editor.Touched(item.span)) {
      const Source* source = bound.source;
      if (source == nullptr && scope.sources.size() == 1) source = &scope.sources[0];
      if (source == nullptr) return "";
      text = QuoteName(source->alias) + "." + NameMark(context.tokens, item.span.begin);
    }
    if (bound.kind == Bound::kBase && bound.tag.key == &key) return text;
    // As the foreign key compares what is stored, whatever the column's own character set and collation are.
    return strict && key.old_shape == ValueShape::kString ? AsStored(stored, text) : "";
  }
  bool is_value = false;
  if (item.kind == ExprKind::kNull || (item.kind == ExprKind::kParam && context.ShapeOf(item, &is_value) == ValueShape::kNull)) return "NULL";
  if (strict && item.kind == ExprKind::kFunction && key.old_shape == ValueShape::kString) {
    Editor editor = context.editor;
    return QualifyPlain(context, reader, item, scope, &editor) ? AsStored(stored, editor.Emit(item.span)) : "";
  }
  if (!strict || !context.ComparesAs(item, key.old_shape)) return "";
  if (item.kind == ExprKind::kParam && key.old_shape == ValueShape::kString) return AsStored(stored, context.editor.Emit(item.span));
  return context.editor.Emit(item.span);
}

// What a NULL is stored as under IGNORE, and where the mode is not strict.
std::string StoredForNull(const Key& key, const Column& stored) {
  const std::string type = FoldName(stored.type);
  if (key.old_shape == ValueShape::kInteger) return "0";
  if (type.rfind("uuid", 0) == 0) return "'00000000-0000-0000-0000-000000000000'";
  if (type.rfind("binary(", 0) == 0) return "X'" + std::string(2 * std::strtoul(type.c_str() + 7, nullptr, 10), '0') + "'";
  return "''";
}

}  // namespace

std::string RepeatInLookup(Context& context, Reader& reader, const Key& key, Expr& item, const Scope& scope, const Column* stored) {
  std::string text = Repeated(context, reader, key, item, scope, stored);
  if (text.empty() || stored == nullptr || stored->nullable || item.kind == ExprKind::kString || item.kind == ExprKind::kInteger) return text;
  return fmt::format("COALESCE({}, {})", text, StoredForNull(key, *stored));
}

void InsertSelect(Context& context, Reader& reader, Insert& insert, const MigratingTable& table,
                  const std::vector<std::string>& columns) {
  Query& query = *insert.query;
  const auto find = [&](std::string_view name) -> int {
    for (size_t i = 0; i < columns.size(); ++i)
      if (NameEq(columns[i], name)) return static_cast<int>(i);
    return -1;
  };
  QueryUse use;
  use.names_matter = false;
  use.wishes.resize(columns.size());
  std::vector<std::pair<const KeyColumn*, int>> references;
  const KeyColumn* numbered = nullptr;  // the own key, where it is a number
  for (const KeyColumn& column : table.keys) {
    const Key& key = *column.key;
    if (!key.active) continue;
    const int fresh = find(column.new_name);
    int index = find(column.old_name);
    if (column.own) {
      if (insert.replace) return context.Refuse(key, fmt::format("REPLACE … SELECT into {}, whose rows keep their new keys", table.name), "insert the rows with VALUES");
      if (!column.key->fresh.empty()) CheckMadeByDefault(context, table, column, "INSERT … SELECT");
      else if (numbered != nullptr) context.Refuse(key, fmt::format("INSERT … SELECT into {}, which has several new keys", table.name), "insert the rows with VALUES");
      else numbered = &column;
      if (context.refused) return;
      if (fresh >= 0) return context.Refuse(key, fmt::format("{} is given by a query", column.new_name), "insert the rows with VALUES, or leave it out");
      if (index >= 0 && key.new_only && !key.own_stays) return context.Refuse(key, fmt::format("a query gives {}", column.old_name), "insert the rows with VALUES, or leave it out");
      if (index >= 0) use.wishes[index] = {&key, Side::kOld};
      continue;
    }
    if (fresh >= 0 && !key.new_only) return context.Refuse(key, fmt::format("{} is written by Crossfade", column.new_name), "leave it out");
    if (fresh >= 0) index = fresh;
    if (RefersToItself(table, column)) return context.Refuse(key, fmt::format("INSERT … SELECT into {}, which refers to itself", table.name), "insert the rows with VALUES");
    const Column* described = table.table != nullptr ? table.table->FindColumn(column.old_name) : nullptr;
    if (index < 0) {
      if (!key.new_only && (described == nullptr || described->has_default))
        return context.Refuse(key, fmt::format("INSERT … SELECT leaves {} to its default", column.old_name), "select it");
      continue;
    }
    use.wishes[index] = {&key, key.new_only ? Side::kNew : Side::kOld};
    references.emplace_back(&column, index);
  }
  const Output output = reader.VisitOldQuery(query, use);
  for (const KeyColumn& column : table.keys) {
    const int index = column.own && column.key->active ? find(column.old_name) : -1;
    if (index < 0 || static_cast<size_t>(index) >= output.columns.size()) continue;
    const Tag& tag = output.columns[index].tag;
    if (tag.key == column.key && tag.side == Side::kNew) return context.Refuse(*column.key, fmt::format("a query gives new keys for {}", column.old_name), "select the old key");
  }
  if (references.empty() && numbered == nullptr) return;
  const Key& first = *(references.empty() ? numbered : references[0].first)->key;
  const bool renamed = first.new_only;
  if (!references.empty() && (!renamed || !insert.has_columns)) {
    if (output.opaque || output.columns.size() != columns.size())
      return context.Refuse(first, "INSERT … SELECT whose columns are not known", "list the columns on both sides");
  }

  std::string list;
  std::vector<std::string> names = columns;
  for (const auto& [column, index] : references) {
    const Key& key = *column->key;
    if (!key.new_only) continue;
    names[index] = column->new_name;
    if (insert.has_columns) context.editor.Replace(insert.columns[index].span, QuoteName(column->new_name));
    if (static_cast<size_t>(index) >= output.columns.size() || output.columns[index].tag.key != &key ||
        output.columns[index].tag.side != Side::kNew)
      return context.Refuse(key, "INSERT … SELECT sets a reference from a value that may be an old or a new key", "select a key column, or use VALUES");
  }
  std::string added;
  for (const auto& [column, index] : references)
    if (!column->key->new_only) added += ", " + QuoteName(column->new_name);
  const bool looks_up = !added.empty();
  const size_t more = looks_up ? static_cast<size_t>(std::count_if(references.begin(), references.end(), [](const auto& each) { return !each.first->key->new_only; })) : 0;
  if (numbered != nullptr) added += ", " + QuoteName(numbered->new_name);
  if (insert.has_columns) {
    if (!added.empty()) context.editor.After(insert.columns_span.end - 2, added);
  } else {
    for (const std::string& name : names) list += (list.empty() ? "" : ", ") + QuoteName(name);
    context.editor.After(insert.target->span.end - 1, " (" + list + added + ")");
  }
  for (Select* select : query.selects) {
    if (!looks_up) break;
    while (select->nested != nullptr && select->nested->selects.size() == 1) select = select->nested->selects[0];
    const char* advice = "insert the rows with VALUES";
    if (select->nested != nullptr || select->values_constructor || select->items.size() != columns.size())
      return context.Refuse(first, "INSERT … SELECT with a query that cannot be widened", advice);
    Scope scope;
    std::vector<JoinCondition> conditions;
    // The tables were visited already; only their names are wanted here.
    Plan scratch_plan;
    Context scratch(context.tokens, context.facts, context.dialect, context.world, &scratch_plan);
    Reader names_only(scratch);
    const Ctes* ctes = names_only.VisitWith(query.with, query.recursive, nullptr, nullptr);
    for (TableRef* ref : select->from) names_only.From(*ref, &scope, ctes, &conditions);
    std::string items;
    for (const auto& [column, index] : references) {
      if (column->key->new_only) continue;
      Expr& item = Unwrap(*select->items[index].expr);
      const Column* stored = table.table != nullptr ? table.table->FindColumn(column->old_name) : nullptr;
      const std::string repeated = item.kind == ExprKind::kStar || item.kind == ExprKind::kParam ? "" : RepeatInLookup(context, reader, *column->key, item, scope, stored);
      if (repeated.empty())
        return context.Refuse(*column->key, fmt::format("INSERT … SELECT computes {}", column->old_name), advice);
      items += ", " + context.LookupToStore(table, *column, repeated, repeated, numbered != nullptr || context.dialect.flavor == Flavor::kMySql ? Plan::kUnguarded : GuardOf(context, insert, table, 0));
    }
    context.editor.After(select->items.back().span.end - 1, items);
  }
  if (looks_up) context.Note("writes both sides of the reference");
  if (numbered == nullptr) return;
  NumberRows(context, insert, table, *numbered, columns.size() + more);
}

}  // namespace crossfade::rewrite
