// SPDX-License-Identifier: Apache-2.0
// Comparisons of rows, (a, b) = … and (a, b) IN …: each column by its own rule. See reader.h.
#include "rewrite/reader.h"

namespace crossfade::rewrite {

void Reader::RowToQuery(Expr& left, Query& query, const Frame& frame) {
  QueryUse use;
  use.names_matter = false;
  std::vector<Bound> bounds(left.children.size());
  std::vector<bool> is_key(left.children.size());
  for (size_t i = 0; i < left.children.size(); ++i) {
    is_key[i] = Classify(*left.children[i], frame.scope, &bounds[i]) == Operand::kKey;
    use.wishes.push_back(is_key[i] && bounds[i].tag.key->new_reader ? Wish{bounds[i].tag.key, Side::kNew} : Wish{});
  }
  const Output output = VisitQuery(query, &frame.scope, frame.ctes, use);
  for (size_t i = 0; i < left.children.size(); ++i) {
    Expr& child = Unwrap(*left.children[i]);
    const Tag tag = i < output.columns.size() ? output.columns[i].tag : Tag{};
    if (!is_key[i]) {
      Compared compared;
      Gather(child, frame, {}, &compared);
      compared.tags.push_back(tag);
      Weigh(compared, frame, Weighing::kHidden, "a comparison");
    } else if (tag.key == bounds[i].tag.key) {
      SetSide(child, bounds[i], tag.side);
    } else if (tag.made != nullptr || (MentionSide(bounds[i]) == Side::kNew && !Asked(bounds[i]))) {
      ctx_.Refuse(*bounds[i].tag.key, "a row is compared with a query whose kind of key is not known", "let the query select a key column");
    }
  }
}

void Reader::RowInList(Expr& expr, Expr& left, const Frame& frame) {
  for (size_t position = 0; position < left.children.size(); ++position) {
    Expr& column = Unwrap(*left.children[position]);
    Bound bound;
    const bool is_key = Classify(column, frame.scope, &bound) == Operand::kKey;
    Side side = Side::kNone;
    std::vector<Expr*> compared = {&column};
    for (size_t i = 1; i < expr.children.size(); ++i) {
      Expr& row = Unwrap(*expr.children[i]);
      if (row.kind != ExprKind::kRow || row.children.size() != left.children.size()) {
        if (position == 0) Visit(row, frame.scope, frame.ctes);
        if (is_key && MentionSide(bound) == Side::kNew)
          ctx_.Refuse(*bound.tag.key, "a list of rows that are not spelt out", "write the rows as (a, b)");
        continue;
      }
      Expr& element = Unwrap(*row.children[position]);
      Bound other;
      if (!is_key) {
        compared.push_back(&element);
        continue;
      }
      if (Classify(element, frame.scope, &other) != Operand::kValue) {
        Visit(element, frame.scope, frame.ctes);
        if (MentionSide(bound) == Side::kNew && !Asked(bound))
          ctx_.Refuse(*bound.tag.key, "a row of a list holds an expression that may be an old or a new key", "use literals or parameters");
        continue;
      }
      if (!bound.tag.key->either) continue;
      bool is_value = false;
      const Side one = SideOfShape(*bound.tag.key, ctx_.ShapeFor(*bound.tag.key, element, &is_value));
      if (one == Side::kNone) continue;
      if (side != Side::kNone && side != one)
        ctx_.Refuse(*bound.tag.key, "a list of rows mixes old and new keys", "use keys of one kind");
      side = one;
      if (side == Side::kNew) KeepWithin(bound, element);
    }
    if (!is_key) Weigh(compared, frame, Weighing::kHidden, "IN");
    else SetSide(column, bound, side == Side::kNone ? MentionSide(bound) : side);
  }
}

}  // namespace crossfade::rewrite
