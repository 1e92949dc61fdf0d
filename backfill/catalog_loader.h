// SPDX-License-Identifier: Apache-2.0
// INFORMATION_SCHEMA -> rewrite::Catalog. Asks table by table: with constants for schema and table both engines
// open just that table, whatever the number of tables on the server.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "backfill/connection.h"
#include "rewrite/catalog.h"

namespace crossfade::backfill {

absl::StatusOr<rewrite::Dialect> LoadDialect(Connection& connection);

// One table as it stands now. NotFound: there is none (or the user may not see it).
absl::StatusOr<rewrite::Table> LoadTable(Connection& connection, const std::string& schema, const std::string& table);

// The tables named by the migrations, references included; absent ones are left out.
absl::StatusOr<rewrite::Catalog> LoadCatalog(Connection& connection, const std::vector<config::Migration>& migrations);

// (schema, table) of a migration, each once, the tables of keys before those that refer to them.
std::vector<std::pair<std::string, std::string>> TablesOf(const config::Migration& migration);

// ", alias.c = alias.c" for each column c that the server would set to the time of an UPDATE: what the migrator
// writes is no change of the application's row.
std::string KeepStamps(const rewrite::Table& table, std::string_view alias);

}  // namespace crossfade::backfill
