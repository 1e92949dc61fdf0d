// SPDX-License-Identifier: Apache-2.0
// The plan cache. A key is everything that a plan depends on, spelt out: the tokens without the values of literals,
// and the facts. Keys are compared in full, never by hash alone: a collision would be drift.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "rewrite/lexer.h"
#include "rewrite/planner.h"

namespace crossfade::rewrite {

// Least recently used goes first. Belongs to one thread.
class PlanCache {
 public:
  explicit PlanCache(uint32_t entries) : entries_(entries) {}
  std::shared_ptr<const Plan> Find(std::string_view key);  // nullptr: not there
  void Put(std::string key, std::shared_ptr<const Plan> plan);
  size_t size() const { return order_.size(); }

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const Plan> plan;
  };
  uint32_t entries_;
  std::list<Entry> order_;  // most recently used first; string_views into it stay valid
  std::unordered_map<std::string_view, std::list<Entry>::iterator> index_;
};

// `shapes`: nullptr for a text without parameters. `letters`: literals beyond ASCII are told apart (Plan::by_letters).
void CacheKey(const Snapshot& snapshot, const SessionFacts& facts, const TokenList& tokens,
              const std::vector<ValueShape>* shapes, bool letters, std::string* key);

// The text of `tokens` with the plan's edits, appended to `*out`. See Render in planner.h.
absl::Status RenderTokens(const Plan& plan, const TokenList& tokens, const std::vector<uint64_t>& keys, Form form, std::string* out,
                          const std::vector<std::string>* ahead = nullptr);
// For a text that has been planned.
absl::Status LexAgain(const SessionFacts& facts, const Dialect& dialect, std::string_view sql, TokenList* tokens);

// The statement with its literals as '?', tokens one space apart.
std::string Digest(const TokenList& tokens);

}  // namespace crossfade::rewrite
