// SPDX-License-Identifier: Apache-2.0
// A client that sends any bytes and gives back exactly those that come: it knows no reply's shape. Where the replies to
// what it sent end it sees by a marker, a query sent right behind: so every exchange is a pipelined one.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <utility>

#include "protocol/codec.h"
#include "protocol/frame.h"
#include "protocol/handshake.h"

namespace crossfade::wire {

inline std::string Frame(std::string_view payload, uint8_t sequence = 0) {
  std::string out;
  protocol::AppendFrames(payload, sequence, &out);
  return out;
}

class RawClient {
 public:
  RawClient(int port, uint64_t capabilities, const std::string& schema) {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    int one = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return;
    const auto greeting = protocol::ParseGreeting(Packet());
    if (!greeting.ok()) return;
    thread_id_ = greeting->thread_id;
    protocol::Login login;
    login.capabilities = capabilities & greeting->capabilities;
    login.capabilities |= protocol::kClientProtocol41 | protocol::kClientSecureConnection | protocol::kClientPluginAuth | protocol::kClientConnectWithDb;
    login.max_packet = 1 << 30;
    login.charset = 45;
    login.user = "root";
    login.database = schema;
    login.auth_plugin = greeting->auth_plugin == "caching_sha2_password" ? "caching_sha2_password" : "mysql_native_password";
    capabilities_ = login.capabilities;
    Send(Frame(protocol::BuildLogin(login), 1));
    const std::string answer = Packet();
    connected_ = !answer.empty() && answer[0] == 0;
  }
  RawClient(const RawClient&) = delete;
  ~RawClient() {
    if (fd_ >= 0) ::close(fd_);
  }
  bool connected() const { return connected_; }
  uint32_t thread_id() const { return thread_id_; }
  uint64_t capabilities() const { return capabilities_; }

  std::string Query(std::string_view sql) const {
    std::string payload = "\x03";
    if (capabilities_ & protocol::kClientQueryAttributes) payload += std::string_view("\x00\x01", 2);
    return Frame(payload.append(sql));
  }

  // Sends `bytes` and a marker, cut in two at `cut`. All that comes back up to and with the marker's reply; to the end
  // where the connection is closed or nothing comes for ten seconds.
  std::string Exchange(std::string_view bytes, size_t cut = std::string_view::npos) {
    std::string all(bytes);
    all += Query("select 'marker-7f3a' as x");
    cut = std::min(cut, all.size());
    Send(std::string_view(all).substr(0, cut));
    if (cut < all.size()) {
      if (cut > 0 && cut % 7 == 0) ::usleep(500);
      Send(std::string_view(all).substr(cut));
    }
    constexpr std::string_view kRow = "\x0bmarker-7f3a";
    std::string got;
    for (size_t from = 0;;) {
      const size_t row = got.find(kRow, from);
      if (row != std::string::npos) {
        const size_t end = row + kRow.size() + protocol::kFrameHeader;
        if (got.size() >= end && got.size() >= end + protocol::ParseFrameHeader(got.data() + end - protocol::kFrameHeader).length) return got;
      } else {
        from = got.size() < kRow.size() ? 0 : got.size() - kRow.size();
      }
      if (!Receive(&got)) return got + "<end>";
    }
  }
  void Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }
  // What has come; false: closed, or nothing for `wait_ms`.
  bool Receive(std::string* out, int wait_ms = 10'000) {
    pollfd p{fd_, POLLIN, 0};
    char chunk[65536];
    if (::poll(&p, 1, wait_ms) <= 0) return false;
    const ssize_t n = ::recv(fd_, chunk, sizeof chunk, 0);
    if (n <= 0) return false;
    out->append(chunk, static_cast<size_t>(n));
    return true;
  }

 private:
  std::string Packet() {
    std::string got;
    while (got.size() < 4 || got.size() < 4 + protocol::ParseFrameHeader(got.data()).length) {
      if (!Receive(&got)) return "";
    }
    return got.substr(4);
  }
  int fd_ = -1;
  bool connected_ = false;
  uint32_t thread_id_ = 0;
  uint64_t capabilities_ = 0;
};

}  // namespace crossfade::wire
