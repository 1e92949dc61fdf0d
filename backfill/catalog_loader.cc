// SPDX-License-Identifier: Apache-2.0
// Columns, indexes and foreign keys of the migrating tables.
#include "backfill/catalog_loader.h"

#include <algorithm>

#include "fmt/format.h"

namespace crossfade::backfill {
namespace {

bool Contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

absl::Status LoadColumns(Connection& connection, const std::string& where, rewrite::Table* table) {
  auto rows = connection.Query(
      "SELECT column_name, column_type, LOWER(data_type), character_set_name, collation_name, is_nullable, LOWER(extra), column_default,"
      " generation_expression FROM information_schema.columns WHERE " + where + " ORDER BY ordinal_position");
  if (!rows.ok()) return rows.status();
  for (const Row& row : rows->rows) {
    rewrite::Column& column = table->columns.emplace_back();
    column.name = row[0].value_or("");
    column.type = row[1].value_or("");
    column.type_class = rewrite::ClassOfType(row[2].value_or(""));
    column.charset = row[3].value_or("");
    column.collation = row[4].value_or("");
    column.nullable = row[5] == "YES";
    const std::string extra = row[6].value_or("");
    column.invisible = Contains(extra, "invisible");
    column.auto_increment = Contains(extra, "auto_increment");
    column.stamped = Contains(extra, "on update");
    column.generated = !row[8].value_or("").empty();
    // MariaDB writes the default NULL as the word, MySQL as NULL.
    column.has_default = row[7].has_value() && *row[7] != "NULL";
    column.computed = column.has_default && row[7]->front() != '\'' && (row[7]->find('`') != std::string::npos || row[7]->find("uuid()") != std::string::npos);
  }
  return absl::OkStatus();
}

absl::Status LoadIndexes(Connection& connection, const std::string& where, rewrite::Table* table) {
  auto rows = connection.Query(
      "SELECT index_name, non_unique, column_name, sub_part FROM information_schema.statistics WHERE " + where +
      " ORDER BY index_name = 'PRIMARY' DESC, index_name, seq_in_index");
  if (!rows.ok()) return rows.status();
  for (const Row& row : rows->rows) {
    const std::string name = row[0].value_or("");
    if (table->indexes.empty() || table->indexes.back().name != name) {
      table->indexes.push_back({name, row[1] == "0", {}});
    }
    // A prefix or an expression is not the column: it must not pass for one.
    std::string column = row[2].value_or("");
    if (row[3]) column += fmt::format("({})", *row[3]);
    table->indexes.back().columns.push_back(std::move(column));
  }
  return absl::OkStatus();
}

absl::Status LoadForeignKeys(Connection& connection, const std::string& schema, const std::string& name, rewrite::Table* table) {
  auto rules = connection.Query(fmt::format(
      "SELECT constraint_name, update_rule, delete_rule FROM information_schema.referential_constraints WHERE constraint_schema = {}"
      " AND table_name = {} ORDER BY constraint_name", schema, name));
  if (!rules.ok()) return rules.status();
  if (rules->rows.empty()) return absl::OkStatus();
  auto columns = connection.Query(fmt::format(
      "SELECT constraint_name, column_name, referenced_table_schema, referenced_table_name, referenced_column_name"
      " FROM information_schema.key_column_usage WHERE table_schema = {} AND table_name = {} AND referenced_table_name IS NOT NULL"
      " ORDER BY constraint_name, ordinal_position", schema, name));
  if (!columns.ok()) return columns.status();
  for (const Row& rule : rules->rows) {
    rewrite::ForeignKey& key = table->foreign_keys.emplace_back();
    key.name = rule[0].value_or("");
    key.on_update = rule[1].value_or("");
    key.on_delete = rule[2].value_or("");
    for (const Row& row : columns->rows) {
      if (row[0] != rule[0]) continue;
      key.columns.push_back(row[1].value_or(""));
      key.ref_schema = row[2].value_or("");
      key.ref_table = row[3].value_or("");
      key.ref_columns.push_back(row[4].value_or(""));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string KeepStamps(const rewrite::Table& table, std::string_view alias) {
  std::string text;
  for (const rewrite::Column& column : table.columns) {
    if (column.stamped) text += fmt::format(", {0}.{1} = {0}.{1}", std::string(alias), QuoteName(column.name));
  }
  return text;
}

absl::StatusOr<rewrite::Dialect> LoadDialect(Connection& connection) {
  auto rows = connection.Query("SELECT @@version");
  if (!rows.ok()) return rows.status();
  const std::string text = rows->rows[0][0].value_or("");
  const auto dialect = rewrite::DialectOf(text);
  if (!dialect) return absl::FailedPreconditionError(fmt::format("unknown server version '{}'", text));
  return *dialect;
}

absl::StatusOr<rewrite::Table> LoadTable(Connection& connection, const std::string& schema, const std::string& table) {
  const std::string quoted_schema = connection.Quote(schema), quoted_table = connection.Quote(table);
  const std::string where = fmt::format("table_schema = {} AND table_name = {}", quoted_schema, quoted_table);
  rewrite::Table out;
  out.schema = schema;
  out.name = table;
  absl::Status status = LoadColumns(connection, where, &out);
  if (status.ok() && out.columns.empty()) return absl::NotFoundError(fmt::format("there is no table {}.{}", schema, table));
  if (status.ok()) status = LoadIndexes(connection, where, &out);
  if (status.ok()) status = LoadForeignKeys(connection, quoted_schema, quoted_table, &out);
  if (!status.ok()) return status;
  return out;
}

std::vector<std::pair<std::string, std::string>> TablesOf(const config::Migration& migration) {
  std::vector<std::pair<std::string, std::string>> out;
  const auto add = [&](const std::string& table) {
    std::pair<std::string, std::string> entry(migration.schema, table);
    if (std::find(out.begin(), out.end(), entry) == out.end()) out.push_back(std::move(entry));
  };
  for (const config::KeyMigration& key : migration.keys) add(key.table);
  for (const config::KeyMigration& key : migration.keys) {
    for (const config::KeyReference& reference : key.references) add(reference.table);
  }
  for (const config::ColumnMigration& columns : migration.columns) add(columns.table);
  return out;
}

absl::StatusOr<rewrite::Catalog> LoadCatalog(Connection& connection, const std::vector<config::Migration>& migrations) {
  rewrite::Catalog catalog;
  auto dialect = LoadDialect(connection);
  if (!dialect.ok()) return dialect.status();
  catalog.dialect = *dialect;
  auto lower = connection.Query("SELECT @@lower_case_table_names");
  if (!lower.ok()) return lower.status();
  catalog.lower_case_table_names = static_cast<uint8_t>(std::atoi(lower->rows[0][0].value_or("0").c_str()));
  auto information = connection.Query(
      "SELECT UPPER(table_name), UPPER(column_name) FROM information_schema.columns WHERE table_schema = 'information_schema' AND table_name IN"
      " ('COLUMNS', 'STATISTICS', 'KEY_COLUMN_USAGE', 'TABLE_CONSTRAINTS', 'REFERENTIAL_CONSTRAINTS') ORDER BY table_name, ordinal_position");
  if (!information.ok()) return information.status();
  for (const Row& row : information->rows) {
    const std::string table = row[0].value_or("");
    if (catalog.information.empty() || catalog.information.back().name != table) {
      catalog.information.emplace_back().name = table;
    }
    catalog.information.back().columns.emplace_back().name = row[1].value_or("");
  }
  std::vector<std::pair<std::string, std::string>> names;
  for (const config::Migration& migration : migrations) {
    for (auto& name : TablesOf(migration)) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
    }
  }
  for (const auto& [schema, name] : names) {
    auto table = LoadTable(connection, schema, name);
    if (absl::IsNotFound(table.status())) continue;
    if (!table.ok()) return table.status();
    catalog.tables.push_back(*std::move(table));
  }
  return catalog;
}

}  // namespace crossfade::backfill
