// SPDX-License-Identifier: Apache-2.0
// Who comes in: PROXY headers from a load balancer and to a backend, limits on addresses, users and prepared statements.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <mutex>

#include "config/network.h"
#include "protocol/proxy_header.h"
#include "proxy/admin.h"
#include "tests/proxy/peers.h"

namespace crossfade::proxy {
namespace {

using protocol::ErrPacket;
using testing::HasSubstr;

ErrPacket Error(const std::optional<std::string>& payload, uint64_t capabilities = kPeerCapabilities) {
  static std::string kept;
  ErrPacket err;
  if (!payload || payload->empty() || static_cast<uint8_t>((*payload)[0]) != 0xFF) return err;
  kept = *payload;
  protocol::ParseErr(kept, capabilities, &err);
  return err;
}

// Answers each command with OK, each PREPARE with the next id; remembers what came before its greeting was due.
class CountingBackend {
 public:
  explicit CountingBackend(size_t header_size = 0)
      : backend_([this, header_size](Peer& peer) {
          ++connections;
          if (header_size > 0) {
            const std::string header = peer.Receive(header_size);
            const std::lock_guard<std::mutex> lock(mutex_);
            headers_.push_back(header);
          }
          if (!BackendLogin(peer)) return;
          uint8_t next = 0;
          for (;;) {
            const auto command = peer.ReceiveFrame();
            if (!command || command->empty() || (*command)[0] == 1) return;
            ++commands;
            if ((*command)[0] == 0x16) {
              const std::string reply{'\0', static_cast<char>(++next), '\0', '\0', '\0', '\0', '\0', '\0', '\0', '\0', '\0', '\0'};
              peer.SendMessage(reply, 1);
            } else if ((*command)[0] != 0x19) {
              peer.SendMessage(OkPayload(), 1);
            }
          }
        }) {}
  uint16_t port() const { return backend_.port(); }
  std::vector<std::string> headers() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return headers_;
  }
  std::atomic<int> connections{0}, commands{0};

 private:
  std::mutex mutex_;
  std::vector<std::string> headers_;
  ScriptedBackend backend_;
};

void Lists(config::Config* config, const char* network) { config->listeners[0].proxy_protocol.push_back(*config::ParseNetwork(network)); }

uint64_t Refusals(ProxyUnderTest& proxy, Refusal reason) {
  uint64_t sum = 0;
  for (const auto& thread : proxy.server().threads()) sum += thread->metrics()->refusals[static_cast<size_t>(reason)].value();
  return sum;
}

protocol::ProxyHeader HeaderOf(const std::string& bytes) {
  protocol::ProxyHeader header;
  size_t consumed = 0;
  EXPECT_EQ(protocol::ParseProxyHeader(bytes, &header, &consumed), protocol::ProxyHeaderResult::kDone) << bytes;
  return header;
}

constexpr char kV1[] = "PROXY TCP4 192.0.2.7 10.1.2.3 4660 3306\r\n";

TEST(ProxyProtocol, AListedPeerSaysWhoTheClientIsAndTheBackendHearsIt) {
  for (const bool v2 : {false, true}) {
    const size_t size = v2 ? 28 : sizeof(kV1) - 1;
    CountingBackend backend(size);
    ProxyUnderTest proxy(backend.port(), [&](config::Config* config) {
      Lists(config, "127.0.0.0/8");
      config->backends[0].proxy_protocol = v2 ? config::ProxyProtocol::kV2 : config::ProxyProtocol::kV1;
    });
    const protocol::ProxyHeader sent = HeaderOf(kV1);
    for (const std::string& bytes : {protocol::BuildProxyHeaderV1(sent), protocol::BuildProxyHeaderV2(sent)}) {
      Peer client = ConnectTo(proxy.port());
      ASSERT_TRUE(client.Send(bytes));
      ASSERT_TRUE(ClientLogin(client));
      ASSERT_TRUE(client.SendMessage(QueryPayload("select 1"), 0));
      EXPECT_EQ((*client.ReceiveFrame())[0], 0);
      ASSERT_FALSE(backend.headers().empty());
      const protocol::ProxyHeader told = HeaderOf(backend.headers().back());
      EXPECT_EQ(told.source, sent.source);
      EXPECT_EQ(told.destination, sent.destination);
    }
  }
}

TEST(ProxyProtocol, WithoutAListTheBackendHearsThePeersOwnAddress) {
  CountingBackend backend(28);
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) { config->backends[0].proxy_protocol = config::ProxyProtocol::kV2; });
  Peer client = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(client));
  const protocol::ProxyHeader told = HeaderOf(backend.headers().at(0));
  EXPECT_EQ(protocol::HostText(told.source), "127.0.0.1");
  EXPECT_EQ(told.destination.port, proxy.port());
}

