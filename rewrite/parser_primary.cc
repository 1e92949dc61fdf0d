// SPDX-License-Identifier: Apache-2.0
// Operands: literals, columns, variables, parentheses, subqueries, CASE, INTERVAL, MATCH, ODBC escapes.
#include "rewrite/lexer_charset.h"
#include "rewrite/parser_internal.h"

namespace crossfade::rewrite {

Expr* Parser::ParsePrimary() {
  const uint32_t begin = pos_;
  const auto literal = [&](ExprKind kind) {
    const std::string_view text = Value(pos_);
    Next();
    Expr* expr = Make(kind, begin);
    expr->text = text;
    return expr;
  };
  switch (At(pos_).kind) {
    case TokenKind::kString:
      return ParseString();
    case TokenKind::kInteger:
      return literal(ExprKind::kInteger);
    case TokenKind::kDecimal:
      return literal(ExprKind::kDecimal);
    case TokenKind::kFloat:
      return literal(ExprKind::kFloat);
    case TokenKind::kHex:
      return literal(ExprKind::kHex);
    case TokenKind::kBit:
      return literal(ExprKind::kBit);
    case TokenKind::kParam: {
      Expr* expr = literal(ExprKind::kParam);
      expr->param_index = match_[begin];
      return expr;
    }
    case TokenKind::kUserVar: {
      Expr* variable = literal(ExprKind::kUserVar);
      if (!AcceptOp(":=")) return variable;
      Expr* value = ParseExpr();
      Expr* expr = Make(ExprKind::kAssign, begin);
      expr->children = {variable, value};
      return expr;
    }
    case TokenKind::kSysVar: {
      Next();
      for (int part = 0; part < 2 && IsOp("."); ++part) {
        Next();
        if (!IsKind(TokenKind::kWord) && !IsKind(TokenKind::kQuotedName)) Fail();
        Next();
      }
      Expr* expr = Make(ExprKind::kSysVar, begin);
      if (!failed_) {
        expr->text = list_.source.substr(At(begin).begin, At(pos_ - 1).end - At(begin).begin);
      }
      return expr;
    }
    case TokenKind::kOperator:
      if (IsOp("(")) return ParseParens();
      if (IsOp("{")) return ParseOdbc();
      break;
    case TokenKind::kQuotedName:
      return ParseColumnOrCall();
    case TokenKind::kWord:
      return ParseWordPrimary();
    case TokenKind::kEnd:
      break;
  }
  Fail();
  return Make(ExprKind::kOther, begin);
}

// 'a' 'b' is one string.
Expr* Parser::ParseString() {
  const uint32_t begin = pos_;
  std::string_view text = Value(pos_);
  Next();
  const auto continues = [&] {
    return IsKind(TokenKind::kString) && (list_.Text(pos_)[0] == '\'' || list_.Text(pos_)[0] == '"');
  };
  if (continues()) {
    std::string whole(text);
    for (; continues(); Next()) whole += Value(pos_);
    text = arena_->Keep(std::move(whole));
  }
  Expr* expr = Make(ExprKind::kString, begin);
  expr->text = text;
  return expr;
}

Expr* Parser::ParseParens() {
  const uint32_t begin = pos_;
  if (IsQueryParen(pos_)) {
    return ParseSubquery(ExprKind::kSubquery, begin);
  }
  ExpectOp("(");
  Expr* first = ParseExpr();
  if (AcceptOp(")")) return first;  // its span is without the parentheses
  Expr* row = Make(ExprKind::kRow, begin);
  row->children.push_back(first);
  ExpectOp(",");
  ParseExprList(&row->children);
  ExpectOp(")");
  return Close(row);
}

// ( query ), at its parenthesis.
Expr* Parser::ParseSubquery(ExprKind kind, uint32_t begin) {
  Expr* expr = Make(kind, begin);
  ExpectOp("(");
  expr->query = ParseQuery();
  ExpectOp(")");
  return Close(expr);
}

Expr* Parser::ParseWordPrimary() {
  const uint32_t begin = pos_;
  const std::string_view text = list_.Text(pos_);
  const TokenKind after = At(pos_ + 1).kind;
  const auto constant = [&](ExprKind kind) {
    Next();
    Expr* expr = Make(kind, begin);
    expr->text = text;
    return expr;
  };
  if (text[0] == '_' && !At(pos_).name_only &&
      (after == TokenKind::kString || after == TokenKind::kHex || after == TokenKind::kBit)) {
    // An introducer, if the server knows the character set; else the string would be an alias.
    if (!IsCharset(text.substr(1))) Fail("character set not known");
    Next();
    Expr* expr = ParsePrimary();
    expr->span.begin = begin;
    expr->charset = text.substr(1);
    return expr;
  }
  switch (Word()) {
    case Kw::kNull:
      return constant(ExprKind::kNull);
    case Kw::kTrue:
    case Kw::kFalse:
      return constant(ExprKind::kBool);
    case Kw::kCase:
      return ParseCase();
    case Kw::kExists:
      Next();
      if (!IsOp("(") || !IsQueryParen(pos_)) Fail();
      return ParseSubquery(ExprKind::kExists, begin);
    case Kw::kInterval:
      return ParseIntervalPrimary();
    case Kw::kMatch:
      return ParseMatch();
    case Kw::kConvert:
      return ParseCast();
    case Kw::kCast:
      if (IsOp("(", 1) && (!At(pos_ + 1).space_before || (facts_.sql_mode & kIgnoreSpace) != 0)) return ParseCast();
      break;
    case Kw::kRow:
      if (IsOp("(", 1)) {
        Next();
        Next();
        Expr* row = Make(ExprKind::kRow, begin);
        ParseExprList(&row->children);
        ExpectOp(")");
        return Close(row);
      }
      break;
    case Kw::kDefault: {
      Next();
      Expr* expr = Make(ExprKind::kDefault, begin);
      ExpectOp("(");
      expr->children.push_back(ParseColumn());
      ExpectOp(")");
      return Close(expr);
    }
    case Kw::kValues:
    case Kw::kValue: {
      const bool is_call = IsOp("(", 1) && (Is(Kw::kValues) ? !MariaDb() || on_duplicate_ : MariaDb());
      if (!is_call) break;
      Next();
      Next();
      Expr* expr = Make(ExprKind::kValues, begin);
      expr->children.push_back(ParseColumn());
      ExpectOp(")");
      return Close(expr);
    }
    case Kw::kDate:
    case Kw::kTime:
    case Kw::kTimestamp:
      if (after == TokenKind::kString) {
        Next();
        Expr* expr = ParseString();
        expr->kind = ExprKind::kTemporal;
        expr->span.begin = begin;
        return expr;
      }
      break;
    case Kw::kNext:
    case Kw::kPrevious:
      if (MariaDb() && Is(Kw::kValue, 1) && Is(Kw::kFor, 2)) {
        pos_ += 3;
        Expr* expr = Make(ExprKind::kFunction, begin);
        expr->text = "NEXT VALUE FOR";
        expr->parts.push_back(ExpectName());
        if (AcceptOp(".")) expr->parts.push_back(ExpectName());
        return Close(expr);
      }
      break;
    default:
      break;
  }
  return ParseColumnOrCall();
}

Expr* Parser::ParseColumnOrCall() {
  const uint32_t begin = pos_;
  const Kw word = Word();
  if (!IsName()) {
    if (IsNoParenFunction(word) && !IsOp("(", 1)) {
      Next();
      Expr* expr = Make(ExprKind::kFunction, begin);
      expr->text = list_.Text(begin);
      return expr;
    }
    if (!IsReservedFunction(word) || !IsOp("(", 1)) {
      Fail();
      return Make(ExprKind::kOther, begin);
    }
    Next();
    return ParseCall(begin, list_.Text(begin), word, {});
  }
  std::vector<Name> parts{ExpectName()};
  while (IsOp(".") && NameAt(pos_ + 1) && parts.size() < 3) {
    Next();
    parts.push_back(ExpectName());
  }
  if (IsOp("(")) {
    const std::string_view name = parts.back().text;
    const bool quoted = list_.tokens[begin].kind == TokenKind::kQuotedName;
    const Kw known = parts.size() == 1 && !quoted ? word : Kw::kNone;
    parts.pop_back();
    return ParseCall(begin, name, known, std::move(parts));
  }
  Expr* expr = Make(ExprKind::kColumn, begin);
  expr->parts = std::move(parts);
  if (IsOp("->") || IsOp("->>")) {
    if (MariaDb()) Fail();
    Expr* path = Make(ExprKind::kFunction, begin);
    path->text = list_.Text(pos_);
    path->children.push_back(expr);
    Next();
    if (!IsKind(TokenKind::kString)) Fail();
    path->children.push_back(ParseString());
    return Close(path);
  }
  return expr;
}

Expr* Parser::ParseColumn() {
  Expr* expr = Make(ExprKind::kColumn, pos_);
  expr->parts.push_back(ExpectName());
  while (expr->parts.size() < 3 && AcceptOp(".")) expr->parts.push_back(ExpectName());
  return Close(expr);
}

Expr* Parser::ParseDefaultOrExpr() {
  const uint32_t begin = pos_;
  if (!Is(Kw::kDefault) || IsOp("(", 1)) return ParseExpr();
  Next();
  return Make(ExprKind::kDefault, begin);
}

Expr* Parser::ParseCase() {
  Expr* expr = Make(ExprKind::kCase, pos_);
  Next();
  if (!Is(Kw::kWhen)) expr->children.push_back(ParseExpr());
  do {
    Expect(Kw::kWhen);
    expr->children.push_back(ParseExpr());
    Expect(Kw::kThen);
    expr->children.push_back(ParseExpr());
  } while (Is(Kw::kWhen));
  if (Accept(Kw::kElse)) expr->children.push_back(ParseExpr());
  Expect(Kw::kEnd);
  return Close(expr);
}

Expr* Parser::ParseInterval() {
  const uint32_t begin = pos_;
  Expect(Kw::kInterval);
  Expr* value = ParseExpr();
  if (!IsUnit(Word())) Fail();
  const std::string_view unit = list_.Text(pos_);
  Next();
  Expr* expr = Make(ExprKind::kInterval, begin);
  expr->text = unit;
  expr->children.push_back(value);
  return expr;
}

// INTERVAL(a, b, ...), the function: not INTERVAL (a) unit.
bool Parser::IsIntervalCall() const {
  const uint32_t open = pos_ + 1;
  if (!OpAt(open, "(") || match_[open] == 0 || IsUnit(words_[match_[open] + 1])) return false;
  uint32_t i = open + 1;
  while (i < match_[open] && !OpAt(i, ",")) i = OpAt(i, "(") && match_[i] != 0 ? match_[i] + 1 : i + 1;
  return i < match_[open];
}

// Outside of function arguments INTERVAL a unit stands only after + and -, or before +.
Expr* Parser::ParseIntervalPrimary() {
  const uint32_t begin = pos_;
  if (IsIntervalCall()) {
    Next();
    return ParseCall(begin, "INTERVAL", Kw::kNone, {});
  }
  Expr* interval = ParseInterval();
  if (!AcceptOp("+")) {
    Fail();
    return interval;
  }
  Expr* other = ParseBits(5);
  // Past this the servers' own precedence is an accident of their grammar.
  if (BitLevel() != 0 || IsOp("=") || IsOp("<") || IsOp(">") || IsOp("<=>") || IsOp("<>") || IsOp("!=") ||
      IsOp("<=") || IsOp(">=") || Is(Kw::kIs) || Is(Kw::kIn) || Is(Kw::kBetween) || Is(Kw::kLike) || Is(Kw::kNot) ||
      Is(Kw::kRegexp) || Is(Kw::kRlike)) {
    Fail("operator after INTERVAL ... +");
  }
  Expr* expr = Make(ExprKind::kBinary, begin);
  expr->op = Op::kArith;
  expr->children = {interval, other};
  return expr;
}

// {d '...'}, {t '...'}, {ts '...'}, {fn f(x)}, {anything x}
Expr* Parser::ParseOdbc() {
  const uint32_t begin = pos_;
  Next();
  const std::string_view marker = ExpectName().text;
  const bool temporal = (marker == "d" || marker == "D" || marker == "t" || marker == "T" || marker == "ts" ||
                         marker == "TS") && IsKind(TokenKind::kString);
  Expr* inner = ParseExpr();
  ExpectOp("}");
  Expr* expr = Make(ExprKind::kOther, begin);
  if (temporal && inner->kind == ExprKind::kString) {
    expr->kind = ExprKind::kTemporal;
    expr->text = inner->text;
  } else {
    expr->children.push_back(inner);
  }
  return expr;
}

// MATCH (a, b) AGAINST (x [IN BOOLEAN MODE | ...]); the first parentheses may be left out
Expr* Parser::ParseMatch() {
  Expr* expr = Make(ExprKind::kMatch, pos_);
  Next();
  const bool parens = AcceptOp("(");
  do {
    expr->children.push_back(ParseColumn());
  } while (AcceptOp(","));
  if (parens) ExpectOp(")");
  Expect(Kw::kAgainst);
  ExpectOp("(");
  expr->children.push_back(ParseBits(1));
  if (Accept(Kw::kIn)) {
    if (Accept(Kw::kNatural)) {
      Expect(Kw::kLanguage);
    } else {
      Expect(Kw::kBoolean);
    }
    Expect(Kw::kMode);
  }
  if (Accept(Kw::kWith)) {
    Expect(Kw::kQuery);
    Expect(Kw::kExpansion);
  }
  ExpectOp(")");
  return Close(expr);
}

}  // namespace crossfade::rewrite
