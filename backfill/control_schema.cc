// SPDX-License-Identifier: Apache-2.0
// The tables of the control schema, version 4. Made where absent and upgraded from earlier ones; a newer
// version than this program's is refused.
// Times are the database's own clock (UTC_TIMESTAMP(6)), so that no two machines' clocks are ever compared.
#include <array>

#include "backfill/control.h"
#include "backfill/failpoint.h"
#include "fmt/format.h"

namespace crossfade::backfill {
namespace {

constexpr int kVersion = 4;

constexpr std::array kTables = {
    "state(id TINYINT NOT NULL PRIMARY KEY, version INT NOT NULL, epoch BIGINT UNSIGNED NOT NULL)",
    "migrations(name VARCHAR(64) NOT NULL PRIMARY KEY, spec TEXT NOT NULL, phase VARCHAR(16) NOT NULL,"
    " desired VARCHAR(16) NOT NULL, percent DOUBLE NOT NULL DEFAULT 0, desired_percent DOUBLE NOT NULL DEFAULT 0,"
    " held TINYINT NOT NULL DEFAULT 0, swapped TINYINT NOT NULL DEFAULT 0, paused TINYINT NOT NULL DEFAULT 0,"
    " confirmed TINYINT NOT NULL DEFAULT 0, message TEXT NOT NULL, declared VARCHAR(16) NOT NULL,"
    " declared_percent DOUBLE NOT NULL DEFAULT 0, changed_epoch BIGINT UNSIGNED NOT NULL DEFAULT 0,"
    " changed_at DATETIME(6) NOT NULL, cutover_since DATETIME(6) NULL, building TINYINT NOT NULL DEFAULT 0)",
    "proxies(id VARCHAR(64) NOT NULL PRIMARY KEY, address VARCHAR(255) NOT NULL, acked_epoch BIGINT UNSIGNED NOT NULL,"
    " oldest_epoch BIGINT UNSIGNED NOT NULL, started DATETIME(6) NOT NULL, expires DATETIME(6) NOT NULL,"
    // Nobody waits for it until it renews; how often its lease began anew.
    " fenced TINYINT NOT NULL DEFAULT 0, term BIGINT UNSIGNED NOT NULL DEFAULT 0)",
    // Connections to the server that write to migrating tables, and the migrator's: see fence.h.
    "connections(proxy VARCHAR(64) NOT NULL, connection_id BIGINT UNSIGNED NOT NULL, host VARCHAR(261) NOT NULL,"
    " leader TINYINT NOT NULL DEFAULT 0, PRIMARY KEY(proxy, connection_id))",
    "leader(id TINYINT NOT NULL PRIMARY KEY, proxy VARCHAR(64) NOT NULL, connection_id BIGINT UNSIGNED NOT NULL,"
    " since DATETIME(6) NOT NULL)",
    // Uses of what `retire` and `contract` take away: old columns, keys of the old shape, shapes that `retire` refuses.
    "old_uses(migration VARCHAR(64) NOT NULL, user VARCHAR(128) NOT NULL, address VARCHAR(64) NOT NULL, hash BINARY(32) NOT NULL,"
    " digest TEXT NOT NULL, what TEXT NOT NULL, count BIGINT UNSIGNED NOT NULL, first_seen DATETIME(6) NOT NULL,"
    " last_seen DATETIME(6) NOT NULL, PRIMARY KEY(migration, user, address, hash))",
    // Reads run on both sides and compared; a sample of what differed.
    "comparisons(migration VARCHAR(64) NOT NULL, hash BINARY(32) NOT NULL, digest TEXT NOT NULL, compared BIGINT UNSIGNED NOT NULL,"
    " mismatches BIGINT UNSIGNED NOT NULL, old_us DOUBLE NOT NULL, new_us DOUBLE NOT NULL, sample TEXT NOT NULL,"
    " epoch BIGINT UNSIGNED NOT NULL, last_seen DATETIME(6) NOT NULL, PRIMARY KEY(migration, hash))",
    "allocators(migration VARCHAR(64) NOT NULL, table_name VARCHAR(64) NOT NULL, next BIGINT UNSIGNED NOT NULL,"
    " PRIMARY KEY(migration, table_name))",
    // One row for each table to fill; last_key is a JSON array of SQL literals, NULL before the first chunk. What counts is the
    // row with the largest seq, here or in backfill_workers: all up to its last_key is done in this pass.
    "backfill_progress(migration VARCHAR(64) NOT NULL, table_name VARCHAR(64) NOT NULL, role VARCHAR(16) NOT NULL,"
    " last_key TEXT, rows_done BIGINT UNSIGNED NOT NULL DEFAULT 0, rows_changed BIGINT UNSIGNED NOT NULL DEFAULT 0,"
    " rows_total BIGINT UNSIGNED NOT NULL DEFAULT 0, chunk_rows INT UNSIGNED NOT NULL DEFAULT 0,"
    " complete TINYINT NOT NULL DEFAULT 0, recompute TINYINT NOT NULL DEFAULT 0, started DATETIME(6) NULL,"
    " updated DATETIME(6) NULL, rate DOUBLE NOT NULL DEFAULT 0, pass INT UNSIGNED NOT NULL DEFAULT 0,"
    " seq BIGINT UNSIGNED NOT NULL DEFAULT 0, PRIMARY KEY(migration, table_name, role))",
    // Each worker's own row, so that none waits for another's commit.
    "backfill_workers(migration VARCHAR(64) NOT NULL, table_name VARCHAR(64) NOT NULL, role VARCHAR(16) NOT NULL,"
    " worker INT UNSIGNED NOT NULL, pass INT UNSIGNED NOT NULL, seq BIGINT UNSIGNED NOT NULL DEFAULT 0, last_key TEXT,"
    " rows_done BIGINT UNSIGNED NOT NULL DEFAULT 0, rows_changed BIGINT UNSIGNED NOT NULL DEFAULT 0,"
    " PRIMARY KEY(migration, table_name, role, worker))",
    "verifications(id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, migration VARCHAR(64) NOT NULL,"
    " epoch BIGINT UNSIGNED NOT NULL, started DATETIME(6) NOT NULL, updated DATETIME(6) NOT NULL,"
    " finished DATETIME(6) NULL, rows_checked BIGINT UNSIGNED NOT NULL DEFAULT 0,"
    " rows_total BIGINT UNSIGNED NOT NULL DEFAULT 0, differences BIGINT UNSIGNED NOT NULL DEFAULT 0,"
    " repaired BIGINT UNSIGNED NOT NULL DEFAULT 0, examples TEXT NOT NULL, orphans BIGINT UNSIGNED NOT NULL DEFAULT 0,"
    " place TEXT NULL, KEY(migration, id))",
    // Rows found wrong after verification had passed them: written past the proxy.
    "drift(id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, migration VARCHAR(64) NOT NULL, table_name VARCHAR(64) NOT NULL,"
    " row_key TEXT NOT NULL, found_at DATETIME(6) NOT NULL, text TEXT NOT NULL, mended TINYINT NOT NULL DEFAULT 0, KEY(migration, id))",
    // What the throttle last saw, and the applications' p99 as each proxy measured it.
    "throttle(name VARCHAR(255) NOT NULL PRIMARY KEY, value DOUBLE NOT NULL, wait_above DOUBLE NOT NULL, stop_above DOUBLE NOT NULL,"
    " holds TINYINT NOT NULL, detail TEXT NOT NULL, at DATETIME(6) NOT NULL)",
    "latency(proxy VARCHAR(64) NOT NULL PRIMARY KEY, at DATETIME(6) NOT NULL, p50_us DOUBLE NOT NULL, p99_us DOUBLE NOT NULL,"
    " commands BIGINT UNSIGNED NOT NULL)",
    "heartbeat(id TINYINT NOT NULL PRIMARY KEY, at DATETIME(6) NOT NULL)",
    "digests(migration VARCHAR(64) NOT NULL, user VARCHAR(128) NOT NULL, hash BINARY(32) NOT NULL, digest TEXT NOT NULL,"
    " strategy VARCHAR(16) NOT NULL, reason TEXT NOT NULL, count BIGINT UNSIGNED NOT NULL, first_seen DATETIME(6) NOT NULL,"
    " last_seen DATETIME(6) NOT NULL, PRIMARY KEY(migration, user, hash))",
    "events(id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, at DATETIME(6) NOT NULL, migration VARCHAR(64) NOT NULL,"
    " severity VARCHAR(8) NOT NULL, text TEXT NOT NULL, KEY(migration, id))",
};

// Columns that versions 2 to 4 added to tables of earlier ones.
constexpr std::array kAddedColumns = {
    "backfill_progress ADD COLUMN pass INT UNSIGNED NOT NULL DEFAULT 0, ADD COLUMN seq BIGINT UNSIGNED NOT NULL DEFAULT 0",
    "verifications ADD COLUMN orphans BIGINT UNSIGNED NOT NULL DEFAULT 0, ADD COLUMN place TEXT NULL",
    "proxies ADD COLUMN fenced TINYINT NOT NULL DEFAULT 0, ADD COLUMN term BIGINT UNSIGNED NOT NULL DEFAULT 0",
    "migrations ADD COLUMN cutover_since DATETIME(6) NULL",
    "migrations ADD COLUMN building TINYINT NOT NULL DEFAULT 0",
};
constexpr uint32_t kDuplicateColumn = 1060;

absl::Status MakeTables(Connection& connection, const std::string& schema) {
  for (const char* table : kTables) {
    auto made = connection.Execute(fmt::format("CREATE TABLE IF NOT EXISTS {}.{} ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
                                               schema, table));
    if (!made.ok()) return made.status();
    CROSSFADE_FAILPOINT("control.table", table);
  }
  return absl::OkStatus();
}

// A crash in between, or another proxy at the same time, leaves columns that are there already.
absl::Status Upgrade(Connection& connection, const std::string& schema) {
  absl::Status made = MakeTables(connection, schema);
  if (!made.ok()) return made;
  for (const char* change : kAddedColumns) {
    absl::Status altered = connection.Execute(fmt::format("ALTER TABLE {}.{}", schema, change)).status();
    if (!altered.ok() && ServerError(altered) != kDuplicateColumn) return altered;
    CROSSFADE_FAILPOINT("control.upgraded", change);
  }
  return connection.Execute(fmt::format("UPDATE {}.state SET version = {} WHERE id = 1 AND version < {}", schema, kVersion, kVersion)).status();
}

}  // namespace

absl::Status InstallControlSchema(Connection& connection, const config::Config& config) {
  const std::string schema = QuoteName(config.control.schema);
  auto version = connection.Query(fmt::format("SELECT version FROM {}.state WHERE id = 1", schema));
  const bool present = version.ok() && !version->rows.empty();
  if (!version.ok() && ServerError(version.status()) != 1049 && ServerError(version.status()) != 1146) return version.status();
  if (present) {
    const int found = std::stoi(version->rows[0][0].value_or("0"));
    if (found == kVersion) return absl::OkStatus();
    if (found < kVersion) return Upgrade(connection, schema);
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
  absl::Status made = MakeTables(connection, schema);
  if (!made.ok()) return made;
  auto first = connection.Execute(fmt::format("INSERT IGNORE INTO {}.state(id, version, epoch) VALUES (1, {}, 1)", schema, kVersion));
  return first.status();
}

}  // namespace crossfade::backfill
