// SPDX-License-Identifier: Apache-2.0
// Counts that all io threads share: clients of each user and of each address, prepared statements. Touched when a
// session begins or ends and at PREPARE and CLOSE, never by a query. A limit of 0 that means "none" counts nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "config/network.h"

namespace crossfade::proxy {

template <typename Key>
class KeyedCount {
 public:
  // False: `limit` are there already.
  bool Take(const Key& key, uint32_t limit) {
    const std::lock_guard<std::mutex> lock(mutex_);
    uint32_t& count = counts_[key];
    if (count >= limit) return false;  // limit > 0, so this entry is somebody's
    ++count;
    return true;
  }
  void Give(const Key& key) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto it = counts_.find(key);
    if (it != counts_.end() && --it->second == 0) counts_.erase(it);
  }
  size_t size() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return counts_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::map<Key, uint32_t> counts_;
};

struct Admission {
  KeyedCount<std::string> users;
  KeyedCount<config::AddressBytes> addresses;
  std::atomic<uint64_t> statements{0};
  std::atomic<uint64_t> buffered{0};  // bytes of large commands
};

}  // namespace crossfade::proxy
