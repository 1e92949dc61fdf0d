// SPDX-License-Identifier: Apache-2.0
// The tables of the control schema, version 1. Made where absent; a newer version than this program's is refused.
// Times are the database's own clock (UTC_TIMESTAMP(6)), so that no two machines' clocks are ever compared.
#include <array>

#include "backfill/control.h"
#include "fmt/format.h"

namespace crossfade::backfill {
namespace {

constexpr int kVersion = 1;

constexpr std::array kTables = {
    "state(id TINYINT NOT NULL PRIMARY KEY, version INT NOT NULL, epoch BIGINT UNSIGNED NOT NULL)",
    "migrations(name VARCHAR(64) NOT NULL PRIMARY KEY, spec TEXT NOT NULL, phase VARCHAR(16) NOT NULL,"
    " desired VARCHAR(16) NOT NULL, percent DOUBLE NOT NULL DEFAULT 0, desired_percent DOUBLE NOT NULL DEFAULT 0,"
    " held TINYINT NOT NULL DEFAULT 0, swapped TINYINT NOT NULL DEFAULT 0, paused TINYINT NOT NULL DEFAULT 0,"
    " confirmed TINYINT NOT NULL DEFAULT 0, message TEXT NOT NULL, declared VARCHAR(16) NOT NULL,"
    " declared_percent DOUBLE NOT NULL DEFAULT 0, changed_epoch BIGINT UNSIGNED NOT NULL DEFAULT 0,"
    " changed_at DATETIME(6) NOT NULL)",
    "proxies(id VARCHAR(64) NOT NULL PRIMARY KEY, address VARCHAR(255) NOT NULL, acked_epoch BIGINT UNSIGNED NOT NULL,"
    " oldest_epoch BIGINT UNSIGNED NOT NULL, started DATETIME(6) NOT NULL, expires DATETIME(6) NOT NULL)",
    "allocators(migration VARCHAR(64) NOT NULL, table_name VARCHAR(64) NOT NULL, next BIGINT UNSIGNED NOT NULL,"
    " PRIMARY KEY(migration, table_name))",
    // One row for each table to fill; last_key is a JSON array of SQL literals, NULL before the first chunk.
    "backfill_progress(migration VARCHAR(64) NOT NULL, table_name VARCHAR(64) NOT NULL, role VARCHAR(16) NOT NULL,"
    " last_key TEXT, rows_done BIGINT UNSIGNED NOT NULL DEFAULT 0, rows_changed BIGINT UNSIGNED NOT NULL DEFAULT 0,"
    " rows_total BIGINT UNSIGNED NOT NULL DEFAULT 0, chunk_rows INT UNSIGNED NOT NULL DEFAULT 0,"
    " complete TINYINT NOT NULL DEFAULT 0, recompute TINYINT NOT NULL DEFAULT 0, started DATETIME(6) NULL,"
    " updated DATETIME(6) NULL, rate DOUBLE NOT NULL DEFAULT 0, PRIMARY KEY(migration, table_name, role))",
    "verifications(id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, migration VARCHAR(64) NOT NULL,"
    " epoch BIGINT UNSIGNED NOT NULL, started DATETIME(6) NOT NULL, updated DATETIME(6) NOT NULL,"
    " finished DATETIME(6) NULL, rows_checked BIGINT UNSIGNED NOT NULL DEFAULT 0,"
    " rows_total BIGINT UNSIGNED NOT NULL DEFAULT 0, differences BIGINT UNSIGNED NOT NULL DEFAULT 0,"
    " repaired BIGINT UNSIGNED NOT NULL DEFAULT 0, examples TEXT NOT NULL, KEY(migration, id))",
    "digests(migration VARCHAR(64) NOT NULL, user VARCHAR(128) NOT NULL, hash BINARY(32) NOT NULL, digest TEXT NOT NULL,"
    " strategy VARCHAR(16) NOT NULL, reason TEXT NOT NULL, count BIGINT UNSIGNED NOT NULL, first_seen DATETIME(6) NOT NULL,"
    " last_seen DATETIME(6) NOT NULL, PRIMARY KEY(migration, user, hash))",
    "events(id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, at DATETIME(6) NOT NULL, migration VARCHAR(64) NOT NULL,"
    " severity VARCHAR(8) NOT NULL, text TEXT NOT NULL, KEY(migration, id))",
};

}  // namespace

absl::Status InstallControlSchema(Connection& connection, const config::Config& config) {
  const std::string schema = QuoteName(config.control.schema);
  auto version = connection.Query(fmt::format("SELECT version FROM {}.state WHERE id = 1", schema));
  const bool present = version.ok() && !version->rows.empty();
  if (!version.ok() && ServerError(version.status()) != 1049 && ServerError(version.status()) != 1146) return version.status();
  if (present) {
    const int found = std::stoi(version->rows[0][0].value_or("0"));
    if (found == kVersion) return absl::OkStatus();
    return absl::FailedPreconditionError(fmt::format(
        "control schema {} is of version {}, this program knows version {}", config.control.schema, found, kVersion));
  }
  // A schema that stands already is used as it is: the control user may have no right to create one.
  auto exists = connection.Query(fmt::format("SELECT 1 FROM information_schema.schemata WHERE schema_name = {}",
                                             connection.Quote(config.control.schema)));
  if (!exists.ok()) return exists.status();
  if (exists->rows.empty()) {
    auto made = connection.Execute(fmt::format("CREATE DATABASE IF NOT EXISTS {}", schema));
    if (!made.ok()) return made.status();
  }
  for (const char* table : kTables) {
    auto made = connection.Execute(fmt::format("CREATE TABLE IF NOT EXISTS {}.{} ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
                                               schema, table));
    if (!made.ok()) return made.status();
  }
  auto first = connection.Execute(fmt::format("INSERT IGNORE INTO {}.state(id, version, epoch) VALUES (1, {}, 1)", schema, kVersion));
  return first.status();
}

}  // namespace crossfade::backfill
