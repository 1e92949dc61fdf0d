// SPDX-License-Identifier: Apache-2.0
// Several connections at once, each in rows and keys of its own, with transactions, while the phases go up and down. What a connection
// has committed through the proxy it then does directly on the other server: in the end both have the same rows, and new = f(old).
#pragma once

#include <string>

#include "tests/integration/grammar/world.h"

namespace crossfade::grammar {

struct ParallelCounts {
  uint64_t statements = 0, transactions = 0, lost = 0, refused = 0;  // lost: to deadlocks and waits
};

// Empty: it went well. The world has begun with `model`.
std::string RunParallel(World& world, const Model& model, uint64_t seed, ParallelCounts* counts);

}  // namespace crossfade::grammar
