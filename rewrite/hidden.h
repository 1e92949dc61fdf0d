// SPDX-License-Identifier: Apache-2.0
// What the application must not see of a migrating table when it asks for its schema: the columns that were added, their
// indexes and foreign keys. Until the keys are swapped these are left out; from then on they stand in for the old ones,
// under whose names they are shown. Where the server's reply itself has to be changed, ReplyEdit says how.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace crossfade::rewrite {

struct Snapshot;
struct TokenList;
struct SessionFacts;

struct HiddenTable {
  std::string schema, name;
  struct Column {
    std::string name;           // the new one
    std::string shown;          // the old one in whose place it stands from `retire` on; empty: in none
    uint32_t position = 0;      // ordinal, from 1; 0: not there yet
  };
  std::vector<Column> columns;
  // Indexes and foreign keys, by lower-case name: shown under another name, or (empty) not at all. Others that end with
  // Crossfade's suffix are not shown either.
  std::map<std::string, std::string, std::less<>> names;
  bool swapped = false;  // some index or foreign key of the new side is shown under an old name
  std::map<std::string, std::string, std::less<>> referred;  // what its new foreign keys refer to, as shown
  std::map<std::string, std::string, std::less<>> keys;  // "PRI", "UNI", "MUL" of old columns, where the server says another thing

  const Column* Find(std::string_view column) const;   // nullptr: the application knows it
  std::string_view ColumnShown(std::string_view column) const;
  // The name under which an index or constraint is shown; nullopt: it is left out.
  std::optional<std::string_view> NameShown(std::string_view name) const;
};

struct HiddenSchema {
  std::vector<std::shared_ptr<const HiddenTable>> tables;
  bool folds = false;  // names of tables are compared without case
  // The columns of INFORMATION_SCHEMA's tables that show them, in upper case, by the tables' names in upper case.
  std::map<std::string, std::vector<std::string>, std::less<>> information;

  std::shared_ptr<const HiddenTable> Find(std::string_view schema, std::string_view table) const;
};
std::shared_ptr<const HiddenSchema> MakeHidden(const Snapshot& snapshot);

// The suffix of the names that Crossfade gives to indexes and foreign keys.
inline constexpr std::string_view kOwnSuffix = "_crossfade";

// One change to the server's reply. `result`: which of the results of the text, from 0.
struct ReplyEdit {
  enum Kind : uint8_t {
    kColumns,      // SHOW COLUMNS, DESCRIBE
    kIndexes,      // SHOW INDEX
    kCreateTable,  // SHOW CREATE TABLE
    kDefinitions,  // the columns' definitions are those that the client's own text has when it is prepared
    kDefinitionsByRun,  // … when it is run: MySQL's then differ. The text does nothing but read
  } kind = kColumns;
  uint32_t result = 0;
  std::shared_ptr<const HiddenTable> table;
};

using ReplyCell = std::optional<std::string>;
// False: the row is left out. `names`: of the result's columns. `*changed` is set where a cell was.
bool EditRow(const ReplyEdit& edit, const std::vector<std::string>& names, std::vector<ReplyCell>* row, bool* changed);

// The text of SHOW CREATE TABLE without what the application does not know.
std::string EditCreateTable(const HiddenTable& table, std::string_view text);

}  // namespace crossfade::rewrite
