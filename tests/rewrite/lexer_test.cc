// SPDX-License-Identifier: Apache-2.0
// The lexer against what MySQL 9.7 and MariaDB 10.11 were seen to do with the same bytes.
#include "rewrite/lexer.h"

#include <string>

#include "fmt/format.h"
#include "gtest/gtest.h"

namespace crossfade::rewrite {
namespace {

constexpr Dialect kMySql97{Flavor::kMySql, 90704};
constexpr Dialect kMariaDb1011{Flavor::kMariaDb, 101119};

// Tokens as "kind:text" separated by spaces; "error: ..." if there are none.
std::string Show(std::string_view sql, Dialect dialect = kMySql97, uint32_t mode = kStrict,
                 std::string charset = "utf8mb4") {
  SessionFacts facts;
  facts.sql_mode = mode;
  facts.charset = std::move(charset);
  TokenList list;
  const absl::Status status = Lex(sql, facts, dialect, &list);
  if (!status.ok()) return "error: " + std::string(status.message().data(), status.message().size());
  static constexpr const char* kNames[] = {"w", "q", "s", "i", "d", "f", "x", "b", "?", "@", "@@", "o", "end"};
  std::string out;
  for (uint32_t i = 0; i + 1 < list.tokens.size(); ++i) {
    const Token& token = list.tokens[i];
    if (!out.empty()) out += ' ';
    out += fmt::format("{}:{}", kNames[static_cast<int>(token.kind)], list.Text(i));
    if (token.in_version_comment) out += '!';
  }
  EXPECT_EQ(list.tokens.back().kind, TokenKind::kEnd);
  return out;
}

bool Fails(std::string_view sql, Dialect dialect = kMySql97, uint32_t mode = kStrict,
           std::string charset = "utf8mb4") {
  return Show(sql, dialect, mode, std::move(charset)).starts_with("error: ");
}

std::string Value(std::string_view sql, uint32_t mode = kStrict, std::string charset = "utf8mb4") {
  SessionFacts facts;
  facts.sql_mode = mode;
  facts.charset = std::move(charset);
  TokenList list;
  EXPECT_TRUE(Lex(sql, facts, kMySql97, &list).ok()) << sql;
  return TokenValue(list, 0, facts);
}

TEST(Lexer, WordsNumbersAndOperators) {
  EXPECT_EQ(Show("SELECT a,`b c` FROM t WHERE x<=>1"),
            "w:SELECT w:a o:, q:`b c` w:FROM w:t w:WHERE w:x o:<=> i:1");
  EXPECT_EQ(Show("1 1.5 .5 1. 1e5 1.e5 1E+5 1.5e-3"), "i:1 d:1.5 d:.5 d:1. f:1e5 f:1.e5 f:1E+5 f:1.5e-3");
  EXPECT_EQ(Show("0x1F x'1f' X'1F' 0b01 b'01' B'0'"), "x:0x1F x:x'1f' x:X'1F' b:0b01 b:b'01' b:B'0'");
  EXPECT_EQ(Show("a->'$.x' b->>\"y\""), "w:a o:-> s:'$.x' w:b o:->> s:\"y\"");
  EXPECT_EQ(Show(":= != <> << >> || && | & ^ ~ >="), "o::= o:!= o:<> o:<< o:>> o:|| o:&& o:| o:& o:^ o:~ o:>=");
  EXPECT_EQ(Show("a=-1"), "w:a o:= o:- i:1");
  EXPECT_EQ(Show("N'x' _utf8'x' n"), "s:N'x' w:_utf8 s:'x' w:n");
  EXPECT_EQ(Show("a = ? and b=?"), "w:a o:= ?:? w:and w:b o:= ?:?");
}

TEST(Lexer, NamesThatStartWithDigits) {
  EXPECT_EQ(Show("1a"), "w:1a");
  EXPECT_EQ(Show("1ea"), "w:1ea");
  EXPECT_EQ(Show("1e5a"), "f:1e5 w:a");
  EXPECT_EQ(Show("0xg 0x 0b2 0X1F"), "w:0xg w:0x w:0b2 w:0X1F");
  EXPECT_EQ(Show("t.1a"), "w:t o:. w:1a");
  EXPECT_EQ(Show("t.1e5"), "w:t o:. w:1e5");
  EXPECT_EQ(Show("1.a"), "d:1. w:a");
  EXPECT_EQ(Show("t .1"), "w:t d:.1");
  EXPECT_EQ(Show("`t`.a1.select"), "q:`t` o:. w:a1 o:. w:select");
  EXPECT_EQ(Show("a$b _x $a"), "w:a$b w:_x w:$a");
  EXPECT_TRUE(Fails("1.5ex"));
}

TEST(Lexer, NameOnlyAfterADot) {
  SessionFacts facts;
  TokenList list;
  ASSERT_TRUE(Lex("t.select, t. select, 1a", facts, kMySql97, &list).ok());
  EXPECT_FALSE(list.tokens[0].name_only);
  EXPECT_TRUE(list.tokens[2].name_only);
  EXPECT_FALSE(list.tokens[6].name_only);  // a space between: the servers look it up as a keyword
  EXPECT_TRUE(list.tokens[8].name_only);
}

TEST(Lexer, Strings) {
  EXPECT_EQ(Show("'a''b' 'a\\'b' \"a\"\"b\""), "s:'a''b' s:'a\\'b' s:\"a\"\"b\"");
  EXPECT_EQ(Show("'a\\' 'b'", kMySql97, kNoBackslashEscapes), "s:'a\\' s:'b'");
  EXPECT_EQ(Show("\"a\\\"", kMySql97, kAnsiQuotes), "q:\"a\\\"");
  EXPECT_EQ(Show(std::string_view("'a\0b'", 5)), std::string("s:'a\0b'", 7));
  EXPECT_TRUE(Fails("'a"));
  EXPECT_TRUE(Fails("'a\\'"));
  EXPECT_TRUE(Fails("`a"));
  EXPECT_TRUE(Fails("x'1'"));
  EXPECT_TRUE(Fails("x'1g'"));
  EXPECT_TRUE(Fails("b'2'"));
}

TEST(Lexer, Values) {
  EXPECT_EQ(Value("'a''b\\n\\Z\\%\\q'"), "a'b\n\x1A\\%q");
  EXPECT_EQ(Value("'a\\n'", kNoBackslashEscapes), "a\\n");
  EXPECT_EQ(Value("\"a\"\"b'\""), "a\"b'");
  EXPECT_EQ(Value("`a``b\\n`"), "a`b\\n");
  EXPECT_EQ(Value("N'x\\'y'"), "x'y");
  EXPECT_EQ(Value("@`a b`"), "a b");
  EXPECT_EQ(Value("@'a\\'b'"), "a'b");
  EXPECT_EQ(Value("@a.b"), "a.b");
  EXPECT_EQ(Value("@@`x`"), "x");
  EXPECT_EQ(Value("12"), "12");
  EXPECT_EQ(Value("'\xBF\\'", kStrict, "gbk"), "\xBF\\");
}

TEST(Lexer, TrailingBytesThatLookLikeQuotes) {
  // 0xBF5C is one character of gbk; in utf8mb4 the backslash escapes the quote.
  EXPECT_EQ(Show("'\xBF\\' or 1", kMySql97, kStrict, "gbk"), "s:'\xBF\\' w:or i:1");
  EXPECT_TRUE(Fails("'\xBF\\' or 1", kMySql97, kStrict, "utf8mb4"));
  EXPECT_EQ(Show("'\x95\\' or 1", kMySql97, kStrict, "sjis"), "s:'\x95\\' w:or i:1");
  EXPECT_EQ(Show("'\x95\\' or 1", kMySql97, kStrict, "cp932"), "s:'\x95\\' w:or i:1");
  EXPECT_EQ(Show("'\xA5\\' or 1", kMySql97, kStrict, "big5"), "s:'\xA5\\' w:or i:1");
  EXPECT_EQ(Show("'\x81\x30\x81\x30' 1", kMySql97, kStrict, "gb18030"), "s:'\x81\x30\x81\x30' i:1");
  EXPECT_EQ(Show("`\x81`` 1", kMySql97, kStrict, "gbk"), "q:`\x81`` i:1");
  // A lead byte before a quote is no character: the quote ends the string.
  EXPECT_EQ(Show("'\xBF' 1", kMySql97, kStrict, "gbk"), "s:'\xBF' i:1");
  // The backslash takes one byte, the lead byte, and the next backslash takes the quote.
  EXPECT_TRUE(Fails("'\\\xBF\\'", kMySql97, kStrict, "gbk"));
  EXPECT_TRUE(Fails("`\xE4`", kMySql97));  // MySQL would skip two bytes more
}

TEST(Lexer, BytesFrom0x80InNames) {
  EXPECT_EQ(Show("h\xC3\xB6he=1"), "w:h\xC3\xB6he o:= i:1");
  EXPECT_TRUE(Fails("h\xF6he", kMySql97));
  EXPECT_EQ(Show("h\xF6he", kMySql97, kStrict, "latin1"), "w:h\xF6he");
  EXPECT_TRUE(Fails("a\xA0", kMySql97, kStrict, "latin1"));  // a space there
  EXPECT_TRUE(Fails("a\xC0", kMySql97, kStrict, "cp1251"));
  EXPECT_TRUE(Fails("a\xF0\x9F\x98\x80", kMySql97, kStrict, "utf8"));
  EXPECT_EQ(Show("a\xF0\x9F\x98\x80"), "w:a\xF0\x9F\x98\x80");
  EXPECT_TRUE(Fails("'\xC0'", kMySql97, kStrict, "klingon"));
}

TEST(Lexer, Comments) {
  EXPECT_EQ(Show("1 # x\n2 -- y\n3 /* z */4"), "i:1 i:2 i:3 i:4");
  EXPECT_EQ(Show("1--1"), "i:1 o:- o:- i:1");
  EXPECT_EQ(Show("1--"), "i:1");
  EXPECT_EQ(Show("1--\t'"), "i:1");
  EXPECT_EQ(Show("1 /*/ 2 */ 3"), "i:1 i:3");
  EXPECT_EQ(Show("SELECT/*+ NO_MERGE(t) */1"), "w:SELECT i:1");
  EXPECT_TRUE(Fails("SELECT /*+ NO_MERGE(`a*/b`) */ 1"));
  EXPECT_TRUE(Fails("SELECT /*+ NO_MERGE(\"`\" ` */ 1 */"));
  EXPECT_EQ(Show("SELECT /*+ QB_NAME(`a`) */ 1"), "w:SELECT i:1");
  EXPECT_TRUE(Fails("1 /* 2"));
  EXPECT_TRUE(Fails("1 */ 2"));
  EXPECT_EQ(Show("1 /* /* */ 2"), "i:1 i:2");
}

TEST(Lexer, ExecutableComments) {
  EXPECT_EQ(Show("1 /*! +2*/ 3"), "i:1 o:+! i:2! i:3");
  EXPECT_EQ(Show("/*!50699 a*/"), "w:a!");
  EXPECT_EQ(Show("/*!50700 a*/"), "w:a!");
  EXPECT_EQ(Show("/*!50700 a*/", kMariaDb1011), "");
  EXPECT_EQ(Show("/*!50699 a*/", kMariaDb1011), "w:a!");
  EXPECT_EQ(Show("/*!99999 a*/"), "");
  EXPECT_EQ(Show("/*!99999 a*/", kMariaDb1011), "");
  EXPECT_EQ(Show("/*!100000 a*/", kMariaDb1011), "w:a!");
  EXPECT_EQ(Show("/*!100500+ a*/", kMariaDb1011), "o:+! w:a!");
  EXPECT_EQ(Show("/*!100000 a*/"), "");
  EXPECT_EQ(Show("/*!090000 a*/"), "w:a!");
  EXPECT_EQ(Show("/*!80000+ a*/"), "o:+! w:a!");
  EXPECT_EQ(Show("/*!5070 a*/"), "i:5070! w:a!");
  EXPECT_TRUE(Fails("/*!080000+ a*/"));
  EXPECT_TRUE(Fails("/*!080000 a*/", Dialect{Flavor::kMySql, 80036}));
  EXPECT_EQ(Show("1 /*M! a*/"), "i:1");
  EXPECT_EQ(Show("1 /*M! a*/", kMariaDb1011), "i:1 w:a!");
  EXPECT_EQ(Show("1 /*M!100500 a*/", kMariaDb1011), "i:1 w:a!");
  EXPECT_EQ(Show("1 /*M!50700 a*/", kMariaDb1011), "i:1 w:a!");
  EXPECT_EQ(Show("1 /*M!110000 a*/", kMariaDb1011), "i:1");
  EXPECT_EQ(Show("/*!999999 /* x */ a*/ 1"), "i:1");
  EXPECT_EQ(Show("/*!50000 a /* x */ b*/ 1"), "w:a! w:b! i:1");
  EXPECT_TRUE(Fails("/*!50000 a /*!50000 b */ c"));
  EXPECT_TRUE(Fails("/*!50000 a"));
  EXPECT_TRUE(Fails("/*!50000 a ; b */"));
}

TEST(Lexer, Variables) {
  EXPECT_EQ(Show("@a:=1"), "@:@a o::= i:1");
  EXPECT_EQ(Show("@a.b$ @`x y` @'z' @\"w\""), "@:@a.b$ @:@`x y` @:@'z' @:@\"w\"");
  EXPECT_EQ(Show("@@x @@global.y @@`z`"), "@@:@@x @@:@@global o:. w:y @@:@@`z`");
  EXPECT_EQ(Show("'u'@'%'"), "s:'u' @:@'%'");
  EXPECT_TRUE(Fails("@ a"));
  EXPECT_TRUE(Fails("@@ a"));
}

TEST(Lexer, WhatEnginesDisagreeAboutIsRefused) {
  EXPECT_TRUE(Fails("a=!b"));
  EXPECT_TRUE(Fails("!!a"));
  EXPECT_TRUE(Fails("a<!b"));
  EXPECT_EQ(Show("a<=>!b"), "w:a o:<=> o:! w:b");
  EXPECT_TRUE(Fails("$$a$$"));
  EXPECT_TRUE(Fails("$t$"));
  EXPECT_EQ(Show("$t$", kMariaDb1011), "w:$t$");
  EXPECT_TRUE(Fails("\\N"));
  EXPECT_TRUE(Fails("?a"));
}

TEST(Lexer, Nul) {
  EXPECT_EQ(Show(std::string_view("a\0", 2)), "w:a");
  EXPECT_TRUE(Fails(std::string_view("a\0b", 3)));
  EXPECT_TRUE(Fails(std::string_view("a\0\0", 3)));
  EXPECT_TRUE(Fails(std::string_view("-- a\0b", 6)));
  EXPECT_EQ(Show(std::string_view("/*\0*/a", 6)), "w:a");
  EXPECT_TRUE(Fails(std::string_view("`a\0`", 4)));
}

TEST(Lexer, SpacesAndPlaces) {
  SessionFacts facts;
  TokenList list;
  ASSERT_TRUE(Lex(" a(b/**/c)", facts, kMySql97, &list).ok());
  ASSERT_EQ(list.tokens.size(), 6u);
  EXPECT_TRUE(list.tokens[0].space_before);
  EXPECT_FALSE(list.tokens[1].space_before);
  EXPECT_TRUE(list.tokens[3].space_before);
  EXPECT_EQ(list.tokens[5].begin, 10u);
  EXPECT_EQ(list.Text(3), "c");
}

TEST(Lexer, EveryPrefixAndSuffixEndsInTokensOrAnError) {
  const std::string sql =
      "INSERT /*!50000 INTO */ `t``x` VALUES (N'a\\'', x'00', 0b1, 1.5e3, @`v`, @@g.h, 'z') -- \n# c\n/*+ x */;";
  for (size_t i = 0; i <= sql.size(); ++i) {
    for (const char* charset : {"utf8mb4", "gbk", "latin1"}) {
      Show(sql.substr(0, i), kMySql97, kStrict, charset);
      Show(sql.substr(i), kMariaDb1011, kAnsiQuotes, charset);
    }
  }
}

}  // namespace
}  // namespace crossfade::rewrite
