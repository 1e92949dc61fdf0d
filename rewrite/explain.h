// SPDX-License-Identifier: Apache-2.0
// What would be done with a statement, and why, as text for `crossfade explain`.
#pragma once

#include <string>
#include <string_view>

#include "rewrite/planner.h"

namespace crossfade::rewrite {

// Lines: the strategy, the reason, the new keys needed, the text sent. Ends with a newline.
std::string Explain(const Snapshot& snapshot, const SessionFacts& facts, std::string_view sql);

}  // namespace crossfade::rewrite
