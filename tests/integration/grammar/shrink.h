// SPDX-License-Identifier: Apache-2.0
// Makes a failing script small: drops statements by halves (ddmin: Zeller, Hildebrandt, Simplifying and Isolating Failure-Inducing
// Input, 2002), then tables and column migrations that are not needed, running it anew each time.
#pragma once

#include <string>
#include <vector>

#include "tests/integration/grammar/world.h"

namespace crossfade::grammar {

// The minimal script, schema and file, to be read; `stage`: where it failed, or on the way to which;
// `refusal`: because of one that should not be. Takes at most about two minutes.
std::string Shrink(World& world, const Model& model, const std::vector<Step>& script, size_t stage, bool refusal);

}  // namespace crossfade::grammar
