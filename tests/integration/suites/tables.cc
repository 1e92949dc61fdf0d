// SPDX-License-Identifier: Apache-2.0
// See tables.h.
#include "tests/integration/suites/tables.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "fmt/format.h"
#include "rewrite/lexer.h"
#include "rewrite/names.h"

namespace crossfade::suites {
namespace {

using rewrite::Column;
using rewrite::Table;
using rewrite::TokenKind;
using rewrite::TokenList;

constexpr size_t kMostTables = 60;

class Reader {
 public:
  Reader(const TokenList& list, std::vector<Table>* tables) : list_(list), tables_(tables) {}

  void Read() {
    if (Is(0, "create")) {
      uint32_t i = 1;
      while (Is(i, "or") || Is(i, "replace") || Is(i, "temporary")) ++i;
      if (Is(i, "table")) Create(i + 1);
      return;
    }
    for (uint32_t i = 0; i + 2 < list_.tokens.size(); ++i)
      if (Is(i, "from") || Is(i, "join") || Is(i, "into") || Is(i, "update")) Mention(i + 1);
  }

 private:
  bool Is(uint32_t i, std::string_view word) const {
    return i + 1 < list_.tokens.size() && list_.tokens[i].kind == TokenKind::kWord && rewrite::NameEq(list_.Text(i), word);
  }
  bool IsName(uint32_t i) const {
    return i + 1 < list_.tokens.size() && (list_.tokens[i].kind == TokenKind::kWord || list_.tokens[i].kind == TokenKind::kQuotedName);
  }
  std::string Value(uint32_t i) const { return rewrite::TokenValue(list_, i, {}); }
  std::string Text(uint32_t i) const { return i + 1 < list_.tokens.size() ? std::string(list_.Text(i)) : ""; }

  // [schema.]name; the token behind it.
  uint32_t Name(uint32_t i, std::string* schema, std::string* name) const {
    *schema = "test";
    *name = Value(i);
    if (Text(i + 1) != "." || !IsName(i + 2)) return i + 1;
    *schema = *name;
    *name = Value(i + 2);
    return i + 3;
  }
  Table* Find(const std::string& schema, const std::string& name) {
    for (Table& table : *tables_)
      if (table.schema == schema && table.name == name) return &table;
    return nullptr;
  }
  void Mention(uint32_t i) {
    if (!IsName(i) || tables_->size() >= kMostTables || Is(i, "select") || Is(i, "dual") || Is(i, "outfile") || Is(i, "dumpfile") || Is(i, "set")) return;
    Table table;
    Name(i, &table.schema, &table.name);
    if (Find(table.schema, table.name) != nullptr || table.schema == "information_schema" || table.schema == "mysql") return;
    for (const char* column : {"a", "b", "c", "id"}) table.columns.push_back(MakeColumn(column, column[0] == 'b' ? "varchar(20)" : "int"));
    tables_->push_back(table);
  }
  static Column MakeColumn(const std::string& name, const std::string& type) {
    Column column;
    column.name = name;
    column.type = type;
    std::string word = type.substr(0, type.find_first_of("( "));
    std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    column.type_class = rewrite::ClassOfType(word);
    column.nullable = true;
    if (column.type_class == rewrite::TypeClass::kString) {
      column.charset = "utf8mb4";
      column.collation = "utf8mb4_general_ci";
    }
    return column;
  }
  void Create(uint32_t i) {
    if (Is(i, "if")) i += 3;
    if (!IsName(i)) return;
    Table table;
    i = Name(i, &table.schema, &table.name);
    if (Text(i) != "(") return;
    int depth = 0;
    bool entry = false;
    for (; i + 1 < list_.tokens.size(); ++i) {
      const std::string text = Text(i);
      if (text == "(") entry = depth++ == 0;
      else if (text == ")" && --depth == 0) break;
      else if (text == "," && depth == 1) entry = true;
      else if (entry && depth == 1) entry = Entry(i, &table);
    }
    if (table.columns.empty()) return;
    if (Table* known = Find(table.schema, table.name)) *known = table;
    else if (tables_->size() < kMostTables) tables_->push_back(table);
  }
  // At what follows "(" or ","; always false.
  bool Entry(uint32_t i, Table* table) const {
    static constexpr std::array<std::string_view, 10> kOthers = {"key", "index", "primary", "unique", "fulltext", "spatial", "constraint", "foreign", "check", "period"};
    if (!IsName(i)) return false;
    if (list_.tokens[i].kind == TokenKind::kWord && std::any_of(kOthers.begin(), kOthers.end(), [&](auto word) { return Is(i, word); })) return false;
    std::string type = Text(i + 1);
    if (Text(i + 2) == "(") type += fmt::format("({})", Text(i + 3));
    Column column = MakeColumn(Value(i), type);
    for (uint32_t k = i + 2; k + 1 < list_.tokens.size() && Text(k) != ","; ++k) {
      if (Is(k, "unsigned")) column.type += " unsigned";
      if (Is(k, "auto_increment")) column.auto_increment = true;
      if (Is(k, "not") && Is(k + 1, "null")) column.nullable = false;
      if (Is(k, "default") && !Is(k + 1, "null")) column.has_default = true;
      if (Is(k, "as") && Text(k + 1) == "(") column.generated = true;
    }
    table->columns.push_back(std::move(column));
    return false;
  }

