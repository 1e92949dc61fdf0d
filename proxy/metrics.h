// SPDX-License-Identifier: Apache-2.0
// Counters of one io thread. Only that thread adds; anyone may read.
#pragma once

#include <atomic>
#include <cstdint>

namespace crossfade::proxy {

class Counter {
 public:
  // A plain add: there is one writer, so no locked instruction is needed.
  void Add(uint64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

struct Metrics {
  Counter connections, connection_failures, commands, rewritten, refused, waited_for_keys, waited_for_gate,
      hidden_statements, bytes_from_clients, bytes_to_clients;
};

}  // namespace crossfade::proxy
