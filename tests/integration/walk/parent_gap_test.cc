// SPDX-License-Identifier: Apache-2.0
// Statements whose lookups of parents cannot fail by themselves (rewrite::Plan::exposed). At READ COMMITTED they are run so that no parent
// that was missing can be committed before the foreign key is looked at.
#include <mysql.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_replace.h"
#include "tests/integration/walk/fixture.h"

namespace crossfade::walk {
namespace {

using servers::Client;
using servers::Engine;
using servers::Reply;

constexpr char kMigration[] =
    "  - name: m\n    schema: z\n    phase: observe\n    keys:\n"
    "      - {table: p, old: o, new: {column: n, type: int unsigned}, references: [{table: a, old: ro, new: rn}, {table: a, old: ro2, new: rn2}, {table: b, old: ro, new: rn}, {table: b, old: ro2, new: rn2}]}\n";
constexpr char kWrong[] =
    "SELECT (SELECT COUNT(*) FROM z.a LEFT JOIN z.p ON p.o = a.ro WHERE NOT (a.rn <=> p.n)) + (SELECT COUNT(*) FROM z.a LEFT JOIN z.p ON p.o = a.ro2 WHERE NOT (a.rn2 <=> p.n))"
    " + (SELECT COUNT(*) FROM z.b LEFT JOIN z.p ON p.o = b.ro WHERE NOT (b.rn <=> p.n)) + (SELECT COUNT(*) FROM z.b LEFT JOIN z.p ON p.o = b.ro2 WHERE NOT (b.rn2 <=> p.n))";

class ParentGapTest : public WalkFixture {
 protected:
  void SetUp() override {
    StartServer();
    Do("CREATE DATABASE z");
    const std::string key = "varchar(20) CHARACTER SET ascii COLLATE ascii_bin", more = fmt::format("u int, ro {0}, ro2 {0}, FOREIGN KEY (ro) REFERENCES p (o), FOREIGN KEY (ro2) REFERENCES p (o)", key);
    Do("USE z");
    Do(fmt::format("CREATE TABLE p (o {} PRIMARY KEY, v int)", key));
    Do(fmt::format("CREATE TABLE a (id int AUTO_INCREMENT PRIMARY KEY, {}, UNIQUE (u))", more));
    Do(fmt::format("CREATE TABLE b (id int PRIMARY KEY, {})", more));
    Do("INSERT INTO p VALUES ('here', 1), ('free', 1)");
    Do("INSERT INTO a (id, u) VALUES (1, 1)");
    Do("SET GLOBAL local_infile = 1");
    StartProxy(kMigration, "  control_poll: 50ms\n", "z");
  }
  Client Connect() {
    auto client = Client::Connect({.port = proxy_->port(), .database = "z", .flags = CLIENT_MULTI_STATEMENTS | CLIENT_LOCAL_FILES});
    EXPECT_TRUE(client.ok()) << client.status();
    const unsigned allowed = 1;
    mysql_options(client->raw(), MYSQL_OPT_LOCAL_INFILE, &allowed);
    return *std::move(client);
  }
  std::string Waiting() { return One("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"); }
  std::string LevelOf(Client& client) {
    return client.Query(GetParam() == Engine::kMariaDb ? "SELECT @@tx_isolation" : "SELECT @@transaction_isolation").rows.at(0).at(0).value_or("NULL");
  }

