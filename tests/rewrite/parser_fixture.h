// SPDX-License-Identifier: Apache-2.0
// One parse, its tokens and arena kept together, for the parser's tests.
#pragma once

#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "rewrite/parser.h"
#include "tests/rewrite/parse_tree.h"

namespace crossfade::rewrite {

inline constexpr Dialect kMySql97{Flavor::kMySql, 90704};
inline constexpr Dialect kMySql57{Flavor::kMySql, 50744};
inline constexpr Dialect kMariaDb1011{Flavor::kMariaDb, 101119};

struct Parsed {
  explicit Parsed(std::string sql, Dialect dialect = kMySql97, uint32_t mode = kStrict, uint32_t depth = 200)
      : text(std::move(sql)) {
    facts.sql_mode = mode;
    const absl::Status lexed = Lex(text, facts, dialect, &list);
    if (!lexed.ok()) {
      error = std::string(lexed.message().data(), lexed.message().size());
      return;
    }
    absl::StatusOr<ParseResult> parsed = Parse(list, facts, dialect, depth, &arena);
    if (!parsed.ok()) {
      error = std::string(parsed.status().message().data(), parsed.status().message().size());
      return;
    }
    result = *std::move(parsed);
    EXPECT_EQ(SpanChecker::Check(list, result), "") << text;
  }
  Parsed(const Parsed&) = delete;
  Parsed& operator=(const Parsed&) = delete;

  bool ok() const { return error.empty(); }
  const Statement& operator[](size_t i) const { return *result.statements.at(i); }
  const Select& select() const { return *result.statements.at(0)->query->selects.at(0); }

  std::string text;
  SessionFacts facts;
  TokenList list;
  Arena arena;
  ParseResult result;
  std::string error;
};

// The tree of `sql` as an expression; "error: ..." if it is not understood.
inline std::string ShowExpr(const std::string& sql, Dialect dialect = kMySql97, uint32_t mode = kStrict) {
  const Parsed parsed("SELECT " + sql, dialect, mode);
  if (!parsed.ok()) return "error: " + parsed.error;
  const Select& select = parsed.select();
  if (select.items.size() != 1 || select.items[0].alias.present()) return "not one expression";
  return Show(parsed.list, select.items[0].expr);
}

inline bool Understood(const std::string& sql, Dialect dialect = kMySql97, uint32_t mode = kStrict) {
  return Parsed(sql, dialect, mode).ok();
}

}  // namespace crossfade::rewrite
