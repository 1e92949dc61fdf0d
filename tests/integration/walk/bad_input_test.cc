// SPDX-License-Identifier: Apache-2.0
// What is wrong must be said where the operator or the client sees it, with an exit code, and nothing may fall:
// broken files, missing tables and keys, a backend that is down or goes away, packets that are no packets.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fmt/format.h"
#include "tests/integration/walk/load.h"
#include "tests/servers/crossfade_process.h"
#include "tests/servers/server.h"

namespace crossfade::walk {
namespace {

using servers::Client;
using servers::CommandResult;
using servers::CrossfadeOptions;
using servers::CrossfadeProcess;
using servers::Engine;
using servers::Server;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

CommandResult RunWith(const std::string& command, const std::string& text, const std::vector<std::string>& arguments = {}) {
  servers::TempFolder folder("config");
  const std::string path = folder.path() + "/crossfade.yaml";
  servers::WriteFile(path, text);
  std::vector<std::string> argv = {servers::CrossfadeBinary(), command, "-c", path};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return servers::RunCommand(argv, seconds(30));
}

std::string File(const std::string& address, const std::string& migrations) {
  return fmt::format("listen:\n  - {{address: \"127.0.0.1:{}\", backend: primary}}\nbackends:\n  primary: {{address: \"{}\", tls: disabled}}\n"
                     "control: {{backend: primary, user: root}}\nmigrations:\n{}", servers::FreePort(), address, migrations);
}

TEST(BadFile, EveryCommandSaysFileLineAndReason) {
  const std::string unknown_key = "listen: []\nbackendz: {}\n";
  for (const char* command : {"serve", "check"}) {
    const CommandResult result = RunWith(command, unknown_key);
    EXPECT_EQ(result.exit_code, 1) << result.output;
    EXPECT_THAT(result.output, HasSubstr("crossfade.yaml:2: ")) << command;
    EXPECT_THAT(result.output, HasSubstr("backendz"));
  }
  const CommandResult broken = RunWith("serve", "listen: [\n");
  EXPECT_EQ(broken.exit_code, 1);
  EXPECT_THAT(broken.output, HasSubstr("crossfade.yaml:"));
  const CommandResult away = servers::RunCommand({servers::CrossfadeBinary(), "serve", "-c", "/nowhere/crossfade.yaml"}, seconds(20));
  EXPECT_EQ(away.exit_code, 1);
  EXPECT_THAT(away.output, HasSubstr("/nowhere/crossfade.yaml"));
}

TEST(BadFile, APortThatIsTakenEndsServe) {
  const int taken = servers::FreePort();
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(taken));
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(fd, 1), 0);
  const CommandResult result = RunWith("serve", fmt::format("listen:\n  - {{address: \"127.0.0.1:{}\", backend: p}}\nbackends:\n  p: {{address: \"127.0.0.1:1\"}}\n"
                                                            "control: {{backend: p, user: root}}\n", taken));
  close(fd);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr(std::to_string(taken)));
}

TEST(BackendDown, TheOperatorAndTheClientAreTold) {
  const std::string nobody = fmt::format("127.0.0.1:{}", servers::FreePort());
  const CommandResult check = RunWith("check", File(nobody, ShopMigration()));
  EXPECT_EQ(check.exit_code, 1);
  EXPECT_THAT(check.output, HasSubstr(nobody.substr(0, nobody.find(':'))));
  // `serve` stays up: the backend may come back.
  auto proxy = CrossfadeProcess::Start({.backend = nobody, .migrations = ShopMigration()});
  ASSERT_TRUE(proxy.ok()) << proxy.status();
  for (int i = 0; i < 3; ++i) {
    auto client = Client::Connect({.port = (*proxy)->port()});
    ASSERT_FALSE(client.ok());
    EXPECT_THAT(std::string(client.status().message()), HasSubstr("cannot reach backend primary"));
  }
  EXPECT_TRUE((*proxy)->running());
  EXPECT_EQ((*proxy)->Stop(), 0);
}

// Sends raw bytes after the greeting; returns what comes back until the peer closes or 2 s pass.
std::string Raw(int port, const std::string& bytes) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  timeval limit{2, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  std::string answer;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    char buffer[4096];
    (void)recv(fd, buffer, sizeof buffer, 0);  // the greeting
    (void)send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    for (ssize_t n = 0; (n = recv(fd, buffer, sizeof buffer, 0)) > 0;) answer.append(buffer, static_cast<size_t>(n));
  }
  close(fd);
  return answer;
}

class Live : public testing::TestWithParam<Engine> {
 protected:
  void SetUp() override {
    auto server = Server::Start(GetParam());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    auto client = Client::Connect({.port = server_->port()});
    ASSERT_TRUE(client.ok());
    for (const std::string& sql : CreateShop()) ASSERT_TRUE(client->Query(sql).ok());
    ASSERT_TRUE(client->Query("CREATE TABLE shop.heap (code varchar(40) NOT NULL, v int)").ok());
    ASSERT_TRUE(client->Query("CREATE TABLE shop.loose (id int PRIMARY KEY, code varchar(40) NULL, UNIQUE KEY code (code))").ok());
  }
  std::unique_ptr<Server> server_;
};

