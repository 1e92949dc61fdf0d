// SPDX-License-Identifier: Apache-2.0
// What stands in the way of a migration: the server, the tables and the columns. What looks at the tables from
// outside (triggers, views, routines, privileges) is in preflight_surroundings.cc.
#include "backfill/preflight.h"

#include <algorithm>

#include "backfill/catalog_loader.h"
#include "backfill/checks.h"
#include "backfill/ddl.h"
#include "backfill/keyset.h"
#include "backfill/replica_reader.h"
#include "backfill/store.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "rewrite/column_expression.h"
#include "rewrite/new_key.h"

namespace crossfade::backfill {
namespace {

using rewrite::Column;
using rewrite::Flavor;
using rewrite::Table;
using rewrite::TypeClass;

// "int(10) unsigned" and "INT UNSIGNED" are one type: display widths mean nothing.
std::string PlainType(std::string_view type) {
  std::string out;
  bool in_width = false;
  for (char c : type) {
    if (c == '(') in_width = true;
    if (!in_width) out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (c == ')') in_width = false;
  }
  return out.substr(0, out.find(" character set"));
}

bool InPrimaryKey(const Table& table, const std::string& column) {
  const rewrite::Index* primary = table.PrimaryKey();
  return primary != nullptr &&
         std::any_of(primary->columns.begin(), primary->columns.end(), [&](const std::string& c) { return SameName(c.substr(0, c.find('(')), column); });
}

void CheckNewColumn(const Table& table, const ColumnPair& pair, Findings* findings) {
  const std::string name = fmt::format("{}.{}.{}", table.schema, table.name, pair.new_column);
  if (const Column* column = table.FindColumn(pair.new_column)) {
    if (PlainType(column->type) != PlainType(pair.new_type)) {
      AddError(findings, fmt::format("{} exists already and is {}, not {}", name, column->type, pair.new_type), "choose another name, or drop it");
    } else if (!column->nullable || !column->invisible || column->generated) {
      AddError(findings, fmt::format("{} exists already, but not as a nullable, invisible column", name), "choose another name, or drop it");
    } else {
      AddInfo(findings, fmt::format("{} exists already, as it should be; it is used as it is", name));
    }
  }
  if (!SameName(pair.FinalName(), pair.old_column) && !SameName(pair.FinalName(), pair.new_column) && table.FindColumn(pair.FinalName()) != nullptr) {
    AddError(findings, fmt::format("{}.{}: the final name {} is that of another column", table.schema, table.name, pair.FinalName()), "choose another");
  }
  if (table.FindColumn(OldName(pair.old_column)) != nullptr) {
    AddError(findings, fmt::format("{}.{} has a column {}, a name that contract needs", table.schema, table.name, OldName(pair.old_column)), "drop or rename it");
  }
}

void CheckOldColumn(const Table& table, const Column& old, const std::string& new_type, Findings* findings) {
  const std::string name = fmt::format("{}.{}.{}", table.schema, table.name, old.name);
  if (old.generated) AddError(findings, name + " is a generated column", "migrate the column that it is made of");
  if (old.type.rfind("float", 0) == 0 || old.type.rfind("double", 0) == 0) {
    AddError(findings, fmt::format("{} is {}: equal values of such a column cannot be found again by comparing", name, old.type), "change it to DECIMAL or an integer first");
  } else if (old.type_class == TypeClass::kInteger) {
    if (!rewrite::IsIntegerType(new_type)) return;
    AddError(findings, fmt::format("{} is {}, an integer like the new key: the proxy tells the two keys apart by their shape", name, old.type),
             "let the new key be made of the old one (new: {from: …}), where the application gives its keys itself");
  } else if (!rewrite::IsIntegerType(new_type)) {
    AddError(findings, fmt::format("{} is {}, and the new key {}: the proxy tells the two keys apart by their shape", name, old.type, new_type),
             "let the new key be made of the old one (new: {from: …}, back: …)");
  } else if (old.type_class != TypeClass::kString && old.type_class != TypeClass::kBinary) {
    AddError(findings, fmt::format("{} is {}: only character and binary keys can be replaced in this version", name, old.type), "");
  }
}

void CheckKey(const Table& table, const ColumnPair& pair, uint64_t rows, Findings* findings) {
  const std::string name = fmt::format("{}.{}.{}", table.schema, table.name, pair.old_column);
  const bool unique = std::any_of(table.indexes.begin(), table.indexes.end(), [&](const rewrite::Index& index) {
    return index.unique && index.columns.size() == 1 && SameName(index.columns[0], pair.old_column);
  });
  const Column* old = table.FindColumn(pair.old_column);
  if (!unique || old->nullable) AddError(findings, name + " is not a unique NOT NULL key by itself", "only such a column can be looked up by either key");
  if (!pair.from.empty()) {
    for (const rewrite::ForeignKey& key : table.foreign_keys) {
      if (std::any_of(key.columns.begin(), key.columns.end(), [&](const std::string& c) { return SameName(c, pair.old_column); }))
        AddError(findings, fmt::format("{} is part of the foreign key {}", name, key.name), "migrate the key it refers to, with this column as its reference");
    }
    AddInfo(findings, fmt::format("{} is found by its old side until contract; from the change of names in contract on, the application has to use the new kind of key", name));
    return;
  }
  const uint64_t largest = LargestInteger(pair.new_type);
  if (largest == 0) {
    if (!rewrite::FreshKey(pair.new_type).empty()) {
      AddInfo(findings, fmt::format("{}.{}.{} gets a UUID for each row, by its default too; that stays after contract, for rows whose key the application does not give", table.schema, table.name, pair.FinalName()));
      return;
    }
    AddError(findings, fmt::format("the new key {} is {}: new keys are integers or UUIDs", pair.new_column, pair.new_type),
             "use int unsigned or bigint unsigned, or char(36), binary(16) or MariaDB's uuid");
  } else if (largest / 2 < rows) {
    AddError(findings, fmt::format("{} holds at most {} keys, and {}.{} has about {} rows", pair.new_type, largest, table.schema, table.name, rows), "use a larger type");
  }
  AddInfo(findings, fmt::format("{}.{}.{} will not be AUTO_INCREMENT: both engines would have to copy the table for it. The proxy gives out new keys until contract; "
                                "afterwards the application does, or you add AUTO_INCREMENT in a quiet hour",
                                table.schema, table.name, pair.FinalName()));
}

void CheckReference(const Table& table, const ColumnPair& pair, const Table* parent, Findings* findings) {
  const std::string name = fmt::format("{}.{}.{}", table.schema, table.name, pair.old_column);
  const Column* old = table.FindColumn(pair.old_column);
  const rewrite::ForeignKey* declared = nullptr;
  for (const rewrite::ForeignKey& key : table.foreign_keys) {
    const bool names = std::any_of(key.columns.begin(), key.columns.end(), [&](const std::string& c) { return SameName(c, pair.old_column); });
    if (!names) continue;
    if (key.columns.size() > 1) {
      AddError(findings, fmt::format("{} is part of the foreign key {} of several columns", name, key.name), "not possible in this version");
    } else if (SameName(key.ref_table, pair.key_table) && SameName(key.ref_columns[0], pair.key_old_column)) {
      declared = &key;
    } else {
      AddError(findings, fmt::format("{} refers to {}.{} too ({})", name, key.ref_table, key.ref_columns[0], key.name), "");
    }
  }
  if (declared == nullptr && !pair.from.empty()) {
    AddInfo(findings, fmt::format("{} has no foreign key; the new column will have none either", name));
  } else if (declared == nullptr) {
    AddError(findings, fmt::format("{} has no foreign key to {}.{}: rows without a parent could get one later, unseen", name, pair.key_table, pair.key_old_column),
             "declare the foreign key first");
  } else {
    for (const std::string& rule : {declared->on_update, declared->on_delete}) {
      if (rule != "SET NULL" && rule != "SET DEFAULT") continue;
      AddError(findings, fmt::format("{}: the foreign key {} has {}, which changes the old column behind the proxy's back", name, declared->name, rule),
               "use RESTRICT or CASCADE");
    }
  }
  if (InPrimaryKey(table, pair.old_column)) {
    AddInfo(findings, fmt::format("{} is part of the primary key: before retire an online ALTER rebuilds {} with {} in its place", name, table.name, pair.new_column));
  }
  if (table.PrimaryKey() == nullptr) {
    const auto keyset = Keyset::Of(table);
    const auto is_it = [&](const Column& column) { return SameName(column.name, pair.old_column); };
    if (keyset.ok() && std::any_of(keyset->columns().begin(), keyset->columns().end(), is_it)) {
      AddError(findings, fmt::format("{} is part of {}, which stands for the primary key that {} lacks", name, keyset->index(), table.name), "add a primary key without it first");
    }
  }
  if (old->has_default) AddWarning(findings, fmt::format("{} has a default value; the new column will have none", name));
  if (parent == nullptr || !pair.from.empty()) return;
  const Column* key = parent->FindColumn(pair.key_old_column);
  if (key != nullptr && (PlainType(key->type) != PlainType(old->type) || key->charset != old->charset || key->collation != old->collation)) {
    AddError(findings, fmt::format("{} is {} {}, the key it refers to {} {}: one value could be equal to several keys", name, old->type, old->collation, key->type,
                                   key->collation),
             "give both the same type and collation");
  }
}

void CheckIndexes(Connection& connection, const Table& table, const std::vector<std::string>& old_columns, Findings* findings) {
  // MySQL's functional indexes, which have no column.
  auto computed = connection.Query(fmt::format("SELECT index_name, expression FROM information_schema.statistics WHERE table_schema = {} AND table_name = {} AND expression IS NOT NULL",
                                               connection.Quote(table.schema), connection.Quote(table.name)));
  for (const Row& row : computed.ok() ? computed->rows : std::vector<Row>()) {
    for (const std::string& old : old_columns) {
      if (row[1].value_or("").find("`" + old + "`") == std::string::npos) continue;
      AddError(findings, fmt::format("{}.{}: the index {} is on an expression over {}", table.schema, table.name, row[0].value_or(""), old), "drop it first");
    }
  }
  auto special = connection.Query(fmt::format("SELECT index_name, column_name, index_type FROM information_schema.statistics WHERE table_schema = {} AND table_name = {}"
                                              " AND index_type NOT IN ('BTREE')", connection.Quote(table.schema), connection.Quote(table.name)));
  if (!special.ok()) return;
  for (const Row& row : special->rows) {
    if (row[2] == "FULLTEXT") {
      AddError(findings, fmt::format("{}.{} has the FULLTEXT index {}: beside one, InnoDB adds no column without a copy of the table", table.schema, table.name, row[0].value_or("")), "drop it first");
      break;
    }
  }
  for (const Row& row : special->rows) {
    for (const std::string& old : old_columns) {
      if (!SameName(row[1].value_or(""), old)) continue;
      AddError(findings, fmt::format("{}.{}: the {} index {} is on {}", table.schema, table.name, row[2].value_or(""), row[0].value_or(""), old), "drop it first");
    }
  }
}

// What only the server knows: whether it takes the expressions, and which values it makes itself.
absl::Status CheckColumnsOnServer(Connection& connection, const Table& table, const config::ColumnMigration& set, Findings* findings) {
  for (const config::NewColumn& fresh : set.new_columns) {
    auto expression = rewrite::ColumnExpression::Parse(fresh.from);
    if (!expression.ok()) continue;  // told already
    auto taken = connection.Query(fmt::format("SELECT {} FROM {} LIMIT 0", expression->Text(""), TableName(table.schema, table.name)));
    if (absl::IsUnavailable(taken.status())) return taken.status();
    if (!taken.ok()) {
      AddError(findings, fmt::format("{}.{}: the server does not take the expression: {}", table.name, fresh.name, std::string(taken.status().message())), "write it otherwise");
    }
  }
  for (const std::string& old : set.old_columns) {
    auto made = connection.Query(fmt::format(
        "SELECT 1 FROM information_schema.columns WHERE table_schema = {} AND table_name = {} AND column_name = {} AND (extra LIKE '%DEFAULT_GENERATED%'"
        " OR extra LIKE '%on update%' OR (column_default LIKE '%(%' AND LEFT(column_default, 1) <> CHAR(39)))",
        connection.Quote(table.schema), connection.Quote(table.name), connection.Quote(old)));
    if (!made.ok()) return made.status();
    if (made->rows.empty()) continue;
    AddError(findings, fmt::format("{}.{}.{} has a default that is an expression or the time, or ON UPDATE: where a statement leaves it out, the new column would stay behind",
                                   table.schema, table.name, old), "give it a constant default first");
  }
  return absl::OkStatus();
}

absl::Status CheckTable(Connection& connection, const config::Migration& migration, const rewrite::Catalog& catalog, const TablePairs& entry, Findings* findings) {
  const std::string name = fmt::format("{}.{}", migration.schema, entry.table);
  const Table* table = catalog.FindTable(migration.schema, entry.table);
  if (table == nullptr) {
    AddError(findings, fmt::format("there is no table {}, or the control user may not see it", name), "correct the file, or grant the rights");
    return absl::OkStatus();
  }
  auto facts = connection.Query(fmt::format("SELECT table_type, engine, row_format, create_options, table_rows FROM information_schema.tables WHERE table_schema = {}"
                                            " AND table_name = {}", connection.Quote(migration.schema), connection.Quote(entry.table)));
  if (!facts.ok()) return facts.status();
  if (facts->rows.empty()) return absl::NotFoundError("there is no table " + name);
  const Row& row = facts->rows[0];
  if (row[0] != "BASE TABLE") AddError(findings, fmt::format("{} is a {}, not a plain table", name, row[0].value_or("?")), "");
  if (row[1] != "InnoDB") AddError(findings, fmt::format("{} is stored in {}: without transactions two sides cannot be kept alike", name, row[1].value_or("?")), "convert it to InnoDB first");
  if (row[2] == "Compressed" || row[2] == "COMPRESSED") AddError(findings, name + " has ROW_FORMAT=COMPRESSED: columns cannot be added instantly", "change the row format first");
  if (row[3].value_or("").find("partitioned") != std::string::npos) AddError(findings, name + " is partitioned", "not possible in this version");
  const uint64_t rows = std::strtoull(row[4].value_or("0").c_str(), nullptr, 10);
  AddInfo(findings, fmt::format("{}: about {} rows to fill; the binary log grows by about {} bytes a row with full row images", name, rows, 203));
  if (auto made = connection.Query(fmt::format("SELECT column_name FROM information_schema.columns WHERE table_schema = {} AND table_name = {} AND extra LIKE '%VIRTUAL GENERATED%'"
                                               " AND VERSION() LIKE '%MariaDB%'", connection.Quote(migration.schema), connection.Quote(entry.table)));
      made.ok() && !made->rows.empty()) {
    AddError(findings, fmt::format("{} has a virtual column, {}: MariaDB cannot add a column before it without a copy of the table", name, made->rows[0][0].value_or("")),
             "drop it first");
  }
  const auto becomes_required = [&] {
    if (!AllPairs(entry).empty()) return true;
    return std::any_of(entry.sets.begin(), entry.sets.end(), [&](const config::ColumnMigration& set) {
      return std::any_of(set.old_columns.begin(), set.old_columns.end(), [&](const std::string& old) {
        const Column* column = table->FindColumn(old);
        return column != nullptr && !column->nullable;
      });
    });
  };
  if (auto made = connection.Query(fmt::format("SELECT column_name FROM information_schema.columns WHERE table_schema = {} AND table_name = {} AND extra LIKE '%STORED GENERATED%'"
                                               " AND VERSION() LIKE '%MariaDB%'", connection.Quote(migration.schema), connection.Quote(entry.table)));
      made.ok() && !made->rows.empty() && becomes_required()) {
    AddError(findings, fmt::format("{} has a stored generated column, {}: beside it MariaDB cannot make the new column NOT NULL without a copy of the table", name, made->rows[0][0].value_or("")),
             "drop it first");
  }
  if (auto keyset = Keyset::Of(*table); !keyset.ok()) AddError(findings, std::string(keyset.status().message()), "add a primary key");
  for (const ColumnPair& pair : AllPairs(entry)) {
    const Column* old = table->FindColumn(pair.old_column);
    if (old == nullptr) {
      AddError(findings, fmt::format("{} has no column {}", name, pair.old_column), "correct the file");
      continue;
    }
    CheckNewColumn(*table, pair, findings);
    if (pair.from.empty()) CheckOldColumn(*table, *old, pair.new_type, findings);
    if (pair.is_key) {
      CheckKey(*table, pair, rows, findings);
    } else {
      CheckReference(*table, pair, catalog.FindTable(migration.schema, pair.key_table), findings);
    }
  }
  CheckIndexes(connection, *table, OldColumns(entry), findings);
  for (const config::ColumnMigration& set : entry.sets) {
    CheckColumnMigration(*table, set, catalog.dialect.flavor == Flavor::kMariaDb, findings);
    absl::Status asked = CheckColumnsOnServer(connection, *table, set, findings);
    if (!asked.ok()) return asked;
  }
  return absl::OkStatus();
}

absl::Status CheckServer(Connection& connection, const rewrite::Dialect& dialect, Findings* findings) {
  const bool maria = dialect.flavor == Flavor::kMariaDb;
  if (dialect.version < (maria ? 100600u : 80029u)) {
    AddError(findings, fmt::format("the server is too old: {} or later is needed", maria ? "MariaDB 10.6" : "MySQL 8.0.29"), "upgrade it");
    return absl::OkStatus();
  }
  auto values = connection.Query("SELECT @@log_bin, @@binlog_format, @@read_only, @@global.sql_mode, @@global.binlog_row_image");
  if (!values.ok()) return values.status();
  const Row& row = values->rows[0];
  if (row[0] == "1" && row[1] == "STATEMENT") {
    AddError(findings, "binlog_format is STATEMENT, with which the server refuses writes at READ COMMITTED", "use ROW or MIXED");
  }
  if (row[0] == "1" && row[4] == "MINIMAL") {
    AddInfo(findings, "binlog_row_image is MINIMAL: the backfill logs only the new columns, about a fifth of the bytes; tools that read the binary log see no others");
  } else if (row[0] == "1" && row[4] == "NOBLOB") {
    AddInfo(findings, "binlog_row_image is NOBLOB: unchanged blobs are not logged");
  }
  if (row[2] == "1") AddError(findings, "the server is read_only", "point the backend at the primary");
  if (row[3].value_or("").find("SIMULTANEOUS_ASSIGNMENT") != std::string::npos) {
    AddWarning(findings, "sql_mode has SIMULTANEOUS_ASSIGNMENT: updates of references will be refused under it");
  }
  if (maria) {
    auto instant = connection.Query("SELECT @@innodb_instant_alter_column_allowed");
    if (instant.ok() && !instant->rows.empty() && instant->rows[0][0] != "add_drop_reorder") {
      AddError(findings, fmt::format("innodb_instant_alter_column_allowed is {}: columns cannot be added where they belong", instant->rows[0][0].value_or("")), "set it to add_drop_reorder");
    }
  }
  return absl::OkStatus();
}

// The new columns on an empty copy that nobody else sees: types that the server does not take, rows that would be too long.
void TryNewColumns(Connection& connection, const config::Migration& migration, const rewrite::Catalog& catalog, Findings* findings) {
  constexpr const char* kCopy = "crossfade_check";
  const std::string copy = TableName(migration.schema, kCopy);
  for (Alter& alter : ExpandDdl(migration, catalog)) {
    absl::Status status =
        Retried([&] { return connection.Execute(fmt::format("CREATE TEMPORARY TABLE {} LIKE {}", copy, TableName(alter.schema, alter.table))).status(); });
    if (status.ok()) {
      status = Retried([&] { return connection.Execute(fmt::format("ALTER /* crossfade check */ TABLE {} {}", copy, fmt::join(alter.clauses, ", "))).status(); });
      if (!status.ok() && !absl::IsAborted(status)) {
        AddError(findings, fmt::format("the server does not take the new columns of {}.{}: {}", alter.schema, alter.table, std::string(status.message())), "correct their types in the file");
        status = absl::OkStatus();
      }
      (void)connection.Execute(fmt::format("DROP TEMPORARY TABLE {}", copy));
    }
    if (!status.ok()) {
      AddInfo(findings, fmt::format("whether the server takes the new columns of {}.{} was not tried: {}", alter.schema, alter.table, std::string(status.message())));
    }
  }
}

absl::StatusOr<Findings> Look(Connection& connection, const config::Config& config, const config::Migration& migration) {
  Findings findings;
  auto catalog = LoadCatalog(connection, {migration});
  if (!catalog.ok()) return catalog.status();
  absl::Status status = CheckServer(connection, catalog->dialect, &findings);
  if (!status.ok()) return status;
  if (!migration.verify_on.empty()) {
    auto replica = ReplicaReader::Open(connection, config, migration.verify_on);
    if (absl::IsUnavailable(replica.status())) return replica.status();
    if (!replica.ok()) AddError(&findings, std::string(replica.status().message()), "or leave out verify_on");
  }
  const std::vector<TablePairs> tables = PairsByTable(migration);
  for (const TablePairs& entry : tables) {
    size_t keys = 0;
    for (const ColumnPair& pair : AllPairs(entry)) keys += pair.is_key ? 1 : 0;
    if (keys > 1) AddError(&findings, fmt::format("{}.{} has {} keys to migrate", migration.schema, entry.table, keys), "migrate one after the other");
    status = CheckTable(connection, migration, *catalog, entry, &findings);
    if (!status.ok()) return status;
  }
  status = CheckSurroundings(connection, config, migration, tables, &findings);
  if (!status.ok()) return status;
  if (!HasErrors(findings)) TryNewColumns(connection, migration, *catalog, &findings);
  return findings;
}

}  // namespace

absl::StatusOr<Findings> Preflight(Connection& connection, const config::Config& config, const config::Migration& migration) {
  absl::StatusOr<Findings> findings;
  const absl::Status status = Retried([&] {
    findings = Look(connection, config, migration);
    return findings.status();
  });
  if (!status.ok()) return status;
  return findings;
}

bool HasErrors(const Findings& findings) {
  return std::any_of(findings.begin(), findings.end(), [](const Finding& finding) { return finding.level == Finding::kError; });
}

}  // namespace crossfade::backfill
