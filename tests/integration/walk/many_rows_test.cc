// SPDX-License-Identifier: Apache-2.0
// INSERTs of many rows, whose references are looked up by one query before them (proxy/session_ahead.cc), beside the same ones on the same tables
// directly.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "absl/strings/str_replace.h"
#include "fmt/format.h"
#include "tests/integration/walk/fixture.h"

namespace crossfade::walk {
namespace {

using servers::Client;
using servers::Engine;
using servers::Parameter;
using servers::Reply;
using servers::Statement;

constexpr char kMigration[] =
    "  - name: m\n    schema: z\n    phase: observe\n    keys:\n"
    "      - {{table: p, old: o, new: {{column: n, type: int unsigned}}, keep_old_lookup: true, references: [{{table: r, old: ro, new: rn}}, {{table: r, old: ro2, new: rn2}}]}}\n"
    "      - {{table: q, old: i, new: {{column: j, type: {}}}, keep_old_lookup: true, references: [{{table: r, old: ri, new: rj}}]}}\n";
constexpr char kWrong[] =
    "SELECT (SELECT COUNT(*) FROM z.r LEFT JOIN z.p ON p.o = r.ro WHERE NOT (r.rn <=> p.n)) + (SELECT COUNT(*) FROM z.r LEFT JOIN z.p ON p.o = r.ro2 WHERE NOT (r.rn2 <=> p.n))"
    " + (SELECT COUNT(*) FROM z.r LEFT JOIN z.q ON q.i = r.ri WHERE NOT (r.rj <=> q.j))";
constexpr int kRows = 40, kParents = 25;

struct Row { std::string ro, ro2, ri; };  // as literals

class ManyRowsTest : public WalkFixture {
 protected:
  void Begin(const std::string& new_type, const std::string& limits = "  control_poll: 50ms\n") {
    StartServer();
    for (const char* schema : {"y", "z"}) {
      Do(fmt::format("CREATE DATABASE {}", schema));
      Do(fmt::format("USE {}", schema));
      Do("CREATE TABLE p (o varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, v int)");
      Do("CREATE TABLE q (i int PRIMARY KEY, v int)");
      Do("CREATE TABLE r (id int AUTO_INCREMENT PRIMARY KEY, u tinyint unsigned UNIQUE, ro varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, ro2 varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci,"
         " ri int, FOREIGN KEY (ro) REFERENCES p (o), FOREIGN KEY (ro2) REFERENCES p (o), FOREIGN KEY (ri) REFERENCES q (i))");
      for (int i = 0; i < kParents; ++i) Do(fmt::format("INSERT INTO p VALUES ('p{0}', {0})", i)), Do(fmt::format("INSERT INTO q VALUES ({0}, {0})", i));
      Do("INSERT INTO p VALUES ('it''s', 1), ('a\\\\b', 1), ('größe', 1), ('Upper', 1)");
    }
    Do("SET GLOBAL log_output = 'TABLE'");
    Do("SET GLOBAL general_log = 1");
    StartProxy(fmt::format(kMigration, new_type), limits, "z");
    directly_ = Connect(server_->port(), "y");
    through_ = Connect(proxy_->port(), "z");
  }
  static std::unique_ptr<Client> Connect(int port, const std::string& database) {
    auto client = Client::Connect({.port = port, .database = database});
    EXPECT_TRUE(client.ok()) << client.status();
    return std::make_unique<Client>(*std::move(client));
  }
  static std::vector<Row> Plain() {
    std::vector<Row> rows;
    for (int i = 0; i < kRows; ++i) rows.push_back({fmt::format("'p{}'", i % kParents), i % 7 == 3 ? "NULL" : fmt::format("'p{}'", i * 11 % kParents), fmt::format("{}", i * 7 % kParents)});
    return rows;
  }
  static std::string Values(const std::vector<Row>& rows) {
    std::string text;
    for (size_t i = 0; i < rows.size(); ++i) text += fmt::format("{}({}, {}, {}, {})", i == 0 ? "" : ", ", i, rows[i].ro, rows[i].ro2, rows[i].ri);
    return text;
  }
  static std::string Insert(const std::vector<Row>& rows) { return "INSERT INTO r (u, ro, ro2, ri) VALUES " + Values(rows); }

