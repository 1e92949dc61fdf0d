// SPDX-License-Identifier: Apache-2.0
// Queries: WITH, SELECT, VALUES, TABLE, parentheses, set operations, and what may follow them.
#include "rewrite/parser_internal.h"

namespace crossfade::rewrite {

bool Parser::AtSetOperation() const {
  if (Is(Kw::kUnion)) return true;
  return (Is(Kw::kIntersect) || Is(Kw::kExcept)) && IsReserved(Word(), dialect_);
}

// [WITH ...] term [UNION | INTERSECT | EXCEPT term ...] [ORDER BY] [LIMIT] [INTO] [locking]
Query* Parser::ParseQuery() {
  const Nest nest(this);
  const bool on_duplicate = on_duplicate_;
  if (MariaDb()) on_duplicate_ = false;
  Query* query = arena_->Make<Query>();
  const uint32_t begin = pos_;
  if (Is(Kw::kWith)) ParseWith(&query->with, &query->recursive);
  ParseQueryBody(query);
  query->span = From(begin);
  on_duplicate_ = on_duplicate;
  return query;
}

void Parser::ParseQueryBody(Query* query) {
  query->selects.push_back(ParseTerm());
  if (!AtSetOperation() && query->selects[0]->nested == nullptr) {
    Select* select = query->selects[0];
    ParseQueryTail(select, &select->window_exprs);
    select->span.end = pos_;
  } else {
    while (AtSetOperation()) {
      Next();
      if (!Accept(Kw::kAll)) Accept(Kw::kDistinct);
      query->selects.push_back(ParseTerm());
    }
    std::vector<Expr*> others;
    ParseQueryTail(query, &others);
    if (!others.empty()) Fail();
  }
}

// WITH [RECURSIVE] name [(columns)] AS (query), ...
void Parser::ParseWith(std::vector<Cte>* out, bool* recursive) {
  Expect(Kw::kWith);
  if (Accept(Kw::kRecursive)) *recursive = true;
  do {
    Cte cte;
    const uint32_t begin = pos_;
    cte.name = ExpectName();
    if (IsOp("(")) cte.columns = NameList();
    Expect(Kw::kAs);
    ExpectOp("(");
    cte.query = ParseQuery();
    ExpectOp(")");
    if (MariaDb() && Accept(Kw::kCycle)) {
      do {
        ExpectName();
      } while (AcceptOp(","));
      Expect(Kw::kRestrict);
    }
    cte.span = From(begin);
    out->push_back(std::move(cte));
  } while (AcceptOp(","));
}

Select* Parser::ParseTerm() {
  Select* select = arena_->Make<Select>();
  const uint32_t begin = pos_;
  if (IsOp("(")) {
    Next();
    select->nested = ParseQuery();
    ExpectOp(")");
  } else if (Accept(Kw::kSelect)) {
    ParseSelectCore(select);
  } else if (StartsQuery(pos_) && Is(Kw::kValues)) {
    ParseValuesConstructor(select);
  } else if (StartsQuery(pos_) && Is(Kw::kTable)) {
    select->values_constructor = true;
    Expr* star = Make(ExprKind::kStar, pos_);  // in place of SELECT * FROM
    Next();
    select->items.push_back({From(begin), Close(star), {}});
    select->items_span = From(begin);
    select->from.push_back(ParseTableName());
  } else {
    Fail();
  }
  select->span = From(begin);
  return select;
}

// VALUES ROW(...), ... (MySQL) or VALUES (...), ... (MariaDB): each row is an item, a kRow.
void Parser::ParseValuesConstructor(Select* select) {
  Next();
  select->values_constructor = true;
  const uint32_t items = pos_;
  do {
    Expr* row = Make(ExprKind::kRow, pos_);
    const uint32_t begin = pos_;
    if (!MariaDb()) Expect(Kw::kRow);
    ExpectOp("(");
    if (!IsOp(")")) {
      do {
        row->children.push_back(ParseDefaultOrExpr());
      } while (AcceptOp(","));
    }
    ExpectOp(")");
    select->items.push_back({From(begin), Close(row), {}});
  } while (AcceptOp(","));
  select->items_span = From(items);
}

void Parser::ParseSelectOptions(Select* select) {
  while (true) {
    switch (Word()) {
      case Kw::kDistinct:
      case Kw::kDistinctrow:
        select->distinct = true;
        break;
      case Kw::kUnique:
        if (!MariaDb()) return;
        select->distinct = true;
        break;
      case Kw::kSqlCache:
        if (!MariaDb() && dialect_.version >= 80000) return;
        break;
      case Kw::kAll: case Kw::kHighPriority: case Kw::kStraightJoin: case Kw::kSqlSmallResult: case Kw::kSqlBigResult:
      case Kw::kSqlBufferResult: case Kw::kSqlNoCache: case Kw::kSqlCalcFoundRows:
        break;
      default:
        return;
    }
    Next();
  }
}

// After SELECT, up to and including WINDOW.
void Parser::ParseSelectCore(Select* select) {
  ParseSelectOptions(select);
  const uint32_t items = pos_;
  ParseSelectItems(&select->items);
  select->items_span = From(items);
  if (Is(Kw::kInto)) {
    ParseInto();
    select->into = true;
  }
  if (Accept(Kw::kFrom)) {
    if (!Accept(Kw::kDual)) ParseTableRefs(&select->from);
  }
  if (Accept(Kw::kWhere)) select->where = ParseExpr();
  if (Accept(Kw::kGroup)) {
    Expect(Kw::kBy);
    if (!MariaDb() && Is(Kw::kGrouping) && Is(Kw::kSets, 1)) {
      ParseGroupingSets(select);
    } else {
      ParseOrderItems(&select->group_by);
    }
    for (const OrderItem& item : select->group_by) {
      if (item.expr->kind != ExprKind::kFunction) continue;
      const Kw word = FindKeyword(item.expr->text);
      select->rollup |= word == Kw::kRollup || word == Kw::kCube;
    }
    if (Is(Kw::kWith) && Is(Kw::kRollup, 1)) {
      pos_ += 2;
      select->rollup = true;
    }
  }
  if (Accept(Kw::kHaving)) select->having = ParseExpr();
  ParseWindows(select);
}

// MySQL from 9.6: GROUPING SETS ((a, b), (a), ())
void Parser::ParseGroupingSets(Select* select) {
  select->rollup = true;
  pos_ += 2;
  ExpectOp("(");
  do {
    ExpectOp("(");
    if (!IsOp(")")) ParseOrderItems(&select->group_by);
    ExpectOp(")");
  } while (AcceptOp(","));
  ExpectOp(")");
}

// WINDOW w AS (...), ... [QUALIFY e]
void Parser::ParseWindows(Select* select) {
  // MariaDB does not reserve the word.
  if (Is(Kw::kWindow) && NameAt(pos_ + 1) && Is(Kw::kAs, 2) && OpAt(pos_ + 3, "(")) {
    Next();
    do {
      ExpectName();
      Expect(Kw::kAs);
      ParseWindowSpec(&select->window_exprs);
    } while (AcceptOp(","));
  }
  if (Is(Kw::kQualify) && IsReserved(Kw::kQualify, dialect_)) {
    Next();
    select->window_exprs.push_back(ParseExpr());
  }
}

void Parser::ParseSelectItems(std::vector<SelectItem>* out) {
  do {
    out->push_back(ParseSelectItem(out->empty()));
  } while (AcceptOp(","));
}

SelectItem Parser::ParseSelectItem(bool first) {
  SelectItem item;
  const uint32_t begin = pos_;
  if (IsOp("*")) {
    if (!first) Fail();
    Next();
    item.expr = Make(ExprKind::kStar, begin);
    item.span = From(begin);
    return item;
  }
  // t.*, s.t.*
  const uint32_t dots = !IsName() || !IsOp(".", 1) ? 0 : IsOp("*", 2) ? 1 : IsName(2) && IsOp(".", 3) && IsOp("*", 4) ? 2 : 0;
  if (dots != 0) {
    std::vector<Name> parts;
    for (uint32_t i = 0; i < dots; ++i) {
      parts.push_back(ExpectName());
      ExpectOp(".");
    }
    ExpectOp("*");
    item.expr = Make(ExprKind::kStar, begin);
    item.expr->parts = std::move(parts);
    item.span = From(begin);
    return item;
  }
  item.expr = ParseExpr();
  const bool as = Accept(Kw::kAs);
  if (IsName() || IsKind(TokenKind::kString)) {
    if (IsKind(TokenKind::kString) && (list_.Text(pos_)[0] | 0x20) == 'n') Fail();
    item.alias = MakeName(pos_);
    Next();
  } else if (as) {
    Fail();
  }
  item.span = From(begin);
  return item;
}

void Parser::ParseOrderItems(std::vector<OrderItem>* out) {
  do {
    const uint32_t begin = pos_;
    OrderItem item;
    item.expr = ParseExpr();
    if (!Accept(Kw::kAsc)) Accept(Kw::kDesc);
    item.span = From(begin);
    out->push_back(item);
  } while (AcceptOp(","));
}

Expr* Parser::ParseLimitValue() {
  if (!IsKind(TokenKind::kInteger) && !IsKind(TokenKind::kParam)) Fail();
  return ParsePrimary();
}

// LIMIT n | LIMIT m, n | LIMIT n OFFSET m; MariaDB also ROWS EXAMINED
void Parser::ParseLimit(std::vector<Expr*>* out) {
  Expect(Kw::kLimit);
  if (!(MariaDb() && Is(Kw::kRows))) {
    out->push_back(ParseLimitValue());
    if (AcceptOp(",") || Accept(Kw::kOffset)) out->push_back(ParseLimitValue());
  }
  if (MariaDb() && Accept(Kw::kRows)) {
    Expect(Kw::kExamined);
    out->push_back(ParseLimitValue());
  }
}

bool Parser::AtLocking() const {
  return (Is(Kw::kFor) && (Is(Kw::kUpdate, 1) || Is(Kw::kShare, 1))) || Is(Kw::kLock);
}

// FOR UPDATE | FOR SHARE [OF t, ...] [NOWAIT | SKIP LOCKED | WAIT n], LOCK IN SHARE MODE
void Parser::ParseLocking() {
  const bool lock = Is(Kw::kLock);
  Next();
  if (lock) {
    Expect(Kw::kIn);
    Expect(Kw::kShare);
    Expect(Kw::kMode);
    if (!MariaDb()) return;
  } else {
    Next();
    if (Accept(Kw::kOf)) {
      do {
        ParseTableName();
      } while (AcceptOp(","));
    }
  }
  if (Accept(Kw::kSkip)) {
    Expect(Kw::kLocked);
  } else if (MariaDb() && Accept(Kw::kWait)) {
    if (!IsKind(TokenKind::kInteger)) Fail();
    Next();
  } else {
    Accept(Kw::kNowait);
  }
}

// INTO OUTFILE 'f' ..., INTO DUMPFILE 'f', INTO @a, b
void Parser::ParseInto() {
  Expect(Kw::kInto);
  if (Is(Kw::kOutfile) || Is(Kw::kDumpfile)) {
    const bool outfile = Is(Kw::kOutfile);
    Next();
    if (!IsKind(TokenKind::kString)) Fail();
    Next();
    if (!outfile) return;
    if (Accept(Kw::kCharset) || (Accept(Kw::kCharacter) && (Expect(Kw::kSet), true))) {
      ParseCharsetName();
    }
    if (Accept(Kw::kFields) || Accept(Kw::kColumns)) {
      while (Is(Kw::kTerminated) || Is(Kw::kOptionally) || Is(Kw::kEnclosed) || Is(Kw::kEscaped)) {
        if (Accept(Kw::kOptionally) && !Is(Kw::kEnclosed)) Fail();
        Next();
        Expect(Kw::kBy);
        ParsePrimary();
      }
    }
    if (Accept(Kw::kLines)) {
      while (Is(Kw::kTerminated) || Is(Kw::kStarting)) {
        Next();
        Expect(Kw::kBy);
        ParsePrimary();
      }
    }
    return;
  }
  do {
    if (!IsKind(TokenKind::kUserVar) && !IsName()) Fail();
    Next();
  } while (AcceptOp(","));
}

// [ORDER BY] [LIMIT] [PROCEDURE] and any of INTO and locking, in the orders of both servers.
template <typename Node>
void Parser::ParseQueryTail(Node* node, std::vector<Expr*>* others) {
  if (Accept(Kw::kOrder)) {
    Expect(Kw::kBy);
    ParseOrderItems(&node->order_by);
  }
  if (Is(Kw::kLimit)) {
    ParseLimit(&node->limit);
  } else if (MariaDb() && (Is(Kw::kOffset) || Is(Kw::kFetch))) {
    if (Accept(Kw::kOffset)) {
      node->limit.push_back(ParseLimitValue());
      if (!Accept(Kw::kRow)) Expect(Kw::kRows);
    }
    if (Accept(Kw::kFetch)) {
      if (!Accept(Kw::kFirst)) Expect(Kw::kNext);
      if (!Is(Kw::kRow) && !Is(Kw::kRows)) node->limit.push_back(ParseLimitValue());
      if (!Accept(Kw::kRow)) Expect(Kw::kRows);
      if (Accept(Kw::kWith)) {
        Expect(Kw::kTies);
      } else {
        Expect(Kw::kOnly);
      }
    }
  }
  if (Is(Kw::kProcedure)) {
    Next();
    const uint32_t begin = pos_;
    const std::string_view name = ExpectName().text;
    others->push_back(ParseCall(begin, name, Kw::kNone, {}));
  }
  while (AtLocking() || Is(Kw::kInto)) {
    if (Is(Kw::kInto)) {
      if (node->into) Fail();
      node->into = true;
      ParseInto();
    } else {
      node->locking = true;
      ParseLocking();
    }
  }
}

}  // namespace crossfade::rewrite
