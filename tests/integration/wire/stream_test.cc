// SPDX-License-Identifier: Apache-2.0
// Long streams through the proxy: results that a slow client does not take, the binary log (read raw, and by a real
// replica with --long), and compressed sessions on migrating tables.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

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

constexpr uint64_t kCapabilities = protocol::kClientLongPassword | protocol::kClientTransactions | protocol::kClientMultiStatements |
                                   protocol::kClientMultiResults | protocol::kClientDeprecateEof;

std::string Show(std::string_view bytes) {
  std::string out;
  for (const unsigned char c : bytes.substr(0, 300)) out += c >= ' ' && c < 127 ? std::string(1, static_cast<char>(c)) : fmt::format("\\{:02x}", c);
  return out;
}
std::string Hex(std::string_view bytes) {
  std::string out;
  for (const unsigned char c : bytes) out += fmt::format("{:02x}", c);
  return out;
}

class StreamTest : public testing::TestWithParam<Engine> {
 protected:
  void Start(const std::vector<std::string>& arguments, const std::string& migrations = "") {
    auto server = Server::Start(GetParam(), {.arguments = arguments});
    if (absl::IsNotFound(server.status())) GTEST_SKIP() << server.status();
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    auto direct = Client::Connect({.port = server_->port()});
    ASSERT_TRUE(direct.ok());
    direct_ = std::make_unique<Client>(*std::move(direct));
    for (const std::string& sql : kTables) ASSERT_TRUE(direct_->Query(sql).ok()) << sql;
    for (const std::string& sql : kRows) ASSERT_TRUE(direct_->Query(sql).ok()) << sql;
    auto proxy = CrossfadeProcess::Start({.backend = server_->address(), .migrations = migrations});
    ASSERT_TRUE(proxy.ok()) << proxy.status();
    proxy_ = *std::move(proxy);
  }
  uint64_t ProxyKilobytes() const {
    const std::string status = servers::ReadFile(fmt::format("/proc/{}/status", proxy_->pid()));
    const size_t at = status.find("VmRSS:");
    return at == std::string::npos ? 0 : std::strtoull(status.c_str() + at + 6, nullptr, 10);
  }

  std::unique_ptr<Server> server_;
  std::unique_ptr<Client> direct_;
  std::unique_ptr<CrossfadeProcess> proxy_;
};

