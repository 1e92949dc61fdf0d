// SPDX-License-Identifier: Apache-2.0
// Peers that go away or stop at every byte of a conversation: only their own session ends, nobody gets what is another's,
// nothing half is passed on as whole, and the log says what happened without what was said.
#include <gtest/gtest.h>

#include <random>
#include <sstream>

#include "fmt/format.h"
#include "spdlog/sinks/ostream_sink.h"
#include "spdlog/spdlog.h"
#include "tests/proxy/peers.h"

namespace crossfade::proxy {
namespace {

using std::chrono::milliseconds;

// A result set of one column "a" with the given rows, as a server that knows CLIENT_DEPRECATE_EOF sends it.
std::string ResultSet(const std::vector<std::string>& rows) {
  std::string bytes;
  uint8_t sequence = protocol::AppendFrames("\x01", 1, &bytes);
  sequence = protocol::AppendFrames(std::string("\x03" "def\0\0\0\x01" "a\0\x0c\x3f\0\0\0\0\0\xfd\0\0\0\0\0", 24), sequence, &bytes);
  for (const std::string& row : rows) {
    std::string payload;
    payload += static_cast<char>(row.size());
    sequence = protocol::AppendFrames(payload + row, sequence, &bytes);
  }
  protocol::AppendFrames(std::string("\xfe\0\0\x02\0\0\0", 7), sequence, &bytes);
  return bytes;
}

void WaitUntilGone(ProxyUnderTest& proxy, uint32_t sessions) {
  for (int i = 0; i < 500 && proxy.server().connections() > sessions; ++i) std::this_thread::sleep_for(milliseconds(10));
  EXPECT_EQ(proxy.server().connections(), sessions);
}

TEST(Failures, ABackendThatGoesAtEveryByteOfItsReply) {
  const std::string reply = ResultSet({"one", "two"});
  std::atomic<size_t> cut{0};
  ScriptedBackend backend([&](Peer& peer) {
    if (!BackendLogin(peer)) return;
    for (;;) {
      const auto command = peer.ReceiveFrame();
      if (!command) return;
      if (command->find("cut") != std::string::npos) {
        peer.Send(reply.substr(0, cut));
        return;
      }
      peer.Send(reply);
    }
  });
  ProxyUnderTest proxy(backend.port());
  Peer bystander = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(bystander));
  for (cut = 0; cut <= reply.size(); ++cut) {
    Peer client = ConnectTo(proxy.port());
    ASSERT_TRUE(ClientLogin(client));
    ASSERT_TRUE(client.SendMessage(QueryPayload("cut"), 0));
    EXPECT_EQ(client.Receive(reply.size() + 100), reply.substr(0, cut)) << cut;  // and then the end: no byte is made up
    ASSERT_TRUE(bystander.SendMessage(QueryPayload("whole"), 0));
    EXPECT_EQ(bystander.Receive(reply.size()), reply) << cut;
  }
  WaitUntilGone(proxy, 1);
}

TEST(Failures, AClientThatGoesAtEveryByteOfItsCommand) {
  std::atomic<int> whole{0}, other{0};
  std::string command;
  protocol::AppendFrames(QueryPayload("delete from t"), 0, &command);
  ScriptedBackend backend([&](Peer& peer) {
    if (!BackendLogin(peer)) return;
    const std::string got = peer.Receive(command.size());
    if (got == command) ++whole;
    else if (!got.empty() && got != std::string("\x01\0\0\0\x01", 5)) ++other;
    peer.SendMessage(OkPayload(), 1);
  });
  ProxyUnderTest proxy(backend.port());
  for (size_t cut = 0; cut <= command.size(); ++cut) {
    Peer client = ConnectTo(proxy.port());
    ASSERT_TRUE(ClientLogin(client));
    ASSERT_TRUE(client.Send(command.substr(0, cut)));
    if (cut % 2 == 0) client.ShutdownWrite();
  }
  WaitUntilGone(proxy, 0);
  EXPECT_EQ(whole, 1);  // what came whole is executed, as the server itself would
  EXPECT_EQ(other, 0);  // what did not is not begun
}

TEST(Failures, AClientThatHasSaidAllStillGetsItsReply) {
  const std::string reply = ResultSet({"late"});
  ScriptedBackend backend([&](Peer& peer) {
    if (!BackendLogin(peer)) return;
    if (!peer.ReceiveFrame()) return;
    std::this_thread::sleep_for(milliseconds(100));
    peer.Send(reply);
    peer.ReceiveFrame();
  });
  ProxyUnderTest proxy(backend.port());
  Peer client = ConnectTo(proxy.port());
  ASSERT_TRUE(ClientLogin(client));
  ASSERT_TRUE(client.SendMessage(QueryPayload("select late"), 0));
  client.ShutdownWrite();
  EXPECT_EQ(client.Receive(reply.size()), reply);
  EXPECT_TRUE(client.AtEnd());
  WaitUntilGone(proxy, 0);
}

TEST(Failures, ABackendThatGoesAtEveryByteOfItsGreeting) {
  std::string greeting;
  protocol::AppendFrames(GreetingPayload(), 0, &greeting);
  std::atomic<size_t> cut{0};
  ScriptedBackend backend([&](Peer& peer) { peer.Send(greeting.substr(0, cut)); });
  ProxyUnderTest proxy(backend.port());
  for (cut = 0; cut < greeting.size(); ++cut) {
    Peer client = ConnectTo(proxy.port());
    const auto payload = client.ReceiveFrame();
    ASSERT_TRUE(payload.has_value() && !payload->empty()) << cut;
    EXPECT_EQ(static_cast<uint8_t>((*payload)[0]), 0xFF) << cut;
    EXPECT_TRUE(client.AtEnd());
  }
  WaitUntilGone(proxy, 0);
}

// Each client asks for its own name and the number of its question, again and again, while clients and backends end at any
// packet. Whatever answer comes must be the answer to that very question.
TEST(Failures, NobodyGetsWhatIsAnothers) {
  constexpr int kClients = 16, kQuestions = 400;
  ScriptedBackend backend([](Peer& peer) {
    if (!BackendLogin(peer)) return;
    std::minstd_rand random(std::random_device{}());
    for (;;) {
      const auto command = peer.ReceiveFrame();
      if (!command) return;
      const std::string reply = ResultSet({command->substr(1), command->substr(1)});
      if (random() % 100 == 0) {
        peer.Send(reply.substr(0, random() % reply.size()));
        return;
      }
      peer.Send(reply);
    }
  });
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) { config->limits.io_threads = 2; });
  std::atomic<int> wrong{0}, answered{0};
  std::vector<std::thread> clients;
  for (int self = 0; self < kClients; ++self) {
    clients.emplace_back([&, self] {
      std::minstd_rand random(static_cast<unsigned>(self + 1));
      std::optional<Peer> client;
      for (int i = 0; i < kQuestions; ++i) {
        if (!client) {
          client.emplace(ConnectTo(proxy.port()));
          if (!ClientLogin(*client)) {
            client.reset();
            continue;
          }
        }
        const std::string question = fmt::format("client {} question {}", self, i), expected = ResultSet({question, question});
        if (!client->SendMessage(QueryPayload(question), 0) || random() % 100 == 0) {
          client.reset();  // before it is answered
          continue;
        }
        const std::string reply = client->Receive(expected.size());
        if (reply == expected) ++answered;
        else if (expected.compare(0, reply.size(), reply) != 0) ++wrong;
        if (reply != expected) client.reset();
      }
    });
  }
  for (std::thread& each : clients) each.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(answered, kClients * kQuestions / 2);
  WaitUntilGone(proxy, 0);
}

