// SPDX-License-Identifier: Apache-2.0
// The runbook of a migration: each phase with the SQL that it will run, what that locks, what it needs, and how long the
// backfill will take. Nothing is guessed at: empty copies of the tables are made in a schema of their own (the control schema's
// name and `_plan`), the very code that walks the migration changes them on this server, and its chunks fill a sample of rows.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "backfill/connection.h"
#include "config/config.h"

namespace crossfade::backfill {

// As text for an operator. The tables themselves are only read. PermissionDenied: the rehearsal's schema may not be made.
absl::StatusOr<std::string> MakePlan(Connection& connection, const config::Config& config, const config::Migration& migration);

}  // namespace crossfade::backfill
