// SPDX-License-Identifier: Apache-2.0
// A clock that goes on while the machine sleeps: a suspended proxy must not believe in its lease.
#pragma once

#include <time.h>

#include <chrono>
#include <cstdint>

namespace crossfade::proxy {

// CLOCK_BOOTTIME, ns.
inline int64_t BootTime() {
  timespec ts{};
  ::clock_gettime(CLOCK_BOOTTIME, &ts);
  return ts.tv_sec * 1'000'000'000ll + ts.tv_nsec;
}

inline int64_t Nanoseconds(std::chrono::milliseconds ms) { return ms.count() * 1'000'000; }

}  // namespace crossfade::proxy
