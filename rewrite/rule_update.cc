// SPDX-License-Identifier: Apache-2.0
// UPDATE and DELETE. See rules.h, docs/rewriting.md.
#include "fmt/format.h"
#include "rewrite/names.h"
#include "rewrite/rules.h"

namespace crossfade::rewrite {

void RuleUpdate(Context& context, Reader& reader, Statement& statement) {
  Update& update = *statement.update;
  const Ctes* ctes = reader.VisitWith(update.with, false, nullptr, nullptr);
  Scope scope;
  std::vector<JoinCondition> conditions;
  for (TableRef* ref : update.tables) reader.From(*ref, &scope, ctes, &conditions);
  reader.VisitConditions(conditions, scope, ctes);
  AssignUse use;
  use.single = update.tables.size() == 1 && update.tables[0]->kind == TableRef::kTable;
  use.ignore = context.ignore = update.ignore;
  Assign(context, reader, update.set, scope, ctes, use);
  if (update.where != nullptr) reader.VisitCondition(*update.where, scope, ctes);
  reader.OrderBy(update.order_by, scope, nullptr, ctes);
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
