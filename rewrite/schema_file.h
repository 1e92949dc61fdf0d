// SPDX-License-Identifier: Apache-2.0
// The catalog from a file of CREATE TABLE statements as the servers print them (SHOW CREATE TABLE, mysqldump --no-data): a
// column, key or constraint to a line. For work without a server.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "rewrite/catalog.h"

namespace crossfade::rewrite {

// `schema`: of tables that come before any USE. The dialect is that of the dump's "-- Server version" line, else
// MySQL 9.7. InvalidArgument: "line 12: …".
absl::StatusOr<Catalog> ReadSchemaFile(std::string_view text, std::string_view schema);

}  // namespace crossfade::rewrite
