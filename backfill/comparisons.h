// SPDX-License-Identifier: Apache-2.0
// Reads that proxies ran on both sides and compared (`compare_reads:`), in the control schema.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfill/connection.h"
#include "backfill/control.h"
#include "config/config.h"

namespace crossfade::backfill {

struct ComparisonRow {
  std::string migration, digest;
  uint64_t epoch = 0;  // that they were made under
  uint64_t compared = 0, mismatches = 0;
  double old_us = 0, new_us = 0;  // in all
  std::string sample;             // of a mismatch: the statement and what differed
};

// Adds what was compared since the last call; counts of an earlier epoch begin anew.
absl::Status ReportComparisons(Connection& connection, const config::Config& config, const std::vector<ComparisonRow>& rows);

// Empty: as many reads are alike as the file asks for. Else why the migration goes back.
absl::StatusOr<std::string> JudgeComparisons(Connection& connection, const config::Config& config, const config::Migration& migration, const MigrationRow& row);

}  // namespace crossfade::backfill
