// SPDX-License-Identifier: Apache-2.0
// References whose parent is not there when they are looked up: it never comes, as a rule, and the server says so; or somebody commits it
// while the row waits for another with the same unique key, and the row then has both sides.
#include <atomic>
#include <functional>
#include <thread>

#include "tests/integration/walk/fixture.h"

namespace crossfade::walk {
namespace {

using servers::Client;
using servers::CrossfadeProcess;
using servers::Engine;
using servers::Reply;
using Ask = std::function<Reply(Client&, const std::string&)>;

constexpr char kMigration[] =
    "  - name: m\n    schema: z\n    phase: observe\n    keys:\n"
    "      - {table: p, old: o, new: {column: n, type: int unsigned}, references: [{table: r, old: ro, new: rn}, {table: a, old: ro, new: rn}, {table: b, old: ro, new: rn}, {table: b, old: ro2, new: rn2}, {table: c, old: ro, new: rn}]}\n"
    "      - {table: s, old: o, new: {column: n, type: int unsigned}, references: [{table: s, old: ro, new: rn}]}\n"
    "  - name: k\n    schema: z\n    phase: observe\n    columns:\n"
    "      - {table: c, old: [e], new: {e2: {type: varchar(10), from: \"CAST(e AS CHAR)\"}}, back: {e: e2}}\n";
constexpr char kWrong[] = "(SELECT COUNT(*) FROM z.r LEFT JOIN z.p ON p.o = r.ro WHERE NOT (r.rn <=> p.n)) + (SELECT COUNT(*) FROM z.b LEFT JOIN z.p ON p.o = b.ro WHERE NOT (b.rn <=> p.n)) + (SELECT COUNT(*) FROM z.s AS a LEFT JOIN z.s AS b ON b.o = a.ro WHERE NOT (a.rn <=> b.n))";

constexpr char kCount[] = "SELECT ROW_COUNT(), @@error_count, @@warning_count";

class ParentTest : public WalkFixture {
 protected:
  void SetUp() override {
    StartServer();
    for (const char* schema : {"z", "d"}) {
      Do(fmt::format("CREATE DATABASE {}", schema));
      Do(fmt::format("CREATE TABLE {}.p (o varchar(20) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY, v int)", schema));
      Do(fmt::format("CREATE TABLE {}.r (id int PRIMARY KEY, u int UNIQUE, ro varchar(20) CHARACTER SET ascii COLLATE ascii_bin, w int, CONSTRAINT f FOREIGN KEY (ro) REFERENCES p (o))", schema));
      Do(fmt::format("CREATE TABLE {}.s (o varchar(20) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY, u int UNIQUE, ro varchar(20) CHARACTER SET ascii COLLATE ascii_bin, CONSTRAINT g FOREIGN KEY (ro) REFERENCES s (o))", schema));
      Do(fmt::format("CREATE TABLE {}.a (id int AUTO_INCREMENT PRIMARY KEY, u int UNIQUE, ro varchar(20) CHARACTER SET ascii COLLATE ascii_bin, CONSTRAINT h FOREIGN KEY (ro) REFERENCES p (o))", schema));
      Do(fmt::format("CREATE TABLE {}.b (id int PRIMARY KEY, ro varchar(20) CHARACTER SET ascii COLLATE ascii_bin, ro2 varchar(20) CHARACTER SET ascii COLLATE ascii_bin, FOREIGN KEY (ro) REFERENCES p (o), FOREIGN KEY (ro2) REFERENCES p (o))", schema));
      Do(fmt::format("CREATE TABLE {}.c (id int PRIMARY KEY, ro varchar(20) CHARACTER SET ascii COLLATE ascii_bin, e enum('red', 'blue'), CONSTRAINT i FOREIGN KEY (ro) REFERENCES p (o))", schema));
      Do(fmt::format("INSERT INTO {}.p VALUES ('here', 1)", schema));
      Do(fmt::format("INSERT INTO {}.b VALUES (1, NULL, NULL)", schema));
      Do(fmt::format("INSERT INTO {}.s VALUES ('root', 0, NULL), ('wall', 65000, NULL)", schema));
      Do(fmt::format("INSERT INTO {}.r VALUES (1, 1, 'here', 0), (2, 2, NULL, 0)", schema));
    }
    StartProxy(kMigration, "  control_poll: 50ms\n", "z");
  }
  Client Connect(bool proxied) {
    auto client = Client::Connect({.port = proxied ? proxy_->port() : server_->port(), .database = proxied ? "z" : "d"});
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }
  // What the application sees of a reply, wherever its tables are.
  static std::string Told(const Reply& reply) {
    std::string message = reply.message;
    for (size_t at = 0; (at = message.find("`z`", at)) != std::string::npos;) message.replace(at, 3, "`d`");
    return fmt::format("{} {} affected {} insert id {} warnings {}", reply.error, message, reply.affected, reply.insert_id, reply.warnings);
  }
  static std::string Table(const Reply& reply) {
    std::string text = Told(reply);
    for (const auto& row : reply.rows)
      for (const auto& cell : row) text += "|" + cell.value_or("NULL");
    for (size_t at = 0; (at = text.find("`z`", at)) != std::string::npos;) text.replace(at, 3, "`d`");
    return text;
  }
  static Reply AsText(Client& client, const std::string& sql) { return client.Query(sql); }
  static Reply Prepared(Client& client, const std::string& sql) { return client.Execute(sql, {}); }
  static Reply Executed(Client& client, const std::string&) { return client.Query("EXECUTE counted"); }
  static Reply Counted(Client& client, const std::string&) { return client.Execute("SELECT ROW_COUNT()", {}); }
};

// No reply differs, nothing of the statement stays, and what was before it in the transaction does.
TEST_P(ParentTest, OneThatIsNotThereIsWhatTheServerSays) {
  int asked = 0;
  for (const char* phase : {"dual_write", "verify", "cutover"}) {
    WalkTo("m", phase, std::string(phase) == "cutover" ? 100 : -1);
    for (const char* level : {"READ COMMITTED", "REPEATABLE READ"}) {
      for (const bool text : {true, false}) {
        const Ask ask = text ? &AsText : &Prepared;
        for (const bool open : {false, true}) {
          Client own = Connect(false), proxied = Connect(true), old_side = Connect(false);
          ASSERT_TRUE(old_side.Query("USE z").ok());
          for (Client* client : {&own, &proxied}) ASSERT_EQ(client->Query("PREPARE counted FROM 'SELECT ROW_COUNT()'").message, "");
          for (const char* sql : {
                   "INSERT INTO r VALUES (10, 10, 'gone', 0)",
                   "INSERT INTO r (id, u, ro) VALUES (10, 10, 'here'), (11, 11, 'gone')",
                   "INSERT INTO r (id, u, ro) VALUES (10, 1, 'gone')",  // and a duplicate key
                   "INSERT INTO r (id, u, ro) VALUES (10, 10, 'here'), (10, 11, 'gone')",
                   "INSERT INTO r SET id = 12, u = 12, ro = CONCAT('go', 'ne')",
                   "INSERT IGNORE INTO r (id, u, ro) VALUES (13, 13, 'gone'), (14, 14, 'here'), (15, 15, NULL)",
                   "DELETE FROM r WHERE id > 9",
                   "INSERT INTO r (id, u, ro) VALUES (1, 1, 'gone') ON DUPLICATE KEY UPDATE w = w + 1",
                   "INSERT INTO r (id, u, ro) VALUES (1, 1, 'gone') ON DUPLICATE KEY UPDATE ro = VALUES(ro)",
                   "INSERT INTO r (id, u, ro) VALUES (20, 20, 'gone') ON DUPLICATE KEY UPDATE w = 9",
                   "REPLACE INTO r VALUES (2, 2, 'gone', 5)",
                   "INSERT INTO r (id, u, ro) SELECT 30, 30, 'gone'",
                   "UPDATE r SET ro = 'gone' WHERE id = 1",
                   "UPDATE IGNORE r SET ro = 'gone', w = w + 1 WHERE id = 1",
                   "UPDATE r SET ro = CONCAT('go', 'ne'), w = 7 ORDER BY id",
                   "UPDATE r JOIN d.p AS other ON other.o = 'here' SET r.ro = 'gone' WHERE r.id = 1",
                   "INSERT INTO s VALUES ('x', 1, 'gone')",
                   "INSERT INTO s VALUES ('y', 2, 'y')",
                   "INSERT INTO s VALUES ('x', 0, 'gone')",
                   "DELETE FROM s WHERE o = 'y'",
                   // The numbers that are given out stay the same.
                   "INSERT INTO a (u, ro) VALUES (1, 'gone')",
                   "INSERT INTO a (u, ro) VALUES (2, 'here'), (3, 'gone'), (4, 'here')",
                   "INSERT INTO a (u, ro) VALUES (5, 'gone'), (6, 'here')",
                   "INSERT IGNORE INTO a (u, ro) VALUES (7, 'gone'), (8, 'here')",
                   "INSERT INTO a (u, ro) VALUES (8, 'gone') ON DUPLICATE KEY UPDATE ro = NULL",
                   "REPLACE INTO a (u, ro) VALUES (8, 'gone')",
                   "INSERT INTO a (u, ro) SELECT 9, 'gone'",
                   "INSERT INTO a (u, ro) VALUES (10, 'here')",
                   "DELETE FROM a",
               }) {
            SCOPED_TRACE(fmt::format("{}, {}, {}, {}: {}", phase, level, open ? "in a transaction" : "alone", text ? "text" : "prepared", sql));
            for (Client* client : {&own, &proxied}) {
              ASSERT_TRUE(client->Query(fmt::format("SET SESSION TRANSACTION ISOLATION LEVEL {}", level)).ok());
              if (open) { ASSERT_TRUE(client->Query("BEGIN").ok()); }
              if (open) { ASSERT_TRUE(client->Query("UPDATE r SET w = w + 100 WHERE id = 2").ok()); }
            }
            const Reply direct = ask(own, sql), through = ask(proxied, sql);
            EXPECT_EQ(Told(direct), Told(through));
            const bool counts = !text && std::string(level) == "READ COMMITTED";
            const Ask count = asked % 3 == 0 ? &AsText : asked % 3 == 1 ? &Executed : &Counted;
            if (counts) { EXPECT_EQ(Table(count(own, kCount)), Table(count(proxied, kCount))) << asked % 3; }
            ++asked;
            if (!counts && (direct.error != 0 || direct.warnings != 0)) { EXPECT_EQ(Table(own.Query("SHOW WARNINGS")), Table(proxied.Query("SHOW WARNINGS"))); }
            const char* state = "SELECT @@autocommit, (SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = CONNECTION_ID() AND trx_rows_modified > 0)";
            EXPECT_EQ(Table(own.Query(state)), Table(proxied.Query(state)));
            if (open) { EXPECT_TRUE(own.Query("COMMIT").ok() && proxied.Query("COMMIT").ok()); }
            for (const char* rows : {"SELECT id, u, ro, w FROM r ORDER BY id", "SELECT o, u, ro FROM s ORDER BY o", "SELECT id, u, ro FROM a ORDER BY id"}) EXPECT_EQ(Table(own.Query(rows)), Table(old_side.Query(rows)));
          }
        }
      }
    }
    EXPECT_EQ(One(fmt::format("SELECT {}", kWrong)), "0");
  }
}

// MariaDB looks at the foreign key behind a wait for another row with the same key. MySQL 9.7 does so before that (and the row is refused), but behind all lookups.
TEST_P(ParentTest, OneThatIsCommittedWhileTheRowWaitsIsReferredToByBothSides) {
  int number = 0;
  for (const char* phase : {"dual_write", "verify", "cutover"}) {
    WalkTo("m", phase, std::string(phase) == "cutover" ? 100 : -1);
    for (const Ask& ask : {Ask(&AsText), Ask(&Prepared)}) {
      for (const bool open : {false, true}) {
        struct Case { const char *hold, *sql, *parent; };
        for (const Case& each : {
                 Case{"INSERT INTO z.r (id, u) VALUES (5, 50)", "INSERT INTO r (id, u, ro) VALUES (5, 51, 'late')", "INSERT INTO p VALUES ('late', 1)"},
                 Case{"INSERT INTO z.r (id, u) VALUES (4, 51)", "INSERT INTO r (id, u, ro) VALUES (6, 60, 'here'), (5, 51, 'late')", "INSERT INTO p VALUES ('late', 1)"},
                 Case{"INSERT INTO z.r (id, u) VALUES (4, 51)", "INSERT INTO r (id, u, ro) SELECT 5, 51, 'late'", "INSERT INTO p VALUES ('late', 1)"},
                 Case{"INSERT INTO z.r (id, u) VALUES (5, 50)", "INSERT INTO r (id, u, ro) VALUES (5, 51, 'late') ON DUPLICATE KEY UPDATE ro = 'late'", "INSERT INTO p VALUES ('late', 1)"},
                 Case{"INSERT INTO z.r (id, u) VALUES (5, 50)", "INSERT IGNORE INTO r (id, u, ro) VALUES (5, 51, 'late')", "INSERT INTO p VALUES ('late', 1)"},
                 Case{"INSERT INTO z.r (id, u) VALUES (5, 50)", "REPLACE INTO r (id, u, ro) VALUES (5, 51, 'late')", "INSERT INTO p VALUES ('late', 1)"},
                 Case{"INSERT INTO z.r (id, u) VALUES (5, 50)", "UPDATE r SET u = 50, ro = 'late' WHERE id = 2", "INSERT INTO p VALUES ('late', 1)"},
                 Case{"SELECT v FROM z.p WHERE o = 'here' FOR UPDATE", "INSERT INTO b (id, ro, ro2) VALUES (5{0}, 'late', 'here')", "INSERT INTO p VALUES ('late', 1)"},
                 Case{"SELECT v FROM z.p WHERE o = 'here' FOR UPDATE", "UPDATE b SET ro = 'late', ro2 = 'here' WHERE id = 1", "INSERT INTO p VALUES ('late', 1)"},
                 Case{"INSERT INTO z.s (o, u, n) VALUES ('other', 69{0}, 7100{0})", "UPDATE s SET u = 69{0}, ro = 'late' WHERE o = 'wall'", "INSERT INTO s (o, u) VALUES ('late', 6{0})"},
                 Case{"INSERT INTO z.s (o, u, n) VALUES ('other', 70{0}, 7000{0})", "INSERT INTO s (o, u, ro) VALUES ('child{0}', 70{0}, 'late')", "INSERT INTO s (o, u) VALUES ('late', 6{0})"},
             }) {
          // A name of its own each time: rows that were deleted a moment ago may still be locked.
          const std::string late = fmt::format("late{}", ++number);
          const auto with = [&](std::string text) {
            for (size_t at = 0; (at = text.find("late", at)) != std::string::npos; at += late.size()) text.replace(at, 4, late);
            for (size_t at = 0; (at = text.find("{0}", at)) != std::string::npos;) text.replace(at, 3, fmt::format("{:03}", number));
            return text;
          };
          const std::string sql = with(each.sql);
          SCOPED_TRACE(fmt::format("{}, {}: {}", phase, open ? "in a transaction" : "alone", sql));
          Client holder = Connect(false), writer = Connect(true), parent = Connect(true);
          ASSERT_TRUE(holder.Query("BEGIN").ok());
          ASSERT_TRUE(holder.Query(with(each.hold)).ok());
          ASSERT_TRUE(writer.Query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").ok());
          if (open) { ASSERT_TRUE(writer.Query("BEGIN").ok()); }
          if (open) { ASSERT_TRUE(writer.Query("UPDATE r SET w = w + 1 WHERE id = 1").ok()); }
          Reply written;
          std::atomic<bool> ended = false;
          std::thread waiting([&] {
            written = ask(writer, sql);
            ended = true;
          });
          while (!ended && One("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'") == "0") std::this_thread::sleep_for(std::chrono::milliseconds(120));
          if (GetParam() == Engine::kMariaDb) { EXPECT_FALSE(ended) << written.message; }
          const Reply came = parent.Query(with(each.parent));
          EXPECT_TRUE(came.ok()) << came.message;
          EXPECT_TRUE(holder.Query("ROLLBACK").ok());
          waiting.join();
          EXPECT_TRUE(written.ok() || (GetParam() == Engine::kMySql && written.error == 1452)) << written.message;
          if (open) { EXPECT_TRUE(writer.Query("COMMIT").ok()); }
          EXPECT_EQ(One(fmt::format("SELECT {}", kWrong)), "0");
          if (GetParam() == Engine::kMariaDb) { EXPECT_EQ(One(with("SELECT (SELECT COUNT(*) FROM z.r WHERE ro = 'late') + (SELECT COUNT(*) FROM z.s WHERE ro = 'late') + (SELECT COUNT(*) FROM z.b WHERE ro = 'late')")), "1"); }
          Do("UPDATE z.r SET ro = NULL, rn = NULL, u = 2 WHERE id = 2");
          Do("DELETE FROM z.r WHERE id > 3");
          Do("UPDATE z.b SET ro = NULL, rn = NULL, ro2 = NULL, rn2 = NULL WHERE id = 1");
          Do("UPDATE z.s SET ro = NULL, rn = NULL, u = 65000 WHERE o = 'wall'");
        }
      }
    }
  }
}

// Both are looked for in the reply. Behind it nothing is: of a command that has no reply it would be waited for.
TEST_P(ParentTest, OneThatIsNotThereBesideAColumnThatHasToComeBack) {
  for (const char* phase : {"dual_write", "verify", "cutover"}) {
    for (const char* migration : {"m", "k"}) WalkTo(migration, phase, std::string(phase) == "cutover" ? 100 : -1);
    for (const Ask& ask : {Ask(&AsText), Ask(&Prepared)}) {
      Client own = Connect(false), proxied = Connect(true);
      std::unique_ptr<servers::Statement> other;
      ASSERT_TRUE(proxied.Prepare("SELECT id FROM r WHERE id = ?", &other).ok());
      for (const char* sql : {"INSERT INTO c VALUES (1, 'gone', 'red')", "REPLACE INTO c (e, ro, id) VALUES ('blue', 'here', 2), ('blue', 'gone', 3)"})
        EXPECT_EQ(Told(ask(own, sql)), Told(ask(proxied, sql))) << sql;
      other.reset();
      EXPECT_EQ(proxied.Query("SELECT 7").rows.size(), 1u);
    }
  }
}

// In `retire` an old key there would have to be looked up in the table that is written, which MySQL does not do (1093).
TEST_P(ParentTest, AnOldKeyThatOnDuplicateKeyGivesToATableItself) {
  proxy_.reset();
  auto proxy = CrossfadeProcess::Start({.backend = server_->address(), .migrations = "  - name: tree\n    schema: z\n    phase: observe\n    keys:\n"
      "      - {table: s, old: o, new: {column: n, type: int unsigned}, keep_old_lookup: true, references: [{table: s, old: ro, new: rn}]}\n", .limits = "  control_poll: 50ms\n"});
  ASSERT_TRUE(proxy.ok()) << proxy.status();
  proxy_ = *std::move(proxy);
  WalkTo("tree", "cutover", 100);
  WalkTo("tree", "retire");
  Client proxied = Connect(true);
  for (const char* value : {"'root'", "CONCAT('ro', 'ot')"}) {
    const Reply reply = proxied.Query(fmt::format("INSERT INTO s (o, u) VALUES ('wall', 7) ON DUPLICATE KEY UPDATE ro = {}", value));
    EXPECT_EQ(reply.error, GetParam() == Engine::kMySql ? 1235u : 0u) << reply.message;
  }
  EXPECT_EQ(proxied.Query(fmt::format("INSERT INTO s (o, u) VALUES ('wall', 7) ON DUPLICATE KEY UPDATE ro = {}", One("SELECT n FROM z.s WHERE o = 'root'"))).error, 0u);
  EXPECT_EQ(One("SELECT COUNT(*) FROM z.s AS a JOIN z.s AS b ON b.n = a.rn WHERE a.o = 'wall' AND b.o = 'root'"), "1");
}

// In `retire` an old key may be that of the row itself, or of one before it in the statement, which no lookup finds yet.
TEST_P(ParentTest, OldKeysOfTheStatementItselfInRetire) {
  const bool maria = GetParam() == Engine::kMariaDb;
  for (const char* schema : {"z", "d"}) {
    Do(fmt::format("CREATE TABLE {}.t (o int PRIMARY KEY, u int UNIQUE, ro int, FOREIGN KEY (ro) REFERENCES t (o))", schema));
    Do(fmt::format("CREATE TABLE {}.x (o varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, u int UNIQUE, ro varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, FOREIGN KEY (ro) REFERENCES x (o))", schema));
    Do(fmt::format("CREATE TABLE {}.w (o binary(4) PRIMARY KEY, u int UNIQUE, ro binary(4), FOREIGN KEY (ro) REFERENCES w (o))", schema));
  }
  proxy_.reset();
  auto proxy = CrossfadeProcess::Start({.backend = server_->address(), .migrations = "  - name: tree\n    schema: z\n    phase: observe\n    keys:\n"
      "      - {table: s, old: o, new: {column: n, type: int unsigned}, keep_old_lookup: true, references: [{table: s, old: ro, new: rn}]}\n"
      "      - {table: t, old: o, new: {column: n, type: char(36)}, keep_old_lookup: true, references: [{table: t, old: ro, new: rn}]}\n"
      "      - {table: x, old: o, new: {column: n, type: bigint}, keep_old_lookup: true, references: [{table: x, old: ro, new: rn}]}\n"
      "      - {table: w, old: o, new: {column: n, type: int unsigned}, keep_old_lookup: true, references: [{table: w, old: ro, new: rn}]}\n", .limits = "  control_poll: 50ms\n"});
  ASSERT_TRUE(proxy.ok()) << proxy.status();
  proxy_ = *std::move(proxy);
  WalkTo("tree", "cutover", 100);
  WalkTo("tree", "retire");
  Do("SET group_concat_max_len = 100000");
  Client own = Connect(false), proxied = Connect(true);
  const auto told = [](const Reply& reply) { return fmt::format("{} affected {} insert id {} warnings {} {}", reply.error, reply.affected, reply.insert_id, reply.warnings, reply.info); };
  const auto stored = [&](const std::string& table, bool new_side) {
    const std::string on = new_side ? "b.n = a.rn" : "b.o = a.ro";
    return One(fmt::format("SELECT GROUP_CONCAT(CONCAT_WS(' ', HEX(a.o), a.u, HEX(b.o)) ORDER BY a.u) FROM {0}.{1} AS a LEFT JOIN {0}.{1} AS b ON {2}", new_side ? "z" : "d", table, on));
  };
  const auto both = [&](const Ask& ask, const std::string& table, const std::string& sql) {
    const Reply direct = ask(own, sql), through = ask(proxied, sql);
    EXPECT_EQ(told(direct), told(through)) << sql << "\n" << through.message;
    EXPECT_EQ(stored(table, false), stored(table, true)) << sql;
  };
  size_t round = 0;
  for (const Ask& ask : {Ask(&AsText), Ask(&Prepared)}) {
    ++round;
    for (const char* table : {"s", "t"}) {
      const bool made = std::string(table) == "t";  // the new keys are UUID()
      const auto say = [&](std::string sql) {
        for (size_t at = 0; (at = sql.find('#', at)) != std::string::npos;) sql.replace(at, 1, std::to_string(round));  // another number in each round
        for (size_t at = 0; (at = sql.find("'$", at)) != std::string::npos;) sql.replace(at, 4, made ? fmt::format("{}{}", round, static_cast<int>(sql[at + 2])) : fmt::format("'{}{}'", sql[at + 2], round));
        for (size_t at = 0; made && (at = sql.find("'nobody'", at)) != std::string::npos;) sql.replace(at, 8, "77");
        both(ask, table, fmt::format(fmt::runtime(sql), table));
      };
      say("INSERT INTO {} (o, u, ro) VALUES ('$a', #01, '$a')");
      say("INSERT INTO {} (ro, u, o) VALUES ('$b', #02, '$b')");
      say("INSERT INTO {} SET ro = '$c', u = #03, o = '$c'");
      say("INSERT INTO {} VALUES ('$d', #04, '$d')");
      say("INSERT INTO {} (o, u, ro) VALUES ('$e', #05, 'nobody')");
      if (!made) say("INSERT INTO {} (o, u, ro) VALUES (CONCAT('f', '#'), #06, '$f')");
      if (!made) say("INSERT INTO {} (u, ro, o) VALUES (#07, CONCAT('g', '#'), '$g')");
      say("INSERT INTO {} (o, u, ro) VALUES ('$h', #08, '$a'), ('$i', #09, NULL)");
      say("INSERT IGNORE INTO {} (ro, o, u) VALUES ('$j', '$j', #10)");
      say("INSERT IGNORE INTO {} (ro, o, u) VALUES ('nobody', '$k', #11)");
      say("INSERT IGNORE INTO {} (o, u, ro) VALUES ('$a', #12, '$a')");
      say("REPLACE INTO {} (ro, o, u) VALUES ('$l', '$l', #13)");
      say("REPLACE INTO {} (ro, o, u) VALUES ('$b', '$m', #14)");
      if (!made) say("INSERT INTO {} (ro, u, o) VALUES ('$n', #15, '$n') ON DUPLICATE KEY UPDATE u = VALUES(u) + 1");
      if (made && !maria) {
        EXPECT_EQ(proxied.Query("INSERT INTO t (o, u, ro) VALUES (1991, 991, NULL), (1992, 992, 1991)").error, 1235u);
        continue;
      }
      say("INSERT INTO {} (o, u, ro) VALUES ('$o', #16, NULL), ('$p', #17, '$o'), ('$q', #18, '$p'), ('$r', #19, '$r')");
      say("INSERT INTO {} (ro, o, u) VALUES ('$t', '$s', #20), (NULL, '$t', #21)");
      say("INSERT IGNORE INTO {} (ro, o, u) VALUES (NULL, '$u', #22), ('nobody', '$v', #23), ('$u', '$w', #24), ('$v', '$x', #25)");
      say("REPLACE INTO {} (ro, o, u) VALUES (NULL, '$y', #26), ('$y', '$z', #27)");
    }
    // What is stored may be longer than what was given.
    for (const char* sql : {"INSERT INTO w (ro, o, u) VALUES (x'61', x'6100', {}1)", "INSERT INTO w (o, u, ro) VALUES (x'62', {}2, x'6200')", "INSERT IGNORE INTO w (ro, o, u) VALUES (x'6300', x'63', {}3)"}) {
      std::string text = fmt::format(fmt::runtime(sql), round);
      for (size_t at = 0; round == 2 && (at = text.find("x'6", at)) != std::string::npos;) text.replace(at, 3, "x'7");
      both(ask, "w", text);
    }
  }
  // Letters of another case are the same key.
  both(&AsText, "x", "INSERT INTO x (ro, o, u) VALUES ('SELF', 'self', 501)");
  both(&AsText, "x", "INSERT INTO x (u, o, ro) VALUES (502, 'Other', 'OTHER'), (503, 'third', 'other')");
  // It is computed behind the reference: without IGNORE the foreign key says no, with it nobody would.
  EXPECT_EQ(proxied.Query("INSERT INTO s (ro, u, o) VALUES ('xy', 601, CONCAT('x', 'y'))").error, 1452u);
  EXPECT_EQ(proxied.Query("INSERT IGNORE INTO s (ro, u, o) VALUES ('xy', 601, CONCAT('x', 'y'))").error, 1235u);
}

// A statement whose reply is looked at first ends with its server, and its session with it: it holds no phase back.
TEST_P(ParentTest, TheServerDiesWhileTheRowWaits) {
  WalkTo("m", "backfill");
  {
    Client holder = Connect(false), writer = Connect(true);
    ASSERT_TRUE(holder.Query("BEGIN").ok());
    ASSERT_TRUE(holder.Query("INSERT INTO z.r (id, u) VALUES (5, 50)").ok());
    Reply written;
    std::thread waiting([&] { written = writer.Query("INSERT INTO r (id, u, ro) VALUES (5, 51, 'here')"); });
    while (One("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'") == "0") std::this_thread::sleep_for(std::chrono::milliseconds(120));
    server_->Kill();
    waiting.join();
    EXPECT_TRUE(written.lost()) << written.error << " " << written.message;
  }
  ASSERT_TRUE(server_->StartAgain().ok()) << server_->log();
  WalkTo("m", "cutover", 100);
}

INSTANTIATE_TEST_SUITE_P(Engines, ParentTest, testing::Values(Engine::kMariaDb, Engine::kMySql), EngineOf);

}  // namespace
}  // namespace crossfade::walk
