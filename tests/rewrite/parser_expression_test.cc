// SPDX-License-Identifier: Apache-2.0
// Precedence and the special forms of expressions, as trees.
#include "tests/rewrite/parser_fixture.h"

namespace crossfade::rewrite {
namespace {

TEST(ParserExpression, Precedence) {
  EXPECT_EQ(ShowExpr("a or b and c xor d"), "(or a (xor (and b c) d))");
  EXPECT_EQ(ShowExpr("a or b or c || d"), "(or a b c d)");
  EXPECT_EQ(ShowExpr("a and b && c"), "(and a b c)");
  EXPECT_EQ(ShowExpr("not a = b and c"), "(and (not (= a b)) c)");
  EXPECT_EQ(ShowExpr("not a is null"), "(not (is a))");
  EXPECT_EQ(ShowExpr("a = b = c"), "(= (= a b) c)");
  EXPECT_EQ(ShowExpr("a = b is null"), "(is (= a b))");
  EXPECT_EQ(ShowExpr("a + b * c - d"), "(arith a (arith b c) d)");
  EXPECT_EQ(ShowExpr("a | b & c << d + e * f ^ -g"),
            "(arith a (arith b (arith c (arith d (arith e (arith f (neg g)))))))");
  EXPECT_EQ(ShowExpr("a div b mod c"), "(arith a b c)");
  EXPECT_EQ(ShowExpr("-a collate utf8mb4_bin"), "(neg (collate a))");
  EXPECT_EQ(ShowExpr("binary a = b"), "(= (cast a) b)");
  EXPECT_EQ(ShowExpr("! a + b"), "(arith (not a) b)");
  EXPECT_EQ(ShowExpr("(a or b) and (c)"), "(and (or a b) c)");
  EXPECT_EQ(ShowExpr("a := b or c"), "error: not understood near ':= b or c'");
  EXPECT_EQ(ShowExpr("1 + @a := b or c"), "(arith 1 (assign @a (or b c)))");
}

TEST(ParserExpression, ModesChangeTheTree) {
  EXPECT_EQ(ShowExpr("a || b and c"), "(or a (and b c))");
  EXPECT_EQ(ShowExpr("a || b and c", kMySql97, kPipesAsConcat), "(and (concat a b) c)");
  EXPECT_EQ(ShowExpr("-a || b ^ c || d", kMySql97, kPipesAsConcat), "(arith (concat (neg a) b) (concat c d))");
  EXPECT_EQ(ShowExpr("not a = b", kMySql97, kHighNotPrecedence), "(= (not a) b)");
  EXPECT_EQ(ShowExpr("a not in (1)", kMySql97, kHighNotPrecedence), "(not-in a 1)");
  EXPECT_EQ(ShowExpr("\"a\""), "\"a\"");
  const Parsed ansi("SELECT \"a\"", kMySql97, kAnsiQuotes);
  ASSERT_TRUE(ansi.ok());
  EXPECT_EQ(ansi.select().items[0].expr->kind, ExprKind::kColumn);
}

TEST(ParserExpression, Predicates) {
  EXPECT_EQ(ShowExpr("a in (1, 2) and b not in (select 1)"), "(and (in a 1 2) (not-in b <select 1>))");
  EXPECT_EQ(ShowExpr("a in ((select 1))"), "(in a <( select 1 )>)");
  EXPECT_EQ(ShowExpr("a in ((select 1), 2)"), "(in a (subquery <select 1>) 2)");
  EXPECT_EQ(ShowExpr("(a, b) in ((1, 2), row(3, 4))"), "(in (row a b) (row 1 2) (row 3 4))");
  EXPECT_EQ(ShowExpr("a between 1 and 2 and c"), "(and (between a 1 2) c)");
  EXPECT_EQ(ShowExpr("a not like 'x' escape '!'"), "(not-like a 'x' '!')");
  EXPECT_EQ(ShowExpr("a regexp b + c"), "(like a (arith b c))");
  EXPECT_EQ(ShowExpr("a sounds like b"), "(other a b)");
  EXPECT_EQ(ShowExpr("a member of (b)"), "(other a b)");
  EXPECT_EQ(ShowExpr("a = any (select 1)"), "(= a <select 1>)");
  EXPECT_EQ(ShowExpr("a is not true"), "(not-is a)");
  EXPECT_EQ(ShowExpr("exists (select 1)"), "(exists <select 1>)");
  EXPECT_FALSE(Understood("SELECT a IN (1) IN (1)"));
  EXPECT_FALSE(Understood("SELECT a BETWEEN 1 AND 2 LIKE 'x'"));
  EXPECT_FALSE(Understood("SELECT a IN ()"));
  EXPECT_FALSE(Understood("SELECT a = NOT b"));
}

TEST(ParserExpression, Literals) {
  const Parsed parsed("SELECT 'a' 'b''c', _latin1 x'41', DATE '2020-01-01', {ts '2020-01-01'}, NULL, TRUE, N'x', ?, 1.5");
  ASSERT_TRUE(parsed.ok()) << parsed.error;
  const auto& items = parsed.select().items;
  ASSERT_EQ(items.size(), 9u);
  EXPECT_EQ(items[0].expr->kind, ExprKind::kString);
  EXPECT_EQ(items[0].expr->text, "ab'c");
  EXPECT_EQ(items[1].expr->kind, ExprKind::kHex);
  EXPECT_EQ(items[1].expr->charset, "latin1");
  EXPECT_EQ(items[2].expr->kind, ExprKind::kTemporal);
  EXPECT_EQ(items[2].expr->text, "2020-01-01");
  EXPECT_EQ(items[3].expr->kind, ExprKind::kTemporal);
  EXPECT_EQ(items[4].expr->kind, ExprKind::kNull);
  EXPECT_EQ(items[5].expr->kind, ExprKind::kBool);
  EXPECT_EQ(items[6].expr->text, "x");
  EXPECT_EQ(items[7].expr->kind, ExprKind::kParam);
  EXPECT_EQ(items[8].expr->kind, ExprKind::kDecimal);
  EXPECT_EQ(parsed.result.params, 1u);
  EXPECT_FALSE(Understood("SELECT _klingon'x'"));
}

TEST(ParserExpression, Functions) {
  EXPECT_EQ(ShowExpr("concat(a, 'b')"), "(call:concat a 'b')");
  EXPECT_EQ(ShowExpr("now()"), "(call:now)");
  EXPECT_EQ(ShowExpr("current_timestamp"), "(call:current_timestamp)");
  EXPECT_EQ(ShowExpr("left (a, 1)"), "(call:left a 1)");
  EXPECT_EQ(ShowExpr("s.f(a)"), "(call:f a)");
  EXPECT_EQ(ShowExpr("count(*)"), "(call:count)");
  EXPECT_EQ(ShowExpr("count(distinct a, b)"), "(call:count a b)");
  EXPECT_EQ(ShowExpr("group_concat(distinct a order by b desc separator '-')"), "(call:group_concat a b)");
  EXPECT_EQ(ShowExpr("trim(leading 'x' from a)"), "(call:trim 'x' a)");
  EXPECT_EQ(ShowExpr("trim(a)"), "(call:trim a)");
  EXPECT_EQ(ShowExpr("substring(a from 2 for 3)"), "(call:substring a 2 3)");
  EXPECT_EQ(ShowExpr("position('a' in b)"), "(call:position 'a' b)");
  EXPECT_EQ(ShowExpr("extract(day_hour from a)"), "(call:extract a)");
  EXPECT_EQ(ShowExpr("timestampdiff(day, a, b)"), "(call:timestampdiff a b)");
  EXPECT_EQ(ShowExpr("date_add(a, interval 1 + b day)"), "(call:date_add a (interval (arith 1 b)))");
  EXPECT_EQ(ShowExpr("a - interval 1 day + b"), "(arith a (interval 1) b)");
  EXPECT_EQ(ShowExpr("interval 1 day + a"), "(arith (interval 1) a)");
  EXPECT_EQ(ShowExpr("interval(1, 2, 3)"), "(call:INTERVAL 1 2 3)");
  EXPECT_EQ(ShowExpr("a + interval (1) day"), "(arith a (interval 1))");
  EXPECT_EQ(ShowExpr("cast(a as char(10) character set utf8mb4)"), "(cast a)");
  EXPECT_EQ(ShowExpr("convert(a, decimal(10, 2))"), "(cast a)");
  EXPECT_EQ(ShowExpr("convert(a using utf8mb4)"), "(cast a)");
  EXPECT_EQ(ShowExpr("char(65 using utf8mb4)"), "(call:char 65)");
  EXPECT_EQ(ShowExpr("case a when 1 then b else c end"), "(case a 1 b c)");
  EXPECT_EQ(ShowExpr("match(a, t.b) against ('x' in boolean mode)"), "(match a t . b 'x')");
  EXPECT_EQ(ShowExpr("a->>'$.x'"), "(call:->> a '$.x')");
  EXPECT_EQ(ShowExpr("default(a)"), "(default a)");
  EXPECT_EQ(ShowExpr("row_number() over (partition by a order by b rows between 1 preceding and current row)"),
            "(call:row_number a b 1)");
  EXPECT_EQ(ShowExpr("sum(a) over w"), "(call:sum a)");
  EXPECT_EQ(ShowExpr("{fn ucase(a)}"), "(other (call:ucase a))");
  EXPECT_EQ(ShowExpr("next value for s.q", kMariaDb1011), "(call:NEXT VALUE FOR)");
  EXPECT_EQ(ShowExpr("json_value(a, '$.x' returning char(3) default 'q' on empty error on error)"),
            "(call:json_value a '$.x' 'q')");
  EXPECT_FALSE(Understood("SELECT COUNT (*) FROM t"));
  EXPECT_TRUE(Understood("SELECT COUNT (*) FROM t", kMySql97, kIgnoreSpace));
  EXPECT_FALSE(Understood("SELECT a->'$.x' FROM t", kMariaDb1011));
  EXPECT_FALSE(Understood("SELECT INTERVAL 1 DAY + a = b"));
}

TEST(ParserExpression, DepthIsLimited) {
  const auto nested = [](size_t depth) { return "SELECT " + std::string(depth, '(') + "1" + std::string(depth, ')'); };
  EXPECT_TRUE(Understood(nested(150)));
  EXPECT_FALSE(Understood(nested(250)));
  EXPECT_FALSE(Understood(nested(100'000)));
  EXPECT_FALSE(Understood("SELECT " + std::string(100'000, '-') + "1"));
  std::string text = "SELECT ";
  for (int i = 0; i < 20'000; ++i) text += "NOT ";
  EXPECT_FALSE(Understood(text + "1"));
  text = "SELECT 1";
  for (int i = 0; i < 20'000; ++i) text += " = 1";
  EXPECT_FALSE(Understood(text));
  text = "SELECT ";
  for (int i = 0; i < 20'000; ++i) text += "(SELECT ";
  EXPECT_FALSE(Understood(text));
  // Long lists are no depth.
  text = "SELECT 1 IN (1";
  for (int i = 0; i < 20'000; ++i) text += ", 1";
  EXPECT_TRUE(Understood(text + ")"));
  text = "SELECT 1";
  for (int i = 0; i < 20'000; ++i) text += " OR a = 1";
  EXPECT_TRUE(Understood(text));
}

TEST(ParserExpression, MemoryIsLimited) {
  std::string text = "SELECT 1 IN (1";
  for (int i = 0; i < 2'000'000; ++i) text += ",1";
  EXPECT_EQ(Parsed(text + ")").error.substr(0, 19), "statement too large");
}

}  // namespace
}  // namespace crossfade::rewrite
