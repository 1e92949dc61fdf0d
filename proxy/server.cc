// SPDX-License-Identifier: Apache-2.0
// See server.h. One acceptor for each listener, on the first io thread; new sockets go round to all threads.
#include "proxy/server.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <thread>

#include "fmt/format.h"
#include "protocol/reply.h"
#include "protocol/frame.h"
#include "proxy/control_thread.h"
#include "proxy/session.h"
#include "spdlog/spdlog.h"

namespace crossfade::proxy {
namespace asio = boost::asio;

namespace {

// Two descriptors for each client, and some.
void RaiseFileLimit(uint32_t connections) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = 2ull * connections + 256;
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void RefuseConnection(Socket* socket) {
  std::string frames;
  protocol::AppendFrames(protocol::BuildErr(1040, "08004", "Too many connections", protocol::kClientProtocol41), 0, &frames);
  (void)::send(socket->native_handle(), frames.data(), frames.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

Server::Server(std::shared_ptr<const config::Config> config) : config_(std::move(config)) {}

Server::~Server() { Stop(); }

absl::Status Server::Start() {
  RaiseFileLimit(config_->limits.max_connections);
  rsa_key_ = std::async(std::launch::async, [] { return protocol::RsaKey::Generate(); }).share();

  for (const config::Backend& spec : config_->backends) {
    auto backend = std::make_unique<BackendContext>();
    backend->spec = spec;
    absl::StatusOr<Address> address = ParseAddress(spec.address);
    if (!address.ok()) return address.status();
    backend->address = *std::move(address);
    absl::StatusOr<std::vector<Endpoint>> endpoints = Resolve(backend->address);
    if (endpoints.ok()) {
      backend->endpoints = *std::move(endpoints);
    } else {
      spdlog::warn("backend {}: {}", spec.name, std::string(endpoints.status().message()));
    }
    absl::StatusOr<SslCtxPtr> tls = MakeBackendTls(spec);
    if (!tls.ok()) return tls.status();
    backend->tls = *std::move(tls);
    backends_.push_back(std::move(backend));
  }

  uint32_t threads = config_->limits.io_threads;
  if (threads == 0) threads = std::max(1u, std::thread::hardware_concurrency());
  for (uint32_t i = 0; i < std::min(threads, 256u); ++i) threads_.push_back(std::make_unique<IoThread>(this, i));

  for (const config::Listener& spec : config_->listeners) {
    auto listener = std::make_unique<ListenerContext>();
    listener->spec = spec;
    for (const auto& backend : backends_) {
      if (backend->spec.name == spec.backend) listener->backend = backend.get();
    }
    if (listener->backend == nullptr) return absl::InvalidArgumentError(fmt::format("no backend named {}", spec.backend));
    absl::Status bound = Bind(listener.get());
    if (!bound.ok()) return bound;
    listeners_.push_back(std::move(listener));
  }
  if (!config_->migrations.empty()) {
    control_ = std::make_unique<ControlThread>(this, config_);
    control_->Start();
  }
  for (size_t i = 0; i < acceptors_.size(); ++i) {
    asio::co_spawn(threads_[0]->io(), Accept(this, acceptors_[i].get(), listeners_[i].get()), asio::detached);
  }
  for (auto& thread : threads_) thread->Start();
  started_ = true;
  return absl::OkStatus();
}

absl::Status Server::Bind(ListenerContext* listener) {
  const std::string& text = listener->spec.address;
  absl::StatusOr<Address> address = ParseAddress(text);
  if (!address.ok()) return address.status();
  listener->address = *std::move(address);
  absl::StatusOr<SslCtxPtr> tls = MakeListenerTls(listener->spec);
  if (!tls.ok()) return tls.status();
  listener->tls = *std::move(tls);
  absl::StatusOr<std::vector<Endpoint>> endpoints = Resolve(listener->address);
  if (!endpoints.ok()) return endpoints.status();
  const Endpoint& endpoint = endpoints->front();
  auto acceptor = std::make_unique<Acceptor>(threads_[0]->io());
  ErrorCode ec;
  acceptor->open(endpoint.protocol(), ec);
  if (!ec && listener->address.is_unix) {
    struct stat found {};
    // A socket file that a killed proxy left behind; anything else stays.
    if (::lstat(listener->address.host.c_str(), &found) == 0 && S_ISSOCK(found.st_mode)) {
      Socket probe(threads_[0]->io());
      ErrorCode alive;
      probe.connect(endpoint, alive);
      if (!alive) return absl::AlreadyExistsError(fmt::format("{}: in use", text));
      ::unlink(listener->address.host.c_str());
    }
  }
  if (!ec && !listener->address.is_unix) acceptor->set_option(asio::socket_base::reuse_address(true), ec);
  if (!ec) acceptor->bind(endpoint, ec);
  if (!ec) acceptor->listen(4096, ec);
  if (ec) return absl::UnavailableError(fmt::format("cannot listen on {}: {}", text, ec.message()));
  acceptors_.push_back(std::move(acceptor));
  return absl::OkStatus();
}

uint16_t Server::port(size_t listener) const {
  ErrorCode ec;
  const Endpoint local = acceptors_[listener]->local_endpoint(ec);
  sockaddr_storage storage{};
  std::memcpy(&storage, local.data(), std::min(local.size(), sizeof(storage)));
  if (storage.ss_family == AF_INET) return ntohs(reinterpret_cast<sockaddr_in*>(&storage)->sin_port);
  if (storage.ss_family == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port);
  return 0;
}

awaitable<void> Server::Accept(Server* server, Acceptor* acceptor, const ListenerContext* listener) {
  for (;;) {
    IoThread* thread = server->threads_[server->next_thread_++ % server->threads_.size()].get();
    auto [ec, socket] = co_await acceptor->async_accept(thread->io(), kAsTuple);
    if (ec == asio::error::operation_aborted || ec == asio::error::bad_descriptor) co_return;
    if (ec) {
      spdlog::error("accept on {}: {}", listener->spec.address, ec.message());
      asio::steady_timer pause(server->threads_[0]->io(), std::chrono::milliseconds(100));
      (void)co_await pause.async_wait(kAsTuple);
      continue;
    }
    if (server->connections_.fetch_add(1, std::memory_order_relaxed) >= server->config_->limits.max_connections) {
      server->connections_.fetch_sub(1, std::memory_order_relaxed);
      RefuseConnection(&socket);
      continue;
    }
    if (thread->index() == 0) {
      thread->Adopt(std::move(socket), listener);
    } else {
      asio::post(thread->io(), [thread, listener, socket = std::move(socket)]() mutable {
        thread->Adopt(std::move(socket), listener);
      });
    }
  }
}

void Server::Reload(std::shared_ptr<const config::Config> config) {
  if (control_ != nullptr) {
    control_->Reload(std::move(config));
  } else if (!config->migrations.empty()) {
    spdlog::warn("the first migration was declared: it takes effect after a restart");
  }
}

void Server::Stop() {
  if (!started_ || stopped_) return;
  stopped_ = true;
  asio::post(threads_[0]->io(), [this] {
    for (auto& acceptor : acceptors_) {
      ErrorCode ignored;
      acceptor->close(ignored);
    }
  });
  for (auto& listener : listeners_) {
    if (listener->address.is_unix) ::unlink(listener->address.host.c_str());
  }
  const auto wait_until = [this](std::chrono::steady_clock::time_point limit) {
    while (connections_.load() > 0 && std::chrono::steady_clock::now() < limit) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  };
  for (auto& thread : threads_) thread->StartDrain();
  wait_until(std::chrono::steady_clock::now() + config_->limits.drain_timeout);
  if (connections_.load() > 0) spdlog::warn("{} sessions did not end in time and are closed", connections_.load());
  for (auto& thread : threads_) thread->CloseSessions();
  wait_until(std::chrono::steady_clock::now() + std::chrono::seconds(2));
  if (control_ != nullptr) control_->Stop();
  for (auto& thread : threads_) thread->Join();
}

}  // namespace crossfade::proxy
