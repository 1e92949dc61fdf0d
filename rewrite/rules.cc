// SPDX-License-Identifier: Apache-2.0
// The list of all rules, and the small ones among them.
#include "rewrite/rules.h"

#include "fmt/format.h"
#include "rewrite/names.h"
#include "rewrite/touch.h"

namespace crossfade::rewrite {
namespace {

constexpr Rule kRules[] = {
    {StatementKind::kSelect, RuleSelect},
    {StatementKind::kInsert, RuleInsert},
    {StatementKind::kUpdate, RuleUpdate},
    {StatementKind::kDelete, RuleDelete},
    {StatementKind::kExplain, RuleInner},
    {StatementKind::kSetStatement, RuleInner},
    {StatementKind::kTransaction, RuleHarmless},
    {StatementKind::kSet, RuleMention},
    {StatementKind::kUse, RuleHarmless},
    {StatementKind::kShow, RuleHarmless},
    {StatementKind::kPrepare, RuleDynamic},
    {StatementKind::kExecute, RuleHarmless},
    {StatementKind::kDeallocate, RuleHarmless},
    {StatementKind::kExecuteImmediate, RuleDynamic},
    {StatementKind::kCall, RuleMention},
    {StatementKind::kDo, RuleMention},
    {StatementKind::kHandler, RuleForbidden},
    {StatementKind::kLoad, RuleLoad},
    {StatementKind::kTruncate, RuleTruncate},
    {StatementKind::kLockTables, RuleLockTables},
    {StatementKind::kDdl, RuleForbidden},
    {StatementKind::kAdmin, RuleHarmless},
    {StatementKind::kCompound, RuleForbidden},
    {StatementKind::kOther, RuleForbidden},
};

// The migrating tables that the words of a statement may mean.
std::vector<const MigratingTable*> Mentioned(const Context& context, const Statement& statement) {
  std::vector<const MigratingTable*> out;
  for (const MigratingTable& table : context.world.tables())
    for (const Name& name : statement.names)
      if (NameEq(name.text, table.name)) {
        out.push_back(&table);
        break;
      }
  return out;
}

bool HasWord(const Statement& statement, std::string_view word) {
  for (const Name& name : statement.names)
    if (NameEq(name.text, word)) return true;
  return false;
}

// DROP DATABASE x, CREATE OR REPLACE SCHEMA x: that goes with all its tables. Empty: it is no such statement.
std::string DroppedSchema(const Context& context, const Statement& statement) {
  uint32_t at = statement.span.begin;
  const auto is = [&](const char* word) { return at < statement.span.end && NameEq(context.Word(at), word); };
  if (!is("drop") && !is("create")) return "";
  if (is("create")) at += 2;  // OR REPLACE
  ++at;
  if (!is("database") && !is("schema")) return "";
  if (statement.span.begin + 3 == at && !NameEq(context.Word(at - 1), "replace")) return "";
  ++at;
  if (is("if")) at += 2;  // EXISTS
  return at < statement.span.end ? TokenValue(context.tokens, at, context.facts) : "";
}

const config::Migration& AnyActive(const World& world) {
  for (const MigratingTable& table : world.tables())
    for (const KeyColumn& key : table.keys)
      if (key.key->active) return *key.key->spec_migration;
  for (const MigratingTable& table : world.tables())
    for (const ColumnSet* set : table.sets)
      if (set->active) return *set->spec_migration;
  return *world.tables().front().migration;
}

}  // namespace

void ApplyRules(Context& context, Reader& reader, Statement& statement) {
  for (const Rule& rule : kRules)
    if (rule.kind == statement.kind) return rule.apply(context, reader, statement);
}

void RuleSelect(Context&, Reader& reader, Statement& statement) {
  if (statement.query != nullptr) reader.VisitQuery(*statement.query, nullptr, nullptr, {});
}

void RuleInner(Context& context, Reader& reader, Statement& statement) {
  if (statement.inner == nullptr) return RuleHarmless(context, reader, statement);
  const bool before = context.plan->writes;
  context.wrapped = true;
  context.explained = statement.kind == StatementKind::kExplain && !statement.analyze;
  if (statement.kind == StatementKind::kSetStatement) {
    for (uint32_t i = statement.span.begin; i < statement.inner->span.begin; ++i) {
      const std::string_view word = context.Word(i);
      if (!NameEq(word, "sql_mode") && !NameEq(word, "foreign_key_checks") && !NameEq(word, "character_set_client")) continue;
      ApplyRules(context, reader, *statement.inner);
      if (context.active)
        context.Refuse(AnyActive(context.world), fmt::format("SET STATEMENT {} changes what the statement means", word),
                       "set it for the session");
      return;
    }
  }
  ApplyRules(context, reader, *statement.inner);
  if (statement.kind == StatementKind::kExplain && !statement.analyze) context.plan->writes = before;
}

void RuleHarmless(Context& context, Reader&, Statement& statement) {
  for (const MigratingTable* table : Mentioned(context, statement)) context.plan->touched |= table->migrations;
}

void RuleMention(Context& context, Reader& reader, Statement& statement) {
  if (statement.taken_apart) {
    const Scope nothing;
    for (Expr* expr : statement.exprs) {
      const Tag tag = reader.Visit(*expr, nothing, nullptr);
      // What a routine does with it is not seen here: it was written for the old one.
      if (statement.kind == StatementKind::kCall && tag.key != nullptr && tag.side == Side::kNew)
        context.Refuse(*tag.key, "CALL is given a key, which is the new one for this connection", "read it in a statement of its own");
    }
    for (const MigratingTable* table : Mentioned(context, statement)) context.plan->touched |= table->migrations;
    return;
  }
  for (const MigratingTable* table : Mentioned(context, statement)) {
    context.Touch(*table, false);
    for (const KeyColumn& key : table->keys)
      if (key.key->new_reader)
        context.Refuse(*key.key, fmt::format("{} with a query over {}", context.Word(statement.span.begin), table->name),
                       "send the query as a SELECT of its own");
    for (const ColumnSet* set : table->sets)
      if (set->new_reader)
        context.Refuse(*set, fmt::format("{} with a query over {}", context.Word(statement.span.begin), table->name), "send the query as a SELECT of its own");
  }
}

void RuleDynamic(Context& context, Reader&, Statement& statement) {
  context.cacheable = false;
  if (!context.world.AnyDual()) return;
  if (!statement.literal_text) {
    context.Refuse(AnyActive(context.world), "the text of a prepared statement stands in a variable or expression",
                   "use prepared statements of the protocol, or a literal text");
    return;
  }
  std::vector<std::string> names;
  for (const MigratingTable& table : context.world.tables())
    if (table.active) names.push_back(table.name);
  if (!TouchSet(names, context.world.table_names_fold()).Matches(statement.text)) return;
  for (const MigratingTable& table : context.world.tables())
    if (table.active) context.plan->touched |= table.migrations;
  context.Refuse(AnyActive(context.world), "the text of a PREPARE names a migrating table",
                 "use prepared statements of the protocol, or send the statement as it is");
}

void RuleTruncate(Context& context, Reader&, Statement& statement) {
  for (const MigratingTable* table : Mentioned(context, statement)) {
    context.Touch(*table, true);
    for (const KeyColumn& key : table->keys)
      if (key.own && key.key->active && !context.facts.foreign_key_checks)
        context.Refuse(*key.key, "TRUNCATE without foreign_key_checks could leave references behind", "turn the checks on");
  }
}

// Under LOCK TABLES a statement sees the locked tables alone: nothing can be looked up.
void RuleLockTables(Context& context, Reader& reader, Statement& statement) {
  for (const MigratingTable* table : Mentioned(context, statement)) {
    context.plan->touched |= table->migrations;
    bool reads = !statement.locks.empty();
    for (const auto& [ref, write] : statement.locks) reads = reads && !(write && reader.FindTable(*ref, nullptr) == table);
    for (const KeyColumn& key : table->keys) {
      if (key.key->active && (!reads || key.key->new_only))
        context.Refuse(*key.key, "LOCK TABLES hides the tables that new keys are looked up in", "lock to READ, or use a transaction with SELECT … FOR UPDATE");
    }
  }
}

void RuleForbidden(Context& context, Reader&, Statement& statement) {
  const std::vector<const MigratingTable*> tables = Mentioned(context, statement);
  // In a block, and in what is not taken apart (all texts under sql_mode ORACLE), a text may be put together and run.
  const bool whole = statement.kind == StatementKind::kCompound || statement.kind == StatementKind::kOther;
  if (whole && context.world.AnyDual() && (HasWord(statement, "prepare") || HasWord(statement, "immediate"))) {
    context.cacheable = false;
    context.Refuse(AnyActive(context.world), "a block prepares a text", "send its statements one by one");
  }
  if (statement.kind == StatementKind::kDdl) {
    const std::string schema = DroppedSchema(context, statement);
    for (const MigratingTable& table : context.world.tables()) {
      if (schema.empty() || !NameEq(table.schema, schema)) continue;
      context.plan->touched |= table.migrations;
      context.plan->writes = true;
      if (table.active || table.expanding) context.Refuse(*table.migration, fmt::format("{} has migrating tables", table.schema), "wait until the migration is done, or take it back to observe");
    }
  }
  for (const MigratingTable* table : tables) {
    const bool writes = statement.kind != StatementKind::kHandler;
    const bool frozen = table->expanding && statement.kind == StatementKind::kDdl;
    context.plan->touched |= table->migrations;
    if (writes) context.plan->writes = true;
    if (!table->active && !frozen) continue;
    const config::Migration& migration = *table->migration;
    switch (statement.kind) {
      case StatementKind::kHandler:
        context.Refuse(migration, fmt::format("HANDLER shows the hidden columns of {}", table->name), "use SELECT");
        break;
      case StatementKind::kLoad:
        context.Refuse(migration, fmt::format("LOAD XML into {}", table->name), "use LOAD DATA, or INSERT statements");
        break;
      case StatementKind::kDdl:
        context.Refuse(migration, fmt::format("{} is migrating and must keep its shape", table->name), "wait until the migration is done, or take it back to observe");
        break;
      case StatementKind::kCompound:
        context.Refuse(migration, fmt::format("a compound statement names {}", table->name), "send its statements one by one");
        break;
      default:
        context.Refuse(migration, fmt::format("a statement that is not understood names {}", table->name), "use a plain INSERT, UPDATE, DELETE or SELECT");
        break;
    }
  }
  if (statement.kind == StatementKind::kCompound && context.world.AnyDual() &&
      (HasWord(statement, "prepare") || HasWord(statement, "immediate")))
    context.Refuse(AnyActive(context.world), "a compound statement prepares a text that is not seen", "send its statements one by one");
}

}  // namespace crossfade::rewrite
