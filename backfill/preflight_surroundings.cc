// SPDX-License-Identifier: Apache-2.0
// What reaches the tables past the proxy, and what the control user may do.
#include <algorithm>
#include <array>

#include "backfill/catalog_loader.h"
#include "backfill/checks.h"
#include "backfill/ddl.h"
#include "backfill/store.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace crossfade::backfill {
namespace {

// A REGEXP operand, quoted, that finds `word` as a word of its own.
std::string Word(const Connection& connection, const std::string& word) {
  std::string escaped;
  for (char c : word) {
    if (c == '$') escaped += '\\';
    escaped += c;
  }
  return connection.Quote("(^|[^A-Za-z0-9_$])" + escaped + "($|[^A-Za-z0-9_$])");
}

using Names = std::vector<std::string>;

absl::StatusOr<Names> FirstColumn(Connection& connection, const std::string& sql) {
  auto rows = connection.Query(sql);
  if (!rows.ok()) return rows.status();
  Names out;
  for (const Row& row : rows->rows) out.push_back(row[0].value_or(""));
  return out;
}

// Whether MariaDB puts the view's tables in its place. An UPDATE or INSERT that reads its own table so sees the row as it was, or NULLs,
// in what is made of the row's old side; statements name the view alone. What is worked out beforehand does no harm.
bool IsMerged(Connection& connection, const std::string& schema, const std::string& view) {
  auto steps = connection.Query(fmt::format("EXPLAIN SELECT * FROM {}.{}", QuoteName(schema), QuoteName(view)));
  if (!steps.ok()) return true;
  size_t outer = 0, derived = 0;
  for (const Row& step : steps->rows) {
    const std::string kind = step[1].value_or("");
    if (kind.find("SUBQUERY") != std::string::npos) return true;
    if (kind != "PRIMARY" && kind != "SIMPLE") continue;
    ++outer;
    if (step[2].value_or("").rfind("<derived", 0) == 0) ++derived;
  }
  return outer != 1 || derived != 1;
}

absl::Status CheckPrograms(Connection& connection, bool maria, const std::string& schema, const std::string& table, Findings* findings) {
  const std::string name = schema + "." + table;
  const std::string quoted_schema = connection.Quote(schema), quoted_table = connection.Quote(table), word = Word(connection, table);
  auto triggers = FirstColumn(connection, fmt::format("SELECT trigger_name FROM information_schema.triggers WHERE event_object_schema = {} AND event_object_table = {}",
                                                      quoted_schema, quoted_table));
  if (!triggers.ok()) return triggers.status();
  for (const std::string& trigger : *triggers) {
    AddError(findings, fmt::format("{} has the trigger {}: it may change a row after the new side was computed", name, trigger), "drop it, or do its work in the application");
  }
  auto others = FirstColumn(connection, fmt::format("SELECT CONCAT(trigger_schema, '.', trigger_name) FROM information_schema.triggers WHERE NOT (event_object_schema = {}"
                                                    " AND event_object_table = {}) AND action_statement REGEXP {} AND (trigger_schema = {} OR action_statement REGEXP {})",
                                                    quoted_schema, quoted_table, word, quoted_schema, Word(connection, schema)));
  if (!others.ok()) return others.status();
  for (const std::string& trigger : *others) {
    AddError(findings, fmt::format("the trigger {} of another table names {}: its writes go past the proxy", trigger, name), "drop it, or do its work in the application");
  }
  // One schema at a time, never the servers' own: MariaDB opens every view that such a query may mean.
  auto schemas = FirstColumn(connection, "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN"
                                         " ('mysql', 'sys', 'information_schema', 'performance_schema')");
  if (!schemas.ok()) return schemas.status();
  for (const std::string& in : *schemas) {
    auto views = connection.Query(fmt::format("SELECT CONCAT(table_schema, '.', table_name), is_updatable, table_name FROM information_schema.views WHERE table_schema = {} AND"
                                              " view_definition LIKE {}", connection.Quote(in), connection.Quote(fmt::format("%`{}`.`{}`%", schema, table))));
    if (!views.ok()) return views.status();
    for (const Row& row : views->rows) {
      if (row[1] == "YES") {
        AddError(findings, fmt::format("the view {} reads {} and can be written through, past the proxy", row[0].value_or(""), name), "drop it, or make it read-only (ALGORITHM=TEMPTABLE)");
      } else if (maria && IsMerged(connection, in, row[2].value_or(""))) {
        AddError(findings, fmt::format("the view {} is merged into queries: a statement that writes {} and reads it through the view cannot be told", row[0].value_or(""), name),
                 "drop it, or make it ALGORITHM=TEMPTABLE");
      } else {
        AddWarning(findings, fmt::format("the view {} reads {}: it sees the old columns until contract drops them", row[0].value_or(""), name), "change it before contract");
      }
    }
  }
  // A program of another schema means this table only where it names this schema.
  constexpr std::array<std::array<const char*, 2>, 2> kPrograms = {{{"routine", "information_schema.routines"}, {"event", "information_schema.events"}}};
  for (const auto& [kind, from] : kPrograms) {
    auto programs = FirstColumn(connection, fmt::format("SELECT CONCAT({0}_schema, '.', {0}_name) FROM {1} WHERE {0}_definition REGEXP {2} AND {0}_schema NOT IN"
                                                        " ('mysql', 'sys') AND ({0}_schema = {3} OR {0}_definition REGEXP {4})",
                                                        kind, from, word, quoted_schema, Word(connection, schema)));
    if (!programs.ok()) return programs.status();
    for (const std::string& program : *programs) {
      AddError(findings, fmt::format("the {} {} names {}: what it does goes past the proxy", kind, program, name), "drop it, or do its work in the application");
    }
    // What it runs need not stand in it.
    auto dynamic = connection.Query(fmt::format("SELECT CONCAT({0}_schema, '.', {0}_name), {0}_schema = {2} FROM {1} WHERE {0}_definition REGEXP {3} AND {0}_schema NOT IN ('mysql', 'sys')",
                                                kind, from, quoted_schema, connection.Quote("(^|[^A-Za-z0-9_$])(PREPARE[[:space:]`]|EXECUTE[[:space:]]+IMMEDIATE)")));
    if (!dynamic.ok()) return dynamic.status();
    for (const Row& row : dynamic->rows) {
      const std::string what = fmt::format("the {} {} puts statements together and runs them (PREPARE, EXECUTE IMMEDIATE): one that writes {} goes past the proxy", kind, row[0].value_or(""), name);
      if (row[1] == "1") AddError(findings, what, "drop it, or do its work in the application");
      else AddWarning(findings, what, "see that it does not");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckExpressions(Connection& connection, bool maria, const std::string& schema, const TablePairs& entry, Findings* findings) {
  const std::string where = fmt::format("table_schema = {} AND table_name = {}", connection.Quote(schema), connection.Quote(entry.table));
  // Constants for schema and table, or MariaDB opens every table and view of the server.
  const std::string quoted_schema = connection.Quote(schema), quoted_table = connection.Quote(entry.table);
  const std::string check_names =
      maria ? fmt::format("SELECT constraint_name FROM information_schema.check_constraints WHERE constraint_schema = {} AND table_name = {} AND check_clause REGEXP ",
                          quoted_schema, quoted_table)
            : fmt::format("SELECT c.constraint_name FROM information_schema.table_constraints AS t JOIN information_schema.check_constraints AS c ON c.constraint_schema ="
                          " t.constraint_schema AND c.constraint_name = t.constraint_name WHERE t.table_schema = {} AND t.table_name = {} AND c.check_clause REGEXP ",
                          quoted_schema, quoted_table);
  for (const std::string& old : OldColumns(entry)) {
    const std::string word = Word(connection, old);
    auto generated = FirstColumn(connection, fmt::format("SELECT column_name FROM information_schema.columns WHERE {} AND generation_expression REGEXP {}", where, word));
    if (!generated.ok()) return generated.status();
    for (const std::string& column : *generated) {
      AddError(findings, fmt::format("{}.{}.{} is generated from {}, which goes", schema, entry.table, column, old), "drop it first");
    }
    auto checks = FirstColumn(connection, check_names + word);
    if (!checks.ok()) return checks.status();
    for (const std::string& check : *checks) {
      AddError(findings, fmt::format("{}.{}: the check {} is over {}, which goes", schema, entry.table, check, old), "drop it first");
    }
  }
  return absl::OkStatus();
}

// InnoDB's own name of a table in its dictionary; identifiers hold no other character that is escaped there.
std::string InnodbName(const std::string& schema, const std::string& table) {
  std::string out;
  for (char c : schema + "/" + table) out += c == '$' ? "@0024" : std::string(1, c);
  return out;
}

// (schema, table, column, constraint) of all that refers to a column.
std::string ReferrersSql(const Connection& connection, bool maria, const std::string& schema, const std::string& table, const std::string& column) {
  if (maria) {  // information_schema.key_column_usage would open every table of the server
    return fmt::format("SELECT REPLACE(SUBSTRING_INDEX(f.for_name, '/', 1), '@0024', '$'), REPLACE(SUBSTRING_INDEX(f.for_name, '/', -1), '@0024', '$'), c.for_col_name, f.id"
                       " FROM information_schema.innodb_sys_foreign AS f JOIN information_schema.innodb_sys_foreign_cols AS c ON c.id = f.id"
                       " WHERE f.ref_name = {} AND c.ref_col_name = {}", connection.Quote(InnodbName(schema, table)), connection.Quote(column));
  }
  return fmt::format("SELECT table_schema, table_name, column_name, constraint_name FROM information_schema.key_column_usage WHERE referenced_table_schema = {}"
                     " AND referenced_table_name = {} AND referenced_column_name = {}", connection.Quote(schema), connection.Quote(table), connection.Quote(column));
}

// Tables that refer to a key and are not in the migration would lose their parent.
absl::Status CheckChildren(Connection& connection, bool maria, const config::Migration& migration, const std::vector<TablePairs>& tables, Findings* findings) {
  std::vector<std::pair<std::string, std::string>> referred;  // a reference may be a key to others in turn
  for (const TablePairs& entry : tables)
    for (const ColumnPair& pair : AllPairs(entry)) referred.emplace_back(entry.table, pair.old_column);
  for (const auto& [key_table, key_column] : referred) {
    auto rows = connection.Query(ReferrersSql(connection, maria, migration.schema, key_table, key_column));
    if (!rows.ok()) return rows.status();
    for (const Row& row : rows->rows) {
      bool named = false;
      for (const TablePairs& entry : tables) {
        if (row[0] != migration.schema || !SameName(entry.table, row[1].value_or(""))) continue;
        for (const ColumnPair& pair : AllPairs(entry)) named = named || SameName(pair.old_column, row[2].value_or(""));
      }
      if (named) continue;
      AddError(findings, fmt::format("{}.{}.{} refers to {}.{} ({}), but is none of the references in the file", row[0].value_or(""), row[1].value_or(""), row[2].value_or(""),
                                     key_table, key_column, row[3].value_or("")),
               "add it to `references:`, with a foreign key to the key itself");
    }
  }
  for (const TablePairs& entry : tables) {
    for (const config::ColumnMigration& set : entry.sets) {
      if (set.of_key) continue;
      for (const std::string& old : set.old_columns) {
        auto rows = connection.Query(ReferrersSql(connection, maria, migration.schema, entry.table, old));
        if (!rows.ok()) return rows.status();
        for (const Row& row : rows->rows) {
          AddError(findings, fmt::format("{}.{}.{} refers to {}.{} ({}), which goes", row[0].value_or(""), row[1].value_or(""), row[2].value_or(""), entry.table, old,
                                         row[3].value_or("")),
                   "drop the foreign key first, or migrate the key");
        }
      }
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRights(Connection& connection, const config::Migration& migration, Findings* findings) {
  constexpr std::array kOnTables = {"SELECT", "INSERT", "UPDATE", "ALTER", "INDEX", "REFERENCES", "CREATE", "DROP", "LOCK TABLES"};
  // The grantee is shown as 'user'@'host'.
  const std::string grantee = "CONCAT('''', SUBSTRING_INDEX(CURRENT_USER(), '@', 1), '''@''', SUBSTRING_INDEX(CURRENT_USER(), '@', -1), '''')";
  auto global = FirstColumn(connection, "SELECT privilege_type FROM information_schema.user_privileges WHERE grantee = " + grantee);
  if (!global.ok()) return global.status();
  auto local = FirstColumn(connection, fmt::format("SELECT privilege_type FROM information_schema.schema_privileges WHERE grantee = {} AND {} LIKE table_schema", grantee,
                                                   connection.Quote(migration.schema)));
  if (!local.ok()) return local.status();
  const auto has = [](const Names& names, std::string_view right) { return std::find(names.begin(), names.end(), right) != names.end(); };
  Names missing;
  for (const char* right : kOnTables) {
    if (!has(*global, right) && !has(*local, right)) missing.push_back(fmt::format("{} on {}.*", right, migration.schema));
  }
  if (!has(*global, "PROCESS")) missing.push_back("PROCESS on *.*");
  if (!has(*global, "CONNECTION_ADMIN") && !has(*global, "CONNECTION ADMIN") && !has(*global, "SUPER")) {
    AddWarning(findings, "the control user may not end other users' connections: the phase cannot change while a proxy that stopped or was cut off has some open",
               "GRANT CONNECTION_ADMIN ON *.* (MariaDB: CONNECTION ADMIN)");
  }
  if (missing.empty()) return absl::OkStatus();
  auto role = connection.Query("SELECT CURRENT_ROLE()");
  const bool has_role = role.ok() && !role->rows.empty() && role->rows[0][0].value_or("NONE") != "NONE";
  const std::string text = fmt::format("the control user lacks: {}", fmt::join(missing, ", "));
  if (has_role) {
    AddWarning(findings, text + " (unless its role has them)", "grant them");
  } else {
    AddError(findings, text, "grant them");
  }
  return absl::OkStatus();
}

// Rights on single columns do not cover the new ones, which the application's statements name from `dual_write` on.
absl::Status CheckColumnRights(Connection& connection, const std::string& schema, const std::string& table, Findings* findings) {
  auto users = FirstColumn(connection, fmt::format("SELECT DISTINCT grantee FROM information_schema.column_privileges WHERE table_schema = {} AND table_name = {} ORDER BY grantee",
                                                   connection.Quote(schema), connection.Quote(table)));
  if (!users.ok()) return users.status();
  if (!users->empty()) {
    AddWarning(findings, fmt::format("{} may use single columns of {}.{}: statements that get the new ones too will fail for want of rights (1142, 1143)", fmt::join(*users, ", "), schema, table),
               "grant the rights on the table, and SELECT on the tables that it refers to");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckSurroundings(Connection& connection, const config::Config&, const config::Migration& migration, const std::vector<TablePairs>& tables,
                               Findings* findings) {
  auto dialect = LoadDialect(connection);
  if (!dialect.ok()) return dialect.status();
  const bool maria = dialect->flavor == rewrite::Flavor::kMariaDb;
  for (const TablePairs& entry : tables) {
    absl::Status status = CheckPrograms(connection, maria, migration.schema, entry.table, findings);
    if (status.ok()) status = CheckExpressions(connection, maria, migration.schema, entry, findings);
    if (status.ok()) status = CheckColumnRights(connection, migration.schema, entry.table, findings);
    if (!status.ok()) return status;
  }
  // Rights first: without PROCESS, MariaDB does not tell who refers to a table.
  absl::Status status = CheckRights(connection, migration, findings);
  if (!status.ok() || HasErrors(*findings)) return status;
  return CheckChildren(connection, maria, migration, tables, findings);
}

}  // namespace crossfade::backfill
