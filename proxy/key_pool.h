// SPDX-License-Identifier: Apache-2.0
// New keys that one io thread has reserved and not yet given out. Blocks come from the control thread, ahead of
// need: a block is asked for when less than half of one is left.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "rewrite/planner.h"

namespace crossfade::proxy {

class KeyPool {
 public:
  using Key = std::pair<std::string, std::string>;  // migration, table
  using Request = std::function<void(const Key&, uint64_t count)>;

  KeyPool(uint32_t block, Request request) : block_(block), request_(std::move(request)) {}

  // One fresh key for each of `slots`, in order; for kFirst and kLast the ends of a range of `rows`, which goes to nobody else.
  // False: not enough at hand, none was taken, more are on order.
  bool Take(const rewrite::Snapshot& snapshot, const std::vector<rewrite::KeySlot>& slots, std::vector<uint64_t>* keys, uint64_t rows = 0);
  // What is left of a range that was taken.
  void GiveBack(const rewrite::Snapshot& snapshot, const rewrite::KeySlot& slot, uint64_t first, uint64_t end);

  void Add(const Key& key, uint64_t first, uint64_t count, uint64_t ordered);  // an order came in, perhaps with less
  void OrderFailed(const Key& key, std::string why);                           // it did not: the next Take orders again
  // Why there are no keys for `slots` and will be none: the type is used up. Empty: there may be.
  std::string UsedUp(const rewrite::Snapshot& snapshot, const std::vector<rewrite::KeySlot>& slots);

 private:
  struct Range { uint64_t next, end; };
  struct Stock {
    std::deque<Range> ranges;
    uint64_t left = 0, ordered = 0;
    std::string used_up;
  };
  Stock& Find(const rewrite::Snapshot& snapshot, const rewrite::KeySlot& slot, Key* key);
  void Order(const Key& key, Stock* stock, uint64_t need);
  bool TakeRange(const rewrite::Snapshot& snapshot, const rewrite::KeySlot& slot, uint64_t rows, std::vector<uint64_t>* keys);

  uint32_t block_;
  Request request_;
  std::map<Key, Stock> stocks_;
};

}  // namespace crossfade::proxy
