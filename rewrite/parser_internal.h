// SPDX-License-Identifier: Apache-2.0
// The parser's inside: one class, whose methods stand in parser.cc (tokens, names), parser_expression.cc (operators),
// parser_primary.cc, parser_function.cc, parser_query.cc, parser_table.cc, parser_dml.cc and parser_statement.cc.
//
// An error is sticky: Fail() notes the first one and moves to the end of the text, where every Accept fails and
// every list ends. So no method returns an error or null; Parse looks once, at the end.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rewrite/ast.h"
#include "rewrite/keywords.h"
#include "rewrite/lexer.h"
#include "rewrite/parser.h"

namespace crossfade::rewrite {

class Parser {
 public:
  Parser(const TokenList& list, const SessionFacts& facts, const Dialect& dialect, uint32_t depth, Arena* arena);
  absl::StatusOr<ParseResult> Run();

 private:
  // Counts nesting; beyond the limit the parse has failed.
  class Nest {
   public:
    explicit Nest(Parser* parser) : parser_(parser) {
      if (++parser_->depth_ > parser_->depth_limit_) parser_->Fail("nested too deeply");
    }
    ~Nest() { --parser_->depth_; }
    Nest(const Nest&) = delete;
    Nest& operator=(const Nest&) = delete;

   private:
    Parser* parser_;
  };

  // Tokens (parser.cc).
  void Fail(std::string_view what = {});
  bool MariaDb() const { return dialect_.flavor == Flavor::kMariaDb; }
  const Token& At(uint32_t i) const { return list_.tokens[i < last_ ? i : last_]; }
  Kw Word(uint32_t ahead = 0) const { return words_[pos_ + ahead < last_ ? pos_ + ahead : last_]; }
  bool Is(Kw word, uint32_t ahead = 0) const { return Word(ahead) == word; }
  bool IsKind(TokenKind kind, uint32_t ahead = 0) const { return At(pos_ + ahead).kind == kind; }
  bool IsOp(std::string_view op, uint32_t ahead = 0) const { return OpAt(pos_ + ahead, op); }
  bool OpAt(uint32_t i, std::string_view op) const {
    return At(i).kind == TokenKind::kOperator && list_.Text(i) == op;
  }
  bool AtEndAfter(uint32_t ahead) const { return pos_ + ahead >= last_ || IsOp(";", ahead); }
  bool AtEnd() const { return AtEndAfter(0); }
  void Next() { if (pos_ < last_) ++pos_; }
  bool Accept(Kw word);
  bool AcceptOp(std::string_view op);
  void Expect(Kw word);
  void ExpectOp(std::string_view op);
  bool NameAt(uint32_t i) const;  // a name or a word that is not reserved
  bool IsName(uint32_t ahead = 0) const { return NameAt(pos_ + ahead); }
  Name MakeName(uint32_t i);
  Name ExpectName();
  std::vector<Name> NameList();   // ( name, ... )
  std::string_view Value(uint32_t i);
  Span From(uint32_t begin) const { return {begin, pos_}; }
  void SkipParens();              // a balanced ( ... )
  // Does the parenthesis at `open` hold a query (and not an expression or a join that starts with one)?
  bool IsQueryParen(uint32_t open);
  bool StartsQuery(uint32_t i) const;

  // Expressions.
  Expr* Make(ExprKind kind, uint32_t begin);
  Expr* Close(Expr* expr) { expr->span.end = pos_; return expr; }
  Expr* ParseExpr();
  Expr* ParseXor();
  Expr* ParseAnd();
  Expr* ParseNot();
  Expr* ParseComparison();
  Expr* ParsePredicate();
  Expr* ParsePredicateTail(Expr* left, uint32_t begin, bool negated);
  Expr* ParseBits(int level);
  int BitLevel() const;
  Expr* ParseUnary();
  Expr* ParsePrimary();
  Expr* ParseParens();
  Expr* ParseString();
  Expr* ParseWordPrimary();
  Expr* ParseColumnOrCall();
  Expr* ParseCase();
  Expr* ParseInterval();          // INTERVAL e unit
  Expr* ParseIntervalPrimary();
  bool IsIntervalCall() const;
  Expr* ParseOdbc();
  Expr* ParseMatch();
  Expr* ParseSubquery(ExprKind kind, uint32_t begin);
  Expr* ParseDefaultOrExpr();
  Expr* ParseColumn();
  void ParseExprList(std::vector<Expr*>* out);

