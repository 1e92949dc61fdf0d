// SPDX-License-Identifier: Apache-2.0
// INSERT, REPLACE, UPDATE and DELETE in all their forms.
#include "rewrite/parser_internal.h"

namespace crossfade::rewrite {
namespace {
constexpr size_t kMostAssignments = 2'000;  // a table of InnoDB has 1,017 columns; rules look at them in pairs
}

// At INSERT or REPLACE.
Insert* Parser::ParseInsert() {
  Insert* insert = arena_->Make<Insert>();
  insert->replace = Is(Kw::kReplace);
  Next();
  if (Accept(Kw::kDelayed)) {
    insert->delayed = true;
  } else if (!Accept(Kw::kLowPriority) && !insert->replace) {
    Accept(Kw::kHighPriority);
  }
  if (!insert->replace && Accept(Kw::kIgnore)) insert->ignore = true;
  Accept(Kw::kInto);
  const uint32_t begin = pos_;
  insert->target = ParseTableName();
  ParsePartition(insert->target);
  insert->target->span = From(begin);
  if (IsOp("(") && !IsQueryParen(pos_)) ParseInsertColumns(insert);
  ParseInsertSource(insert);
  const bool rows = insert->query == nullptr;
  if (rows && !insert->replace && !MariaDb() && dialect_.version >= 80019 && Accept(Kw::kAs)) {
    insert->row_alias = ExpectName();
    if (IsOp("(")) insert->row_alias_columns = NameList();
  }
  if (!insert->replace && Is(Kw::kOn)) {
    Next();
    Expect(Kw::kDuplicate);
    Expect(Kw::kKey);
    Expect(Kw::kUpdate);
    on_duplicate_ = true;
    ParseAssignments(&insert->on_duplicate);
    on_duplicate_ = false;
  }
  ParseReturning(&insert->returning);
  return insert;
}

void Parser::ParseInsertColumns(Insert* insert) {
  const uint32_t begin = pos_;
  insert->has_columns = true;
  ExpectOp("(");
  if (!IsOp(")")) {
    do {
      Name name = ExpectName();
      for (int part = 0; part < 2 && AcceptOp("."); ++part) name = ExpectName();
      insert->columns.push_back(name);
    } while (AcceptOp(","));
  }
  ExpectOp(")");
  insert->columns_span = From(begin);
}

void Parser::ParseInsertSource(Insert* insert) {
  if (!insert->has_columns && Accept(Kw::kSet)) return ParseAssignments(&insert->set);
  const bool row_constructor = Is(Kw::kValues) && Is(Kw::kRow, 1) && StartsQuery(pos_);
  const uint32_t begin = pos_;
  if (Is(Kw::kValues) || Is(Kw::kValue)) {
    ParseRows(insert);
    // VALUES ROW(…), … alone is the same to the server; with ORDER BY, UNION and the like it is a query.
    if (!row_constructor || AtEnd() || Is(Kw::kOn)) return;
    insert->rows.clear();
    pos_ = begin;
  }
  insert->query = ParseQuery();
}

// VALUES (...), (...), on MySQL also VALUES ROW(...), ROW(...)
void Parser::ParseRows(Insert* insert) {
  insert->values_keyword = {pos_, pos_ + 1};
  Next();
  do {
    InsertRow row;
    if (!MariaDb()) Accept(Kw::kRow);
    const uint32_t begin = pos_;
    ExpectOp("(");
    if (!IsOp(")")) {
      do {
        row.values.push_back(ParseDefaultOrExpr());
      } while (AcceptOp(","));
    }
    ExpectOp(")");
    row.span = From(begin);
    insert->rows.push_back(std::move(row));
  } while (AcceptOp(","));
}

void Parser::ParseAssignments(std::vector<Assignment>* out) {
  do {
    Assignment assignment;
    const uint32_t begin = pos_;
    assignment.column = ParseColumn();
    if (!AcceptOp(":=")) ExpectOp("=");
    assignment.value = ParseDefaultOrExpr();
    assignment.span = From(begin);
    out->push_back(assignment);
    if (out->size() > kMostAssignments) Fail("too many assignments");
  } while (AcceptOp(","));
}

void Parser::ParseReturning(std::vector<SelectItem>* out) {
  if (MariaDb() && Accept(Kw::kReturning)) ParseSelectItems(out);
}

// At UPDATE.
Update* Parser::ParseUpdate(std::vector<Cte> with) {
  Update* update = arena_->Make<Update>();
  update->with = std::move(with);
  Next();
  Accept(Kw::kLowPriority);
  update->ignore = Accept(Kw::kIgnore);
  ParseTableRefs(&update->tables);
  Expect(Kw::kSet);
  ParseAssignments(&update->set);
  if (Accept(Kw::kWhere)) update->where = ParseExpr();
  if (Accept(Kw::kOrder)) {
    Expect(Kw::kBy);
    ParseOrderItems(&update->order_by);
  }
  if (Accept(Kw::kLimit)) update->limit = ParseLimitValue();
  return update;
}

// name[.name][.*], ...
void Parser::ParseDeleteTargets(std::vector<TableRef*>* out, bool* star) {
  do {
    const uint32_t begin = pos_;
    TableRef* target = ParseTableName();
    if (IsOp(".") && IsOp("*", 1)) {
      pos_ += 2;
      *star = true;
      target->span = From(begin);
    }
    out->push_back(target);
  } while (AcceptOp(","));
}

// At DELETE.
Delete* Parser::ParseDelete(std::vector<Cte> with) {
  Delete* del = arena_->Make<Delete>();
  del->with = std::move(with);
  Next();
  Accept(Kw::kLowPriority);
  Accept(Kw::kQuick);
  del->ignore = Accept(Kw::kIgnore);
  if (MariaDb() && Is(Kw::kHistory)) Fail("DELETE HISTORY");
  bool star = false;
  if (Accept(Kw::kFrom)) {
    const uint32_t begin = pos_;
    ParseDeleteTargets(&del->targets, &star);
    if (star || del->targets.size() > 1 || Is(Kw::kUsing)) {
      del->multi = true;
      Expect(Kw::kUsing);
      ParseTableRefs(&del->tables);
    } else {
      TableRef* table = del->targets[0];
      del->targets.clear();
      ParsePartition(table);
      ParseTableAlias(table);
      ParsePartition(table);
      table->span = From(begin);
      del->tables.push_back(table);
    }
  } else {
    del->multi = true;
    ParseDeleteTargets(&del->targets, &star);
    Expect(Kw::kFrom);
    ParseTableRefs(&del->tables);
  }
  if (Accept(Kw::kWhere)) del->where = ParseExpr();
  if (Accept(Kw::kOrder)) {
    Expect(Kw::kBy);
    ParseOrderItems(&del->order_by);
  }
  if (Accept(Kw::kLimit)) del->limit = ParseLimitValue();
  ParseReturning(&del->returning);
  return del;
}

}  // namespace crossfade::rewrite
