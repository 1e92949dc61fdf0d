// SPDX-License-Identifier: Apache-2.0
// Keys whose new values are made of the old ones (a wider integer, another character set, a UUID as bytes). The key's column and
// each reference migrate as plain columns do, by the file's expression over their own old side: nothing is looked up, so a
// reference needs no foreign key and may come before its parent. Only the schema changes are those of a key.
#pragma once

#include <vector>

#include "config/config.h"

namespace crossfade::rewrite {

// The key migrations of `migration` with `from`, as column migrations: of the key's table and of each reference. Where an
// expression cannot be read, it stands there as the file has it.
std::vector<config::ColumnMigration> DerivedColumns(const config::Migration& migration);

}  // namespace crossfade::rewrite