TEST(ProxyProtocol, LocalAndUnknownStandForTheBalancerItself) {
  CountingBackend backend(28);
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) {
    Lists(config, "127.0.0.0/8");
    config->backends[0].proxy_protocol = config::ProxyProtocol::kV2;
  });
  for (const std::string& bytes : {protocol::BuildProxyHeaderV1({}), protocol::BuildProxyHeaderV2({})}) {
    Peer client = ConnectTo(proxy.port());
    ASSERT_TRUE(client.Send(bytes));
    ASSERT_TRUE(ClientLogin(client));
    EXPECT_EQ(protocol::HostText(HeaderOf(backend.headers().back()).source), "127.0.0.1");
  }
}

TEST(ProxyProtocol, AHeaderCutAtEveryByteIsOneHeader) {
  CountingBackend backend;
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) { Lists(config, "127.0.0.1"); });
  for (const std::string& bytes : {protocol::BuildProxyHeaderV1(HeaderOf(kV1)), protocol::BuildProxyHeaderV2(HeaderOf(kV1))}) {
    for (size_t cut = 0; cut <= bytes.size(); ++cut) {
      Peer client = ConnectTo(proxy.port());
      ASSERT_TRUE(client.Send(bytes.substr(0, cut)));
      if (cut % 4 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      ASSERT_TRUE(client.Send(bytes.substr(cut)));
      ASSERT_TRUE(ClientLogin(client)) << "cut at " << cut;
    }
  }
}

TEST(ProxyProtocol, AListedPeerWithoutAHeaderNeverReachesTheBackend) {
  CountingBackend backend;
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) { Lists(config, "127.0.0.1"); });
  std::string bad_crc = protocol::BuildProxyHeaderV2(HeaderOf(kV1)) + std::string("\x03\0\4abcd", 7);
  bad_crc[15] = static_cast<char>(12 + 7);
  std::string huge = protocol::BuildProxyHeaderV2(HeaderOf(kV1));
  huge[14] = '\x7F';
  const std::string cases[] = {LoginPayload(), "PROXY TCP4 oops\r\n", "PROXY " + std::string(200, 'x'), bad_crc, huge, kV1 + LoginPayload(),
                               std::string("\x16\x03\x01\x02\x00\x01", 6), "GET / HTTP/1.1\r\n\r\n"};
  for (const std::string& bytes : cases) {
    Peer client = ConnectTo(proxy.port());
    client.Send(bytes);
    EXPECT_TRUE(client.AtEnd()) << bytes;
  }
  EXPECT_EQ(Refusals(proxy, Refusal::kProxyProtocol), std::size(cases));
  Peer half = ConnectTo(proxy.port());
  half.Send("PROXY TCP4 192");
  half.ShutdownWrite();
  EXPECT_TRUE(half.AtEnd());
  EXPECT_EQ(backend.connections, 0);
}

TEST(ProxyProtocol, AHeaderThatNeverEndsIsClosedInTime) {
  CountingBackend backend;
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) {
    Lists(config, "127.0.0.1");
    config->limits.handshake_timeout = std::chrono::milliseconds(300);
  });
  Peer client = ConnectTo(proxy.port());
  client.Send("PROXY ");
  EXPECT_TRUE(client.AtEnd());
  EXPECT_EQ(backend.connections, 0);
  EXPECT_EQ(Refusals(proxy, Refusal::kTimeout), 1u);
}

TEST(ProxyProtocol, AHeaderFromAnyoneElseEndsTheConnection) {
  CountingBackend backend;
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) { Lists(config, "10.0.0.0/8"); });
  for (const std::string& bytes : {protocol::BuildProxyHeaderV1(HeaderOf(kV1)), protocol::BuildProxyHeaderV2(HeaderOf(kV1))}) {
    Peer client = ConnectTo(proxy.port());
    ASSERT_TRUE(client.Send(bytes));
    ASSERT_TRUE(client.ReceiveFrame().has_value()) << "the greeting";
    EXPECT_TRUE(client.AtEnd());
  }
  EXPECT_EQ(Refusals(proxy, Refusal::kProxyProtocol), 2u);
  EXPECT_EQ(backend.commands, 0);
  Peer client = ConnectTo(proxy.port());
  EXPECT_TRUE(ClientLogin(client)) << "without one it is as ever";
}

