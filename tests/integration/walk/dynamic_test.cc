// SPDX-License-Identifier: Apache-2.0
// PREPARE, EXECUTE and EXECUTE IMMEDIATE as SQL on migrating tables: each statement goes to a server without a migration, too,
// and is answered alike; what was prepared before both sides are written writes both sides after it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "fmt/format.h"
#include "tests/integration/walk/load.h"
#include "tests/servers/crossfade_process.h"
#include "tests/servers/server.h"

namespace crossfade::walk {
namespace {

using servers::Client;
using servers::CrossfadeProcess;
using servers::Engine;
using servers::Reply;
using servers::Server;

class DynamicTest : public testing::TestWithParam<Engine> {
 protected:
  void SetUp() override {
    for (auto* server : {&plain_, &migrating_}) {
      auto started = Server::Start(GetParam());
      ASSERT_TRUE(started.ok()) << started.status();
      *server = *std::move(started);
      auto client = Client::Connect({.port = (*server)->port()});
      ASSERT_TRUE(client.ok());
      for (const std::string& sql : CreateShop()) ASSERT_TRUE(client->Query(sql).ok());
      ASSERT_TRUE(client->Query("INSERT INTO shop.items (code, label) VALUES ('a', 'first'), ('b', 'second'), ('c', 'third')").ok());
    }
    std::string migration = ShopMigration();
    migration += "    accepted: [\"HANDLER items OPEN\", \"HANDLER items CLOSE\"]\n";
    auto proxy = CrossfadeProcess::Start({.backend = migrating_->address(), .migrations = migration});
    ASSERT_TRUE(proxy.ok()) << proxy.status();
    proxy_ = *std::move(proxy);
    for (const auto& [port, client] : {std::pair(plain_->port(), &direct_), std::pair(proxy_->port(), &proxied_)}) {
      auto connected = Client::Connect({.port = port, .database = "shop", .flags = CLIENT_MULTI_STATEMENTS});
      ASSERT_TRUE(connected.ok());
      *client = std::make_unique<Client>(*std::move(connected));
    }
  }
  void Walk(const std::string& phase, int percent = -1) {
    const absl::Status walked = proxy_->WalkTo("shop", phase, percent);
    ASSERT_TRUE(walked.ok()) << walked << proxy_->log();
  }
  // Both answer alike.
  void Both(const std::string& sql) {
    const Reply a = direct_->Query(sql), b = proxied_->Query(sql);
    EXPECT_EQ(a.error, b.error) << sql << ": " << b.message;
    EXPECT_EQ(a.message, b.message) << sql;
    EXPECT_EQ(a.columns, b.columns) << sql;
    EXPECT_EQ(a.rows, b.rows) << sql;
    EXPECT_EQ(a.affected, b.affected) << sql;
    EXPECT_EQ(a.info, b.info) << sql;
    EXPECT_EQ(a.warnings, b.warnings) << sql;
  }
  void Refused(const std::string& sql) {
    const Reply reply = proxied_->Query(sql);
    EXPECT_EQ(reply.error, 1235u) << sql << ": " << reply.message;
  }
  void NothingDrifted() {
    auto client = Client::Connect({.port = migrating_->port()});
    ASSERT_TRUE(client.ok());
    for (const char* sql : {"SELECT COUNT(*) FROM shop.orders o LEFT JOIN shop.items i ON i.code = o.item WHERE NOT (o.item_ref <=> i.item_no)",
                            "SELECT COUNT(*) FROM shop.items WHERE item_no IS NULL OR item_no = 0"}) {
      EXPECT_EQ(client->Query(sql).rows[0][0], "0") << sql;
    }
  }

