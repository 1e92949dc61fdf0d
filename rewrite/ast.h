// SPDX-License-Identifier: Apache-2.0
// The syntax tree of the DML that can touch a migrating table. Nodes hold token ranges of the source, never
// copies: a plan is an edit of the client's text. Nodes live in the Arena of the parse.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace crossfade::rewrite {

// Tokens [begin, end) of the source.
struct Span {
  uint32_t begin = 0, end = 0;
  bool empty() const { return begin == end; }
};

// An identifier as written; `text` is unquoted. Absent: empty span.
struct Name {
  std::string_view text;  // into the arena or the source
  Span span;
  bool present() const { return !span.empty(); }
};

struct Query;
struct Expr;

enum class ExprKind : uint8_t {
  kColumn,     // parts: [schema .] [table .] column
  kStar,       // * or t.* or s.t.*: parts without the star
  kString, kInteger, kDecimal, kFloat, kHex, kBit, kTemporal, kNull, kBool,   // literals
  kParam,      // ?  (param_index)
  kUserVar, kSysVar,
  kDefault,    // DEFAULT or DEFAULT(col) (child)
  kValues,     // VALUES(col) / VALUE(col) in ON DUPLICATE KEY UPDATE
  kUnary, kBinary,       // op; NOT, -, ~, !, COLLATE (as unary with text). A chain of one level is one node with many
                         // children: a OR b OR c, a + b - c
  kComparison,           // = <=> <> < <= > >= : children l, r; op
  kQuantified,           // expr op ANY|ALL (query)
  kIn,                   // children[0] IN (children[1..]) or IN (query); negated
  kBetween,              // children 0,1,2; negated
  kLike,                 // LIKE, RLIKE, REGEXP: children; negated
  kIsNull,               // IS [NOT] NULL / TRUE / FALSE / UNKNOWN (text: which); negated
  kCase, kFunction,      // function: text = name; aggregates and window functions too (OVER parts as children);
                         // parts = what stands before it (s.f()); COUNT(*) has no children; -> and ->> as text
  kCast,                 // CAST, CONVERT, BINARY (text): children
  kInterval, kRow,       // (a, b) or ROW(a, b)
  kSubquery, kExists,
  kAssign,               // @v := expr
  kMatch, kOther,        // understood as far as: children are all the expressions in it
};

enum class Op : uint8_t { kNone, kEq, kNullSafeEq, kNe, kLt, kLe, kGt, kGe, kAnd, kOr, kXor, kNot, kNeg, kArith, kConcat, kCollate };

// Parentheses round an operand belong to its parent: the child of (a) = b is a, without them.
struct Expr {
  ExprKind kind = ExprKind::kOther;
  Op op = Op::kNone;
  bool negated = false;
  Span span;
  std::vector<Name> parts;      // kColumn, kStar
  std::string_view text;        // kFunction: name; literals: unquoted value where it has one
  uint32_t param_index = 0;     // kParam: 0-based
  std::vector<Expr*> children;
  Query* query = nullptr;       // kSubquery, kExists, kIn, kQuantified
  std::string_view charset;     // kString, kHex, kBit: of its introducer (_utf8mb4'x')
};

struct SelectItem {
  Span span;
  Expr* expr = nullptr;
  Name alias;
};

struct OrderItem {
  Span span;
  Expr* expr = nullptr;
};

enum class JoinKind : uint8_t { kNone, kInner, kLeft, kRight, kCross, kStraight };

struct TableRef {
  enum Kind : uint8_t { kTable, kDerived, kJoin, kOdbcOrParen, kOther /* JSON_TABLE, table functions */ } kind = kTable;
  Span span;
  Name schema, table, alias;
  bool partition = false;
  Query* derived = nullptr;
  bool lateral = false;
  std::vector<Name> column_aliases;
  TableRef* left = nullptr;
  TableRef* right = nullptr;
  JoinKind join = JoinKind::kNone;
  bool natural = false;
  Expr* on = nullptr;
  std::vector<Name> using_columns;
  std::vector<Expr*> other_exprs;  // kOther: the expressions inside; of FOR SYSTEM_TIME
};

struct Select {
  Span span;
  bool values_constructor = false;  // VALUES ROW(...), ... (each row an item, a kRow) or TABLE t (the word is the item, a kStar)
  bool distinct = false;
  std::vector<SelectItem> items;
  Span items_span;
  std::vector<TableRef*> from;  // comma list
  Expr* where = nullptr;
  std::vector<OrderItem> group_by;
  bool rollup = false;
  Expr* having = nullptr;
  std::vector<Expr*> window_exprs;  // of WINDOW, QUALIFY and PROCEDURE
  std::vector<OrderItem> order_by;
  std::vector<Expr*> limit;
  bool into = false;      // INTO OUTFILE, DUMPFILE or variables
  bool locking = false;   // FOR UPDATE, FOR SHARE, LOCK IN SHARE MODE
  Query* nested = nullptr;  // a parenthesised query in place of a SELECT
};

struct Cte {
  Span span;
  Name name;
  std::vector<Name> columns;
  Query* query = nullptr;
};

// WITH ... selects joined by set operations (their precedence is not kept) ... ORDER BY ... LIMIT (those of a single SELECT stand in the Select).
struct Query {
  Span span;
  bool recursive = false;
  std::vector<Cte> with;
  std::vector<Select*> selects;
  std::vector<OrderItem> order_by;
  std::vector<Expr*> limit;
  bool into = false, locking = false;
};

