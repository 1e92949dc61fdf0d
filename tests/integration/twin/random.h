// SPDX-License-Identifier: Apache-2.0
// A random source whose numbers depend on its seed alone (std distributions differ between libraries).
// splitmix64: Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, 2014.
#pragma once

#include <cstdint>
#include <vector>

namespace crossfade::twin {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  uint64_t Below(uint64_t n) { return Next() % n; }
  int Between(int low, int high) { return low + static_cast<int>(Below(high - low + 1)); }
  bool Chance(unsigned percent) { return Below(100) < percent; }
  template <typename T>
  const T& Pick(const std::vector<T>& from) { return from[Below(from.size())]; }
  const char* OneOf(std::initializer_list<const char*> texts) {
    return *(texts.begin() + Below(texts.size()));
  }

 private:
  uint64_t state_;
};

}  // namespace crossfade::twin
