// SPDX-License-Identifier: Apache-2.0
// See digest_counts.h.
#include "proxy/digest_counts.h"


namespace crossfade::proxy {
namespace {
constexpr size_t kMostEntries = 10'000;  // between two reports; shapes beyond that wait for the next
}

void DigestCounts::Count(const rewrite::Snapshot& snapshot, const std::shared_ptr<const rewrite::Plan>& plan,
                         const std::string& user, const PlanOrigin& origin) {
  if (plan->touched.none()) return;
  const std::lock_guard lock(mutex_);
  auto it = entries_.find({plan.get(), user});
  if (it == entries_.end()) {
    if (entries_.size() >= kMostEntries) return;
    it = entries_.try_emplace({plan.get(), user}).first;
    it->second.plan = plan;
    it->second.user = user;
    const size_t index = rewrite::First(plan->touched);
    if (index < snapshot.migrations.size()) it->second.migration = snapshot.migrations[index].spec.name;
    it->second.old_use = OldUse(snapshot, *plan, origin);
  }
  ++it->second.count;
  if (it->second.old_use.empty()) return;
  if (origin.address == nullptr) ++it->second.other_uses;
  else if (!origin.address->known) ++it->second.unix_uses;
  else ++it->second.old_uses[origin.address->bytes];
}

// Once for each shape, user and report.
std::string DigestCounts::OldUse(const rewrite::Snapshot& snapshot, const rewrite::Plan& plan, const PlanOrigin& origin) {
  if (plan.strategy == rewrite::Strategy::kRefuse || snapshot.retired == nullptr) return "";
  if (plan.old_uses.any()) return plan.old_use;
  if (origin.facts == nullptr) return "";
  rewrite::SessionFacts facts = *origin.facts;
  facts.new_cohort = rewrite::CohortOf(*snapshot.retired, 0);
  const auto then = origin.shapes == nullptr ? later_.PlanQuery(*snapshot.retired, facts, origin.sql) : later_.PlanPrepared(*snapshot.retired, facts, origin.sql, *origin.shapes);
  return then->strategy == rewrite::Strategy::kRefuse ? then->reason : "";
}

void DigestCounts::Collect(std::vector<backfill::DigestRow>* rows, std::vector<backfill::OldUseRow>* uses) {
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
    const auto add = [&](std::string address, uint64_t count) { uses->push_back({row.migration, row.user, std::move(address), row.digest, entry.old_use, count}); };
    protocol::SocketAddress address;
    if (entry.other_uses > 0) add("", entry.other_uses);
    if (entry.unix_uses > 0) add(protocol::HostText(address), entry.unix_uses);
    address.known = true;
    for (const auto& [bytes, count] : entry.old_uses) {
      address.bytes = bytes;
      add(protocol::HostText(address), count);
    }
    rows->push_back(std::move(row));
  }
}

}  // namespace crossfade::proxy
