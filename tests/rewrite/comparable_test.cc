// SPDX-License-Identifier: Apache-2.0
// Which reads are run on both sides and compared (docs/cutover.md, "Not compared"), and by which names they are ordered.
#include "rewrite/comparable.h"

#include <gtest/gtest.h>

namespace crossfade::rewrite {
namespace {

Comparable Of(std::string_view sql) { return IsComparable(sql, SessionFacts(), {Flavor::kMySql, 90700}); }

TEST(Comparable, OnePlainSelect) {
  for (const char* sql : {"SELECT a FROM t", "select a from t;", "SELECT COUNT(*), MAX(a) FROM t WHERE b IN (1, 2)", "SELECT a FROM t WHERE b = (SELECT MAX(b) FROM s)",
                          "SELECT DATE_ADD(d, INTERVAL 1 DAY) FROM t", "SELECT CONCAT(a, 'for; @x') FROM t", "SELECT a FROM t ORDER BY a LIMIT 3", "SELECT `rand` FROM t",
                          "SELECT a FROM t JOIN s USING (id) GROUP BY a HAVING COUNT(*) > 1"})
    EXPECT_TRUE(Of(sql).yes) << sql;
}

TEST(Comparable, WhatIsNot) {
  for (const char* sql :
       {"", ";", "INSERT INTO t VALUES (1)", "WITH c AS (SELECT 1) SELECT * FROM c", "(SELECT a FROM t)", "SELECT a FROM t; SELECT 2",  // not one plain SELECT
        "SELECT a FROM t FOR UPDATE", "SELECT a FROM t FOR SHARE", "SELECT a FROM t LOCK IN SHARE MODE",                                // it locks
        "SELECT a INTO @x FROM t", "SELECT a FROM t INTO OUTFILE '/tmp/x'", "SELECT @x", "SELECT @x := a FROM t", "SELECT @@sql_mode, a FROM t",
        "SELECT /*!40001 SQL_NO_CACHE */ a FROM t", "SELECT SQL_CALC_FOUND_ROWS a FROM t",
        "SELECT a FROM t LIMIT 3", "SELECT a FROM t WHERE b IN (SELECT b FROM s ORDER BY b LIMIT 1)", "SELECT a FROM t ORDER BY a LIMIT 3 OFFSET 2",
        "SELECT RAND(), a FROM t", "SELECT UUID(), a FROM t", "SELECT NOW(), a FROM t", "SELECT CURRENT_TIMESTAMP, a FROM t", "SELECT LAST_INSERT_ID(), a FROM t",
        "SELECT FOUND_ROWS(), a FROM t", "SELECT ROW_COUNT()", "SELECT GET_LOCK('x', 1), a FROM t", "SELECT SLEEP(1), a FROM t", "SELECT CONNECTION_ID(), a FROM t",
        "SELECT USER(), a FROM t", "SELECT CURRENT_USER, a FROM t", "SELECT GROUP_CONCAT(a) FROM t", "SELECT mine(a) FROM t", "SELECT `mine`(a) FROM t", "SELECT shop.mine(a) FROM t",
        "SELECT shop.count(a) FROM t", "SELECT ROW_NUMBER() OVER (ORDER BY a) FROM t", "SELECT NEXTVAL(s)", "SELECT NEXT VALUE FOR s", "SELECT a FROM t WHERE b = ?",
        "SELECT 'unterminated FROM t"})
    EXPECT_FALSE(Of(sql).yes) << sql;
}

TEST(Comparable, OrderIsByNamesAsFarAsTheyGo) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(Of("SELECT a FROM t").ordered, Names());
  EXPECT_FALSE(Of("SELECT a FROM t").limited);
  EXPECT_EQ(Of("SELECT a FROM t ORDER BY a, t.b DESC, `c d` ASC").ordered, (Names{"a", "b", "c d"}));
  EXPECT_EQ(Of("SELECT a FROM t ORDER BY a, b + 1, c").ordered, Names{"a"});
  EXPECT_EQ(Of("SELECT a FROM t ORDER BY 1, a").ordered, Names());
  EXPECT_EQ(Of("SELECT a FROM t ORDER BY LOWER(a), b").ordered, Names());
  EXPECT_EQ(Of("SELECT a FROM (SELECT a FROM s ORDER BY z) t").ordered, Names());
  const Comparable limited = Of("SELECT a FROM t ORDER BY a, b LIMIT 10, 5");
  EXPECT_TRUE(limited.limited);
  EXPECT_EQ(limited.ordered, (Names{"a", "b"}));
}

}  // namespace
}  // namespace crossfade::rewrite
