// SPDX-License-Identifier: Apache-2.0
// What `crossfade serve` runs: listeners, io threads, the control thread and the migrator; start, reload and stop.
#pragma once

#include <atomic>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "config/config.h"
#include "protocol/handshake.h"
#include "proxy/address.h"
#include "proxy/admission.h"
#include "proxy/certificate.h"
#include "proxy/io_thread.h"
#include "proxy/tls.h"

namespace crossfade::proxy {

class ControlThread;
class Killer;

// Both live as long as the server: sessions go on with those they came in with, whatever the file says by now.
struct BackendContext {
  config::Backend spec;
  Address address;
  std::vector<Endpoint> endpoints;  // empty: the name did not resolve at start and is asked for at each connect
  TlsSlot tls;
};

struct ListenerContext {
  config::Listener spec;
  Address address;
  TlsSlot tls;
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

  // A changed file: migrations and their phases take effect, and listeners and backends for new sessions; limits and
  // control need a restart. Where a listener cannot be had as the file wants it, all of them stay as they are.
  void Reload(std::shared_ptr<const config::Config> config);
  // Certificates and keys are read again; those that do not fit together are logged and the old ones stay.
  void ReloadTls();
  std::vector<std::string> TlsFiles() const;  // what ReloadTls would read
  // Stops accepting, lets sessions finish for limits.drain_timeout, closes the rest. Returns when all has ended.
  void Stop();

  const config::Config& config() const { return *config_; }  // as started with
  const std::vector<std::unique_ptr<IoThread>>& threads() const { return threads_; }
  ControlThread* control() const { return control_.get(); }  // null: no migrations were ever declared
  // Made in the background, as it takes a while; waits for it. An error: OpenSSL could not.
  const absl::StatusOr<protocol::RsaKey>& rsa_key() const { return rsa_key_.get(); }
  std::atomic<uint32_t>& connections() { return connections_; }
  Admission& admission() { return admission_; }
  Killer* killer() const { return killer_.get(); }  // null: nothing to kill by

 private:
  using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::generic::stream_protocol,
                                                      boost::asio::io_context::executor_type>;
  // An address that is listened on, and what its next client gets. Touched by the main thread; Accept reads `context`.
  struct Slot {
    explicit Slot(IoThread* thread) : acceptor(thread->io()) {}
    Acceptor acceptor;
    std::atomic<const ListenerContext*> context{nullptr};
  };
  absl::StatusOr<std::unique_ptr<BackendContext>> MakeBackend(const config::Backend& spec);
  absl::StatusOr<std::unique_ptr<ListenerContext>> MakeListener(const config::Listener& spec);
  absl::StatusOr<SslCtxPtr> ListenerTls(const config::Listener& spec);
  absl::StatusOr<std::unique_ptr<Slot>> Bind(const ListenerContext& listener);
  absl::Status Listen(const config::Config& config);
  void CloseSlot(Slot* slot);
  IoThread* LeastLoaded() const;
  static awaitable<void> Accept(Server* server, Slot* slot);
  // Takes one client that waits, to the thread with the fewest. The error is accept's, or no_memory: the client is closed, others may come.
  ErrorCode AcceptOne(Slot* slot);

  std::shared_ptr<const config::Config> config_;
  std::shared_future<absl::StatusOr<protocol::RsaKey>> rsa_key_;
  std::vector<std::unique_ptr<BackendContext>> backends_;    // all there ever were, as are listeners_
  std::vector<std::unique_ptr<ListenerContext>> listeners_;
  std::map<std::string, BackendContext*> current_backends_;  // by name
  std::unique_ptr<CertificatePem> made_certificate_;         // in memory, for listeners without a folder
  Admission admission_;
  std::vector<std::unique_ptr<IoThread>> threads_;
  std::vector<std::unique_ptr<Slot>> slots_, closed_slots_;  // acceptors are on thread 0; slots_ in the file's order
  std::unique_ptr<Killer> killer_;
  std::unique_ptr<ControlThread> control_;
  std::atomic<uint32_t> connections_{0};
  bool started_ = false, stopped_ = false;
};

}  // namespace crossfade::proxy
