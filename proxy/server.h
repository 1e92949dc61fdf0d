// SPDX-License-Identifier: Apache-2.0
// What `crossfade serve` runs: listeners, io threads, the control thread and the migrator; start, reload and stop.
#pragma once

#include <atomic>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "config/config.h"
#include "protocol/handshake.h"
#include "proxy/address.h"
#include "proxy/io_thread.h"
#include "proxy/tls.h"

namespace crossfade::proxy {

class ControlThread;

struct BackendContext {
  config::Backend spec;
  Address address;
  std::vector<Endpoint> endpoints;  // empty: the name did not resolve at start and is asked for at each connect
  SslCtxPtr tls;                    // null: disabled
};

struct ListenerContext {
  config::Listener spec;
  Address address;
  SslCtxPtr tls;  // null: not offered
  const BackendContext* backend = nullptr;
};

class Server {
 public:
  explicit Server(std::shared_ptr<const config::Config> config);
  ~Server();

  // Binds, starts the threads. Errors: what could not be bound or loaded.
  absl::Status Start();
  // The port a listener got (for tests, which bind port 0).
  uint16_t port(size_t listener) const;

  // A changed file: migrations and their phases take effect; listeners, backends and limits need a restart.
  void Reload(std::shared_ptr<const config::Config> config);
  // Stops accepting, lets sessions finish for limits.drain_timeout, closes the rest. Returns when all has ended.
  void Stop();

  const config::Config& config() const { return *config_; }  // as started with
  const std::vector<std::unique_ptr<IoThread>>& threads() const { return threads_; }
  ControlThread* control() const { return control_.get(); }  // null: no migrations were ever declared
  // Made in the background, as it takes a while; waits for it. An error: OpenSSL could not.
  const absl::StatusOr<protocol::RsaKey>& rsa_key() const { return rsa_key_.get(); }
  std::atomic<uint32_t>& connections() { return connections_; }

 private:
  using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::generic::stream_protocol,
                                                      boost::asio::io_context::executor_type>;
  absl::Status Bind(ListenerContext* listener);
  static boost::asio::awaitable<void> Accept(Server* server, Acceptor* acceptor, const ListenerContext* listener);

  std::shared_ptr<const config::Config> config_;
  std::shared_future<absl::StatusOr<protocol::RsaKey>> rsa_key_;
  std::vector<std::unique_ptr<BackendContext>> backends_;
  std::vector<std::unique_ptr<ListenerContext>> listeners_;
  std::vector<std::unique_ptr<IoThread>> threads_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;  // all on thread 0
  std::unique_ptr<ControlThread> control_;
  std::atomic<uint32_t> connections_{0};
  uint32_t next_thread_ = 0;
  bool started_ = false, stopped_ = false;
};

}  // namespace crossfade::proxy
