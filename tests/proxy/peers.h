// SPDX-License-Identifier: Apache-2.0
// Scripted peers: a client and a backend that send exactly the bytes a test wants, over real sockets, with the
// proxy's Server in this process between them.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "protocol/frame.h"
#include "protocol/handshake.h"
#include "protocol/reply.h"
#include "proxy/server.h"

namespace crossfade::proxy {

inline constexpr uint64_t kPeerCapabilities =
    protocol::kClientProtocol41 | protocol::kClientLongPassword | protocol::kClientSecureConnection |
    protocol::kClientPluginAuth | protocol::kClientMultiStatements | protocol::kClientMultiResults |
    protocol::kClientTransactions | protocol::kClientLocalFiles | protocol::kClientDeprecateEof;

// As `serve` does: OpenSSL writes to sockets without MSG_NOSIGNAL.
inline const auto kSigpipeIgnored = std::signal(SIGPIPE, SIG_IGN);

// A blocking socket; every wait ends after five seconds.
class Peer {
 public:
  explicit Peer(int fd) : fd_(fd) {}
  Peer(Peer&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Peer() { Close(); }
  void Close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int fd() const { return fd_; }
  void ShutdownWrite() { ::shutdown(fd_, SHUT_WR); }
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  bool SendMessage(std::string_view payload, uint8_t sequence) {
    std::string frames;
    protocol::AppendFrames(payload, sequence, &frames);
    return Send(frames);
  }
  // Exactly n bytes; fewer: closed or timed out.
  std::string Receive(size_t n) {
    std::string out;
    char chunk[65536];
    while (out.size() < n && Readable()) {
      const ssize_t got = ::recv(fd_, chunk, std::min(sizeof(chunk), n - out.size()), 0);
      if (got <= 0) break;
      out.append(chunk, static_cast<size_t>(got));
    }
    return out;
  }
  // One frame's payload; nullopt: closed.
  std::optional<std::string> ReceiveFrame(uint8_t* sequence = nullptr) {
    const std::string header = Receive(4);
    if (header.size() < 4) return std::nullopt;
    const protocol::FrameHeader frame = protocol::ParseFrameHeader(header.data());
    if (sequence != nullptr) *sequence = frame.sequence;
    std::string payload = Receive(frame.length);
    if (payload.size() < frame.length) return std::nullopt;
    return payload;
  }
  // True once the other side has closed and nothing is left to read.
  bool AtEnd() {
    char byte;
    return Readable() && ::recv(fd_, &byte, 1, 0) <= 0;
  }
  bool Quiet(int ms) {
    pollfd p{fd_, POLLIN, 0};
    return ::poll(&p, 1, ms) == 0;
  }

 private:
  bool Readable() {
    pollfd p{fd_, POLLIN, 0};
    return ::poll(&p, 1, 5000) > 0;
  }
  int fd_;
};

inline Peer ConnectTo(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    ::close(fd);
    return Peer(-1);
  }
  return Peer(fd);
}

// Runs `script` with each connection it gets, one thread each.
class ScriptedBackend {
 public:
  using Script = std::function<void(Peer&)>;
  explicit ScriptedBackend(Script script) : script_(std::move(script)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
    ::listen(listener_, 64);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] {
      for (;;) {
        const int fd = ::accept(listener_, nullptr, nullptr);
        if (fd < 0) return;
        threads_.emplace_back([this, fd] {
          Peer peer(fd);
          script_(peer);
        });
      }
    });
  }
  ~ScriptedBackend() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    for (std::thread& each : threads_) each.join();
    ::close(listener_);
  }
  uint16_t port() const { return port_; }

 private:
  Script script_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::thread thread_;
  std::vector<std::thread> threads_;
};

inline std::string OkPayload(uint16_t status = protocol::kStatusAutocommit) {
  protocol::OkPacket ok;
  ok.status = status;
  return protocol::BuildOk(ok, kPeerCapabilities);
}

inline std::string GreetingPayload() {
  protocol::Greeting greeting;
  greeting.server_version = "8.0.36";
  greeting.thread_id = 7;
  greeting.scramble = "abcdefghijklmnopqrst";
  greeting.capabilities = kPeerCapabilities;
  greeting.charset = 45;
  greeting.status = protocol::kStatusAutocommit;
  greeting.auth_plugin = "mysql_native_password";
  return protocol::BuildGreeting(greeting);
}

// The backend's half of a login that succeeds.
inline bool BackendLogin(Peer& peer) {
  if (!peer.SendMessage(GreetingPayload(), 0)) return false;
  uint8_t sequence = 0;
  if (!peer.ReceiveFrame(&sequence)) return false;
  return peer.SendMessage(OkPayload(), static_cast<uint8_t>(sequence + 1));
}

inline std::string LoginPayload() {
  protocol::Login login;
  login.capabilities = kPeerCapabilities;
  login.max_packet = 1 << 24;
  login.charset = 45;
  login.user = "someone";
  login.auth_plugin = "mysql_native_password";
  return protocol::BuildLogin(login);
}

// The client's half. True: it is in.
inline bool ClientLogin(Peer& peer) {
  if (!peer.ReceiveFrame()) return false;
  if (!peer.SendMessage(LoginPayload(), 1)) return false;
  const auto reply = peer.ReceiveFrame();
  return reply && !reply->empty() && (*reply)[0] == 0;
}

inline std::string QueryPayload(std::string_view sql) { return std::string("\x03") + std::string(sql); }

// A proxy on a free port, in front of `backend_port`.
class ProxyUnderTest {
 public:
  explicit ProxyUnderTest(uint16_t backend_port, const std::function<void(config::Config*)>& adjust = nullptr) {
    auto config = std::make_shared<config::Config>();
    config->backends.push_back({"b", "127.0.0.1:" + std::to_string(backend_port), config::TlsMode::kDisabled, ""});
    config->listeners.push_back({"127.0.0.1:0", "b", "", ""});
    config->limits.io_threads = 1;
    config->limits.drain_timeout = std::chrono::milliseconds(200);
    if (adjust) adjust(config.get());
    server_ = std::make_unique<Server>(config);
    status_ = server_->Start();
  }
  const absl::Status& status() const { return status_; }
  uint16_t port() const { return server_->port(0); }
  Server& server() { return *server_; }

 private:
  std::unique_ptr<Server> server_;
  absl::Status status_;
};

}  // namespace crossfade::proxy
