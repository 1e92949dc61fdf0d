// SPDX-License-Identifier: Apache-2.0
// A TCP relay on loopback between a proxy and its server that a test can cut and hold, as a network would.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/statusor.h"

namespace crossfade::servers {

class Relay {
 public:
  // Listens on a free port of 127.0.0.1 and connects to 127.0.0.1:`target`.
  static absl::StatusOr<std::unique_ptr<Relay>> Start(int target);
  ~Relay();

  int port() const { return port_; }
  std::string address() const;  // "127.0.0.1:PORT"

  void Cut() { cut_ = true; }            // closes what is open; whoever connects until Join is closed at once
  void Hold() { held_ = true; }          // nothing moves any more; connections stay as they are
  // Holds once a client has sent this text: that packet still arrives, and its answer does not.
  void HoldBehind(std::string text) {
    const std::lock_guard lock(mutex_);
    hold_behind_ = std::move(text);
  }
  bool held() const { return held_; }
  // Whatever is sent from now on arrives so much later, in either direction: a round trip takes twice that.
  void Delay(std::chrono::microseconds each_way) { delay_ = each_way; }
  void Join() { cut_ = held_ = false; }  // as before; what was held goes on its way

 private:
  Relay() = default;
  void Run();
  bool HoldsNow(const std::string& sent);

  std::mutex mutex_;
  std::string hold_behind_;  // empty: nothing
  int listener_ = -1, port_ = 0, target_ = 0;
  std::atomic<bool> cut_{false}, held_{false}, stop_{false};
  std::atomic<std::chrono::microseconds> delay_{std::chrono::microseconds(0)};
  std::thread thread_;
};

}  // namespace crossfade::servers
