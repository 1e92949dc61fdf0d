// SPDX-License-Identifier: Apache-2.0
// Statements: DML is taken apart; of the others the kind is told and the words are collected.
#include "rewrite/parser_internal.h"

namespace crossfade::rewrite {

Statement* Parser::ParseStatement() {
  const Nest nest(this);
  Statement* statement = arena_->Make<Statement>();
  const uint32_t begin = pos_;
  if (!failed_ && !ParseDml(statement)) {
    switch (Word()) {
      case Kw::kExplain:
      case Kw::kDescribe:
      case Kw::kDesc:
        ParseExplain(statement);
        break;
      case Kw::kAnalyze:
        if (MariaDb() && !Is(Kw::kTable, 1) && !Is(Kw::kTables, 1) && !Is(Kw::kLocal, 1) && !Is(Kw::kNoWriteToBinlog, 1)) {
          ParseExplain(statement);
          break;
        }
        statement->kind = StatementKind::kAdmin;
        CollectNames(statement, false);
        break;
      case Kw::kSet:
        if (MariaDb() && Is(Kw::kStatement, 1) && !IsOp("=", 2) && !IsOp(":=", 2)) {
          ParseSetStatement(statement);
          break;
        }
        statement->kind = StatementKind::kSet;
        ParseInPassing(statement);
        break;
      case Kw::kDo:
      case Kw::kCall:
        statement->kind = Is(Kw::kDo) ? StatementKind::kDo : StatementKind::kCall;
        ParseInPassing(statement);
        break;
      case Kw::kPrepare:
        ParsePrepare(statement);
        break;
      case Kw::kExecute:
        ParseExecute(statement);
        break;
      case Kw::kLock:
        ParseLockTables(statement);
        break;
      case Kw::kLoad:
        statement->kind = StatementKind::kLoad;
        if (AtLoadData()) {
          statement->load = ParseLoad();
          break;
        }
        CollectNames(statement, false);
        break;
      default:
        statement->kind = Classify();
        CollectNames(statement, statement->kind == StatementKind::kCompound || IsStoredProgram());
    }
  }
  statement->span = From(begin);
  return statement;
}

// SELECT, INSERT, REPLACE, UPDATE, DELETE, also after WITH. False: it is none.
bool Parser::ParseDml(Statement* statement) {
  switch (Word()) {
    case Kw::kWith:
      ParseWithStatement(statement);
      return true;
    case Kw::kInsert:
    case Kw::kReplace:
      statement->kind = StatementKind::kInsert;
      statement->insert = ParseInsert();
      return true;
    case Kw::kUpdate:
      statement->kind = StatementKind::kUpdate;
      statement->update = ParseUpdate({});
      return true;
    case Kw::kDelete:
      statement->kind = StatementKind::kDelete;
      statement->del = ParseDelete({});
      return true;
    default:
      break;
  }
  if (!StartsQuery(pos_) && !(IsOp("(") && IsQueryParen(pos_))) return false;
  statement->kind = StatementKind::kSelect;
  statement->query = ParseQuery();
  return true;
}

// What stands behind the common table expressions decides.
void Parser::ParseWithStatement(Statement* statement) {
  const uint32_t begin = pos_;
  Query* query = arena_->Make<Query>();
  ParseWith(&query->with, &query->recursive);
  if (Is(Kw::kUpdate)) {
    statement->kind = StatementKind::kUpdate;
    statement->update = ParseUpdate(std::move(query->with));
  } else if (Is(Kw::kDelete)) {
    statement->kind = StatementKind::kDelete;
    statement->del = ParseDelete(std::move(query->with));
  } else {
    statement->kind = StatementKind::kSelect;
    statement->query = query;
    ParseQueryBody(query);
    query->span = From(begin);
  }
}

// EXPLAIN [options] statement, DESCRIBE table, MariaDB's ANALYZE statement.
void Parser::ParseExplain(Statement* statement) {
  statement->kind = StatementKind::kExplain;
  if (Is(Kw::kAnalyze)) statement->analyze = true;
  Next();
  while (true) {
    if (Is(Kw::kAnalyze)) {
      statement->analyze = true;
      Next();
    } else if ((Is(Kw::kExtended) || Is(Kw::kPartitions)) && !AtEndAfter(1)) {
      Next();
    } else if (Is(Kw::kFormat) && IsOp("=", 1)) {
      pos_ += 2;
      if (!IsKind(TokenKind::kWord) && !IsKind(TokenKind::kQuotedName) && !IsKind(TokenKind::kString)) Fail();
      Next();
    } else if (!MariaDb() && Is(Kw::kInto) && IsKind(TokenKind::kUserVar, 1)) {
      pos_ += 2;
    } else if (!MariaDb() && Is(Kw::kFor) && (Is(Kw::kSchema, 1) || Is(Kw::kDatabase, 1)) && IsName(2)) {
      // Its tables are those of another schema than the session's.
      return Fail("EXPLAIN FOR SCHEMA");
    } else {
      break;
    }
  }
  Statement* inner = arena_->Make<Statement>();
  const uint32_t begin = pos_;
  if (ParseDml(inner)) {
    inner->span = From(begin);
    statement->inner = inner;
    return;
  }
  // A table, or FOR CONNECTION n: anything else is not surely harmless.
  if (!(IsName() || (Is(Kw::kFor) && list_.Text(pos_ + 1 < last_ ? pos_ + 1 : last_).size() == 10)) ||
      statement->analyze) {
    return Fail();
  }
  CollectNames(statement, false);
}

// SET STATEMENT variable = value, ... FOR statement
void Parser::ParseSetStatement(Statement* statement) {
  statement->kind = StatementKind::kSetStatement;
  pos_ += 2;
  do {
    ExpectName();
    if (AcceptOp(".")) ExpectName();
    if (!AcceptOp(":=")) ExpectOp("=");
    if (!Accept(Kw::kOn) && !Accept(Kw::kBinary) && !Accept(Kw::kAll)) ParseDefaultOrExpr();
  } while (AcceptOp(","));
  Expect(Kw::kFor);
  if (AtEnd()) Fail();
  if (!failed_) statement->inner = ParseStatement();
}

// PREPARE name FROM 'text' | @variable (MariaDB: any expression)
void Parser::ParsePrepare(Statement* statement) {
  statement->kind = StatementKind::kPrepare;
  if (IsName(1) && Is(Kw::kFrom, 2) && IsKind(TokenKind::kString, 3)) {
    const uint32_t begin = pos_;
    pos_ += 3;
    const Expr* text = ParseString();
    if (AtEnd()) {
      statement->literal_text = true;
      statement->text = text->text;
    }
    pos_ = failed_ ? last_ : begin;
  }
  CollectNames(statement, false);
}

// EXECUTE name [USING ...]; MariaDB: EXECUTE IMMEDIATE text [USING ...]
void Parser::ParseExecute(Statement* statement) {
  statement->kind = StatementKind::kExecute;
  if (MariaDb() && Is(Kw::kImmediate, 1) && !AtEndAfter(2) && !Is(Kw::kUsing, 2)) {
    statement->kind = StatementKind::kExecuteImmediate;
    if (IsKind(TokenKind::kString, 2)) {
      const uint32_t begin = pos_;
      pos_ += 2;
      const Expr* text = ParseString();
      if (AtEnd() || Is(Kw::kUsing)) {
        statement->literal_text = true;
        statement->text = text->text;
      }
      pos_ = failed_ ? last_ : begin;
    }
  }
  CollectNames(statement, false);
}

// DO e [AS name], …; CALL name[(e, …)]; SET @v = e, …. False: another one, or not understood.
bool Parser::ParsePassed(Statement* statement) {
  const Kw verb = Word();
  Next();
  if (verb == Kw::kCall) {
    ParseTableName();
    if (!AcceptOp("(")) return true;
    if (!IsOp(")")) ParseExprList(&statement->exprs);
    ExpectOp(")");
    return true;
  }
  do {
    if (verb == Kw::kSet) {
      if (!IsKind(TokenKind::kUserVar)) return false;
      Next();
      if (!AcceptOp(":=")) ExpectOp("=");
    }
    statement->exprs.push_back(ParseExpr());
    if (verb == Kw::kDo && Accept(Kw::kAs)) ExpectName();
  } while (AcceptOp(","));
  return true;
}

// What reads a table in passing. Its words are collected too: what is not understood may name one.
void Parser::ParseInPassing(Statement* statement) {
  const uint32_t begin = pos_;
  CollectNames(statement, false);
  const uint32_t end = pos_;
  pos_ = begin;
  statement->taken_apart = ParsePassed(statement) && !failed_ && pos_ == end;
  if (!statement->taken_apart) statement->exprs.clear();
  failed_ = false;
  pos_ = end;
}

// CREATE or ALTER of something with a body, in which ';' may stand.
bool Parser::IsStoredProgram() const {
  if (!Is(Kw::kCreate) && !Is(Kw::kAlter)) return false;
  for (uint32_t i = pos_ + 1; i < last_ && !OpAt(i, ";"); ++i) {
    switch (words_[i]) {
      case Kw::kProcedure: case Kw::kFunction: case Kw::kTrigger: case Kw::kEvent: case Kw::kPackage:
        return true;
      case Kw::kTable: case Kw::kIndex: case Kw::kDatabase: case Kw::kSchema: case Kw::kDatabases:
        return false;
      default:
        break;
    }
  }
  return false;
}

StatementKind Parser::Classify() const {
  switch (Word()) {
    case Kw::kBegin:
      return AtEndAfter(1) || Is(Kw::kWork, 1) ? StatementKind::kTransaction : StatementKind::kCompound;
    case Kw::kStart:
      return Is(Kw::kTransaction, 1) ? StatementKind::kTransaction : StatementKind::kAdmin;
    case Kw::kCommit: case Kw::kRollback: case Kw::kSavepoint: case Kw::kRelease: case Kw::kXa:
      return StatementKind::kTransaction;
    case Kw::kUse: return StatementKind::kUse;
    case Kw::kShow: return StatementKind::kShow;
    case Kw::kDeallocate: return StatementKind::kDeallocate;
    case Kw::kHandler: return StatementKind::kHandler;
    case Kw::kLoad: return StatementKind::kLoad;
    case Kw::kTruncate: return StatementKind::kTruncate;
    case Kw::kLock:
    case Kw::kUnlock:
      return StatementKind::kLockTables;
    case Kw::kDrop:
      return Is(Kw::kPrepare, 1) ? StatementKind::kDeallocate : StatementKind::kDdl;
    case Kw::kCreate: case Kw::kAlter: case Kw::kRename: case Kw::kImport:
      return StatementKind::kDdl;
    case Kw::kGrant: case Kw::kRevoke: case Kw::kOptimize: case Kw::kCheck: case Kw::kRepair: case Kw::kFlush:
    case Kw::kKill: case Kw::kReset: case Kw::kPurge: case Kw::kChange: case Kw::kStop: case Kw::kInstall:
    case Kw::kUninstall: case Kw::kCache: case Kw::kBinlog: case Kw::kShutdown: case Kw::kRestart: case Kw::kClone:
    case Kw::kBackup: case Kw::kHelp: case Kw::kSignal: case Kw::kResignal: case Kw::kGet:
      return StatementKind::kAdmin;
    case Kw::kIf: case Kw::kCase: case Kw::kLoop: case Kw::kRepeat: case Kw::kWhile: case Kw::kFor: case Kw::kDeclare:
      return StatementKind::kCompound;
    default:
      return IsName() && IsOp(":", 1) ? StatementKind::kCompound : StatementKind::kOther;
  }
}

// Every word and quoted name up to the statement's end, or to the end of the text.
void Parser::CollectNames(Statement* statement, bool whole_text) {
  const uint32_t begin = pos_;
  for (; pos_ < last_ && (whole_text || !IsOp(";")); ++pos_) {
    if (IsKind(TokenKind::kWord) || IsKind(TokenKind::kQuotedName)) statement->names.push_back(MakeName(pos_));
  }
  statement->span = From(begin);
}

}  // namespace crossfade::rewrite
