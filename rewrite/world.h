// SPDX-License-Identifier: Apache-2.0
// The migrating tables and keys as one plan sees them: the snapshot with each migration's phase (for "would be":
// lifted to dual_write) and this session's cohort worked out into plain yes-or-no questions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rewrite/planner.h"
#include "rewrite/snapshot.h"

namespace crossfade::rewrite {

// One config::KeyMigration of one migration.
struct Key {
  uint32_t migration = 0, index = 0;
  const config::Migration* spec_migration = nullptr;
  const config::KeyMigration* spec = nullptr;
  std::string schema;
  bool active = false;      // dual_write or later, not finished: anything of what follows can be true
  bool dual = false;        // both sides are written
  bool filling = false;     // dual_write, backfill: rows may still lack the new side
  bool either = false;      // values find by their shape
  bool new_only = false;    // the old references are written no more
  bool new_reader = false;  // this session reads the new side
  std::string fresh;        // an expression that makes a new key; empty: numbers from the allocator
  std::string nothing;      // a literal that is never a new key
  bool own_stays = false;   // a bare mention of the own old column stays a plain column
  ValueShape old_shape = ValueShape::kString, new_shape = ValueShape::kInteger;
};

// A key column of a table: `o`/`n` of its own table, or `ro`/`rn` of a reference.
struct KeyColumn {
  const Key* key = nullptr;
  bool own = false;
  std::string old_name, new_name;
  bool has_default = false;  // the old column, other than NULL
  bool nullable = false;     // the old column
  const std::vector<KeyColumn>* siblings = nullptr;  // all of its table
};

// One config::ColumnMigration: new columns made of old ones of the same row.
struct ColumnSet {
  uint32_t migration = 0;   // index into Snapshot::migrations
  const config::Migration* spec_migration = nullptr;
  const config::ColumnMigration* spec = nullptr;
  const ParsedColumns* parsed = nullptr;
  bool active = false;      // dual_write or later, not finished: both sides are written
  bool filling = false;     // dual_write, backfill: rows may still lack the new side
  bool by_new = false;      // cutover, retire: the application may write the new columns by their names
  bool new_only = false;    // retire: the old columns count no more
  bool new_reader = false;  // active, and this session reads old columns from the new ones
  bool own_key = false;     // see derived.h: of the key itself, not of an integer
  bool followed = false;    // a key that references follow (ON UPDATE CASCADE): then it may not change

  bool IsOld(std::string_view column) const;
  bool IsNew(std::string_view column) const;
  const ColumnExpression* Back(std::string_view old_column) const;  // nullptr: it cannot be made of the new ones
  const std::string* WithoutBack() const;                           // the first such old column; nullptr: none
};

struct MigratingTable {
  std::string schema, name;
  const Table* table = nullptr;  // of the catalog; nullptr: not loaded
  std::vector<KeyColumn> keys;
  const config::Migration* migration = nullptr;   // the first that it takes part in
  std::vector<const ColumnSet*> sets;             // migrations of plain columns
  MigrationSet migrations;
  bool active = false;     // some migration of it is in dual_write or later
  bool expanding = false;  // … in expand

  const KeyColumn* FindKey(std::string_view column, bool* named_new) const;
  bool IsNewColumn(std::string_view column) const;  // the new side of an unfinished migration
  const ColumnSet* FindSet(std::string_view column, bool* named_new) const;  // of a plain column; nullptr: it does not migrate
  bool AnySet() const;      // an active one
  // The columns that the application knows, in order: visible, without the new ones.
  std::vector<const Column*> OriginalColumns() const;
};

class World {
 public:
  World(const Snapshot& snapshot, const SessionFacts& facts, bool lifted);

  const MigratingTable* Find(std::string_view schema, std::string_view name) const;  // schema "": the session's
  const std::vector<MigratingTable>& tables() const { return tables_; }
  bool table_names_fold() const { return fold_; }
  bool lifted() const { return lifted_; }
  bool AnyDual() const;    // some migration writes both sides or the new one alone
  bool integers_go() const { return integers_go_; }  // see Snapshot
  bool AnyQuiet() const;   // some migration only observes or expands

 private:
  std::vector<std::unique_ptr<Key>> keys_;
  std::vector<std::unique_ptr<ColumnSet>> sets_;
  std::vector<MigratingTable> tables_;
  std::string schema_;
  bool lifted_ = false, fold_ = false, any_dual_ = false, any_quiet_ = false, integers_go_ = false;

  MigratingTable* Add(const Snapshot& snapshot, const std::string& schema, const std::string& name, uint32_t migration,
                      bool active);
};

}  // namespace crossfade::rewrite