  // Runs `ask` with a parent named `late` that is missing when it is looked up, and is inserted while the lookup of `held` waits.
  Reply Raced(Client& writer, const std::string& late, const std::function<Reply(Client&)>& ask, const std::string& held = "here") {
    auto connected = Client::Connect({.port = server_->port(), .database = "z"});
    EXPECT_TRUE(connected.ok()) << connected.status();
    Client holder = *std::move(connected), parent = Connect();
    EXPECT_TRUE(holder.Query("BEGIN").ok());
    EXPECT_TRUE(holder.Query(fmt::format("SELECT v FROM p WHERE o = '{}' FOR UPDATE", held)).ok());
    Reply written, came;
    std::atomic<bool> ended = false, arrived = false;
    std::thread waiting([&] {
      written = ask(writer);
      ended = true;
    });
    while (!ended && Waiting() == "0") std::this_thread::sleep_for(std::chrono::milliseconds(120));
    EXPECT_FALSE(ended) << written.error << " " << written.message;
    std::thread coming([&] {
      came = parent.Query(fmt::format("INSERT INTO p VALUES ('{}', 1)", late));
      arrived = true;
    });
    while (!arrived && Waiting() != "2") std::this_thread::sleep_for(std::chrono::milliseconds(120));
    EXPECT_TRUE(holder.Query("ROLLBACK").ok());
    waiting.join();
    coming.join();
    EXPECT_TRUE(came.ok()) << came.message;
    EXPECT_TRUE(written.ok() || written.error == 1452) << written.error << " " << written.message;
    return written;
  }
  // A transaction of the client's sees what others commit in the middle of it.
  void ExpectReadCommitted(Client& client) {
    EXPECT_EQ(LevelOf(client), "READ-COMMITTED");
    EXPECT_TRUE(client.Query("BEGIN").ok());
    const std::string before = client.Query("SELECT COUNT(*) FROM p").rows.at(0).at(0).value_or("NULL");
    Do(fmt::format("INSERT INTO z.p (o, n) VALUES ('seen{0}', 4000000000 + {0})", ++seen_));
    EXPECT_NE(client.Query("SELECT COUNT(*) FROM p").rows.at(0).at(0).value_or("NULL"), before);
    EXPECT_TRUE(client.Query("COMMIT").ok());
  }

  void Forget() {
    Do("UPDATE z.a SET ro = NULL, rn = NULL, ro2 = NULL, rn2 = NULL WHERE id = 1");
    Do("DELETE FROM z.a WHERE id > 1");
    Do("DELETE FROM z.b");
  }

