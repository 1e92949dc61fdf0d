// SPDX-License-Identifier: Apache-2.0
// See cli_common.h.
#include "proxy/cli_common.h"

#include <cstdio>

#include "backfill/control.h"
#include "config/load.h"
#include "fmt/format.h"

namespace crossfade::proxy {

absl::StatusOr<Opened> OpenControl(const std::string& config_path) {
  auto config = config::Load(config_path);
  if (!config.ok()) return config.status();
  auto connection = backfill::Connection::Open(*config);
  if (!connection.ok()) return connection.status();
  absl::Status installed = backfill::InstallControlSchema(*connection, *config);
  if (!installed.ok()) return installed;
  return Opened{*std::move(config), *std::move(connection)};
}

int Fail(const std::string& message) {
  std::fflush(stdout);
  fmt::print(stderr, "crossfade: {}\n", message);
  return 1;
}

int Fail(const absl::Status& status) { return Fail(std::string(status.message())); }

absl::StatusOr<backfill::ControlState> StateIn(const config::Config& config, const std::string& phase, const std::string& cohort, const std::string& migration) {
  const auto parsed = config::ParsePhase(phase);
  if (!parsed) return absl::InvalidArgumentError(fmt::format("there is no phase '{}'", phase));
  if (cohort != "old" && cohort != "new") return absl::InvalidArgumentError(std::string("--cohort is old or new"));
  backfill::ControlState state;
  for (const config::Migration& each : config.migrations) {
    if (!migration.empty() && each.name != migration) continue;
    backfill::MigrationRow row;
    row.name = each.name;
    row.phase = *parsed;
    row.percent = cohort == "new" ? 100 : 0;
    state.migrations.push_back(std::move(row));
  }
  return state;
}

absl::StatusOr<const config::Migration*> FindDeclared(const config::Config& config, const std::string& name) {
  if (const config::Migration* found = config.FindMigration(name)) return found;
  std::string known;
  for (const config::Migration& migration : config.migrations) known += (known.empty() ? "" : ", ") + migration.name;
  return absl::FailedPreconditionError(
      fmt::format("{} declares no migration {}{}", config.path, name, known.empty() ? "" : "; it has " + known));
}

}  // namespace crossfade::proxy
