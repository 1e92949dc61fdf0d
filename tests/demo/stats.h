// SPDX-License-Identifier: Apache-2.0
// What the application saw, by step of the walk: requests, errors, latencies, and on which side it read.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace crossfade::demo {

struct StepSummary {
  std::string name;
  double seconds = 0;
  uint64_t requests = 0, errors = 0, deadlocks = 0, lost = 0;
  uint64_t old_reads = 0, new_reads = 0;  // references that were read as old and as new keys
  double p50_ms = 0, p99_ms = 0, max_ms = 0;
};

class Stats {
 public:
  void BeginStep(std::string_view name);  // from one thread
  void EndSteps();

  // From any thread.
  void Request(int64_t microseconds);
  void Error(const std::string& message);  // the first ones are printed
  void Deadlock();
  void Lost();
  void ReadReference(bool is_new);

  uint64_t errors() const { return errors_; }
  uint64_t requests() const { return requests_; }
  std::vector<StepSummary> Summaries();
  StepSummary Total();

 private:
  static constexpr int kBuckets = 2000;
  // Latencies in buckets that grow by 1 %: from 20 µs to hours.
  struct Step {
    std::string name;
    int64_t began_us = 0, ended_us = 0;
    std::array<std::atomic<uint64_t>, kBuckets> buckets{};
    std::atomic<uint64_t> requests{0}, errors{0}, deadlocks{0}, lost{0}, old_reads{0}, new_reads{0};
    std::atomic<int64_t> max_us{0};
  };
  static StepSummary Summarise(const std::vector<const Step*>& steps, const std::string& name);
  Step& Current() { return *current_.load(std::memory_order_relaxed); }

  std::mutex mutex_;
  std::vector<std::unique_ptr<Step>> steps_;
  Step before_;  // until the first step
  std::atomic<Step*> current_{&before_};
  std::atomic<uint64_t> errors_{0}, requests_{0};
};

}  // namespace crossfade::demo
