// SPDX-License-Identifier: Apache-2.0
// See refusals.h, and docs/statements.md and docs/rewriting.md for each of them.
#include "tests/integration/grammar/refusals.h"

#include <algorithm>

namespace crossfade::grammar {
namespace {

struct Known {
  const char* reason;  // a part of it
  const char* label;   // how the statement's begins
  bool loose = false;  // only where the mode is not strict, or the statement says IGNORE
};

constexpr Known kKnown[] = {
    {"a new key is written where the mode is not strict", "", true},
    {"is written where values are cut to fit", "", true},
    {"where the mode is not strict", "", true},
    {"REPLACE with a computed or converted", "replace"},
    {"several rows of a table that refers to itself", ""},
    {"is computed, in a table that refers to itself", ""},
    {"an UPDATE of several tables moves rows that are being copied", "update"},
    {"what became of one that took several steps", "control"},
    {"an UPDATE of several tables assigns", "update join"},
    {", which is retired; name the columns", ""},
    {" is retired; read ", ""},
    {" is retired; write ", ""},
    {"USING or NATURAL joins over a migrating column", "select"},
    {"is given NULL, which it does not take", "", true},
    {"another value than the row's, in a table that refers to itself", "insert"},
    {"an old key, in a table that refers to itself", "insert", true},
};

}  // namespace

bool KnownRefusal(const Statement& statement, const std::string& reason, bool strict) {
  if (!statement.may_refuse.empty()) return true;
  const bool ignore = std::any_of(statement.pieces.begin(), statement.pieces.end(), [](const Piece& piece) { return piece.text.find("IGNORE") != std::string::npos; });
  return std::any_of(std::begin(kKnown), std::end(kKnown), [&](const Known& known) {
    return reason.find(known.reason) != std::string::npos && statement.label.starts_with(known.label) && (!known.loose || !strict || ignore);
  });
}

}  // namespace crossfade::grammar
