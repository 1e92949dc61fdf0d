// SPDX-License-Identifier: Apache-2.0
// Operators, loosest first, as sql_yacc.yy of both servers has them:
//   OR ||   XOR   AND &&   NOT   = <=> <> < <= > >= IS   IN BETWEEN LIKE REGEXP   |   &   << >>   + -   * / DIV % MOD   ^
//   || (PIPES_AS_CONCAT)   - + ~ ! BINARY (and NOT under HIGH_NOT_PRECEDENCE)   COLLATE
// A chain of one level is one node with many children (AND, OR, arithmetic), so that trees stay shallow.
#include "rewrite/parser_internal.h"

namespace crossfade::rewrite {
namespace {

constexpr int kAdditive = 4, kConcatenation = 7;
constexpr int kLongestChain = 16;  // of comparisons, whose tree grows to the left

struct CompareOp {
  std::string_view text;
  Op op;
};
constexpr CompareOp kCompareOps[] = {{"=", Op::kEq},  {"<=>", Op::kNullSafeEq}, {"<>", Op::kNe}, {"!=", Op::kNe},
                                     {"<", Op::kLt},  {"<=", Op::kLe},          {">", Op::kGt},  {">=", Op::kGe}};

}  // namespace

// OR; the entry of every expression.
Expr* Parser::ParseExpr() {
  const Nest nest(this);
  const bool pipes = (facts_.sql_mode & kPipesAsConcat) == 0;
  const uint32_t begin = pos_;
  Expr* left = ParseXor();
  if (!Is(Kw::kOr) && !(pipes && IsOp("||"))) return left;
  Expr* expr = Make(ExprKind::kBinary, begin);
  expr->op = Op::kOr;
  expr->children.push_back(left);
  while (Accept(Kw::kOr) || (pipes && AcceptOp("||"))) expr->children.push_back(ParseXor());
  return Close(expr);
}

Expr* Parser::ParseXor() {
  const uint32_t begin = pos_;
  Expr* left = ParseAnd();
  if (!Is(Kw::kXor)) return left;
  Expr* expr = Make(ExprKind::kBinary, begin);
  expr->op = Op::kXor;
  expr->children.push_back(left);
  while (Accept(Kw::kXor)) expr->children.push_back(ParseAnd());
  return Close(expr);
}

Expr* Parser::ParseAnd() {
  const uint32_t begin = pos_;
  Expr* left = ParseNot();
  if (!Is(Kw::kAnd) && !IsOp("&&")) return left;
  Expr* expr = Make(ExprKind::kBinary, begin);
  expr->op = Op::kAnd;
  expr->children.push_back(left);
  while (Accept(Kw::kAnd) || AcceptOp("&&")) expr->children.push_back(ParseNot());
  return Close(expr);
}

Expr* Parser::ParseNot() {
  if (!Is(Kw::kNot) || (facts_.sql_mode & kHighNotPrecedence) != 0) return ParseComparison();
  const Nest nest(this);
  const uint32_t begin = pos_;
  Next();
  Expr* operand = ParseNot();
  Expr* expr = Make(ExprKind::kUnary, begin);
  expr->op = Op::kNot;
  expr->children.push_back(operand);
  return expr;
}

Expr* Parser::ParseComparison() {
  const uint32_t begin = pos_;
  Expr* left = ParsePredicate();
  for (int length = 0;; ++length) {
    if (length > kLongestChain) Fail("long chain of comparisons");
    if (Accept(Kw::kIs)) {
      const bool negated = Accept(Kw::kNot);
      if (!Is(Kw::kNull) && !Is(Kw::kTrue) && !Is(Kw::kFalse) && !Is(Kw::kUnknown)) {
        Fail();
        return left;
      }
      const std::string_view text = list_.Text(pos_);
      Next();
      Expr* expr = Make(ExprKind::kIsNull, begin);
      expr->negated = negated;
      expr->text = text;
      expr->children.push_back(left);
      left = expr;
      continue;
    }
    Op op = Op::kNone;
    if (IsKind(TokenKind::kOperator)) {
      for (const CompareOp& entry : kCompareOps) {
        if (IsOp(entry.text)) op = entry.op;
      }
    }
    if (op == Op::kNone) return left;
    Next();
    const bool quantifier = Is(Kw::kAll) || Is(Kw::kAny) || Is(Kw::kSome);
    if (quantifier && IsOp("(", 1) && IsQueryParen(pos_ + 1)) {
      Expr* expr = Make(ExprKind::kQuantified, begin);
      expr->op = op;
      expr->children.push_back(left);
      expr->text = list_.Text(pos_);
      Next();
      ExpectOp("(");
      expr->query = ParseQuery();
      ExpectOp(")");
      left = Close(expr);
      continue;
    }
    Expr* right = ParsePredicate();
    Expr* expr = Make(ExprKind::kComparison, begin);
    expr->op = op;
    expr->children = {left, right};
    left = expr;
  }
}

Expr* Parser::ParsePredicate() {
  const uint32_t begin = pos_;
  Expr* left = ParseBits(1);
  const auto at_predicate = [&](uint32_t ahead) {
    const Kw word = Word(ahead);
    return word == Kw::kIn || word == Kw::kBetween || word == Kw::kLike || word == Kw::kRegexp || word == Kw::kRlike;
  };
  const auto at_any = [&] {
    return at_predicate(0) || (Is(Kw::kNot) && at_predicate(1)) || (Is(Kw::kSounds) && Is(Kw::kLike, 1)) ||
           (!MariaDb() && Is(Kw::kMember) && (Is(Kw::kOf, 1) || IsOp("(", 1)));
  };
  if (!at_any()) return left;
  const bool negated = Accept(Kw::kNot);
  Expr* expr = ParsePredicateTail(left, begin, negated);
  // The engines differ on "a IN (1) IN (2)" and on what follows BETWEEN.
  if (at_any()) Fail("predicates in a row");
  return expr;
}

Expr* Parser::ParsePredicateTail(Expr* left, uint32_t begin, bool negated) {
  Expr* expr = Make(ExprKind::kOther, begin);
  expr->negated = negated;
  expr->children.push_back(left);
  expr->text = list_.Text(pos_);
  switch (Word()) {
    case Kw::kIn: {
      Next();
      expr->kind = ExprKind::kIn;
      const bool query = IsOp("(") && IsQueryParen(pos_);
      ExpectOp("(");
      if (query) {
        expr->query = ParseQuery();
      } else {
        ParseExprList(&expr->children);
      }
      ExpectOp(")");
      break;
    }
    case Kw::kBetween:
      Next();
      expr->kind = ExprKind::kBetween;
      expr->children.push_back(ParseBits(1));
      Expect(Kw::kAnd);
      expr->children.push_back(ParseBits(1));
      break;
    case Kw::kLike:
      Next();
      expr->kind = ExprKind::kLike;
      expr->children.push_back(ParseBits(kConcatenation));
      if (Accept(Kw::kEscape)) expr->children.push_back(ParseBits(kConcatenation));
      break;
    case Kw::kRegexp:
    case Kw::kRlike:
      Next();
      expr->kind = ExprKind::kLike;
      expr->children.push_back(ParseBits(1));
      break;
    case Kw::kSounds:
      expr->text = "SOUNDS LIKE";
      Next();
      Next();
      expr->children.push_back(ParseBits(1));
      break;
    case Kw::kMember:
      expr->text = "MEMBER OF";
      Next();
      Accept(Kw::kOf);
      ExpectOp("(");
      expr->children.push_back(ParseBits(1));
      ExpectOp(")");
      break;
    default:
      Fail();
  }
  return Close(expr);
}

// The level of the operator that stands here; 0: none.
int Parser::BitLevel() const {
  if (IsKind(TokenKind::kOperator)) {
    const std::string_view op = list_.Text(pos_);
    if (op.size() == 1) {
      switch (op[0]) {
        case '|': return 1;
        case '&': return 2;
        case '+':
        case '-': return kAdditive;
        case '*':
        case '/':
        case '%': return 5;
        case '^': return 6;
        default: return 0;
      }
    }
    if (op == "<<" || op == ">>") return 3;
    if (op == "||" && (facts_.sql_mode & kPipesAsConcat) != 0) return kConcatenation;
    return 0;
  }
  return Is(Kw::kDiv) || Is(Kw::kMod) ? 5 : 0;
}

// Precedence climbing over levels `level` to 7, all of them left-associative.
Expr* Parser::ParseBits(int level) {
  const uint32_t begin = pos_;
  Expr* left = ParseUnary();
  for (int at = BitLevel(); at >= level; at = BitLevel()) {
    Expr* expr = Make(ExprKind::kBinary, begin);
    expr->op = at == kConcatenation ? Op::kConcat : Op::kArith;
    expr->children.push_back(left);
    while (BitLevel() == at) {
      Next();
      if (at == kAdditive && Is(Kw::kInterval) && !IsIntervalCall()) {
        expr->children.push_back(ParseInterval());
      } else {
        expr->children.push_back(at == kConcatenation ? ParseUnary() : ParseBits(at + 1));
      }
    }
    left = Close(expr);
  }
  return left;
}

Expr* Parser::ParseUnary() {
  const uint32_t begin = pos_;
  ExprKind kind = ExprKind::kUnary;
  Op op = Op::kNone;
  if (IsOp("-")) {
    op = Op::kNeg;
  } else if (IsOp("+") || IsOp("~")) {
    op = Op::kArith;
  } else if (IsOp("!") || (Is(Kw::kNot) && (facts_.sql_mode & kHighNotPrecedence) != 0)) {
    op = Op::kNot;
  } else if (Is(Kw::kBinary)) {
    kind = ExprKind::kCast;
  }
  if (op != Op::kNone || kind == ExprKind::kCast) {
    const Nest nest(this);
    const std::string_view text = list_.Text(pos_);
    Next();
    Expr* operand = ParseUnary();
    Expr* expr = Make(kind, begin);
    expr->op = op;
    expr->text = text;
    expr->children.push_back(operand);
    return expr;
  }
  Expr* expr = ParsePrimary();
  for (int length = 0; Accept(Kw::kCollate); ++length) {
    if (length > kLongestChain) Fail("long chain of COLLATE");
    Expr* collate = Make(ExprKind::kUnary, begin);
    collate->op = Op::kCollate;
    collate->children.push_back(expr);
    if (Is(Kw::kBinary) || IsKind(TokenKind::kString)) {
      collate->text = Value(pos_);
      Next();
    } else {
      collate->text = ExpectName().text;
    }
    expr = Close(collate);
  }
  return expr;
}

void Parser::ParseExprList(std::vector<Expr*>* out) {
  do {
    out->push_back(ParseExpr());
  } while (AcceptOp(","));
}

}  // namespace crossfade::rewrite
