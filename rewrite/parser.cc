// SPDX-License-Identifier: Apache-2.0
// The parser's tokens and names; entry. The grammar stands in the other parser_*.cc.
#include "rewrite/parser.h"

#include <algorithm>

#include "fmt/format.h"
#include "rewrite/parser_internal.h"

namespace crossfade::rewrite {
namespace {
constexpr size_t kMostNodes = 2'000'000;  // about 300 MB
}

Parser::Parser(const TokenList& list, const SessionFacts& facts, const Dialect& dialect, uint32_t depth, Arena* arena)
    : list_(list), facts_(facts), dialect_(dialect), depth_limit_(depth), arena_(arena),
      last_(static_cast<uint32_t>(list.tokens.size()) - 1) {
  words_.resize(list.tokens.size(), Kw::kNone);
  match_.resize(list.tokens.size(), 0);
  std::vector<uint32_t> open;
  for (uint32_t i = 0; i < last_; ++i) {
    const Token& token = list.tokens[i];
    if (token.kind == TokenKind::kParam) match_[i] = params_++;
    if (token.kind == TokenKind::kWord && !token.name_only) {
      words_[i] = list.Text(i) == "\\N" ? Kw::kNull : FindKeyword(list.Text(i));
    } else if (token.kind == TokenKind::kOperator && token.end - token.begin == 1) {
      const char c = list.source[token.begin];
      if (c == '(') {
        open.push_back(i);
      } else if (c == ')' && !open.empty()) {
        match_[open.back()] = i;
        open.pop_back();
      }
    }
  }
}

void Parser::Fail(std::string_view what) {
  if (!failed_) {
    failed_ = true;
    failed_at_ = pos_;
    what_ = what;
  }
  pos_ = last_;
}

bool Parser::Accept(Kw word) {
  if (!Is(word)) return false;
  ++pos_;
  return true;
}

bool Parser::AcceptOp(std::string_view op) {
  if (!IsOp(op)) return false;
  ++pos_;
  return true;
}

void Parser::Expect(Kw word) {
  if (!Accept(word)) Fail();
}

void Parser::ExpectOp(std::string_view op) {
  if (!AcceptOp(op)) Fail();
}

bool Parser::NameAt(uint32_t i) const {
  const Token& token = At(i);
  if (token.kind == TokenKind::kQuotedName) return true;
  return token.kind == TokenKind::kWord && (token.name_only || !IsReserved(words_[i], dialect_));
}

std::string_view Parser::Value(uint32_t i) {
  const std::string_view text = list_.Text(i);
  switch (list_.tokens[i].kind) {
    case TokenKind::kQuotedName:
    case TokenKind::kString: {
      if (text[0] != '\'' && text[0] != '"' && text[0] != '`') break;
      const std::string_view inner = text.substr(1, text.size() - 2);
      if (inner.find(text[0]) == std::string_view::npos && inner.find('\\') == std::string_view::npos) return inner;
      break;
    }
    case TokenKind::kUserVar:
      break;
    default:
      return text;
  }
  return arena_->Keep(TokenValue(list_, i, facts_));
}

Name Parser::MakeName(uint32_t i) { return Name{Value(i), Span{i, i + 1}}; }

Name Parser::ExpectName() {
  if (!IsName()) {
    Fail();
    return {};
  }
  return MakeName(pos_++);
}

std::vector<Name> Parser::NameList() {
  std::vector<Name> names;
  ExpectOp("(");
  do {
    names.push_back(ExpectName());
  } while (AcceptOp(","));
  ExpectOp(")");
  return names;
}

void Parser::SkipParens() {
  if (!IsOp("(") || match_[pos_] == 0) return Fail();
  pos_ = match_[pos_] + 1;
}

bool Parser::StartsQuery(uint32_t i) const {
  if (i >= last_) return false;
  switch (words_[i]) {
    case Kw::kSelect:
    case Kw::kWith:
      return true;
    case Kw::kTable:
      return !MariaDb() && dialect_.version >= 80019;
    case Kw::kValues:
      // VALUES(column) is a function in MySQL everywhere, in MariaDB in ON DUPLICATE KEY UPDATE.
      if (MariaDb()) return !on_duplicate_ && OpAt(i + 1, "(");
      return dialect_.version >= 80019 && i + 1 < last_ && words_[i + 1] == Kw::kRow && OpAt(i + 2, "(");
    default:
      return false;
  }
}

bool Parser::IsQueryParen(uint32_t open) {
  uint32_t inner = open;
  while (OpAt(inner + 1, "(")) {
    if (++inner - open > depth_limit_) return false;  // fails soon, for its depth
  }
  if (!OpAt(open, "(") || !StartsQuery(inner + 1)) return false;
  for (uint32_t i = inner; i > open; --i) {
    if (match_[i] == 0) return false;
    const uint32_t next = match_[i] + 1;
    if (OpAt(next, ")")) continue;
    switch (next < last_ ? words_[next] : Kw::kNone) {
      case Kw::kUnion: case Kw::kIntersect: case Kw::kExcept: case Kw::kOrder: case Kw::kLimit:
      case Kw::kFor: case Kw::kLock: case Kw::kInto: case Kw::kFetch:
        break;
      case Kw::kOffset:
        if (!MariaDb()) return false;
        break;
      default:
        return false;
    }
  }
  return true;
}

Expr* Parser::Make(ExprKind kind, uint32_t begin) {
  if (arena_->count() > kMostNodes) Fail("statement too large");
  Expr* expr = arena_->Make<Expr>();
  expr->kind = kind;
  expr->span = {begin, pos_};
  return expr;
}

absl::StatusOr<ParseResult> Parser::Run() {
  ParseResult result;
  if ((facts_.sql_mode & kOracle) != 0 && MariaDb() && last_ > 0) {
    Statement* statement = arena_->Make<Statement>();
    CollectNames(statement, true);
    result.statements.push_back(statement);
  } else {
    while (true) {
      while (AcceptOp(";")) {
      }
      if (pos_ >= last_) break;
      result.statements.push_back(ParseStatement());
      if (!AtEnd()) Fail();
    }
  }
  if (failed_) {
    // Literals are the application's data: reasons are kept, shown, and shared by all statements of the same shape.
    std::string near;
    for (uint32_t i = failed_at_; i < last_ && near.size() < 40; ++i) {
      if (i != failed_at_ && At(i).space_before) near += ' ';
      near += IsLiteral(At(i).kind) ? std::string_view("?") : list_.Text(i);
    }
    near.resize(std::min<size_t>(near.size(), 40));
    return absl::InvalidArgumentError(what_.empty() ? fmt::format("not understood near '{}'", near)
                                                    : fmt::format("{}, near '{}'", what_, near));
  }
  result.params = params_;
  return result;
}

absl::StatusOr<ParseResult> Parse(const TokenList& tokens, const SessionFacts& facts, const Dialect& dialect,
                                  uint32_t depth, Arena* arena) {
  if (tokens.tokens.empty()) return absl::InvalidArgumentError("no tokens");
  return Parser(tokens, facts, dialect, depth, arena).Run();
}

}  // namespace crossfade::rewrite
