// SPDX-License-Identifier: Apache-2.0
// What the rewriter knows of the database: the tables that migrate, as they physically are now.
// Filled by backfill/catalog_loader from INFORMATION_SCHEMA; immutable once in a snapshot.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace crossfade::rewrite {

enum class Flavor : uint8_t { kMySql, kMariaDb };

// The backend's own version decides the dialect: 9.7.4 is 90704, 10.11.19 is 101119.
struct Dialect {
  Flavor flavor = Flavor::kMySql;
  uint32_t version = 80000;
};

enum class TypeClass : uint8_t { kInteger, kString, kBinary, kOther };

TypeClass ClassOfType(std::string_view data_type);  // a lower-case word: "varchar"

// "9.7.4", "10.11.14-MariaDB-0+deb12u2"; nullopt: no version.
std::optional<Dialect> DialectOf(std::string_view version);

struct Column {
  std::string name;
  std::string type;  // COLUMN_TYPE: "varchar(100)"
  TypeClass type_class = TypeClass::kOther;
  std::string charset;    // empty: not a character column
  std::string collation;
  bool nullable = false;
  bool invisible = false;
  bool generated = false;
  bool auto_increment = false;
  bool has_default = false;  // an explicit default other than NULL
  bool computed = false;     // … an expression of other columns
  bool stamped = false;      // ON UPDATE CURRENT_TIMESTAMP
};

struct Index {
  std::string name;  // "PRIMARY" is the primary key
  bool unique = false;
  std::vector<std::string> columns;
};

struct ForeignKey {
  std::string name;
  std::vector<std::string> columns;
  std::string ref_schema, ref_table;
  std::vector<std::string> ref_columns;
  std::string on_update, on_delete;  // "CASCADE", "RESTRICT", "NO ACTION", "SET NULL", "SET DEFAULT"
};

struct Table {
  std::string schema, name;
  std::vector<Column> columns;  // in ordinal order, invisible ones included
  std::vector<Index> indexes;
  std::vector<ForeignKey> foreign_keys;

  const Column* FindColumn(std::string_view name) const;  // case-insensitive (ASCII), as the servers do
  const Index* PrimaryKey() const;                        // nullptr: none
};

struct Catalog {
  Dialect dialect;
  uint8_t lower_case_table_names = 0;  // 0: table names are case-sensitive; 1, 2: not
  std::vector<Table> tables;
  std::vector<Table> information;  // INFORMATION_SCHEMA's tables that tell of tables' columns and keys: names alone, in upper case

  const Table* FindTable(std::string_view schema, std::string_view name) const;
};

}  // namespace crossfade::rewrite
