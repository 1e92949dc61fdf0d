// SPDX-License-Identifier: Apache-2.0
// Expressions of column migrations: what is taken, how it reads in any session, and what is not taken and why.
#include "rewrite/column_expression.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace crossfade::rewrite {
namespace {

std::string Text(std::string_view sql) {
  const auto parsed = ColumnExpression::Parse(sql);
  return parsed.ok() ? parsed->Text("t") : "refused: " + std::string(parsed.status().message());
}

TEST(ColumnExpression, ReadsAlikeInEverySession) {
  EXPECT_EQ(Text("a"), "`t`.`a`");
  EXPECT_EQ(Text("CONCAT(a, 'x')"), "(CONCAT(`t`.`a`, _utf8mb4'x'))");
  EXPECT_EQ(Text("REPLACE(a, '\\\\', '')"), "(REPLACE(`t`.`a`, _utf8mb4 x'5C', _utf8mb4''))");
}

TEST(ColumnExpression, ACastToCharactersNamesTheirSet) {
  EXPECT_EQ(Text("CAST(a AS CHAR)"), "(CAST(`t`.`a` AS CHAR CHARACTER SET utf8mb4))");
  EXPECT_EQ(Text("CAST((a) AS char(20))"), "(CAST((`t`.`a`) AS char(20) CHARACTER SET utf8mb4))");
  EXPECT_EQ(Text("CONVERT(a + 1, CHAR(5))"), "(CONVERT(`t`.`a` + 1, CHAR(5) CHARACTER SET utf8mb4))");
  EXPECT_EQ(Text("CONCAT(CAST(a AS CHAR), CAST(CAST(b AS CHAR) AS UNSIGNED))"),
            "(CONCAT(CAST(`t`.`a` AS CHAR CHARACTER SET utf8mb4), CAST(CAST(`t`.`b` AS CHAR CHARACTER SET utf8mb4) AS UNSIGNED)))");
  for (const char* whole : {"CAST(a AS CHAR CHARACTER SET latin1)", "CAST(a AS CHAR(3) CHARSET latin1)", "CAST(a AS CHAR ASCII)", "CAST(a AS BINARY)", "CONVERT(a USING latin1)"}) {
    EXPECT_EQ(Text(whole).find("utf8mb4"), std::string::npos) << Text(whole);
    EXPECT_THAT(Text(whole), testing::Not(testing::HasSubstr("refused")));
  }
}

TEST(ColumnExpression, TextThatWouldHaveTheConnectionsCollationHasItsOwn) {
  EXPECT_EQ(Text("IF(HEX(a) LIKE '%a%', 1, 0)"), "(IF(CONVERT(HEX(`t`.`a`) USING utf8mb4) LIKE _utf8mb4'%a%', 1, 0))");
  EXPECT_EQ(Text("CONV(HEX(a), 16, 10)"), "(CONVERT(CONV(CONVERT(HEX(`t`.`a`) USING utf8mb4), 16, 10) USING utf8mb4))");
  EXPECT_EQ(Text("a LIKE '5|%' ESCAPE '|'"), "(`t`.`a` LIKE _utf8mb4'5|%' ESCAPE _utf8mb4'|')");
}

TEST(ColumnExpression, LiteralsOfADefault) {
  EXPECT_EQ(ColumnExpression::DefaultText(ColumnExpression::Parse("CONCAT(a, '\xC3\xA9''', 'x', REPLACE(b, '\\\\', '\\n'))")->Text("")),
            "(CONCAT(`a`, '\xC3\xA9''', _utf8mb4'x', REPLACE(`b`, '\\\\', '\n')))");
}

TEST(ColumnExpression, WhatDependsOnTheSessionIsNotTaken) {
  for (const char* sql : {"a / 2", "a || 'x'", "NOT a", "NOW()", "RAND()", "MD5(a)", "\"a\"", "@v", "@@sql_mode", "?", "(SELECT 1)", "t.a", "a, b", "UUID()", "DATE_FORMAT(a, '%M')",
                          "a LIKE '50\\\\%'", "a LIKE b", "IF(a < TIMESTAMP'2020-01-01 00:00:00+00:00', 1, 0)", "a < '2020-01-01 00:00:00-05:30'"}) {
    EXPECT_THAT(Text(sql), testing::HasSubstr("refused")) << sql;
  }
}

}  // namespace
}  // namespace crossfade::rewrite