TEST(Failures, TheLogSaysWhatHappenedAndNotWhatWasSaid) {
  std::ostringstream log;
  const auto before = spdlog::default_logger();
  const auto logger = std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log));
  logger->set_level(spdlog::level::trace);
  spdlog::set_default_logger(logger);
  {
    ScriptedBackend backend([](Peer& peer) {
      if (!BackendLogin(peer)) return;
      if (!peer.ReceiveFrame()) return;
      peer.Send(ResultSet({"canary-value"}).substr(0, 40));
    });
    ProxyUnderTest proxy(backend.port());
    Peer client = ConnectTo(proxy.port());
    ASSERT_TRUE(client.ReceiveFrame().has_value());
    protocol::Login login;
    login.capabilities = kPeerCapabilities;
    login.user = "someone";
    login.auth_response = "canary-password-0001";
    login.auth_plugin = "mysql_native_password";
    ASSERT_TRUE(client.SendMessage(protocol::BuildLogin(login), 1));
    ASSERT_TRUE(client.ReceiveFrame().has_value());
    ASSERT_TRUE(client.SendMessage(QueryPayload("SELECT 'canary-literal'"), 0));
    EXPECT_FALSE(client.Receive(1000).empty());
    Peer broken = ConnectTo(proxy.port());
    ASSERT_TRUE(broken.ReceiveFrame().has_value());
    broken.SendMessage("canary-login", 1);
    broken.ReceiveFrame();
    WaitUntilGone(proxy, 0);
    proxy.server().Stop();
  }
  spdlog::set_default_logger(before);
  const std::string text = log.str();
  EXPECT_NE(text.find("of 'someone' from 127.0.0.1:"), std::string::npos) << text;
  EXPECT_NE(text.find("malformed login"), std::string::npos) << text;
  EXPECT_EQ(text.find("canary"), std::string::npos) << text;
}

}  // namespace
}  // namespace crossfade::proxy
