// SPDX-License-Identifier: Apache-2.0
// Time limits: the connection phase, idle sessions, statements that run too long, and the orderly end.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/proxy/peers.h"
#include "tests/servers/client.h"
#include "tests/servers/server.h"

namespace crossfade::proxy {
namespace {

using protocol::ErrPacket;
using servers::Client;
using servers::Engine;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct Failure {
  uint16_t code = 0;
  uint8_t sequence = 0;
  std::string state, message;
};

Failure ReceiveError(Peer& peer) {
  Failure failure;
  const auto payload = peer.ReceiveFrame(&failure.sequence);
  ErrPacket err;
  if (!payload || !protocol::ParseErr(*payload, kPeerCapabilities, &err)) return failure;
  failure.code = err.code;
  failure.state = std::string(err.sql_state);
  failure.message = std::string(err.message);
  return failure;
}

// `in_transaction`: what its replies say. A query with "sleep" is never answered.
ScriptedBackend::Script Backend(bool in_transaction, bool mariadb = false) {
  return [=](Peer& peer) {
    std::string greeting = GreetingPayload();
    if (mariadb) {
      protocol::Greeting parsed = *protocol::ParseGreeting(greeting);
      parsed.server_version = "10.11.6-MariaDB";
      greeting = protocol::BuildGreeting(parsed);
    }
    if (!peer.SendMessage(greeting, 0)) return;
    uint8_t sequence = 0;
    if (!peer.ReceiveFrame(&sequence)) return;
    peer.SendMessage(OkPayload(), static_cast<uint8_t>(sequence + 1));
    for (;;) {
      const auto command = peer.ReceiveFrame();
      if (!command || command->empty() || (*command)[0] == 1) return;
      if (command->find("sleep") != std::string::npos) continue;
      if (command->find("half") != std::string::npos) {
        peer.Send(std::string("\x01\0\0\x01\x02", 5));
        continue;
      }
      peer.SendMessage(OkPayload(in_transaction ? protocol::kStatusInTrans : protocol::kStatusAutocommit), 1);
    }
  };
}

TEST(Time, AnIdleSessionEndsWithTheServersError) {
  ScriptedBackend backend(Backend(false));
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) { config->limits.idle_timeout = milliseconds(1200); });
  Peer idle = ConnectTo(proxy.port()), busy = ConnectTo(proxy.port()), half = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(idle));
  ASSERT_TRUE(ClientLogin(busy));
  ASSERT_TRUE(ClientLogin(half));
  half.Send(std::string("\x20\0\0\0\x03sel", 8));  // and never the rest
  const auto start = steady_clock::now();
  for (int i = 0; i < 25; ++i) {
    ASSERT_TRUE(busy.SendMessage(QueryPayload("select 1"), 0));
    ASSERT_EQ((*busy.ReceiveFrame())[0], 0);
    std::this_thread::sleep_for(milliseconds(100));
  }
  const Failure failure = ReceiveError(idle);
  EXPECT_EQ(failure.code, 4031);
  EXPECT_EQ(failure.state, "HY000");
  EXPECT_EQ(failure.sequence, 0);
  EXPECT_TRUE(idle.AtEnd());
  EXPECT_EQ(ReceiveError(half).code, 4031);
  EXPECT_TRUE(half.AtEnd());
  EXPECT_LT(steady_clock::now() - start, milliseconds(4000));
  ASSERT_TRUE(busy.SendMessage(QueryPayload("select 1"), 0));
  EXPECT_EQ((*busy.ReceiveFrame())[0], 0);
}

TEST(Time, MariaDbSaysNothing) {
  ScriptedBackend backend(Backend(false, true));
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) { config->limits.idle_timeout = milliseconds(600); });
  Peer idle = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(idle));
  EXPECT_TRUE(idle.AtEnd());
}

