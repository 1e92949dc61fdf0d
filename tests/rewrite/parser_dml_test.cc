// SPDX-License-Identifier: Apache-2.0
// INSERT, REPLACE, UPDATE, DELETE.
#include "tests/rewrite/parser_fixture.h"

namespace crossfade::rewrite {
namespace {

TEST(ParserDml, InsertRows) {
  const Parsed parsed("INSERT IGNORE INTO s.t (a, t.b, `c d`) VALUES (1, DEFAULT, now()), (?, 'x', (SELECT 1))");
  ASSERT_TRUE(parsed.ok()) << parsed.error;
  const Insert& insert = *parsed[0].insert;
  EXPECT_TRUE(insert.ignore);
  EXPECT_FALSE(insert.replace);
  EXPECT_EQ(insert.target->schema.text, "s");
  EXPECT_EQ(insert.target->table.text, "t");
  EXPECT_EQ(SpanText(parsed.list, insert.target->span), "s . t");
  EXPECT_EQ(SpanText(parsed.list, insert.columns_span), "( a , t . b , `c d` )");
  ASSERT_EQ(insert.columns.size(), 3u);
  EXPECT_EQ(insert.columns[1].text, "b");
  EXPECT_EQ(insert.columns[2].text, "c d");
  EXPECT_EQ(SpanText(parsed.list, insert.values_keyword), "VALUES");
  ASSERT_EQ(insert.rows.size(), 2u);
  EXPECT_EQ(SpanText(parsed.list, insert.rows[0].span), "( 1 , DEFAULT , now ( ) )");
  EXPECT_EQ(insert.rows[0].values[1]->kind, ExprKind::kDefault);
  EXPECT_EQ(insert.rows[1].values[0]->kind, ExprKind::kParam);
  EXPECT_EQ(insert.rows[1].values[2]->kind, ExprKind::kSubquery);
}

TEST(ParserDml, InsertForms) {
  const Parsed bare("INSERT t VALUE ()");
  ASSERT_TRUE(bare.ok()) << bare.error;
  EXPECT_FALSE(bare[0].insert->has_columns);
  EXPECT_TRUE(bare[0].insert->rows[0].values.empty());
  const Parsed empty("INSERT INTO t () VALUES ()");
  ASSERT_TRUE(empty.ok());
  EXPECT_TRUE(empty[0].insert->has_columns);
  EXPECT_TRUE(empty[0].insert->columns.empty());
  const Parsed set("REPLACE DELAYED t PARTITION (p0) SET a = 1, t.b = DEFAULT");
  ASSERT_TRUE(set.ok()) << set.error;
  EXPECT_TRUE(set[0].insert->replace);
  EXPECT_TRUE(set[0].insert->delayed);
  EXPECT_TRUE(set[0].insert->target->partition);
  EXPECT_EQ(set[0].insert->set.size(), 2u);
  EXPECT_EQ(set[0].insert->set[1].value->kind, ExprKind::kDefault);
  for (const char* sql : {"INSERT INTO t SELECT 1", "INSERT INTO t (a) SELECT 1", "INSERT INTO t (SELECT 1)",
                          "INSERT INTO t (a) (SELECT 1)", "INSERT INTO t ((SELECT 1) UNION (SELECT 2))",
                          "INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x", "INSERT INTO t TABLE u",
                          "INSERT INTO t VALUES ROW(1), ROW(2) ORDER BY 1", "INSERT INTO t VALUES ROW(1) UNION SELECT 2"}) {
    const Parsed parsed(sql);
    ASSERT_TRUE(parsed.ok()) << sql << ": " << parsed.error;
    EXPECT_NE(parsed[0].insert->query, nullptr) << sql;
    EXPECT_TRUE(parsed[0].insert->rows.empty()) << sql;
  }
  const Parsed rows("INSERT INTO t VALUES ROW(1), ROW(2) ON DUPLICATE KEY UPDATE a = 1");
  ASSERT_TRUE(rows.ok()) << rows.error;
  EXPECT_EQ(rows[0].insert->query, nullptr);
  EXPECT_EQ(rows[0].insert->rows.size(), 2u);
}

TEST(ParserDml, OnDuplicateKeyUpdate) {
  const Parsed parsed("INSERT INTO t (a) VALUES (1) AS new (x) ON DUPLICATE KEY UPDATE a = VALUES(a) + new.x, b = DEFAULT");
  ASSERT_TRUE(parsed.ok()) << parsed.error;
  const Insert& insert = *parsed[0].insert;
  EXPECT_EQ(insert.row_alias.text, "new");
  EXPECT_EQ(insert.row_alias_columns.size(), 1u);
  ASSERT_EQ(insert.on_duplicate.size(), 2u);
  EXPECT_EQ(Show(parsed.list, insert.on_duplicate[0].value), "(arith (values a) new . x)");
  EXPECT_TRUE(Understood("INSERT INTO t SELECT * FROM u JOIN v USING (a) ON DUPLICATE KEY UPDATE a = 1"));
  EXPECT_TRUE(Understood("INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = VALUES(a)", kMariaDb1011));
  EXPECT_TRUE(Understood("INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = VALUE(a)", kMariaDb1011));
  // MariaDB takes VALUES in a subquery for a table value constructor.
  const Parsed sub("INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = (SELECT VALUES(b))", kMariaDb1011);
  EXPECT_FALSE(sub.ok());
  EXPECT_FALSE(Understood("REPLACE INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = 1"));
  EXPECT_FALSE(Understood("INSERT INTO t VALUES (1) AS new", kMariaDb1011));
}

TEST(ParserDml, Returning) {
  const Parsed insert("INSERT INTO t VALUES (1) RETURNING a, b AS c", kMariaDb1011);
  ASSERT_TRUE(insert.ok()) << insert.error;
  EXPECT_EQ(insert[0].insert->returning.size(), 2u);
  const Parsed del("DELETE FROM t WHERE a = 1 RETURNING *", kMariaDb1011);
  ASSERT_TRUE(del.ok()) << del.error;
  EXPECT_EQ(del[0].del->returning[0].expr->kind, ExprKind::kStar);
  EXPECT_FALSE(Understood("INSERT INTO t VALUES (1) RETURNING a"));
}

TEST(ParserDml, Update) {
  const Parsed parsed("UPDATE LOW_PRIORITY IGNORE t AS x SET a = 1, x.b = DEFAULT WHERE c = 2 ORDER BY d DESC LIMIT 3");
  ASSERT_TRUE(parsed.ok()) << parsed.error;
  const Update& update = *parsed[0].update;
  EXPECT_TRUE(update.ignore);
  ASSERT_EQ(update.tables.size(), 1u);
  EXPECT_EQ(update.tables[0]->kind, TableRef::kTable);
  EXPECT_EQ(update.tables[0]->alias.text, "x");
  ASSERT_EQ(update.set.size(), 2u);
  EXPECT_EQ(SpanText(parsed.list, update.set[0].span), "a = 1");
  EXPECT_EQ(update.set[1].column->parts.size(), 2u);
  EXPECT_EQ(update.order_by.size(), 1u);
  EXPECT_NE(update.limit, nullptr);
  const Parsed multi("WITH c AS (SELECT 1 a) UPDATE t JOIN c ON t.a = c.a, u SET t.b = u.b");
  ASSERT_TRUE(multi.ok()) << multi.error;
  EXPECT_EQ(multi[0].update->with.size(), 1u);
  EXPECT_EQ(multi[0].update->tables.size(), 2u);
}

TEST(ParserDml, Delete) {
  const Parsed single("DELETE QUICK IGNORE FROM s.t AS x PARTITION (p0) WHERE a = 1 ORDER BY b LIMIT 2");
  ASSERT_TRUE(single.ok()) << single.error;
  EXPECT_FALSE(single[0].del->multi);
  EXPECT_TRUE(single[0].del->ignore);
  ASSERT_EQ(single[0].del->tables.size(), 1u);
  EXPECT_EQ(single[0].del->tables[0]->alias.text, "x");
  EXPECT_TRUE(single[0].del->tables[0]->partition);
  for (const char* sql : {"DELETE a, s.b.* FROM a JOIN b ON x WHERE y", "DELETE FROM a, s.b.* USING a JOIN b ON x WHERE y"}) {
    const Parsed parsed(sql);
    ASSERT_TRUE(parsed.ok()) << sql << ": " << parsed.error;
    const Delete& del = *parsed[0].del;
    EXPECT_TRUE(del.multi);
    ASSERT_EQ(del.targets.size(), 2u);
    EXPECT_EQ(del.targets[1]->schema.text, "s");
    EXPECT_EQ(del.targets[1]->table.text, "b");
    EXPECT_EQ(del.tables.size(), 1u);
  }
  EXPECT_FALSE(Understood("DELETE HISTORY FROM t", kMariaDb1011));
  EXPECT_FALSE(Understood("DELETE FROM t FOR PORTION OF p FROM 1 TO 2", kMariaDb1011));
}

TEST(ParserDml, NotUnderstoodIsAnError) {
  for (const char* sql : {"INSERT INTO t VALUES (1", "INSERT INTO t VALUES 1", "INSERT INTO t (a VALUES (1)", "INSERT t",
                          "INSERT INTO t SET", "UPDATE t SET", "UPDATE t SET a", "UPDATE t a = 1", "DELETE", "DELETE t",
                          "UPDATE t SET a = 1 WHERE", "DELETE FROM t LIMIT 1, 2", "INSERT INTO t VALUES (1) x",
                          "UPDATE t SET a = 1 b", "SELECT", "SELECT FROM t", "SELECT 1 FROM", "SELECT (1", "SELECT 1)",
                          "SELECT 1 2", "WITH a AS (SELECT 1)", "WITH a AS (SELECT 1) INSERT INTO t SELECT 1"}) {
    EXPECT_FALSE(Understood(sql)) << sql;
    EXPECT_FALSE(Understood(sql, kMariaDb1011)) << sql;
  }
}

}  // namespace
}  // namespace crossfade::rewrite
