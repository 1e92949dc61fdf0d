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
#include "backfill/old_uses.h"
#include "protocol/proxy_header.h"
#include "rewrite/planner.h"

namespace crossfade::proxy {

// What the plan was made of, and for whom: to see what `retire` would make of it.
struct PlanOrigin {
  std::string_view sql;
  const rewrite::SessionFacts* facts = nullptr;
  const std::vector<rewrite::ValueShape>* shapes = nullptr;  // null: a text
  const protocol::SocketAddress* address = nullptr;
};

class DigestCounts {
 public:
  void Count(const rewrite::Snapshot& snapshot, const std::shared_ptr<const rewrite::Plan>& plan, const std::string& user, const PlanOrigin& origin = {});
  // Adds what was counted since the last call to `rows`; to `uses`, what breaks once the old side has gone.
  void Collect(std::vector<backfill::DigestRow>* rows, std::vector<backfill::OldUseRow>* uses);

 private:
  struct Entry {
    std::shared_ptr<const rewrite::Plan> plan;  // also keeps the key's address from being used again
    std::string migration, user;
    uint64_t count = 0;
    std::string old_use;     // what of the statement breaks; empty: nothing
    // By address; of clients on a unix socket; of those whose address is not given.
    std::map<config::AddressBytes, uint64_t> old_uses;
    uint64_t unix_uses = 0, other_uses = 0;
  };
  std::string OldUse(const rewrite::Snapshot& snapshot, const rewrite::Plan& plan, const PlanOrigin& origin);

  rewrite::Planner later_{1'000};  // for the snapshot in which everything is retired
  std::mutex mutex_;
  std::map<std::pair<const rewrite::Plan*, std::string>, Entry> entries_;
};

}  // namespace crossfade::proxy
