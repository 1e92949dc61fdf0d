// SPDX-License-Identifier: Apache-2.0
// See relay.h. One thread and poll(): a test has a few dozen connections.
#include "tests/servers/relay.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "fmt/format.h"

namespace crossfade::servers {
namespace {

constexpr int kTick = 5;  // milliseconds: how soon Cut, Hold and Join are seen
constexpr size_t kMostWaiting = 1 << 20;

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// Of one connection: bytes from each end that wait for the other.
struct Pair {
  int ends[2] = {-1, -1};
  std::string waiting[2];  // [i]: read from ends[i]
  bool ended[2] = {false, false};
  bool broken = false;

  void Read(int i) {
    char bytes[65536];
    const ssize_t n = ::read(ends[i], bytes, sizeof bytes);
    if (n > 0) waiting[i].append(bytes, static_cast<size_t>(n));
    else if (n == 0) ended[i] = true;
    else if (errno != EAGAIN) broken = true;
  }
  void Write(int i) {
    while (!waiting[i].empty()) {
      const ssize_t n = ::send(ends[1 - i], waiting[i].data(), waiting[i].size(), MSG_NOSIGNAL);
      if (n <= 0) {
        broken = broken || errno != EAGAIN;
        return;
      }
      waiting[i].erase(0, static_cast<size_t>(n));
    }
    if (ended[i]) ::shutdown(ends[1 - i], SHUT_WR);
  }
  bool over() const { return broken || (ended[0] && ended[1] && waiting[0].empty() && waiting[1].empty()); }
  void Close() const {
    for (int end : ends) ::close(end);
  }
};

}  // namespace

absl::StatusOr<std::unique_ptr<Relay>> Relay::Start(int target) {
  std::unique_ptr<Relay> relay(new Relay);
  relay->target_ = target;
  relay->listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  if (::bind(relay->listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(relay->listener_, 64) != 0 ||
      ::getsockname(relay->listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return absl::InternalError(std::string("the relay cannot listen"));
  }
  relay->port_ = ntohs(address.sin_port);
  relay->thread_ = std::thread([relay = relay.get()] { relay->Run(); });
  return relay;
}

Relay::~Relay() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
  if (listener_ >= 0) ::close(listener_);
}

std::string Relay::address() const { return fmt::format("127.0.0.1:{}", port_); }

bool Relay::HoldsNow(const std::string& sent) {
  const std::lock_guard lock(mutex_);
  if (hold_behind_.empty() || sent.find(hold_behind_) == std::string::npos) return false;
  hold_behind_.clear();
  return true;
}

void Relay::Run() {
  std::vector<Pair> pairs;
  while (!stop_) {
    if (cut_) {
      for (const Pair& pair : pairs) pair.Close();
      pairs.clear();
      for (int fd; (fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) ::close(fd);
    }
    std::vector<pollfd> polled = {{listener_, static_cast<short>(cut_ || held_ ? 0 : POLLIN), 0}};
    for (const Pair& pair : pairs) {
      for (int i = 0; i < 2; ++i) {
        short events = 0;
        if (!held_ && !pair.ended[i] && pair.waiting[i].size() < kMostWaiting) events |= POLLIN;
        if (!held_ && !pair.waiting[1 - i].empty()) events |= POLLOUT;
        // poll tells of a peer that has gone whatever is asked for: while held, nobody is looked at.
        polled.push_back({events == 0 ? -1 : pair.ends[i], events, 0});
      }
    }
    if (::poll(polled.data(), polled.size(), kTick) < 0 || held_ || cut_) continue;
    for (size_t p = 0; p < pairs.size(); ++p) {
      for (int i = 0; i < 2; ++i) {
        if ((polled[1 + 2 * p + i].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !pairs[p].ended[i]) pairs[p].Read(i);
      }
      const bool holds = HoldsNow(pairs[p].waiting[0]);
      for (int i = 0; i < 2; ++i) {
        if (!pairs[p].waiting[i].empty() || pairs[p].ended[i]) pairs[p].Write(i);
      }
      if (!holds) continue;
      held_ = true;
      break;
    }
    if (held_) continue;
    std::erase_if(pairs, [](const Pair& pair) {
      if (pair.over()) pair.Close();
      return pair.over();
    });
    if ((polled[0].revents & POLLIN) == 0) continue;
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0) continue;
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = Loopback(target_);
    if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      ::close(client);
      ::close(server);
      continue;
    }
    const int on = 1;
    for (int fd : {client, server}) {
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    }
    Pair& pair = pairs.emplace_back();
    pair.ends[0] = client;
    pair.ends[1] = server;
  }
  for (const Pair& pair : pairs) pair.Close();
}

}  // namespace crossfade::servers
