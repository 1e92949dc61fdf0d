// SPDX-License-Identifier: Apache-2.0
// See server.h. One acceptor for each listener, on the first io thread; a new socket goes to the thread with the fewest.
#include "proxy/server.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <thread>
#include <tuple>

#include "fmt/format.h"
#include "protocol/reply.h"
#include "protocol/frame.h"
#include "proxy/control_thread.h"
#include "proxy/killer.h"
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
  protocol::AppendFrames(protocol::BuildErr(1040, "", "Too many connections", 0), 0, &frames);  // no SQLSTATE ahead of a greeting
  (void)::send(socket->native_handle(), frames.data(), frames.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

Server::Server(std::shared_ptr<const config::Config> config) : config_(std::move(config)) {}

Server::~Server() { Stop(); }

absl::Status Server::Start() {
  RaiseFileLimit(config_->limits.max_connections);
  rsa_key_ = std::async(std::launch::async, [] { return protocol::RsaKey::Generate(); }).share();

  uint32_t threads = config_->limits.io_threads;
  if (threads == 0) threads = std::max(1u, std::thread::hardware_concurrency());
  for (uint32_t i = 0; i < std::min(threads, 256u); ++i) threads_.push_back(std::make_unique<IoThread>(this, i));
  absl::Status listening = Listen(*config_);
  if (!listening.ok()) return listening;
  if (!config_->migrations.empty()) {
    control_ = std::make_unique<ControlThread>(this, config_);
    control_->Start();
  }
  if (config_->limits.statement_timeout.count() > 0) killer_ = std::make_unique<Killer>(this, config_);
  for (auto& thread : threads_) thread->Start();
  started_ = true;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<BackendContext>> Server::MakeBackend(const config::Backend& spec) {
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
  backend->tls.Set(*std::move(tls));
  return backend;
}

absl::StatusOr<SslCtxPtr> Server::ListenerTls(const config::Listener& spec) {
  if (!spec.tls_generate) return MakeListenerTls(spec, nullptr);
  if (!spec.tls_folder.empty()) {
    absl::StatusOr<CertificatePem> pem = CertificateIn(spec.tls_folder);
    if (!pem.ok()) return pem.status();
    return MakeListenerTls(spec, &*pem);
  }
  if (made_certificate_ == nullptr) {
    absl::StatusOr<CertificatePem> pem = MakeCertificate();
    if (!pem.ok()) return pem.status();
    made_certificate_ = std::make_unique<CertificatePem>(*std::move(pem));
  }
  return MakeListenerTls(spec, made_certificate_.get());
}

absl::StatusOr<std::unique_ptr<ListenerContext>> Server::MakeListener(const config::Listener& spec) {
  auto listener = std::make_unique<ListenerContext>();
  listener->spec = spec;
  absl::StatusOr<Address> address = ParseAddress(spec.address);
  if (!address.ok()) return address.status();
  listener->address = *std::move(address);
  absl::StatusOr<SslCtxPtr> tls = ListenerTls(spec);
  if (!tls.ok()) return tls.status();
  listener->tls.Set(*std::move(tls));
  return listener;
}

absl::StatusOr<std::unique_ptr<Server::Slot>> Server::Bind(const ListenerContext& listener) {
  const std::string& text = listener.spec.address;
  absl::StatusOr<std::vector<Endpoint>> endpoints = Resolve(listener.address);
  if (!endpoints.ok()) return endpoints.status();
  const Endpoint& endpoint = endpoints->front();
  auto slot = std::make_unique<Slot>(threads_[0].get());
  Acceptor& acceptor = slot->acceptor;
  ErrorCode ec;
  acceptor.open(endpoint.protocol(), ec);
  if (!ec && listener.address.is_unix) {
    struct stat found {};
    // A socket file that a killed proxy left behind; anything else stays.
    if (::lstat(listener.address.host.c_str(), &found) == 0 && S_ISSOCK(found.st_mode)) {
      Socket probe(threads_[0]->io());
      ErrorCode alive;
      probe.connect(endpoint, alive);
      if (!alive) return absl::AlreadyExistsError(fmt::format("{}: in use", text));
      ::unlink(listener.address.host.c_str());
    }
  }
  if (!ec && !listener.address.is_unix) acceptor.set_option(asio::socket_base::reuse_address(true), ec);
  if (!ec) acceptor.bind(endpoint, ec);
  if (!ec) acceptor.listen(4096, ec);
  if (!ec) acceptor.non_blocking(true, ec);
  // Else accept() waits for the next client when it finds one that has given up, and the whole thread with it.
  if (!ec) acceptor.set_option(asio::socket_base::enable_connection_aborted(true), ec);
  if (ec) return absl::UnavailableError(fmt::format("cannot listen on {}: {}", text, ec.message()));
  return slot;
}

// Brings what is listened on to what `config` says: all of it, or none.
absl::Status Server::Listen(const config::Config& config) {
  std::map<std::string, BackendContext*> backends;
  std::vector<std::unique_ptr<BackendContext>> new_backends;
  for (const config::Backend& spec : config.backends) {
    const auto current = current_backends_.find(spec.name);
    if (current != current_backends_.end() && current->second->spec == spec) {
      backends[spec.name] = current->second;
      continue;
    }
    absl::StatusOr<std::unique_ptr<BackendContext>> made = MakeBackend(spec);
    if (!made.ok()) return made.status();
    backends[spec.name] = made->get();
    new_backends.push_back(*std::move(made));
  }

  struct Wanted {
    const ListenerContext* context = nullptr;  // as it is now
    std::unique_ptr<ListenerContext> made;
    Slot* slot = nullptr;
    std::unique_ptr<Slot> bound;
  };
  std::vector<Wanted> wanted(config.listeners.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    const config::Listener& spec = config.listeners[i];
    if (backends.find(spec.backend) == backends.end()) return absl::InvalidArgumentError(fmt::format("no backend named {}", spec.backend));
    const BackendContext* backend = backends[spec.backend];
    for (const auto& slot : slots_) {
      const ListenerContext* context = slot->context.load();
      if (context->spec.address != spec.address) continue;
      wanted[i].slot = slot.get();
      if (context->spec == spec && context->backend == backend) wanted[i].context = context;
    }
    if (wanted[i].context != nullptr) continue;
    absl::StatusOr<std::unique_ptr<ListenerContext>> made = MakeListener(spec);
    if (!made.ok()) return made.status();
    (*made)->backend = backend;
    wanted[i].made = *std::move(made);
    if (wanted[i].slot != nullptr) continue;
    absl::StatusOr<std::unique_ptr<Slot>> bound = Bind(*wanted[i].made);
    if (!bound.ok()) return bound.status();
    wanted[i].bound = *std::move(bound);
  }

  // From here on nothing can fail.
  current_backends_ = std::move(backends);
  for (auto& backend : new_backends) backends_.push_back(std::move(backend));
  std::vector<std::unique_ptr<Slot>> old_slots = std::move(slots_);
  slots_.clear();
  for (Wanted& each : wanted) {
    if (each.made != nullptr) {
      (each.bound != nullptr ? each.bound.get() : each.slot)->context = each.made.get();
      listeners_.push_back(std::move(each.made));
    }
    if (each.bound != nullptr) {
      slots_.push_back(std::move(each.bound));
      asio::co_spawn(threads_[0]->io(), Accept(this, slots_.back().get()), asio::detached);
      if (started_) spdlog::info("listening on {}", slots_.back()->context.load()->spec.address);
      continue;
    }
    for (auto& slot : old_slots) {
      if (slot.get() == each.slot) slots_.push_back(std::move(slot));
    }
  }
  for (auto& slot : old_slots) {
    if (slot == nullptr) continue;
    spdlog::info("no longer listening on {}", slot->context.load()->spec.address);
    CloseSlot(slot.get());
    closed_slots_.push_back(std::move(slot));
  }
  return absl::OkStatus();
}

void Server::CloseSlot(Slot* slot) {
  asio::post(threads_[0]->io(), [slot] {
    ErrorCode ignored;
    slot->acceptor.close(ignored);
  });
  const Address& address = slot->context.load()->address;
  if (address.is_unix) ::unlink(address.host.c_str());
}

std::vector<std::string> Server::TlsFiles() const {
  std::vector<std::string> files;
  for (const auto& slot : slots_) {
    const config::Listener& spec = slot->context.load()->spec;
    for (const std::string& file : {spec.tls_certificate, spec.tls_key, spec.tls_client_ca}) files.push_back(file);
    if (!spec.tls_folder.empty()) files.push_back(spec.tls_folder + "/server-cert.pem");
  }
  for (const auto& [name, backend] : current_backends_) {
    for (const std::string& file : {backend->spec.ca, backend->spec.certificate, backend->spec.key}) files.push_back(file);
  }
  std::erase(files, "");
  return files;
}

void Server::ReloadTls() {
  const auto take = [](TlsSlot* slot, absl::StatusOr<SslCtxPtr> made, const std::string& what) {
    if (made.ok()) {
      slot->Set(*std::move(made));
    } else {
      spdlog::error("{}: the certificates are not taken up: {}", what, std::string(made.status().message()));
    }
  };
  for (const auto& slot : slots_) {
    for (const auto& listener : listeners_) {
      if (listener.get() == slot->context.load()) take(&listener->tls, ListenerTls(listener->spec), listener->spec.address);
    }
  }
  for (const auto& [name, backend] : current_backends_) take(&backend->tls, MakeBackendTls(backend->spec), "backend " + name);
}

uint16_t Server::port(size_t listener) const {
  ErrorCode ec;
  const Endpoint local = slots_[listener]->acceptor.local_endpoint(ec);
  sockaddr_storage storage{};
  std::memcpy(&storage, local.data(), std::min(local.size(), sizeof(storage)));
  if (storage.ss_family == AF_INET) return ntohs(reinterpret_cast<sockaddr_in*>(&storage)->sin_port);
  if (storage.ss_family == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port);
  return 0;
}

IoThread* Server::LeastLoaded() const {
  return std::min_element(threads_.begin(), threads_.end(), [](const auto& a, const auto& b) { return a->load() < b->load(); })->get();
}

awaitable<void> Server::Accept(Server* server, Slot* slot) {
  for (;;) {
    ErrorCode ec;
    std::tie(ec) = co_await slot->acceptor.async_wait(Acceptor::wait_read, kAsTuple);
    if (!ec) ec = server->AcceptOne(slot);
    if (ec == asio::error::would_block || ec == asio::error::try_again || ec == asio::error::connection_aborted) continue;
    if (ec == asio::error::operation_aborted || ec == asio::error::bad_descriptor) co_return;
    if (ec) {
      spdlog::error("accept on {}: {}", slot->context.load()->spec.address, ec.message());
      asio::steady_timer pause(server->threads_[0]->io(), std::chrono::milliseconds(100));
      (void)co_await pause.async_wait(kAsTuple);
    }
  }
}

ErrorCode Server::AcceptOne(Slot* slot) try {
  // Chosen only now: of threads with as many sessions the first is taken, this one, and nobody needs to be woken.
  IoThread* thread = LeastLoaded();
  ErrorCode ec;
  Endpoint from;
  Socket socket(thread->io());
  slot->acceptor.accept(socket, from, ec);
  if (ec) return ec;
  const ListenerContext* listener = slot->context.load();
  if (connections_.fetch_add(1, std::memory_order_relaxed) >= config_->limits.max_connections) {
    connections_.fetch_sub(1, std::memory_order_relaxed);
    threads_[0]->metrics()->Count(Refusal::kMaxConnections);
    RefuseConnection(&socket);
    return {};
  }
  const protocol::SocketAddress peer = ToSocketAddress(from);
  thread->Expect();
  if (thread->index() == 0) {
    thread->Adopt(std::move(socket), listener, peer);
    return {};
  }
  try {
    asio::post(thread->io(), [thread, listener, peer, socket = std::move(socket)]() mutable { thread->Adopt(std::move(socket), listener, peer); });
  } catch (const std::bad_alloc&) {
    thread->GiveUp();
    throw;
  }
  return {};
} catch (const std::bad_alloc&) {
  return asio::error::no_memory;
}

void Server::Reload(std::shared_ptr<const config::Config> config) {
  const absl::Status listening = Listen(*config);
  if (!listening.ok()) spdlog::error("listeners and backends stay as they are: {}", std::string(listening.message()));
  ReloadTls();
  if (control_ != nullptr) {
    control_->Reload(std::move(config));
  } else if (!config->migrations.empty()) {
    spdlog::warn("the first migration was declared: it takes effect after a restart");
  }
}

void Server::Stop() {
  if (!started_ || stopped_) return;
  stopped_ = true;
  for (auto& slot : slots_) CloseSlot(slot.get());
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
