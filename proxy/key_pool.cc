// SPDX-License-Identifier: Apache-2.0
// See key_pool.h.
#include "proxy/key_pool.h"

#include <algorithm>

namespace crossfade::proxy {

KeyPool::Stock& KeyPool::Find(const rewrite::Snapshot& snapshot, const rewrite::KeySlot& slot, Key* key) {
  const config::Migration& spec = snapshot.migrations[slot.migration].spec;
  *key = Key(spec.name, spec.keys[slot.key].table);
  return stocks_[*key];
}

void KeyPool::Order(const Key& key, Stock* stock, uint64_t need) {
  const uint64_t at_hand = stock->left + stock->ordered;
  if (at_hand >= std::max<uint64_t>(need, block_ / 2 + 1)) return;
  const uint64_t count = std::max<uint64_t>(block_, need);
  stock->ordered += count;
  request_(key, count);
}

bool KeyPool::TakeRange(const rewrite::Snapshot& snapshot, const rewrite::KeySlot& slot, uint64_t rows, std::vector<uint64_t>* keys) {
  Key key;
  Stock& stock = Find(snapshot, slot, &key);
  for (auto range = stock.ranges.begin(); range != stock.ranges.end(); ++range) {
    if (range->end - range->next < rows) continue;
    keys->assign({range->next, range->next + rows - 1});
    range->next += rows;
    if (range->next == range->end) stock.ranges.erase(range);
    stock.left -= rows;
    Order(key, &stock, 0);
    return true;
  }
  if (stock.ordered < rows) {
    const uint64_t count = std::max<uint64_t>(block_, rows);
    stock.ordered += count;
    request_(key, count);
  }
  return false;
}

void KeyPool::GiveBack(const rewrite::Snapshot& snapshot, const rewrite::KeySlot& slot, uint64_t first, uint64_t end) {
  if (first >= end) return;
  Key key;
  Stock& stock = Find(snapshot, slot, &key);
  stock.left += end - first;
  for (Range& range : stock.ranges) {  // grown together again, it is long enough for the next
    if (range.next != end) continue;
    range.next = first;
    return;
  }
  stock.ranges.push_front({first, end});
}

bool KeyPool::Take(const rewrite::Snapshot& snapshot, const std::vector<rewrite::KeySlot>& slots, std::vector<uint64_t>* keys, uint64_t rows) {
  keys->clear();
  if (!slots.empty() && slots[0].use != rewrite::KeySlot::kOne) return TakeRange(snapshot, slots[0], rows, keys);
  Key key;
  // Count what each stock has to give before any is taken.
  std::map<Key, uint64_t> need;
  for (const rewrite::KeySlot& slot : slots) {
    Find(snapshot, slot, &key);
    ++need[key];
  }
  bool enough = true;
  for (const auto& [each, count] : need) {
    Stock& stock = stocks_[each];
    if (stock.left < count) {
      enough = false;
      Order(each, &stock, count);
    }
  }
  if (!enough) return false;
  for (const rewrite::KeySlot& slot : slots) {
    Stock& stock = Find(snapshot, slot, &key);
    Range& range = stock.ranges.front();
    keys->push_back(range.next++);
    if (range.next == range.end) stock.ranges.pop_front();
    --stock.left;
  }
  for (const auto& each : need) Order(each.first, &stocks_[each.first], 0);
  return true;
}

void KeyPool::Add(const Key& key, uint64_t first, uint64_t count, uint64_t ordered) {
  Stock& stock = stocks_[key];
  stock.used_up.clear();
  if (!stock.ranges.empty() && stock.ranges.back().end == first) stock.ranges.back().end = first + count;
  else stock.ranges.push_back({first, first + count});
  stock.left += count;
  stock.ordered -= std::min(stock.ordered, ordered);
}

void KeyPool::OrderFailed(const Key& key, std::string why) {
  Stock& stock = stocks_[key];
  stock.ordered = 0;
  stock.used_up = std::move(why);
}

std::string KeyPool::UsedUp(const rewrite::Snapshot& snapshot, const std::vector<rewrite::KeySlot>& slots) {
  Key key;
  for (const rewrite::KeySlot& slot : slots)
    if (const Stock& stock = Find(snapshot, slot, &key); !stock.used_up.empty()) return stock.used_up;
  return "";
}

}  // namespace crossfade::proxy
