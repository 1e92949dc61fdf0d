// SPDX-License-Identifier: Apache-2.0
// Sessions of one io thread wait here for something the control thread brings: a snapshot, a block of keys.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <vector>

#include "proxy/awaitable.h"

namespace crossfade::proxy {

class Event {
 public:
  explicit Event(boost::asio::io_context& io) : io_(io) {}

  // Returns after the next Notify, or after `limit`. Who waits looks again at what it waits for.
  awaitable<void> Wait(std::chrono::milliseconds limit) {
    boost::asio::steady_timer timer(io_, limit);
    waiting_.push_back(&timer);
    (void)co_await timer.async_wait(kAsTuple);
    std::erase(waiting_, &timer);
  }
  void Notify() {
    for (boost::asio::steady_timer* timer : waiting_) timer->cancel();
  }

 private:
  boost::asio::io_context& io_;
  std::vector<boost::asio::steady_timer*> waiting_;
};

}  // namespace crossfade::proxy
