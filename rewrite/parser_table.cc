// SPDX-License-Identifier: Apache-2.0
// FROM: tables, derived tables, joins. As in the servers, "a JOIN b JOIN c ON x ON y" nests to the right.
#include "rewrite/parser_internal.h"

namespace crossfade::rewrite {
namespace {
constexpr int kMostJoins = 256;  // in a row; the servers take 61 tables
}

void Parser::ParseTableRefs(std::vector<TableRef*>* out) {
  do {
    out->push_back(ParseJoined());
  } while (AcceptOp(","));
}

TableRef* Parser::ParseJoined() {
  const Nest nest(this);
  const uint32_t begin = pos_;
  return ParseJoins(ParseTableFactor(), begin);
}

bool Parser::AtJoin() const {
  switch (Word()) {
    case Kw::kJoin: case Kw::kInner: case Kw::kCross: case Kw::kStraightJoin: case Kw::kLeft: case Kw::kRight:
    case Kw::kNatural:
      return true;
    default:
      return false;
  }
}

TableRef* Parser::ParseJoins(TableRef* left, uint32_t begin) {
  const Nest nest(this);
  for (int count = 0; AtJoin(); ++count) {
    if (count > kMostJoins) Fail("too many joins");
    TableRef* join = arena_->Make<TableRef>();
    join->kind = TableRef::kJoin;
    join->left = left;
    join->natural = Accept(Kw::kNatural);
    join->join = JoinKind::kInner;
    bool outer = false;
    if (Is(Kw::kLeft) || Is(Kw::kRight)) {
      outer = true;
      join->join = Is(Kw::kLeft) ? JoinKind::kLeft : JoinKind::kRight;
      Next();
      Accept(Kw::kOuter);
      Expect(Kw::kJoin);
    } else if ((MariaDb() || !join->natural) && Accept(Kw::kStraightJoin)) {
      join->join = JoinKind::kStraight;
    } else {
      if (!join->natural && Accept(Kw::kCross)) {
        join->join = JoinKind::kCross;
      } else {
        Accept(Kw::kInner);
      }
      Expect(Kw::kJoin);
    }
    const uint32_t right = pos_;
    join->right = ParseTableFactor();
    if (!join->natural) {
      if (AtJoin()) join->right = ParseJoins(join->right, right);
      if (Accept(Kw::kOn)) {
        join->on = ParseExpr();
      } else if (Accept(Kw::kUsing)) {
        join->using_columns = NameList();
      } else if (outer) {
        Fail();
      }
    }
    join->span = From(begin);
    left = join;
  }
  return left;
}

TableRef* Parser::ParseTableFactor() {
  if (IsOp("(")) return ParseParenTable();
  const uint32_t begin = pos_;
  if (IsOp("{")) {  // { OJ a LEFT JOIN b ON x }
    Next();
    if (!Accept(Kw::kOj)) Fail();
    TableRef* table = arena_->Make<TableRef>();
    table->kind = TableRef::kOdbcOrParen;
    table->left = ParseJoined();
    ExpectOp("}");
    table->span = From(begin);
    return table;
  }
  if (Is(Kw::kLateral) && IsReserved(Kw::kLateral, dialect_)) {
    Next();
    TableRef* table = arena_->Make<TableRef>();
    table->lateral = true;
    ParseDerived(table);
    table->span = From(begin);
    return table;
  }
  if (Is(Kw::kJsonTable) && IsOp("(", 1)) return ParseJsonTable();
  return ParsePlainTable();
}

// ( query ) alias, or ( a, b JOIN c ... )
TableRef* Parser::ParseParenTable() {
  TableRef* table = arena_->Make<TableRef>();
  const uint32_t begin = pos_;
  if (IsQueryParen(pos_)) {
    ParseDerived(table);
    table->span = From(begin);
    return table;
  }
  Next();
  table->kind = TableRef::kOdbcOrParen;
  const uint32_t inside = pos_;
  table->left = ParseJoined();
  for (int count = 0; AcceptOp(","); ++count) {
    if (count > kMostJoins) Fail("too many tables");
    TableRef* join = arena_->Make<TableRef>();
    join->kind = TableRef::kJoin;
    join->join = JoinKind::kCross;
    join->left = table->left;
    join->right = ParseJoined();
    join->span = From(inside);
    table->left = join;
  }
  ExpectOp(")");
  table->span = From(begin);
  return table;
}

// ( query ) [AS] alias [(columns)]
void Parser::ParseDerived(TableRef* table) {
  table->kind = TableRef::kDerived;
  ExpectOp("(");
  table->derived = ParseQuery();
  ExpectOp(")");
  if (MariaDb() && Is(Kw::kFor) && Is(Kw::kSystemTime, 1)) ParseSystemTime(table);
  ParseTableAlias(table);
  if (table->alias.present() && IsOp("(")) table->column_aliases = NameList();
}

TableRef* Parser::ParseTableName() {
  TableRef* table = arena_->Make<TableRef>();
  const uint32_t begin = pos_;
  table->table = ExpectName();
  if (IsOp(".") && NameAt(pos_ + 1)) {
    Next();
    table->schema = table->table;
    table->table = ExpectName();
  }
  table->span = From(begin);
  return table;
}

TableRef* Parser::ParsePlainTable() {
  const uint32_t begin = pos_;
  TableRef* table = ParseTableName();
  ParsePartition(table);
  if (MariaDb() && Is(Kw::kFor) && Is(Kw::kSystemTime, 1)) ParseSystemTime(table);
  ParseTableAlias(table);
  ParseIndexHints();
  table->span = From(begin);
  return table;
}

void Parser::ParsePartition(TableRef* table) {
  if (!Accept(Kw::kPartition)) return;
  table->partition = true;
  NameList();
}

void Parser::ParseTableAlias(TableRef* table) {
  if (Accept(Kw::kAs)) {
    table->alias = ExpectName();
  } else if (IsName() && !(Is(Kw::kWindow) && MariaDb())) {
    table->alias = ExpectName();
  }
}

// FOR SYSTEM_TIME ALL | AS OF [TIMESTAMP | TRANSACTION] e | BETWEEN e AND e | FROM e TO e
void Parser::ParseSystemTime(TableRef* table) {
  pos_ += 2;
  const auto bound = [&] {
    if (Is(Kw::kTransaction) || (Is(Kw::kTimestamp) && !IsKind(TokenKind::kString, 1))) Next();
    table->other_exprs.push_back(ParseBits(1));
  };
  if (Accept(Kw::kAll)) return;
  if (Accept(Kw::kAs)) {
    Expect(Kw::kOf);
    return bound();
  }
  const bool between = Accept(Kw::kBetween);
  if (!between) Expect(Kw::kFrom);
  bound();
  Expect(between ? Kw::kAnd : Kw::kTo);
  bound();
}

// USE | FORCE | IGNORE INDEX | KEY [FOR JOIN | ORDER BY | GROUP BY] (names), ...
void Parser::ParseIndexHints() {
  while ((Is(Kw::kUse) || Is(Kw::kForce) || Is(Kw::kIgnore)) && (Is(Kw::kIndex, 1) || Is(Kw::kKey, 1))) {
    const bool use = Is(Kw::kUse);
    pos_ += 2;
    if (Accept(Kw::kFor)) {
      if (!Accept(Kw::kJoin)) {
        if (!Accept(Kw::kOrder)) Expect(Kw::kGroup);
        Expect(Kw::kBy);
      }
    }
    ExpectOp("(");
    if (!(use && IsOp(")"))) {
      do {
        if (!Accept(Kw::kPrimary)) ExpectName();
      } while (AcceptOp(","));
    }
    ExpectOp(")");
    if (IsOp(",") && (Is(Kw::kUse, 1) || Is(Kw::kForce, 1) || Is(Kw::kIgnore, 1))) Next();
  }
}

// JSON_TABLE(expr, path COLUMNS (...)) [AS] alias
TableRef* Parser::ParseJsonTable() {
  TableRef* table = arena_->Make<TableRef>();
  const uint32_t begin = pos_;
  table->kind = TableRef::kOther;
  Next();
  ExpectOp("(");
  table->other_exprs.push_back(ParseExpr());
  ExpectOp(",");
  table->other_exprs.push_back(ParseExpr());
  Expect(Kw::kColumns);
  SkipParens();
  ExpectOp(")");
  ParseTableAlias(table);
  table->span = From(begin);
  return table;
}

}  // namespace crossfade::rewrite
