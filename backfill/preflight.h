// SPDX-License-Identifier: Apache-2.0
// What stands in the way of a migration, found before anything is changed: `crossfade check`, and the gate to `expand`.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "backfill/connection.h"
#include "config/config.h"

namespace crossfade::backfill {

struct Finding {
  enum Level : uint8_t { kInfo, kWarning, kError } level = kInfo;
  std::string text;    // what it is, and what it means
  std::string advice;  // what to do; may be empty
};
using Findings = std::vector<Finding>;

// Reads only. An error Status means that the check itself could not be made.
absl::StatusOr<Findings> Preflight(Connection& connection, const config::Config& config, const config::Migration& migration);
bool HasErrors(const Findings& findings);

}  // namespace crossfade::backfill
