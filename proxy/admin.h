// SPDX-License-Identifier: Apache-2.0
// The admin port: GET / (a page), /status (JSON, as `crossfade status --json`), /metrics (Prometheus), /healthz.
// Read-only, no credentials: meant for loopback or a protected network.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "backfill/throttle.h"

namespace crossfade::proxy {

class Server;

class Admin {
 public:
  Admin(boost::asio::io_context& io, Server* server) : io_(io), server_(server), acceptor_(io) {}
  absl::Status Listen(const std::string& address);
  // What the migrator's throttle sees; before Listen.
  void ShowThrottle(std::function<std::vector<backfill::ThrottleValue>()> values) { throttle_ = std::move(values); }

  // The text exposition of all counters.
  static std::string MetricsText(const Server& server, const std::vector<backfill::ThrottleValue>& throttle = {});

 private:
  boost::asio::awaitable<void> Accept();
  boost::asio::awaitable<void> Serve(boost::asio::ip::tcp::socket socket);
  boost::asio::awaitable<std::string> Status();

  boost::asio::io_context& io_;
  Server* server_;
  std::function<std::vector<backfill::ThrottleValue>()> throttle_;
  boost::asio::ip::tcp::acceptor acceptor_;
  int open_ = 0;  // connections
};

}  // namespace crossfade::proxy
