// SPDX-License-Identifier: Apache-2.0
// Rewrites what a statement reads: queries, predicates, expressions. Visits a tree with its scopes, edits the mentions
// of key columns that the session's cohort or a value's shape sends to the other side, and says of every value which
// side of which key it is.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "rewrite/bind.h"
#include "rewrite/context.h"

namespace crossfade::rewrite {

// The CTEs in sight, innermost first.
struct Ctes {
  const Ctes* outer = nullptr;
  std::string_view name;
  const Output* output = nullptr;
};

// What the reader of a query wants in a column of its output.
struct Wish {
  const Key* key = nullptr;
  Side side = Side::kNone;
};

struct QueryUse {
  std::vector<Wish> wishes;     // by position; may be shorter
  bool names_matter = true;     // somebody sees the names of the output columns
  bool only_exists = false;     // nobody sees the columns
  Output* first_arm = nullptr;  // recursive CTE: where the output goes once the first SELECT is visited
};

// An ON condition: its names mean columns of the tables that it joins, sources [first, last) of the scope.
struct JoinCondition {
  Expr* on = nullptr;
  size_t first = 0, last = 0;
};

class Reader {
 public:
  explicit Reader(Context& context) : ctx_(context), binder_(context.world) {}

  Output VisitQuery(Query& query, const Scope* outer, const Ctes* ctes, const QueryUse& use);
  // WITH in front of a statement; the nodes live as long as the reader.
  const Ctes* VisitWith(std::vector<Cte>& with, bool recursive, const Scope* outer, const Ctes* ctes);
  // Adds the tables of `ref` to `scope`, visits derived tables, collects ON conditions.
  void From(TableRef& ref, Scope* scope, const Ctes* ctes, std::vector<JoinCondition>* conditions);
  void VisitConditions(const std::vector<JoinCondition>& conditions, const Scope& scope, const Ctes* ctes);
  Tag Visit(Expr& expr, const Scope& scope, const Ctes* ctes);
  Tag VisitCondition(Expr& expr, const Scope& scope, const Ctes* ctes);  // WHERE, ON
  // The same, but mentions read the old side for as long as it is written.
  Tag VisitOld(Expr& expr, const Scope& scope, const Ctes* ctes);
  // The rows of an INSERT … SELECT, which are written to old sides.
  Output VisitOldQuery(Query& query, const QueryUse& use);
  Output Items(std::vector<SelectItem>& items, const Scope& scope, const Ctes* ctes, const QueryUse& use);
  void OrderBy(std::vector<OrderItem>& items, const Scope& scope, const Output* aliases, const Ctes* ctes);
  // As Binder::Resolve. A bare name that an original column has had, and that a column added by the migration has now as
  // well, is qualified here: the application means the original one.
  Bound Resolve(Expr& column, const Scope& scope);
  const Binder& binder() const { return binder_; }

  // The side that a mention without a value to compare with reads.
  Side MentionSide(const Bound& bound) const;
  // Makes a mention read `side`. Refuses where that cannot be.
  Tag SetSide(Expr& column, const Bound& bound, Side side);
  // The column as a template, on `side`.
  std::string ColumnText(const Expr& column, const Bound& bound, Side side) const;
  // Tables by their name, as FROM would find them: nullptr for CTEs and tables that do not migrate.
  const MigratingTable* FindTable(const TableRef& ref, const Ctes* ctes) const;

 private:
  struct Frame {  // of the expression under way
    const Scope& scope;
    const Ctes* ctes;
  };
  enum class Operand : uint8_t { kKey, kValue, kQuery, kRow, kOther };

  Tag VisitKind(Expr& expr, const Scope& scope, const Ctes* ctes);
  Output VisitSelect(Select& select, const Scope* outer, const Ctes* ctes, const QueryUse& use);
  Output Star(SelectItem& item, const Scope& scope, const QueryUse& use);
  Tag Mention(Expr& expr, const Scope& scope);
  void KeepName(SelectItem& item, const QueryUse& use);
  // The migration that added the column `name`, if it is there by now (or would be); nullptr: none.
  struct Addition {
    const config::Migration* migration = nullptr;
    bool active = false, either = false;
  };
  static Addition AddedBy(const Source& source, std::string_view name);
  bool FromNewColumns(Expr& column, const Bound& bound);
  void Qualify(Expr& column, const Source& source);
  // rule_using.cc: of the sources [first, middle) and those behind them. False: USING stays as it is.
  bool SpellUsing(TableRef& ref, size_t first, size_t middle, Scope* scope);
  static const Source* Joined(const Scope& scope, std::string_view name);
  // rule_alias.cc
  const SelectItem* AliasMeant(const Select& select, Expr& expr, const Scope& scope, Addition* addition);
  bool GroupByAlias(Select& select, Expr& expr, const Scope& scope);
  void SpellAliases(const Select& select, Expr& expr, const Scope& scope, bool in_aggregates);

