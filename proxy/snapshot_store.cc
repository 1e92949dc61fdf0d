// SPDX-License-Identifier: Apache-2.0
// See snapshot_store.h.
#include "proxy/snapshot_store.h"

#include <utility>

namespace crossfade::proxy {

void SnapshotStore::Publish(std::shared_ptr<const rewrite::Snapshot> snapshot, bool known) {
  Entry* before = current();
  Entry& entry = entries_.emplace_back();
  entry.epoch = snapshot ? snapshot->epoch : 0;
  if (snapshot != nullptr)
    for (size_t i = 0; i < snapshot->migrations.size() && i < entry.held.size(); ++i) {
      entry.held[i] = snapshot->migrations[i].held;
      entry.building[i] = snapshot->migrations[i].building;
      entry.parting[i] = snapshot->migrations[i].phase >= config::Phase::kVerify && snapshot->migrations[i].phase <= config::Phase::kContract;
    }
  entry.snapshot = std::move(snapshot);
  entry.known = known;
  entry.generation = before->generation + 1;
  newest_.store(entry.epoch, std::memory_order_release);
  if (before->pins == 0) Drop(before);
}

void SnapshotStore::Drop(Entry* entry) {
  for (auto it = entries_.begin(); it != entries_.end(); ++it) {
    if (&*it == entry) {
      entries_.erase(it);
      break;
    }
  }
  oldest_.store(entries_.front().epoch, std::memory_order_release);
}

}  // namespace crossfade::proxy
