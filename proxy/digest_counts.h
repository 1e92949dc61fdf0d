// SPDX-License-Identifier: Apache-2.0
// Statement shapes that name a migrating table, counted by one io thread for the control schema's report.
// The lock is taken only for such statements, and is contended only while a report is collected.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backfill/control.h"
#include "rewrite/planner.h"

namespace crossfade::proxy {

class DigestCounts {
 public:
  void Count(const rewrite::Snapshot& snapshot, const std::shared_ptr<const rewrite::Plan>& plan, const std::string& user);
  // Adds what was counted since the last call to `rows`.
  void Collect(std::vector<backfill::DigestRow>* rows);

 private:
  struct Entry {
    std::shared_ptr<const rewrite::Plan> plan;  // also keeps the key's address from being used again
    std::string migration, user;
    uint64_t count = 0;
  };
  std::mutex mutex_;
  std::map<std::pair<const rewrite::Plan*, std::string>, Entry> entries_;
};

}  // namespace crossfade::proxy