  // Queries that look references up.
  uint64_t Asked() { return std::stoull(One("SELECT COUNT(*) FROM mysql.general_log WHERE argument LIKE 'SELECT CAST(HEX(CONVERT(cf.%'")); }

  // By `run`, which is given either client: the replies are equal, and so are the rows; none has drifted.
  template <typename Run>
  Reply Same(const std::string& what, const Run& run) {
    SCOPED_TRACE(what.substr(0, 300));
    const Reply expected = run(*directly_), got = run(*through_);
    EXPECT_EQ(got.error, expected.error) << got.message;
    // Which row it is counts the rows of lookups too; 1452 names the schema, and from `retire` on the new foreign key.
    const auto of = [](const Reply& reply) { return reply.error == 1452 ? "" : reply.message.substr(0, reply.message.find(" at row ")); };
    EXPECT_EQ(of(got), of(expected));
    EXPECT_EQ(got.affected, expected.affected);
    EXPECT_EQ(got.insert_id, expected.insert_id);
    EXPECT_EQ(got.info, expected.info);
    EXPECT_EQ(got.warnings, expected.warnings);
    EXPECT_EQ(got.status, expected.status);
    const auto rows = [&](const char* schema) { return One(fmt::format("SELECT CONCAT(COUNT(*), ' ', COALESCE(SUM(CRC32(CONCAT_WS(',', id, u, ro, COALESCE(ro2, '-'), ri))), 0)) FROM {}.r", schema)); };
    if (!retired_) { EXPECT_EQ(rows("z"), rows("y")); }
    EXPECT_EQ(One(wrong_), "0");
    return got;
  }
  void Forget() {
    for (const char* schema : {"y", "z"}) {
      Do(fmt::format("DELETE FROM {}.r", schema));
      Reply altered;
      for (int i = 0; i < 50 && (i == 0 || altered.error == 1213); ++i) altered = direct_->Query(fmt::format("ALTER TABLE {}.r AUTO_INCREMENT = 1", schema));  // the backfill may be at it
      EXPECT_TRUE(altered.ok()) << altered.message;
    }
  }

