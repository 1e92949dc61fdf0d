// SPDX-License-Identifier: Apache-2.0
// Multi-factor authentication: the factors after the first are asked for by AuthNextFactor, in place of the OK.
#include <gtest/gtest.h>

#include "tests/proxy/peers.h"
#include "tests/servers/client.h"
#include "tests/servers/server.h"

namespace crossfade::proxy {
namespace {

// The second and the third factor are asked for one after the other, by AuthNextFactor.
TEST(Factors, EachIsPassedOnAndAnswered) {
  std::atomic<int> factors{0};
  const uint64_t capabilities = kPeerCapabilities | protocol::kClientMultiFactor;
  ScriptedBackend backend([&](Peer& peer) {
    protocol::Greeting greeting = *protocol::ParseGreeting(GreetingPayload());
    greeting.capabilities = capabilities;
    peer.SendMessage(protocol::BuildGreeting(greeting), 0);
    uint8_t sequence = 0;
    const auto login = peer.ReceiveFrame(&sequence);
    if (!login || (protocol::ParseLogin(*login)->capabilities & protocol::kClientMultiFactor) == 0) return;
    for (const char* plugin : {"second_plugin", "third_plugin"}) {
      protocol::AuthSwitch request;
      request.plugin = plugin;
      request.data = std::string("challenge of ") + plugin;
      peer.SendMessage(protocol::BuildNextFactor(request), static_cast<uint8_t>(sequence + 1));
      const auto answer = peer.ReceiveFrame(&sequence);
      if (!answer || *answer != "answer to " + request.data) return;
      // And more than one exchange within a factor.
      peer.SendMessage(protocol::BuildMoreData("more"), static_cast<uint8_t>(sequence + 1));
      if (peer.ReceiveFrame(&sequence) != "and more") return;
      ++factors;
    }
    peer.SendMessage(OkPayload(), static_cast<uint8_t>(sequence + 1));
    peer.ReceiveFrame();
  });
  ProxyUnderTest proxy(backend.port());
  Peer client = ConnectTo(proxy.port());
  const auto greeting = client.ReceiveFrame();
  ASSERT_TRUE(greeting.has_value());
  EXPECT_NE(protocol::ParseGreeting(*greeting)->capabilities & protocol::kClientMultiFactor, 0u);
  protocol::Login login = *protocol::ParseLogin(LoginPayload());
  login.capabilities = capabilities;
  client.SendMessage(protocol::BuildLogin(login), 1);
  uint8_t sequence = 0;
  for (const char* plugin : {"second_plugin", "third_plugin"}) {
    const auto request = client.ReceiveFrame(&sequence);
    ASSERT_TRUE(request.has_value());
    const auto parsed = protocol::ParseNextFactor(*request);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->plugin, plugin);
    client.SendMessage("answer to " + parsed->data, static_cast<uint8_t>(sequence + 1));
    EXPECT_EQ(client.ReceiveFrame(&sequence), protocol::BuildMoreData("more"));
    client.SendMessage("and more", static_cast<uint8_t>(sequence + 1));
  }
  EXPECT_EQ((*client.ReceiveFrame())[0], 0);
  EXPECT_EQ(factors, 2);
}

TEST(Factors, AMalformedRequestEndsTheSession) {
  ScriptedBackend backend([](Peer& peer) {
    peer.SendMessage(GreetingPayload(), 0);
    if (!peer.ReceiveFrame()) return;
    peer.SendMessage("\x02no end to this name", 2);
    peer.ReceiveFrame();
  });
  ProxyUnderTest proxy(backend.port());
  Peer client = ConnectTo(proxy.port());
  client.ReceiveFrame();
  client.SendMessage(LoginPayload(), 1);
  EXPECT_TRUE(client.AtEnd());
}

// A real second factor: auth_socket, for which MySQL looks at who is at the other end of its unix socket and asks nobody.
// It takes only clients that have agreed on further factors.
TEST(Factors, OfARealServer) {
  auto started = servers::Server::Start(servers::Engine::kMySql);
  if (!started.ok()) GTEST_SKIP() << "no mysql on this machine";
  servers::Server& server = **started;
  auto direct = servers::Client::Connect({.port = server.port()});
  ASSERT_TRUE(direct.ok());
  const servers::Reply installed = direct->Query("INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'");
  if (!installed.ok()) GTEST_SKIP() << "no auth_socket: " << installed.message;
  ASSERT_TRUE(direct->Query("SET GLOBAL authentication_policy = '*,auth_socket,'").ok());
  const std::string owner = ::getuid() == 0 ? "root" : std::getenv("USER") != nullptr ? std::getenv("USER") : "";
  const std::string first = "CREATE USER $@localhost IDENTIFIED WITH caching_sha2_password BY '' AND IDENTIFIED WITH auth_socket AS ";
  const auto create = [&](const char* user, const std::string& as) {
    std::string sql = first + "'" + as + "'";
    sql.replace(sql.find('$'), 1, user);
    return direct->Query(sql);
  };
  ASSERT_TRUE(create("two", owner).ok());
  ASSERT_TRUE(create("stranger", "somebody-else").ok());
  const std::string socket = *direct->Query("SELECT @@socket").rows[0][0];
  ProxyUnderTest proxy(0, [&](config::Config* config) { config->backends[0].address = "unix:" + socket; });
  ASSERT_TRUE(proxy.status().ok()) << proxy.status();
  struct Case {
    const char* user;
    uint64_t capability;
    bool in;
  };
  for (const Case& c : {Case{"two", protocol::kClientMultiFactor, true}, Case{"stranger", protocol::kClientMultiFactor, false}, Case{"two", 0, false}}) {
    Peer client = ConnectTo(proxy.port());
    ASSERT_TRUE(client.ReceiveFrame().has_value());
    protocol::Login login = *protocol::ParseLogin(LoginPayload());
    login.user = c.user;
    login.auth_plugin = "caching_sha2_password";
    login.capabilities |= c.capability;
    ASSERT_TRUE(client.SendMessage(protocol::BuildLogin(login), 1));
    const auto reply = client.ReceiveFrame();
    ASSERT_TRUE(reply && !reply->empty());
    EXPECT_EQ(static_cast<uint8_t>((*reply)[0]), c.in ? 0x00 : 0xFF) << c.user << ' ' << *reply;
  }
}

}  // namespace
}  // namespace crossfade::proxy
