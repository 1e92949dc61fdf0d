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

// Who holds the metadata lock that a change of one of the tables waits for, in words: "it is held by connection 7 (app@host, idle
// for 12 s)"; where the server does not tell (no performance_schema, no metadata_lock_info), the longest open transaction. Empty:
// none.
std::string Blocker(Connection& connection, const std::vector<std::pair<std::string, std::string>>& tables);

}  // namespace crossfade::backfill
