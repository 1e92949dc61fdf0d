// SPDX-License-Identifier: Apache-2.0
// The backfill of one migration, chunk by chunk: new keys for the rows of key tables, then the references to them;
// then, for column migrations, new columns from the old ones of their row.
//
// A chunk is one transaction: the rows whose new side is missing are locked without waiting, filled by one statement
// that reads what it writes, and the checkpoint is committed with them. It never waits for an application's lock while
// it holds its own, so it is part of no deadlock; where a row is locked, the chunk is given up and tried again, smaller.
// The last chunk of a table has no upper bound. Between key tables and references, every transaction that was open when
// the last key was given is waited for: it may have read a key's absence.
//
// Several workers share one table (never two tables: parents come before children). Each has a connection and, in the control
// schema, a row of its own, so that none waits for another's commit:
//
//   handed out, in the key's order:   [done][done][worker 2: from..to][done][worker 1: from..to] -> the rest
//   the mark, which each commit carries: .........^  all before it is done
//
// A new migrator begins at the mark that was set last; what was done beyond it is found done.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfill/connection.h"
#include "backfill/fill_sql.h"
#include "backfill/keyset.h"
#include "backfill/throttle.h"
#include "config/config.h"
#include "rewrite/catalog.h"

namespace crossfade::backfill {

// PrepareProgress makes the progress rows where absent; RestartProgress puts them back to the start, to compare and correct references
// instead of only filling what is missing (dual writes were off for a while).
absl::Status PrepareProgress(Connection& connection, const config::Config& config, const config::Migration& migration);
absl::Status RestartProgress(Connection& connection, const config::Config& config, const std::string& migration);
absl::StatusOr<bool> BackfillComplete(Connection& connection, const config::Config& config, const std::string& migration);

class Copier {
 public:
  // `throttle` may be null, and outlives the copier.
  static absl::StatusOr<std::unique_ptr<Copier>> Make(Connection& connection, const config::Config& config,
                                                      const config::Migration& migration, Throttle* throttle = nullptr);

  struct Result {
    bool complete = false;
    std::chrono::microseconds rest{0};  // how long to stay idle now
    std::string waiting_for;            // not empty: what holds it up
  };
  // One chunk, or with several workers as many as begin within limits.chunk_target, or one look at what is waited for.
  absl::StatusOr<Result> Step();
  // Behind the last chunk, with the indexes on the new columns built: fills rows whose key was changed meanwhile, so that
  // no chunk came upon them. True: every row has its new side; otherwise call again.
  absl::StatusOr<bool> FillMoved(Result* result);

 private:
  using Clock = std::chrono::steady_clock;

  struct Piece {  // a chunk that is handed out, or done while one before it is not
    KeyValues from, to;
    bool last = false;  // without an upper bound; `to` is empty
    bool taken = false, done = false;
    int failures = 0;
  };
  struct Unit {  // one table in one role
    Role role;
    std::string where;  // its rows of the control schema
    rewrite::Table table;
    Keyset keyset;
    FillSql sql;
    bool recompute = false;
    uint32_t workers = 1;
    uint64_t total = 0, pass = 0;

    // Under mutex_, while workers run.
    KeyValues mark, handed;   // all up to it is done; is handed out
    bool all_handed = false;
    std::deque<Piece> pieces;
    uint64_t rows = 0, done = 0, changed = 0, seq = 0;
    bool complete = false, again = false;
    std::chrono::microseconds round_trip{0};  // of the statement that begins a chunk's transaction: the least of late

    double rate = 0;
    uint64_t saved_done = 0;
    Clock::time_point saved_at;
  };
  struct Worker {
    Connection* connection = nullptr;
    std::optional<Connection> own;  // of all but the first
    uint32_t number = 0;
    uint64_t next_key = 0, end_key = 0;  // reserved, not yet given: new keys of
    std::string keys_of;                 // … this table
    std::string lock_wait;               // innodb_lock_wait_timeout of the session, as far as we set it
  };
  Copier(Connection& connection, const config::Config& config, const config::Migration& migration, Throttle* throttle)
      : connection_(connection), config_(config), migration_(migration), throttle_(throttle) {}
  absl::Status Load();
  absl::StatusOr<Unit> LoadUnit(const Role& role);
  absl::StatusOr<bool> OldTransactionsGone(std::string* waiting_for);
  absl::Status Slice(Unit* unit, Result* result);
  absl::Status WorkOn(Unit* unit, Worker* worker, Clock::time_point until, Result* result);
  absl::StatusOr<Piece*> Take(Unit* unit, Worker* worker);
  absl::Status Chunk(Unit* unit, Worker* worker, Piece* piece, Result* result);
  absl::Status Checkpoint(Unit* unit, Worker* worker, Piece* piece, const KeyValues& to, bool ends, uint64_t rows, uint64_t changed);
  absl::StatusOr<uint64_t> Fill(Unit* unit, Worker* worker, const std::string& range, bool wait);
  // `rows`: that the range has at most; 0: not known.
  absl::Status ReserveFor(Unit* unit, Worker* worker, const std::string& range, uint64_t rows);
  absl::Status LockWait(Worker* worker, const char* seconds);
  absl::Status SaveProgress(Unit* unit, bool now);
  absl::StatusOr<Worker*> WorkerNumber(uint32_t number);
  static bool Repeats(const Unit& unit);
  absl::Status Finish(Connection& connection, const Unit& unit, bool again);
  absl::Status FillOne(Unit* unit, const std::string& row);
  uint64_t MaxRows() const;

  Connection& connection_;
  config::Config config_;
  config::Migration migration_;
  Throttle* throttle_;
  rewrite::Dialect dialect_;
  std::deque<Unit> units_;
  std::deque<Worker> workers_;
  std::mutex mutex_;
  bool barrier_passed_ = false, barrier_set_ = false;
  std::vector<std::pair<std::string, std::string>> awaited_;  // (connection, start) of transactions
  std::string awaited_text_;
  Clock::time_point looked_at_;
};

}  // namespace crossfade::backfill
