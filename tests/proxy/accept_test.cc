// SPDX-License-Identifier: Apache-2.0
// Clients that give up before they are accepted or right behind their login, and sessions that end by an exception: nobody else notices,
// and nothing is counted for ever. accept, recv and operator new are this program's own here, and fail when they are told to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <new>

#include "tests/proxy/peers.h"

namespace {

std::atomic<int> aborted_port{0};   // the next accept of its listener finds that the client has gone
std::atomic<int> poor_port{0};      // behind the next accept of its listener so many allocations of that thread go well, the next one throws
std::atomic<int> allocations{0}, trial{0};
thread_local int allocations_left = -1, trial_of_this = 0;
std::atomic<int> refused_allocations{0};
std::atomic<int> failing_port{0};   // behind the next bytes of a client of this listener a receive throws
std::atomic<bool> fails_now{false};

int LocalPort(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 || address.sin_family != AF_INET) return -1;
  return ntohs(address.sin_port);
}

bool Take(std::atomic<int>* port, int fd) {
  int wanted = port->load();
  return wanted != 0 && LocalPort(fd) == wanted && port->compare_exchange_strong(wanted, 0);
}

}  // namespace

extern "C" int accept(int fd, sockaddr* address, socklen_t* size) {
  const auto got = static_cast<int>(::syscall(SYS_accept4, fd, address, size, 0));
  if (got >= 0 && Take(&aborted_port, fd)) {
    ::close(got);
    errno = ECONNABORTED;
    return -1;
  }
  if (got >= 0 && Take(&poor_port, fd)) allocations_left = allocations, trial_of_this = trial;
  return got;
}

extern "C" ssize_t recv(int fd, void* buffer, size_t size, int flags) {
  const bool counts = (flags & MSG_PEEK) == 0 && failing_port != 0;
  if (counts && fails_now && Take(&failing_port, fd)) throw std::bad_alloc();
  const ssize_t n = ::syscall(SYS_recvfrom, fd, buffer, size, flags, nullptr, nullptr);
  if (counts && n > 0 && LocalPort(fd) == failing_port) fails_now = true;
  return n;
}

[[gnu::noinline]] void* operator new(size_t size) {
  if (allocations_left >= 0 && trial_of_this == trial && allocations_left-- == 0) {
    ++refused_allocations;
    throw std::bad_alloc();
  }
  if (void* block = std::malloc(size)) return block;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* block) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void* block, size_t) noexcept { std::free(block); }

namespace crossfade::proxy {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

void PlainBackend(Peer& peer) {
  if (!BackendLogin(peer)) return;
  while (peer.ReceiveFrame()) peer.SendMessage(OkPayload(), 1);
}

bool Eventually(const std::function<bool()>& condition, milliseconds limit = milliseconds(5'000)) {
  for (const auto until = steady_clock::now() + limit; steady_clock::now() < until;) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return false;
}

TEST(Accept, AClientThatGivesUpBeforeItHoldsNobodyUp) {
  ScriptedBackend backend(PlainBackend);
  ProxyUnderTest proxy(backend.port());
  Peer before = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(before));
  aborted_port = proxy.port();
  Peer gone = ConnectTo(proxy.port());
  EXPECT_TRUE(gone.AtEnd());
  EXPECT_EQ(aborted_port, 0);
  ASSERT_TRUE(before.SendMessage(QueryPayload("SELECT 1"), 0));
  EXPECT_TRUE(before.ReceiveFrame().has_value()) << "of the same thread";
  Peer behind = ConnectTo(proxy.port());
  EXPECT_TRUE(ClientLogin(behind));
}

// At each allocation of the accepting thread in turn.
TEST(Accept, WithoutMemoryForOneTheNextIsServed) {
  ScriptedBackend backend(PlainBackend);
  for (const uint32_t threads : {1u, 2u}) {
    SCOPED_TRACE(threads);
    ProxyUnderTest proxy(backend.port(), [threads](config::Config* config) { config->limits.io_threads = threads; });
    Peer before = ConnectTo(proxy.port());
    ASSERT_TRUE(ClientLogin(before));
    refused_allocations = 0;
    for (int i = 0; i < 24; ++i) {
      SCOPED_TRACE(i);
      allocations = i;
      poor_port = proxy.port();
      {
        Peer gone = ConnectTo(proxy.port());
        (void)ClientLogin(gone);  // there may have been enough
      }
      EXPECT_EQ(poor_port, 0);
      ASSERT_TRUE(Eventually([&] { return proxy.server().connections() == 1; }));
      ++trial;  // what is left is nobody's
      Peer behind = ConnectTo(proxy.port());
      ASSERT_TRUE(ClientLogin(behind));
    }
    EXPECT_GT(refused_allocations, 3);
    uint32_t load = 0;
    ASSERT_TRUE(Eventually([&] {
      load = 0;
      for (const auto& thread : proxy.server().threads()) load += thread->load();
      return load == 1;
    })) << load;
    ASSERT_TRUE(before.SendMessage(QueryPayload("SELECT 1"), 0));
    EXPECT_TRUE(before.ReceiveFrame().has_value());
  }
}

// Half closed, and so early that the end comes with the login: the server asks for more, and there is no more.
TEST(Accept, AClientThatEndsBehindItsLoginIsNotWaitedFor) {
  std::atomic<bool> ended{false};
  ScriptedBackend backend([&](Peer& peer) {
    std::this_thread::sleep_for(milliseconds(300));
    peer.SendMessage(GreetingPayload(), 0);
    if (!peer.ReceiveFrame()) return;
    peer.SendMessage(std::string("\xFE") + "caching_sha2_password" + '\0' + "abcdefghijklmnopqrst" + '\0', 2);
    const bool end = !peer.ReceiveFrame();
    ended = end;
  });
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) { config->limits.handshake_timeout = std::chrono::seconds(30); });
  Peer client = ConnectTo(proxy.port());
  ASSERT_TRUE(client.SendMessage(LoginPayload(), 1));
  client.ShutdownWrite();
  const auto begin = steady_clock::now();
  EXPECT_TRUE(Eventually([&] { return proxy.server().connections() == 0; }, milliseconds(3'000)));
  EXPECT_LT(steady_clock::now() - begin, milliseconds(3'000));
  EXPECT_TRUE(Eventually([&] { return ended.load(); }));
}

TEST(Sessions, AnExceptionEndsOneAndTakesItOutOfTheBooks) {
  ScriptedBackend backend(PlainBackend);
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) { config->limits.max_user_connections = 2; });
  Peer other = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(other));
  for (int i = 0; i < 3; ++i) {
    Peer client = ConnectTo(proxy.port());
    ASSERT_TRUE(ClientLogin(client)) << "the one before is counted no more";
    fails_now = false;
    failing_port = proxy.port();
    ASSERT_TRUE(client.Send(std::string("\x10\0\0\0\x03", 5)));  // a part of a command: the rest is looked for
    EXPECT_TRUE(client.AtEnd());
    EXPECT_EQ(failing_port, 0);
    EXPECT_TRUE(Eventually([&] { return proxy.server().connections() == 1; }));
    EXPECT_EQ(proxy.server().threads()[0]->load(), 1u);
  }
  std::this_thread::sleep_for(milliseconds(1'100));  // two ticks, which look at all sessions
  ASSERT_TRUE(other.SendMessage(QueryPayload("SELECT 1"), 0));
  EXPECT_TRUE(other.ReceiveFrame().has_value());
}

}  // namespace
}  // namespace crossfade::proxy
