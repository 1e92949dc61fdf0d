// SPDX-License-Identifier: Apache-2.0
// Counters and latency histograms; see stats.h.
#include "tests/demo/stats.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>

namespace crossfade::demo {
namespace {

constexpr double kFirstBucketUs = 20, kGrowth = 1.01;
constexpr uint64_t kPrintedErrors = 20;

int64_t NowUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int Bucket(int64_t us, int buckets) {
  if (static_cast<double>(us) <= kFirstBucketUs) return 0;
  static const double scale = 1 / std::log(kGrowth);
  return std::min(buckets - 1, static_cast<int>(std::log(static_cast<double>(us) / kFirstBucketUs) * scale) + 1);
}

double BucketMs(int bucket) { return kFirstBucketUs * std::pow(kGrowth, bucket) / 1000; }

}  // namespace

void Stats::BeginStep(std::string_view name) {
  const std::lock_guard lock(mutex_);
  const int64_t now = NowUs();
  if (!steps_.empty() && steps_.back()->ended_us == 0) steps_.back()->ended_us = now;
  steps_.push_back(std::make_unique<Step>());
  steps_.back()->name = name;
  steps_.back()->began_us = now;
  current_ = steps_.back().get();
}

void Stats::EndSteps() {
  const std::lock_guard lock(mutex_);
  if (!steps_.empty() && steps_.back()->ended_us == 0) steps_.back()->ended_us = NowUs();
}

void Stats::Request(int64_t microseconds) {
  Step& step = Current();
  ++requests_;
  ++step.requests;
  ++step.buckets[Bucket(microseconds, kBuckets)];
  int64_t seen = step.max_us;
  while (seen < microseconds && !step.max_us.compare_exchange_weak(seen, microseconds)) {
  }
}

void Stats::Error(const std::string& message) {
  Step& step = Current();
  ++step.errors;
  if (errors_++ >= kPrintedErrors) return;
  const std::lock_guard lock(mutex_);
  std::fprintf(stderr, "ERROR in %s: %s\n", step.name.c_str(), message.c_str());
}

void Stats::Deadlock() { ++Current().deadlocks; }
void Stats::Lost() { ++Current().lost; }
void Stats::ReadReference(bool is_new) { ++(is_new ? Current().new_reads : Current().old_reads); }

StepSummary Stats::Summarise(const std::vector<const Step*>& steps, const std::string& name) {
  StepSummary summary;
  summary.name = name;
  std::vector<uint64_t> buckets(kBuckets);
  uint64_t count = 0;
  int64_t max_us = 0;
  for (const Step* step : steps) {
    const int64_t end = step->ended_us == 0 ? NowUs() : step->ended_us;
    summary.seconds += static_cast<double>(end - step->began_us) / 1e6;
    summary.requests += step->requests;
    summary.errors += step->errors;
    summary.deadlocks += step->deadlocks;
    summary.lost += step->lost;
    summary.old_reads += step->old_reads;
    summary.new_reads += step->new_reads;
    max_us = std::max<int64_t>(max_us, step->max_us);
    for (int i = 0; i < kBuckets; ++i) {
      buckets[i] += step->buckets[i];
      count += step->buckets[i];
    }
  }
  const auto quantile = [&](double share) {
    uint64_t left = static_cast<uint64_t>(share * static_cast<double>(count));
    for (int i = 0; i < kBuckets; ++i) {
      if (buckets[i] > left) return BucketMs(i);
      left -= buckets[i];
    }
    return 0.0;
  };
  summary.max_ms = static_cast<double>(max_us) / 1000;
  summary.p50_ms = quantile(0.5);
  summary.p99_ms = std::min(quantile(0.99), summary.max_ms);
  return summary;
}

std::vector<StepSummary> Stats::Summaries() {
  const std::lock_guard lock(mutex_);
  std::vector<StepSummary> all;
  for (const auto& step : steps_) all.push_back(Summarise({step.get()}, step->name));
  return all;
}

StepSummary Stats::Total() {
  const std::lock_guard lock(mutex_);
  std::vector<const Step*> all;
  for (const auto& step : steps_) all.push_back(step.get());
  return Summarise(all, "all");
}

}  // namespace crossfade::demo