  // rule_compare.cc
  Operand Classify(Expr& expr, const Scope& scope, Bound* bound);
  void Comparison(Expr& expr, Expr& left, Expr& right, const Frame& frame);
  void KeyToKey(Expr& left, const Bound& a, Expr& right, const Bound& b);
  void KeyToQuery(Expr& left, const Bound& bound, Query& query, const Frame& frame);
  void KeyToTag(Expr& left, const Bound& bound, Tag tag, const Expr& right, bool equality);
  void KeyToValues(Expr& whole, Expr& left, const Bound& bound, const std::vector<Expr*>& values, bool key_is_left,
                   bool equality);
  // A value that is compared with the new side of `bound`: see Context::Within.
  void KeepWithin(const Bound& bound, Expr& value);
  void KeepUuid(const Key& key, Expr& value);
  void In(Expr& expr, const Frame& frame);
  void InList(Expr& expr, Expr& left, const Bound& bound, const Frame& frame);
  void RowInList(Expr& expr, Expr& left, const Frame& frame);
  void Between(Expr& expr, const Frame& frame);
  Side SideOfShape(const Key& key, ValueShape shape) const;
  // rule_function.cc: what is compared within one expression. Whatever holds no key is in it as a whole.
  struct Compared {
    struct Mention {
      Expr* column = nullptr;
      Bound bound;
      bool mixed = false;   // put together with other letters, or cut
      bool opaque = false;  // made into something that only the old key can say
    };
    std::vector<Mention> mentions;
    std::vector<Expr*> values;  // literals and parameters
    std::vector<Expr*> others;
    std::vector<Tag> tags;      // of what has been visited already
    std::vector<Expr*> parts;   // nothing is compared with them
    std::vector<Expr*> conditions;
    size_t queries = 0;         // among `others`

    struct Sizes {
      size_t mentions, values, others, parts, conditions, queries;
    };
    Sizes Size() const { return {mentions.size(), values.size(), others.size(), parts.size(), conditions.size(), queries}; }
    void Shrink(const Sizes& to) {
      mentions.resize(to.mentions), values.resize(to.values), others.resize(to.others), parts.resize(to.parts), conditions.resize(to.conditions);
    }
  };
  struct Against {
    const Key* key = nullptr;
    bool old_keys = false, new_keys = false, unknown = false;
    bool among = false;  // another query's or function's new side of the same key
    bool apart = false;
  };
  // kHidden: nobody sees the key. kShown: it may be the result. kEither: a new key too is asked of its own column, whatever the cohort reads.
  // kMade: nothing is compared, but an integer key that becomes a UUID is not the same to the function.
  enum class Weighing : uint8_t { kHidden, kShown, kEither, kPattern, kList, kNumbers, kMade };
  struct How {
    bool mixed = false, opaque = false;
  };
  void Gather(Expr& expr, const Frame& frame, How how, Compared* out);
  std::optional<Weighing> WeighingOf(const Expr& call) const;
  size_t Arguments(const Expr& call) const;
  static bool Alters(const Expr& call);  // its result is not the key's letters: it may be NULL by what they are
  void RowToQuery(Expr& left, Query& query, const Frame& frame);
  bool Asked(const Bound& bound) const;
  bool AppendsAll(const Select& select) const;
  bool Carries(Expr& expr, const Frame& frame);
  // Without a key where the expression shows the new side of none.
  Tag MadeOf(Expr& expr, const Frame& frame);
  // … of which the value is, or is made, where it is the new side; null: neither.
  static const Key* NewKeyOf(const Tag& tag);
  bool Apart(const Compared& compared, const Key& key) const;
  // `made`: the expression that a tag is of, null where it is a query's.
  Against WhatStandsAgainst(const Key& key, const Compared& compared, const std::vector<Tag>& tags, const std::vector<const Expr*>& made);
  // Visits all of it, each mention on the side of what it is compared with. `what`: the function or operator.
  void Weigh(const Compared& compared, const Frame& frame, Weighing how, std::string_view what);
  void Weigh(const std::vector<Expr*>& operands, const Frame& frame, Weighing how, std::string_view what);
  void Number(Expr& operand, const Frame& frame);
  void Elements(Expr& call, const Bound& bound, const Frame& frame);
  bool Compares(Expr& call, const Frame& frame);
  ValueShape ShapeOfExpression(const Key& key, const Expr& expr) const;
  bool Reachable(const Bound& bound, Side side) const;
  // key IN (SELECT the side it has FROM own WHERE the other side `rest`)
  std::string Rest(const Expr& whole, const Expr& left) const;  // what stands behind `left`, without its parentheses
  void ByOtherSide(Expr& whole, Expr& left, const Bound& bound, const std::string& rest);
  // A value that is surely not NULL, as the number of the row that has it; 0, which is never a key, if there is none.
  std::string NumberOf(const Key& key, const Expr& value) const;
  bool ListOfNumbers(Expr& left, const Bound& bound, const std::vector<Expr*>& old_values);
  bool IsNull(Expr& expr, const Frame& frame);

  Context& ctx_;
  Binder binder_;
  bool prefer_old_ = false;
  bool grouping_ = false;    // in GROUP BY or HAVING
  const Key* subquery_shows_ = nullptr;  // a scalar subquery of the item in hand gives this key's new side
  // Key columns that the select in hand groups by, or shows as DISTINCT: outside of WHERE only the side that is read is at hand.
  std::vector<std::pair<std::string, const KeyColumn*>> grouped_;  // by the table's alias
  bool Grouped(const Bound& bound) const;
  void GroupKeys(Select& select, const Scope& scope);
  bool condition_ = false;   // of the expression visited next it only matters whether it is true
  bool only_truth_ = false;  // … of the one under way
  std::set<uint32_t> qualified_;  // tokens where a mention was only qualified: it keeps its name
  std::vector<std::unique_ptr<Ctes>> cte_nodes_;
  std::vector<std::unique_ptr<Output>> cte_outputs_;
};

// Parentheses round one expression.
Expr& Unwrap(Expr& expr);
// A column of that name stands in it, subqueries aside.
bool Mentions(const Expr& expr, std::string_view column);

}  // namespace crossfade::rewrite