  std::unique_ptr<Server> plain_, migrating_;
  std::unique_ptr<CrossfadeProcess> proxy_;
  std::unique_ptr<Client> direct_, proxied_;
};

TEST_P(DynamicTest, WhatWasPreparedBeforeIsRightAfter) {
  Both("PREPARE neu FROM 'INSERT INTO items (code, label) VALUES (?, ?)'");
  Both("PREPARE bestellt FROM 'INSERT INTO orders (item, quantity, owner) VALUES (?, ?, 1)'");
  Both("SET @sql = 'UPDATE orders SET item = ? WHERE quantity = ?'");
  Both("PREPARE `Move` FROM @sql");
  Both("PREPARE liest FROM 'SELECT item, quantity, ''it''''s'' FROM orders WHERE item = ? ORDER BY id'");
  Both("PREPARE alle FROM 'SELECT * FROM items ORDER BY code'");
  Both("PREPARE other FROM 'SELECT ? + 1'");
  Both("PREPARE wrong FROM 'SELECT nothing FROM items'");
  int n = 0;
  for (const auto& [phase, percent] : std::vector<std::pair<std::string, int>>{{"observe", -1}, {"dual_write", -1}, {"verify", -1}, {"cutover", 100}}) {
    Walk(phase, percent);
    if (HasFatalFailure()) return;
    for (int round = 0; round < 2; ++round) {
      Both(fmt::format("SET @code = 'p{}', @n = {}, @b = 'b', @null = NULL", ++n, n));
      Both("EXECUTE neu USING @code, @b");
      Both("EXECUTE neu USING @code, @b");  // a duplicate
      Both("EXECUTE bestellt USING @code, @n");
      Both("EXECUTE bestellt USING @null, @n");
      Both("EXECUTE move USING @b, @n");
      Both("EXECUTE Move USING @b");  // too few
      if (phase != "cutover") Both("EXECUTE liest USING @b");  // there the references are read as numbers
      Both("EXECUTE alle");
      Both("EXECUTE other USING @n");
      Both("EXECUTE wrong");
      Both("SELECT ROW_COUNT()");
      Both("EXECUTE move USING @code, @n");
      Both("SELECT ROW_COUNT()");
    }
    if (phase == "cutover") {
      const Reply by_number = proxied_->Query("SET @key = (SELECT item_no FROM items WHERE code = 'p1'), @quantity = 900");
      if (by_number.ok()) {
        Reply reply = proxied_->Query("EXECUTE bestellt USING @key, @quantity");
        EXPECT_TRUE(reply.ok()) << reply.message;
        EXPECT_TRUE(proxied_->Query("DELETE FROM orders WHERE quantity = 900").ok());
      }
    }
    if (phase != "observe" && phase != "dual_write") NothingDrifted();
  }
  Both("PREPARE neu FROM 'SELECT COUNT(*) FROM items'");
  Both("EXECUTE neu");
  Both("PREPARE neu FROM 'SELECT FROM'");
  Both("EXECUTE neu");
  Both("DEALLOCATE PREPARE liest");
  Both("EXECUTE liest USING @b");
  Both("DROP PREPARE move");
  Both("DROP PREPARE move");
}

TEST_P(DynamicTest, WhatIsPreparedWhileBothSidesAreWritten) {
  Walk("verify");
  Both("PREPARE s FROM 'INSERT INTO items (code, label) VALUES (?, ''it''''s \\\\ one'')'");
  Both("SET @c = 'x'");
  Both("EXECUTE s USING @c");
  Both("SELECT code, label FROM items ORDER BY code");
  Both("SET @text = 'SELECT item, COUNT(*) FROM orders GROUP BY item ORDER BY item'");
  Both("PREPARE t FROM @text");
  Both("EXECUTE t");
  Both("SET @text = NULL");
  Both("PREPARE t FROM @text");
  Both("EXECUTE t");
  Refused("PREPARE u FROM 'ALTER TABLE items ADD COLUMN x int'");
  Refused("PREPARE u FROM 'INSERT INTO items (item_no, code, label) VALUES (7, 1, 1)'");
  Both("EXECUTE u");  // it does not exist
  Both("PREPARE `u``V` FROM 'SELECT 3'");
  Both("EXECUTE `u``v`");
  Refused("PREPARE `U``v` FROM 'ALTER TABLE items ADD COLUMN x int'");
  EXPECT_EQ(proxied_->Query("EXECUTE `u``V`").error, 1243u);  // nor does the one before
  Both("PREPARE `u``v` FROM 'SELECT 4'");
  Both("EXECUTE `u``v`");
  Refused("PREPARE w FROM 'DELETE FROM items WHERE label = 2'; EXECUTE w");
  Both("SELECT COUNT(*) FROM items");
  Both("PREPARE p\xC3\xA9 FROM 'UPDATE orders SET item = ''b'' WHERE id = 1'");
  Refused("DO 1; EXECUTE p\xC3\xA9");
  Refused("EXECUTE P\xC3\x89; SELECT 1");
  Both("EXECUTE P\xC3\x89");
  Both("PREPARE P\xC3\x89 FROM 'SELECT 5'");
  Both("EXECUTE p\xC3\xA9");
  Both("SET NAMES latin1");
  Both("PREPARE p\xE9 FROM 'UPDATE orders SET item = ''a'' WHERE id = 1'");
  Refused("EXECUTE p\xC9");  // which letters are the same is another table's business
  Both("SET NAMES utf8mb4");
  if (GetParam() == Engine::kMariaDb) {
    Both("EXECUTE IMMEDIATE 'INSERT INTO items (code, label) VALUES (?, ?)' USING 'i1', 'l'");
    Both("EXECUTE IMMEDIATE 'INSERT INTO orders (item, quantity, owner) VALUES (''i1'', ?, 1)' USING 5");
    Both("EXECUTE IMMEDIATE 'UPDATE orders SET item = ''a'' WHERE quantity = 5'");
    Both("EXECUTE IMMEDIATE 'SELECT item, quantity FROM orders ORDER BY id'");
    Both("SET @im = 'INSERT INTO items (code, label) VALUES (''i2'', ''z'')'");
    Both("EXECUTE IMMEDIATE @im");
    Both("EXECUTE IMMEDIATE 'SELECT 1'");
    Refused("EXECUTE IMMEDIATE CONCAT('DELETE FROM it', 'ems')");
    Refused("PREPARE v FROM CONCAT('DELETE FROM it', 'ems')");
    Refused("BEGIN NOT ATOMIC EXECUTE IMMEDIATE 'DELETE FROM items'; END");
    Refused("BEGIN NOT ATOMIC DELETE FROM items; END");
    Both("SELECT code, label FROM items ORDER BY code");
  }
  NothingDrifted();
}

// What the file accepts holds no gate; what is seen in `expand` holds the one to `dual_write`.
TEST_P(DynamicTest, RefusedShapesAtTheGates) {
  ASSERT_TRUE(proxied_->Query("HANDLER items OPEN").ok());
  ASSERT_TRUE(proxied_->Query("HANDLER items CLOSE").ok());
  std::string status;
  const auto wait_for = [&](const char* digest) {  // proxies report once a second
    for (int i = 0; i < 100 && status.find(digest) == std::string::npos; ++i) {
      status = proxy_->Run("status", {"--json"}).output;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  };
  wait_for("HANDLER items OPEN");
  EXPECT_THAT(status, testing::AllOf(testing::HasSubstr("\"accepted\""), testing::HasSubstr("\"first_seen\""), testing::HasSubstr("\"last_seen\"")));
  auto client = Client::Connect({.port = migrating_->port()});
  ASSERT_TRUE(client.ok());
  Walk("expand");
  ASSERT_TRUE(proxied_->Query("LOCK TABLES items WRITE").ok());
  ASSERT_TRUE(proxied_->Query("UNLOCK TABLES").ok());
  wait_for("LOCK TABLES items WRITE");
  const absl::Status held = proxy_->WalkTo("shop", "dual_write", -1, std::chrono::seconds(6));
  EXPECT_FALSE(held.ok());
  EXPECT_THAT(proxy_->Run("status", {}).output, testing::HasSubstr("LOCK TABLES items WRITE"));
  ASSERT_TRUE(client->Query("DELETE FROM crossfade.digests WHERE digest LIKE 'LOCK%'").ok());
  Walk("dual_write");
}

INSTANTIATE_TEST_SUITE_P(Engines, DynamicTest, testing::Values(Engine::kMariaDb, Engine::kMySql),
                         [](const auto& info) { return servers::EngineName(info.param); });

}  // namespace
}  // namespace crossfade::walk
