// SPDX-License-Identifier: Apache-2.0
// Verification: every row of every table of a migration, new compared with f(old) by the server, in key ranges, without
// locking. A suspect is read again under lock before it counts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfill/connection.h"
#include "config/config.h"

namespace crossfade::backfill {

struct Verification {
  uint64_t rows_checked = 0;
  uint64_t differences = 0, repaired = 0;  // found, and of those mended
  uint64_t orphans = 0;                    // of the differences: references to rows that do not exist, which nothing mends
  std::vector<std::string> examples;  // "zoo.Bears (7): caveId 'a…', caveNewId 5, should be 6", at most 20
};

// `progress(rows checked so far, estimate of all)` after each chunk; returning false stops (Cancelled).
// `repair`: differing rows are set by the expression that the backfill uses. Valid in backfill to cutover.
absl::StatusOr<Verification> Verify(Connection& connection, const config::Config& config, const config::Migration& migration,
                                    bool repair, const std::function<bool(uint64_t, uint64_t)>& progress);

}  // namespace crossfade::backfill
