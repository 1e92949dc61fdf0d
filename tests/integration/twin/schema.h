// SPDX-License-Identifier: Apache-2.0
// The data models of the twin run: `debian` (packages and dependencies: a readable name is the key, stays as
// a unique column, and cascades), `zoo` (caves and bears: a char(36) key that is replaced for good, a nullable
// reference, a second unique key), `club` and `till` (in files of their own).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/servers/server.h"

namespace crossfade::twin {

enum class Kind : uint8_t {
  kKey,        // the migrated key
  kReference,  // a reference to it
  kSerial,     // AUTO_INCREMENT key
  kOwnKey,     // a string key that does not migrate
  kUnique,     // a string under a unique key
  kText,
  kInteger,
  kDecimal,
  kTime,
  kStamp,      // set by the server: DEFAULT and ON UPDATE CURRENT_TIMESTAMP
};

struct Column {
  std::string name;
  Kind kind;
  bool nullable = false;
  bool has_default = false;
  std::string new_name;  // kKey, kReference: the new column
};

struct Table {
  std::string name;
  std::vector<Column> columns;  // in the order of the table
  const Column& key() const { return columns.front(); }  // of the parent: the migrated one
};

struct Schema {
  std::string name;       // of the database and of the migration
  bool keeps_old = false; // keep_old_lookup: the parent's key stays readable for the new cohort
  bool refers_to_itself = false;  // the parent's last column is a reference to the parent
  bool integer_keys = false;      // AUTO_INCREMENT, and the new keys are UUIDs
  bool cascades = false;  // one reference to the parent follows it, another restricts it
  Table parent, child, other;  // `other` does not migrate; parent.other_column refers to it
  std::string other_column;
  std::vector<std::string> keys;      // every key that can occur
  std::vector<std::string> own_keys;  // the same for kOwnKey
  std::vector<std::string> create;    // statements that make the database with its first rows
  std::string migration;              // YAML, an entry of `migrations:`
  struct Mapped { std::string table, fresh, from; };
  std::vector<Mapped> mapped;         // plain columns that migrate, and the expression they are made by
};

class Random;
Schema Club(Random& random);
Schema Till(Random& random);

std::vector<Schema> Schemas(uint64_t seed);

}  // namespace crossfade::twin
