// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "tests/proxy/certificates.h"

namespace crossfade::proxy {
namespace {

// A session may be closed from outside while it is about to say something: by then the number of its socket can be another's.
TEST(Stream, WhatIsWrittenBehindAnEndOfTlsReachesNobodyElse) {
  TestCa ca;
  const TestCa::Files files = ca.Issue("server");
  config::Listener listener;
  listener.tls_certificate = files.certificate;
  listener.tls_key = files.key;
  auto context = MakeListenerTls(listener, nullptr);
  ASSERT_TRUE(context.ok());
  int pair[2] = {}, others[2] = {};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, others), 0);
  std::thread client([fd = pair[1]] {
    SSL_CTX* own = SSL_CTX_new(TLS_client_method());
    SSL* ssl = SSL_new(own);
    SSL_set_fd(ssl, fd);
    EXPECT_EQ(SSL_connect(ssl), 1);
    SSL_free(ssl);
    SSL_CTX_free(own);
  });
  boost::asio::io_context io;
  ChunkPool pool;
  Socket socket(io);
  socket.assign(boost::asio::generic::stream_protocol(AF_UNIX, 0), pair[0]);
  Stream stream(std::move(socket), &pool);
  ErrorCode in = boost::asio::error::fault, written, read;
  const auto talk = [&](ErrorCode* handshake, ErrorCode* write, ErrorCode* receive) -> awaitable<void> {
    *handshake = co_await stream.TlsAccept(context->get());
    stream.Close();
    ::dup2(others[0], pair[0]);
    *write = co_await stream.Write("what is nobody's business");
    Stream::ReadResult result = co_await stream.Read();
    *receive = std::get<0>(result);
  };
  boost::asio::co_spawn(io, talk(&in, &written, &read), boost::asio::detached);
  (void)::send(others[1], "another's", 9, MSG_NOSIGNAL);
  io.run_for(std::chrono::seconds(10));
  client.join();
  EXPECT_FALSE(in) << in.message();
  EXPECT_TRUE(written);
  EXPECT_TRUE(read);
  char bytes[64];
  EXPECT_LT(::recv(others[1], bytes, sizeof(bytes), MSG_DONTWAIT), 0) << "another connection was written to";
  EXPECT_EQ(::recv(others[0], bytes, sizeof(bytes), MSG_DONTWAIT), 9) << "and read from";
  for (const int fd : {pair[0], pair[1], others[0], others[1]}) ::close(fd);
}

}  // namespace
}  // namespace crossfade::proxy
