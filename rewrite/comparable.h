// SPDX-License-Identifier: Apache-2.0
// Whether a read may be run twice and its results compared: one SELECT that locks nothing, stores nothing, reads no state of
// the session, and gives the same each time. Told from its tokens alone; what is not sure is not comparable.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rewrite/planner.h"
#include "rewrite/snapshot.h"

namespace crossfade::rewrite {

struct Comparable {
  bool yes = false;
  bool limited = false;              // LIMIT: which rows come may depend on ties
  std::vector<std::string> ordered;  // by these names, as far as the ORDER BY consists of such
};

Comparable IsComparable(std::string_view sql, const SessionFacts& facts, const Dialect& dialect);

// A function of its arguments alone, or a word that may stand before a parenthesis.
bool IsPlainFunction(std::string_view word);
// … or of the time, which the servers take once for each statement.
bool IsClockFunction(std::string_view word);

}  // namespace crossfade::rewrite
