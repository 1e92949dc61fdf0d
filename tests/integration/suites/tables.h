// SPDX-License-Identifier: Apache-2.0
// The tables that a list of statements makes or names, as a catalog, and migrations of every one of them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rewrite/planner.h"

namespace crossfade::suites {

// Takes in what CREATE TABLE says, and any name that stands where a table does (of those the columns a, b, c, id are guessed).
std::vector<rewrite::Table> TablesOf(const std::vector<std::string>& statements, const rewrite::Dialect& dialect);

// Each table's first column is a key that migrates, and the next table's second one refers to it; each third table has a
// column migration instead. At most 60 tables.
std::shared_ptr<const rewrite::Snapshot> MigrateAll(std::vector<rewrite::Table> tables, const rewrite::Dialect& dialect,
                                                    config::Phase phase, bool new_cohort);

}  // namespace crossfade::suites
