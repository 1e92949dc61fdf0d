// SPDX-License-Identifier: Apache-2.0
// A random schema as text: the statements that make it, its first rows, and the file's migrations; see model.h.
#include <algorithm>

#include "fmt/format.h"
#include "tests/integration/grammar/model.h"
#include "tests/integration/twin/statement.h"

namespace crossfade::grammar {
namespace {

std::string Definition(const Table& table) {
  std::string sql = fmt::format("CREATE TABLE {}.{} (", kDatabase, table.name);
  for (const Column& column : table.columns) {
    sql += fmt::format("`{}` {} {}", column.name, column.type, column.nullable ? "NULL" : "NOT NULL");
    if (column.automatic) sql += " AUTO_INCREMENT";
    if (!column.standard.empty()) sql += " DEFAULT " + column.standard;
    sql += ", ";
  }
  sql += "PRIMARY KEY (";
  for (size_t i = 0; i < table.primary.size(); ++i) sql += (i > 0 ? ", `" : "`") + table.primary[i] + "`";
  sql += ")";
  for (const Column& column : table.columns) {
    const bool alone = table.primary.size() == 1 && table.primary[0] == column.name;
    if (column.unique && !alone) sql += fmt::format(", UNIQUE KEY `{0}_uq` (`{0}`)", column.name);
    if (column.indexed || (column.role == Role::kReference && !alone)) sql += fmt::format(", KEY `{0}_ix` (`{0}`)", column.name);
  }
  return sql;
}

std::string ForeignKeys(const Table& table, const Model& model) {
  std::string sql;
  for (const Column& column : table.columns) {
    if (column.role != Role::kReference || !column.declared) continue;
    const Key& key = model.keys[column.key];
    sql += fmt::format(", CONSTRAINT `{}_{}` FOREIGN KEY (`{}`) REFERENCES `{}` (`{}`)", table.name, column.name, column.name, key.table, key.column);
    if (!column.on_delete.empty()) sql += " ON DELETE " + column.on_delete;
    if (!column.on_update.empty()) sql += " ON UPDATE " + column.on_update;
  }
  return sql;
}

std::string Quoted(const std::string& text) { return "\"" + text + "\""; }

}  // namespace

std::string SomeValue(Random& random, const Column& column) {
  switch (column.values) {
    case Values::kInteger: return std::to_string(random.Between(0, 30));
    case Values::kText:
      if (column.type.find("latin1") != std::string::npos) return random.OneOf({"red", "Red", "a b", "it's", "a\\b", "", "abcdef", "x"});
      return random.OneOf({"red", "Red", "größer", "a b", "it's", "a\\b", "", "abcdefgh", "x", "Zoë", "?"});
    case Values::kDecimal: return fmt::format("{}.{:02}", random.Between(0, 20), random.Between(0, 99));
    case Values::kDate: return fmt::format("2021-{:02}-{:02}", random.Between(1, 3), random.Between(1, 9));
    case Values::kTime: return fmt::format("2021-{:02}-{:02} 0{}:05:06", random.Between(1, 3), random.Between(1, 9), random.Between(0, 3));
    case Values::kEnum: return random.OneOf({"red", "green", "blue"});
    case Values::kKey: return "";
  }
  return "";
}

std::string Literal(const std::string& value, const Column& column, const Model& model) {
  if (column.values == Values::kInteger || column.values == Values::kDecimal) return value;
  if (column.values == Values::kKey) {
    const Key& key = model.keys[column.key];
    if (key.integer) return value;
    if (key.bytes) {
      std::string hex = "x'";
      for (char c : value) hex += fmt::format("{:02X}", static_cast<unsigned char>(c));
      return hex + "'";
    }
  }
  return twin::QuoteString(value, {});
}

std::vector<std::string> Model::Migrations() const {
  std::vector<std::string> names;
  const auto add = [&](int group) {
    const std::string name = fmt::format("m{}", group);
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  for (const Key& key : this->keys)
    if (Find(key.table) != nullptr) add(key.group);
  for (const Set& set : sets)
    if (!set.table.empty()) add(set.group);
  return names;
}

std::vector<std::string> Model::Create() const {
  std::vector<std::string> sql = {fmt::format("CREATE DATABASE {} DEFAULT CHARACTER SET utf8mb4 COLLATE {}", kDatabase, collate)};
  for (const Table& table : tables) sql.push_back(Definition(table) + ForeignKeys(table, *this) + ")");
  // MySQL looks at the foreign keys in the order in which they were made, until both tables have been altered: then by name.
  for (const Table& table : tables) sql.push_back(fmt::format("ALTER TABLE {}.{} COMMENT = 'altered'", kDatabase, table.name));
  sql.push_back("SET sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')");
  Random random(seed * 31 + 5);
  for (const Table& table : tables) {
    std::string list, values;
    for (const Column& column : table.columns) list += fmt::format("{}`{}`", list.empty() ? "" : ", ", column.name);
    const bool one_to_one = table.primary.size() == 1 && table.Find(table.primary[0])->role == Role::kReference;
    for (int row = 0; row < rows; ++row) {
      values += row > 0 ? ", (" : "(";
      for (size_t i = 0; i < table.columns.size(); ++i) {
        const Column& column = table.columns[i];
        if (i > 0) values += ", ";
        if (column.nullable && random.Chance(20)) {
          values += "NULL";
        } else if (column.role == Role::kIdentity) {
          values += std::to_string(row + 1);
        } else if (column.role == Role::kKey) {
          values += Literal(keys[column.key].pool[row], column, *this);
        } else if (column.role == Role::kReference) {
          const bool itself = keys[column.key].table == table.name;
          if (itself && row == 0) values += "NULL";
          else values += Literal(keys[column.key].pool[one_to_one ? row : random.Below(itself ? row : rows)], column, *this);
        } else {
          values += Literal(SomeValue(random, column), column, *this);
        }
      }
      values += ")";
    }
    sql.push_back(fmt::format("INSERT INTO {}.{} ({}) VALUES {}", kDatabase, table.name, list, values));
  }
  return sql;
}

std::string Model::Yaml() const {
  std::string yaml;
  for (const std::string& name : Migrations()) {
    yaml += fmt::format("  - name: {}\n    schema: {}\n    phase: observe\n", name, kDatabase);
    std::string entries;
    for (size_t k = 0; k < keys.size(); ++k) {
      const Key& key = keys[k];
      if (fmt::format("m{}", key.group) != name || Find(key.table) == nullptr) continue;
      entries += fmt::format("      - table: {}\n        old: {}\n        new: {{column: {}, type: {}", key.table, key.column, key.fresh, Quoted(key.new_type));
      if (!key.from.empty()) entries += ", from: " + Quoted(key.from);
      if (key.takes_name) entries += ", final: " + key.column;
      entries += "}\n";
      if (!key.back.empty()) entries += "        back: " + Quoted(key.back) + "\n";
      if (key.keeps_old) entries += "        keep_old_lookup: true\n";
      std::string references;
      for (const Table& table : tables) {
        for (const Column& column : table.columns) {
          if (column.role != Role::kReference || column.key != static_cast<int>(k)) continue;
          references += fmt::format("          - {{table: {}, old: {}, new: {}{}}}\n", table.name, column.name, column.fresh, column.indexed || column.nullable ? ", final: " + column.name : "");
        }
      }
      if (!references.empty()) entries += "        references:\n" + references;
    }
    if (!entries.empty()) yaml += "    keys:\n" + entries;
    entries.clear();
    for (const Set& set : sets) {
      if (set.table.empty() || fmt::format("m{}", set.group) != name) continue;
      entries += fmt::format("      - table: {}\n        old: [", set.table);
      for (size_t i = 0; i < set.old.size(); ++i) entries += (i > 0 ? ", " : "") + set.old[i];
      entries += "]\n        new:\n";
      for (const Set::Fresh& fresh : set.fresh) entries += fmt::format("          {}: {{type: {}, from: {}}}\n", fresh.name, Quoted(fresh.type), Quoted(fresh.from));
      if (!set.back.empty()) entries += "        back:\n";
      for (const auto& [column, back] : set.back) entries += fmt::format("          {}: {}\n", column, Quoted(back));
      if (!set.final_name.empty()) entries += "        final: " + set.final_name + "\n";
    }
    if (!entries.empty()) yaml += "    columns:\n" + entries;
  }
  return yaml;
}

bool Model::Drop(const std::string& table) {
  for (const Table& other : tables) {
    if (other.name == table) continue;
    for (const Column& column : other.columns)
      if (column.role == Role::kReference && keys[column.key].table == table) return false;
  }
  if (tables.size() < 2) return false;
  std::erase_if(tables, [&](const Table& one) { return one.name == table; });
  for (Set& set : sets)
    if (set.table == table) set.table.clear();
  return true;
}

bool Model::DropSet(size_t set) {
  if (sets[set].table.empty()) return false;
  for (Table& table : tables)
    for (Column& column : table.columns)
      if (column.set == static_cast<int>(set)) column.set = -1, column.role = Role::kPlain;
  sets[set].table.clear();
  return true;
}

}  // namespace crossfade::grammar
