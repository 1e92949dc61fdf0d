// SPDX-License-Identifier: Apache-2.0
// Who still uses what `retire` and `contract` take away: old columns, keys of the old shape, statements that `retire` refuses.
// Counted by the proxies from `verify` on, by statement shape, user and address; asked before `retire`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfill/connection.h"
#include "config/config.h"

namespace crossfade::backfill {

struct OldUseRow {
  std::string migration, user, address, digest;
  std::string what;  // "the old column phone"
  uint64_t count = 0;
  std::string last_seen = {};  // UTC; when read
};

// Adds what was seen since the last call.
absl::Status ReportOldUses(Connection& connection, const config::Config& config, const std::vector<OldUseRow>& uses);

struct Quiet {
  std::vector<OldUseRow> uses;  // within `quiet_before_retire`, the latest first, at most 50
  uint64_t more = 0;            // that are not among them
  double counted_for = 0;       // seconds since counting began in `cutover`; negative: it has not
  bool enough = false;          // no use, and counted for long enough
};
absl::StatusOr<Quiet> ReadQuiet(Connection& connection, const config::Config& config, const config::Migration& migration);
// What an operator is told of it.
std::string ToText(const Quiet& quiet, const config::Migration& migration);

}  // namespace crossfade::backfill
