// SPDX-License-Identifier: Apache-2.0
// What the rules share while one text is planned: the source, the world, the edits so far, and the first refusal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rewrite/ast.h"
#include "rewrite/editor.h"
#include "rewrite/lexer.h"
#include "rewrite/planner.h"
#include "rewrite/world.h"

namespace crossfade::rewrite {

struct Context {
  Context(const TokenList& tokens, const SessionFacts& facts, const Dialect& dialect, const World& world, Plan* plan)
      : tokens(tokens), facts(facts), dialect(dialect), world(world), plan(plan), editor(tokens) {}

  const TokenList& tokens;
  const SessionFacts& facts;
  const Dialect& dialect;
  const World& world;
  Plan* plan;
  Editor editor;
  bool prepared = false;
  bool ignore = false;  // of the statement under way: IGNORE
  const std::vector<ValueShape>* shapes = nullptr;  // of the client's parameters, prepared only
  bool letters = false;    // whether the text of a string is looked at: see Plan::by_letters
  bool cacheable = true;   // false: the plan took something from a literal's value or the exact white space
  bool refused = false;
  MigrationSet writes;     // migrations whose tables are written, active or not
  bool active = false;     // a table of an active migration is named
  std::string why;         // what was done, for explain; first reason wins
  std::vector<const MigratingTable*> targets;  // of the statement under way: tables that it changes
  bool updates = false;    // … it is an UPDATE
  bool alone = true;       // … it is the whole text
  bool wrapped = false;    // … it stands in another one: EXPLAIN, ANALYZE, SET STATEMENT
  bool explained = false;  // … which does not run it
  bool assigns = false;    // … or the text, user variables: it must not be run twice
  bool ahead = false;      // … it is an INSERT whose references may be looked up before it: see ahead.h
  const char* alias = "cf";  // of our own subqueries: a name that the text does not use

  // Refuses the text. `why` and `advice` without a final stop.
  void Refuse(const config::Migration& migration, std::string_view why, std::string_view advice);
  void Refuse(const Key& key, std::string_view why, std::string_view advice) { Refuse(*key.spec_migration, why, advice); }
  void Refuse(const ColumnSet& set, std::string_view why, std::string_view advice) { Refuse(*set.spec_migration, why, advice); }
  void Note(std::string_view text);

  void Touch(const MigratingTable& table, bool write);
  uint32_t NewSlot(const Key& key, KeySlot::Use use = KeySlot::kOne, bool exact = false, bool variable = false);
  // For the report of what breaks once the old side has gone. See old_use.cc.
  void OldValue(const Key& key, ValueShape shape);
  void OldName(const KeyColumn& column);
  void OldName(const ColumnSet& set, std::string_view column);
  // The shape of a literal or parameter; nullopt-like kUnknown with `*is_value` false for anything else.
  // Asking for a parameter's shape makes it one that the plan depends on.
  ValueShape ShapeOf(const Expr& expr, bool* is_value);

  // … for this key: '17' is an integer where the old key is one.
  ValueShape ShapeFor(const Key& key, const Expr& expr, bool* is_value);

  // A literal or parameter that a column of this shape compares with as it is stored: a hexadecimal or _binary literal
  // is a string, but of another collation.
  bool ComparesAs(const Expr& expr, ValueShape shape);
  // N'…' and _utf8'…', deprecated on MySQL: said a second time, they warn a second time.
  bool WarnsEachTime(const Expr& expr) const;

  // A string with letters beyond ASCII. False where the plan does not look (`letters`).
  bool IsWide(const Expr& expr);
  // `text`, the value, for a comparison with a new column: letters that its character set does not have are an error to the servers. With them
  // it becomes `nothing`, which is no key.
  std::string Within(const Column* column, const Expr& value, std::string_view nothing, const std::string& text);
  const Column* NewColumn(const Key& key) const;  // of its own table; nullptr: not there

  std::string_view Word(uint32_t token) const { return tokens.Text(token); }
  // `schema`.`table` of the key's own table.
  static std::string OwnTable(const Key& key);
  // (SELECT cf.`to` FROM own AS cf WHERE cf.`from` = value)
  std::string Lookup(const Key& key, bool to_new, const std::string& value) const;
  // A table that the statement changes is read through a derived table: MySQL allows nothing else (error 1093), and MariaDB
  // would run an UPDATE as one of several tables, whose SET sees the row as it was. `value` must not name columns then.
  bool OnlyDerived(const Key& key) const;
  std::string DerivedLookup(const Key& key, const std::string& to, const std::string& from, const std::string& value, bool lock) const;
  // The same for a value that is written. Locking: at READ COMMITTED a plain subquery reads what was committed when the
  // statement began, but the foreign key's check what is committed now; a parent that came in between would be referred
  // to by one side alone.
  std::string LookupToWrite(const Key& key, bool to_new, const std::string& value) const;
  // … as the new side of a reference is stored. `ro`: its old side, as it is stored by then; see Plan::guard.
  std::string LookupToStore(const MigratingTable& table, const KeyColumn& column, const std::string& value, const std::string& ro, Plan::Guard guard);
  std::string Guarded(const MigratingTable& table, const KeyColumn& column, std::string lookup, const std::string& ro, Plan::Guard guard);
  // … what a COALESCE of it ends with, for that; empty: it is not guarded.
  std::string IfMissing(const MigratingTable& table, const KeyColumn& column, const std::string& ro, Plan::Guard guard);
  // … for the marked text; empty: it is not marked (see Plan::marks).
  std::string Mark(const MigratingTable& table, const KeyColumn& column, const std::string& ro);
  // `lookup`, which finds the new key of the old one `value`, as one that may be made before the statement.
  std::string LookedUpAhead(const MigratingTable& table, const KeyColumn& column, const Expr& value, std::string lookup);
  // The same, not guarded.
  std::string LookupToStore(const MigratingTable& table, const KeyColumn& column, const std::string& value) const;
};

}  // namespace crossfade::rewrite
