// SPDX-License-Identifier: Apache-2.0
// The compressed protocol with real clients and servers: every method on each side, plain and in TLS, packets over
// 16 MiB both ways, files, changed users. And peers whose pieces are wrong.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>

#include "fmt/format.h"
#include "protocol/compression.h"
#include "tests/proxy/peers.h"
#include "tests/servers/client.h"
#include "tests/servers/process.h"
#include "tests/servers/server.h"

namespace crossfade::proxy {
namespace {

using servers::Engine;

servers::Server* RunningServer(Engine engine) {
  static std::map<Engine, std::unique_ptr<servers::Server>> running;
  std::unique_ptr<servers::Server>& server = running[engine];
  if (!server) {
    auto started = servers::Server::Start(engine, {.arguments = {"--max-allowed-packet=256M", "--local-infile=1"}});
    if (!started.ok()) return nullptr;
    server = *std::move(started);
    auto client = servers::Client::Connect({.port = server->port()});
    if (!client.ok()) return nullptr;
    client->Query("CREATE DATABASE zoo");
    client->Query("CREATE TABLE zoo.t (a longtext)");
  }
  return server.get();
}

// mysql of the MySQL tree (with zstd), or mariadb; empty: not on this machine.
std::vector<std::string> CommandLineClient(Engine engine) {
  if (engine == Engine::kMariaDb) return {"mariadb", "--no-defaults"};
  const char* named = std::getenv("CROSSFADE_MYSQL_ROOT");
  const std::string root = named != nullptr ? named : "/var/cache/crossfade/mysql-root";
  if (!std::filesystem::exists(root + "/usr/bin/mysql")) return {};
  return {root + "/usr/lib64/ld-linux-x86-64.so.2", "--library-path", root + "/usr/lib/x86_64-linux-gnu:" + root + "/usr/lib/mysql/private",
          root + "/usr/bin/mysql", "--no-defaults"};
}

struct Combination {
  Engine engine;
  const char* client;  // "zlib", "zstd", "uncompressed"
  config::Compression backend;
  bool tls;  // both sides; the client side alone where the server has no certificate
};

class CompressionTest : public testing::TestWithParam<Combination> {};

TEST_P(CompressionTest, CommandLineClients) {
  const Combination& how = GetParam();
  servers::Server* server = RunningServer(how.engine);
  if (server == nullptr) GTEST_SKIP() << "no " << servers::EngineName(how.engine) << " on this machine";
  std::vector<std::string> command = CommandLineClient(how.engine);
  if (command.empty()) GTEST_SKIP() << "no command line client of " << servers::EngineName(how.engine);
  const servers::TempFolder folder("compression");
  const std::string key = folder.path() + "/key.pem", certificate = folder.path() + "/certificate.pem";
  ASSERT_EQ(servers::RunCommand({"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "1",
                                 "-keyout", key, "-out", certificate}, std::chrono::seconds(60)).exit_code, 0);
  ProxyUnderTest proxy(static_cast<uint16_t>(server->port()), [&](config::Config* config) {
    config->backends[0].compression = how.backend;
    if (how.tls) config->backends[0].tls = config::TlsMode::kPreferred;
    if (how.tls) config->listeners[0].tls_certificate = certificate;
    if (how.tls) config->listeners[0].tls_key = key;
  });
  ASSERT_TRUE(proxy.status().ok()) << proxy.status();
  // A file of 20,000 lines, a statement of 20 MB, and rows of 20 MB back: none of it compresses to nothing.
  std::string file, text;
  uint32_t seed = 5;
  for (int i = 0; i < 20'000; ++i) {
    seed = seed * 1664525 + 1013904223;
    file += fmt::format("{} bear {}\n", seed, i);
  }
  while (text.size() < 20'000'000) {
    seed = seed * 1664525 + 1013904223;
    text += fmt::format("{:08x}", seed);
  }
  servers::WriteFile(folder.path() + "/file.txt", file);
  const std::string script = fmt::format(
      "truncate table t;\nload data local infile '{0}/file.txt' into table t;\nselect count(*), sum(crc32(a)) from t;\n"
      "select a from t;\ntruncate table t;\ninsert into t values ('{1}');\nselect length(a), crc32(a) from t;\nselect a from t;\n"
      "select 1; select 2;\ncall sys_nothing();\n", folder.path(), text);
  servers::WriteFile(folder.path() + "/script.sql", script);
  const bool mariadb = how.engine == Engine::kMariaDb;
  for (const char* argument : {"-uroot", "-h127.0.0.1", "--local-infile=1", "--max-allowed-packet=256M", "-N", "--force", "-Dzoo"}) command.push_back(argument);
  if (mariadb) {
    command.push_back(how.tls ? "--ssl" : "--skip-ssl");
    if (std::string_view(how.client) == "zlib") command.push_back("--compress");
  } else {
    command.push_back(how.tls ? "--ssl-mode=required" : "--ssl-mode=disabled");
    command.push_back(std::string("--compression-algorithms=") + how.client);
  }
  const auto run = [&](int port, const std::string& out) {
    std::string line;
    for (const std::string& each : command) line += "'" + each + "' ";
    const servers::CommandResult result = servers::RunCommand({"sh", "-c", fmt::format("{} -P{} < {}/script.sql > {}", line, port, folder.path(), out)}, std::chrono::seconds(100));
    return result.output;
  };
  const std::string direct_errors = run(server->port(), folder.path() + "/direct"), errors = run(proxy.port(), folder.path() + "/proxied");
  EXPECT_EQ(errors, direct_errors);
  const std::string direct = servers::ReadFile(folder.path() + "/direct"), proxied = servers::ReadFile(folder.path() + "/proxied");
  EXPECT_GT(direct.size(), 20'000'000u) << direct_errors;
  EXPECT_TRUE(direct == proxied) << proxied.size() << " bytes for " << direct.size();
}

std::string Name(const testing::TestParamInfo<Combination>& info) {
  const char* backend[] = {"plain", "zlib", "zstd"};
  return fmt::format("{}_{}_to_{}{}", servers::EngineName(info.param.engine), info.param.client,
                     backend[static_cast<int>(info.param.backend)], info.param.tls ? "_tls" : "");
}

INSTANTIATE_TEST_SUITE_P(Sides, CompressionTest,
                         testing::Values(Combination{Engine::kMariaDb, "zlib", config::Compression::kOff, false},
                                         Combination{Engine::kMariaDb, "zlib", config::Compression::kZlib, true},
                                         Combination{Engine::kMariaDb, "uncompressed", config::Compression::kZlib, false},
                                         Combination{Engine::kMariaDb, "zlib", config::Compression::kZstd, false},  // it has no zstd
                                         Combination{Engine::kMySql, "zlib", config::Compression::kOff, true},
                                         Combination{Engine::kMySql, "zstd", config::Compression::kOff, false},
                                         Combination{Engine::kMySql, "zstd", config::Compression::kZlib, true},
                                         Combination{Engine::kMySql, "uncompressed", config::Compression::kZstd, false},
                                         Combination{Engine::kMySql, "zlib", config::Compression::kZstd, false}),
                         Name);

// A client that has agreed on `capability`, up to the OK.
bool CompressedLogin(Peer& peer, uint64_t capability, uint8_t level) {
  if (!peer.ReceiveFrame()) return false;
  protocol::Login login = *protocol::ParseLogin(LoginPayload());
  login.capabilities |= capability;
  login.zstd_level = level;
  if (!peer.SendMessage(protocol::BuildLogin(login), 1)) return false;
  const auto reply = peer.ReceiveFrame();
  return reply && !reply->empty() && (*reply)[0] == 0;
}

std::string Piece(std::string_view plain, uint8_t sequence, size_t claimed = 0) {
  std::string out;
  for (int i = 0; i < 3; ++i) out += static_cast<char>(plain.size() >> (8 * i));
  out += static_cast<char>(sequence);
  for (int i = 0; i < 3; ++i) out += static_cast<char>(claimed >> (8 * i));
  return out.append(plain);
}

void OkBackend(Peer& peer) {
  if (!BackendLogin(peer)) return;
  while (peer.ReceiveFrame()) peer.SendMessage(OkPayload(), 1);
}

TEST(CompressedPeers, AreAnsweredInPiecesThatGoOn) {
  ScriptedBackend backend(OkBackend);
  ProxyUnderTest proxy(backend.port());
  Peer client = ConnectTo(proxy.port());
  ASSERT_TRUE(CompressedLogin(client, protocol::kClientCompress, 0));
  std::string frame;
  protocol::AppendFrames("\x0e", 0, &frame);
  const std::string ok = OkPayload();
  // Two commands in one write, in a piece each; then one cut into three pieces.
  ASSERT_TRUE(client.Send(Piece(frame, 0) + Piece(frame, 0)));
  std::string expected_frame;
  protocol::AppendFrames(ok, 1, &expected_frame);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(client.Receive(7 + expected_frame.size()), Piece(expected_frame, 1));
  ASSERT_TRUE(client.Send(Piece(frame.substr(0, 2), 0) + Piece(frame.substr(2, 2), 1) + Piece(frame.substr(4), 2)));
  EXPECT_EQ(client.Receive(7 + expected_frame.size()), Piece(expected_frame, 3));
}

TEST(CompressedPeers, WrongPiecesEndTheSessionOnly) {
  ScriptedBackend backend(OkBackend);
  ProxyUnderTest proxy(backend.port());
  std::string frame, error;
  protocol::AppendFrames("\x0e", 0, &frame);
  protocol::AppendFrames(protocol::BuildErr(1156, "08S01", "Got packets out of order", kPeerCapabilities), 0, &error);
  struct Case { std::string bytes; std::string answer; } cases[] = {
      {Piece(frame, 4), Piece(error, 0)},
      {Piece("garbage that is not packed at all", 0, 60), ""},
      {Piece("x", 0, 0xFFFFFF), ""},
  };
  for (const Case& each : cases) {
    Peer client = ConnectTo(proxy.port());
    ASSERT_TRUE(CompressedLogin(client, protocol::kClientCompress, 0));
    ASSERT_TRUE(client.Send(each.bytes));
    EXPECT_EQ(client.Receive(each.answer.size()), each.answer);
    EXPECT_TRUE(client.AtEnd());
  }
}

TEST(CompressedPeers, ALevelThatDoesNotExistGetsTheServersError) {
  ScriptedBackend backend(OkBackend);
  ProxyUnderTest proxy(backend.port());
  for (const uint8_t level : {0, 23}) {
    Peer client = ConnectTo(proxy.port());
    ASSERT_TRUE(client.ReceiveFrame());
    protocol::Login login = *protocol::ParseLogin(LoginPayload());
    login.capabilities |= protocol::kClientZstdCompression;
    login.zstd_level = level;
    ASSERT_TRUE(client.SendMessage(protocol::BuildLogin(login), 1));
    const auto reply = client.ReceiveFrame();
    protocol::ErrPacket err;
    ASSERT_TRUE(reply && protocol::ParseErr(*reply, kPeerCapabilities, &err));
    EXPECT_EQ(err.code, 3923);
    EXPECT_TRUE(client.AtEnd());
  }
}

// A backend whose pieces are wrong: only that session ends.
TEST(CompressedPeers, ABackendThatLies) {
  std::atomic<int> turn{0};
  ScriptedBackend backend([&](Peer& peer) {
    protocol::Greeting greeting = *protocol::ParseGreeting(GreetingPayload());
    greeting.capabilities |= protocol::kClientCompress;
    if (!peer.SendMessage(protocol::BuildGreeting(greeting), 0)) return;
    const auto login = peer.ReceiveFrame();
    if (!login || (protocol::ParseLogin(*login)->capabilities & protocol::kClientCompress) == 0) return;
    if (!peer.SendMessage(OkPayload(), 2)) return;
    if (peer.Receive(7 + 5).size() < 12) return;
    std::string ok;
    protocol::AppendFrames(OkPayload(), 9, &ok);  // the id inside does not count
    const std::string lies[] = {Piece(ok, 1), Piece(ok, 0), Piece(ok, 1, 100), Piece(ok, 1) + Piece(ok, 2)};
    peer.Send(lies[turn++]);
    peer.ReceiveFrame();
  });
  ProxyUnderTest proxy(backend.port(), [](config::Config* config) { config->backends[0].compression = config::Compression::kZlib; });
  for (int i = 0; i < 4; ++i) {
    Peer client = ConnectTo(proxy.port());
    ASSERT_TRUE(ClientLogin(client));
    ASSERT_TRUE(client.SendMessage("\x0e", 0));
    uint8_t sequence = 0;
    const auto reply = client.ReceiveFrame(&sequence);
    const bool good = i == 0 || i == 3;
    EXPECT_EQ(reply && !reply->empty() && (*reply)[0] == 0, good) << i;
    EXPECT_TRUE(!good || sequence == 1) << i;
    if (i == 3) {
      client.SendMessage("\x0e", 0);
      EXPECT_FALSE(client.ReceiveFrame().has_value());  // what came too much is nobody's reply
    }
    EXPECT_TRUE(good || client.AtEnd()) << i;
  }
}

}  // namespace
}  // namespace crossfade::proxy
