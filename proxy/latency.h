// SPDX-License-Identifier: Apache-2.0
// How long the application's commands take, as one io thread sees it: from a command's last byte to its reply's. A histogram
// of powers of two with eight steps each, so what it gives is exact to 12 %. Only that thread adds; anyone may read.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "proxy/metrics.h"

namespace crossfade::proxy {

class Latency {
 public:
  static constexpr size_t kBuckets = 8 * 40;
  using Counts = std::array<uint64_t, kBuckets>;

  void Add(uint64_t nanoseconds) { counts_[Bucket(nanoseconds)].Add(); }
  void AddTo(Counts* counts) const {
    for (size_t i = 0; i < kBuckets; ++i) (*counts)[i] += counts_[i].value();
  }

  static size_t Bucket(uint64_t nanoseconds) {
    if (nanoseconds < 8) return nanoseconds;
    const int shift = std::bit_width(nanoseconds) - 4;
    const size_t bucket = static_cast<size_t>(shift + 1) * 8 + ((nanoseconds >> shift) & 7);
    return bucket < kBuckets ? bucket : kBuckets - 1;
  }
  // The middle of a bucket, in nanoseconds.
  static double Middle(size_t bucket) {
    if (bucket < 8) return static_cast<double>(bucket);
    const int shift = static_cast<int>(bucket / 8) - 1;
    return (8.5 + static_cast<double>(bucket % 8)) * static_cast<double>(1ull << shift);
  }
  // `share`: 0 to 1. 0 where nothing was counted.
  static double Quantile(const Counts& counts, double share) {
    uint64_t total = 0, seen = 0;
    for (const uint64_t count : counts) total += count;
    const double wanted = static_cast<double>(total) * share;
    for (size_t i = 0; i < kBuckets && total > 0; ++i) {
      seen += counts[i];
      if (static_cast<double>(seen) >= wanted && seen > 0) return Middle(i);
    }
    return 0;
  }

 private:
  std::array<Counter, kBuckets> counts_;
};

}  // namespace crossfade::proxy
