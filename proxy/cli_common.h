// SPDX-License-Identifier: Apache-2.0
// What the commands share: opening the file and the control connection, and the one line on stderr.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "backfill/connection.h"
#include "backfill/control.h"
#include "config/config.h"

namespace crossfade::proxy {

struct Opened {
  config::Config config;
  backfill::Connection connection;
};
// Loads the file, connects to the control backend and makes sure that the control schema is there.
absl::StatusOr<Opened> OpenControl(const std::string& config_path);

// Prints "crossfade: <message>" to stderr; returns 1.
int Fail(const absl::Status& status);
int Fail(const std::string& message);

// As if the migrations (all, or the one of that name) stood in `phase`; `cohort`: "old" or "new". InvalidArgument: no such phase.
absl::StatusOr<backfill::ControlState> StateIn(const config::Config& config, const std::string& phase, const std::string& cohort, const std::string& migration);

// FailedPrecondition where the file has no such migration.
absl::StatusOr<const config::Migration*> FindDeclared(const config::Config& config, const std::string& name);

}  // namespace crossfade::proxy
