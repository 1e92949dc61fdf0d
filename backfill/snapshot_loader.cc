// SPDX-License-Identifier: Apache-2.0
// Control state + file + catalog -> the snapshot that plans are made against.
#include "backfill/catalog_loader.h"
#include "backfill/control.h"
#include "backfill/relatives.h"
#include "backfill/store.h"
#include "fmt/format.h"

namespace crossfade::backfill {

absl::StatusOr<std::shared_ptr<const rewrite::Snapshot>> LoadSnapshot(Connection& connection, const config::Config& config,
                                                                      const ControlState& state) {
  std::vector<rewrite::MigrationState> migrations;
  for (const config::Migration& spec : config.migrations) {
    rewrite::MigrationState& migration = migrations.emplace_back();
    migration.spec = spec;
  }
  for (const MigrationRow& row : state.migrations) {
    const bool idle = row.phase == config::Phase::kObserve || row.phase == config::Phase::kDone;
    rewrite::MigrationState* found = nullptr;
    for (rewrite::MigrationState& migration : migrations) {
      if (migration.spec.name == row.name) found = &migration;
    }
    // A proxy whose file lacks a migration under way, or describes it otherwise, would let the sides drift apart.
    if (found == nullptr) {
      if (idle) continue;
      return absl::FailedPreconditionError(
          fmt::format("{} is in phase {}, but the file does not name it", row.name, config::PhaseName(row.phase)));
    }
    if (!idle && !row.spec.empty() && row.spec != SpecText(found->spec)) {
      return absl::FailedPreconditionError(fmt::format("{} is in phase {}, but the file describes other tables or columns for it", row.name,
                                                       config::PhaseName(row.phase)));
    }
    found->phase = row.phase;
    found->percent = row.percent;
    found->held = row.held;
    found->building = row.building;
    found->swapped = row.swapped;
    if (!row.held && !row.building) continue;
    auto relatives = Relatives(connection, TablesOf(found->spec));
    if (!relatives.ok()) return relatives.status();
    found->relatives = *std::move(relatives);
  }
  auto catalog = LoadCatalog(connection, config.migrations);
  if (!catalog.ok()) return catalog.status();
  return rewrite::MakeSnapshot(state.epoch, std::move(migrations), *std::move(catalog));
}

}  // namespace crossfade::backfill
