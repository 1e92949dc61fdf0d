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
#include <deque>
#include <utility>
#include <vector>

#include "fmt/format.h"

namespace crossfade::servers {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::nanoseconds kTick = std::chrono::milliseconds(5);  // how soon Cut, Hold and Join are seen
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
  std::deque<std::pair<Clock::time_point, std::string>> under_way[2];  // the same, not yet due; without bytes: the end
  bool ended[2] = {false, false};
  bool broken = false;

  void Read(int i, Clock::duration delay) {
    char bytes[65536];
    const ssize_t n = ::read(ends[i], bytes, sizeof bytes);
    if (n >= 0) under_way[i].emplace_back(Clock::now() + delay, std::string(bytes, static_cast<size_t>(n)));
    else if (errno != EAGAIN) broken = true;
  }
  bool Reads(int i) const {
    const bool last = !under_way[i].empty() && under_way[i].back().second.empty();
    return !ended[i] && !last && waiting[i].size() + under_way[i].size() * 65536 < kMostWaiting;
  }
  void Arrive(int i) {
    const auto now = Clock::now();
    for (; !under_way[i].empty() && under_way[i].front().first <= now; under_way[i].pop_front()) {
      waiting[i] += under_way[i].front().second;
      ended[i] = under_way[i].front().second.empty();
    }
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
    const Clock::duration delay = delay_.load();
    Clock::time_point due = Clock::now() + kTick;
    if (cut_) {
      for (const Pair& pair : pairs) pair.Close();
      pairs.clear();
      for (int fd; (fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) ::close(fd);
    }
    std::vector<pollfd> polled = {{listener_, static_cast<short>(cut_ || held_ ? 0 : POLLIN), 0}};
    for (const Pair& pair : pairs) {
      for (int i = 0; i < 2; ++i) {
        short events = 0;
        if (!held_ && pair.Reads(i)) events |= POLLIN;
        if (!held_ && !pair.waiting[1 - i].empty()) events |= POLLOUT;
        // poll tells of a peer that has gone whatever is asked for: while held, nobody is looked at.
        polled.push_back({events == 0 ? -1 : pair.ends[i], events, 0});
        if (!pair.under_way[i].empty()) due = std::min(due, pair.under_way[i].front().first);
      }
    }
    const auto wait = std::max<std::chrono::nanoseconds>(due - Clock::now(), std::chrono::nanoseconds(0));
    const timespec timeout{0, held_ ? kTick.count() : wait.count()};
    if (::ppoll(polled.data(), polled.size(), &timeout, nullptr) < 0 || held_ || cut_) continue;
    for (size_t p = 0; p < pairs.size(); ++p) {
      for (int i = 0; i < 2; ++i) {
        if ((polled[1 + 2 * p + i].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && pairs[p].Reads(i)) pairs[p].Read(i, delay);
        pairs[p].Arrive(i);
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