  const TokenList& list_;
  std::vector<Table>* tables_;
};

void AddColumn(Table* table, size_t behind, const std::string& name, const std::string& type) {
  Column column;
  column.name = name;
  column.type = type;
  column.type_class = type[0] == 'i' ? rewrite::TypeClass::kInteger : rewrite::TypeClass::kString;
  if (type[0] != 'i') column.charset = "utf8mb4";
  column.nullable = column.invisible = true;
  table->columns.insert(table->columns.begin() + static_cast<long>(behind) + 1, column);
}

}  // namespace

std::vector<Table> TablesOf(const std::vector<std::string>& statements, const rewrite::Dialect& dialect) {
  std::vector<Table> tables;
  for (const std::string& statement : statements) {
    TokenList list;
    if (rewrite::Lex(statement, {}, dialect, &list).ok()) Reader(list, &tables).Read();
  }
  return tables;
}

std::shared_ptr<const rewrite::Snapshot> MigrateAll(std::vector<Table> tables, const rewrite::Dialect& dialect, config::Phase phase, bool new_cohort) {
  static uint64_t epoch = 0;
  std::vector<rewrite::MigrationState> migrations;
  struct Added { size_t table, behind; std::string name, type; };
  std::vector<Added> added;
  for (size_t i = 0; i < tables.size(); ++i) {
    Table& table = tables[i];
    rewrite::MigrationState state;
    state.phase = phase;
    state.percent = new_cohort ? 100 : 0;
    state.spec.name = fmt::format("m{}", i);
    state.spec.schema = table.schema;
    const Column& first = table.columns[0];
    if (i % 3 == 2) {
      config::ColumnMigration columns;
      columns.table = table.name;
      columns.old_columns = {first.name};
      columns.new_columns = {{"cf_copy", "varchar(200)", fmt::format("CONCAT(`{}`, '')", first.name)}};
      columns.back = {{first.name, "cf_copy"}};
      state.spec.columns.push_back(columns);
      added.push_back({i, 0, "cf_copy", "varchar(200)"});
    } else {
      const std::string type = first.type_class == rewrite::TypeClass::kInteger ? "char(36)" : "int unsigned";
      config::KeyMigration key;
      key.table = table.name;
      key.old_column = first.name;
      key.new_column = "cf_id";
      key.new_type = type;
      key.keep_old_lookup = i % 2 == 0;
      added.push_back({i, 0, "cf_id", type});
      if (i + 1 < tables.size() && tables[i + 1].columns.size() > 1 && tables[i + 1].schema == table.schema) {
        key.references.push_back({tables[i + 1].name, tables[i + 1].columns[1].name, "cf_ref", ""});
        added.push_back({i + 1, 1, "cf_ref", type});
      }
      state.spec.keys.push_back(key);
    }
    migrations.push_back(std::move(state));
  }
  if (phase >= config::Phase::kExpand) {
    std::stable_sort(added.begin(), added.end(), [](const Added& a, const Added& b) { return a.behind > b.behind; });
    for (const Added& column : added) AddColumn(&tables[column.table], column.behind, column.name, column.type);
  }
  rewrite::Catalog catalog;
  catalog.dialect = dialect;
  catalog.tables = std::move(tables);
  return rewrite::MakeSnapshot(++epoch, std::move(migrations), std::move(catalog));
}

}  // namespace crossfade::suites
