// SPDX-License-Identifier: Apache-2.0
// The backfill of one migration, chunk by chunk: new keys for the rows of key tables, then the references to them;
// then, for column migrations, new columns from the old ones of their row.
//
// A chunk is one transaction: the rows whose new side is missing are locked without waiting, filled by one statement
// that reads what it writes, and the checkpoint is committed with them. It never waits for an application's lock while
// it holds its own, so it is part of no deadlock; where a row is locked, the chunk is given up and tried again, smaller.
// The last chunk of a table has no upper bound. Between key tables and references, every transaction that was open when
// the last key was given is waited for: it may have read a key's absence.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfill/connection.h"
#include "backfill/keyset.h"
#include "backfill/pairs.h"
#include "config/config.h"
#include "rewrite/catalog.h"

namespace crossfade::backfill {

// PrepareProgress makes the progress rows where absent; RestartProgress puts them back to the start, to compare and correct references
// instead of only filling what is missing (dual writes were off for a while).
absl::Status PrepareProgress(Connection& connection, const config::Config& config, const config::Migration& migration);
absl::Status RestartProgress(Connection& connection, const config::Config& config, const std::string& migration);
absl::StatusOr<bool> BackfillComplete(Connection& connection, const config::Config& config, const std::string& migration);

enum class FillKind : uint8_t { kKeys, kReferences, kColumns };

class Copier {
 public:
  static absl::StatusOr<std::unique_ptr<Copier>> Make(Connection& connection, const config::Config& config,
                                                      const config::Migration& migration);

  struct Result {
    bool complete = false;
    std::chrono::microseconds rest{0};  // how long to stay idle now
    std::string waiting_for;            // not empty: what holds it up
  };
  // One chunk, or one look at what is waited for. Aborted: rows were locked; call again.
  absl::StatusOr<Result> Step();
  // Behind the last chunk, with the indexes on the new columns built: fills rows whose key was changed meanwhile, so that
  // no chunk came upon them. True: every row has its new side; otherwise call again.
  absl::StatusOr<bool> FillMoved(Result* result);

 private:
  struct Unit {  // one table in one role
    TablePairs pairs;
    FillKind kind = FillKind::kKeys;
    rewrite::Table table;
    Keyset keyset;
    KeyValues last;
    uint64_t done = 0, total = 0, rows = 0, changed = 0;
    bool complete = false, recompute = false;
    double rate = 0;
    uint64_t next_key = 0, end_key = 0;  // reserved, not yet given
    int failures = 0;
  };
  Copier(Connection& connection, const config::Config& config, const config::Migration& migration)
      : connection_(connection), config_(config), migration_(migration) {}
  absl::Status Load();
  absl::StatusOr<bool> OldTransactionsGone(std::string* waiting_for);
  absl::Status Chunk(Unit* unit, Result* result);
  absl::StatusOr<uint64_t> FillKeys(Unit* unit, const std::string& range, bool wait);
  absl::StatusOr<uint64_t> FillReferences(Unit* unit, const std::string& range, bool wait);
  absl::StatusOr<uint64_t> FillColumns(Unit* unit, const std::string& range, bool wait);
  static bool Repeats(const Unit& unit);
  absl::Status StartAnew(const Unit& unit);
  absl::Status FillOne(Unit* unit, const std::string& row);
  absl::Status ReserveFor(Unit* unit, const std::string& range, bool bounded);

  Connection& connection_;
  config::Config config_;
  config::Migration migration_;
  rewrite::Dialect dialect_;
  std::vector<Unit> units_;
  bool barrier_passed_ = false, barrier_set_ = false;
  std::vector<std::pair<std::string, std::string>> awaited_;  // (connection, start) of transactions
  std::string awaited_text_;
  std::chrono::steady_clock::time_point looked_at_;
};

// The statement that gives references their new side, and the condition under which a row needs it; shared with repair.
std::string ReferenceJoins(const config::Migration& migration, const TablePairs& pairs);
std::string ReferenceAssignments(const TablePairs& pairs);
std::string ReferenceDiffers(const TablePairs& pairs);

}  // namespace crossfade::backfill
