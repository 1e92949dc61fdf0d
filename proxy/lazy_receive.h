// SPDX-License-Identifier: Apache-2.0
// A receive that takes its buffer only when bytes are there, and that costs one system call.
// Asio's own receive tries the socket once before it waits (a call that finds nothing on every query), and wants
// memory for as long as it waits. LazyBuffers is a buffer sequence whose receive operation (the specialization of
// Asio's base below, Boost 1.81) draws from a pool when the socket is readable and, after a short read, tells the
// reactor that the socket is drained: the next receive waits for the next edge at once.
// What a peer's close right behind its last bytes leaves unseen, IoThread's sweep of idle sessions finds.
#pragma once

#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/detail/reactive_socket_recv_op.hpp>
#include <boost/asio/error.hpp>
#include <cerrno>

#include "proxy/buffers.h"

namespace crossfade::proxy {

class LazyBuffers {
 public:
  using value_type = boost::asio::mutable_buffer;
  using const_iterator = const value_type*;
  explicit LazyBuffers(Buffer* buffer) : buffer_(buffer) {}
  const_iterator begin() const { return &stand_in_; }
  const_iterator end() const { return &stand_in_ + 1; }
  Buffer* buffer() const { return buffer_; }

 private:
  Buffer* buffer_;
  value_type stand_in_{&buffer_, sizeof(buffer_)};  // not empty, never written to
};

}  // namespace crossfade::proxy

namespace boost::asio::detail {

template <>
class reactive_socket_recv_op_base<crossfade::proxy::LazyBuffers> : public reactor_op {
 public:
  reactive_socket_recv_op_base(const boost::system::error_code& success_ec, socket_type socket, socket_ops::state_type,
                               const crossfade::proxy::LazyBuffers& buffers, socket_base::message_flags flags,
                               func_type complete_func)
      : reactor_op(success_ec, &reactive_socket_recv_op_base::do_perform, complete_func),
        socket_(socket), buffers_(buffers), flags_(flags) {}

  static status do_perform(reactor_op* base) {
    auto* op = static_cast<reactive_socket_recv_op_base*>(base);
    crossfade::proxy::Buffer* buffer = op->buffers_.buffer();
    size_t room = 0;
    char* memory = buffer->Prepare(&room);
    ssize_t n;
    do {
      n = ::recv(op->socket_, memory, room, op->flags_ | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
      op->ec_ = boost::system::error_code();
      op->bytes_transferred_ = static_cast<size_t>(n);
      buffer->Commit(op->bytes_transferred_);
      return op->bytes_transferred_ < room ? done_and_exhausted : done;
    }
    const int error = errno;
    buffer->Commit(0);
    if (n == 0) {
      op->ec_ = boost::asio::error::eof;
      return done_and_exhausted;
    }
    if (error == EAGAIN || error == EWOULDBLOCK) return not_done;
    op->ec_ = boost::system::error_code(error, boost::system::system_category());
    return done;
  }

 private:
  socket_type socket_;
  crossfade::proxy::LazyBuffers buffers_;
  socket_base::message_flags flags_;
};

}  // namespace boost::asio::detail
