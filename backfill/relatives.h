// SPDX-License-Identifier: Apache-2.0
// Tables outside a migration that foreign keys tie to its tables. A write to one of them takes the metadata locks of those it
// refers to and of those that refer to it: while the statement gate is held, it waits with the statements on the tables
// themselves, or a transaction that wrote one could hold the lock that the gate is held for, and wait at the gate.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "backfill/connection.h"

namespace crossfade::backfill {

// Names alone, without those of `tables` (schema, name): all that they refer to, directly or by others, and all that refers to
// them. "": one of them has a name that is not known here. Without the right to see foreign keys (PROCESS): none.
absl::StatusOr<std::vector<std::string>> Relatives(Connection& connection, const std::vector<std::pair<std::string, std::string>>& tables);

// InnoDB's name of a table, "schema/table" with @0024 for characters that file names do not hold, as schema and table. False: it holds others.
bool ReadInnodbName(std::string_view name, std::pair<std::string, std::string>* table);

}  // namespace crossfade::backfill
