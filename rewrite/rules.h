// SPDX-License-Identifier: Apache-2.0
// One rule for each kind of statement; rules.cc lists them all. A rule edits the text, or refuses it, or leaves it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "rewrite/context.h"
#include "rewrite/reader.h"

namespace crossfade::rewrite {

struct Rule {
  StatementKind kind;
  void (*apply)(Context& context, Reader& reader, Statement& statement);
};

// Plans one statement of the text.
void ApplyRules(Context& context, Reader& reader, Statement& statement);

void RuleSelect(Context& context, Reader& reader, Statement& statement);
void RuleInsert(Context& context, Reader& reader, Statement& statement);
void RuleUpdate(Context& context, Reader& reader, Statement& statement);
void RuleDelete(Context& context, Reader& reader, Statement& statement);
void RuleInner(Context& context, Reader& reader, Statement& statement);     // EXPLAIN, SET STATEMENT
void RuleLockTables(Context& context, Reader& reader, Statement& statement);
void RuleLoad(Context& context, Reader& reader, Statement& statement);
void RuleMention(Context& context, Reader& reader, Statement& statement);   // SET, DO, CALL: may read in passing
void RuleDynamic(Context& context, Reader& reader, Statement& statement);   // PREPARE, EXECUTE IMMEDIATE
void RuleTruncate(Context& context, Reader& reader, Statement& statement);
void RuleForbidden(Context& context, Reader& reader, Statement& statement); // DDL, LOAD, LOCK TABLES, HANDLER, others
void RuleHarmless(Context& context, Reader& reader, Statement& statement);

// A question for the schema: the answer leaves out what the migration added. `result`: which of the text's replies it is;
// `only`: the text is this one statement.
struct HiddenSchema;
void HideNewSide(Context& context, Statement& statement, uint32_t result, bool only, const HiddenSchema& hidden);

// INSERT … SELECT into a table with active keys; `columns`: the target's, in order.
void InsertSelect(Context& context, Reader& reader, Insert& insert, const MigratingTable& table,
                  const std::vector<std::string>& columns);

// … whose new keys are numbers: each row gets one of a range. `width`: the columns that the query has to give by now.
void NumberRows(Context& context, Insert& insert, const MigratingTable& table, const KeyColumn& column, size_t width);

// A column that is added to an INSERT, with its value, alike in each row.
struct AddedColumn {
  std::string name, value;
};
// Column migrations: what an INSERT that gives `columns` has to give beside them.
std::vector<AddedColumn> ColumnsToAdd(Context& context, const MigratingTable& table, const std::vector<std::string>& columns, bool on_duplicate);

// Rows that come from elsewhere than the text: the new columns have their expressions as defaults. `columns`: those given.
void CheckLeftToDefaults(Context& context, const MigratingTable& table, const std::vector<std::string>& columns);

// … or the own key of such rows, where the server makes it.
bool MadeByDefault(const MigratingTable& table, const KeyColumn& column);
void CheckMadeByDefault(Context& context, const MigratingTable& table, const KeyColumn& column, std::string_view verb);

// What strategy B has to make of the rows of `source`, because no assignment of the statement can. See rule_row_image.cc.
struct ImageNeed {
  const Source* source;
  std::string column;                 // that is made
  std::string value;                  // of the row kImageRow
  std::string join;                   // … and of this, which is joined with it; empty: nothing
  const config::Migration* migration;
  std::string why, advice;            // of the refusal, where B does not fit either
  std::string check;                  // over the row, once it is made: an error where it must not stay; empty: none
};
inline constexpr char kImageRow[] = "`crossfade_row`";
// Adds what a reference, or the set of columns, takes.
void NeedReference(Context& context, const Source& source, const KeyColumn& column, std::string why, std::string advice, std::vector<ImageNeed>* needs);
// Of an UPDATE whose other rules have been applied.
void PlanRowImage(Context& context, Reader& reader, const Statement& statement, const Scope& scope, const std::vector<ImageNeed>& needs);

// SET of UPDATE and ON DUPLICATE KEY UPDATE. `source`: the table written; `single`: left-to-right assignment is sure.
struct AssignUse {
  const Insert* insert = nullptr;              // ON DUPLICATE KEY UPDATE of it
  std::vector<std::string> columns;            // … its columns, as the client gave them
  std::vector<std::string> added;              // … and those that were added to them
  bool single = true;
  bool reads_itself = false;  // why it is not
  bool ignore = false;
  std::vector<ImageNeed>* image = nullptr;  // UPDATE: what it does not fit goes here, and is not refused
};

// … and what a SET has to assign at its end.
class ColumnAssignments {
 public:
  // `same`: "the column has this value already", as text; empty: not sure.
  void Take(Context& context, const Bound& bound, const Scope& scope, const Assignment& assignment, const std::string& same);
  // A column that the backfill walks along is assigned: the row may leave it behind, so it takes its new columns with it.
  void TakeMoved(const Source& source, const std::string& same);
  void Finish(Context& context, const std::vector<Assignment>& set, const AssignUse& use);
  bool empty() const { return entries_.empty(); }