  // Functions.
  Expr* ParseCall(uint32_t begin, std::string_view name, Kw word, std::vector<Name> qualifier);
  void ParseArguments(Expr* call, Kw word);
  bool ParseSpecialArguments(Expr* call, Kw word);
  void ParseAggregateTail(Expr* call, Kw word);
  void ParseOver(Expr* call);
  void ParseWindowSpec(std::vector<Expr*>* out);
  void ParseFrameBound(std::vector<Expr*>* out);
  Expr* ParseCast();
  void ParseCastType();
  void ParseCharsetName();
  void ParseJsonValueTail(Expr* call);
  static bool IsAggregate(Kw word);
  static bool IsNoParenFunction(Kw word);
  bool IsReservedFunction(Kw word) const;

  // Queries.
  Query* ParseQuery();
  void ParseQueryBody(Query* query);  // after WITH
  void ParseWith(std::vector<Cte>* out, bool* recursive);
  Select* ParseTerm();
  void ParseSelectCore(Select* select);
  void ParseGroupingSets(Select* select);
  void ParseWindows(Select* select);
  void ParseSelectOptions(Select* select);
  SelectItem ParseSelectItem(bool first);
  void ParseSelectItems(std::vector<SelectItem>* out);
  void ParseValuesConstructor(Select* select);
  void ParseOrderItems(std::vector<OrderItem>* out);
  void ParseLimit(std::vector<Expr*>* out);
  Expr* ParseLimitValue();
  template <typename Node>
  void ParseQueryTail(Node* node, std::vector<Expr*>* others);
  void ParseInto();
  void ParseLocking();
  bool AtLocking() const;
  bool AtSetOperation() const;

  // Tables.
  void ParseTableRefs(std::vector<TableRef*>* out);
  TableRef* ParseJoined();
  TableRef* ParseJoins(TableRef* left, uint32_t begin);
  TableRef* ParseTableFactor();
  TableRef* ParseParenTable();
  TableRef* ParsePlainTable();    // name [PARTITION] [FOR SYSTEM_TIME] [alias] [hints]
  TableRef* ParseTableName();     // name or schema.name
  TableRef* ParseJsonTable();
  void ParseDerived(TableRef* table);
  void ParsePartition(TableRef* table);
  void ParseTableAlias(TableRef* table);
  void ParseSystemTime(TableRef* table);
  void ParseIndexHints();
  bool AtJoin() const;

  // DML.
  Insert* ParseInsert();
  void ParseInsertColumns(Insert* insert);
  void ParseInsertSource(Insert* insert);
  void ParseRows(Insert* insert);
  void ParseAssignments(std::vector<Assignment>* out);
  Update* ParseUpdate(std::vector<Cte> with);
  void ParseLockTables(Statement* statement);
  bool AtLoadData() const;
  Load* ParseLoad();
  Delete* ParseDelete(std::vector<Cte> with);
  void ParseDeleteTargets(std::vector<TableRef*>* out, bool* star);
  void ParseReturning(std::vector<SelectItem>* out);

  // Statements.
  Statement* ParseStatement();
  bool ParseDml(Statement* statement);
  void ParseWithStatement(Statement* statement);
  void ParseExplain(Statement* statement);
  void ParseSetStatement(Statement* statement);
  void ParsePrepare(Statement* statement);
  void ParseExecute(Statement* statement);
  void ParseInPassing(Statement* statement);
  bool ParsePassed(Statement* statement);
  StatementKind Classify() const;
  bool IsStoredProgram() const;
  void CollectNames(Statement* statement, bool whole_text);

  const TokenList& list_;
  const SessionFacts& facts_;
  const Dialect dialect_;
  const uint32_t depth_limit_;
  Arena* const arena_;
  std::vector<Kw> words_;        // of each token
  std::vector<uint32_t> match_;  // of each '(' its ')', 0: none; of each '?' its index
  uint32_t last_;                // the kEnd token
  uint32_t pos_ = 0;
  uint32_t depth_ = 0;
  uint32_t params_ = 0;
  bool on_duplicate_ = false;    // in the assignments of ON DUPLICATE KEY UPDATE, not in a subquery
  bool failed_ = false;
  uint32_t failed_at_ = 0;
  std::string what_;
};

}  // namespace crossfade::rewrite
