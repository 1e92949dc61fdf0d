// SPDX-License-Identifier: Apache-2.0
// See stream.h. OpenSSL works on the socket itself, without waiting; Asio only does the waiting.
#include "proxy/stream.h"

#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "proxy/stream_link.h"

namespace crossfade::proxy {
namespace asio = boost::asio;

namespace {
ErrorCode SystemError(int error) { return ErrorCode(error, boost::system::system_category()); }
}  // namespace

Stream::Stream(Socket socket, ChunkPool* pool) : socket_(std::move(socket)), in_(pool) {}
Stream::~Stream() = default;

awaitable<Stream::ReadResult> Stream::ReadPlain(Buffer* buffer) { return socket_.async_receive(LazyBuffers(buffer), kAsTuple); }

awaitable<Stream::ReadResult> Stream::ReadMore() { return link_ == nullptr ? ReadNow(&in_) : ReadPieces(); }

awaitable<Stream::ReadResult> Stream::ReadNow(Buffer* buffer) {
  if (ssl_ != nullptr) co_return co_await ReadTls(buffer);
  size_t room = 0;
  char* memory = buffer->Prepare(&room);
  const ssize_t n = ::recv(socket_.native_handle(), memory, room, MSG_DONTWAIT);
  const int error = errno;
  buffer->Commit(n > 0 ? static_cast<size_t>(n) : 0);
  if (n > 0) co_return ReadResult(ErrorCode(), static_cast<size_t>(n));
  if (n == 0) co_return ReadResult(asio::error::eof, 0);
  if (error != EAGAIN && error != EWOULDBLOCK && error != EINTR) co_return ReadResult(SystemError(error), 0);
  co_return co_await ReadPlain(buffer);
}

awaitable<Stream::ReadResult> Stream::ReadAtMost(size_t most) {
  for (;;) {
    size_t room = 0;
    char* memory = in_.Prepare(&room);
    const ssize_t n = ::recv(socket_.native_handle(), memory, std::min(room, most), MSG_DONTWAIT);
    const int error = errno;
    in_.Commit(n > 0 ? static_cast<size_t>(n) : 0);
    if (n > 0) co_return ReadResult(ErrorCode(), static_cast<size_t>(n));
    if (n == 0) co_return ReadResult(asio::error::eof, 0);
    if (error != EAGAIN && error != EWOULDBLOCK && error != EINTR) co_return ReadResult(SystemError(error), 0);
    ErrorCode ec;
    std::tie(ec) = co_await socket_.async_wait(asio::socket_base::wait_read, kAsTuple);
    if (ec) co_return ReadResult(ec, 0);
  }
}

awaitable<ErrorCode> Stream::WaitFor(int ssl_error) {
  ErrorCode ec;
  if (ssl_error == SSL_ERROR_WANT_READ) {
    std::tie(ec) = co_await socket_.async_wait(asio::socket_base::wait_read, kAsTuple);
  } else if (ssl_error == SSL_ERROR_WANT_WRITE) {
    std::tie(ec) = co_await socket_.async_wait(asio::socket_base::wait_write, kAsTuple);
  } else if (ssl_error == SSL_ERROR_ZERO_RETURN) {
    ec = asio::error::eof;
  } else {
    tls_error_ = TlsError();
    ec = asio::error::connection_reset;
  }
  co_return ec;
}

awaitable<Stream::ReadResult> Stream::ReadTls(Buffer* buffer) {
  for (;;) {
    size_t room = 0;
    char* memory = buffer->Prepare(&room);
    ERR_clear_error();
    const int n = SSL_read(ssl_.get(), memory, static_cast<int>(std::min<size_t>(room, 1 << 30)));
    if (n > 0) {
      buffer->Commit(static_cast<size_t>(n));
      co_return ReadResult(ErrorCode(), static_cast<size_t>(n));
    }
    const int error = SSL_get_error(ssl_.get(), n);
    buffer->Commit(0);
    const ErrorCode ec = co_await WaitFor(error);
    if (ec) co_return ReadResult(ec, 0);
  }
}

bool Stream::TryWrite(std::string_view* bytes) {
  if (!plain_) return false;
  const ssize_t n = ::send(socket_.native_handle(), bytes->data(), bytes->size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n > 0) bytes->remove_prefix(static_cast<size_t>(n));
  return bytes->empty();
}

awaitable<ErrorCode> Stream::WriteRest(std::string_view bytes) {
  return link_ == nullptr ? WriteTransport(bytes) : WritePieces(bytes);
}

awaitable<ErrorCode> Stream::WriteTransport(std::string_view bytes) {
  while (!bytes.empty()) {
    ErrorCode ec;
    if (ssl_ != nullptr) {
      ERR_clear_error();
      const int n = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(std::min<size_t>(bytes.size(), 1 << 30)));
      if (n > 0) {
        bytes.remove_prefix(static_cast<size_t>(n));
        continue;
      }
      ec = co_await WaitFor(SSL_get_error(ssl_.get(), n));
    } else {
      const ssize_t n = ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n >= 0) {
        bytes.remove_prefix(static_cast<size_t>(n));
        continue;
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) co_return SystemError(errno);
      std::tie(ec) = co_await socket_.async_wait(asio::socket_base::wait_write, kAsTuple);
    }
    if (ec) co_return ec;
  }
  co_return ErrorCode();
}

awaitable<ErrorCode> Stream::Write(std::string_view bytes) {
  if (TryWrite(&bytes)) co_return ErrorCode();
  co_return co_await WriteRest(bytes);
}

awaitable<ErrorCode> Stream::Handshake() {
  for (;;) {
    ERR_clear_error();
    const int n = SSL_do_handshake(ssl_.get());
    if (n == 1) co_return ErrorCode();
    const int error = SSL_get_error(ssl_.get(), n);
    const ErrorCode ec = co_await WaitFor(error);
    if (ec) co_return ec;
  }
}

awaitable<ErrorCode> Stream::TlsAccept(SSL_CTX* ctx) {
  ssl_.reset(SSL_new(ctx));
  plain_ = false;
  if (ssl_ == nullptr) co_return asio::error::no_memory;
  socket_.native_non_blocking(true);
  SSL_set_fd(ssl_.get(), socket_.native_handle());
  SSL_set_accept_state(ssl_.get());
  co_return co_await Handshake();
}

awaitable<ErrorCode> Stream::TlsConnect(SSL_CTX* ctx, const std::string& host) {
  ssl_ = NewClientSsl(ctx, host);
  plain_ = false;
  if (ssl_ == nullptr) co_return asio::error::no_memory;
  socket_.native_non_blocking(true);
  SSL_set_fd(ssl_.get(), socket_.native_handle());
  SSL_set_connect_state(ssl_.get());
  co_return co_await Handshake();
}

Stream::Peek Stream::Look() {
  char byte;
  const ssize_t n = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n > 0) return Peek::kBytes;
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return Peek::kQuiet;
  return Peek::kClosed;
}

void Stream::Cancel() {
  ErrorCode ignored;
  socket_.cancel(ignored);
}

void Stream::Close() {
  ErrorCode ignored;
  socket_.close(ignored);
  if (ssl_ != nullptr) SSL_set_fd(ssl_.get(), -1);  // the number may be another connection's before whoever works on this one knows
}

}  // namespace crossfade::proxy