TEST_P(StreamTest, AResultThatASlowClientDoesNotTakeStaysWithTheServer) {
  Start({"--max-allowed-packet=64M"});
  if (server_ == nullptr || HasFatalFailure()) return;
  RawClient client(proxy_->port(), kCapabilities, "zoo");
  ASSERT_TRUE(client.connected());
  std::string some = client.Exchange("");
  const uint64_t before = ProxyKilobytes();
  ASSERT_GT(before, 0u);
  constexpr uint64_t kRow = 1'000'000, kCount = 300;
  client.Send(client.Query(fmt::format("with recursive n(i) as (select 1 union all select i + 1 from n where i < {}) select repeat('x', {}) from n", kCount, kRow)));
  uint64_t got = 0, most = 0;
  std::this_thread::sleep_for(std::chrono::milliseconds(1000));
  for (int pauses = 0; got < kRow * kCount; ++pauses) {
    most = std::max(most, ProxyKilobytes());
    for (uint64_t read = 0; read < 20'000'000 && got < kRow * kCount; read += some.size(), got += some.size()) {
      some.clear();
      ASSERT_TRUE(client.Receive(&some)) << got;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_LT(most - std::min(most, before), 32u << 10) << "of " << before << " KB before";
}

// More than 4 GB each way in one command, full of what would be a COM_QUERY if a length wrapped round: pgx's CVE-2024-27304.
TEST_P(StreamTest, MoreThanFourGigabytesHoldNoCommand) {
  if (std::getenv("CROSSFADE_LONG") == nullptr) GTEST_SKIP() << "with --long";
  Start({"--max-allowed-packet=64M", "--local-infile=1", "--log-output=TABLE", "--general-log=1"});
  if (server_ == nullptr || HasFatalFailure()) return;
  constexpr uint64_t kPiece = 1 << 20, kPieces = 4200;  // 4.1 GiB
  const std::string fake = Frame(std::string("\x03") + "insert into zoo.Plain values (777, 'canary-fake', null)");
  ASSERT_EQ(fake.size(), 60u);
  RawClient client(proxy_->port(), kCapabilities | protocol::kClientLocalFiles, "zoo");
  ASSERT_TRUE(client.connected());
  const uint64_t before = ProxyKilobytes();
  uint64_t most = before;

  // To the server: every line of the file is passed over.
  client.Send(client.Query("load data local infile 'any' into table Plain ignore 2000000000 lines"));
  std::string some;
  while (some.size() < 8) ASSERT_TRUE(client.Receive(&some));
  ASSERT_EQ(some.substr(3), std::string("\1\xfb" "any")) << Show(some);
  uint8_t sequence = 2;
  for (uint64_t i = 0; i < kPieces; ++i) {
    // Every piece begins at another byte of it, so that whatever a length is taken for, one lies there whole.
    std::string piece(i % 64, 'x');
    while (piece.size() < kPiece) piece += fake + "xyz\n";
    client.Send(Frame(piece, sequence++));
    if (i % 100 == 0) most = std::max(most, ProxyKilobytes());
  }
  client.Send(Frame("", sequence));
  some.clear();
  while (some.size() < 5) ASSERT_TRUE(client.Receive(&some, 60'000));
  EXPECT_EQ(some[4], 0) << Show(some);

  // From the server.
  const std::string text = fmt::format("concat(repeat('x', i % 64), repeat(unhex('{}'), {}))", Hex(fake + "xyz\n"), kPiece / 64);
  client.Send(client.Query(fmt::format("with recursive n(i) as (select 1 union all select i + 1 from n where i < 900)"
                                       " select {} from n union all select {} from n union all select {} from n union all select {} from n union all select {} from n", text, text, text, text, text)));
  uint64_t got = 0;
  for (int i = 0; got < 4500 * kPiece; ++i) {
    some.clear();
    ASSERT_TRUE(client.Receive(&some, 60'000)) << got;
    got += some.size();
    if (i % 2000 == 0) most = std::max(most, ProxyKilobytes());
  }
  while (client.Receive(&some, 1000)) {}
  some.clear();
  EXPECT_THAT(client.Exchange(client.Query("select 'and on'")), testing::HasSubstr("and on"));
  EXPECT_LT(most - before, 32u << 10) << "of " << before << " KB before";
  const servers::Reply logged = direct_->Query("select count(*), (select count(*) from zoo.Plain where a = 777) from mysql.general_log"
                                               " where command_type = 'Query' and argument like 'insert%canary-fake%'");
  ASSERT_TRUE(logged.ok()) << logged.message;
  EXPECT_EQ(logged.rows[0][0].value_or(""), "0");
  EXPECT_EQ(logged.rows[0][1].value_or(""), "0");
  const servers::Reply load = direct_->Query("select count(*) from mysql.general_log where command_type = 'Query' and argument like 'load data%'");
  EXPECT_EQ(load.rows.at(0)[0].value_or(""), "1") << "the log holds what was said";
}

// What a reader of the binary log gets, up to its end or `limit` bytes.
std::string Dump(int port, const std::string& command) {
  RawClient client(port, kCapabilities, "zoo");
  EXPECT_TRUE(client.connected());
  std::string stream = client.Exchange(client.Query("set @source_binlog_checksum = 'NONE', @master_binlog_checksum = 'NONE', @mariadb_slave_capability = 4"));
  client.Send(command);
  while (client.Receive(&stream, 1000)) {}
  return stream;
}

TEST_P(StreamTest, TheBinaryLogIsReadThroughTheProxy) {
  Start({"--log-bin=canary", "--server-id=1", "--binlog-format=ROW"});
  if (server_ == nullptr || HasFatalFailure()) return;
  for (int i = 100; i < 400; ++i) ASSERT_TRUE(direct_->Query(fmt::format("insert into zoo.Plain values ({}, 'canary-{}', repeat('z', 1000))", i, i)).ok());
  const servers::Reply logs = direct_->Query("show binary logs");
  ASSERT_TRUE(logs.ok() && !logs.rows.empty()) << logs.message;
  const auto dump = [&](uint32_t id, uint16_t flags) {
    protocol::Writer registration, writer;
    registration.U8(21);
    registration.U32(id);
    registration.Bytes(std::string(3 + 2 + 4 + 4, '\0'));
    writer.U8(18);
    writer.U32(4);
    writer.U16(flags);
    writer.U32(id);
    writer.Bytes(*logs.rows[0][0]);
    return Frame(registration.out()) + Frame(writer.out());
  };
  const std::string direct = Dump(server_->port(), dump(1001, 1)), proxied = Dump(proxy_->port(), dump(1002, 1));
  EXPECT_THAT(direct, testing::HasSubstr("canary-399"));
  EXPECT_GT(direct.size(), 300'000u);
  EXPECT_TRUE(direct == proxied) << direct.size() << " bytes, and " << proxied.size();
  // A file that is not there.
  protocol::Writer nowhere;
  nowhere.U8(18), nowhere.U32(4), nowhere.U16(1), nowhere.U32(1003), nowhere.Bytes("nowhere.000001");
  EXPECT_EQ(Dump(server_->port(), Frame(nowhere.out())), Dump(proxy_->port(), Frame(nowhere.out())));
  if (GetParam() == Engine::kMySql) {
    protocol::Writer gtid;
    gtid.U8(30), gtid.U16(1 | 4), gtid.U32(1004), gtid.U32(0), gtid.U64(4), gtid.U32(8), gtid.U64(0);
    EXPECT_EQ(Dump(server_->port(), Frame(gtid.out())), Dump(proxy_->port(), Frame(gtid.out())));
  }
}

TEST_P(StreamTest, AReplicaBehindTheProxy) {
  if (std::getenv("CROSSFADE_LONG") == nullptr) GTEST_SKIP() << "with --long";
  Start({"--log-bin=canary", "--server-id=1", "--binlog-format=ROW"});
  if (server_ == nullptr || HasFatalFailure()) return;
  auto replica = Server::Start(GetParam(), {.arguments = {"--server-id=2"}});
  ASSERT_TRUE(replica.ok()) << replica.status();
  auto client = Client::Connect({.port = (*replica)->port()});
  ASSERT_TRUE(client.ok());
  const bool mysql = GetParam() == Engine::kMySql;
  ASSERT_TRUE(direct_->Query("CREATE USER replica@'%' IDENTIFIED BY 'canary-password'").ok());
  ASSERT_TRUE(direct_->Query("GRANT REPLICATION SLAVE ON *.* TO replica@'%'").ok());
  const std::string change = mysql ? "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={}, SOURCE_USER='replica', SOURCE_PASSWORD='canary-password', GET_SOURCE_PUBLIC_KEY=1, SOURCE_SSL=0"
                                   : "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={}, MASTER_USER='replica', MASTER_PASSWORD='canary-password', MASTER_LOG_FILE='canary.000001', MASTER_LOG_POS=4";
  servers::Reply reply = client->Query(fmt::format(fmt::runtime(change), proxy_->port()));
  ASSERT_TRUE(reply.ok()) << reply.message;
  reply = client->Query(mysql ? "START REPLICA" : "START SLAVE");
  ASSERT_TRUE(reply.ok()) << reply.message;
  ASSERT_TRUE(direct_->Query("insert into zoo.Plain values (500, 'canary', null)").ok());
  bool came = false;
  for (int i = 0; i < 300 && !came; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const servers::Reply rows = client->Query("select b from zoo.Plain where a = 500");
    came = rows.ok() && !rows.rows.empty();
  }
  EXPECT_TRUE(came) << servers::Describe(client->Query(mysql ? "SHOW REPLICA STATUS" : "SHOW SLAVE STATUS"));
}

TEST_P(StreamTest, CompressedSessionsOnMigratingTables) {
  Start({}, "  - name: integer-keys\n    schema: zoo\n    phase: observe\n    keys:\n      - table: Caves\n        old: id\n"
            "        new: {column: newId, type: int unsigned}\n        references:\n          - {table: Bears, old: caveId, new: caveNewId}\n");
  if (server_ == nullptr || HasFatalFailure()) return;
  std::vector<std::string> command = {"mariadb", "--no-defaults", "--skip-ssl", "--compress"};
  if (GetParam() == Engine::kMySql) {
    const char* named = std::getenv("CROSSFADE_MYSQL_ROOT");
    const std::string root = named != nullptr ? named : "/var/cache/crossfade/mysql-root";
    if (!std::filesystem::exists(root + "/usr/bin/mysql")) GTEST_SKIP() << "no client of MySQL's";
    command = {root + "/usr/lib64/ld-linux-x86-64.so.2", "--library-path", root + "/usr/lib/x86_64-linux-gnu:" + root + "/usr/lib/mysql/private",
               root + "/usr/bin/mysql", "--no-defaults", "--ssl-mode=disabled", "--compression-algorithms=zstd"};
  }
  for (const char* argument : {"-uroot", "-h127.0.0.1", "-N", "--force", "-Dzoo", "-vv"}) command.push_back(argument);
  std::string script;
  for (int i = 0; i < 60; ++i) {
    script += fmt::format("insert into Caves (id, name) values ('k{0}', repeat('n', 40));"
                          "insert into Bears (id, caveId, name) values ({1}, 'k{0}', '{0}');"
                          "update Bears set caveId = 'k{2}' where id = {1};", i, i + 100, i / 2);
  }
  script += "insert into Bears (id, caveId) values (1, 'none'); select * from Bears order by id; select * from Caves order by id;"
            "select b.id, c.name from Bears b join Caves c on c.id = b.caveId order by 1;";
  const auto run = [&](int port) {
    std::vector<std::string> whole = command;
    whole.push_back(fmt::format("-P{}", port));
    whole.push_back("-e");
    whole.push_back(script);
    std::string out = servers::RunCommand(whole, std::chrono::seconds(60)).output;
    for (size_t at; (at = out.find(" sec)")) != std::string::npos;) out.erase(out.rfind('(', at), at + 5 - out.rfind('(', at));
    return out;
  };
  const std::string direct = run(server_->port());
  for (const std::string& sql : kRows) ASSERT_TRUE(direct_->Query(sql).ok());
  const absl::Status walked = proxy_->WalkTo("integer-keys", "verify");
  ASSERT_TRUE(walked.ok()) << walked;
  const std::string proxied = run(proxy_->port());
  EXPECT_EQ(proxied, direct);
  const servers::Reply apart = direct_->Query("select count(*) from zoo.Bears b join zoo.Caves c on c.id = b.caveId where b.caveNewId <> c.newId or b.caveNewId is null");
  ASSERT_TRUE(apart.ok()) << apart.message;
  EXPECT_EQ(apart.rows[0][0].value_or(""), "0");
}

INSTANTIATE_TEST_SUITE_P(Engines, StreamTest, testing::Values(Engine::kMariaDb, Engine::kMySql),
                         [](const auto& info) { return servers::EngineName(info.param); });

}  // namespace
}  // namespace crossfade::wire