TEST(Limits, ConnectionsOfAnAddressAreThoseOfTheClientNotOfTheBalancer) {
  CountingBackend backend;
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) {
    Lists(config, "127.0.0.1");
    config->limits.max_connections_per_address = 2;
  });
  const auto from = [&](const char* host) {
    Peer client = ConnectTo(proxy.port());
    client.Send("PROXY TCP4 " + std::string(host) + " 10.1.2.3 4660 3306\r\n");
    return client;
  };
  Peer one = from("192.0.2.1"), two = from("192.0.2.1"), other = from("192.0.2.2");
  EXPECT_TRUE(ClientLogin(one));
  EXPECT_TRUE(ClientLogin(two));
  EXPECT_TRUE(ClientLogin(other));
  const int before = backend.connections;
  Peer three = from("192.0.2.1");
  const auto refused = three.ReceiveFrame();
  EXPECT_EQ(Error(refused, 0).code, 1040);
  EXPECT_EQ(Error(refused, 0).message, "Too many connections") << "as the servers say it ahead of a greeting: without an SQLSTATE";
  EXPECT_TRUE(three.AtEnd());
  EXPECT_EQ(backend.connections, before);
  EXPECT_EQ(Refusals(proxy, Refusal::kMaxPerAddress), 1u);
  one.Close();
  two.Close();
  for (int i = 0; i < 300 && proxy.server().admission().addresses.size() > 1; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(proxy.server().admission().addresses.size(), 1u);
  Peer four = from("192.0.2.1");
  EXPECT_TRUE(ClientLogin(four));
}

TEST(Limits, ConnectionsOfAUserAreCountedOnceTheServerHasLetThemIn) {
  std::atomic<bool> denied{false};
  ScriptedBackend backend([&](Peer& peer) {
    if (!denied) {
      if (BackendLogin(peer)) peer.ReceiveFrame();
      return;
    }
    peer.SendMessage(GreetingPayload(), 0);
    if (peer.ReceiveFrame()) peer.SendMessage(protocol::BuildErr(1045, "28000", "Access denied", kPeerCapabilities), 2);
  });
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) { config->limits.max_user_connections = 2; });
  const auto as = [&](const char* user, Peer& client) {
    protocol::Login login = *protocol::ParseLogin(LoginPayload());
    login.user = user;
    client.ReceiveFrame();
    client.SendMessage(protocol::BuildLogin(login), 1);
    return client.ReceiveFrame();
  };
  Peer one = ConnectTo(proxy.port()), two = ConnectTo(proxy.port()), three = ConnectTo(proxy.port()), other = ConnectTo(proxy.port());
  EXPECT_EQ((*as("u1", one))[0], 0);
  EXPECT_EQ((*as("u1", two))[0], 0);
  const auto refused = as("u1", three);
  EXPECT_EQ(Error(refused).code, 1203);
  EXPECT_EQ(Error(refused).sql_state, "42000");
  EXPECT_EQ(Error(refused).message, "User u1 already has more than 'max_user_connections' active connections");
  EXPECT_TRUE(three.AtEnd());
  EXPECT_EQ((*as("u2", other))[0], 0);
  EXPECT_EQ(Refusals(proxy, Refusal::kMaxPerUser), 1u);
  denied = true;
  for (int i = 0; i < 5; ++i) {
    Peer liar = ConnectTo(proxy.port());
    EXPECT_EQ(Error(as("u3", liar)).code, 1045);
  }
  denied = false;
  Peer honest = ConnectTo(proxy.port());
  EXPECT_EQ((*as("u3", honest))[0], 0) << "wrong passwords take no place";
  one.Close();
  two.Close();
  honest.Close();
  for (int i = 0; i < 300 && proxy.server().admission().users.size() > 1; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(proxy.server().admission().users.size(), 1u);
}

std::string PreparePayload() { return "\x16select 1"; }
std::string IdPayload(char command, uint32_t id, size_t more = 0) {
  std::string payload(1, command);
  for (int i = 0; i < 4; ++i) payload.push_back(static_cast<char>(id >> 8 * i));
  return payload + std::string(more, '\0');
}

TEST(Limits, PreparedStatementsOfAClientAndInAll) {
  CountingBackend backend;
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) {
    config->limits.max_client_prepared_statements = 3;
    config->limits.max_prepared_statements = 5;
  });
  const auto prepare = [](Peer& client) {
    client.SendMessage(PreparePayload(), 0);
    return client.ReceiveFrame();
  };
  Peer one = ConnectTo(proxy.port()), two = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(one));
  ASSERT_TRUE(ClientLogin(two));
  for (int i = 0; i < 3; ++i) ASSERT_EQ((*prepare(one))[0], 0);
  const int before = backend.commands;
  const auto refused = prepare(one);
  EXPECT_EQ(Error(refused).code, 1461);
  EXPECT_EQ(Error(refused).message, "Can't create more than max_prepared_stmt_count statements (current value: 3)");
  EXPECT_EQ(backend.commands, before);
  // MariaDB's clients may have sent the execution behind it: it must not run the statement before.
  one.SendMessage(IdPayload('\x17', 0xFFFFFFFF, 5), 0);
  EXPECT_EQ(Error(one.ReceiveFrame()).code, 1243);
  EXPECT_EQ(backend.commands, before);
  // Closing what is not there gives nothing back; closing what is there does.
  for (int i = 0; i < 10; ++i) one.SendMessage(IdPayload('\x19', 77), 0);
  EXPECT_EQ(Error(prepare(one)).code, 1461);
  one.SendMessage(IdPayload('\x19', 1), 0);
  EXPECT_EQ((*prepare(one))[0], 0);
  EXPECT_EQ((*prepare(two))[0], 0);
  EXPECT_EQ((*prepare(two))[0], 0);
  EXPECT_EQ(Error(prepare(two)).message, "Can't create more than max_prepared_stmt_count statements (current value: 5)");
  one.Close();
  for (int i = 0; i < 300 && proxy.server().admission().statements > 2; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(proxy.server().admission().statements, 2u);
  EXPECT_EQ((*prepare(two))[0], 0);
  two.SendMessage("\x1f", 0);  // COM_RESET_CONNECTION drops them all
  EXPECT_EQ((*two.ReceiveFrame())[0], 0);
  EXPECT_EQ(proxy.server().admission().statements, 0u);
  EXPECT_THAT(Admin::MetricsText(proxy.server()), HasSubstr("crossfade_limits_reached_total{limit=\"max_prepared_statements\"} 3"));
}

