// SPDX-License-Identifier: Apache-2.0
// Lookups in the catalog: see catalog.h.
#include "rewrite/catalog.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "rewrite/names.h"

namespace crossfade::rewrite {

TypeClass ClassOfType(std::string_view data_type) {
  constexpr std::array kIntegers = {"tinyint", "smallint", "mediumint", "int", "integer", "bigint", "year"};
  constexpr std::array kStrings = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "uuid"};
  constexpr std::array kBinaries = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"};
  const auto is_one_of = [&](const auto& names) { return std::find(names.begin(), names.end(), data_type) != names.end(); };
  if (is_one_of(kIntegers)) return TypeClass::kInteger;
  if (is_one_of(kStrings)) return TypeClass::kString;
  if (is_one_of(kBinaries)) return TypeClass::kBinary;
  return TypeClass::kOther;
}

std::optional<Dialect> DialectOf(std::string_view version) {
  unsigned major = 0, minor = 0, patch = 0;
  if (std::sscanf(std::string(version).c_str(), "%u.%u.%u", &major, &minor, &patch) != 3) return std::nullopt;
  return Dialect{version.find("MariaDB") != std::string_view::npos ? Flavor::kMariaDb : Flavor::kMySql, major * 10'000 + minor * 100 + patch};
}

const Column* Table::FindColumn(std::string_view name) const {
  for (const Column& column : columns)
    if (NameEq(column.name, name)) return &column;
  return nullptr;
}

const Index* Table::PrimaryKey() const {
  for (const Index& index : indexes)
    if (index.name == "PRIMARY") return &index;
  return nullptr;
}

const Table* Catalog::FindTable(std::string_view schema, std::string_view name) const {
  for (const Table& table : tables) {
    const bool same = lower_case_table_names == 0 ? table.schema == schema && table.name == name
                                                  : NameEq(table.schema, schema) && NameEq(table.name, name);
    if (same) return &table;
  }
  return nullptr;
}

}  // namespace crossfade::rewrite
