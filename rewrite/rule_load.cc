// SPDX-License-Identifier: Apache-2.0
// LOAD DATA. New columns, and keys that the server makes, come by their defaults; new references by a SET that looks them up by
// what was stored. See rules.h, docs/rewriting.md.
#include "fmt/format.h"
#include "rewrite/names.h"
#include "rewrite/rules.h"
#include "rewrite/table_refs.h"

namespace crossfade::rewrite {
namespace {

constexpr const char* kRows = "insert the rows with VALUES";

// The text that SET has to have besides; "" for none.
std::string SetOf(Context& context, Reader& reader, Load& load, const MigratingTable& table, const KeyColumn& column, const Scope& scope,
                  const std::vector<std::string>& columns) {
  const Key& key = *column.key;
  for (const std::string& name : columns)
    if (NameEq(name, column.new_name)) context.Refuse(key, fmt::format("{} is written by Crossfade", column.new_name), "leave it out");
  if (column.own) {
    if (load.replace) context.Refuse(key, fmt::format("LOAD … REPLACE into {}, whose rows keep their new keys", table.name), kRows);
    CheckMadeByDefault(context, table, column, "LOAD");
    for (Assignment& assignment : load.set)
      if (NameEq(assignment.column->parts.back().text, column.old_name)) ValueForOwn(context, reader, key, Unwrap(*assignment.value), scope, nullptr);
    return "";
  }
  if (key.new_only) {
    context.Refuse(key, fmt::format("LOAD into {} after the old references are retired", table.name), kRows);
    return "";
  }
  if (RefersToItself(table, column)) {
    context.Refuse(key, fmt::format("LOAD into {}, which refers to itself", table.name), kRows);
    return "";
  }
  for (Assignment& assignment : load.set)
    if (NameEq(assignment.column->parts.back().text, column.old_name)) ValueForOld(context, reader, key, Unwrap(*assignment.value), scope, nullptr);
  context.Note("writes both sides of the reference");
  const std::string ro = QuoteName(table.name) + "." + QuoteName(column.old_name);
  return fmt::format("{} = {}", QuoteName(column.new_name), context.LookupToStore(table, column, ro, ro, Plan::kUnguarded));
}

}  // namespace

void RuleLoad(Context& context, Reader& reader, Statement& statement) {
  if (statement.load == nullptr) return RuleForbidden(context, reader, statement);
  Load& load = *statement.load;
  const MigratingTable* table = reader.FindTable(*load.target, nullptr);
  Scope scope;
  Source source;
  source.alias = std::string(load.target->table.text);
  source.schema = std::string(load.target->schema.present() ? load.target->schema.text : context.facts.schema);
  source.table = table;
  source.output.opaque = table == nullptr;
  scope.sources.push_back(source);
  if (table != nullptr) context.Touch(*table, true);
  const bool active = table != nullptr && table->active;
  const auto of_key = [&](const Assignment& assignment) {
    bool named_new = false;
    const KeyColumn* key = active ? table->FindKey(assignment.column->parts.back().text, &named_new) : nullptr;
    return key != nullptr && key->key->active;
  };
  // What is written is made of old sides.
  for (Assignment& assignment : load.set)
    if (!of_key(assignment)) active ? reader.VisitOld(*assignment.value, scope, nullptr) : reader.Visit(*assignment.value, scope, nullptr);
  if (!active) return;

  context.targets.push_back(table);
  context.ignore = load.ignore;
  CheckWritable(context, *table, "LOAD");
  bool itself = false;
  for (const Assignment& assignment : load.set)
    VisitTables(assignment.value, [&](const TableRef& ref) { itself = itself || reader.FindTable(ref, nullptr) == table; });
  if (itself) context.Refuse(*table->migration, fmt::format("LOAD reads {}, which it writes", table->name), kRows);
  if (table->table == nullptr) context.Refuse(*table->migration, "the columns of the table are not known", kRows);
  std::vector<std::string> columns;
  for (const Name& name : load.columns) columns.emplace_back(name.text);
  if (!load.has_columns)
    for (const Column* column : table->OriginalColumns()) columns.push_back(column->name);
  for (const Assignment& assignment : load.set) columns.emplace_back(assignment.column->parts.back().text);
  if (table->AnySet()) CheckLeftToDefaults(context, *table, columns);
  std::string text;
  for (const KeyColumn& column : table->keys) {
    if (!column.key->active) continue;
    const std::string each = SetOf(context, reader, load, *table, column, scope, columns);
    if (!each.empty()) text += (load.set.empty() && text.empty() ? " SET " : ", ") + each;
  }
  if (!text.empty()) context.editor.After(statement.span.end - 1, text);
}

}  // namespace crossfade::rewrite
