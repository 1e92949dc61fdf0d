// SPDX-License-Identifier: Apache-2.0
// The control schema as version 1 of it was made, for tests of its upgrade.
#pragma once

#include <string>
#include <vector>

#include "fmt/format.h"

namespace crossfade::backfill {

inline constexpr const char* kTablesV1[] = {
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

// Empty but for the state's row; the schema is made too.
inline std::vector<std::string> ControlSchemaV1(const std::string& schema) {
  std::vector<std::string> out = {fmt::format("CREATE DATABASE {}", schema)};
  for (const char* table : kTablesV1) out.push_back(fmt::format("CREATE TABLE {}.{} ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", schema, table));
  out.push_back(fmt::format("INSERT INTO {}.state(id, version, epoch) VALUES (1, 1, 1)", schema));
  return out;
}

}  // namespace crossfade::backfill