  // Everything, in the phase that it is.
  void AllForms(bool numbered) {
    const std::vector<Row> plain = Plain();
    Same("for the session's settings to be known", [&](Client& client) { return client.Query(Insert(plain)); });
    Forget();
    for (const bool transaction : {false, true}) {
      const uint64_t before = Asked();
      const Reply reply = Same(Insert(plain), [&](Client& client) {
        if (transaction) { EXPECT_TRUE(client.Query("BEGIN").ok()); }
        Reply inserted = client.Query(Insert(plain));
        if (transaction) { EXPECT_TRUE(client.Query("COMMIT").ok()); }
        return inserted;
      });
      EXPECT_TRUE(reply.ok()) << reply.message;
      EXPECT_EQ(reply.affected, static_cast<uint64_t>(kRows));
      EXPECT_EQ(Asked() - before, 2u);  // one for each parent
      Same("again, by unique keys", [&](Client& client) { return client.Query(Insert(plain) + " ON DUPLICATE KEY UPDATE ro = 'p1', ro2 = VALUES(ro2)"); });
      Same("REPLACE", [&](Client& client) { return client.Query("REPLACE INTO r (u, ro, ro2, ri) VALUES " + Values(plain)); });
      Forget();
    }
    Same("without a list", [&](Client& client) {
      std::string text;
      for (size_t i = 0; i < plain.size(); ++i) text += fmt::format("{}(NULL, {}, {}, {}, {})", i == 0 ? "" : ", ", i, plain[i].ro, plain[i].ro2, plain[i].ri);
      return client.Query("INSERT INTO r VALUES " + text);
    });
    Forget();
    // What is not plain is looked up by itself.
    std::vector<Row> odd = plain;
    odd[3].ro = "'it''s'", odd[4].ro = "'a\\\\b'", odd[5].ro = "\"p5\"", odd[6].ro = "'größe'", odd[7].ro = "0x7036", odd[8].ro = "_utf8mb4'p8'", odd[9].ro = "('p9')";
    odd[10].ro = "'P10'", odd[11].ro = "'upper'", odd[12].ro = "CONCAT('p', 1)", odd[13].ro = "DEFAULT", odd[14].ro = "'p14 '", odd[15].ro = "'p' '15'";
    odd[3].ri = "03", odd[4].ri = "'4'", odd[5].ri = "5.0", odd[6].ri = "1 + 5", odd[7].ri = "+7";
    if (numbered) odd[6].ri = odd[12].ro = odd[13].ro = "NULL";  // of an unknown key, refused in `retire`
    if (numbered) odd[4].ri = odd[5].ri = odd[7].ri = "1", odd[7].ro = odd[5].ro;
    const Reply mixed = Same(Insert(odd), [&](Client& client) { return client.Query(Insert(odd)); });
    EXPECT_TRUE(mixed.ok()) << mixed.message;
    Forget();
    // Rows that are wrong.
    for (const auto& [at, row] : {std::pair<int, Row>{36, {"'nobody'", "'p1'", "1"}}, {0, {"'nobody'", "'p1'", "1"}}, {20, {"'p1'", "'nobody'", "1"}}, {21, {"'p1'", "'p2'", "9999"}}}) {
      std::vector<Row> wrong = plain;
      wrong[at] = row;
      for (const bool transaction : {false, true}) {
        const Reply reply = Same(Insert(wrong), [&](Client& client) {
          if (transaction) { EXPECT_TRUE(client.Query("BEGIN").ok()); }
          Reply inserted = client.Query(Insert(wrong));
          EXPECT_EQ(client.Query("SHOW WARNINGS").rows.size(), 1u);
          if (transaction) { EXPECT_TRUE(client.Query("COMMIT").ok()); }
          return inserted;
        });
        EXPECT_EQ(reply.error, 1452u) << reply.message;
        Forget();
      }
    }
    Same("the column count", [&](Client& client) { return client.Query(Insert(plain) + ", (99)"); });
    Same("out of range", [&](Client& client) { return client.Query(absl::StrReplaceAll(Insert(plain), {{"(20, ", "(256, "}})); });
    Same("a duplicate", [&](Client& client) { return client.Query(Insert(plain) + ", (3, 'p1', NULL, 2)"); });
    Forget();
    // Prepared.
    std::string marks;
    for (int i = 0; i < kRows; ++i) marks += i == 0 ? "(?, ?, ?, ?)" : ", (?, ?, ?, ?)";
    const auto parameters = [&](const std::vector<Row>& rows) {
      std::vector<Parameter> list;
      for (int i = 0; i < kRows; ++i) {
        list.emplace_back(int64_t{i});
        for (const std::string& text : {rows[i].ro, rows[i].ro2}) {
          if (text == "NULL") list.emplace_back(nullptr);
          else list.emplace_back(text.substr(1, text.size() - 2));
        }
        list.emplace_back(int64_t{std::stoi(rows[i].ri)});
      }
      return list;
    };
    const uint64_t before = Asked();
    const Reply executed = Same("prepared", [&](Client& client) { return client.Execute("INSERT INTO r (u, ro, ro2, ri) VALUES " + marks, parameters(plain)); });
    EXPECT_TRUE(executed.ok()) << executed.message;
    EXPECT_EQ(Asked() - before, retired_ ? 0u : 2u);
    Forget();
    std::vector<Row> wrong = plain;
    wrong[30].ro = "'größe'", wrong[31].ro2 = "'nobody'";
    Same("prepared, wrong", [&](Client& client) { return client.Execute("INSERT INTO r (u, ro, ro2, ri) VALUES " + marks, parameters(wrong)); });
    wrong[31].ro2 = "'it's'";
    const Reply letters = Same("prepared, letters", [&](Client& client) { return client.Execute("INSERT INTO r (u, ro, ro2, ri) VALUES " + marks, parameters(wrong)); });
    EXPECT_TRUE(letters.ok()) << letters.message;
    Forget();
  }

