// SPDX-License-Identifier: Apache-2.0
// One migration's walk: reads where it stands, does one piece of the work of its phase, and takes the next step once
// that step's gate is open. Keeps nothing that the database does not hold, but work in progress that can be made anew.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "backfill/connection.h"
#include "backfill/control.h"
#include "backfill/copier.h"
#include "backfill/ddl.h"
#include "backfill/throttle.h"
#include "backfill/verifier.h"
#include "config/config.h"
#include "rewrite/catalog.h"

namespace crossfade::backfill {

// What a gate found missing; empty: the gate is open.
using Waiting = std::string;

class Walker {
 public:
  // `sleep(how long)`: false: stop now. `throttle` outlives the walker.
  Walker(Connection& connection, const config::Config& config, const config::Migration& migration, Throttle* throttle,
         std::function<bool(std::chrono::microseconds)> sleep)
      : connection_(connection), config_(config), migration_(migration), derived_(migration), throttle_(throttle), sleep_(std::move(sleep)) {
    std::erase_if(derived_.keys, [](const config::KeyMigration& key) { return key.from.empty(); });
    derived_.columns.clear();
  }

  // One piece of work under `state`, in which `row` is this migration's. Gives the time until it wants to be called again.
  absl::StatusOr<std::chrono::microseconds> Step(const ControlState& state, const MigrationRow& row);

 private:
  absl::StatusOr<Waiting> Work(const ControlState& state, const MigrationRow& row, std::chrono::microseconds* again);
  absl::StatusOr<Waiting> GateToExpand();
  absl::StatusOr<Waiting> LeftPrepared();
  absl::StatusOr<Waiting> DigestGate();
  absl::Status JudgeReads(const MigrationRow& row);
  // Empty: a chunk may be made now.
  absl::StatusOr<Waiting> Throttled(std::chrono::microseconds* again);
  absl::StatusOr<Waiting> CopyPiece(const ControlState& state, const MigrationRow& asked, std::chrono::microseconds* again);
  absl::StatusOr<Waiting> VerifyPiece(const MigrationRow& row, const config::Migration& what, std::chrono::microseconds* again);
  absl::Status Watch(const MigrationRow& row, std::chrono::microseconds* again);
  absl::StatusOr<Waiting> Ready(const ControlState& state, const MigrationRow& row, config::Phase next, std::chrono::microseconds* again);
  absl::StatusOr<Waiting> Go(const ControlState& state, const MigrationRow& row, config::Phase next);
  absl::StatusOr<Waiting> GoBack(const ControlState& state, const MigrationRow& row, config::Phase next);

  // Online ALTERs, with `building` set while they last: see building.cc. Empty: they are made, and it is not set any more.
  absl::StatusOr<Waiting> Build(const ControlState& state, const MigrationRow& row, const std::vector<Alter>& alters, std::chrono::microseconds* again);

  // The statement gate: hold, wait until nobody works on the tables, change them, let go. See hold.cc.
  absl::StatusOr<Waiting> UnderHold(const ControlState& state, const MigrationRow& row);
  absl::Status NothingLost();
  absl::Status ChangeHeldTables(const MigrationRow& row, bool* touched);
  absl::Status LetGo(uint64_t epoch, const MigrationRow& row, const std::string& why);
  absl::StatusOr<std::vector<Alter>> HeldDdl(const MigrationRow& row);
  std::vector<Alter> HeldExpandDdl(const MigrationRow& row, const rewrite::Catalog& tables);  // the columns, and when they are there their defaults
  absl::StatusOr<rewrite::Catalog> Tables();
  absl::Status StartAllKeys(const rewrite::Catalog& tables);

  Connection& connection_;
  config::Config config_;
  config::Migration migration_;
  config::Migration derived_;  // its keys that are made of the old ones, alone
  Throttle* throttle_;
  std::function<bool(std::chrono::microseconds)> sleep_;
  std::unique_ptr<Copier> copier_;
  std::unique_ptr<Verifier> verifier_;
  std::unique_ptr<Verifier> watcher_;
  std::chrono::steady_clock::time_point watch_at_;  // the next round
  std::chrono::steady_clock::time_point judge_at_;
  uint64_t work_epoch_ = 0;  // copier_ and verifier_ were made when the migration last changed in this epoch
  std::chrono::steady_clock::time_point not_before_;  // the next try of what failed or was given up
  std::chrono::milliseconds backoff_{0};
  std::chrono::steady_clock::time_point hold_not_before_;
  std::optional<bool> defaults_;  // what this walker made of the new columns' defaults while in expand
  bool half_changed_ = false;  // some of the held tables are, others could not be
  std::chrono::milliseconds hold_backoff_{0};
  std::string hold_reason_;  // why it was last let go
};

}  // namespace crossfade::backfill
