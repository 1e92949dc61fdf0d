// SPDX-License-Identifier: Apache-2.0
// Tells at once that a backend has closed its connection, while its session is idle and reads from it no more: an epoll
// of its own, in which a socket is put once for its life and only its end is waited for, so that no query pays for it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>

namespace crossfade::proxy {

class CloseWatch {
 public:
  // `closed` is called on the thread of `io` with the id of a session whose socket has reached its end; once for each
  // change of the socket's state, and maybe after the session has gone.
  CloseWatch(boost::asio::io_context& io, std::function<void(uint64_t id)> closed);
  void Start();
  // Until `socket` is closed.
  void Add(int socket, uint64_t id);

 private:
  void Collect();

  boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type> epoll_;
  std::function<void(uint64_t)> closed_;
};

}  // namespace crossfade::proxy
