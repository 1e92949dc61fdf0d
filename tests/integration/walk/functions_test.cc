// SPDX-License-Identifier: Apache-2.0
// Functions that compare a key with old ones, as texts and prepared, in every cohort: the rows are those of the server alone, or the
// statement is refused. None finds nothing in silence because the new key was asked.
#include <memory>

#include "tests/integration/walk/fixture.h"

namespace crossfade::walk {
namespace {

using servers::Engine;
using servers::Reply;

constexpr char kMigration[] =
    "  - name: m\n    schema: z\n    phase: observe\n    keys:\n"
    "      - {{table: p, old: o, new: {{column: n, type: int unsigned}}, keep_old_lookup: true, references: [{{table: r, old: ro, new: rn}}]}}\n"
    "      - {{table: b, old: o, new: {{column: n, type: {}}}, keep_old_lookup: true, references: [{{table: c, old: ro, new: rn}}]}}\n";

struct Statement {
  const char* sql;  // no key is shown; a question mark is a parameter
  std::vector<servers::Parameter> values;
  bool refused = false;      // in retire
  bool unread = false;       // … by the new cohort of cutover already
};

const std::vector<Statement>& Statements() {
  static const std::vector<Statement> all = {
      {"SELECT id FROM r ORDER BY FIELD(ro, 'b', 'a'), id", {}},
      {"SELECT id, FIELD(ro, 'c', NULL, 'b', 'none') FROM r ORDER BY id", {}},
      {"SELECT id FROM r ORDER BY FIELD(ro, ?, ?), id", {std::string("c"), std::string("a")}},
      {"SELECT COUNT(*) FROM r GROUP BY ro ORDER BY FIELD(ro, 'c', 'a', 'b'), 1", {}},
      {"SELECT id FROM r WHERE FIELD(ro, 'b', ?) ORDER BY id", {std::string("c")}},
      {"SELECT id, NULLIF(ro, 'a') IS NULL FROM r ORDER BY id", {}},
      {"SELECT id FROM r WHERE NULLIF(ro, ?) IS NULL ORDER BY id", {std::string("b")}},
      {"SELECT r.id, q.id FROM r JOIN r AS q ON NULLIF(r.ro, 'a') <=> NULLIF(q.ro, 'a') ORDER BY 1, 2", {}, true},
      {"SELECT id FROM r WHERE NULLIF(ro, 'a') = 'b' ORDER BY id", {}, true},
      {"SELECT id FROM r WHERE STRCMP(ro, 'b') = 0 ORDER BY id", {}, true},
      {"SELECT id FROM r WHERE STRCMP(ro, ?) < 0 ORDER BY id", {std::string("c")}, true},
      {"SELECT id FROM r WHERE IFNULL(ro, 'b') = 'b' ORDER BY id", {}, true},
      {"SELECT id FROM r WHERE IFNULL(ro, ?) = ? ORDER BY id", {std::string("b"), std::string("b")}, true},
      {"SELECT id FROM r WHERE COALESCE(ro, 'none') IN ('none', 'c') ORDER BY id", {}, true},
      {"SELECT id FROM r WHERE GREATEST(ro, 'b') = 'b' ORDER BY id", {}, true},
      {"SELECT id FROM r WHERE LEAST(ro, ?) = 'b' ORDER BY id", {std::string("b")}, true},
      {"SELECT id FROM r WHERE FIND_IN_SET(ro, 'a,b') ORDER BY id", {}, true},
      {"SELECT id FROM r WHERE ro SOUNDS LIKE 'a' ORDER BY id", {}, true},
      {"SELECT id FROM r WHERE LOCATE('a', ro) > 0 ORDER BY id", {}, true},
      {"SELECT id FROM r WHERE UPPER(ro) = 'B' ORDER BY id", {}, true},
      {"SELECT id FROM r WHERE LOWER(ro) LIKE ? ORDER BY id", {std::string("b%")}, true},
      {"SELECT id FROM r WHERE CONCAT(ro, ':', w) = 'b:2' ORDER BY id", {}, true},
      {"SELECT w % 2, MIN(id) FROM r GROUP BY 1 HAVING MAX(ro) = 'c' ORDER BY 1", {}, true},
      {"SELECT r.id FROM r JOIN p ON UPPER(p.o) = UPPER(r.ro) ORDER BY r.id", {}},
      {"SELECT r.id FROM r JOIN p ON COALESCE(p.o, 'b') = COALESCE(r.ro, 'b') ORDER BY r.id, p.v", {}, true},
      {"SELECT id FROM r WHERE HEX(ro) = HEX('b') ORDER BY id", {}, true},
      {"SELECT id FROM r WHERE SHA2(ro, 256) = '3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d' ORDER BY id", {}, true},
      {"SELECT id FROM (SELECT id, UPPER(ro) AS u FROM r) AS x WHERE u = 'B' ORDER BY id", {}, true, true},
      {"WITH x AS (SELECT id, IFNULL(ro, 'b') AS u FROM r) SELECT id FROM x WHERE u IN (?, 'c') ORDER BY id", {std::string("b")}, true, true},
      {"SELECT id FROM r WHERE 'B' = (SELECT UPPER(q.ro) FROM r AS q WHERE q.id = r.id) ORDER BY id", {}, true, true},
      {"SELECT x.id, y.id FROM (SELECT id, UPPER(ro) AS u FROM r) AS x JOIN (SELECT id, UPPER(ro) AS u FROM r) AS y ON x.u = y.u ORDER BY 1, 2", {}},
      {"SELECT v FROM p WHERE o NOT IN (SELECT CONCAT(ro, '') FROM r WHERE ro IS NOT NULL) ORDER BY v", {}, true, true},
      {"SELECT COUNT(*) FROM s WHERE t NOT IN (SELECT ro FROM r WHERE ro IS NOT NULL)", {}, true, true},
      {"DELETE FROM s WHERE t NOT IN (SELECT o FROM p)", {}},
      {"SELECT COUNT(*) FROM (SELECT IFNULL((SELECT ro FROM r WHERE r.id = s.id), (SELECT 'x')) AS u FROM s) AS x WHERE u = 'a'", {}, true, true},
      {"SELECT COUNT(*) FROM (SELECT r.ro AS t FROM r JOIN s ON s.id = r.id ORDER BY FIELD(t, 'b', 'a')) AS x", {}, true, true},
      {"DELETE FROM s WHERE t NOT IN (SELECT ro FROM r WHERE ro IS NOT NULL)", {}, true, true},
      {"SELECT p.v, x.id FROM p JOIN (SELECT id, UPPER(ro) AS u FROM r) AS x ON UPPER(p.o) = x.u ORDER BY 2", {}},
      {"SELECT COUNT(*) FROM s WHERE 'a' IN (SELECT ro FROM r)", {}, true, true},
      {"SELECT x.id FROM (SELECT id, ro FROM r) AS x JOIN s ON s.t = x.ro ORDER BY 1", {}, true, true},
      {"SELECT id FROM r WHERE CASE UPPER(ro) WHEN 'A' THEN 1 ELSE 0 END ORDER BY id", {}, true},
      {"SELECT id, CASE ro WHEN ? THEN 'x' ELSE 'y' END FROM r ORDER BY id", {std::string("b")}, true},
      {"SELECT id FROM r WHERE (UPPER(ro), w) IN (('A', 1), ('B', 6)) ORDER BY id", {}, true},
      {"SELECT id FROM r WHERE (ro, w) = (SELECT 'a', 1) ORDER BY id", {}, true, true},
      {"SELECT id FROM r WHERE CRC32(ro) = CRC32('a') ORDER BY id", {}, true},
      {"SELECT id FROM r WHERE CHAR_LENGTH(ro) = 1 ORDER BY id", {}, true},
      {"SELECT id FROM (SELECT id, LAG(ro) OVER (ORDER BY id) AS prev FROM r) AS x WHERE prev = 'a' ORDER BY id", {}, true, true},
      {"SELECT id, SUM(w) OVER (PARTITION BY ro) FROM r ORDER BY id", {}},
      {"SELECT id FROM r WHERE NOT ro ORDER BY id", {}, true},
      {"SELECT COUNT(*) FROM r GROUP BY ro HAVING ro = 'a'", {}},
      {"SELECT COUNT(*) FROM r GROUP BY ro HAVING ro LIKE 'a%'", {}},
      {"SELECT COUNT(*) FROM r GROUP BY ro ORDER BY ro = 'b' DESC, ro IS NULL DESC, 1", {}},
      {"SELECT IF(ro IS NULL, 'total', 'part') AS q, COUNT(*) FROM r WHERE ro IS NOT NULL GROUP BY ro WITH ROLLUP", {}},
      {"SELECT COUNT(*) FROM r WHERE ro IS NOT NULL GROUP BY ro WITH ROLLUP HAVING ro IS NULL", {}},
      // Integers that become UUIDs.
      {"SELECT id FROM c ORDER BY FIELD(ro, 3, 1), id", {}},
      {"SELECT id, FIELD(ro, ?, 2) FROM c ORDER BY id", {int64_t{3}}},
      {"SELECT id, FIELD(ro, ?, '2') FROM c ORDER BY id", {std::string("3")}},
      {"SELECT id, NULLIF(ro, 1) IS NULL FROM c ORDER BY id", {}},
      {"SELECT id FROM c WHERE NULLIF(ro, ?) IS NULL ORDER BY id", {int64_t{2}}},
      {"SELECT id FROM c WHERE IFNULL(ro, 0) = 0 ORDER BY id", {}, true},
      {"SELECT id FROM c WHERE IFNULL(ro, ?) = 2 ORDER BY id", {int64_t{2}}, true},
      {"SELECT id FROM c WHERE STRCMP(ro, '2') = 0 ORDER BY id", {}, true},
      {"SELECT id FROM c WHERE GREATEST(ro, 2) = 2 ORDER BY id", {}, true},
      {"SELECT id, INTERVAL(ro, 2, 3) FROM c WHERE ro IS NOT NULL ORDER BY id", {}, true},
      {"SELECT id FROM c WHERE ro % 2 = 1 ORDER BY id", {}, true},
      {"SELECT id FROM c WHERE ro + ? = 3 ORDER BY id", {int64_t{1}}, true},
      {"SELECT id FROM c WHERE CAST(ro AS CHAR) = '2' ORDER BY id", {}, true},
      {"SELECT id FROM c WHERE CAST(ro AS CHAR) LIKE '2%' ORDER BY id", {}, true},
      {"SELECT id FROM c WHERE ro LIKE '2%' ORDER BY id", {}},
      {"SELECT id FROM c WHERE NOT ro ORDER BY id", {}, true},
      {"SELECT id, LEFT('abcdef', ro), FORMAT(ro, 0) FROM c ORDER BY id", {}, true},
      {"SELECT id, SUM(w) OVER (PARTITION BY ro) FROM c ORDER BY id", {}},
      {"SELECT COUNT(*) FROM c GROUP BY ro HAVING ro = 2", {}},
      {"SELECT id FROM (SELECT id, IFNULL(ro, 0) AS u FROM c) AS x WHERE u % 2 = 1 ORDER BY id", {}, true, true},
      {"SELECT id FROM c WHERE FIND_IN_SET(ro, '1,2') ORDER BY id", {}, true, true},
      {"SELECT id FROM c WHERE CONCAT('c-', ro) = 'c-2' ORDER BY id", {}, true, true},
      {"SELECT v FROM b WHERE MOD(o, 2) = 1 ORDER BY v", {}},
      // Written by what is found so.
      {"UPDATE r SET w = w + 10 WHERE FIELD(ro, 'b', 'c') = 1", {}},
      {"UPDATE r SET w = w + 10 ORDER BY FIELD(ro, 'c', 'b', 'a') DESC, id LIMIT 1", {}},
      {"UPDATE r SET w = w + 10 WHERE NULLIF(ro, 'a') IS NULL", {}},
      {"UPDATE r SET w = FIELD(ro, 'b', 'a')", {}},
      {"UPDATE c SET w = FIELD(ro, 3, ?)", {int64_t{2}}},
      {"UPDATE r SET w = w + 100 WHERE IFNULL(ro, 'b') = 'b'", {}, true},
      {"UPDATE c SET w = ro + 1 WHERE ro > 0", {}, true},
      {"DELETE FROM r WHERE STRCMP(ro, 'b') = 0 AND id > 90", {}, true},
      {"UPDATE b SET o = o + 10 WHERE v = 4", {}},
  };
  return all;
}

class FunctionsTest : public WalkFixture {
 protected:
  void SetUp() override {
    StartServer();
    for (const char* schema : {"z", "d"}) {
      Do(fmt::format("CREATE DATABASE {} CHARACTER SET utf8mb4", schema));
      Do(fmt::format("USE {}", schema));
      Do("CREATE TABLE p (o varchar(20) PRIMARY KEY, v int)");
      Do("CREATE TABLE r (id int PRIMARY KEY, ro varchar(20), w int, FOREIGN KEY (ro) REFERENCES p (o))");
      Do("CREATE TABLE s (id int PRIMARY KEY, t varchar(20))");
      Do("INSERT INTO s VALUES (1, 'a'), (2, 'zz'), (3, 'c')");
      Do("CREATE TABLE b (o int PRIMARY KEY, v int)");
      Do("CREATE TABLE c (id int PRIMARY KEY, ro int, w int, FOREIGN KEY (ro) REFERENCES b (o))");
      Do("INSERT INTO p VALUES ('c', 3), ('a', 1), ('b', 2), ('17', 4)");
      Do("INSERT INTO b VALUES (3, 3), (1, 1), (2, 2), (4, 4)");
      Do("INSERT INTO r VALUES (1, 'a', 1), (2, 'b', 2), (3, NULL, 3), (4, 'c', 4), (5, 'a', 5), (6, 'b', 6)");
      Do("INSERT INTO c VALUES (1, 1, 1), (2, 2, 2), (3, NULL, 3), (4, 3, 4), (5, 1, 5), (6, 2, 6)");
    }
    StartProxy(fmt::format(kMigration, GetParam() == Engine::kMariaDb ? "uuid" : "char(36)"), "  control_poll: 50ms\n", "z");
    Do("USE d");
  }
  static std::string Told(const Reply& reply) {
    std::string text = fmt::format("{} {} warnings {} affected {} {}", reply.error, reply.message, reply.warnings, reply.affected, reply.info);
    for (const auto& row : reply.rows) {
      text += "\n";
      for (const auto& value : row) text += value.value_or("NULL") + " ";
    }
    return text;
  }
  static std::string AsText(const Statement& statement) {
    std::string sql = statement.sql;
    for (const servers::Parameter& value : statement.values) {
      const auto* number = std::get_if<int64_t>(&value);
      sql.replace(sql.find('?'), 1, number != nullptr ? std::to_string(*number) : "'" + std::get<std::string>(value) + "'");
    }
    return sql;
  }
  static void Same(const std::string& sql, const Reply& direct, const Reply& through, bool refused) {
    ASSERT_EQ(direct.error, 0u) << direct.message << ": " << sql;
    if (!refused) EXPECT_EQ(Told(direct), Told(through)) << sql;
    else EXPECT_EQ(through.error, 1235u) << sql << Told(through);
  }
};

TEST_P(FunctionsTest, OldKeysAreFoundOrRefused) {
  struct Stop {
    const char* phase;
    int percent;
  };
  for (const Stop& stop : {Stop{"verify", -1}, Stop{"cutover", 0}, Stop{"cutover", 100}, Stop{"retire", -1}}) {
    SCOPED_TRACE(fmt::format("{} {}", stop.phase, stop.percent));
    WalkTo("m", stop.phase, stop.percent);
    const bool retired = std::string(stop.phase) == "retire";
    for (const Statement& statement : Statements()) {
      const bool refused = (retired && statement.refused) || (stop.percent == 100 && statement.unread);
      for (const bool prepared : {false, true}) {
        Do("START TRANSACTION");
        ASSERT_TRUE(client_->Query("START TRANSACTION").ok());
        const std::string text = AsText(statement);
        if (prepared) Same(std::string("prepared ") + statement.sql, direct_->Execute(statement.sql, statement.values), client_->Execute(statement.sql, statement.values), refused);
        else Same(text, direct_->Query(text), client_->Query(text), refused);
        if (!refused) {
          for (const char* rows : {"SELECT id, w FROM r ORDER BY id", "SELECT id, w FROM c ORDER BY id", "SELECT o, v FROM b ORDER BY v"})
            if (std::string(statement.sql).rfind("SELECT", 0) != 0 && !(retired && rows[7] == 'o')) EXPECT_EQ(Told(direct_->Query(rows)), Told(client_->Query(rows))) << text;
        }
        Do("ROLLBACK");
        ASSERT_TRUE(client_->Query("ROLLBACK").ok());
      }
    }
  }
}

// Both kinds in one list, in both cohorts.
TEST_P(FunctionsTest, NewKeysAreFoundToo) {
  for (const int percent : {0, 100}) {
    SCOPED_TRACE(percent);
    WalkTo("m", "cutover", percent);
    const std::string number = One("SELECT n FROM z.p WHERE o = 'b'"), uuid = One("SELECT n FROM z.b WHERE o = 2");
    const auto same = [&](const std::string& direct, const std::string& through, const servers::Parameter& value) {
      Same(through, direct_->Query(direct), client_->Query(fmt::format(fmt::runtime(through), std::holds_alternative<int64_t>(value) ? number : "'" + uuid + "'")), false);
      Same("prepared " + through, direct_->Query(direct), client_->Execute(fmt::format(fmt::runtime(through), "?"), {value}), false);
    };
    const servers::Parameter of_p = int64_t{std::stoll(number)}, of_b = uuid;
    same("SELECT id, FIELD(ro, 'c', 'b') FROM r ORDER BY id", "SELECT id, FIELD(ro, 'c', {}) FROM r ORDER BY id", of_p);
    same("SELECT id, NULLIF(ro, 'b') IS NULL FROM r ORDER BY id", "SELECT id, NULLIF(ro, {}) IS NULL FROM r ORDER BY id", of_p);
    same("SELECT id FROM r WHERE STRCMP(ro, 'b') = 0", "SELECT id FROM r WHERE STRCMP(ro, {}) = 0", of_p);
    same("SELECT id, FIELD(ro, 3, 2) FROM c ORDER BY id", "SELECT id, FIELD(ro, 3, {}) FROM c ORDER BY id", of_b);
    same("SELECT id, NULLIF(ro, 2) IS NULL FROM c ORDER BY id", "SELECT id, NULLIF(ro, {}) IS NULL FROM c ORDER BY id", of_b);
  }
}

// Beside MariaDB's type UUID, which takes them for NULL.
TEST_P(FunctionsTest, TextsThatAreNoUuids) {
  for (const char* phase : {"verify", "cutover", "retire"}) {
    WalkTo("m", phase, std::string(phase) == "cutover" ? 100 : -1);
    for (const char* sql : {"SELECT id FROM c WHERE ro <> '' ORDER BY id", "SELECT id FROM c WHERE ro > '' ORDER BY id", "SELECT id FROM c WHERE ro NOT IN ('none', 'x') ORDER BY id",
                            "SELECT id FROM c WHERE NOT (ro <=> 'none') ORDER BY id", "SELECT id, ro = 'none' OR w = 2 FROM c ORDER BY id", "SELECT x.id FROM (SELECT id, ro FROM c) AS x WHERE x.ro <> 'none' ORDER BY 1"}) {
      SCOPED_TRACE(fmt::format("{}: {}", phase, sql));
      const Reply direct = direct_->Query(sql), through = client_->Query(sql);
      ASSERT_TRUE(direct.ok() && through.ok()) << through.message;
      EXPECT_EQ(direct.rows, through.rows);
    }
    for (const servers::Parameter& value : {servers::Parameter{std::string("none")}, servers::Parameter{nullptr}}) {
      const char* sql = "SELECT id FROM c WHERE ro <> ? OR ro IS NULL ORDER BY id";
      EXPECT_EQ(direct_->Execute(sql, {value}).rows, client_->Execute(sql, {value}).rows) << phase;
    }
    // By its own name the new column is asked as the server asks it.
    const std::string uuid = One("SELECT n FROM z.b WHERE o = 2");
    EXPECT_EQ(client_->Query("SELECT id FROM c WHERE rn LIKE '" + uuid.substr(0, 35) + "%' AND rn <> '00000000-0000-0000-0000-000000000001' AND ro = 2 ORDER BY id").rows.size(), 2u) << phase;
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, FunctionsTest, testing::Values(Engine::kMariaDb, Engine::kMySql), EngineOf);

}  // namespace
}  // namespace crossfade::walk