struct Assignment {
  Span span;
  Expr* column = nullptr;  // kColumn
  Expr* value = nullptr;   // kDefault for "= DEFAULT"
};

struct InsertRow {
  Span span;  // the parentheses included
  std::vector<Expr*> values;
};

// INSERT and REPLACE.
struct Insert {
  bool replace = false, ignore = false, delayed = false;
  TableRef* target = nullptr;       // its span ends before the column list
  bool has_columns = false;
  Span columns_span;                // the parentheses included
  std::vector<Name> columns;        // the last part, if qualified
  Span values_keyword;              // VALUES or VALUE
  std::vector<InsertRow> rows;
  std::vector<Assignment> set;      // INSERT ... SET
  Query* query = nullptr;           // INSERT ... SELECT / TABLE / WITH
  Name row_alias;
  std::vector<Name> row_alias_columns;
  std::vector<Assignment> on_duplicate;
  std::vector<SelectItem> returning;
};

struct Update {
  std::vector<Cte> with;
  bool ignore = false;
  std::vector<TableRef*> tables;  // one plain table: single-table syntax
  std::vector<Assignment> set;
  Expr* where = nullptr;
  std::vector<OrderItem> order_by;
  Expr* limit = nullptr;
};

struct Delete {
  std::vector<Cte> with;
  bool ignore = false, multi = false;
  std::vector<TableRef*> targets;  // multi: the tables deleted from (names or aliases)
  std::vector<TableRef*> tables;   // single: one
  Expr* where = nullptr;
  std::vector<OrderItem> order_by;
  Expr* limit = nullptr;
  std::vector<SelectItem> returning;
};

// LOAD DATA INFILE.
struct Load {
  TableRef* target = nullptr;
  bool replace = false, ignore = false;  // of rows whose key is there already
  std::vector<Name> columns;             // of the list; user variables are left out
  bool has_columns = false;
  std::vector<Assignment> set;
};

enum class StatementKind : uint8_t {
  kSelect, kInsert, kUpdate, kDelete,
  kExplain,   // EXPLAIN / DESCRIBE / ANALYZE of `inner` (or of a table: inner == nullptr)
  kSetStatement,  // MariaDB SET STATEMENT ... FOR inner
  kTransaction,   // BEGIN, COMMIT, ROLLBACK, SAVEPOINT, XA ...
  kSet, kUse, kShow, kPrepare, kExecute, kDeallocate, kExecuteImmediate, kCall, kDo, kHandler,
  kLoad, kTruncate, kLockTables, kDdl, kAdmin, kCompound,
  kOther,     // a statement the parser does not take apart; words names what it mentions
};

struct Statement {
  StatementKind kind = StatementKind::kOther;
  Span span;  // without the ';'
  bool analyze = false;  // kExplain: the statement is run
  Query* query = nullptr;
  Insert* insert = nullptr;
  Update* update = nullptr;
  Delete* del = nullptr;
  std::vector<std::pair<TableRef*, bool>> locks;  // kLockTables, where all of it is understood: true: to write
  Load* load = nullptr;      // kLoad; nullptr: LOAD XML, LOAD INDEX and the like
  Statement* inner = nullptr;
  std::vector<Expr*> exprs;  // kDo, kCall, kSet of user variables: where all of it is understood (`taken_apart`)
  bool taken_apart = false;
  std::vector<Name> names;   // kinds not taken apart: every identifier-like word, for the touch test
  bool literal_text = false; // kPrepare, kExecuteImmediate: the text is a literal, `text`
  std::string_view text;
};

// Owns what a parse made: nodes in blocks, each with a header by which it is destroyed with the arena.
class Arena {
 public:
  Arena() = default;
  ~Arena() {
    for (Header* node = last_; node != nullptr; node = node->previous) node->destroy(node + 1);
  }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  template <typename T>
  T* Make() {
    static_assert(alignof(T) <= alignof(Header) && sizeof(Header) + sizeof(T) < kBlock);
    constexpr size_t kSize = (sizeof(Header) + sizeof(T) + alignof(Header) - 1) / alignof(Header) * alignof(Header);
    if (left_ < kSize) {
      blocks_.push_back(std::make_unique_for_overwrite<Block>());
      next_ = blocks_.back()->bytes;
      left_ = kBlock;
    }
    Header* header = new (next_) Header{last_, [](void* node) { static_cast<T*>(node)->~T(); }};
    next_ += kSize;
    left_ -= kSize;
    T* node = new (header + 1) T();
    last_ = header;
    ++count_;
    return node;
  }
  size_t count() const { return count_; }  // nodes made
  std::string_view Keep(std::string text) { return strings_.emplace_back(std::move(text)); }

 private:
  static constexpr size_t kBlock = 8192;
  struct alignas(std::max_align_t) Header {
    Header* previous;
    void (*destroy)(void*);
  };
  struct Block {
    alignas(std::max_align_t) unsigned char bytes[kBlock];
  };

  std::vector<std::unique_ptr<Block>> blocks_;
  unsigned char* next_ = nullptr;
  size_t left_ = 0;
  Header* last_ = nullptr;
  size_t count_ = 0;
  std::deque<std::string> strings_;
};

}  // namespace crossfade::rewrite
