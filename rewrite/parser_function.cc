// SPDX-License-Identifier: Apache-2.0
// Function calls: name(args), the functions with a syntax of their own, aggregates, and OVER.
#include "rewrite/parser_internal.h"

namespace crossfade::rewrite {

bool Parser::IsAggregate(Kw word) {
  switch (word) {
    case Kw::kCount: case Kw::kSum: case Kw::kAvg: case Kw::kMin: case Kw::kMax: case Kw::kBitAnd: case Kw::kBitOr:
    case Kw::kBitXor: case Kw::kStd: case Kw::kStddev: case Kw::kStddevPop: case Kw::kStddevSamp: case Kw::kVariance:
    case Kw::kVarPop: case Kw::kVarSamp: case Kw::kGroupConcat: case Kw::kJsonArrayagg: case Kw::kJsonObjectagg:
      return true;
    default:
      return false;
  }
}

// CURRENT_DATE and the like: without parentheses too.
bool Parser::IsNoParenFunction(Kw word) {
  switch (word) {
    case Kw::kCurrentDate: case Kw::kCurrentTime: case Kw::kCurrentTimestamp: case Kw::kCurrentUser:
    case Kw::kCurrentRole: case Kw::kLocaltime: case Kw::kLocaltimestamp: case Kw::kUtcDate: case Kw::kUtcTime:
    case Kw::kUtcTimestamp:
      return true;
    default:
      return false;
  }
}

// Reserved words that are names of functions.
bool Parser::IsReservedFunction(Kw word) const {
  if (IsNoParenFunction(word)) return true;
  switch (word) {
    case Kw::kLeft: case Kw::kRight: case Kw::kIf: case Kw::kReplace: case Kw::kRepeat: case Kw::kInsert: case Kw::kMod:
    case Kw::kChar: case Kw::kDatabase: case Kw::kSchema: case Kw::kRowNumber: case Kw::kRank: case Kw::kDenseRank:
    case Kw::kPercentRank: case Kw::kCumeDist: case Kw::kNtile: case Kw::kLag: case Kw::kLead: case Kw::kFirstValue:
    case Kw::kLastValue: case Kw::kNthValue: case Kw::kGrouping:
    case Kw::kCube:
      return true;
    default:
      return false;
  }
}

// At the '(' after the name.
Expr* Parser::ParseCall(uint32_t begin, std::string_view name, Kw word, std::vector<Name> qualifier) {
  Expr* call = Make(ExprKind::kFunction, begin);
  call->text = name;
  call->parts = std::move(qualifier);
  // These names are functions of the server only if the parenthesis follows directly.
  if (IsOp("(") && At(pos_).space_before && (facts_.sql_mode & kIgnoreSpace) == 0 && (IsAggregate(word) ||
      word == Kw::kTrim || word == Kw::kSubstring || word == Kw::kSubstr || word == Kw::kMid || word == Kw::kPosition ||
      word == Kw::kExtract || word == Kw::kDateAdd || word == Kw::kDateSub || word == Kw::kAdddate ||
      word == Kw::kSubdate)) {
    word = Kw::kNone;
  }
  ExpectOp("(");
  ParseArguments(call, word);
  ExpectOp(")");
  if (Accept(Kw::kWithin)) {  // MariaDB: PERCENTILE_CONT(x) WITHIN GROUP (ORDER BY y)
    Expect(Kw::kGroup);
    ExpectOp("(");
    ParseAggregateTail(call, word);
    ExpectOp(")");
  }
  ParseOver(call);
  return Close(call);
}

void Parser::ParseArguments(Expr* call, Kw word) {
  if (IsOp(")")) return;
  if (ParseSpecialArguments(call, word)) return;
  if (IsAggregate(word)) {
    if (word == Kw::kCount && AcceptOp("*")) return;
    if (!Accept(Kw::kDistinct)) Accept(Kw::kAll);
    ParseExprList(&call->children);
    ParseAggregateTail(call, word);
    return;
  }
  Accept(Kw::kDistinct);  // ST_COLLECT
  const bool typed = word == Kw::kColumnCreate || word == Kw::kColumnAdd || word == Kw::kColumnGet;
  const bool date = word == Kw::kDateAdd || word == Kw::kDateSub || word == Kw::kAdddate || word == Kw::kSubdate;
  do {
    if (date && call->children.size() == 1 && Is(Kw::kInterval) && !IsIntervalCall()) {
      call->children.push_back(ParseInterval());
    } else {
      call->children.push_back(ParseExpr());
    }
    if (typed && Accept(Kw::kAs)) {
      ParseCastType();
    } else if (word == Kw::kNone && call->parts.empty() && !IsOp(",") && !IsOp(")")) {
      // An argument of a loadable function may have a name: f(a AS x, b y, c 'z').
      const bool as = Accept(Kw::kAs);
      if (IsName() || IsKind(TokenKind::kString)) Next();
      else if (as) Fail();
    }
  } while (AcceptOp(","));
  if (word == Kw::kChar && Accept(Kw::kUsing)) ParseCharsetName();
  if (word == Kw::kWeightString) {
    if (Accept(Kw::kAs)) ParseCastType();
    // LEVEL 1 DESC REVERSE, 2 | LEVEL 1-3: numbers and words alone.
    if (MariaDb() && Accept(Kw::kLevel))
      while (IsKind(TokenKind::kInteger) || IsKind(TokenKind::kWord) || IsOp(",") || IsOp("-")) Next();
  }
  if (word == Kw::kJsonValue) ParseJsonValueTail(call);
}

// Arguments that are not a list of expressions. False: they are.
bool Parser::ParseSpecialArguments(Expr* call, Kw word) {
  const auto argument = [&] { call->children.push_back(ParseExpr()); };
  switch (word) {
    case Kw::kExtract:
      if (!IsUnit(Word())) Fail();
      Next();
      Expect(Kw::kFrom);
      argument();
      return true;
    case Kw::kTimestampadd:
    case Kw::kTimestampdiff:
      if (!IsUnit(Word()) && !list_.Text(pos_).starts_with("SQL_TSI_")) Fail();
      Next();
      ExpectOp(",");
      ParseExprList(&call->children);
      return true;
    case Kw::kGetFormat:
      if (!Accept(Kw::kDate) && !Accept(Kw::kTime) && !Accept(Kw::kDatetime)) Expect(Kw::kTimestamp);
      ExpectOp(",");
      argument();
      return true;
    case Kw::kPosition:
      call->children.push_back(ParseBits(1));
      Expect(Kw::kIn);
      argument();
      return true;
    case Kw::kTrim: {
      const bool side = Accept(Kw::kBoth) || Accept(Kw::kLeading) || Accept(Kw::kTrailing);
      if (!(side && Is(Kw::kFrom))) argument();
      if (Accept(Kw::kFrom)) {
        argument();
      } else if (side) {
        Fail();
      }
      return true;
    }
    case Kw::kSubstring:
    case Kw::kSubstr:
    case Kw::kMid:
      argument();
      if (Accept(Kw::kFrom)) {
        argument();
        if (Accept(Kw::kFor)) argument();
      } else {
        while (AcceptOp(",")) argument();
      }
      return true;
    default:
      return false;
  }
}

// [ORDER BY ...] [SEPARATOR '...'] [LIMIT ...]
void Parser::ParseAggregateTail(Expr* call, Kw word) {
  if (Accept(Kw::kOrder)) {
    Expect(Kw::kBy);
    std::vector<OrderItem> items;
    ParseOrderItems(&items);
    for (const OrderItem& item : items) call->children.push_back(item.expr);
  }
  if (!MariaDb() && word == Kw::kJsonArrayagg && (Is(Kw::kNull) || Is(Kw::kAbsent)) && Is(Kw::kOn, 1) && Is(Kw::kNull, 2)) pos_ += 3;
  if (word == Kw::kGroupConcat && Accept(Kw::kSeparator)) {
    if (!IsKind(TokenKind::kString) && !IsKind(TokenKind::kHex) && !IsKind(TokenKind::kBit)) Fail();
    Next();
  }
  if (MariaDb() && Is(Kw::kLimit)) ParseLimit(&call->children);
}

// [FROM FIRST | LAST] [RESPECT | IGNORE NULLS] OVER w | OVER (...)
void Parser::ParseOver(Expr* call) {
  if (Is(Kw::kFrom) && (Is(Kw::kFirst, 1) || Is(Kw::kLast, 1)) &&
      (Is(Kw::kOver, 2) || Is(Kw::kRespect, 2) || Is(Kw::kIgnore, 2))) {
    pos_ += 2;
  }
  if ((Is(Kw::kRespect) || Is(Kw::kIgnore)) && Is(Kw::kNulls, 1) && Is(Kw::kOver, 2)) pos_ += 2;
  // In MySQL 5.7 the word is a name: an alias.
  if (!Is(Kw::kOver) || !IsReserved(Kw::kOver, dialect_)) return;
  Next();
  if (IsName()) {
    Next();
  } else {
    ParseWindowSpec(&call->children);
  }
}

// ( [name] [PARTITION BY ...] [ORDER BY ...] [frame] )
void Parser::ParseWindowSpec(std::vector<Expr*>* out) {
  ExpectOp("(");
  if (IsName() && !Is(Kw::kRows) && !Is(Kw::kRange) && !Is(Kw::kGroups)) Next();
  if (Accept(Kw::kPartition)) {
    Expect(Kw::kBy);
    ParseExprList(out);
  }
  if (Accept(Kw::kOrder)) {
    Expect(Kw::kBy);
    std::vector<OrderItem> items;
    ParseOrderItems(&items);
    for (const OrderItem& item : items) out->push_back(item.expr);
  }
  if (Accept(Kw::kRows) || Accept(Kw::kRange) || Accept(Kw::kGroups)) {
    if (Accept(Kw::kBetween)) {
      ParseFrameBound(out);
      Expect(Kw::kAnd);
    }
    ParseFrameBound(out);
    if (Accept(Kw::kExclude)) {
      if (Accept(Kw::kCurrent)) {
        Expect(Kw::kRow);
      } else if (Accept(Kw::kNo)) {
        Expect(Kw::kOthers);
      } else if (!Accept(Kw::kGroup)) {
        Expect(Kw::kTies);
      }
    }
  }
  ExpectOp(")");
}

void Parser::ParseFrameBound(std::vector<Expr*>* out) {
  if (Accept(Kw::kCurrent)) return Expect(Kw::kRow);
  if (!Accept(Kw::kUnbounded)) out->push_back(Is(Kw::kInterval) ? ParseInterval() : ParseBits(1));
  if (!Accept(Kw::kPreceding)) Expect(Kw::kFollowing);
}

// CAST(x AS type), CONVERT(x, type), CONVERT(x USING charset)
Expr* Parser::ParseCast() {
  Expr* expr = Make(ExprKind::kCast, pos_);
  expr->text = list_.Text(pos_);
  const bool cast = Is(Kw::kCast);
  Next();
  ExpectOp("(");
  expr->children.push_back(ParseExpr());
  if (cast && Accept(Kw::kAt)) {  // MySQL: a AT TIME ZONE '+00:00'
    Expect(Kw::kTime);
    Expect(Kw::kZone);
    Accept(Kw::kInterval);
    ParseString();
  }
  if (cast) {
    Expect(Kw::kAs);
    ParseCastType();
  } else if (Accept(Kw::kUsing)) {
    ParseCharsetName();
  } else {
    ExpectOp(",");
    ParseCastType();
  }
  ExpectOp(")");
  return Close(expr);
}

// A type: words, and numbers in parentheses, up to what ends it.
void Parser::ParseCastType() {
  if (!IsKind(TokenKind::kWord)) return Fail();
  while (IsKind(TokenKind::kWord) || IsKind(TokenKind::kQuotedName) || IsOp("(")) {
    // JSON_VALUE, WEIGHT_STRING
    if (Is(Kw::kNull) || Is(Kw::kError) || Is(Kw::kDefault) || Is(Kw::kReturning) || Is(Kw::kLevel)) return;
    if (AcceptOp("(")) {
      do {
        if (!IsKind(TokenKind::kInteger)) Fail();
        Next();
      } while (AcceptOp(","));
      ExpectOp(")");
    } else {
      const bool charset = Is(Kw::kSet) || Is(Kw::kCharset);
      const bool collate = Is(Kw::kCollate);
      Next();
      if (charset) ParseCharsetName();
      if (collate && MariaDb()) Accept(Kw::kDefault);
    }
  }
}

void Parser::ParseCharsetName() {
  if (Accept(Kw::kBinary) || Accept(Kw::kDefault)) return;
  if (!IsKind(TokenKind::kString)) {
    ExpectName();
  } else {
    Next();
  }
}

// MySQL: [RETURNING type] [NULL | ERROR | DEFAULT v ON EMPTY] [... ON ERROR]
void Parser::ParseJsonValueTail(Expr* call) {
  if (!MariaDb() && Accept(Kw::kReturning)) ParseCastType();
  for (int i = 0; i < 2 && !IsOp(")"); ++i) {
    if (Accept(Kw::kDefault)) {
      call->children.push_back(ParseUnary());
    } else if (!Accept(Kw::kNull)) {
      Expect(Kw::kError);
    }
    Expect(Kw::kOn);
    if (!Accept(Kw::kEmpty)) Expect(Kw::kError);
  }
}

}  // namespace crossfade::rewrite