TEST(Limits, RefusalsAreCountedByReason) {
  CountingBackend backend;
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) { config->limits.max_connections = 1; });
  Peer one = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(one));
  Peer two = ConnectTo(proxy.port());
  EXPECT_EQ(Error(two.ReceiveFrame(), 0).code, 1040);
  EXPECT_THAT(Admin::MetricsText(proxy.server()), HasSubstr("crossfade_connections_refused_total{reason=\"max_connections\"} 1"));
}

TEST(Limits, LargeCommandsOfAllTogether) {
  CountingBackend backend;
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) { config->limits.max_buffered = 3 << 20; });
  const std::string command = QueryPayload(std::string(2 << 20, 'x'));
  std::string frames;
  protocol::AppendFrames(command, 0, &frames);
  Peer one = ConnectTo(proxy.port()), two = ConnectTo(proxy.port()), small = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(one));
  ASSERT_TRUE(ClientLogin(two));
  ASSERT_TRUE(ClientLogin(small));
  ASSERT_TRUE(one.Send(frames.substr(0, 1 << 20)));  // half of it
  for (int i = 0; i < 200 && proxy.server().admission().buffered == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ASSERT_TRUE(two.Send(frames.substr(0, 1 << 10)));
  const auto refused = two.ReceiveFrame();
  EXPECT_EQ(Error(refused).code, 1041);
  EXPECT_TRUE(two.AtEnd());
  ASSERT_TRUE(small.SendMessage(QueryPayload("select 1"), 0));
  EXPECT_EQ((*small.ReceiveFrame())[0], 0);
  ASSERT_TRUE(one.Send(frames.substr(1 << 20)));
  EXPECT_EQ((*one.ReceiveFrame())[0], 0);
  for (int i = 0; i < 200 && proxy.server().admission().buffered > 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(proxy.server().admission().buffered, 0u);
}

// Memory of a client that has not logged in: forty that send all but the last byte of as long a login as is taken.
TEST(Limits, AHalfSentLoginHoldsNoMoreThanItself) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer keeps freed memory, so the process's size says nothing";
#endif
  CountingBackend backend;
  ProxyUnderTest proxy(backend.port());
  const auto resident = [] {
    std::ifstream file("/proc/self/statm");
    size_t total = 0, pages = 0;
    file >> total >> pages;
    return pages * 4096;
  };
  std::vector<Peer> clients;
  const size_t size = 64 * 1024;
  const size_t before = resident();
  for (int i = 0; i < 400; ++i) {
    clients.push_back(ConnectTo(proxy.port()));
    ASSERT_TRUE(clients.back().ReceiveFrame().has_value());
    std::string bytes{static_cast<char>(size), static_cast<char>(size >> 8), static_cast<char>(size >> 16), '\1'};
    bytes += LoginPayload().substr(0, 32);
    ASSERT_TRUE(clients.back().Send(bytes + std::string(size - 33, 'x')));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const size_t each = (resident() - before) / clients.size();
  RecordProperty("bytes_each", static_cast<int>(each));
  EXPECT_LT(each, 2 * size) << "of them a thread of the scripted backend takes its part";
  Peer one_more = ConnectTo(proxy.port());
  ASSERT_TRUE(one_more.ReceiveFrame().has_value());
  ASSERT_TRUE(one_more.Send(std::string("\x01\x00\x01\x01", 4) + LoginPayload()));
  const auto refused = one_more.ReceiveFrame();
  EXPECT_EQ(Error(refused).code, 1043) << "one byte more than 64 KiB, told from its head";
  EXPECT_TRUE(one_more.AtEnd());
}

}  // namespace
}  // namespace crossfade::proxy
