// SPDX-License-Identifier: Apache-2.0
// A control schema of version 1, in the middle of a backfill, under a proxy of today: it is upgraded, and everything goes on.
#include <gtest/gtest.h>

#include <thread>

#include "fmt/format.h"
#include "tests/backfill/control_v1.h"
#include "tests/servers/client.h"
#include "tests/servers/crossfade_process.h"
#include "tests/servers/server.h"

namespace crossfade::walk {
namespace {

using servers::Client;
using servers::CrossfadeProcess;
using servers::Engine;
using servers::Reply;
using servers::Server;

constexpr char kMigration[] =
    "  - name: keys\n    schema: zoo\n    phase: observe\n    keys:\n      - table: Caves\n        old: id\n        new: {column: newId, type: int unsigned}\n        final: id\n"
    "        references:\n          - {table: Bears, old: caveId, new: caveNewId, final: caveId}\n";

class UpgradeTest : public testing::TestWithParam<Engine> {
 protected:
  void Do(const std::string& sql) {
    const Reply reply = direct_->Query(sql);
    ASSERT_TRUE(reply.ok()) << reply.message << ": " << sql;
  }
  std::string One(const std::string& sql) {
    const Reply reply = direct_->Query(sql);
    EXPECT_TRUE(reply.ok()) << reply.message << ": " << sql;
    return !reply.ok() || reply.rows.empty() ? "no row" : reply.rows[0][0].value_or("NULL");
  }
  // What stands in the control schema, in the tables of version 1.
  void GoBackToVersion1() {
    for (const std::string& sql : backfill::ControlSchemaV1("older")) Do(sql);
    Do("DELETE FROM older.state");
    Do("UPDATE crossfade.backfill_progress AS p SET last_key = (SELECT w.last_key FROM crossfade.backfill_workers AS w WHERE w.migration = p.migration AND"
       " w.table_name = p.table_name AND w.role = p.role ORDER BY w.seq DESC LIMIT 1) WHERE complete = 0");
    const Reply tables = direct_->Query("SELECT table_name FROM information_schema.tables WHERE table_schema = 'older'");
    ASSERT_TRUE(tables.ok());
    for (const auto& row : tables.rows) {
      const std::string columns = One(fmt::format("SELECT GROUP_CONCAT(CONCAT('`', column_name, '`')) FROM information_schema.columns WHERE table_schema = 'older' AND table_name = '{}'", *row[0]));
      Do(fmt::format("INSERT INTO older.{0} ({1}) SELECT {1} FROM crossfade.{0}", *row[0], columns));
    }
    Do("UPDATE older.state SET version = 1");
    Do("DROP DATABASE crossfade");
    Do("CREATE DATABASE crossfade");
    for (const auto& row : tables.rows) Do(fmt::format("RENAME TABLE older.{0} TO crossfade.{0}", *row[0]));
    Do("DROP DATABASE older");
  }
  std::unique_ptr<Server> server_;
  std::unique_ptr<Client> direct_;
};

TEST_P(UpgradeTest, FromVersionOneInTheMiddleOfABackfill) {
  auto server = Server::Start(GetParam());
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
  auto direct = Client::Connect({.port = server_->port()});
  ASSERT_TRUE(direct.ok());
  direct_ = std::make_unique<Client>(*std::move(direct));
  Do("CREATE DATABASE zoo");
  Do("CREATE TABLE zoo.Caves (id char(36) NOT NULL PRIMARY KEY, label int NOT NULL, UNIQUE KEY (label)) DEFAULT CHARSET=utf8mb4");
  Do("CREATE TABLE zoo.Bears (id int AUTO_INCREMENT PRIMARY KEY, label int NOT NULL, caveId char(36) NOT NULL, CONSTRAINT c FOREIGN KEY (caveId) REFERENCES Caves(id)) DEFAULT CHARSET=utf8mb4");
  Do("INSERT INTO zoo.Caves WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 900) SELECT UUID(), i FROM s");
  Do("INSERT INTO zoo.Bears (label, caveId) SELECT label, id FROM zoo.Caves");
  auto proxy = CrossfadeProcess::Start({.backend = server_->address(), .migrations = kMigration,
                                        .limits = "  chunk_rows: 50\n  chunk_target: 1ms\n  backfill_workers: 1\n  backfill_idle_share: 0.97\n  control_poll: 50ms\n  lease: 1s\n"});
  ASSERT_TRUE(proxy.ok()) << proxy.status();
  ASSERT_TRUE((*proxy)->WalkTo("keys", "dual_write").ok());
  ASSERT_EQ((*proxy)->Run("phase", {"keys", "backfill", "--yes"}).exit_code, 0);
  for (int i = 0; i < 3'000 && std::stoi(One("SELECT COUNT(*) FROM zoo.Caves WHERE newId IS NOT NULL")) < 100; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ((*proxy)->Run("pause", {"keys"}).exit_code, 0);
  EXPECT_EQ((*proxy)->Stop(), 0);
  const int filled = std::stoi(One("SELECT COUNT(*) FROM zoo.Caves WHERE newId IS NOT NULL"));
  ASSERT_GE(filled, 100);
  ASSERT_LT(filled, 900);
  ASSERT_NO_FATAL_FAILURE(GoBackToVersion1());
  ASSERT_NE(One("SELECT last_key FROM crossfade.backfill_progress WHERE table_name = 'Caves'"), "NULL");
  const absl::Status started = (*proxy)->StartAgain();
  ASSERT_TRUE(started.ok()) << started;
  for (int i = 0; i < 1'000 && One("SELECT version FROM crossfade.state") == "1"; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_NE(One("SELECT version FROM crossfade.state"), "1");
  // The application writes on; nothing that was asked for or reached is lost.
  auto client = Client::Connect({.port = (*proxy)->port(), .database = "zoo"});
  ASSERT_TRUE(client.ok());
  Reply written = client->Query("INSERT INTO Caves VALUES ('a-new-cave', 1000)");
  for (int i = 0; i < 200 && !written.ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // no lease yet
    written = client->Query("INSERT INTO Caves VALUES ('a-new-cave', 1000)");
  }
  EXPECT_TRUE(written.ok()) << written.message;
  EXPECT_TRUE(client->Query("INSERT INTO Bears (label, caveId) VALUES (1000, 'a-new-cave')").ok());
  EXPECT_NE(One("SELECT newId FROM zoo.Caves WHERE label = 1000"), "NULL");
  EXPECT_EQ(One("SELECT CONCAT(phase, ' ', paused) FROM crossfade.migrations"), "backfill 1");
  EXPECT_EQ((*proxy)->Run("resume", {"keys"}).exit_code, 0);
  const absl::Status verified = (*proxy)->WalkTo("keys", "cutover", 100);
  ASSERT_TRUE(verified.ok()) << verified;
  EXPECT_EQ(One("SELECT COUNT(*) FROM zoo.Caves JOIN zoo.Bears ON Bears.caveNewId = Caves.newId AND Bears.label = Caves.label AND Bears.caveId = Caves.id"), "901");
  // Keys were given on from where the allocator stood.
  EXPECT_EQ(One("SELECT COUNT(DISTINCT newId) FROM zoo.Caves"), "901");
  const absl::Status done = (*proxy)->WalkTo("keys", "done");
  ASSERT_TRUE(done.ok()) << done;
  EXPECT_EQ(One("SELECT COUNT(*) FROM zoo.Caves JOIN zoo.Bears ON Bears.caveId = Caves.id AND Bears.label = Caves.label"), "901");
}

INSTANTIATE_TEST_SUITE_P(Engines, UpgradeTest, testing::Values(Engine::kMariaDb, Engine::kMySql), [](const auto& info) { return servers::EngineName(info.param); });

}  // namespace
}  // namespace crossfade::walk
