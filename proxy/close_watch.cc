// SPDX-License-Identifier: Apache-2.0
// See close_watch.h.
#include "proxy/close_watch.h"

#include <sys/epoll.h>

namespace crossfade::proxy {

CloseWatch::CloseWatch(boost::asio::io_context& io, std::function<void(uint64_t)> closed) : epoll_(io), closed_(std::move(closed)) {}

void CloseWatch::Start() {
  const int fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) return;  // sessions are looked at twice a second as well
  boost::system::error_code ec;
  epoll_.assign(fd, ec);
  Collect();
}

void CloseWatch::Add(int socket, uint64_t id) {
  epoll_event event{};
  event.events = EPOLLRDHUP | EPOLLET;
  event.data.u64 = id;
  if (epoll_.is_open()) (void)::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, socket, &event);
}

void CloseWatch::Collect() {
  epoll_event events[64];
  int count;
  do {
    count = ::epoll_wait(epoll_.native_handle(), events, 64, 0);
    for (int i = 0; i < count; ++i) closed_(events[i].data.u64);
  } while (count == 64);
  epoll_.async_wait(boost::asio::posix::descriptor_base::wait_read, [this](const boost::system::error_code& ec) {
    if (!ec) Collect();
  });
}

}  // namespace crossfade::proxy