TEST_P(Live, CheckNamesWhatIsMissing) {
  const CommandResult good = RunWith("check", File(server_->address(), ShopMigration()));
  EXPECT_EQ(good.exit_code, 0) << good.output;
  const struct { const char* table; const char* column; const char* says; } bad[] = {
      {"nothing", "code", "nothing"}, {"items", "kode", "kode"}, {"heap", "code", "heap"}, {"loose", "code", "loose"}};
  for (const auto& [table, column, says] : bad) {
    const std::string text = File(server_->address(), fmt::format("  - name: m\n    schema: shop\n    phase: observe\n    keys:\n      - {{table: {}, old: {}, new: {{column: n, type: int unsigned}}}}\n", table, column));
    const CommandResult check = RunWith("check", text);
    EXPECT_EQ(check.exit_code, 1) << table << ": " << check.output;
    EXPECT_THAT(check.output, HasSubstr(says));
    const CommandResult phase = RunWith("phase", text, {"m", "expand", "--yes"});
    EXPECT_EQ(phase.exit_code, 1) << table << ": " << phase.output;
  }
  const CommandResult unknown = RunWith("phase", File(server_->address(), ShopMigration()), {"other", "expand"});
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_THAT(unknown.output, HasSubstr("other"));
  const CommandResult unclear = RunWith("phase", File(server_->address(), ShopMigration()), {"shop", "sideways"});
  EXPECT_EQ(unclear.exit_code, 1);
  EXPECT_THAT(unclear.output, HasSubstr("sideways"));
}

TEST_P(Live, RetireNeedsAYes) {
  const CommandResult result = RunWith("phase", File(server_->address(), ShopMigration()), {"shop", "retire"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr("--yes"));
}

TEST_P(Live, MalformedAndOversizedPacketsEndOneConnectionOnly) {
  auto proxy = CrossfadeProcess::Start({.backend = server_->address(), .migrations = ShopMigration(), .limits = "  max_packet: 1MiB\n"});
  ASSERT_TRUE(proxy.ok()) << proxy.status();
  auto bystander = Client::Connect({.port = (*proxy)->port(), .database = "shop"});
  ASSERT_TRUE(bystander.ok()) << bystander.status();
  using std::string_literals::operator""s;
  for (const std::string& bytes : {"\xff\xff\xff\x01garbage"s, "\x00\x00\x00\x01"s, "\x03\x00\x00\x01\x01\x02\x03"s, "GET / HTTP/1.0\r\n\r\n"s, std::string(5000, '\0'), std::string(300, '\xfe')}) {
    Raw((*proxy)->port(), bytes);
    ASSERT_TRUE((*proxy)->running()) << servers::LastLines((*proxy)->log(), 10);
    EXPECT_TRUE(bystander->Query("SELECT COUNT(*) FROM items").ok());
  }
  auto large = Client::Connect({.port = (*proxy)->port(), .database = "shop"});
  ASSERT_TRUE(large.ok());
  const servers::Reply reply = large->Query("SELECT LENGTH('" + std::string(2 << 20, 'x') + "')");
  EXPECT_FALSE(reply.ok());
  EXPECT_TRUE(reply.error == 1153 || reply.lost()) << servers::Describe(reply);
  EXPECT_TRUE(bystander->Query("SELECT 1").ok());
  EXPECT_EQ((*proxy)->Stop(), 0);
}

TEST_P(Live, TheBackendGoesAwayAndComesBack) {
  auto proxy = CrossfadeProcess::Start({.backend = server_->address(), .migrations = ShopMigration()});
  ASSERT_TRUE(proxy.ok()) << proxy.status();
  auto client = Client::Connect({.port = (*proxy)->port(), .database = "shop"});
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_TRUE(client->Query("SELECT COUNT(*) FROM items").ok());
  server_->Kill();
  EXPECT_FALSE(client->Query("SELECT COUNT(*) FROM items").ok());
  EXPECT_FALSE(Client::Connect({.port = (*proxy)->port()}).ok());
  ASSERT_TRUE(server_->StartAgain().ok());
  auto again = Client::Connect({.port = (*proxy)->port(), .database = "shop"});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->Query("SELECT COUNT(*) FROM items").ok());
  EXPECT_TRUE((*proxy)->running());
}

TEST_P(Live, AChangedFileIsReadAndABrokenOneIsNot) {
  auto proxy = CrossfadeProcess::Start({.backend = server_->address(), .migrations = ShopMigration()});
  ASSERT_TRUE(proxy.ok()) << proxy.status();
  const std::string text = servers::ReadFile((*proxy)->config_path());
  servers::WriteFile((*proxy)->config_path(), text + "nonsense: 1\n");
  const auto end = std::chrono::steady_clock::now() + seconds(10);
  while ((*proxy)->log().find("nonsense") == std::string::npos && std::chrono::steady_clock::now() < end) usleep(50'000);
  EXPECT_THAT((*proxy)->log(), HasSubstr("nonsense"));
  EXPECT_TRUE((*proxy)->running());
  std::string changed = text;
  changed.replace(changed.find("phase: observe"), 14, "phase: expand");
  servers::WriteFile((*proxy)->config_path(), changed);
  bool expanded = false;
  const auto late = std::chrono::steady_clock::now() + seconds(20);
  while (!expanded && std::chrono::steady_clock::now() < late) {
    const CommandResult status = (*proxy)->Run("status", {"shop"});
    expanded = status.exit_code == 0 && status.output.find("expand") != std::string::npos;  // at first the control schema may not know it yet
    usleep(100'000);
  }
  EXPECT_TRUE(expanded);
}

INSTANTIATE_TEST_SUITE_P(Engines, Live, testing::Values(Engine::kMariaDb, Engine::kMySql), [](const auto& info) { return servers::EngineName(info.param); });

}  // namespace
}  // namespace crossfade::walk