  std::unique_ptr<Client> directly_, through_;
  std::string wrong_ = kWrong;
  bool retired_ = false;
};

TEST_P(ManyRowsTest, AreLookedUpAtOnceInEachPhase) {
  const bool maria = GetParam() == Engine::kMariaDb;
  Begin(maria ? "uuid" : "char(36)");
  for (const char* phase : {"dual_write", "backfill", "verify", "cutover"}) {
    SCOPED_TRACE(phase);
    WalkTo("m", phase, std::string(phase) == "cutover" ? 100 : -1);
    AllForms(false);
  }
}

TEST_P(ManyRowsTest, OfABinaryKeyToo) {
  Begin("binary(16)");
  WalkTo("m", "verify");
  AllForms(false);
}

TEST_P(ManyRowsTest, UnderOtherCharacterSets) {
  Begin(GetParam() == Engine::kMariaDb ? "uuid" : "char(36)");
  WalkTo("m", "verify");
  for (const char* names : {"binary", "latin1", "gbk"}) {
    SCOPED_TRACE(names);
    for (Client* client : {directly_.get(), through_.get()}) EXPECT_TRUE(client->Query(fmt::format("SET NAMES {}", names)).ok());
    Same("for the session's settings to be known", [&](Client& client) { return client.Query(Insert(Plain())); });
    Forget();
    const uint64_t before = Asked();
    const Reply reply = Same(names, [&](Client& client) { return client.Query(Insert(Plain())); });
    EXPECT_TRUE(reply.ok()) << reply.message;
    EXPECT_EQ(Asked() - before, 2u);
    Forget();
  }
}

// Blanks that a column has no room for are cut off with a note, in any mode: what is stored is another key than what the text says.
TEST_P(ManyRowsTest, IntoAColumnThatIsShorterThanTheKey) {
  Begin("char(36)");
  const std::string type = fmt::format("CHARACTER SET utf8mb4 COLLATE {}", GetParam() == Engine::kMariaDb ? "utf8mb4_nopad_bin" : "utf8mb4_0900_bin");
  for (const char* schema : {"y", "z"}) {
    Do(fmt::format("USE {}", schema));
    Do("DROP TABLE r");
    Do("DELETE FROM p");
    Do(fmt::format("ALTER TABLE p MODIFY o varchar(20) {}", type));
    Do(fmt::format("CREATE TABLE r (id int AUTO_INCREMENT PRIMARY KEY, u tinyint unsigned UNIQUE, ro varchar(5) {0}, ro2 varchar(20) {0}, ri int, FOREIGN KEY (ro) REFERENCES p (o), FOREIGN KEY (ro2) REFERENCES p (o),"
                   " FOREIGN KEY (ri) REFERENCES q (i))", type));
    Do("INSERT INTO p VALUES ('abcde', 1), ('abcde   ', 2)");
  }
  WalkTo("m", "verify");
  std::vector<Row> rows;
  for (int i = 0; i < kRows; ++i) rows.push_back({i % 2 == 0 ? "'abcde   '" : "'abcde'", i % 3 == 0 ? "'abcde   '" : "'abcde'", "3"});
  Same("for the session's settings to be known", [&](Client& client) { return client.Query(Insert(rows)); });
  Forget();
  const uint64_t before = Asked();
  EXPECT_TRUE(Same("blanks", [&](Client& client) { return client.Query(Insert(rows)); }).ok());
  EXPECT_GT(Asked(), before);  // for the others
  EXPECT_EQ(One("SELECT COUNT(DISTINCT ro) FROM z.r"), "1");
  EXPECT_EQ(One("SELECT COUNT(DISTINCT ro2) FROM z.r"), "2");
}

// A parent goes and comes again, with another new key, behind the query that found it: its row has the one that is there by then.
TEST_P(ManyRowsTest, AParentThatIsAnotherOneByThen) {
  Begin("char(36)");
  WalkTo("m", "verify");
  for (const char* level : {"REPEATABLE READ", "READ COMMITTED"}) {
    SCOPED_TRACE(level);
    ASSERT_TRUE(through_->Query(fmt::format("SET SESSION TRANSACTION ISOLATION LEVEL {}", level)).ok());
    std::unique_ptr<Client> other = Connect(proxy_->port(), "z");
    const std::string before = One("SELECT n FROM z.p WHERE o = 'p17'");
    ASSERT_TRUE(other->Query("BEGIN").ok());
    ASSERT_EQ(other->Query("DELETE FROM p WHERE o = 'p17'").affected, 1u);
    ASSERT_TRUE(other->Query("INSERT INTO p VALUES ('p17', 1)").ok());
    Reply written;
    std::thread writing([&] { written = through_->Query(Insert(Plain())); });
    while (One("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'") == "0") std::this_thread::sleep_for(std::chrono::milliseconds(120));
    EXPECT_TRUE(other->Query("COMMIT").ok());
    writing.join();
    EXPECT_TRUE(written.ok()) << written.message;
    EXPECT_EQ(written.affected, static_cast<uint64_t>(kRows));
    EXPECT_NE(One("SELECT n FROM z.p WHERE o = 'p17'"), before);
    EXPECT_EQ(One("SELECT COUNT(*) FROM z.r JOIN z.p ON p.n = r.rn WHERE r.ro = 'p17' AND p.o = 'p17'"), "1");
    EXPECT_EQ(One(kWrong), "0");
    Forget();
  }
}

TEST_P(ManyRowsTest, InRetire) {
  Begin("char(36)");
  WalkTo("m", "verify");
  const servers::CommandResult verified = proxy_->Run("verify", {"m"});
  ASSERT_EQ(verified.exit_code, 0) << verified.output;
  WalkTo("m", "retire");
  retired_ = true;
  // The old references are written no more.
  wrong_ = "SELECT COUNT(*) FROM z.r JOIN y.r AS d ON d.u = r.u LEFT JOIN z.p ON p.n = r.rn LEFT JOIN z.p AS p2 ON p2.n = r.rn2 LEFT JOIN z.q ON q.j = r.rj"
           " WHERE NOT (p.o <=> d.ro AND p2.o <=> d.ro2 AND q.i <=> d.ri)";
  AllForms(true);
}

// What surrounds it is as it is directly.
TEST_P(ManyRowsTest, TheSessionSaysOtherwise) {
  Begin("char(36)");
  WalkTo("m", "verify");
  const std::string sql = Insert(Plain());
  Same("for the session's settings to be known", [&](Client& client) { return client.Query(sql); });
  Forget();
  const Reply read_only = Same("READ ONLY", [&](Client& client) {
    EXPECT_TRUE(client.Query("SET TRANSACTION READ ONLY").ok());
    return client.Query(sql);
  });
  EXPECT_EQ(read_only.error, 1792u);
  EXPECT_EQ(Same("still", [&](Client& client) { return client.Query(sql); }).error, 1792u);
  Same("READ WRITE", [&](Client& client) {
    EXPECT_TRUE(client.Query("SET TRANSACTION READ WRITE").ok());
    return client.Query(sql);
  });
  Forget();
  for (Client* client : {directly_.get(), through_.get()}) EXPECT_TRUE(client->Query("SET sql_safe_updates = 1").ok());
  Same("again", [&](Client& client) { return client.Query(sql); });
  Forget();
  const uint64_t before = Asked();
  const Reply careful = Same("sql_safe_updates", [&](Client& client) { return client.Query(sql); });
  EXPECT_TRUE(careful.ok()) << careful.message;
  EXPECT_EQ(Asked() - before, 2u);
  Forget();
  // A parameter is not what a literal would be.
  std::string marks;
  std::vector<Parameter> parameters;
  for (int i = 0; i < kRows; ++i) {
    marks += i == 0 ? "(ROUND(? / 3, 2), ?, ?)" : ", (? * 1, ?, ?)";
    for (Parameter& each : std::vector<Parameter>{std::string(std::to_string(i)), fmt::format("p{}", i % 9), int64_t{i % 9}}) parameters.push_back(std::move(each));
  }
  Same("expressions", [&](Client& client) { return client.Execute("INSERT INTO r (u, ro, ri) VALUES " + marks, parameters); });
  EXPECT_EQ(Asked() - before, 4u);
  Forget();
  // No room for a statement more: it goes on with its lookups.
  marks.clear();
  std::vector<Parameter> different;
  parameters.clear();
  for (int i = 0; i < kRows; ++i) {
    marks += i == 0 ? "(?, ?)" : ", (?, ?)";
    for (const int64_t each : {i, i % 9}) parameters.emplace_back(each);
    for (const int64_t each : {i, i % kParents}) different.emplace_back(each);
  }
  for (const bool proxied : {false, true}) {
    SCOPED_TRACE(proxied);
    Client& client = proxied ? *through_ : *directly_;
    std::unique_ptr<Statement> statement;
    EXPECT_TRUE(client.Prepare("INSERT INTO r (u, ri) VALUES " + marks, &statement).ok());
    const Reply first = statement->Execute(different);
    EXPECT_TRUE(first.ok()) << first.message;
    Forget();
    Do("SET GLOBAL max_prepared_stmt_count = 1");
    const Reply many = statement->Execute(parameters);
    EXPECT_TRUE(many.ok()) << many.message;
    Do("SET GLOBAL max_prepared_stmt_count = 16382");
    EXPECT_EQ(One(fmt::format("SELECT COUNT(ri) FROM {}.r", proxied ? "z" : "y")), std::to_string(kRows));
    Forget();
  }
  // KILL QUERY, while a parent is waited for.
  Do("USE z");
  Do("BEGIN");
  Do("SELECT v FROM p WHERE o = 'p3' FOR UPDATE");
  std::unique_ptr<Client> other = Connect(server_->port(), "z");
  const std::string id = through_->Query("SELECT CONNECTION_ID()").rows.at(0).at(0).value_or("0");
  ASSERT_TRUE(through_->Query("BEGIN").ok());
  Reply killed;
  std::thread writing([&] { killed = through_->Query(sql); });
  while (other->Query("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'").rows.at(0).at(0) == "0") std::this_thread::sleep_for(std::chrono::milliseconds(120));
  EXPECT_TRUE(other->Query("KILL QUERY " + id).ok());
  writing.join();
  Do("ROLLBACK");
  EXPECT_EQ(killed.error, 1317u) << killed.message;
  EXPECT_TRUE(through_->Query("ROLLBACK").ok());
  EXPECT_EQ(One("SELECT COUNT(*) FROM z.r"), "0");
}

// Servers read a whole table where there are too many constants, or of two types: others' parents are not locked.
TEST_P(ManyRowsTest, OtherParentsAreNotLocked) {
  Begin("char(36)");
  std::string parents;
  for (int i = 0; i < 1400; ++i) parents += fmt::format("{}('w{}', 1)", i == 0 ? "" : ", ", i);
  for (const char* schema : {"y", "z"}) {
    Do(fmt::format("INSERT INTO {}.p VALUES {}", schema, parents));
    Do(fmt::format("ALTER TABLE {}.r DROP KEY u", schema));
  }
  WalkTo("m", "verify");
  Same("for the session's settings to be known", [&](Client& client) { return client.Query(Insert(Plain())); });
  Forget();
  std::vector<Row> rows;
  for (int i = 0; i < 1300; ++i) rows.push_back({fmt::format("'w{}'", i), "NULL", "NULL"});
  std::string text = "INSERT INTO r (u, ro, ro2, ri) VALUES ";
  for (size_t i = 0; i < rows.size(); ++i) text += fmt::format("{}({}, {}, NULL, NULL)", i == 0 ? "" : ", ", i % 200, rows[i].ro);
  const uint64_t before = Asked();
  const Reply reply = Same("1,300 parents", [&](Client& client) {
    EXPECT_TRUE(client.Query("BEGIN").ok());
    Reply inserted = client.Query(text);
    std::unique_ptr<Client> other = Connect(&client == through_.get() ? proxy_->port() : server_->port(), &client == through_.get() ? "z" : "y");
    EXPECT_TRUE(other->Query("SET SESSION innodb_lock_wait_timeout = 2").ok());
    const Reply beside = other->Query("UPDATE p SET v = 2 WHERE o = 'w1399'");
    EXPECT_TRUE(beside.ok()) << beside.message;
    EXPECT_TRUE(client.Query("COMMIT").ok());
    return inserted;
  });
  EXPECT_TRUE(reply.ok()) << reply.message;
  EXPECT_EQ(Asked() - before, 3u);
}

TEST_P(ManyRowsTest, NotWhereTheLimitSaysSo) {
  Begin("char(36)", "  control_poll: 50ms\n  insert_lookups: 0\n");
  WalkTo("m", "verify");
  Same("for the session's settings to be known", [&](Client& client) { return client.Query(Insert(Plain())); });
  Forget();
  const uint64_t before = Asked();
  EXPECT_EQ(Same("text", [&](Client& client) { return client.Query(Insert(Plain())); }).affected, static_cast<uint64_t>(kRows));
  EXPECT_EQ(Asked(), before);
}

INSTANTIATE_TEST_SUITE_P(Engines, ManyRowsTest, testing::Values(Engine::kMariaDb, Engine::kMySql), EngineOf);

}  // namespace
}  // namespace crossfade::walk
