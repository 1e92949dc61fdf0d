// SPDX-License-Identifier: Apache-2.0
// Which refusals are known: a reason of Crossfade's, and where it may be given. Any other one is a failure.
#pragma once

#include <string>

#include "tests/integration/grammar/statement.h"

namespace crossfade::grammar {

// `strict`: of the session's sql_mode.
bool KnownRefusal(const Statement& statement, const std::string& reason, bool strict);

}  // namespace crossfade::grammar
