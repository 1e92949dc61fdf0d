// SPDX-License-Identifier: Apache-2.0
// Identifiers as the servers compare and quote them. Column names and aliases of columns are case-insensitive; names
// and aliases of tables are as lower_case_table_names says.
#pragma once

#include <string>
#include <string_view>

namespace crossfade::rewrite {

// Lower case, of UTF-8, as utf8mb3_general_ci folds identifiers: character by character, accents stay. The servers' tables are of an
// older Unicode, so a few younger letters are folded that they tell apart.
std::string FoldName(std::string_view name);
bool NameEq(std::string_view a, std::string_view b);  // equal when folded
bool HasHighByte(std::string_view text);
std::string QuoteName(std::string_view name);  // `name`, backticks doubled: right in every sql_mode

// The statement asks what became of the one before it: by ROW_COUNT(), FOUND_ROWS(), @@warning_count or @@error_count.
bool AsksForTheLast(std::string_view text);

}  // namespace crossfade::rewrite
