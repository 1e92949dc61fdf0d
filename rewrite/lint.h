// SPDX-License-Identifier: Apache-2.0
// A recorded workload, classified as `observe` would: each statement as if every migration were writing both sides. Digests
// carry no literals.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "rewrite/planner.h"
#include "rewrite/query_log.h"

namespace crossfade::rewrite {

struct LintedShape {
  std::string digest, reason;  // reason: why it would be refused
  Strategy strategy = Strategy::kUntouched;
  uint64_t count = 0;
};

class Lint {
 public:
  // `facts`: of a session that said nothing else.
  Lint(std::shared_ptr<const Snapshot> snapshot, SessionFacts facts, uint32_t parse_depth);

  void Add(const LoggedStatement& statement);

  uint64_t statements() const { return statements_; }
  uint64_t untouched() const { return untouched_; }
  uint64_t CountOf(Strategy strategy) const;
  std::vector<LintedShape> Shapes(Strategy strategy) const;  // the most frequent first

 private:
  SessionFacts& FactsOf(const LoggedStatement& statement);
  void TakeSetting(std::string_view text, SessionFacts* facts);

  std::shared_ptr<const Snapshot> snapshot_;
  SessionFacts first_;
  Planner planner_;
  std::unordered_map<uint64_t, SessionFacts> sessions_;
  std::unordered_map<std::string, LintedShape> shapes_;  // by strategy, reason and digest
  uint64_t statements_ = 0, untouched_ = 0;
};

}  // namespace crossfade::rewrite
