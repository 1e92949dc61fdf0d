// SPDX-License-Identifier: Apache-2.0
// The state of all migrations at one epoch, immutable and shared: what every plan is made against.
#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/config.h"
#include "rewrite/catalog.h"
#include "rewrite/column_expression.h"

namespace crossfade::rewrite {

// The expressions of one config::ColumnMigration, read.
struct ParsedColumns {
  struct Made {
    std::string column;
    ColumnExpression expression;
  };
  std::vector<Made> from;  // new columns, of old ones
  std::vector<Made> back;  // old columns, of new ones
  std::string fault;       // one cannot be read: nothing may be written
};

struct MigrationState {
  config::Migration spec;
  config::Phase phase = config::Phase::kObserve;
  double percent = 0;      // cutover only
  std::vector<ParsedColumns> parsed;  // of spec.columns, one for each; made by MakeSnapshot
  bool held = false;       // the statement gate: statements on its tables wait for the next snapshot
  bool swapped = false;    // contract: the final names are in place, nothing is left to rewrite
  bool building = false;   // ALTERs wait for its tables at times: transactions take the tables' metadata locks for writing with their first statement
  std::vector<std::string> relatives;  // while it is held or building: other tables that foreign keys tie to its own

  bool DualWrites() const {
    return phase >= config::Phase::kDualWrite && phase <= config::Phase::kCutover;
  }
  bool EitherKey() const { return phase >= config::Phase::kVerify && !Finished(); }
  bool NewOnly() const { return phase >= config::Phase::kRetire && !Finished(); }
  bool Finished() const { return phase == config::Phase::kDone || swapped; }
};

// Word lookups that need no lexing: could this text name a migrating table? See touch.h.
class TouchSet;
struct HiddenSchema;

// Bit i: migrations[i] of a snapshot.
using MigrationSet = std::bitset<128>;
size_t First(const MigrationSet& set);  // its size where it is empty

struct Snapshot {
  uint64_t epoch = 0;
  std::vector<MigrationState> migrations;  // at most so many as MigrationSet has bits
  Catalog catalog;
  std::shared_ptr<const TouchSet> touch;       // made by MakeSnapshot
  std::shared_ptr<const TouchSet> gate;        // made by MakeSnapshot: what names a relative of a held migration; null: nothing waits for them
  std::shared_ptr<const TouchSet> kin;         // the same of those that are building
  std::shared_ptr<const HiddenSchema> hidden;  // made by MakeSnapshot: see hidden.h
  // The same with the migrations in verify and cutover in `retire`: what will be refused then. Null: none is there.
  std::shared_ptr<const Snapshot> retired;
  bool integers_go = false;                    // some integer key gets a successor that is none: see ValueShape::kNumeric
};

ParsedColumns ParseColumns(const config::ColumnMigration& spec);

// Completes a snapshot (touch set, what is hidden). More migrations than MigrationSet has bits: the loader has refused them already.
std::shared_ptr<const Snapshot> MakeSnapshot(uint64_t epoch, std::vector<MigrationState> migrations, Catalog catalog);

}  // namespace crossfade::rewrite
