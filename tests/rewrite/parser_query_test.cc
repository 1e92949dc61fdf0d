// SPDX-License-Identifier: Apache-2.0
// SELECT and its clauses: what stands where in the tree.
#include "tests/rewrite/parser_fixture.h"

namespace crossfade::rewrite {
namespace {

std::string From(const std::string& tables, Dialect dialect = kMySql97) {
  const Parsed parsed("SELECT 1 FROM " + tables, dialect);
  if (!parsed.ok()) return "error: " + parsed.error;
  std::string out;
  for (const TableRef* table : parsed.select().from) out += (out.empty() ? "" : ", ") + Show(table);
  return out;
}

TEST(ParserQuery, ItemsAndAliases) {
  const Parsed parsed("SELECT *, a, b AS c, d e, f 'g h', t.*, s.t.*, (1 + 2) x FROM t");
  ASSERT_TRUE(parsed.ok()) << parsed.error;
  const Select& select = parsed.select();
  ASSERT_EQ(select.items.size(), 8u);
  EXPECT_EQ(select.items[0].expr->kind, ExprKind::kStar);
  EXPECT_FALSE(select.items[1].alias.present());
  EXPECT_EQ(select.items[2].alias.text, "c");
  EXPECT_EQ(select.items[3].alias.text, "e");
  EXPECT_EQ(select.items[4].alias.text, "g h");
  EXPECT_EQ(select.items[5].expr->parts.size(), 1u);
  EXPECT_EQ(select.items[6].expr->parts.size(), 2u);
  EXPECT_EQ(SpanText(parsed.list, select.items[7].span), "( 1 + 2 ) x");
  EXPECT_EQ(SpanText(parsed.list, select.items[7].expr->span), "1 + 2");
  EXPECT_EQ(SpanText(parsed.list, select.items_span), "* , a , b AS c , d e , f 'g h' , t . * , s . t . * , ( 1 + 2 ) x");
  EXPECT_FALSE(Understood("SELECT a, * FROM t"));
}

TEST(ParserQuery, ReservedWordsEndAnItem) {
  const Parsed parsed("SELECT a FROM t WHERE b");
  ASSERT_TRUE(parsed.ok());
  EXPECT_FALSE(parsed.select().items[0].alias.present());
  EXPECT_FALSE(parsed.select().from[0]->alias.present());
  EXPECT_FALSE(Understood("SELECT a where FROM t"));
  EXPECT_TRUE(Understood("SELECT a `where`, t.where FROM t"));
  // Reserved by release and engine.
  EXPECT_TRUE(Understood("SELECT 1 rank", kMySql57));
  EXPECT_FALSE(Understood("SELECT 1 rank", kMySql97));
  EXPECT_TRUE(Understood("SELECT 1 rank", kMariaDb1011));
  EXPECT_FALSE(Understood("SELECT 1 offset", kMariaDb1011));
  EXPECT_TRUE(Understood("SELECT 1 offset", kMySql97));
  const Parsed except("SELECT 1 FROM t except", kMySql57);
  ASSERT_TRUE(except.ok());
  EXPECT_EQ(except.select().from[0]->alias.text, "except");
}

TEST(ParserQuery, Clauses) {
  const Parsed parsed(
      "SELECT DISTINCT SQL_CALC_FOUND_ROWS a, SUM(b) FROM t WHERE c = 1 GROUP BY a, d WITH ROLLUP HAVING SUM(b) > 1 "
      "WINDOW w AS (PARTITION BY e ORDER BY f) ORDER BY a DESC, g LIMIT 5 OFFSET 10 FOR UPDATE OF t SKIP LOCKED");
  ASSERT_TRUE(parsed.ok()) << parsed.error;
  const Select& select = parsed.select();
  EXPECT_TRUE(select.distinct);
  EXPECT_EQ(SpanText(parsed.list, select.where->span), "c = 1");
  EXPECT_EQ(select.group_by.size(), 2u);
  EXPECT_TRUE(select.rollup);
  EXPECT_EQ(SpanText(parsed.list, select.having->span), "SUM ( b ) > 1");
  EXPECT_EQ(select.window_exprs.size(), 2u);
  ASSERT_EQ(select.order_by.size(), 2u);
  EXPECT_EQ(SpanText(parsed.list, select.order_by[0].span), "a DESC");
  EXPECT_EQ(select.limit.size(), 2u);
  EXPECT_TRUE(select.locking);
  EXPECT_FALSE(select.into);
  EXPECT_EQ(select.span.end, parsed.list.tokens.size() - 1);
}

TEST(ParserQuery, IntoAndLockingInTheirPlaces) {
  for (const char* sql : {"SELECT 1 INTO @a FROM t", "SELECT 1 FROM t INTO @a, @b", "SELECT 1 FROM t LIMIT 1 INTO @a",
                          "SELECT 1 FROM t FOR UPDATE INTO @a", "SELECT 1 FROM t INTO @a FOR UPDATE",
                          "SELECT 1 FROM t INTO DUMPFILE 'x'",
                          "SELECT 1 INTO OUTFILE 'x' CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY "
                          "'\"' LINES TERMINATED BY '\\n' FROM t"}) {
    const Parsed parsed(sql);
    ASSERT_TRUE(parsed.ok()) << sql << ": " << parsed.error;
    EXPECT_TRUE(parsed.select().into) << sql;
  }
  EXPECT_TRUE(Parsed("SELECT 1 FROM t LOCK IN SHARE MODE").select().locking);
  EXPECT_TRUE(Parsed("SELECT 1 FROM t FOR SHARE NOWAIT").select().locking);
  EXPECT_TRUE(Parsed("SELECT 1 FROM t FOR UPDATE WAIT 5", kMariaDb1011).select().locking);
  EXPECT_TRUE(Understood("SELECT 1 FROM t LIMIT ROWS EXAMINED 5", kMariaDb1011));
  EXPECT_TRUE(Understood("SELECT 1 FROM t ORDER BY a OFFSET 1 ROW FETCH NEXT 2 ROWS ONLY", kMariaDb1011));
  EXPECT_TRUE(Understood("SELECT 1 FROM t PROCEDURE ANALYSE(1, 2)", kMariaDb1011));
  EXPECT_TRUE(Understood("SELECT a FROM t QUALIFY ROW_NUMBER() OVER (ORDER BY a) = 1"));
}

TEST(ParserQuery, SetOperationsAndParentheses) {
  const Parsed parsed("SELECT 1 UNION ALL (SELECT 2 LIMIT 1) EXCEPT SELECT 3 ORDER BY 1 LIMIT 2");
  ASSERT_TRUE(parsed.ok()) << parsed.error;
  const Query& query = *parsed[0].query;
  ASSERT_EQ(query.selects.size(), 3u);
  EXPECT_NE(query.selects[1]->nested, nullptr);
  EXPECT_TRUE(query.selects[2]->order_by.empty());
  EXPECT_EQ(query.order_by.size(), 1u);
  EXPECT_EQ(query.limit.size(), 1u);
  const Parsed paren("((SELECT 1) UNION (SELECT 2)) LIMIT 1");
  ASSERT_TRUE(paren.ok()) << paren.error;
  EXPECT_EQ(paren[0].query->selects.size(), 1u);
  EXPECT_EQ(paren[0].query->selects[0]->nested->selects.size(), 2u);
  EXPECT_EQ(paren[0].query->limit.size(), 1u);
  EXPECT_FALSE(Understood("SELECT 1 ORDER BY 1 UNION SELECT 2"));
  EXPECT_TRUE(Understood("SELECT ((SELECT 1) UNION (SELECT 2)), ((SELECT 1) + 1), (((SELECT 1)))"));
}

TEST(ParserQuery, ValuesAndTable) {
  const Parsed mysql("VALUES ROW(1, 'a'), ROW(2, 'b') ORDER BY 1");
  ASSERT_TRUE(mysql.ok()) << mysql.error;
  EXPECT_TRUE(mysql.select().values_constructor);
  EXPECT_EQ(mysql.select().items.size(), 2u);
  const Parsed mariadb("VALUES (1), (2)", kMariaDb1011);
  ASSERT_TRUE(mariadb.ok()) << mariadb.error;
  EXPECT_TRUE(mariadb.select().values_constructor);
  const Parsed table("TABLE s.t LIMIT 1");
  ASSERT_TRUE(table.ok()) << table.error;
  EXPECT_TRUE(table.select().values_constructor);
  EXPECT_EQ(table.select().from[0]->table.text, "t");
  EXPECT_FALSE(Parsed("VALUES (1)").ok() && Parsed("VALUES (1)")[0].kind == StatementKind::kSelect);
}

TEST(ParserQuery, With) {
  const Parsed parsed("WITH RECURSIVE a (x, y) AS (SELECT 1, 2 UNION ALL SELECT x, y FROM a), b AS (SELECT 3) SELECT * FROM a, b");
  ASSERT_TRUE(parsed.ok()) << parsed.error;
  const Query& query = *parsed[0].query;
  EXPECT_TRUE(query.recursive);
  ASSERT_EQ(query.with.size(), 2u);
  EXPECT_EQ(query.with[0].columns.size(), 2u);
  EXPECT_EQ(query.with[1].name.text, "b");
  EXPECT_EQ(query.span.begin, 0u);
  EXPECT_TRUE(Understood("WITH a AS (SELECT 1) TABLE a FOR UPDATE"));
}

TEST(ParserQuery, Joins) {
  EXPECT_EQ(From("a, s.b AS c"), "a, s.b:c");
  EXPECT_EQ(From("a JOIN b ON x JOIN c ON y"), "(inner (inner a b on) c on)");
  EXPECT_EQ(From("a JOIN b JOIN c ON x ON y"), "(inner a (inner b c on) on)");
  EXPECT_EQ(From("a LEFT JOIN b JOIN c ON x ON y"), "(left a (inner b c on) on)");
  EXPECT_EQ(From("a LEFT OUTER JOIN b USING (x, y) CROSS JOIN c"), "(cross (left a b using) c)");
  EXPECT_EQ(From("a NATURAL RIGHT JOIN b STRAIGHT_JOIN c"), "(straight (natural-right a b) c)");
  EXPECT_EQ(From("(a, b JOIN c ON x) LEFT JOIN d ON y"), "(left {(cross a (inner b c on))} d on)");
  EXPECT_EQ(From("{OJ a LEFT JOIN b ON x}"), "{(left a b on)}");
  EXPECT_EQ(From("(SELECT 1) x, LATERAL (SELECT x.a) AS y (b)"), "(query):x, (query):y");
  EXPECT_EQ(From("((SELECT 1) UNION (SELECT 2)) x"), "(query):x");
  EXPECT_EQ(From("((SELECT 1) x JOIN y)"), "{(inner (query):x y)}");
  EXPECT_EQ(From("a PARTITION (p0, p1) AS b USE INDEX (i) IGNORE KEY FOR ORDER BY (PRIMARY)"), "a:b");
  EXPECT_EQ(From("JSON_TABLE(x.j, '$' COLUMNS (a INT PATH '$.a')) AS t"), "(other):t");
  EXPECT_EQ(From("a FOR SYSTEM_TIME AS OF TIMESTAMP '2020-01-01' AS b JOIN c", kMariaDb1011), "(inner a:b c)");
  EXPECT_EQ(From("a FOR SYSTEM_TIME BETWEEN 1 AND 2", kMariaDb1011), "a");
  EXPECT_EQ(From("dual"), "");
  EXPECT_TRUE(From("a LEFT JOIN b").starts_with("error"));
  EXPECT_TRUE(From("a NATURAL JOIN b ON x").starts_with("error"));
  EXPECT_TRUE(From("(SELECT 1) 'x'").starts_with("error"));
}

TEST(ParserQuery, LongChainsDoNotGrowTheStack) {
  std::string on = "SELECT 1 FROM t", bare = on, list = on, terms = "SELECT 1";
  for (int i = 0; i < 20'000; ++i) {
    on += " JOIN t ON 1";
    bare += " JOIN t";
    list += ", t";
    terms += " UNION SELECT 1";
  }
  EXPECT_FALSE(Understood(on));
  EXPECT_FALSE(Understood(bare));
  EXPECT_TRUE(Understood(list));
  EXPECT_TRUE(Understood(terms));
}

}  // namespace
}  // namespace crossfade::rewrite
