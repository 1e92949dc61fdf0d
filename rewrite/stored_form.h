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

// That the column is given the value whole: holds where this is not false. Empty: it always is, or the server refuses it. `strict`: by the session's
// sql_mode, which lets only blanks at the end of a text go without an error. nullopt: not known for columns of this type.
std::optional<std::string> Uncut(const Column& column, const std::string& expression, bool strict);
// A column of the first kind stores whatever one of the second one does, whole.
bool Holds(const Column& wide, const Column& narrow);

// With anything above zero added it is too large for a BIGINT UNSIGNED: an error that neither IGNORE nor a lax sql_mode turns into a
// warning (tried on both engines). See IsPastAllNumbers.
inline constexpr char kPastAllNumbers[] = "18446744073709551615";
// … of a reference that finds no parent; see Plan::guard.
inline constexpr char kMissingParent[] = "18446744073709551615 + (3 +";
// That error, as an expression. It names a column, so that it is none before the row is there.
std::string Overflow(const std::string& column);
// `value` where the condition holds, else that error.
std::string Only(const std::string& condition, const std::string& column, const std::string& value);

struct StoredForm {
  std::string value;  // for use in an expression, with the column's collation
  std::string when;   // it is so where this is not false; empty: always, or the server refuses the value
};
// nullopt: not known for columns of this type.
std::optional<StoredForm> StoredAs(const Column& column, const std::string& expression);

}  // namespace crossfade::rewrite
