// SPDX-License-Identifier: Apache-2.0
// One verification, chunk by chunk, with its row in the control schema; what verify.h and the migrator run. Where the migration says
// `verify_on:`, chunks are compared on that replica, and suspects on the primary.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfill/columns.h"
#include "backfill/keyset.h"
#include "backfill/pairs.h"
#include "backfill/replica_reader.h"
#include "backfill/verify.h"

namespace crossfade::backfill {

class Verifier {
 public:
  // `resume_since`: goes on where the newest unfinished one that was begun so, at this epoch or later, was last saved.
  static absl::StatusOr<std::unique_ptr<Verifier>> Make(Connection& connection, const config::Config& config, const config::Migration& migration,
                                                        bool repair, std::optional<uint64_t> resume_since = std::nullopt);
  // One chunk, or a look at the replica. True: all is checked and the result stands in the control schema.
  absl::StatusOr<bool> Step();
  const std::string& waiting_for() const { return waiting_for_; }  // empty: nothing
  const Verification& result() const { return result_; }
  // Called for each difference that stands under lock: the row's key, what differs, whether it was mended.
  void OnDifference(std::function<void(const std::string& key, const std::string& text, bool mended)> call) { on_difference_ = std::move(call); }
  uint64_t total() const { return total_; }

 private:
  struct Unit {
    TablePairs pairs;
    rewrite::Table table;
    Keyset keyset;
    std::vector<FilledColumn> columns;
  };
  Verifier(Connection& connection, const config::Config& config, const config::Migration& migration, bool repair)
      : connection_(connection), config_(config), migration_(migration), repair_(repair) {}
  absl::Status Load();
  absl::Status Begin();
  absl::StatusOr<bool> Resume(uint64_t since);  // false: there is nothing to go on from
  std::string Place() const;
  Connection& Reader() { return replica_ == nullptr ? connection_ : replica_->connection(); }
  absl::Status OfReader(const absl::Status& status) const { return replica_ == nullptr ? status : replica_->Mapped(status); }
  // The rows of `range` whose sides differ: key, then old and new values. `lock`: as they stand now on the primary, not as of a snapshot.
  absl::StatusOr<Rows> Differing(const Unit& unit, const std::string& range, bool lock);
  absl::Status Settle(const Unit& unit, const Row& suspect);
  absl::Status Repair(const Unit& unit, const std::string& row);
  std::string Describe(const Unit& unit, const Row& values, std::string* key, bool* orphan) const;
  absl::Status Save(bool finished);

  Connection& connection_;
  config::Config config_;
  config::Migration migration_;
  bool repair_;
  bool resumable_ = false;
  std::unique_ptr<ReplicaReader> replica_;  // null: the primary is read
  std::string waiting_for_;
  std::string id_;
  std::vector<Unit> units_;
  size_t unit_ = 0;
  KeyValues last_;
  uint64_t total_ = 0;
  Verification result_;
  std::function<void(const std::string&, const std::string&, bool)> on_difference_;
  std::chrono::steady_clock::time_point saved_;
};

// Whether the newest finished verification begun at `since` (an epoch) or later is there, and its differences.
struct Verdict {
  bool finished = false;
  uint64_t differences = 0;
};
absl::StatusOr<Verdict> ReadVerdict(Connection& connection, const config::Config& config, const std::string& migration, uint64_t since);

}  // namespace crossfade::backfill
