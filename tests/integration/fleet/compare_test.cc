// SPDX-License-Identifier: Apache-2.0
// Reads run on both sides and compared: nothing that the client sees changes by it, what differs is counted with a sample, and
// too much of it sends the migration back.
#include "tests/integration/fleet/fixture.h"

namespace crossfade::fleet {
namespace {

class CompareReads : public ShopFixture {
 protected:
  void Start(const std::string& compare) {
    Do("CREATE TABLE shop.plain (id int PRIMARY KEY)");
    proxy_ = Proxy({.migrations = walk::ShopMigration() + compare, .limits = "  control_poll: 50ms\n  lease: 1s\n"});
    ASSERT_NE(proxy_, nullptr);
    const absl::Status status = proxy_->WalkTo("shop", "cutover", 50);
    ASSERT_TRUE(status.ok()) << status;
  }
  std::string ValueOnce(const std::string& sql, const std::string& value) {
    const auto end = Clock::now() + seconds(15);
    while (Value(sql) != value && Clock::now() < end) std::this_thread::sleep_for(milliseconds(50));
    return Value(sql);
  }

  CrossfadeProcess* proxy_ = nullptr;
};

TEST_P(CompareReads, TheClientSeesNothingOfIt) {
  Start("    compare_reads: {share: 100}\n");
  Client proxied = Connect(proxy_->port()), direct = Direct();
  // Ends each with what the session remembers of it.
  const char* kStatements[] = {
      "SELECT label, stock FROM items WHERE code = 't1-1'", "SELECT FOUND_ROWS()", "SELECT ROW_COUNT()",
      "INSERT INTO orders (item, quantity, owner) VALUES ('t1-1', 5, OWNER)",
      "SELECT o.quantity, i.label FROM orders o JOIN items i ON i.code = o.item WHERE o.owner = OWNER ORDER BY o.id", "SELECT ROW_COUNT(), FOUND_ROWS(), LAST_INSERT_ID() > 0",
      "SELECT stock / 0 FROM items WHERE code = 't1-2'", "SHOW WARNINGS",
      "BEGIN", "UPDATE orders SET quantity = 6 WHERE owner = OWNER", "SELECT i.stock, o.quantity FROM orders o JOIN items i ON i.code = o.item WHERE o.owner = OWNER", "SELECT ROW_COUNT()",
      "SELECT quantity FROM orders WHERE owner = OWNER FOR UPDATE", "ROLLBACK",
      "SELECT i.stock, o.quantity FROM orders o JOIN items i ON i.code = o.item WHERE o.owner = OWNER",
      "SET autocommit = 0", "SELECT i.stock FROM orders o JOIN items i ON i.code = o.item WHERE o.owner = OWNER", "ROLLBACK", "SET autocommit = 1",
      "LOCK TABLES plain READ", "SELECT i.stock FROM orders o JOIN items i ON i.code = o.item WHERE o.owner = OWNER", "SELECT COUNT(*) FROM plain", "UNLOCK TABLES"};
  for (int round = 0; round < 2; ++round) {
    for (const std::string sql : kStatements) {
      // Each with rows of its own, or the two would wait for each other.
      const auto with = [&](const char* owner) { return std::string(sql).replace(std::min(sql.find("OWNER"), sql.size()), 5, sql.find("OWNER") == std::string::npos ? "" : owner); };
      const Reply a = proxied.Query(with("8")), b = direct.Query(with("9"));
      EXPECT_EQ(a.error, b.error) << sql << ": " << a.message;
      EXPECT_EQ(a.rows, b.rows) << sql << ": " << servers::Describe(a) << " for " << servers::Describe(b);
      EXPECT_EQ(a.affected, b.affected) << sql;
      EXPECT_EQ(a.warnings, b.warnings) << sql;
      EXPECT_EQ(a.status & 3, b.status & 3) << sql;
      if (a.error != b.error) break;
    }
    if (HasFailure()) break;
  }
  EXPECT_NE(ValueOnce("SELECT SUM(compared) >= 3 FROM crossfade.comparisons", "1"), "0");
  EXPECT_EQ(Value("SELECT SUM(mismatches) FROM crossfade.comparisons"), "0") << Value("SELECT GROUP_CONCAT(sample) FROM crossfade.comparisons");
  EXPECT_EQ(Value("SELECT COUNT(*) FROM crossfade.comparisons WHERE old_us <= 0 OR new_us <= 0"), "0");
}

TEST_P(CompareReads, WhatDiffersIsCountedAndSendsItBack) {
  Start("    compare_reads: {share: 100, mismatch_limit: 2, at_least: 20}\n");
  Client client = Connect(proxy_->port());
  const std::string sql = "SELECT i.label FROM orders o JOIN items i ON i.code = o.item WHERE o.id = 3";
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(client.Query(sql).ok());
  EXPECT_EQ(ValueOnce("SELECT SUM(compared) FROM crossfade.comparisons", "10"), "10");
  EXPECT_EQ(Value("SELECT SUM(mismatches) FROM crossfade.comparisons"), "0") << Value("SELECT GROUP_CONCAT(sample) FROM crossfade.comparisons");
  // A row written past the proxies. The watch of `cutover` would mend it: read it at once.
  Do("UPDATE shop.orders SET item_ref = (SELECT MAX(item_no) FROM shop.items) WHERE id BETWEEN 1 AND 400");
  for (int i = 0; i < 400; ++i) ASSERT_TRUE(client.Query(fmt::format("SELECT i.label FROM orders o JOIN items i ON i.code = o.item WHERE o.id = {}", i % 400 + 1)).ok());
  EXPECT_EQ(ValueOnce("SELECT phase FROM crossfade.migrations", "verify"), "verify");
  EXPECT_EQ(Value("SELECT COUNT(*) > 0 FROM crossfade.events WHERE severity = 'error' AND text LIKE 'back to verify:%'"), "1");
  EXPECT_EQ(Value("SELECT COUNT(*) > 0 FROM crossfade.comparisons WHERE sample LIKE '%on the new%'"), "1") << Value("SELECT sample FROM crossfade.comparisons LIMIT 1");
}

// Executions of prepared statements: counted with the texts of the same shape, and the client sees nothing of it.
TEST_P(CompareReads, PreparedOnesAreComparedToo) {
  Start("    compare_reads: {share: 100}\n");
  Client proxied = Connect(proxy_->port()), direct = Direct();
  struct Case { std::string sql; std::vector<servers::Parameter> values; };
  const std::vector<Case> cases = {
      {"SELECT label, stock FROM items WHERE code = ?", {std::string("t1-1")}},
      {"SELECT o.quantity, i.label FROM orders o JOIN items i ON i.code = o.item WHERE o.id = ? AND i.label <> ?", {int64_t{3}, std::string("it's \\ a 'label'")}},
      {"SELECT COUNT(*) FROM orders o JOIN items i ON i.code = o.item WHERE o.quantity > ? AND o.quantity <> -?", {int64_t{-5}, int64_t{-7}}},
      {"SELECT o.id, i.label FROM orders o JOIN items i ON i.code = o.item WHERE o.owner = ? ORDER BY o.id LIMIT ?", {int64_t{2}, int64_t{10}}},
      {"SELECT COUNT(*) FROM orders o JOIN items i ON i.code = o.item WHERE ? IS NULL", {nullptr}},
      {"SELECT i.stock / 0, ? FROM items i WHERE i.code = 't1-2'", {std::string("")}},
      {"SELECT o.quantity FROM orders o JOIN items i ON i.code = o.item WHERE o.id = ? FOR UPDATE", {int64_t{3}}}};
  for (int round = 0; round < 2; ++round) {
    if (round == 1) ASSERT_TRUE(proxied.Query("BEGIN").ok() && direct.Query("BEGIN").ok());
    for (const Case& each : cases) {
      if (round == 1 && each.sql.ends_with("FOR UPDATE")) continue;  // the two would wait for each other
      std::unique_ptr<servers::Statement> a, b;
      ASSERT_TRUE(proxied.Prepare(each.sql, &a).ok() && direct.Prepare(each.sql, &b).ok()) << each.sql;
      for (int times = 0; times < 2; ++times) {
        const Reply of_a = a->Execute(each.values), of_b = b->Execute(each.values);
        EXPECT_EQ(of_a.error, of_b.error) << each.sql << ": " << of_a.message;
        EXPECT_EQ(of_a.rows, of_b.rows) << each.sql;
        EXPECT_EQ(of_a.warnings, of_b.warnings) << each.sql;
        EXPECT_EQ(of_a.status & 3, of_b.status & 3) << each.sql;
      }
      for (const char* sql : {"SHOW WARNINGS", "SELECT FOUND_ROWS(), ROW_COUNT()"}) {
        if (&each == &cases[5] || sql[1] == 'E') EXPECT_EQ(proxied.Query(sql).rows, direct.Query(sql).rows) << sql << " behind " << each.sql;
      }
    }
    ASSERT_TRUE(proxied.Query("ROLLBACK").ok() && direct.Query("ROLLBACK").ok());
  }
  EXPECT_EQ(ValueOnce("SELECT SUM(compared) >= 12 FROM crossfade.comparisons", "1"), "1") << Value("SELECT GROUP_CONCAT(digest, ': ', compared) FROM crossfade.comparisons");
  EXPECT_EQ(Value("SELECT SUM(mismatches) FROM crossfade.comparisons"), "0") << Value("SELECT GROUP_CONCAT(sample) FROM crossfade.comparisons");
  EXPECT_EQ(Value("SELECT COUNT(*) FROM crossfade.comparisons WHERE digest LIKE '%FOR UPDATE%'"), "0");
  // Text and executions of one shape are one row.
  ASSERT_TRUE(proxied.Query("SELECT o.quantity, i.label FROM orders o JOIN items i ON i.code = o.item WHERE o.id = 7 AND i.label <> 'x'").ok());
  EXPECT_EQ(ValueOnce("SELECT MAX(compared) FROM crossfade.comparisons WHERE digest LIKE '%quantity%label%<>%'", "5"), "5");
  // What differs is seen through them as well, and `status` says so.
  Do("UPDATE shop.orders SET item_ref = (SELECT MAX(item_no) FROM shop.items) WHERE id BETWEEN 1 AND 900");
  std::unique_ptr<servers::Statement> statement;
  ASSERT_TRUE(proxied.Prepare("SELECT i.label, o.id FROM orders o JOIN items i ON i.code = o.item WHERE o.id = ?", &statement).ok());
  for (int64_t id = 1; id <= 100; ++id) ASSERT_TRUE(statement->Execute({id}).ok());
  EXPECT_EQ(ValueOnce("SELECT SUM(mismatches) > 0 FROM crossfade.comparisons", "1"), "1");
  servers::CommandResult status = proxy_->Run("status", {"shop"});
  EXPECT_NE(status.output.find("reads compared "), std::string::npos) << status.output;
  EXPECT_NE(status.output.find(" on the old side, "), std::string::npos) << status.output;
  EXPECT_NE(status.output.find("differ under epoch"), std::string::npos) << status.output;
  status = proxy_->Run("status", {"shop", "--json"});
  EXPECT_NE(status.output.find("\"mismatch_percent\""), std::string::npos) << status.output;
  EXPECT_NE(status.output.find("on the new"), std::string::npos) << status.output;
}

// A share is one of the reads that differ by cohort; the others are not run twice.
TEST_P(CompareReads, AShareOfThem) {
  Start("    compare_reads: {share: 20}\n");
  Client client = Connect(proxy_->port());
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(client.Query(fmt::format("SELECT i.label FROM orders o JOIN items i ON i.code = o.item WHERE o.id = {}", i + 1)).ok());
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(client.Query(fmt::format("SELECT o.quantity FROM orders o WHERE o.id = {}", i + 1)).ok());
  ValueOnce("SELECT SUM(compared) >= 60 FROM crossfade.comparisons", "1");
  std::this_thread::sleep_for(milliseconds(1'500));  // what is left is reported
  const int compared = std::stoi(Value("SELECT SUM(compared) FROM crossfade.comparisons"));
  EXPECT_GE(compared, 60);
  EXPECT_LE(compared, 140);
  EXPECT_EQ(Value("SELECT COUNT(*) FROM crossfade.comparisons"), "1") << Value("SELECT GROUP_CONCAT(digest) FROM crossfade.comparisons");
}

// A session that has begun something which a hidden transaction might end or use up is left alone, and so are transactions with
// another read view than the statement's own.
TEST_P(CompareReads, SessionsThatAreLeftAlone) {
  Start("    compare_reads: {share: 100}\n");
  const std::string read = "SELECT i.label FROM orders o JOIN items i ON i.code = o.item WHERE o.id = 3";
  const std::vector<std::vector<std::string>> sessions = {
      {"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"}, {"SET TRANSACTION READ ONLY", "BEGIN"}, {"SET autocommit = 0"}, {"LOCK TABLES orders AS o READ, items AS i READ"},
      {"PREPARE s FROM 'SELECT 1'"}, {"XA START 'x'"},
      {GetParam() == Engine::kMariaDb ? "SET tx_isolation = 'READ-COMMITTED'" : "SET transaction_isolation = 'READ-COMMITTED'", "BEGIN"}};
  for (const auto& begins : sessions) {
    Client client = Connect(proxy_->port());
    for (const std::string& sql : begins) {
      const Reply reply = client.Query(sql);
      EXPECT_TRUE(reply.ok()) << sql << ": " << reply.message;
    }
    for (int i = 0; i < 3; ++i) {
      const Reply reply = client.Query(read);
      EXPECT_TRUE(reply.ok()) << begins[0] << ": " << reply.message;
    }
  }
  // One that is compared, under another shape, shows when all has been reported.
  Client plain = Connect(proxy_->port());
  ASSERT_TRUE(plain.Query("SELECT i.stock FROM orders o JOIN items i ON i.code = o.item WHERE o.id = 3").ok());
  EXPECT_EQ(ValueOnce("SELECT COUNT(*) FROM crossfade.comparisons WHERE digest LIKE '%stock%'", "1"), "1");
  EXPECT_EQ(Value("SELECT COUNT(*) FROM crossfade.comparisons WHERE digest LIKE '%label%'"), "0");
}

INSTANTIATE_TEST_SUITE_P(Engines, CompareReads, testing::Values(Engine::kMariaDb, Engine::kMySql), EngineOf);

}  // namespace
}  // namespace crossfade::fleet
