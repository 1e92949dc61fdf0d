// SPDX-License-Identifier: Apache-2.0
// The statements that fill the new side of the rows of one table in one role. One source of them for the backfill, the plan that
// shows them beforehand, and the repair.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfill/columns.h"
#include "backfill/keyset.h"
#include "backfill/pairs.h"
#include "config/config.h"
#include "rewrite/catalog.h"

namespace crossfade::backfill {

enum class FillKind : uint8_t { kKeys, kReferences, kColumns };
const char* FillKindName(FillKind kind);  // as the control schema has it

struct Role {
  TablePairs pairs;
  FillKind kind = FillKind::kKeys;
};
// Key tables first, each role of a table by itself: a table that refers to itself is in both.
std::vector<Role> RolesOf(const config::Migration& migration);

class FillSql {
 public:
  // `table` as it is with the new columns there. `recompute`: compare references instead of only filling what is missing.
  static absl::StatusOr<FillSql> Of(const config::Migration& migration, const Role& role, const rewrite::Table& table, const Keyset& keyset,
                                    const rewrite::Dialect& dialect, bool recompute);

  const char* alias() const { return kind_ == FillKind::kKeys ? "t" : "r"; }  // of the table, in `range`
  // Fill takes numbers from the allocator, one for each row that Lock has counted.
  bool numbers() const { return kind_ == FillKind::kKeys && fresh_.empty(); }
  // How many new keys the rows of `range` need.
  std::string CountMissing(const std::string& range) const;
  // Locks the rows that Fill will change and counts them, without waiting unless `wait`. Empty: Fill does it itself
  // (MariaDB, with innodb_lock_wait_timeout = 0: one pass over the rows).
  std::string Lock(const std::string& range, bool wait) const;
  // To be run right before Fill, on the same connection. Empty: nothing. `first_key`: of the new keys to give.
  std::string BeforeFill(uint64_t first_key) const;
  // `most_keys`: as many may be given; where Lock was empty, rows beyond it are left.
  std::string Fill(const std::string& range, uint64_t first_key, uint64_t most_keys) const;

 private:
  FillKind kind_ = FillKind::kKeys;
  bool mysql_ = false;
  rewrite::Table table_;
  Keyset keyset_;
  std::string name_, from_, missing_, assignments_, parents_, column_;
  std::string fresh_;  // what the server makes new keys with; empty: they are numbers
};

// The parts of statements over a table `r` and the tables that its references belong to, p0, p1 …
std::string ReferenceJoins(const config::Migration& migration, const TablePairs& pairs);
std::string ReferenceAssignments(const TablePairs& pairs);
std::string ReferenceDiffers(const TablePairs& pairs);

}  // namespace crossfade::backfill
