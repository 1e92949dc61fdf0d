// SPDX-License-Identifier: Apache-2.0
// Values of the new key's shape, given to references whose old key is an integer, where both keys find: what the server warns of is what it
// would warn of alone.
#include <memory>

#include "tests/integration/walk/fixture.h"

namespace crossfade::walk {
namespace {

using servers::Client;
using servers::Engine;
using servers::Reply;

constexpr char kMigration[] =
    "  - name: m\n    schema: z\n    phase: observe\n    keys:\n"
    "      - {{table: p, old: o, new: {{column: n, type: {}}}, references: [{{table: r, old: ro, new: rn}}]}}\n"
    "      - {{table: b, old: o, new: {{column: n, type: binary(16)}}, references: [{{table: c, old: ro, new: rn}}]}}\n";

class NewValuesTest : public WalkFixture {
 protected:
  void SetUp() override {
    StartServer();
    for (const char* schema : {"z", "d"}) {
      Do(fmt::format("CREATE DATABASE {}", schema));
      for (const char* names : {"p r", "b c"}) {
        const std::string parent(1, names[0]), child(1, names[2]);
        Do(fmt::format("CREATE TABLE {}.{} (o int PRIMARY KEY, v int)", schema, parent));
        Do(fmt::format("CREATE TABLE {}.{} (id int PRIMARY KEY, ro int, w int, FOREIGN KEY (ro) REFERENCES {} (o))", schema, child, parent));
        Do(fmt::format("INSERT INTO {}.{} VALUES (1, 1), (2, 2)", schema, parent));
        Do(fmt::format("INSERT INTO {}.{} VALUES (1, 1, 1), (2, 2, 2), (3, NULL, 3)", schema, child));
      }
    }
    StartProxy(fmt::format(kMigration, GetParam() == Engine::kMariaDb ? "uuid" : "char(36)"), "  control_poll: 50ms\n", "z");
    Do("USE d");
  }
  static std::string Told(const Reply& reply) { return fmt::format("{} affected {} warnings {} {}", reply.error, reply.affected, reply.warnings, reply.info); }
};

// A column of type UUID warns of what it is compared with, also where the row is not met that would be given it.
TEST_P(NewValuesTest, WhatIsNoKeyWarnsOfNothingWhereNoRowIsWritten) {
  for (const char* phase : {"verify", "cutover"}) {
    WalkTo("m", phase, std::string(phase) == "cutover" ? 0 : -1);
    for (const char* value : {"", "x", "00000000-0000-0000-0000-00000000000", "-"}) {
      SCOPED_TRACE(fmt::format("{} '{}'", phase, value));
      const std::string sql = fmt::format("UPDATE r SET ro = '{}' WHERE ro = '7'", value);
      EXPECT_EQ(Told(direct_->Query(sql)), Told(client_->Query(sql)));
      const std::string prepared = "UPDATE r SET ro = ? WHERE ro = 7";
      EXPECT_EQ(Told(direct_->Execute(prepared, {std::string(value)})), Told(client_->Execute(prepared, {std::string(value)})));
      const std::string row = fmt::format("INSERT INTO r (id, ro) VALUES (9, '{}')", value);
      EXPECT_NE(direct_->Query(row).error, 0u);
      EXPECT_NE(client_->Query(row).error, 0u);
    }
    // Keys in any spelling are found as before.
    const std::string key = One("SELECT n FROM z.p WHERE o = 2");
    std::string plain = key, upper = key;
    for (size_t at = 0; (at = plain.find('-', at)) != std::string::npos;) plain.erase(at, 1);
    for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    std::vector<std::string> spellings = {"'" + key + "'", "'" + upper + "'"};
    if (GetParam() == Engine::kMariaDb) spellings.insert(spellings.end(), {"'" + plain + "'", "x'" + plain + "'", "_binary x'" + plain + "'"});
    for (const std::string& spelling : spellings) {
      SCOPED_TRACE(spelling);
      Do("UPDATE z.r SET ro = 1, rn = (SELECT n FROM z.p WHERE o = 1) WHERE id = 1");
      Write(fmt::format("UPDATE r SET ro = {} WHERE id = 1", spelling), 1);
      EXPECT_EQ(One("SELECT COUNT(*) FROM z.r JOIN z.p ON p.n = r.rn AND p.o = r.ro WHERE r.id = 1 AND p.o = 2"), "1");
    }
  }
}

// In steps the statement is a text, in which bytes are no text of the session's.
TEST_P(NewValuesTest, NewKeysOfBytesInSteps) {
  WalkTo("m", "verify");
  Do("UPDATE z.b SET n = x'E8FF4127005C80818283FFFEFDFCFBFA' WHERE o = 2");
  Do("UPDATE z.c SET rn = x'E8FF4127005C80818283FFFEFDFCFBFA' WHERE ro = 2");
  const std::string key("\xE8\xFF\x41\x27\x00\x5C\x80\x81\x82\x83\xFF\xFE\xFD\xFC\xFB\xFA", 16);
  for (const char* sql : {"UPDATE c JOIN b ON b.o = 1 SET c.ro = ?, b.v = b.v + 1 WHERE c.id = 1", "UPDATE c JOIN b ON b.o = 1 SET c.ro = c.ro - 1, b.v = 0 WHERE c.ro = ? OR c.ro IN (5, ?)"}) {
    std::vector<servers::Parameter> old_key = {int64_t{2}}, new_key = {key};
    if (std::string(sql).find("IN (5") != std::string::npos) old_key.push_back(int64_t{2}), new_key.push_back(key);
    EXPECT_EQ(Told(direct_->Execute(sql, old_key)), Told(client_->Execute(sql, new_key))) << sql;
    EXPECT_EQ(One("SELECT GROUP_CONCAT(CONCAT_WS(' ', id, ro, HEX(rn)) ORDER BY id) FROM z.c"), One("SELECT GROUP_CONCAT(CONCAT_WS(' ', c.id, c.ro, HEX(p.n)) ORDER BY c.id) FROM d.c LEFT JOIN z.b AS p ON p.o = c.ro")) << sql;
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, NewValuesTest, testing::Values(Engine::kMariaDb, Engine::kMySql), EngineOf);

// A new key of a character set that has not all letters: the servers fail where such a column is compared with others.
class LettersTest : public WalkFixture {
 protected:
  struct Step {
    const char* phase;
    int percent;
  };
  void SetUp() override {
    StartServer();
    for (const char* schema : {"z", "d"}) {
      Do(fmt::format("CREATE DATABASE {} DEFAULT CHARACTER SET utf8mb4", schema));
      for (const char* names : {"p r", "b c"}) {
        const std::string parent(1, names[0]), child(1, names[2]);
        Do(fmt::format("CREATE TABLE {}.{} (o int PRIMARY KEY, v varchar(20)) DEFAULT CHARACTER SET latin1", schema, parent));
        Do(fmt::format("CREATE TABLE {}.{} (id int PRIMARY KEY, ro int, w varchar(20), FOREIGN KEY (ro) REFERENCES {} (o))", schema, child, parent));
        Do(fmt::format("INSERT INTO {}.{} VALUES (1, 'größe'), (2, 'x')", schema, parent));
        Do(fmt::format("INSERT INTO {}.{} VALUES (1, 1, 'größe'), (2, 2, 'x'), (3, NULL, 'größe')", schema, child));
      }
    }
    StartProxy(
        "  - name: m\n    schema: z\n    phase: observe\n    keys:\n"
        "      - {table: p, old: o, new: {column: n, type: char(36) character set ascii collate ascii_bin}, references: [{table: r, old: ro, new: rn}]}\n"
        "      - {table: b, old: o, new: {column: n, type: char(36) character set latin1}, references: [{table: c, old: ro, new: rn}]}\n",
        "  control_poll: 50ms\n", "z");
    Do("USE d");
  }
  // The rows, the error and what was written; of warnings that there are none which the server would not give.
  void Same(const std::string& sql, const std::vector<servers::Parameter>* values = nullptr) {
    SCOPED_TRACE(sql);
    const Reply direct = values == nullptr ? direct_->Query(sql) : direct_->Execute(sql, *values);
    const Reply client = values == nullptr ? client_->Query(sql) : client_->Execute(sql, *values);
    EXPECT_EQ(direct.error, client.error) << client.message;
    EXPECT_EQ(direct.rows, client.rows);
    EXPECT_EQ(direct.affected, client.affected);
    EXPECT_LE(client.warnings, direct.warnings);
  }
};

TEST_P(LettersTest, LettersThatTheNewKeyCannotHaveFindNothing) {
  for (const Step& step : {Step{"verify", -1}, Step{"cutover", 0}, Step{"cutover", 100}, Step{"retire", -1}}) {
    WalkTo("m", step.phase, step.percent);
    if (step.percent == 100) client_ = std::make_unique<Client>(*Client::Connect({.port = proxy_->port(), .database = "z"}));
    const bool retired = std::string(step.phase) == "retire";
    for (const char* charset : {"utf8mb4", "latin1", "gbk"}) {
      SCOPED_TRACE(fmt::format("{} {} {}", step.phase, step.percent, charset));
      for (Client* each : {direct_.get(), client_.get()}) ASSERT_TRUE(each->Query(fmt::format("SET NAMES {}", charset)).ok());
      // 'größe', and what latin1 has not either; neither is a key.
      const bool gbk = std::string(charset) == "gbk", latin1 = std::string(charset) == "latin1";
      const std::string word = gbk ? "gr\xD6\xD0" : latin1 ? "gr\xF6\xDFe" : "größe";
      for (const std::string& value : {word, std::string(latin1 ? "\xF6" : gbk ? "\xD6\xD0" : "中"), word + word + word}) {
        for (const char* table : {"r", "c"}) {
          // On MariaDB a conversion to latin1 that loses letters warns.
          if (!latin1 && GetParam() == Engine::kMariaDb && table[0] == 'c') continue;
          const std::string v = "'" + value + "'";
          Same(fmt::format("SELECT id FROM {} WHERE ro = {} ORDER BY id", table, v));
          Same(fmt::format("SELECT id FROM {} WHERE {} = ro OR w = {} ORDER BY id", table, v, v));
          Same(fmt::format("SELECT id FROM {} WHERE ro <> {} ORDER BY id", table, v));
          Same(fmt::format("SELECT id, ro <=> {}, NOT ro = {} FROM {} ORDER BY id", v, v, table));
          Same(fmt::format("SELECT id FROM {} WHERE ro IN ({}, {}) AND (ro, w) = ({}, {}) ORDER BY id", table, v, v, v, v));
          Same(fmt::format("SELECT id FROM {} WHERE ro NOT IN ({}, {}) ORDER BY id", table, v, v));
          Same(fmt::format("SELECT id FROM {} WHERE (ro, w) IN (({}, {}), ({}, 'x')) ORDER BY id", table, v, v, v));
          Same(fmt::format("SELECT id FROM {} WHERE ro = N'x' OR ro LIKE {} ORDER BY id", table, v));
          Same(fmt::format("SELECT v FROM {0} JOIN {1} ON {0}.ro = {1}.o AND {1}.o = {2} WHERE v = {2}", table, table[0] == 'r' ? "p" : "b", v));
          Same(fmt::format("SELECT v FROM {} WHERE o = {} UNION SELECT v FROM {} WHERE o = 'x'", table[0] == 'r' ? "p" : "b", v, table[0] == 'r' ? "p" : "b"));
          const std::vector<servers::Parameter> one = {value}, two = {value, value};
          Same(fmt::format("SELECT id FROM {} WHERE ro = ? ORDER BY id", table), &one);
          Same(fmt::format("SELECT id FROM {} WHERE ro IN (?, ?) ORDER BY id", table), &two);
          Same(fmt::format("SELECT id FROM {} WHERE ro <> ? AND w = ? ORDER BY id", table), &two);
          const std::vector<servers::Parameter> null = {nullptr, value};
          Same(fmt::format("SELECT id FROM {} WHERE ro = ? OR w = ? ORDER BY id", table), &null);
          // Written, it is no key: an error of the server's, as alone.
          EXPECT_NE(direct_->Query(fmt::format("UPDATE {} SET ro = {} WHERE id = 1", table, v)).error, 0u);
          const Reply written = client_->Query(fmt::format("UPDATE {} SET ro = {} WHERE id = 1", table, v));
          EXPECT_TRUE(written.error == 1366 || written.error == 1452) << written.error << written.message;
          if (retired) continue;
          Same(fmt::format("UPDATE {} SET ro = {} WHERE id = 7", table, v));
          Same(fmt::format("INSERT INTO {} (id, ro) VALUES (9, {})", table, v));
          Same(fmt::format("INSERT INTO {} (id, ro) VALUES (9, ?)", table), &one);
          const std::vector<servers::Parameter> plain = {std::string("abc")};
          Same(fmt::format("INSERT INTO {} (id, ro) VALUES (9, ?)", table), &plain);
          Same(fmt::format("UPDATE {} SET ro = ? WHERE id = 1", table), &plain);
        }
      }
    }
    for (Client* each : {direct_.get(), client_.get()}) ASSERT_TRUE(each->Query("SET NAMES utf8mb4").ok());
    // Beside others the same text of another value finds as before.
    const std::string key = One("SELECT n FROM z.p WHERE o = 2");
    for (const std::string& value : {std::string("größe"), key, std::string("größe")}) {
      const Reply text = client_->Query(fmt::format("SELECT id FROM r WHERE ro = '{}'", value)), prepared = client_->Execute("SELECT id FROM r WHERE ro = ?", {value});
      EXPECT_EQ(text.rows.size(), value == key ? 1u : 0u) << text.message;
      EXPECT_EQ(prepared.rows.size(), value == key ? 1u : 0u) << prepared.message;
    }
    for (const char* set : {"SET @a = 'größe'", "PREPARE s FROM 'SELECT id FROM r WHERE ro = ?'"}) ASSERT_TRUE(client_->Query(set).ok());
    const Reply dynamic = client_->Query("EXECUTE s USING @a");
    EXPECT_TRUE(dynamic.ok() && dynamic.rows.empty()) << dynamic.message;
  }
}

// Beside a UUID a number is what that begins with; and a text may be a number that a function makes, or that stands behind USING.
TEST_P(LettersTest, NumbersOfAnyKindAreOldKeys) {
  for (const Step& step : {Step{"verify", -1}, Step{"cutover", 100}}) {
    WalkTo("m", step.phase, step.percent);
    client_ = std::make_unique<Client>(*Client::Connect({.port = proxy_->port(), .database = "z"}));
    for (const char* value : {"1.0", "'1.0'", "1e0", "'1e0'", "0.1e1", "b'1'", "'1'", "' 1 '"}) {
      Same(fmt::format("SELECT id FROM r WHERE ro = {}", value));
      Same(fmt::format("SELECT id FROM r WHERE ro IN ({}, 7) ORDER BY id", value));
      Same(fmt::format("SELECT id, ro <=> {} FROM r ORDER BY id", value));
      Same(fmt::format("UPDATE r SET w = CONCAT(w, '!') WHERE ro = {}", value));
    }
    Same("SELECT id FROM r WHERE ro BETWEEN 0.5 AND 1.5");
    for (const char* value : {"1", "1.0", "1e0"}) {
      const std::vector<servers::Parameter> one = {std::string(value)};
      Same("SELECT id FROM r WHERE ro = ?", &one);
      if (GetParam() == Engine::kMySql) continue;  // takes variables alone
      for (Client* each : {direct_.get(), client_.get()}) ASSERT_TRUE(each->Query("PREPARE s FROM 'SELECT id FROM r WHERE ro = ?'").ok());
      Same(fmt::format("EXECUTE s USING '{}'", value));
      Same(fmt::format("EXECUTE IMMEDIATE 'SELECT id FROM r WHERE ro = ?' USING '{}'", value));
    }
    if (step.percent < 0) {
      Same("SELECT id FROM r WHERE ro IN (CONCAT('1', ''), 7)");
    } else {
      EXPECT_EQ(client_->Query("SELECT id FROM r WHERE ro IN (CONCAT('1', ''), 7)").error, 1235u);
      EXPECT_EQ(client_->Query("SELECT id FROM r WHERE ro = TRIM(' 1')").error, 1235u);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, LettersTest, testing::Values(Engine::kMariaDb, Engine::kMySql), EngineOf);

}  // namespace
}  // namespace crossfade::walk
