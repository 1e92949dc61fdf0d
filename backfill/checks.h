// SPDX-License-Identifier: Apache-2.0
// Parts of the preflight.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "backfill/pairs.h"
#include "backfill/preflight.h"

namespace crossfade::backfill {

inline void AddError(Findings* findings, std::string text, std::string advice) { findings->push_back({Finding::kError, std::move(text), std::move(advice)}); }
inline void AddWarning(Findings* findings, std::string text, std::string advice = "") {
  findings->push_back({Finding::kWarning, std::move(text), std::move(advice)});
}
inline void AddInfo(Findings* findings, std::string text) { findings->push_back({Finding::kInfo, std::move(text), ""}); }

// A migration of plain columns: its expressions, the old columns and the new ones.
void CheckColumnMigration(const rewrite::Table& table, const config::ColumnMigration& set, bool maria, Findings* findings);

// Everything that reaches the tables past the proxy: triggers, views, routines, events, foreign keys from tables that
// the migration does not name, expressions over the old columns; and what the control user may do.
absl::Status CheckSurroundings(Connection& connection, const config::Config& config, const config::Migration& migration,
                               const std::vector<TablePairs>& tables, Findings* findings);

}  // namespace crossfade::backfill
