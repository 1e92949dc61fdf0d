// SPDX-License-Identifier: Apache-2.0
// Kinds of statements, the names they mention, several in one text.
#include <algorithm>

#include "tests/rewrite/parser_fixture.h"

namespace crossfade::rewrite {
namespace {

bool Mentions(const Statement& statement, std::string_view name) {
  return std::any_of(statement.names.begin(), statement.names.end(),
                     [&](const Name& entry) { return entry.text == name; });
}

TEST(ParserStatement, Kinds) {
  struct Case {
    const char* sql;
    StatementKind kind;
  };
  const Case kCases[] = {
      {"BEGIN", StatementKind::kTransaction}, {"BEGIN WORK", StatementKind::kTransaction},
      {"START TRANSACTION READ ONLY", StatementKind::kTransaction}, {"COMMIT AND CHAIN", StatementKind::kTransaction},
      {"ROLLBACK TO SAVEPOINT a", StatementKind::kTransaction}, {"RELEASE SAVEPOINT a", StatementKind::kTransaction},
      {"XA START 'x'", StatementKind::kTransaction}, {"SET NAMES utf8mb4", StatementKind::kSet},
      {"SET TRANSACTION ISOLATION LEVEL READ COMMITTED", StatementKind::kSet}, {"USE d", StatementKind::kUse},
      {"SHOW TABLES", StatementKind::kShow}, {"CALL p(1)", StatementKind::kCall}, {"DO sleep(1)", StatementKind::kDo},
      {"HANDLER t OPEN", StatementKind::kHandler}, {"LOAD DATA INFILE 'x' INTO TABLE t", StatementKind::kLoad},
      {"TRUNCATE t", StatementKind::kTruncate}, {"LOCK TABLES t WRITE", StatementKind::kLockTables},
      {"UNLOCK TABLES", StatementKind::kLockTables}, {"CREATE TABLE t (a INT)", StatementKind::kDdl},
      {"ALTER TABLE t ADD b INT", StatementKind::kDdl}, {"DROP TABLE t", StatementKind::kDdl},
      {"RENAME TABLE t TO u", StatementKind::kDdl}, {"DROP PREPARE s", StatementKind::kDeallocate},
      {"DEALLOCATE PREPARE s", StatementKind::kDeallocate}, {"EXECUTE s USING @a", StatementKind::kExecute},
      {"FLUSH TABLES", StatementKind::kAdmin}, {"ANALYZE TABLE t", StatementKind::kAdmin},
      {"GRANT SELECT ON *.* TO 'u'@'%'", StatementKind::kAdmin}, {"KILL 5", StatementKind::kAdmin},
      {"FROBNICATE t", StatementKind::kOther}, {"DESCRIBE t", StatementKind::kExplain},
  };
  for (const Case& entry : kCases) {
    for (Dialect dialect : {kMySql97, kMariaDb1011}) {
      const Parsed parsed(entry.sql, dialect);
      ASSERT_TRUE(parsed.ok()) << entry.sql << ": " << parsed.error;
      ASSERT_EQ(parsed.result.statements.size(), 1u) << entry.sql;
      EXPECT_EQ(parsed[0].kind, entry.kind) << entry.sql;
    }
  }
}

TEST(ParserStatement, NamesOfWhatIsNotTakenApart) {
  const Parsed parsed("CREATE TABLE `x``y` AS SELECT a FROM zoo.Caves");
  ASSERT_TRUE(parsed.ok());
  EXPECT_TRUE(Mentions(parsed[0], "x`y"));
  EXPECT_TRUE(Mentions(parsed[0], "Caves"));
  EXPECT_TRUE(Mentions(parsed[0], "a"));
}

TEST(ParserStatement, SeveralInOneText) {
  const Parsed parsed("; SELECT 1;; INSERT INTO t VALUES (?); SET @a = ?; SELECT ?;");
  ASSERT_TRUE(parsed.ok()) << parsed.error;
  ASSERT_EQ(parsed.result.statements.size(), 4u);
  EXPECT_EQ(parsed[1].kind, StatementKind::kInsert);
  EXPECT_EQ(SpanText(parsed.list, parsed[1].span), "INSERT INTO t VALUES ( ? )");
  EXPECT_EQ(parsed.result.params, 3u);
  EXPECT_EQ(parsed[1].insert->rows[0].values[0]->param_index, 0u);
  EXPECT_EQ(parsed[3].query->selects[0]->items[0].expr->param_index, 2u);
  EXPECT_FALSE(Understood("SELECT 1; UPDATE t SET"));
  EXPECT_TRUE(Understood(""));
  EXPECT_TRUE(Understood(" ; /* nothing */ ;"));
}

TEST(ParserStatement, BodiesTakeTheRest) {
  const Parsed procedure("CREATE DEFINER=a@b PROCEDURE p() BEGIN DELETE FROM t; END; SELECT 1");
  ASSERT_TRUE(procedure.ok()) << procedure.error;
  ASSERT_EQ(procedure.result.statements.size(), 1u);
  EXPECT_EQ(procedure[0].kind, StatementKind::kDdl);
  EXPECT_TRUE(Mentions(procedure[0], "t"));
  const Parsed compound("BEGIN NOT ATOMIC DELETE FROM t; END", kMariaDb1011);
  ASSERT_TRUE(compound.ok());
  ASSERT_EQ(compound.result.statements.size(), 1u);
  EXPECT_EQ(compound[0].kind, StatementKind::kCompound);
  EXPECT_TRUE(Mentions(compound[0], "t"));
  EXPECT_EQ(Parsed("IF 1 THEN DELETE FROM t; END IF", kMariaDb1011)[0].kind, StatementKind::kCompound);
}

TEST(ParserStatement, Explain) {
  const Parsed explain("EXPLAIN FORMAT=TREE UPDATE t SET a = 1");
  ASSERT_TRUE(explain.ok()) << explain.error;
  EXPECT_EQ(explain[0].kind, StatementKind::kExplain);
  EXPECT_FALSE(explain[0].analyze);
  ASSERT_NE(explain[0].inner, nullptr);
  EXPECT_EQ(explain[0].inner->kind, StatementKind::kUpdate);
  EXPECT_TRUE(Parsed("EXPLAIN ANALYZE SELECT 1")[0].analyze);
  const Parsed analyze("ANALYZE FORMAT=JSON DELETE FROM t", kMariaDb1011);
  ASSERT_TRUE(analyze.ok()) << analyze.error;
  EXPECT_TRUE(analyze[0].analyze);
  EXPECT_EQ(analyze[0].inner->kind, StatementKind::kDelete);
  const Parsed table("DESCRIBE t a");
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(table[0].inner, nullptr);
  EXPECT_TRUE(Mentions(table[0], "t"));
  EXPECT_TRUE(Understood("EXPLAIN FOR CONNECTION 5"));
  EXPECT_TRUE(Understood("EXPLAIN INTO @x SELECT 1"));
  EXPECT_FALSE(Understood("EXPLAIN FOR SCHEMA s SELECT 1 FROM t"));
}

TEST(ParserStatement, SetStatement) {
  const Parsed parsed("SET STATEMENT max_statement_time = 1, sort_buffer_size = DEFAULT FOR INSERT INTO t VALUES (1)",
                      kMariaDb1011);
  ASSERT_TRUE(parsed.ok()) << parsed.error;
  EXPECT_EQ(parsed[0].kind, StatementKind::kSetStatement);
  ASSERT_NE(parsed[0].inner, nullptr);
  EXPECT_EQ(parsed[0].inner->kind, StatementKind::kInsert);
  EXPECT_FALSE(Understood("SET STATEMENT a = 1 FOR", kMariaDb1011));
}

TEST(ParserStatement, PrepareAndExecuteImmediate) {
  const Parsed literal("PREPARE s FROM 'select ' '1'");
  ASSERT_TRUE(literal.ok());
  EXPECT_EQ(literal[0].kind, StatementKind::kPrepare);
  EXPECT_TRUE(literal[0].literal_text);
  EXPECT_EQ(literal[0].text, "select 1");
  EXPECT_FALSE(Parsed("PREPARE s FROM @a")[0].literal_text);
  EXPECT_FALSE(Parsed("PREPARE s FROM 'a' + @b", kMariaDb1011)[0].literal_text);
  const Parsed immediate("EXECUTE IMMEDIATE 'delete from t where a = ?' USING 1", kMariaDb1011);
  ASSERT_TRUE(immediate.ok());
  EXPECT_EQ(immediate[0].kind, StatementKind::kExecuteImmediate);
  EXPECT_TRUE(immediate[0].literal_text);
  EXPECT_EQ(immediate[0].text, "delete from t where a = ?");
  EXPECT_FALSE(Parsed("EXECUTE IMMEDIATE CONCAT('a', @b)", kMariaDb1011)[0].literal_text);
}

TEST(ParserStatement, OracleModeIsNotTakenApart) {
  const Parsed parsed("SELECT a FROM t; DELETE FROM u", kMariaDb1011, kOracle);
  ASSERT_TRUE(parsed.ok());
  ASSERT_EQ(parsed.result.statements.size(), 1u);
  EXPECT_EQ(parsed[0].kind, StatementKind::kOther);
  EXPECT_TRUE(Mentions(parsed[0], "u"));
}

TEST(ParserStatement, EveryPrefixIsUnderstoodOrAnError) {
  const std::string texts[] = {
      "WITH c (x) AS (SELECT 1) SELECT DISTINCT t.a, COUNT(DISTINCT b) OVER (PARTITION BY c ORDER BY d) x FROM (t LEFT JOIN u "
      "USING (a)), LATERAL (SELECT 1) z WHERE a BETWEEN 1 AND 2 AND b NOT IN (SELECT 1) GROUP BY 1 HAVING x LIMIT 1, 2",
      "INSERT INTO t (a) VALUES (CASE WHEN 1 THEN INTERVAL 1 DAY + a END, {d '2020-01-01'}) ON DUPLICATE KEY UPDATE a = VALUES(a)",
      "DELETE a.*, b FROM a JOIN b WHERE CAST(x AS CHAR(3)) = TRIM(LEADING 'x' FROM y) RETURNING 1",
      "SET STATEMENT a = 1 FOR EXPLAIN EXTENDED UPDATE t SET a = (1, 2), b := DEFAULT(c)",
  };
  for (const std::string& text : texts) {
    for (size_t length = 0; length <= text.size(); ++length) {
      Understood(text.substr(0, length));
      Understood(text.substr(length), kMariaDb1011);
    }
  }
}

}  // namespace
}  // namespace crossfade::rewrite
