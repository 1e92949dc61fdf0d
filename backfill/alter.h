// SPDX-License-Identifier: Apache-2.0
// Runs schema changes: online or not at all, and never waiting long for a metadata lock, behind which every other
// statement on the table would queue.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "backfill/connection.h"
#include "backfill/ddl.h"
#include "config/config.h"

namespace crossfade::backfill {

// Aborted: the table's metadata lock was not to be had within limits.ddl_lock_wait (the message names the oldest
// transaction); try again later. FailedPrecondition: the engine cannot do it online.
absl::Status RunAlter(Connection& connection, const config::Config& config, const std::string& migration, const Alter& alter);
absl::Status RunAlters(Connection& connection, const config::Config& config, const std::string& migration, const std::vector<Alter>& alters);

// The longest open transaction of another connection, in words; empty: none.
std::string OldestTransaction(Connection& connection);

}  // namespace crossfade::backfill