TEST(Time, ATransactionHasALimitOfItsOwn) {
  ScriptedBackend backend(Backend(true));
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) {
    config->limits.idle_timeout = std::chrono::hours(1);
    config->limits.idle_transaction_timeout = milliseconds(600);
  });
  Peer outside = ConnectTo(proxy.port()), inside = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(outside));
  ASSERT_TRUE(ClientLogin(inside));
  ASSERT_TRUE(inside.SendMessage(QueryPayload("begin"), 0));
  ASSERT_TRUE(inside.ReceiveFrame().has_value());
  EXPECT_EQ(ReceiveError(inside).code, 4031);
  EXPECT_TRUE(inside.AtEnd());
  EXPECT_TRUE(outside.Quiet(500));
}

TEST(Time, AStatementThatCannotBeKilledEndsTheSession) {
  ScriptedBackend backend(Backend(false)), mariadb(Backend(false, true));
  for (ScriptedBackend* each : {&backend, &mariadb}) {
    ProxyUnderTest proxy(each->port(), [](config::Config* config) { config->limits.statement_timeout = milliseconds(600); });
    Peer slow = ConnectTo(proxy.port()), half = ConnectTo(proxy.port()), idle = ConnectTo(proxy.port());
    ASSERT_TRUE(ClientLogin(slow));
    ASSERT_TRUE(ClientLogin(half));
    ASSERT_TRUE(ClientLogin(idle));
    ASSERT_TRUE(slow.SendMessage(QueryPayload("sleep"), 0));
    ASSERT_TRUE(half.SendMessage(QueryPayload("half"), 0));
    const Failure failure = ReceiveError(slow);
    EXPECT_EQ(failure.code, each == &backend ? 3024 : 1969);
    EXPECT_EQ(failure.sequence, 1);
    EXPECT_TRUE(slow.AtEnd());
    EXPECT_EQ(half.Receive(5).size(), 5u) << "with a part of the reply out, an error would be taken for the rest of it";
    EXPECT_TRUE(half.AtEnd());
    EXPECT_TRUE(idle.Quiet(700));
  }
}

TEST(Time, ABackendThatDoesNotAnswerTheConnectionIsGivenUp) {
  // A listener whose queue is full: the connection stays unanswered.
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener, 0), 0);
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  const uint16_t port = ntohs(address.sin_port);
  std::vector<int> fillers;
  for (int i = 0; i < 4; ++i) {
    fillers.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    ::connect(fillers.back(), reinterpret_cast<sockaddr*>(&address), size);
  }
  ProxyUnderTest proxy(port, [](config::Config* config) { config->limits.connect_timeout = milliseconds(500); });
  Peer client = ConnectTo(proxy.port());
  const auto start = steady_clock::now();
  const auto payload = client.ReceiveFrame();
  ErrPacket err;
  ASSERT_TRUE(payload && protocol::ParseErr(*payload, 0, &err));
  EXPECT_EQ(err.code, 1105);
  EXPECT_NE(err.message.find("timed out"), std::string::npos) << err.message;
  EXPECT_LT(steady_clock::now() - start, milliseconds(2500));
  EXPECT_TRUE(client.AtEnd());
  for (const int fd : fillers) ::close(fd);
  ::close(listener);
}

