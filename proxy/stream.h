// SPDX-License-Identifier: Apache-2.0
// One connection (TCP or unix socket, plain or TLS, compressed or not) with its receive buffer. Belongs to one session
// on one io thread. Errors are error codes: eof for an orderly close, operation_aborted after Cancel or Close,
// bad_message for pieces of the compressed protocol that are wrong (wire_fault() says how).
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>

#include "protocol/compression.h"
#include "proxy/awaitable.h"
#include "proxy/buffers.h"
#include "proxy/lazy_receive.h"
#include "proxy/tls.h"

namespace crossfade::proxy {

using ErrorCode = boost::system::error_code;
using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol,
                                                boost::asio::io_context::executor_type>;

class Stream {
 public:
  using ReadResult = std::tuple<ErrorCode, size_t>;

  Stream(Socket socket, ChunkPool* pool);
  ~Stream();

  Socket& socket() { return socket_; }
  Buffer& in() { return in_; }
  bool tls() const { return ssl_ != nullptr; }
  bool secure() const { return tls() || unix_socket_; }  // what the authentication plugins count as secure
  void set_unix_socket(bool is_unix) { unix_socket_ = is_unix; }

  // Waits for bytes and appends them to in().
  awaitable<ReadResult> Read() { return plain_ ? ReadPlain(&in_) : link_ == nullptr ? ReadTls(&in_) : ReadPieces(); }
  // Read() of a connection that is plain(), without a coroutine of its own. For the steady state.
  bool plain() const { return plain_; }
  auto Receive() { return socket_.async_receive(LazyBuffers(&in_), kAsTupleDirect); }
  // The same where more bytes are expected right away: looks before it waits, so that a close behind the last bytes
  // is not missed (see lazy_receive.h).
  awaitable<ReadResult> ReadMore();
  // At most so many; without TLS only. What is left stays in the socket.
  awaitable<ReadResult> ReadAtMost(size_t most);

  // Sends what goes without waiting; true: all of it. Else `*bytes` is what is left, for WriteRest.
  bool TryWrite(std::string_view* bytes);
  awaitable<ErrorCode> WriteRest(std::string_view bytes);
  awaitable<ErrorCode> Write(std::string_view bytes);

  awaitable<ErrorCode> TlsAccept(SSL_CTX* ctx);
  awaitable<ErrorCode> TlsConnect(SSL_CTX* ctx, const std::string& host);
  const std::string& tls_error() const { return tls_error_; }

  // From now on the compressed protocol, in both directions; in() and Write keep to what is inside. Bytes that have come
  // in already are taken as pieces of it. `limit`: see CompressedLink.
  void StartCompression(protocol::Compression method, int level, protocol::CompressedLink::Peer peer, uint64_t limit,
                        protocol::Packer* packer);
  // See CompressedLink::set_exchange; nothing on a connection that is not compressed.
  void SetExchange(bool on);
  protocol::CompressedLink::Result wire_fault() const { return wire_fault_; }  // kPiece: none

  // A peek that never waits: has the peer closed, or are bytes there that nobody has asked for?
  enum class Peek { kQuiet, kBytes, kClosed };
  Peek Look();

  void Cancel();  // pending operations end with operation_aborted
  void Close();
  bool open() const { return socket_.is_open(); }

 private:
  struct Link;
  awaitable<ReadResult> ReadPlain(Buffer* buffer);
  awaitable<ReadResult> ReadTls(Buffer* buffer);
  awaitable<ReadResult> ReadNow(Buffer* buffer);  // looks before it waits
  awaitable<ReadResult> ReadPieces();
  awaitable<ErrorCode> WritePieces(std::string_view bytes);
  awaitable<ErrorCode> WriteTransport(std::string_view bytes);
  awaitable<ErrorCode> Handshake();
  // After an SSL call: what to wait for. An error code other than success ends the stream.
  awaitable<ErrorCode> WaitFor(int ssl_error);

  Socket socket_;
  Buffer in_;
  SslPtr ssl_;
  std::unique_ptr<Link> link_;  // null: not compressed
  bool plain_ = true;           // neither TLS nor compression
  bool unix_socket_ = false;
  protocol::CompressedLink::Result wire_fault_ = protocol::CompressedLink::Result::kPiece;
  std::string tls_error_;
};

}  // namespace crossfade::proxy
