// SPDX-License-Identifier: Apache-2.0
// What keeps the backfill from hurting: a thread of its own that looks, every `throttle.poll`, at replicas, load, history list,
// the application's p99 as the proxies measure it, and a query of the operator's; before each chunk its verdict is asked for.
//
// The p99 is compared with itself: with what it is while no chunk runs. So the backfill rests for a moment now and then where
// there is traffic, and after each rise until the rise has gone; a rise also halves its pace, which comes back slowly, and it works for as long as it
// rests: an application that is slow for its own reasons does not stop it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "backfill/connection.h"
#include "backfill/disk.h"
#include "backfill/replicas.h"
#include "config/config.h"

namespace crossfade::backfill {

struct ThrottleValue {
  std::string name;             // "replica_lag 10.0.0.2:3306", "threads_running"
  double value = 0;
  double limit = 0, stop = 0;   // 0: none
  bool holds = false;
  std::string detail;           // why there is no value, say
  bool known = true;
  bool below() const { return name == "disk_free"; }  // it holds below its limits, not above
};

struct ThrottleVerdict {
  bool hold = false;  // no chunk now
  bool stop = false;  // pause the migration
  std::string reason;
};

class Throttle {
 public:
  explicit Throttle(const config::Config& config) : config_(config) {}
  ~Throttle();

  // Any thread. Whoever asks wants to work: for some seconds from now on the values are kept fresh.
  ThrottleVerdict Look();
  // 1/2 to 1: how much of its time and size a chunk may have.
  double pace() const { return pace_.load(std::memory_order_relaxed); }
  // An application works through the proxies, as their p99 tells (where it is looked at): row locks and the bytes of one commit
  // hold it up for about as long as a chunk lasts.
  bool application() const { return application_.load(std::memory_order_relaxed); }
  std::vector<ThrottleValue> Values() const;

  // Around each chunk.
  class Working {
   public:
    explicit Working(Throttle* throttle) : throttle_(throttle) {
      if (throttle_ != nullptr) ++throttle_->working_;
    }
    ~Working() {
      if (throttle_ == nullptr) return;
      throttle_->worked_at_ = std::chrono::steady_clock::now().time_since_epoch().count();
      --throttle_->working_;
    }
    Working(const Working&) = delete;

   private:
    Throttle* throttle_;
  };

 private:
  void Run();
  absl::Status Poll();
  absl::Status ReadServer(std::vector<ThrottleValue>* values);
  absl::Status ReadStorage(std::vector<ThrottleValue>* values);
  absl::Status ReadLatency(std::vector<ThrottleValue>* values);
  absl::Status Publish(const std::vector<ThrottleValue>& values);
  void Judge(const std::vector<ThrottleValue>& values);
  std::chrono::steady_clock::duration Quiet() const;  // since the last chunk

  const config::Config config_;
  mutable std::mutex mutex_;  // the members up to the next blank line
  std::condition_variable wake_;
  bool stop_ = false;
  ThrottleVerdict verdict_{true, false, "its first look at the servers is not over"};
  std::vector<ThrottleValue> values_;
  std::chrono::steady_clock::time_point wanted_;

  std::atomic<int> working_{0};
  std::atomic<int64_t> worked_at_{0};
  std::atomic<double> pace_{1};
  std::atomic<bool> application_{false};
  std::thread thread_;

  // The thread's own.
  std::optional<Connection> connection_;
  std::unique_ptr<Replicas> replicas_;
  BinlogRate binlog_rate_;
  std::optional<double> rest_p99_;  // milliseconds, while nothing of ours runs
  double p99_ = 0;
  bool risen_ = false;
  std::chrono::steady_clock::time_point rest_measured_, published_;
  std::string published_reason_;
};

}  // namespace crossfade::backfill
