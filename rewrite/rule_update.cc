// SPDX-License-Identifier: Apache-2.0
// UPDATE and DELETE. See rules.h, docs/rewriting.md.
#include "fmt/format.h"
#include "rewrite/names.h"
#include "rewrite/rules.h"
#include "rewrite/table_refs.h"

namespace crossfade::rewrite {

namespace {

bool HasQuery(const Expr& expr) {
  if (expr.query != nullptr) return true;
  for (const Expr* child : expr.children)
    if (HasQuery(*child)) return true;
  return false;
}

// MariaDB runs an UPDATE that reads the table it changes in two steps, as one of several tables: SET sees the row as it was.
// (A derived table with LIMIT, and a view that is no more than a query, are read before.)
bool ReadsItself(Context& context, Reader& reader, const Update& update) {
  if (context.dialect.flavor != Flavor::kMariaDb || update.tables.size() != 1) return false;
  const MigratingTable* target = reader.FindTable(*update.tables[0], nullptr);
  bool found = false;
  const auto look = [&](const TableRef& ref) { found = found || (target != nullptr && reader.FindTable(ref, nullptr) == target); };
  for (const Assignment& assignment : update.set) VisitTables(assignment.value, look);
  VisitTables(update.where, look);
  for (const OrderItem& item : update.order_by) VisitTables(item.expr, look);
  VisitTables(update.limit, look);
  return found;
}

}  // namespace

void RuleUpdate(Context& context, Reader& reader, Statement& statement) {
  Update& update = *statement.update;
  const Ctes* ctes = reader.VisitWith(update.with, false, nullptr, nullptr);
  context.updates = true;
  Scope scope;
  std::vector<JoinCondition> conditions;
  for (TableRef* ref : update.tables) reader.From(*ref, &scope, ctes, &conditions);
  for (const Assignment& assignment : update.set) {
    const Bound bound = reader.Resolve(*assignment.column, scope);
    for (const Source& source : scope.sources)
      if (source.table != nullptr && (bound.source == nullptr || bound.source == &source)) context.targets.push_back(source.table);
  }
  reader.VisitConditions(conditions, scope, ctes);
  AssignUse use;
  use.reads_itself = ReadsItself(context, reader, update);
  use.single = update.tables.size() == 1 && update.tables[0]->kind == TableRef::kTable && !use.reads_itself;
  use.ignore = context.ignore = update.ignore;
  std::vector<ImageNeed> needs;
  use.image = &needs;
  const bool in_order = Assign(context, reader, update.set, scope, ctes, use);
  // MySQL from 8.0.21 and MariaDB from 11.1 on may join a subquery of WHERE with the table, and then compute all assignments
  // from the row as it was. With ORDER BY or LIMIT they do not (MySQL manual, Optimizing Subqueries with Semijoin
  // Transformations).
  const bool joins = context.dialect.version >= (context.dialect.flavor == Flavor::kMySql ? 80021u : 110100u);
  if (in_order && use.single && needs.empty() && joins && update.where != nullptr && HasQuery(*update.where) && update.order_by.empty() && update.limit == nullptr) {
    context.editor.After(statement.span.end - 1, " LIMIT 18446744073709551615");
    context.Note("without a join of the subquery");
  }
  if (update.where != nullptr) reader.VisitCondition(*update.where, scope, ctes);
  reader.OrderBy(update.order_by, scope, nullptr, ctes);
  if (!needs.empty()) PlanRowImage(context, reader, statement, scope, needs);
}

void RuleDelete(Context& context, Reader& reader, Statement& statement) {
  Delete& del = *statement.del;
  const Ctes* ctes = reader.VisitWith(del.with, false, nullptr, nullptr);
  Scope scope;
  std::vector<JoinCondition> conditions;
  for (TableRef* ref : del.tables) reader.From(*ref, &scope, ctes, &conditions);
  for (const Source& source : scope.sources) {
    if (source.table == nullptr) continue;
    bool target = !del.multi;
    for (const TableRef* ref : del.targets) target = target || NameEq(ref->table.text, source.alias) || NameEq(ref->table.text, source.table->name);
    if (!target) continue;
    context.Touch(*source.table, true);
    context.targets.push_back(source.table);
    if (del.ignore) CheckIgnored(context, *source.table, true);
    for (const KeyColumn& key : source.table->keys)
      if (key.own && key.key->active && !context.facts.foreign_key_checks)
        context.Refuse(*key.key, "DELETE without foreign_key_checks could leave references behind", "turn the checks on");
  }
  reader.VisitConditions(conditions, scope, ctes);
  if (del.where != nullptr) reader.VisitCondition(*del.where, scope, ctes);
  reader.OrderBy(del.order_by, scope, nullptr, ctes);
  reader.Items(del.returning, scope, ctes, {});
}

}  // namespace crossfade::rewrite
