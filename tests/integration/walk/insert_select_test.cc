// SPDX-License-Identifier: Apache-2.0
// INSERT … SELECT into a table whose new keys are numbers from Crossfade: rows that count themselves, ranges that are too short,
// and what is left of a range.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "fmt/format.h"
#include "tests/integration/walk/fixture.h"
#include "tests/integration/walk/load.h"

namespace crossfade::walk {
namespace {

using servers::Client;
using servers::CrossfadeProcess;
using servers::Engine;
using servers::Reply;
using servers::Server;

constexpr char kLimits[] = "  chunk_rows: 500\n  control_poll: 50ms\n  key_block: 1000\n  backfill_idle_share: 0\n  insert_select_rows: 5000\n";

class InsertSelectTest : public WalkFixture {
 protected:
  void SetUp() override {
    StartServer();
    for (const std::string& sql : CreateShop()) Do(sql);
    Do("CREATE TABLE shop.numbers (n int NOT NULL PRIMARY KEY)");
    std::string values;
    for (int i = 1; i <= 6000; ++i) values += fmt::format("{}({})", i > 1 ? "," : "", i);
    Do("INSERT INTO shop.numbers VALUES " + values);
    StartProxy(ShopMigration(), kLimits, "shop");
  }

  void Walk(const std::string& phase, int percent = -1) {
    const absl::Status status = proxy_->WalkTo("shop", phase, percent);
    ASSERT_TRUE(status.ok()) << status;
  }
  // `count` rows whose codes begin with `prefix`.
  static std::string Rows(const std::string& prefix, int count) {
    return fmt::format("INSERT INTO items (code, label, stock) SELECT CONCAT('{}', n), 'many', n FROM numbers WHERE n <= {}", prefix, count);
  }
  void ExpectKeys(const std::string& prefix, int count) {
    EXPECT_EQ(One(fmt::format("SELECT COUNT(DISTINCT item_no) FROM shop.items WHERE code LIKE '{}%' AND item_no > 0", prefix)), std::to_string(count));
    EXPECT_EQ(One(fmt::format("SELECT COUNT(*) FROM shop.items WHERE code LIKE '{}%'", prefix)), std::to_string(count));
  }

};

TEST_P(InsertSelectTest, RowsCountThemselvesInEachPhase) {
  struct Stop { const char* phase; int percent; };
  int step = 0;
  for (const Stop& stop : {Stop{"dual_write", -1}, Stop{"verify", -1}, Stop{"cutover", 100}, Stop{"retire", -1}}) {
    if (step == 3) {
      const servers::CommandResult verified = proxy_->Run("verify", {"shop"});
      EXPECT_EQ(verified.exit_code, 0) << verified.output;
    }
    Walk(stop.phase, stop.percent);
    SCOPED_TRACE(stop.phase);
    const std::string at = fmt::format("s{}-", ++step);
    // More rows than the first range has, then more than the second.
    EXPECT_EQ(client_->Query(Rows(at + "a", 300)).affected, 300u);
    EXPECT_EQ(client_->Query("SHOW WARNINGS").rows.size(), 0u);
    ExpectKeys(at + "a", 300);
    const Reply many = client_->Query(Rows(at + "b", 5000));
    EXPECT_EQ(many.affected, 5000u) << many.message;
    ExpectKeys(at + "b", 5000);
    // More than may be: nothing is written.
    const Reply more = client_->Query(Rows(at + "c", 5001));
    EXPECT_EQ(more.error, 1235u);
    EXPECT_THAT(more.message, testing::HasSubstr("limits.insert_select_rows"));
    ExpectKeys(at + "c", 0);
    EXPECT_EQ(client_->Execute("INSERT INTO items (code, label, stock) SELECT CONCAT(?, n), 'prepared', n FROM numbers WHERE n <= ?", {at + "p", int64_t{200}}).affected, 200u);
    ExpectKeys(at + "p", 200);
    // A transaction that is rolled back, one that is not, and an error of the statement's own in its middle.
    ASSERT_TRUE(client_->Query("BEGIN").ok());
    EXPECT_EQ(client_->Query(Rows(at + "r", 100)).affected, 100u);
    ASSERT_TRUE(client_->Query("ROLLBACK").ok());
    ExpectKeys(at + "r", 0);
    ASSERT_TRUE(client_->Query("BEGIN").ok());
    EXPECT_EQ(client_->Query(Rows(at + "t", 100)).affected, 100u);
    EXPECT_EQ(client_->Query(Rows(at + "t", 200)).error, 1062u);
    EXPECT_EQ(client_->Query("INSERT IGNORE" + Rows(at + "t", 200).substr(6)).affected, 100u);
    EXPECT_EQ(client_->Query("INSERT INTO orders (item, quantity, owner) VALUES ('" + at + "t150', 1, 99)").affected, 1u);
    ASSERT_TRUE(client_->Query("COMMIT").ok());
    ExpectKeys(at + "t", 200);
    // Rows that lose their place by LIMIT, DISTINCT and UNION.
    EXPECT_EQ(client_->Query("INSERT INTO items (code, label, stock) SELECT DISTINCT CONCAT('" + at + "d', n DIV 10), 'ten', 0 FROM numbers").affected, 601u);
    ExpectKeys(at + "d", 601);
    EXPECT_EQ(client_->Query("INSERT INTO items (code, label, stock) SELECT CONCAT('" + at + "l', n), 'last', 0 FROM numbers ORDER BY n DESC LIMIT 5").affected, 5u);
    EXPECT_EQ(One("SELECT MIN(code) FROM shop.items WHERE code LIKE '" + at + "l%'"), at + "l5996");
    ExpectKeys(at + "l", 5);
    EXPECT_EQ(client_->Query("INSERT INTO items (code, label) SELECT '" + at + "u1', 'x' UNION SELECT '" + at + "u2', 'x' UNION SELECT '" + at + "u2', 'x'").affected, 2u);
    ExpectKeys(at + "u", 2);
    EXPECT_EQ(client_->Query(Rows(at + "t", 250) + " ON DUPLICATE KEY UPDATE stock = VALUES(stock) + 1").affected, 200u * 2 + 50);
    ExpectKeys(at + "t", 250);
  }
  EXPECT_EQ(One("SELECT COUNT(*) FROM (SELECT 1 FROM shop.items GROUP BY item_no HAVING COUNT(*) > 1) d"), "0");
}

// Replies that are rows do not say how many were written.
TEST_P(InsertSelectTest, RowsThatAreGivenBack) {
  Walk("dual_write");
  if (GetParam() == Engine::kMariaDb) {
    EXPECT_EQ(client_->Query(Rows("ret", 5) + " RETURNING code, stock").error, 1235u);
    EXPECT_TRUE(client_->Query("ANALYZE " + Rows("ana", 100)).ok());
    EXPECT_EQ(client_->Query(Rows("next", 100)).affected, 100u);
    ExpectKeys("ret", 0);
    ExpectKeys("ana", 100);
  }
  EXPECT_TRUE(client_->Query("EXPLAIN " + Rows("none", 5)).ok());
  EXPECT_EQ(client_->Query(Rows("last", 100)).affected, 100u);
  ExpectKeys("none", 0);
  ExpectKeys("last", 100);
  EXPECT_EQ(One("SELECT COUNT(*) FROM (SELECT 1 FROM shop.items WHERE item_no IS NOT NULL GROUP BY item_no HAVING COUNT(*) > 1) d"), "0");
}

// Who comes first wins under IGNORE and gets the lower AUTO_INCREMENT number: the query's order is kept. And errors that the client
// would read in a wide character set are told apart all the same.
TEST_P(InsertSelectTest, TheOrderOfTheQueryIsKept) {
  Do("CREATE TABLE shop.dup (k int NOT NULL PRIMARY KEY, a varchar(20), b int)");
  Do("INSERT INTO shop.dup VALUES (1, 'd1', 10), (2, 'd1', 20), (3, 'd2', 30), (4, 'd2', 40), (5, 'd3', 50), (6, 'd3', 60)");
  Do("CREATE DATABASE alone");
  Do("CREATE TABLE alone.items LIKE shop.items");
  for (const char* table : {"shop.items", "alone.items"}) Do(fmt::format("ALTER TABLE {} ADD COLUMN seq int NOT NULL AUTO_INCREMENT UNIQUE", table));
  Do("DELETE FROM alone.items");
  Walk("verify");
  const char* queries[] = {
      "SELECT CONCAT('D', a), 'x', b FROM shop.dup UNION ALL SELECT CONCAT('D', a), 'x', b + 1 FROM shop.dup ORDER BY 3 DESC",
      "SELECT DISTINCT CONCAT('C', a), 'x', b FROM shop.dup ORDER BY b DESC",
      "SELECT CONCAT('M', k), 'x', b FROM shop.dup GROUP BY k ORDER BY k DESC",
      "SELECT CONCAT('L', k), 'x', b FROM shop.dup ORDER BY k LIMIT 3",
      "SELECT CONCAT('O', k), 'x', b FROM shop.dup ORDER BY b % 7, k DESC",
      "SELECT CONCAT('P', k), 'x', SUM(b) OVER (ORDER BY k DESC) FROM shop.dup ORDER BY a, k DESC",
      "(SELECT CONCAT('Q', k), 'x', b FROM shop.dup ORDER BY k DESC LIMIT 4) ORDER BY 3 LIMIT 2"};
  auto alone = Client::Connect({.port = server_->port(), .database = "alone"});
  ASSERT_TRUE(alone.ok());
  for (const char* query : queries) {
    const std::string sql = std::string("INSERT IGNORE INTO items (code, label, stock) ") + query;
    const Reply direct = alone->Query(sql), through = client_->Query(sql);
    EXPECT_EQ(direct.affected, through.affected) << through.message << ": " << sql;
  }
  const auto rows = [&](const char* schema) {
    std::string text;
    for (const auto& row : direct_->Query(fmt::format("SELECT code, stock FROM {}.items WHERE label = 'x' ORDER BY seq", schema)).rows) text += *row[0] + "=" + *row[1] + " ";
    return text;
  };
  EXPECT_EQ(rows("shop"), rows("alone"));
  ASSERT_TRUE(client_->Query("SET character_set_results = utf16").ok());
  const Reply wide = client_->Query(Rows("wide", 100));
  EXPECT_EQ(wide.affected, 100u) << wide.error << " " << testing::PrintToString(wide.message);
  // These are numbers here, and strings once they stand in a table.
  EXPECT_EQ(client_->Query("INSERT INTO items (code, label, stock) SELECT DISTINCT 'hex', 'y', 0x31 FROM dup").error, 1235u);
  // A bare name may mean the query's column: it is not guessed.
  EXPECT_EQ(client_->Query("INSERT INTO items (code, label, stock) SELECT a, 'y', b FROM dup LIMIT 3 ON DUPLICATE KEY UPDATE stock = stock + 1").error, 1235u);
}

// Two tables in one migration, and then the same columns again under a migration of another name: no number twice.
TEST_P(InsertSelectTest, NumbersOfSeveralTablesAndOfAnEarlierMigration) {
  Do("CREATE DATABASE pair");
  for (const char* table : {"first", "second"}) {
    Do(fmt::format("CREATE TABLE pair.{} (id varchar(20) NOT NULL PRIMARY KEY, v int)", table));
    Do(fmt::format("INSERT INTO pair.{} SELECT CONCAT('r', n), n FROM shop.numbers WHERE n <= 40", table));
  }
  const auto migration = [](const std::string& name) {
    return "  - name: " + name + "\n    schema: pair\n    phase: observe\n    keys:\n"
           "      - {table: first, old: id, new: {column: no, type: int unsigned}}\n      - {table: second, old: id, new: {column: no, type: smallint}}\n";
  };
  for (const char* name : {"once", "again"}) {
    SCOPED_TRACE(name);
    proxy_.reset();
    auto proxy = CrossfadeProcess::Start({.backend = server_->address(), .migrations = migration(name), .limits = kLimits});
    ASSERT_TRUE(proxy.ok()) << proxy.status();
    proxy_ = *std::move(proxy);
    auto walked = proxy_->WalkTo(name, "verify");
    ASSERT_TRUE(walked.ok()) << walked;
    auto client = Client::Connect({.port = proxy_->port(), .database = "pair"});
    ASSERT_TRUE(client.ok());
    for (const char* table : {"first", "second"}) {
      for (int i = 0; i < 100; ++i) {
        const Reply reply = client->Query(fmt::format("INSERT INTO {} VALUES ('{}{}', 1) ON DUPLICATE KEY UPDATE v = v + 1000", table, name, i));
        ASSERT_EQ(reply.affected, 1u) << reply.message;
      }
      EXPECT_EQ(One(fmt::format("SELECT CONCAT(COUNT(*), ' ', COUNT(DISTINCT no), ' ', MAX(v) < 1000) FROM pair.{}", table)),
                name == std::string("once") ? "140 140 1" : "240 240 1");
    }
    // A type that is used up says so, at once.
    if (name == std::string("again")) {
      Do("UPDATE crossfade.allocators SET next = 32768 WHERE migration = 'again' AND table_name = 'second'");
      Reply reply;
      for (int i = 0; i < 3000 && reply.ok(); ++i) reply = client->Query(fmt::format("INSERT INTO second VALUES ('full{}', 1)", i));
      EXPECT_EQ(reply.error, 1235u);
      EXPECT_THAT(reply.message, testing::HasSubstr("the new keys of second are used up: its type holds no more than 32767"));
    }
    ASSERT_TRUE(proxy_->WalkTo(name, "observe").ok());
  }
}

// Its settings have to be read before a session's first statement on a migrating table, which would change ROW_COUNT().
TEST_P(InsertSelectTest, RowCountIsNotSpoiled) {
  Walk("dual_write");
  EXPECT_EQ(client_->Query("INSERT INTO items (code, label, stock) VALUES ('rc', 'x', ROW_COUNT())").error, 1235u);
  EXPECT_EQ(client_->Query("UPDATE items SET stock = @@warning_count WHERE code = 't1-1'").error, 1235u);
  // A column of such a name is none of it.
  EXPECT_EQ(client_->Query("UPDATE items SET error_count = error_count + 1 WHERE code = 't1-1'").error, 1054u);
  ASSERT_TRUE(client_->Query("UPDATE items SET stock = 7 WHERE code IN ('t1-1', 't1-2', 't1-3')").ok());
  EXPECT_EQ(client_->Query("INSERT INTO items (code, label, stock) VALUES ('rc', 'x', ROW_COUNT())").affected, 1u);
  EXPECT_EQ(One("SELECT stock FROM shop.items WHERE code = 'rc'"), "3");
  ASSERT_TRUE(client_->Query("SET NAMES utf8mb4").ok());
  EXPECT_EQ(client_->Query("UPDATE items SET stock = FOUND_ROWS() WHERE code = 'rc'").error, 1235u);
}

// Into a column that is NOT NULL a query's NULL is stored as '' under IGNORE (and where the mode is not strict). The reference is to ''.
TEST_P(InsertSelectTest, ANullThatIsStoredAsNothing) {
  Do("CREATE TABLE shop.loose (n int NOT NULL PRIMARY KEY, code varchar(40) NULL)");
  Do("INSERT INTO shop.loose VALUES (1, NULL), (2, 'aa')");
  Do("DROP TABLE shop.orders");
  Do("CREATE TABLE shop.orders (n int NOT NULL PRIMARY KEY, item varchar(40) NOT NULL, CONSTRAINT order_item FOREIGN KEY (item) REFERENCES shop.items (code))");
  Walk("dual_write");
  Write("INSERT INTO items (code, label) VALUES ('', 'nothing'), ('aa', 'something')", 2);
  EXPECT_EQ(client_->Query("INSERT INTO orders (n, item) SELECT n, code FROM loose ORDER BY n").error, 1048u);
  const Reply ignore = client_->Query("INSERT IGNORE INTO orders (n, item) SELECT n + 10, code FROM loose ORDER BY n");
  EXPECT_EQ(ignore.affected, 2u) << ignore.message;
  EXPECT_EQ(One("SELECT COUNT(*) FROM shop.orders o JOIN shop.items i ON i.code = o.item WHERE NOT (o.item_ref <=> i.item_no)"), "0");
}

// … and where it is BINARY as so many zero bytes.
TEST_P(InsertSelectTest, ANullThatIsStoredAsZeroBytes) {
  Do("CREATE DATABASE bytes");
  for (const char* sql : {"CREATE TABLE bytes.p (o binary(4) NOT NULL PRIMARY KEY)", "CREATE TABLE bytes.loose (n int NOT NULL PRIMARY KEY, o binary(4) NULL, CONSTRAINT loose_o FOREIGN KEY (o) REFERENCES bytes.p (o))",
                          "CREATE TABLE bytes.r (n int NOT NULL PRIMARY KEY, ro binary(4) NOT NULL, CONSTRAINT r_ro FOREIGN KEY (ro) REFERENCES bytes.p (o))",
                          "INSERT INTO bytes.p VALUES (X'00000000'), ('aaaa')", "INSERT INTO bytes.loose VALUES (1, NULL), (2, 'aaaa')"})
    Do(sql);
  proxy_.reset();
  auto proxy = CrossfadeProcess::Start({.backend = server_->address(), .migrations = "  - name: raw\n    schema: bytes\n    phase: observe\n    keys:\n"
      "      - {table: p, old: o, new: {column: id, type: int unsigned}, references: [{table: r, old: ro, new: rid}, {table: loose, old: o, new: oid}]}\n", .limits = kLimits});
  ASSERT_TRUE(proxy.ok()) << proxy.status();
  proxy_ = *std::move(proxy);
  for (const char* phase : {"verify", "cutover"}) {
    auto walked = proxy_->WalkTo("raw", phase);
    ASSERT_TRUE(walked.ok()) << walked;
    auto client = Client::Connect({.port = proxy_->port(), .database = "bytes"});
    ASSERT_TRUE(client.ok());
    const Reply ignore = client->Query("INSERT IGNORE INTO r (n, ro) SELECT n, o FROM loose ORDER BY n");
    EXPECT_EQ(ignore.affected, 2u) << ignore.message;
    EXPECT_EQ(One("SELECT COUNT(*) FROM bytes.r JOIN bytes.p ON p.o = r.ro WHERE NOT (r.rid <=> p.id)"), "0");
    Do("DELETE FROM bytes.r");
  }
}

// What a statement did not use of its range is there for the next one.
TEST_P(InsertSelectTest, ARangeIsNotLostForOneRow) {
  Walk("dual_write");
  const uint64_t before = std::stoull(One("SELECT COALESCE(MAX(item_no), 0) FROM shop.items"));
  for (int i = 0; i < 100; ++i) {
    const std::string code = fmt::format("one-{}", i);
    ASSERT_EQ(client_->Query("INSERT INTO items (code, label) SELECT '" + code + "', 'x' FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM items WHERE code = '" + code + "')").affected, 1u);
    ASSERT_EQ(client_->Query("INSERT INTO items (code, label) SELECT '" + code + "', 'x' FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM items WHERE code = '" + code + "')").affected, 0u);
  }
  ExpectKeys("one-", 100);
  EXPECT_LT(std::stoull(One("SELECT MAX(item_no) FROM shop.items WHERE code LIKE 'one-%'")) - before, 1000u);
}

INSTANTIATE_TEST_SUITE_P(Engines, InsertSelectTest, testing::Values(Engine::kMariaDb, Engine::kMySql), [](const auto& info) { return std::string(servers::EngineName(info.param)); });

}  // namespace
}  // namespace crossfade::walk
