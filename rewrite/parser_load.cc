// SPDX-License-Identifier: Apache-2.0
// LOAD DATA, as far as it decides what is written: the table, the columns, SET (MySQL manual, LOAD DATA Statement); LOCK TABLES.
//
//   LOAD DATA [LOW_PRIORITY | CONCURRENT] [LOCAL] INFILE 'file' [REPLACE | IGNORE] INTO TABLE t [PARTITION (p, …)]
//     [CHARACTER SET c] [FIELDS …] [LINES …] [IGNORE n LINES] [(column | @variable, …)] [SET column = expression, …]
#include "rewrite/names.h"
#include "rewrite/parser_internal.h"

namespace crossfade::rewrite {

bool Parser::AtLoadData() const { return Is(Kw::kLoad) && NameEq(list_.Text(pos_ + 1 < last_ ? pos_ + 1 : last_), "data"); }

Load* Parser::ParseLoad() {
  Load* load = arena_->Make<Load>();
  pos_ += 2;
  while (!AtEnd() && !Is(Kw::kInto)) {
    load->replace = load->replace || Is(Kw::kReplace);
    load->ignore = load->ignore || Is(Kw::kIgnore) || Is(Kw::kLocal);  // LOCAL: what is there already is no error
    if (IsOp("(")) Fail();
    Next();
  }
  Expect(Kw::kInto);
  Expect(Kw::kTable);
  load->target = ParseTableName();
  ParsePartition(load->target);
  // How the file is read.
  while (!AtEnd() && !IsOp("(") && !Is(Kw::kSet)) {
    if (Is(Kw::kCharacter)) Next();  // SET
    else if (IsOp("=")) Fail();      // MySQL's bulk load
    Next();
  }
  if (AcceptOp("(")) {
    load->has_columns = true;
    if (!IsOp(")")) {
      do {
        if (IsKind(TokenKind::kUserVar)) Next();
        else load->columns.push_back(ParseColumn()->parts.back());
      } while (AcceptOp(","));
    }
    ExpectOp(")");
  }
  if (Accept(Kw::kSet)) ParseAssignments(&load->set);
  if (!AtEnd()) Fail();
  return load;
}

// LOCK TABLES t [[AS] alias] {READ [LOCAL] | [LOW_PRIORITY] WRITE}, …
void Parser::ParseLockTables(Statement* statement) {
  statement->kind = StatementKind::kLockTables;
  const uint32_t begin = pos_;
  bool known = Is(Kw::kTable, 1) || Is(Kw::kTables, 1);
  pos_ += known ? 2 : 0;
  while (known && IsName()) {
    TableRef* table = ParseTableName();
    ParseTableAlias(table);
    Accept(Kw::kLowPriority);
    const bool write = Accept(Kw::kWrite);
    known = write || Accept(Kw::kRead);
    if (!write) Accept(Kw::kLocal);
    statement->locks.emplace_back(table, write);
    if (!AcceptOp(",")) break;
  }
  if (!known || !AtEnd()) statement->locks.clear();
  if (!failed_) pos_ = begin;
  CollectNames(statement, false);
}

}  // namespace crossfade::rewrite
