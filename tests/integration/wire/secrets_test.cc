// SPDX-License-Identifier: Apache-2.0
// Canaries: passwords and literals that go through the proxy, failures included, and must be found neither in its log nor in
// anything it shows: metrics, status as page and as JSON, the control schema.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "fmt/format.h"
#include "tests/integration/wire/commands.h"
#include "tests/servers/client.h"
#include "tests/servers/crossfade_process.h"
#include "tests/servers/process.h"
#include "tests/servers/server.h"

namespace crossfade::wire {
namespace {

using servers::Client;
using servers::CrossfadeProcess;
using servers::Engine;
using servers::Server;

constexpr char kMigration[] =
    "  - name: integer-keys\n    schema: zoo\n    phase: observe\n    keys:\n"
    "      - table: Caves\n        old: id\n        new: {column: newId, type: int unsigned}\n"
    "        references:\n          - {table: Bears, old: caveId, new: caveNewId}\n";

std::string Page(int port, const std::string& path) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  std::string out;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    const std::string request = "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    (void)::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    char chunk[4096];
    for (ssize_t n; (n = ::recv(fd, chunk, sizeof chunk, 0)) > 0;) out.append(chunk, static_cast<size_t>(n));
  }
  ::close(fd);
  return out;
}

class SecretsTest : public testing::TestWithParam<Engine> {};

TEST_P(SecretsTest, NothingThatWasSaidIsKept) {
  auto server = Server::Start(GetParam());
  if (absl::IsNotFound(server.status())) GTEST_SKIP() << server.status();
  ASSERT_TRUE(server.ok()) << server.status();
  auto direct = Client::Connect({.port = (*server)->port()});
  ASSERT_TRUE(direct.ok());
  for (const std::string& sql : kTables) ASSERT_TRUE(direct->Query(sql).ok()) << sql;
  for (const std::string& sql : kRows) ASSERT_TRUE(direct->Query(sql).ok()) << sql;
  ASSERT_TRUE(direct->Query("CREATE USER keeper@'%' IDENTIFIED BY 'canary-password'").ok());
  ASSERT_TRUE(direct->Query("GRANT ALL ON *.* TO keeper@'%'").ok());
  auto proxy = CrossfadeProcess::Start({.backend = (*server)->address(), .migrations = kMigration, .limits = "  max_packet: 1048576\n  quiet_before_expand: 1s\n"});
  ASSERT_TRUE(proxy.ok()) << proxy.status();
  const auto talk = [&](const char* phase) {
    SCOPED_TRACE(phase);
    EXPECT_FALSE(Client::Connect({.port = (*proxy)->port(), .user = "keeper", .password = "canary-wrong"}).ok());
    auto client = Client::Connect({.port = (*proxy)->port(), .user = "keeper", .password = "canary-password", .database = "zoo"});
    ASSERT_TRUE(client.ok()) << client.status();
    for (const char* sql : {
             "INSERT INTO Caves (id, name) VALUES ('canary-id', 'canary-name')", "INSERT INTO Bears (id, caveId) VALUES (90, 'canary-none')",
             "REPLACE INTO Caves (id) VALUES (CONCAT('canary', '-computed'))", "INSERT INTO Caves SELECT 'canary-select', 'x'",
             "INSERT INTO Caves VALUES ('canary-not-lexed", "UPDATE Caves SET colour = ( WHERE 'canary-not-parsed'", "SELECT 'canary-plain' FROM nowhere",
             "LOAD DATA LOCAL INFILE '/canary/file' INTO TABLE Caves", "/* canary-comment */ LOCK TABLES Caves WRITE", "DELETE FROM Caves WHERE id = 'canary-id'",
             "ALTER USER keeper@'%' IDENTIFIED BY 'canary-password'", "SET PASSWORD FOR Caves = 'canary-password'",
         }) {
      (void)client->Query(sql);
    }
    (void)client->Execute("INSERT INTO Bears (id, caveId) VALUES (?, ?)", {int64_t{91}, std::string("canary-parameter")});
    (void)client->Execute("REPLACE INTO Caves (id) VALUES (LOWER(?))", {std::string("canary-parameter")});
    (void)mysql_change_user(client->raw(), "keeper", "canary-wrong", "zoo");
    // Lost within a statement; too large; out of order.
    auto killed = Client::Connect({.port = (*proxy)->port(), .user = "keeper", .password = "canary-password", .database = "zoo"});
    ASSERT_TRUE(killed.ok());
    (void)killed->Query(fmt::format("SELECT 'canary-killed', SLEEP(0), 'canary' FROM Caves; "));
    (void)direct->Query(fmt::format("KILL {}", killed->thread_id()));
    EXPECT_TRUE(killed->Query("SELECT 'canary-after'").lost());
    auto large = Client::Connect({.port = (*proxy)->port(), .user = "keeper", .password = "canary-password", .database = "zoo"});
    ASSERT_TRUE(large.ok());
    EXPECT_FALSE(large->Query("SELECT 'canary-large" + std::string(2 << 20, 'x') + "'").ok());
    RawClient odd((*proxy)->port(), protocol::kClientLongPassword | protocol::kClientTransactions, "zoo");
    ASSERT_TRUE(odd.connected());
    odd.Send(Frame("\x03SELECT 'canary-odd'", 5));
  };
  talk("observe");
  for (const char* phase : {"verify", "cutover"}) {
    const absl::Status walked = (*proxy)->WalkTo("integer-keys", phase, std::string(phase) == "cutover" ? 50 : -1);
    ASSERT_TRUE(walked.ok()) << walked;
    talk(phase);
  }
  std::map<std::string, std::string> shown;
  for (const char* path : {"/", "/metrics", "/status"}) shown[path] = Page((*proxy)->admin_port(), path);
  shown["crossfade status"] = (*proxy)->Run("status", {"--json"}).output;
  const servers::Reply tables = direct->Query("SELECT table_name FROM information_schema.tables WHERE table_schema = 'crossfade'");
  ASSERT_TRUE(tables.ok());
  for (const auto& row : tables.rows) shown["table " + *row[0]] = servers::Describe(direct->Query("SELECT * FROM crossfade." + *row[0]), 100'000);
  EXPECT_EQ((*proxy)->Stop(), 0);
  shown["the log"] = (*proxy)->log();
  EXPECT_GT(shown.size(), 6u);
  EXPECT_THAT(shown["the log"], testing::HasSubstr("keeper")) << "it does say what happened";
  EXPECT_THAT(shown["/metrics"], testing::HasSubstr("crossfade_refused"));
  for (const auto& [where, text] : shown) {
    EXPECT_FALSE(text.empty()) << where;
    const size_t at = text.find("canary");
    EXPECT_EQ(at, std::string::npos) << where << ": " << text.substr(at > 200 && at != std::string::npos ? at - 200 : 0, 400);
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, SecretsTest, testing::Values(Engine::kMariaDb, Engine::kMySql),
                         [](const auto& info) { return servers::EngineName(info.param); });

}  // namespace
}  // namespace crossfade::wire
