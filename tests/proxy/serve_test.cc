// SPDX-License-Identifier: Apache-2.0
// The program and real servers: whose address the server sees behind the PROXY protocol, files that change while it
// serves, and SIGTERM.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "protocol/proxy_header.h"
#include "tests/proxy/certificates.h"
#include "tests/servers/client.h"
#include "tests/servers/crossfade_process.h"
#include "tests/servers/server.h"

namespace crossfade::proxy {
namespace {

using servers::Client;
using servers::Engine;
using std::chrono::milliseconds;

std::string HeaderFrom(const char* host, bool v2) {
  protocol::ProxyHeader header;
  size_t consumed = 0;
  const std::string text = "PROXY TCP4 " + std::string(host) + " 10.1.2.3 4660 3306\r\n";
  EXPECT_EQ(protocol::ParseProxyHeader(text, &header, &consumed), protocol::ProxyHeaderResult::kDone);
  return v2 ? protocol::BuildProxyHeaderV2(header) : text;
}

struct Answer {
  unsigned error = 0;
  std::string text;
};

// Logs in behind `header` and runs `sql`; the first field of its result.
Answer Ask(uint16_t port, const std::string& header, const char* user, const std::string& sql) {
  Peer client = ConnectTo(port);
  client.Send(header);
  Answer answer;
  const auto failed = [&](const std::optional<std::string>& payload) {
    protocol::ErrPacket err;
    if (payload && !protocol::ParseErr(*payload, kPeerCapabilities, &err)) return false;
    answer = {payload ? err.code : 2013u, std::string(err.message)};
    return true;
  };
  auto reply = client.ReceiveFrame();
  if (failed(reply)) return answer;
  protocol::Login login = *protocol::ParseLogin(LoginPayload());
  login.user = user;
  client.SendMessage(protocol::BuildLogin(login), 1);
  reply = client.ReceiveFrame();
  if (failed(reply)) return answer;
  client.SendMessage(QueryPayload(sql), 0);
  for (int packet = 0; packet < 3; ++packet) {  // column count, definition, row or error
    reply = client.ReceiveFrame();
    if (failed(reply)) return answer;
  }
  answer.text = reply->substr(1);
  return answer;
}

TEST(Identity, MariaDbSeesTheClientsAddress) {
  servers::ServerOptions options;
  options.arguments = {"--proxy-protocol-networks=127.0.0.0/8", "--skip-name-resolve"};
  auto started = servers::Server::Start(Engine::kMariaDb, options);
  if (!started.ok()) GTEST_SKIP() << "no mariadb on this machine";
  servers::Server& server = **started;
  auto direct = Client::Connect({.port = server.port()});
  ASSERT_TRUE(direct.ok());
  ASSERT_TRUE(direct->Query("CREATE USER traveller@'192.0.2.%' IDENTIFIED BY ''").ok());
  ASSERT_TRUE(direct->Query("GRANT ALL ON *.* TO traveller@'192.0.2.%'").ok());
  ASSERT_TRUE(direct->Query("CREATE USER another@'198.51.100.%' IDENTIFIED BY ''").ok());
  for (const bool v2 : {false, true}) {
    ProxyUnderTest proxy(static_cast<uint16_t>(server.port()), [&](config::Config* config) {
      config->listeners[0].proxy_protocol.push_back(*config::ParseNetwork("127.0.0.1"));
      config->backends[0].proxy_protocol = v2 ? config::ProxyProtocol::kV2 : config::ProxyProtocol::kV1;
      config->control.backend = "b";
      config->control.user = "root";
      config->limits.statement_timeout = milliseconds(1000);
    });
    ASSERT_TRUE(proxy.status().ok()) << proxy.status();
    const std::string header = HeaderFrom("192.0.2.7", v2);
    EXPECT_EQ(Ask(proxy.port(), header, "traveller", "SELECT USER()").text, "traveller@192.0.2.7");
    EXPECT_EQ(Ask(proxy.port(), header, "traveller", "SELECT HOST FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID()").text,
              "192.0.2.7:4660");
    const Answer denied = Ask(proxy.port(), HeaderFrom("198.51.100.9", v2), "traveller", "SELECT 1");
    EXPECT_EQ(denied.error, 1045u);
    EXPECT_THAT(denied.text, testing::HasSubstr("'traveller'@'198.51.100.9'"));
    // Nobody may come from there: MariaDB's refusal, in the greeting's place, is numbered behind the header.
    EXPECT_EQ(Ask(proxy.port(), HeaderFrom("203.0.113.5", v2), "traveller", "SELECT 1").error, 1130u);
    EXPECT_NE(Ask(proxy.port(), "", "traveller", "SELECT 1").error, 0u) << "no header from a listed peer";
    // A kill finds the thread by the port that the header told.
    EXPECT_EQ(Ask(proxy.port(), header, "traveller", "SELECT COUNT(*) FROM information_schema.COLLATIONS a, information_schema.COLLATIONS b,"
                  " information_schema.COLLATIONS c, information_schema.COLLATIONS d").error, 1317u);
  }
}

class Serve : public testing::Test {
 protected:
  void SetUp() override {
    auto started = servers::Server::Start(Engine::kMariaDb);
    if (!started.ok()) GTEST_SKIP() << "no mariadb on this machine";
    server_ = *std::move(started);
    auto proxy = servers::CrossfadeProcess::Start({.backend = server_->address(), .limits = "  drain_timeout: 20s\n"});
    ASSERT_TRUE(proxy.ok()) << proxy.status();
    proxy_ = *std::move(proxy);
  }
  // Puts another listener into the file. `tls`: what stands there.
  void Add(int port, const std::string& tls) {
    std::string text = servers::ReadFile(proxy_->config_path());
    const size_t at = text.find("backends:");
    text.insert(at, "  - {address: \"127.0.0.1:" + std::to_string(port) + "\", backend: primary, tls: " + tls + "}\n");
    servers::WriteFile(proxy_->config_path(), text);
  }
  template <typename Condition>
  static bool Within(milliseconds limit, Condition condition) {
    for (const auto end = std::chrono::steady_clock::now() + limit; std::chrono::steady_clock::now() < end;) {
      if (condition()) return true;
      std::this_thread::sleep_for(milliseconds(20));
    }
    return false;
  }
  static long SerialAt(int port) {
    Peer client = ConnectTo(static_cast<uint16_t>(port));
    if (!client.ReceiveFrame() || !client.SendMessage(SslRequestPayload(), 1)) return 0;
    const TlsOn tls(client, false);
    return tls.done() ? tls.serial() : 0;
  }
  std::unique_ptr<servers::Server> server_;
  std::unique_ptr<servers::CrossfadeProcess> proxy_;
};

TEST_F(Serve, ListenersComeAndGoAndCertificatesAreTakenUp) {
  TestCa ca;
  const TestCa::Files own = ca.Issue("server");
  auto open = Client::Connect({.port = proxy_->port()});
  ASSERT_TRUE(open.ok());
  const std::string before = servers::ReadFile(proxy_->config_path());
  const int port = servers::FreePort();
  Add(port, "{certificate: " + own.certificate + ", key: " + own.key + "}");
  proxy_->Signal(SIGHUP);
  ASSERT_TRUE(Within(milliseconds(5000), [&] { return servers::PortOpen(port); })) << proxy_->log();
  const long first = SerialAt(port);
  EXPECT_GT(first, 100);
  ca.Issue("server");  // over the same files, and nobody says a word
  EXPECT_TRUE(Within(milliseconds(5000), [&] { return SerialAt(port) > first; })) << proxy_->log();
  servers::WriteFile(own.certificate, "no certificate\n");
  EXPECT_TRUE(Within(milliseconds(5000), [&] { return proxy_->log().find("are not taken up") != std::string::npos; }));
  EXPECT_GT(SerialAt(port), first);
  servers::WriteFile(proxy_->config_path(), before);
  proxy_->Signal(SIGHUP);
  EXPECT_TRUE(Within(milliseconds(5000), [&] { return !servers::PortOpen(port); })) << proxy_->log();
  EXPECT_TRUE(open->Query("SELECT 1").ok());
}

TEST_F(Serve, SigtermWaitsForTransactionsAndStatements) {
  auto open = Client::Connect({.port = proxy_->port()});
  auto busy = Client::Connect({.port = proxy_->port()});
  ASSERT_TRUE(open.ok() && busy.ok());
  ASSERT_TRUE(open->Query("CREATE DATABASE zoo").ok());
  ASSERT_TRUE(open->Query("CREATE TABLE zoo.t (a INT) ENGINE=InnoDB").ok());
  ASSERT_TRUE(open->Query("BEGIN").ok());
  ASSERT_TRUE(open->Query("INSERT INTO zoo.t VALUES (1)").ok());
  servers::Reply slept;
  std::thread statement([&] { slept = busy->Query("SELECT SLEEP(1.5), 'whole'"); });
  std::this_thread::sleep_for(milliseconds(300));
  int code = -1;
  std::thread stop([&] { code = proxy_->Stop(); });
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_FALSE(servers::PortOpen(proxy_->port()));
  EXPECT_TRUE(open->Query("INSERT INTO zoo.t VALUES (2)").ok());
  EXPECT_TRUE(open->Query("COMMIT").ok());
  statement.join();
  EXPECT_TRUE(slept.ok()) << slept.message;
  stop.join();
  EXPECT_EQ(code, 0);
  auto direct = Client::Connect({.port = server_->port()});
  EXPECT_EQ(direct->Query("SELECT COUNT(*) FROM zoo.t").rows[0][0], "2");
}

}  // namespace
}  // namespace crossfade::proxy
