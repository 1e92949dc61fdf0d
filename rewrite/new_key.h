// SPDX-License-Identifier: Apache-2.0
// What a new key is made of, by its type in the file: an integer from the allocator, or a UUID that the server makes.
#pragma once

#include <string>
#include <string_view>

namespace crossfade::rewrite {

// An expression that gives a fresh key in every row; empty: keys are numbers from the allocator. Character types of at
// least 36 places and MariaDB's uuid hold UUID(), of 32 to 35 places its digits, binary(16) its bytes (RFC 4122).
std::string FreshKey(std::string_view type);

// A value that the type can hold and that is never a key, as a literal: 0, '', sixteen zero bytes.
std::string NoKey(std::string_view type);

// The same as an expression, another one in each session as far as an integer type has room for that: two transactions do not wait for
// each other's rows that have it. A positive one may be a key once the type's numbers are nearly used up.
std::string NoKeyOfSession(std::string_view type);

bool IsIntegerType(std::string_view type);

}  // namespace crossfade::rewrite
