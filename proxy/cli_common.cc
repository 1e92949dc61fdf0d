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

absl::StatusOr<const config::Migration*> FindDeclared(const config::Config& config, const std::string& name) {
  if (const config::Migration* found = config.FindMigration(name)) return found;
  std::string known;
  for (const config::Migration& migration : config.migrations) known += (known.empty() ? "" : ", ") + migration.name;
  return absl::FailedPreconditionError(
      fmt::format("{} declares no migration {}{}", config.path, name, known.empty() ? "" : "; it has " + known));
}

}  // namespace crossfade::proxy