 private:
  struct Entry {
    const ColumnSet* set;
    const Source* source;
    std::string old;  // one that is assigned; empty: none
    std::vector<std::string> fresh;
    std::string same;  // of every assignment to it; empty: not sure
  };
  Entry* Of(const ColumnSet* set, const Source* source, const std::string& same);
  std::vector<Entry> entries_;
};

// Refuses where the session's settings give expressions other values.
void CheckValues(Context& context, const ColumnSet& set);

// What must hold for any write that keeps both sides (or the new one): see the refusals in rule_write.cc.
void CheckWritable(Context& context, const MigratingTable& table, const char* verb);

// References of a table to itself: rule_self.cc.
bool RefersToItself(const MigratingTable& table, const KeyColumn& column);
// The number of the row that `value` refers to, looked up by the value itself. "NULL" for NULL; empty: not sure what is stored.
std::string SelfLookup(Context& context, Reader& reader, const MigratingTable& table, const KeyColumn& column, Expr& value, const Scope& scope);
inline constexpr size_t kSelfRowsAtOnce = 100;  // each row names all before it
struct SelfRow {
  std::string old_key, new_key;  // of the row itself, as text
  std::string lookup;            // of its reference: SelfLookup
};
// … of a row of INSERT or REPLACE, which may refer to itself and to those before it.
std::string SelfReferenceOfRow(Context& context, const MigratingTable& table, const KeyColumn& column, const SelfRow& row, const std::vector<SelfRow>& before,
                               bool replace, Plan::Guard guard);
// Of row `row` of an INSERT or REPLACE. One whose reply begins with its columns cannot be taken back; nor the AUTO_INCREMENT numbers that were given out
// before the error: none, if it is that of the first row.
Plan::Guard GuardOf(const Context& context, const Insert& insert, const MigratingTable& table, size_t row);

// DELETE IGNORE of a parent, UPDATE IGNORE of its key.
void CheckIgnored(Context& context, const MigratingTable& parent, bool deletes);

// The value of an assignment to a reference, made right for the side(s) that are written.
// Dual: returns true if the value is of the new key's shape and was replaced by the old key.
bool ValueForOld(Context& context, Reader& reader, const Key& key, Expr& value, const Scope& scope, const Ctes* ctes);
// In retire, rows of the statement itself that an old key may name too, in a table that refers to itself.
struct SelfNamed {
  const Column* column = nullptr;  // that holds their old keys
  std::string name;                // … with its table's
  std::string whens;   // of a CASE of that key: WHEN its old key THEN its new one, for each row
  bool sure = true;    // these are all of them
  bool first = false;  // before those that are there
};
void ValueForNew(Context& context, Reader& reader, const KeyColumn& column, Expr& value, const Scope& scope, const Ctes* ctes,
                 const std::function<SelfNamed()>& named = nullptr);
// `text` to be compared with what else was made so, as `column` stores it. Empty: not sure.
std::string SelfComparable(const Context& context, const Column* column, const std::string& text);
// A value given to the own old column.
void ValueForOwn(Context& context, Reader& reader, const Key& key, Expr& value, const Scope& scope, const Ctes* ctes);

// The value of a reference as it may stand once more inside a lookup: a column qualified, cut to the length that `stored` has.
// Empty: not sure that it is the same there.
std::string RepeatInLookup(Context& context, Reader& reader, const Key& key, Expr& value, const Scope& scope, const Column* stored);

// The text `value` as the column stores it, to be compared with that column (or what refers to it). Empty: not sure.
std::string AsStored(const Column* column, const std::string& value);
// A value of the new key's shape: a column of UUIDs warns of what is none, also where no row is written, and takes it for NULL. Empty: NULL.
std::string ThatIsUuid(const Key& key, const Expr& value, const std::string& text, const std::string& otherwise = "");

// `alias.column` of an INSERT with a row alias: the column of the insert that it means.
std::optional<size_t> RowAliasColumn(const Expr& value, const AssignUse& use);
// In retire: refuses what names such a column in an expression; an assignment of it to a reference of the same key is understood.
void CheckRowAlias(Context& context, const MigratingTable& table, const std::vector<Assignment>& assignments, const AssignUse& use);
// MySQL warns of each VALUES(column); a second one of ours would be seen. An alias of the new row says the same: its text; `e` where
// there is none.
std::string ValuesOnce(Context& context, const Expr& value, const AssignUse& use, bool* aliased, const std::string& e);

// The new side of a reference of the table to itself, as MySQL can be told it. See rule_self.cc.
std::string SelfAssigned(Context& context, Reader& reader, const MigratingTable& table, const KeyColumn& column, Expr& value, const Scope& scope, const AssignUse& use,
                         bool* aliased);
// False, and refused: a row that takes another key and refers to itself, or to a row that does the same, is found by neither key.
bool SelfAssignable(Context& context, Reader& reader, const std::vector<Assignment>& set, const Assignment& assignment, const Key& key, const Scope& scope);
// id = id, and id = LAST_INSERT_ID(id), with which ON DUPLICATE KEY UPDATE hands the row's key on.
bool StaysItself(const Assignment& assignment);

// True: something is assigned that reads an assignment before it.
bool Assign(Context& context, Reader& reader, std::vector<Assignment>& set, const Scope& scope, const Ctes* ctes,
            const AssignUse& use);

}  // namespace crossfade::rewrite
