// SPDX-License-Identifier: Apache-2.0
// A random schema with its migrations: parents whose keys migrate (given out by the allocator, UUIDs, or made of the old ones),
// tables that refer to them, columns that migrate by expressions, and tables that have nothing to do with it. Depends on the seed
// and the engine alone. Every table has a column `u`, unique and not migrating: a row is the same row on both servers by it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/integration/twin/random.h"
#include "tests/servers/server.h"

namespace crossfade::grammar {

using twin::Random;

enum class Role : uint8_t { kPlain, kIdentity, kKey, kReference, kMapped };
enum class Values : uint8_t { kInteger, kText, kDecimal, kDate, kTime, kEnum, kKey };

struct Column {
  std::string name, type;  // the type with character set, without NULL
  Values values = Values::kInteger;
  Role role = Role::kPlain;
  bool nullable = false, unique = false, indexed = false, automatic = false;  // automatic: AUTO_INCREMENT
  std::string standard;  // DEFAULT, as SQL
  int key = -1;          // kKey, kReference: into Model::keys
  int set = -1;          // kMapped: into Model::sets
  std::string fresh;     // kKey, kReference: the new column
  std::string on_delete, on_update;  // kReference
  bool declared = true;              // … has a foreign key
};

struct Table {
  std::string name;
  std::vector<Column> columns;
  std::vector<std::string> primary;
  const Column* Find(const std::string& column) const;
  bool Migrates() const;
};

enum class Kind : uint8_t { kNumber, kUuid, kDerived };

struct Key {
  std::string table, column, fresh, new_type, from, back;
  Kind kind = Kind::kNumber;
  bool keeps_old = false, takes_name = false, integer = false, bytes = false;  // of the old key: an integer; BINARY
  std::vector<std::string> pool;  // every old key that can occur (bytes: as they are)
  int group = 0;                  // the entry under `migrations:`
  bool Mapped() const { return kind != Kind::kDerived; }  // its values are other ones on the new side
};

struct Set {
  std::string table;
  std::vector<std::string> old;
  struct Fresh { std::string name, type, from; };
  std::vector<Fresh> fresh;
  std::vector<std::pair<std::string, std::string>> back;
  std::string final_name;
  int group = 0;
};

struct Model {
  static Model Make(uint64_t seed, servers::Engine engine);

  uint64_t seed = 0;
  servers::Engine engine = servers::Engine::kMariaDb;
  std::string collate;  // of the schema
  std::vector<Table> tables;
  std::vector<Key> keys;
  std::vector<Set> sets;
  int rows = 30;

  const Table* Find(const std::string& table) const;
  std::vector<std::string> Migrations() const;   // their names
  std::vector<std::string> Create() const;       // statements, the first rows included
  std::string Yaml() const;                      // what stands under `migrations:`
  // Of a parser's shrinking: without the table, if nothing refers to it; without the column migration.
  bool Drop(const std::string& table);
  bool DropSet(size_t set);
};

constexpr char kDatabase[] = "gram";

// A value of the column as the first rows and the statements have it; keys come from the pool.
std::string SomeValue(Random& random, const Column& column);
std::string Literal(const std::string& value, const Column& column, const Model& model);

}  // namespace crossfade::grammar
