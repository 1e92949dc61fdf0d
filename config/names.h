// SPDX-License-Identifier: Apache-2.0
// Which words of the file may become part of SQL. Identifiers are quoted wherever they are used, and still held to
// what needs no quotes; fragments (types, expressions) may not end the statement they are put into or hide a part of it.
#pragma once

#include <string>
#include <string_view>

namespace crossfade::config {

// Each returns the reason why not; empty: fine.
std::string CheckIdentifier(std::string_view name);     // at most 64 characters of letters, digits, _ and $
std::string CheckMigrationName(std::string_view name);  // at most 64 letters, digits, - and _
std::string CheckType(std::string_view type);           // "int unsigned", "decimal(10,2)"
std::string CheckExpression(std::string_view sql);      // closed quotes and parentheses, no ; and no comment
// "HOST:PORT", "[V6]:PORT" or "unix:PATH".
std::string CheckAddress(std::string_view address);

std::string FoldCase(std::string_view name);  // ASCII only, as the servers compare column names

}  // namespace crossfade::config
