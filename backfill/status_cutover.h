// SPDX-License-Identifier: Apache-2.0
// What an operator decides on in `cutover`: reads that were compared, and who still uses the side that goes. Parts of the status report.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "backfill/connection.h"
#include "backfill/control.h"
#include "config/config.h"
#include "nlohmann/json_fwd.hpp"

namespace crossfade::backfill {

// Reads run on both sides (`compare_reads:`).
struct ComparedReads {
  struct Shape {
    std::string digest, sample, last_seen;
    uint64_t epoch = 0, compared = 0, mismatches = 0;
    double old_us = 0, new_us = 0;  // of one read, on average
  };
  uint64_t compared = 0, mismatches = 0;  // since phase or percent last changed
  double old_us = 0, new_us = 0;          // the same
  std::vector<Shape> shapes;              // most mismatches first, then most reads; at most 20; of earlier epochs too
  double Percent() const { return compared == 0 ? 0 : 100.0 * static_cast<double>(mismatches) / static_cast<double>(compared); }
};

// Uses of what `retire` takes away; the latest first, at most 20.
struct OldUses {
  struct Use { std::string user, address, digest, what, first_seen, last_seen; uint64_t count = 0; };
  uint64_t shapes = 0, count = 0;  // of all; a shape is counted for each user and address
  std::string last_seen;
  std::vector<Use> uses;
};

absl::Status ReadComparedReads(Connection& connection, const config::Config& config, const MigrationRow& row, ComparedReads* reads);
absl::Status ReadOldUses(Connection& connection, const config::Config& config, const MigrationRow& row, OldUses* uses);

nlohmann::json ToJson(const ComparedReads& reads);
nlohmann::json ToJson(const OldUses& uses);
// Lines for a person; empty: there is nothing to tell.
std::string ToText(const ComparedReads& reads);
std::string ToText(const OldUses& uses);

}  // namespace crossfade::backfill
