// SPDX-License-Identifier: Apache-2.0
// Identifiers as the servers compare and quote them. Column names and aliases of columns are case-insensitive; names
// and aliases of tables are as lower_case_table_names says.
#pragma once

#include <string>
#include <string_view>

namespace crossfade::rewrite {

// Lower case: ASCII, and the two characters outside it that the servers' tables fold into ASCII (U+0130, U+212A).
std::string FoldName(std::string_view name);
bool NameEq(std::string_view a, std::string_view b);  // equal when folded
bool HasHighByte(std::string_view text);
std::string QuoteName(std::string_view name);  // `name`, backticks doubled: right in every sql_mode

// The statement asks what became of the one before it: by ROW_COUNT(), FOUND_ROWS(), @@warning_count or @@error_count.
bool AsksForTheLast(std::string_view text);

}  // namespace crossfade::rewrite
