// SPDX-License-Identifier: Apache-2.0
// The snapshots one io thread still works under. A session pins the current one for each command, and keeps its pin
// while its transaction is open; a drain waits for oldest() to pass. Only `oldest` and `newest` cross threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>

#include "rewrite/snapshot.h"

namespace crossfade::proxy {

class SnapshotStore {
 public:
  struct Entry {
    std::shared_ptr<const rewrite::Snapshot> snapshot;  // null: no migrations are declared
    uint64_t epoch = 0;
    rewrite::MigrationSet held;  // whose statements wait
    rewrite::MigrationSet building;  // ALTERs wait for its tables at times: see session_building.cc
    rewrite::MigrationSet parting;  // in `verify` and later: a read under an epoch that is over may see a side that nobody writes any more
    bool known = false;  // the control schema has been read; false: only the file is known
    uint32_t pins = 0;
    uint64_t generation = 0;  // counts publications
  };

  SnapshotStore() { entries_.emplace_back(); }

  // Never null. Statements need a look only if it has a snapshot.
  Entry* current() { return &entries_.back(); }
  Entry* Pin() {
    Entry* entry = current();
    ++entry->pins;
    return entry;
  }
  void Unpin(Entry* entry) {
    if (--entry->pins == 0 && entry != current()) Drop(entry);
  }
  void Publish(std::shared_ptr<const rewrite::Snapshot> snapshot, bool known);

  uint64_t oldest() const { return oldest_.load(std::memory_order_acquire); }
  uint64_t newest() const { return newest_.load(std::memory_order_acquire); }

 private:
  void Drop(Entry* entry);

  std::list<Entry> entries_;  // oldest first; the last is current
  std::atomic<uint64_t> oldest_{0}, newest_{0};
};

}  // namespace crossfade::proxy
