// SPDX-License-Identifier: Apache-2.0
// See digest_counts.h.
#include "proxy/digest_counts.h"

#include <bit>

namespace crossfade::proxy {
namespace {
constexpr size_t kMostEntries = 10'000;  // between two reports; shapes beyond that wait for the next
}

void DigestCounts::Count(const rewrite::Snapshot& snapshot, const std::shared_ptr<const rewrite::Plan>& plan,
                         const std::string& user) {
  if (plan->touched == 0) return;
  const std::lock_guard lock(mutex_);
  auto it = entries_.find({plan.get(), user});
  if (it == entries_.end()) {
    if (entries_.size() >= kMostEntries) return;
    it = entries_.try_emplace({plan.get(), user}).first;
    it->second.plan = plan;
    it->second.user = user;
    const size_t index = static_cast<size_t>(std::countr_zero(plan->touched));
    if (index < snapshot.migrations.size()) it->second.migration = snapshot.migrations[index].spec.name;
  }
  ++it->second.count;
}

void DigestCounts::Collect(std::vector<backfill::DigestRow>* rows) {
  std::map<std::pair<const rewrite::Plan*, std::string>, Entry> entries;
  {
    const std::lock_guard lock(mutex_);
    entries.swap(entries_);
  }
  for (auto& [key, entry] : entries) {
    const rewrite::Plan& plan = *entry.plan;
    backfill::DigestRow row;
    row.migration = entry.migration;
    row.digest = plan.digest;
    row.strategy = std::string(rewrite::StrategyName(plan.would_be));
    row.reason = plan.would_be_reason;
    row.user = entry.user;
    row.count = entry.count;
    rows->push_back(std::move(row));
  }
}

}  // namespace crossfade::proxy