  int seen_ = 0;
};

Reply Bulk(Client& client, const std::string& sql, int first, const std::vector<std::pair<std::string, std::string>>& rows) {
  MYSQL_STMT* statement = mysql_stmt_init(client.raw());
  auto size = static_cast<unsigned>(rows.size());
  std::vector<int> numbers;
  std::vector<const char*> one, two;
  std::vector<unsigned long> one_length, two_length;
  for (size_t i = 0; i < rows.size(); ++i) {
    numbers.push_back(first + static_cast<int>(i));
    one.push_back(rows[i].first.c_str());
    two.push_back(rows[i].second.c_str());
    one_length.push_back(rows[i].first.size());
    two_length.push_back(rows[i].second.size());
  }
  MYSQL_BIND bind[3] = {};
  bind[0].buffer_type = MYSQL_TYPE_LONG;
  bind[0].buffer = numbers.data();
  bind[1].buffer_type = bind[2].buffer_type = MYSQL_TYPE_STRING;
  bind[1].buffer = one.data();
  bind[1].length = one_length.data();
  bind[2].buffer = two.data();
  bind[2].length = two_length.data();
  Reply reply;
  const bool bad = mysql_stmt_prepare(statement, sql.data(), sql.size()) != 0 || mysql_stmt_attr_set(statement, STMT_ATTR_ARRAY_SIZE, &size) != 0 ||
                   mysql_stmt_bind_param(statement, bind) != 0 || mysql_stmt_execute(statement) != 0;
  if (bad) reply.error = mysql_stmt_errno(statement), reply.message = mysql_stmt_error(statement);
  mysql_stmt_close(statement);
  return reply;
}

// The last reply to a text, or the first error in it.
Reply All(Client& client, const std::string& sql) {
  Reply reply = client.Query(sql);
  while (reply.ok() && mysql_more_results(client.raw())) {
    if (mysql_next_result(client.raw()) > 0) reply.error = mysql_errno(client.raw()), reply.message = mysql_error(client.raw());
    if (MYSQL_RES* rows = mysql_store_result(client.raw()); rows != nullptr) mysql_free_result(rows);
  }
  return reply;
}

using Ask = std::function<Reply(Client&, const std::string&)>;
using Cases = std::vector<std::pair<std::string, Ask>>;

// In them `late` stands for the parent, #1 and #2 for keys, {} for a file. `number`: what they are told apart by.
Cases AllCases(bool maria, const int* number) {
  const auto text = [](const char* sql) { return std::pair<std::string, Ask>(sql, [](Client& client, const std::string& it) { return All(client, it); }); };
  const auto prepared = [](const char* sql) { return std::pair<std::string, Ask>(sql, [](Client& client, const std::string& it) { return client.Execute(it, {}); }); };
  Cases cases;
  for (const char* sql : {
           "INSERT INTO a (u, ro, ro2) VALUES (#1, 'free', 'free'), (#2, 'late', 'here')",
           "REPLACE INTO a (u, ro, ro2) VALUES (#1, 'free', 'free'), (#2, 'late', 'here')",
           "INSERT IGNORE INTO a (u, ro, ro2) VALUES (#1, 'late', 'here')",
           "INSERT IGNORE INTO a (u, ro, ro2) VALUES (#1, 'free', 'free'), (#2, 'late', 'here')",
           "INSERT INTO a (u, ro, ro2) VALUES (1, 'late', 'here') ON DUPLICATE KEY UPDATE ro = VALUES(ro), ro2 = VALUES(ro2)",
           "INSERT INTO a (u, ro, ro2) VALUES (#1, 'late', 'here') ON DUPLICATE KEY UPDATE u = VALUES(u)",
           "INSERT INTO a (u, ro, ro2) SELECT #1, 'late', 'here'",
           "INSERT INTO b (id, u, ro, ro2) SELECT #1, #1, 'late', 'here'",
       }) {
    cases.push_back(text(sql));
    cases.push_back(prepared(sql));
  }
  cases.push_back(text("INSERT INTO b (id, ro, ro2) VALUES (#1, 'late', 'here'); SELECT 7"));
  cases.push_back(text("INSERT INTO b (id, ro, ro2) VALUES (#1, 'free', 'free'); INSERT INTO b (id, ro, ro2) VALUES (#2, 'late', 'here')"));
  cases.emplace_back("LOAD DATA LOCAL INFILE '{}' INTO TABLE a FIELDS TERMINATED BY ',' (u, ro, ro2)", [](Client& client, const std::string& it) { return client.Query(it); });
  cases.emplace_back("INSERT INTO b (id, ro, ro2) VALUES (#1, 'late', 'here')", [](Client& client, const std::string& it) {
    EXPECT_TRUE(client.Query("PREPARE s FROM '" + absl::StrReplaceAll(it, {{"'", "''"}}) + "'").ok());
    return client.Query("EXECUTE s");
  });
  if (maria) {
    cases.push_back(text("INSERT INTO b (id, ro, ro2) VALUES (#1, 'late', 'here') RETURNING id, ro"));
    cases.push_back(text("INSERT INTO a (u, ro, ro2) VALUES (#1, 'free', 'free'), (#2, 'late', 'here') RETURNING id, ro"));
    cases.push_back(text("SET STATEMENT max_statement_time = 60 FOR INSERT INTO b (id, ro, ro2) VALUES (#1, 'late', 'here')"));
    cases.push_back(text("ANALYZE INSERT INTO b (id, ro, ro2) VALUES (#1, 'late', 'here')"));
    cases.push_back(text("EXECUTE IMMEDIATE 'INSERT INTO b (id, ro, ro2) VALUES (#1, ''late'', ''here'')'"));
    cases.emplace_back("late", [number](Client& client, const std::string& late) { return Bulk(client, "INSERT INTO b (id, ro, ro2) VALUES (?, ?, ?)", *number * 10, {{"free", "free"}, {late, "here"}}); });
    cases.emplace_back("late", [number](Client& client, const std::string& late) { return Bulk(client, "INSERT INTO a (u, ro, ro2) VALUES (?, ?, ?)", *number * 10, {{"free", "free"}, {late, "here"}}); });
  }
  return cases;
}

// One of them, for this number. Its file, if it has one, is left to the destructor.
struct Case {
  std::string late, sql, file;
  Case(const std::string& of, int number) : late(fmt::format("late{}", number)), file(testing::TempDir() + fmt::format("parent_gap_{}_{}.txt", getpid(), number)) {
    sql = absl::StrReplaceAll(of, {{"late", late}, {"#1", fmt::format("{}1", number)}, {"#2", fmt::format("{}2", number)}});
    if (sql.find("{}") == std::string::npos) return;
    std::ofstream(file) << number << "1,free,free\n" << number << "2," << late << ",here\n";
    sql = absl::StrReplaceAll(sql, {{"{}", file}});
  }
  ~Case() { std::remove(file.c_str()); }
};

TEST_P(ParentGapTest, OneThatIsCommittedBehindTheLookupIsReferredToByBothSidesOrNone) {
  int number = 100;
  const Cases cases = AllCases(GetParam() == Engine::kMariaDb, &number);
  for (const char* phase : {"dual_write", "verify", "cutover"}) {
    WalkTo("m", phase, std::string(phase) == "cutover" ? 100 : -1);
    for (const auto& [sql, ask] : cases) {
      const Case it(sql, ++number);
      SCOPED_TRACE(fmt::format("{}: {}", phase, it.sql));
      Client writer = Connect();
      ASSERT_TRUE(writer.Query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").ok());
      (void)Raced(writer, it.late, [&](Client& client) { return ask(client, it.sql); });
      EXPECT_EQ(One(kWrong), "0");
      ExpectReadCommitted(writer);
      // A wrong statement begins no transaction.
      EXPECT_EQ(writer.Query("INSERT INTO a (u, ro, ro2, nothing) VALUES (0, 'free', 'free', 0), (0, 'free', 'free', 0)").error, 1054u);
      EXPECT_EQ(writer.Query("SHOW WARNINGS").rows.size(), 1u);
      ExpectReadCommitted(writer);
      Forget();
    }
  }
}

// In a transaction of the client's the level stays, and the row is taken, as directly.
TEST_P(ParentGapTest, OneThatIsCommittedBehindTheLookupInATransaction) {
  int number = 500;
  const Cases cases = AllCases(GetParam() == Engine::kMariaDb, &number);
  for (const char* phase : {"verify", "cutover"}) {
    WalkTo("m", phase, std::string(phase) == "cutover" ? 100 : -1);
    for (const auto& [sql, ask] : cases) {
      if (sql.rfind("EXECUTE IMMEDIATE", 0) == 0) continue;  // left to verification
      const Case it(sql, ++number);
      SCOPED_TRACE(fmt::format("{}: {}", phase, it.sql));
      Client writer = Connect();
      ASSERT_TRUE(writer.Query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").ok());
      ASSERT_TRUE(writer.Query("INSERT INTO a (u) VALUES (NULL)").ok());
      const uint64_t before = std::stoull(writer.Query("SELECT LAST_INSERT_ID()").rows.at(0).at(0).value_or("0"));
      ASSERT_TRUE(writer.Query("BEGIN").ok());
      ASSERT_TRUE(writer.Query("UPDATE a SET u = u WHERE id = 1").ok());
      const Reply written = Raced(writer, it.late, [&](Client& client) { return ask(client, it.sql); });
      EXPECT_TRUE(written.ok()) << written.message;
      // What there is to ask of the statement is asked before anything is mended, and after it.
      if (sql.find("VALUES (#1, 'free', 'free'), (#2") != std::string::npos && sql.find("RETURNING") == std::string::npos) {
        EXPECT_EQ(written.affected, 2u);
        EXPECT_EQ(written.insert_id, before + 1);
        if (sql.find("INTO a") != std::string::npos) { EXPECT_EQ(writer.Query("SELECT ROW_COUNT()").rows.at(0).at(0), "2"); }
        EXPECT_EQ(writer.Query("SELECT LAST_INSERT_ID()").rows.at(0).at(0), std::to_string(before + 1));
        EXPECT_EQ(writer.Query("INSERT INTO a (u) VALUES (NULL)").insert_id, before + 3);
      }
      for (const auto& warning : writer.Query("SHOW WARNINGS").rows) EXPECT_EQ(warning.at(1), "1287") << warning.at(2).value_or("NULL");  // VALUES(), says MySQL
      EXPECT_TRUE(writer.Query("COMMIT").ok());
      EXPECT_EQ(One(kWrong), "0");
      EXPECT_EQ(One(fmt::format("SELECT (SELECT COUNT(*) FROM z.a JOIN z.p ON a.rn = p.n WHERE p.o = '{0}') + (SELECT COUNT(*) FROM z.b JOIN z.p ON b.rn = p.n WHERE p.o = '{0}')", it.late)), "1");
      Forget();
    }
  }
}

// No mark is committed, however the transaction ends.
TEST_P(ParentGapTest, NoMarkOutlivesItsTransaction) {
  WalkTo("m", "verify", -1);
  int number = 900;
  const std::string insert = "INSERT INTO a (u, ro, ro2) VALUES (#1, 'free', 'free'), (#2, 'late', 'here')";
  const auto marked = [&](const std::string& sql, const std::vector<std::string>& then, bool refused) {
    const Case it(sql, ++number);
    SCOPED_TRACE(it.sql + " " + testing::PrintToString(then));
    Client writer = Connect();
    EXPECT_TRUE(writer.Query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").ok());
    EXPECT_TRUE(writer.Query("BEGIN").ok());
    EXPECT_TRUE(writer.Query("UPDATE a SET u = u WHERE id = 1").ok());
    const Reply written = Raced(writer, it.late, [&](Client& client) { return All(client, it.sql); });
    EXPECT_TRUE(written.ok()) << written.message;
    for (const std::string& each : then) {
      const Reply reply = All(writer, each);
      if (refused && &each == then.data()) { EXPECT_EQ(reply.error, 1235u) << reply.message; }
      else { EXPECT_TRUE(reply.ok()) << reply.message; }
    }
    { Client gone = std::move(writer); }
    EXPECT_EQ(One("SELECT COUNT(*) FROM (SELECT rn FROM z.a UNION SELECT rn2 FROM z.a UNION SELECT rn FROM z.b UNION SELECT rn2 FROM z.b) AS d WHERE rn NOT IN (SELECT n FROM z.p)"), "0");
    return One(kWrong);
  };
  EXPECT_EQ(marked(insert, {"SELECT ROW_COUNT(); COMMIT", "COMMIT"}, true), "0");
  Forget();
  EXPECT_EQ(marked(insert, {"SHOW WARNINGS; COMMIT", "COMMIT"}, true), "0");
  Forget();
  EXPECT_EQ(marked(insert, {"COMMIT /* SHOW WARNINGS */"}, false), "0");
  Forget();
  EXPECT_EQ(marked(insert, {"SET @x = 'SHOW WARNINGS', autocommit = 1", "COMMIT"}, false), "0");
  Forget();
  EXPECT_EQ(marked(insert, {"/* of the application */ SHOW WARNINGS", "COMMIT"}, false), "0");
  Forget();
  // Such a text is not marked: its row is left to verification.
  EXPECT_EQ(marked(insert + "; COMMIT", {}, false), "1");
  Forget();
  EXPECT_EQ(marked(insert + "; COMMIT", {"START TRANSACTION READ ONLY", "SELECT 1", "COMMIT"}, false), "1");
}

// Rows that wait to be mended are each transaction's own: the COMMIT of one does not wait for another's client.
TEST_P(ParentGapTest, OfTwoTransactions) {
  WalkTo("m", "verify", -1);
  Client one = Connect(), two = Connect();
  ASSERT_TRUE(one.Query("INSERT INTO p VALUES ('there', 1)").ok());
  for (Client* each : {&one, &two}) {
    ASSERT_TRUE(each->Query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").ok());
    ASSERT_TRUE(each->Query("SET SESSION innodb_lock_wait_timeout = 10").ok());
    ASSERT_TRUE(each->Query("BEGIN").ok());
    ASSERT_TRUE(each->Query("UPDATE a SET u = u WHERE id = -1").ok());
  }
  EXPECT_TRUE(Raced(one, "late1", [](Client& client) { return client.Query("INSERT INTO a (u, ro, ro2) VALUES (1001, NULL, NULL), (1002, 'late1', 'here')"); }).ok());
  EXPECT_TRUE(Raced(two, "late2", [](Client& client) { return client.Query("INSERT INTO a (u, ro, ro2) VALUES (2001, NULL, NULL), (2002, 'late2', 'there')"); }, "there").ok());
  const Reply committed = one.Query("COMMIT");
  EXPECT_TRUE(committed.ok()) << committed.message;
  EXPECT_TRUE(two.Query("COMMIT").ok());
  EXPECT_EQ(One("SELECT COUNT(*) FROM z.a JOIN z.p ON p.n = a.rn WHERE a.u IN (1002, 2002)"), "2");
  EXPECT_EQ(One(kWrong), "0");
}

// Asking for them is no other thing than asking for them as a text.
TEST_P(ParentGapTest, WhatTheStatementTellsIsAskedByPreparedOnesToo) {
  WalkTo("m", "verify", -1);
  Client writer = Connect();
  ASSERT_TRUE(writer.Query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").ok());
  ASSERT_TRUE(writer.Query("SELECT 1 FROM a LIMIT 0").ok());
  ASSERT_TRUE(writer.Query("PREPARE counted FROM 'SELECT ROW_COUNT()'").ok());
  ASSERT_TRUE(writer.Query("BEGIN").ok());
  const std::string insert = "INSERT IGNORE INTO a (u, ro) VALUES ({0}1, 'free'), ({0}2, 'here'), ({0}3, 'nobody'), (1, 'here')";
  ASSERT_EQ(writer.Query(fmt::format(fmt::runtime(insert), 31)).affected, 2u);
  EXPECT_EQ(writer.Query("EXECUTE counted").rows.at(0).at(0), "2");
  ASSERT_EQ(writer.Query(fmt::format(fmt::runtime(insert), 32)).affected, 2u);
  EXPECT_EQ(writer.Execute("SELECT ROW_COUNT()", {}).rows.at(0).at(0), "2");
  ASSERT_EQ(writer.Query(fmt::format(fmt::runtime(insert), 33)).affected, 2u);
  if (GetParam() == Engine::kMariaDb) {  // MySQL clears them at PREPARE
    EXPECT_EQ(writer.Execute("SHOW WARNINGS", {}).rows.size(), 2u);
    EXPECT_EQ(writer.Execute("SHOW WARNINGS", {}).rows.size(), 2u);
  }
  ASSERT_EQ(writer.Query(fmt::format(fmt::runtime(insert), 34)).affected, 2u);
  EXPECT_EQ(writer.Query("EXPLAIN SELECT ROW_COUNT()").rows.size(), 1u);
  EXPECT_TRUE(writer.Query("COMMIT").ok());
  EXPECT_EQ(One("SELECT COUNT(*) FROM z.a WHERE u > 310 AND rn IS NOT NULL"), "8");
  EXPECT_EQ(One(kWrong), "0");
}

// Where a parent does not come, everything is as it is directly, and rows whose reference is NULL stay so.
TEST_P(ParentGapTest, OneThatDoesNotCome) {
  for (const char* phase : {"verify", "cutover"}) {
    WalkTo("m", phase, std::string(phase) == "cutover" ? 100 : -1);
    Client writer = Connect();
    ASSERT_TRUE(writer.Query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").ok());
    ASSERT_TRUE(writer.Query("BEGIN").ok());
    EXPECT_EQ(writer.Query("INSERT INTO a (u, ro, ro2) VALUES (11, 'free', NULL), (12, 'nobody', 'here')").error, 1452u);
    EXPECT_EQ(writer.Query("SHOW WARNINGS").rows.size(), 1u);
    EXPECT_EQ(writer.Query("INSERT IGNORE INTO a (u, ro, ro2) VALUES (13, 'free', NULL), (14, NULL, 'nobody'), (15, NULL, NULL)").affected, 2u);
    EXPECT_EQ(writer.Query("SHOW WARNINGS").rows.size(), 1u);
    EXPECT_TRUE(writer.Query("COMMIT").ok());
    EXPECT_EQ(One("SELECT GROUP_CONCAT(CONCAT_WS('-', u, ro, ro2) ORDER BY u) FROM z.a WHERE u > 10"), "13-free,15");
    EXPECT_EQ(One(kWrong), "0");
    EXPECT_EQ(One("SELECT COUNT(*) FROM z.a WHERE u = 15 AND rn IS NULL AND rn2 IS NULL"), "1");
    Forget();
  }
}

// Its row cannot be mended: another transaction holds one that has such a mark too.
TEST_P(ParentGapTest, OneThatCannotBeMendedIsTakenBack) {
  WalkTo("m", "verify", -1);
  Client writer = Connect();
  ASSERT_TRUE(writer.Query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").ok());
  const std::string mark = fmt::format("4294967295 - {} % 1000000", writer.Query("SELECT CONNECTION_ID()").rows.at(0).at(0).value_or("NULL"));
  ASSERT_TRUE(writer.Query("BEGIN").ok());
  ASSERT_TRUE(writer.Query("INSERT INTO b (id) VALUES (1)").ok());
  const std::string sql = "INSERT INTO a (u, ro, ro2) VALUES (21, 'free', 'free'), (22, 'late', 'here')";
  const Reply written = Raced(writer, "late", [&](Client& client) { return client.Query(sql); });
  EXPECT_TRUE(written.ok()) << written.message;
  auto connected = Client::Connect({.port = server_->port(), .database = "z"});
  ASSERT_TRUE(connected.ok());
  Client other = *std::move(connected);
  ASSERT_TRUE(other.Query("SET SESSION foreign_key_checks = 0").ok());
  ASSERT_TRUE(other.Query("BEGIN").ok());
  ASSERT_TRUE(other.Query(fmt::format("INSERT INTO a (u, rn) VALUES (23, {})", mark)).ok());
  std::thread killed([&] {
    while (Waiting() == "0") std::this_thread::sleep_for(std::chrono::milliseconds(120));
    const std::string thread = One("SELECT trx_mysql_thread_id FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'");
    Do("KILL QUERY " + thread);
  });
  const Reply refused = writer.Query("COMMIT");
  killed.join();
  EXPECT_EQ(refused.error, 1213u);
  EXPECT_NE(refused.message.find("try restarting transaction"), std::string::npos) << refused.message;
  EXPECT_TRUE(other.Query("ROLLBACK").ok());
  EXPECT_EQ(One("SELECT (SELECT COUNT(*) FROM z.a WHERE u > 20) + (SELECT COUNT(*) FROM z.b)"), "0");
  EXPECT_TRUE(writer.Query("BEGIN").ok());
  EXPECT_TRUE(writer.Query(sql).ok());
  EXPECT_TRUE(writer.Query("COMMIT").ok());
  EXPECT_EQ(One(kWrong), "0");
}

INSTANTIATE_TEST_SUITE_P(Engines, ParentGapTest, testing::Values(Engine::kMariaDb, Engine::kMySql), EngineOf);

}  // namespace
}  // namespace crossfade::walk
