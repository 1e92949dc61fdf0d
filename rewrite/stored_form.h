// SPDX-License-Identifier: Apache-2.0
// What a column makes of a value that it is given under a strict sql_mode: the server rounds, pads, strips blanks and converts
// without an error, and only the outcome can be compared with what another expression says.
#pragma once

#include <optional>
#include <string>

#include "rewrite/catalog.h"

namespace crossfade::rewrite {

// The expression as a column of that type stores it, for comparing byte by byte; empty: values of such a type cannot be compared so.
std::string StoredBytes(const Column& column, const std::string& expression);
// "(`n` <=> …)": that column `name` holds what the expression gives, byte by byte. Empty: as above.
std::string StoredEquals(const Column& column, const std::string& name, const std::string& expression);

// That a session whose sql_mode is not strict does not cut the value to fit: holds where this is not false. Empty: such values are not cut.
std::string Uncut(const Column& column, const std::string& expression);

struct StoredForm {
  std::string value;  // for use in an expression, with the column's collation
  std::string when;   // it is so where this is not false; empty: always, or the server refuses the value
};
// nullopt: not known for columns of this type.
std::optional<StoredForm> StoredAs(const Column& column, const std::string& expression);

}  // namespace crossfade::rewrite