// Slow handshakes: silent ones and ones of a byte now and then are closed in time, with the server's error, while others work.
TEST(Time, SlowHandshakesAreClosedAndOthersDoNotNotice) {
  const bool whole = std::getenv("CROSSFADE_LONG") != nullptr;
  const int count = whole ? 4'500 : 300;
  const milliseconds limit(whole ? 10'000 : 1'500);
  ScriptedBackend backend(Backend(false));
  ProxyUnderTest proxy(backend.port(), [&](config::Config* config) {
    config->limits.handshake_timeout = limit;
    config->limits.max_connections = 10'000;
  });
  Peer worker = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(worker));
  std::vector<Peer> slow;
  for (int i = 0; i < count; ++i) {
    slow.push_back(ConnectTo(proxy.port()));
    ASSERT_TRUE(slow.back().ReceiveFrame().has_value());
  }
  const auto start = steady_clock::now();
  std::string login;
  protocol::AppendFrames(LoginPayload(), 1, &login);
  milliseconds worst{0};
  for (size_t sent = 0; steady_clock::now() - start < limit + milliseconds(1'000); ++sent) {
    for (size_t i = 0; i < slow.size(); i += 2) slow[i].Send(login.substr(std::min(sent, login.size() - 2), 1));
    for (int i = 0; i < 20; ++i) {
      const auto asked = steady_clock::now();
      ASSERT_TRUE(worker.SendMessage(QueryPayload("select 1"), 0));
      ASSERT_EQ((*worker.ReceiveFrame())[0], 0);
      worst = std::max(worst, std::chrono::duration_cast<milliseconds>(steady_clock::now() - asked));
    }
    std::this_thread::sleep_for(milliseconds(100));
  }
  EXPECT_LT(worst, milliseconds(200));
  for (size_t i = 1; i < slow.size(); i += 2) {
    const Failure failure = ReceiveError(slow[i]);
    ASSERT_EQ(failure.code, 1159) << i;
    ASSERT_EQ(failure.state, "08S01");
    ASSERT_TRUE(slow[i].AtEnd());
  }
  for (int i = 0; i < 1'000 && proxy.server().connections() > 1; ++i) std::this_thread::sleep_for(milliseconds(10));
  EXPECT_EQ(proxy.server().connections(), 1u);
}

class ServersTime : public testing::TestWithParam<Engine> {
 protected:
  void SetUp() override {
    auto started = servers::Server::Start(GetParam());
    if (!started.ok()) GTEST_SKIP() << "no " << servers::EngineName(GetParam()) << " on this machine";
    server_ = *std::move(started);
  }
  void StartProxy(const std::function<void(config::Config*)>& adjust) {
    proxy_ = std::make_unique<ProxyUnderTest>(static_cast<uint16_t>(server_->port()), [&](config::Config* config) {
      config->control.backend = "b";
      config->control.user = "root";
      adjust(config);
    });
    ASSERT_TRUE(proxy_->status().ok()) << proxy_->status();
  }
  std::unique_ptr<servers::Server> server_;
  std::unique_ptr<ProxyUnderTest> proxy_;
};

TEST_P(ServersTime, AStatementThatRunsTooLongIsKilledAndTheTransactionGoesOn) {
  StartProxy([](config::Config* config) { config->limits.statement_timeout = milliseconds(1000); });
  auto client = Client::Connect({.port = proxy_->port()});
  ASSERT_TRUE(client.ok()) << client.status();
  ASSERT_TRUE(client->Query("CREATE DATABASE zoo").ok());
  ASSERT_TRUE(client->Query("CREATE TABLE zoo.t (a INT) ENGINE=InnoDB").ok());
  ASSERT_TRUE(client->Query("BEGIN").ok());
  ASSERT_TRUE(client->Query("INSERT INTO zoo.t VALUES (1)").ok());
  const auto start = steady_clock::now();
  const servers::Reply killed = client->Query("SELECT COUNT(*) FROM information_schema.COLLATIONS a, information_schema.COLLATIONS b,"
                                              " information_schema.COLLATIONS c, information_schema.COLLATIONS d");
  EXPECT_EQ(killed.error, 1317u) << killed.message;
  EXPECT_LT(steady_clock::now() - start, milliseconds(4000));
  // Statement after statement, so that a late kill would hit one.
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(client->Query("SELECT a FROM zoo.t").ok());
  ASSERT_TRUE(client->Query("COMMIT").ok());
  EXPECT_EQ(client->Query("SELECT COUNT(*) FROM zoo.t").rows[0][0], "1");
  // Near the limit, again and again: killed or not, the reply is one of the two.
  for (int i = 0; i < 4; ++i) {
    const servers::Reply reply = client->Query("SELECT SLEEP(1.2)");
    EXPECT_TRUE(reply.ok() || reply.error == 1317) << reply.message;
    ASSERT_TRUE(client->Query("SELECT 1").ok());
  }
}

// As it would directly, also where the session has only just become idle.
TEST_P(ServersTime, AKilledIdleSessionFindsItsSocketClosedAtOnce) {
  StartProxy([](config::Config* config) { config->limits.io_threads = 2; });
  auto killer = Client::Connect({.port = server_->port()});
  ASSERT_TRUE(killer.ok());
  std::vector<milliseconds> took;
  for (int i = 0; i < 30; ++i) {
    auto client = Client::Connect({.port = proxy_->port()});
    ASSERT_TRUE(client.ok()) << client.status();
    for (int n = 0; n < i; ++n) ASSERT_TRUE(client->Query("SELECT 1").ok());
    if (i % 5 == 4) std::this_thread::sleep_for(milliseconds(150 * (i / 5)));  // idle for more than a tick as well
    const auto start = steady_clock::now();
    ASSERT_TRUE(killer->Query("KILL " + std::to_string(client->thread_id())).ok());
    pollfd p{mysql_get_socket(client->raw()), POLLIN | POLLRDHUP, 0};
    ASSERT_EQ(::poll(&p, 1, 5000), 1);
    took.push_back(std::chrono::duration_cast<milliseconds>(steady_clock::now() - start));
    EXPECT_TRUE(client->Query("SELECT 1").lost());
  }
  std::sort(took.begin(), took.end());
  EXPECT_LT(took[took.size() / 2], milliseconds(20));
  EXPECT_LT(took.back(), milliseconds(300)) << "on a busy machine";
}

TEST_P(ServersTime, WithoutTheRightToKillTheSessionEnds) {
  StartProxy([](config::Config* config) {
    config->limits.statement_timeout = milliseconds(700);
    config->control.user = "nobody";
  });
  auto direct = Client::Connect({.port = server_->port()});
  ASSERT_TRUE(direct.ok());
  ASSERT_TRUE(direct->Query("CREATE USER nobody@'%' IDENTIFIED BY ''").ok());
  auto client = Client::Connect({.port = proxy_->port()});
  ASSERT_TRUE(client.ok()) << client.status();
  const servers::Reply reply = client->Query("SELECT SLEEP(20)");
  EXPECT_EQ(reply.error, GetParam() == Engine::kMySql ? 3024u : 1969u) << reply.message;
  EXPECT_TRUE(client->Query("SELECT 1").lost());
}

TEST_P(ServersTime, AnOrderlyEndWaitsForAStatementAndATransaction) {
  StartProxy([](config::Config* config) { config->limits.drain_timeout = std::chrono::seconds(20); });
  const uint16_t port = proxy_->port();  // not asked for while it stops
  auto busy = Client::Connect({.port = proxy_->port()});
  auto open = Client::Connect({.port = proxy_->port()});
  auto idle = Client::Connect({.port = proxy_->port()});
  ASSERT_TRUE(busy.ok() && open.ok() && idle.ok());
  ASSERT_TRUE(open->Query("CREATE DATABASE zoo").ok());
  ASSERT_TRUE(open->Query("CREATE TABLE zoo.t (a INT) ENGINE=InnoDB").ok());
  ASSERT_TRUE(open->Query("BEGIN").ok());
  ASSERT_TRUE(open->Query("INSERT INTO zoo.t VALUES (1)").ok());
  servers::Reply slept;
  std::thread statement([&] { slept = busy->Query("SELECT SLEEP(1.5), 'whole'"); });
  std::this_thread::sleep_for(milliseconds(300));
  std::thread stop([&] { proxy_->server().Stop(); });
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_TRUE(idle->Query("SELECT 1").lost());
  EXPECT_FALSE(Client::Connect({.port = port, .timeout_s = 2}).ok());
  ASSERT_TRUE(open->Query("INSERT INTO zoo.t VALUES (2)").ok());
  ASSERT_TRUE(open->Query("COMMIT").ok());
  EXPECT_TRUE(open->Query("SELECT 1").lost()) << "the transaction was its last";
  statement.join();
  ASSERT_TRUE(slept.ok()) << slept.message;
  EXPECT_EQ(slept.rows[0][1], "whole");
  stop.join();
  auto direct = Client::Connect({.port = server_->port()});
  EXPECT_EQ(direct->Query("SELECT COUNT(*) FROM zoo.t").rows[0][0], "2");
}

INSTANTIATE_TEST_SUITE_P(Servers, ServersTime, testing::Values(Engine::kMySql, Engine::kMariaDb),
                         [](const auto& info) { return servers::EngineName(info.param); });

}  // namespace
}  // namespace crossfade::proxy
