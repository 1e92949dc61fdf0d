// SPDX-License-Identifier: Apache-2.0
// The floor for any proxy: an epoll TCP relay with two threads that parses nothing. One receive and one send for
// each piece, edge-triggered, blocking on a full peer only by waiting for it. Used by tests/bench/run.
//   relay LISTEN_PORT BACKEND_PORT
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

namespace {

struct Side {
  int fd = -1;
  Side* peer = nullptr;
  std::string unsent;  // bytes for this side that its socket did not take
  bool closed = false;
};

void Close(Side* side) {
  Side* peer = side->peer;
  if (side->closed) return;
  side->closed = peer->closed = true;
  ::close(side->fd);
  ::close(peer->fd);
}

// False: the pair is closed.
bool Flush(Side* to) {
  while (!to->unsent.empty()) {
    const ssize_t n = ::send(to->fd, to->unsent.data(), to->unsent.size(), MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN;
    to->unsent.erase(0, static_cast<size_t>(n));
  }
  return true;
}

bool Pump(Side* from, char* buffer, size_t size) {
  Side* to = from->peer;
  while (to->unsent.empty()) {
    const ssize_t n = ::recv(from->fd, buffer, size, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) return false;
    if (n < 0) return true;
    const ssize_t sent = ::send(to->fd, buffer, static_cast<size_t>(n), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return false;
    if (sent < n) to->unsent.assign(buffer + (sent < 0 ? 0 : sent), static_cast<size_t>(n - (sent < 0 ? 0 : sent)));
    if (static_cast<size_t>(n) < size) return true;
  }
  return true;
}

void Loop(int listener, uint16_t backend_port) {
  const int poller = ::epoll_create1(0);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLEXCLUSIVE;
  event.data.ptr = nullptr;
  ::epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
  static thread_local char buffer[65536];
  for (;;) {
    epoll_event events[64];
    const int count = ::epoll_wait(poller, events, 64, -1);
    for (int i = 0; i < count; ++i) {
      if (events[i].data.ptr == nullptr) {
        const int client = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
        if (client < 0) continue;
        const int backend = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(backend_port);
        if (::connect(backend, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
          ::close(client);
          ::close(backend);
          continue;
        }
        ::fcntl(backend, F_SETFL, O_NONBLOCK);
        const int on = 1;
        ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        ::setsockopt(backend, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        auto* pair = new Side[2];  // lives as long as the process: a benchmark's
        pair[0].fd = client;
        pair[1].fd = backend;
        pair[0].peer = &pair[1];
        pair[1].peer = &pair[0];
        for (int s = 0; s < 2; ++s) {
          event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
          event.data.ptr = &pair[s];
          ::epoll_ctl(poller, EPOLL_CTL_ADD, pair[s].fd, &event);
        }
        continue;
      }
      auto* side = static_cast<Side*>(events[i].data.ptr);
      if (side->closed) continue;
      bool alive = true;
      if ((events[i].events & EPOLLOUT) != 0 && !side->unsent.empty()) {
        alive = Flush(side) && (!side->unsent.empty() || Pump(side->peer, buffer, sizeof(buffer)));
      }
      if (alive && (events[i].events & EPOLLIN) != 0) alive = Pump(side, buffer, sizeof(buffer));
      if (!alive || (events[i].events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0) Close(side);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: relay LISTEN_PORT BACKEND_PORT\n");
    return 2;
  }
  ::signal(SIGPIPE, SIG_IGN);
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(std::atoi(argv[1])));
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 || ::listen(listener, 4096) != 0) {
    std::perror("relay");
    return 1;
  }
  const auto backend_port = static_cast<uint16_t>(std::atoi(argv[2]));
  std::thread second(Loop, listener, backend_port);
  Loop(listener, backend_port);
}
