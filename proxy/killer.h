// SPDX-License-Identifier: Apache-2.0
// KILL QUERY for statements that ran into limits.statement_timeout, on a thread and a connection of its own, as the
// control user. Before it kills it looks for the thread in the process list and compares the port it came from: behind
// an address there may be more than one server, and thread ids are each server's own.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "backfill/connection.h"
#include "config/config.h"

namespace crossfade::proxy {

class Server;

class Killer {
 public:
  struct Order {
    uint32_t io_thread = 0;
    uint64_t session = 0;      // told by IoThread::KillDone; 0: nobody waits
    uint32_t thread_id = 0;    // the backend's
    uint16_t port = 0;         // that the backend sees this connection come from; 0: a unix socket
    bool connection = false;   // KILL CONNECTION
  };
  Killer(Server* server, std::shared_ptr<const config::Config> config);
  ~Killer();  // orders that are left are dropped

  void Give(const Order& order);  // from any thread

 private:
  void Run();
  bool Kill(backfill::Connection* connection, const Order& order);

  Server* const server_;
  const std::shared_ptr<const config::Config> config_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Order> orders_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace crossfade::proxy
