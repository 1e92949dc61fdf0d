// SPDX-License-Identifier: Apache-2.0
// Comparisons with a key: the shape of the value decides which column is compared, or, where the key has only one
// side at that place (derived tables, references after retire), the value is looked up. See reader.h.
#include <algorithm>

#include "fmt/format.h"
#include "rewrite/names.h"
#include "rewrite/reader.h"
#include "rewrite/rules.h"

namespace crossfade::rewrite {
namespace {

Side Other(Side side) { return side == Side::kNew ? Side::kOld : Side::kNew; }

bool IsEquality(const Expr& expr) { return expr.op == Op::kEq; }

// The operator of `b op a` for `a op b`; nullptr: no such comparison.
const char* Flipped(const Expr& expr) {
  if (expr.kind != ExprKind::kComparison) return nullptr;
  switch (expr.op) {
    case Op::kNe: return "<>";
    case Op::kLt: return ">";
    case Op::kLe: return ">=";
    case Op::kGt: return "<";
    case Op::kGe: return "<=";
    default: return nullptr;
  }
}

}  // namespace

Reader::Operand Reader::Classify(Expr& wrapped, const Scope& scope, Bound* bound) {
  Expr& expr = Unwrap(wrapped);
  switch (expr.kind) {
    case ExprKind::kColumn:
      *bound = Resolve(expr, scope);
      return bound->tag.key != nullptr && bound->tag.key->active ? Operand::kKey : Operand::kOther;
    case ExprKind::kString:
    case ExprKind::kHex:
    case ExprKind::kInteger:
    case ExprKind::kBool:
    case ExprKind::kNull:
    case ExprKind::kDecimal:
    case ExprKind::kFloat:
    case ExprKind::kBit:
    case ExprKind::kTemporal:
    case ExprKind::kParam: return Operand::kValue;
    case ExprKind::kUnary:
      if (expr.op == Op::kNeg && expr.children.size() == 1) {
        const ExprKind inner = expr.children[0]->kind;
        if (inner == ExprKind::kInteger || inner == ExprKind::kDecimal || inner == ExprKind::kFloat) return Operand::kValue;
      }
      return Operand::kOther;
    case ExprKind::kSubquery: return Operand::kQuery;
    case ExprKind::kRow: return Operand::kRow;
    default: return Operand::kOther;
  }
}

Side Reader::SideOfShape(const Key& key, ValueShape shape) const {
  if (!key.either) return Side::kNone;
  if (shape == key.new_shape) return Side::kNew;
  if (shape == key.old_shape || shape == ValueShape::kUnknown) return Side::kOld;
  // 7.0, a date: numbers to the server, which compares them with the integer; beside a UUID they are what it begins with.
  if (shape == ValueShape::kOther && key.old_shape == ValueShape::kInteger) return Side::kOld;
  return Side::kNone;
}

// The few functions whose kind of result is plain; kUnknown for the rest.
ValueShape Reader::ShapeOfExpression(const Key& key, const Expr& expr) const {
  static constexpr std::string_view kStrings[] = {"concat", "concat_ws", "upper", "lower", "ucase", "lcase", "trim", "ltrim",
                                                  "rtrim", "substring", "substr", "left", "right", "replace", "uuid", "hex",
                                                  "lpad", "rpad", "reverse", "repeat", "elt", "format", "md5", "sha2", "unhex", "uuid_to_bin"};
  if (expr.kind == ExprKind::kFunction) {
    // Beside an integer they may be one: CONCAT('1', '7').
    const bool any = key.old_shape != ValueShape::kInteger || NameEq(expr.text, "uuid") || NameEq(expr.text, "uuid_to_bin");
    for (std::string_view name : kStrings)
      if (any && NameEq(expr.text, name)) return ValueShape::kString;
    if (NameEq(expr.text, "last_insert_id")) return ValueShape::kInteger;
  }
  const bool text = key.old_shape != ValueShape::kInteger;
  if (expr.op == Op::kCollate && expr.children.size() == 1 && Unwrap(*expr.children[0]).kind == ExprKind::kString && text) return ValueShape::kString;
  if (expr.kind == ExprKind::kCast && !expr.children.empty()) {
    for (uint32_t token = expr.children.back()->span.end; token < expr.span.end; ++token) {
      const std::string_view word = ctx_.Word(token);
      if (NameEq(word, "signed") || NameEq(word, "unsigned")) return ValueShape::kInteger;
      if (NameEq(word, "char") && text) return ValueShape::kString;
    }
  }
  if (expr.op == Op::kArith) return ValueShape::kInteger;
  return ValueShape::kUnknown;
}

bool Reader::Reachable(const Bound& bound, Side side) const {
  switch (bound.kind) {
    case Bound::kPlain: return false;
    case Bound::kDerived: return bound.tag.side == side;
    case Bound::kUncertain: return true;  // SetSide refuses where something would have to change
    case Bound::kBase:
      if (Grouped(bound)) return side == MentionSide(bound);
      return side == Side::kNew || bound.column->own || !bound.tag.key->new_only;
  }
  return false;
}

void Reader::Comparison(Expr& expr, Expr& left_wrapped, Expr& right_wrapped, const Frame& frame) {
  Expr& left = Unwrap(left_wrapped);
  Expr& right = Unwrap(right_wrapped);
  Bound a, b;
  const Operand l = Classify(left, frame.scope, &a), r = Classify(right, frame.scope, &b);
  if (l == Operand::kRow && r == Operand::kRow && left.children.size() == right.children.size()) {
    for (size_t i = 0; i < left.children.size(); ++i) Comparison(expr, *left.children[i], *right.children[i], frame);
    return;
  }
  if (l == Operand::kRow && r == Operand::kQuery) return RowToQuery(left, *right.query, frame);
  if (l == Operand::kQuery && r == Operand::kRow) return RowToQuery(right, *left.query, frame);
  if (l == Operand::kKey && r == Operand::kKey) return KeyToKey(left, a, right, b);
  if (l != Operand::kKey && r != Operand::kKey) return Weigh({&left, &right}, frame, Weighing::kHidden, "a comparison");
  const bool key_is_left = l == Operand::kKey;
  Expr& key = key_is_left ? left : right;
  Expr& other = key_is_left ? right : left;
  const Bound& bound = key_is_left ? a : b;
  switch (key_is_left ? r : l) {
    case Operand::kValue: return KeyToValues(expr, key, bound, {&other}, key_is_left, IsEquality(expr));
    case Operand::kQuery: return KeyToQuery(key, bound, *other.query, frame);
    default:
      if (Carries(other, frame)) return Weigh({&left, &right}, frame, Weighing::kHidden, "a comparison");
      return KeyToTag(key, bound, Visit(other, frame.scope, frame.ctes), other, IsEquality(expr));
  }
}

void Reader::KeyToKey(Expr& left, const Bound& a, Expr& right, const Bound& b) {
  const Key& key = *a.tag.key;
  if (b.tag.key != &key) {  // two keys that have nothing to do with each other: each by its cohort
    SetSide(left, a, MentionSide(a));
    SetSide(right, b, MentionSide(b));
    return;
  }
  Side side = Side::kOld;
  if (a.kind == Bound::kDerived) side = a.tag.side;
  else if (b.kind == Bound::kDerived) side = b.tag.side;
  else if (key.new_reader) side = Side::kNew;
  else if (a.named_new == b.named_new) side = MentionSide(a);
  else if (key.either) side = Side::kNew;
  else return;  // as written: the new columns are not complete yet
  SetSide(left, a, side);
  SetSide(right, b, side);
}

void Reader::KeyToQuery(Expr& left, const Bound& bound, Query& query, const Frame& frame) {
  const Key& key = *bound.tag.key;
  QueryUse use;
  use.names_matter = false;
  const Side mention = MentionSide(bound);
  if (bound.kind == Bound::kDerived) use.wishes = {{&key, bound.tag.side}};
  else if (key.new_reader) use.wishes = {{&key, Side::kNew}};
  const Output output = VisitQuery(query, &frame.scope, frame.ctes, use);
  const Tag tag = output.columns.size() == 1 ? output.columns[0].tag : Tag{};
  if (tag.key == &key && (key.either || key.new_reader || tag.side == mention)) {
    SetSide(left, bound, tag.side);
  } else if (tag.made != nullptr || (tag.key != &key && mention == Side::kNew && !Asked(bound))) {
    ctx_.Refuse(key, fmt::format("{} is compared with a query whose kind of key is not known", left.parts.back().text),
                "let the query select a key column");
  } else {
    SetSide(left, bound, mention);
  }
}

// The key compared with an expression that is no plain value.
void Reader::KeyToTag(Expr& left, const Bound& bound, Tag tag, const Expr& right, bool equality) {
  const Key& key = *bound.tag.key;
  const Side mention = MentionSide(bound);
  if (tag.key == &key) {
    SetSide(left, bound, tag.side);
    return;
  }
  if (Asked(bound) || mention == Side::kOld) {
    SetSide(left, bound, mention);
    return;
  }
  const Side side = SideOfShape(key, ShapeOfExpression(key, right));
  if (ShapeOfExpression(key, right) != ValueShape::kUnknown && side != Side::kNone) {
    if (Reachable(bound, side)) {
      SetSide(left, bound, side);
      return;
    }
    if (equality && key.spec->keep_old_lookup) {
      if (ctx_.OnlyDerived(key)) return ctx_.Refuse(key, fmt::format("{} is compared with an expression, in a statement that changes {}", left.parts.back().text, key.spec->table), "compare it with a literal or a parameter");
      SetSide(left, bound, Other(side));
      const std::string text = ctx_.editor.Emit(right.span), lookup = ctx_.Lookup(key, side == Side::kOld, text);
      ctx_.editor.Replace(right.span, side == Side::kNew ? lookup : fmt::format("COALESCE({}, IF({} IS NULL, NULL, {}))", lookup, text, key.nothing));
      return;
    }
  }
  ctx_.Refuse(key, fmt::format("{} is compared with an expression that may be an old or a new key", left.parts.back().text),
              "compare it with a literal or a parameter");
}

// The key compared with values that are all on one side (=, <, LIKE, BETWEEN).
void Reader::KeyToValues(Expr& whole, Expr& left, const Bound& bound, const std::vector<Expr*>& values, bool key_is_left,
                         bool equality) {
  const Key& key = *bound.tag.key;
  Side side = Side::kNone;
  for (Expr* value : values) {
    if (!key.either) break;
    // A pattern is no key; beside an integer that of one is meant, as long as there are such keys.
    if (whole.kind == ExprKind::kLike && key.old_shape == ValueShape::kInteger) {
      if (!Asked(bound) && (!key.new_only || key.spec->keep_old_lookup)) side = Side::kOld;
      break;
    }
    bool is_value = false;
    const Side one = SideOfShape(key, ctx_.ShapeFor(key, Unwrap(*value), &is_value));
    if (one == Side::kNone) continue;
    if (side != Side::kNone && side != one) {
      ctx_.Refuse(key, "a range from an old to a new key", "use keys of one kind");
      return;
    }
    side = one;
  }
  if (side == Side::kNone) side = MentionSide(bound);
  // In `value IN (columns)` and `value BETWEEN …` it is compared with other columns too.
  if (side == Side::kNew && (key_is_left || whole.kind == ExprKind::kComparison))
    for (Expr* value : values) {
      KeepWithin(bound, Unwrap(*value));
      if ((!equality || !only_truth_) && whole.kind != ExprKind::kLike && !Asked(bound)) KeepUuid(key, Unwrap(*value));
    }
  if (Reachable(bound, side)) {
    SetSide(left, bound, side);
    return;
  }
  if (key.new_only && !key.spec->keep_old_lookup) {
    ctx_.Refuse(key, "old keys are not looked up any more", "use the new key");
    return;
  }
  Expr& value = Unwrap(*values[0]);
  const bool null_safe = whole.kind == ExprKind::kComparison && whole.op == Op::kNullSafeEq;
  // What follows may write the whole comparison anew, which in rows is one of several columns.
  if (whole.kind == ExprKind::kComparison && Unwrap(*whole.children[0]).kind == ExprKind::kRow && whole.op != Op::kEq && (side == Side::kNew || !null_safe)) {
    ctx_.Refuse(key, "rows with a key in them are compared in another way than by =", "compare the columns one by one");
    return;
  }
  if (equality || null_safe) {
    SetSide(left, bound, Other(side));
    ctx_.Note(side == Side::kOld ? "the old key is looked up" : "the new key is looked up");
    if (side == Side::kOld) {
      ctx_.editor.Replace(value.span, NumberOf(key, value));
      return;
    }
    ctx_.editor.Replace(value.span, ctx_.Lookup(key, false, ctx_.editor.Emit(value.span)));
    if (!null_safe) return;
    // A number that is no key is equal to no row's, to those without a key neither.
    ctx_.editor.Replace(whole.span, fmt::format("COALESCE({} = {}, FALSE)", ctx_.editor.Emit(left.span), ctx_.editor.Emit(value.span)));
    return;
  }
  if (key_is_left) return ByOtherSide(whole, left, bound, Rest(whole, left));
  if (const char* flipped = Flipped(whole))
    return ByOtherSide(whole, left, bound, fmt::format("{} {}", flipped, ctx_.editor.Emit(value.span)));
  ctx_.Refuse(key, "such a comparison cannot be made by the other key", "write the column on the left, or use =");
}

void Reader::KeepWithin(const Bound& bound, Expr& value) {
  const Key& key = *bound.tag.key;
  if (!key.active || ctx_.editor.Touched(value.span)) return;
  const MigratingTable* table = bound.kind == Bound::kBase && bound.source != nullptr ? bound.source->table : nullptr;
  const Column* column = table != nullptr && table->table != nullptr && bound.column != nullptr ? table->table->FindColumn(bound.column->new_name) : ctx_.NewColumn(key);
  const std::string text = ctx_.editor.Emit(value.span), within = ctx_.Within(column, value, key.nothing, text);
  if (within == text) return;
  ctx_.editor.Replace(value.span, within);
  ctx_.Note("letters that no new key can have find nothing");
}

std::string ThatIsUuid(const Key& key, const Expr& value, const std::string& text, const std::string& otherwise) {
  if (FoldName(key.spec->new_type) != "uuid" || value.kind == ExprKind::kHex) return text;
  const std::string digits = fmt::format("REPLACE({}, '-', '')", text);
  return fmt::format("CASE WHEN (LENGTH({1}) = 32 AND UNHEX({1}) IS NOT NULL) OR (CHARSET({0}) = 'binary' AND LENGTH({0}) = 16) THEN {0}{2} END", text, digits, otherwise.empty() ? "" : " ELSE " + otherwise);
}

// Beside MariaDB's type UUID what is none would be NULL, and so would NOT of it.
void Reader::KeepUuid(const Key& key, Expr& value) {
  if (FoldName(key.spec->new_type) != "uuid" || (value.kind != ExprKind::kString && value.kind != ExprKind::kParam) || ctx_.editor.Touched(value.span)) return;
  const std::string text = ctx_.editor.Emit(value.span);
  ctx_.editor.Replace(value.span, ThatIsUuid(key, value, text, fmt::format("IF({} IS NULL, NULL, {})", text, key.nothing)));
}

std::string Reader::Rest(const Expr& whole, const Expr& left) const {
  uint32_t begin = left.span.end;
  while (ctx_.Word(begin) == ")") ++begin;
  return ctx_.editor.Emit({begin, whole.span.end});
}

std::string Reader::NumberOf(const Key& key, const Expr& value) const {
  const std::string text = ctx_.editor.Emit(value.span);
  // A parameter may be NULL, which shows in the flags of a column `ro = ?`.
  const std::string none = value.kind == ExprKind::kParam ? fmt::format("IF({} IS NULL, NULL, {})", text, key.nothing) : key.nothing;
  return fmt::format("COALESCE({}, {})", ctx_.Lookup(key, true, text), none);
}

void Reader::ByOtherSide(Expr& whole, Expr& left, const Bound& bound, const std::string& rest) {
  const Key& key = *bound.tag.key;
  const Side has = bound.kind == Bound::kDerived ? bound.tag.side : Side::kNew;
  if (key.new_only && !key.spec->keep_old_lookup) {
    ctx_.Refuse(key, "old keys are not looked up any more", "use the new key");
    return;
  }
  const std::string& to = has == Side::kNew ? key.spec->new_column : key.spec->old_column;
  const std::string& from = has == Side::kNew ? key.spec->old_column : key.spec->new_column;
  const std::string column = ColumnText(left, bound, has);
  std::string text = fmt::format("{0} IN (SELECT {1}.{2} FROM {3} AS {1} WHERE {1}.{4} {5})", column, ctx_.alias, QuoteName(to),
                                 Context::OwnTable(key), QuoteName(from), rest);
  if (ctx_.OnlyDerived(key)) {
    text = fmt::format("{0} IN (SELECT {1}.{2} FROM (SELECT {2} FROM {3} WHERE {4} {5} LIMIT 18446744073709551615) AS {1})", column, ctx_.alias, QuoteName(to),
                       Context::OwnTable(key), QuoteName(from), rest);
  }
  // NULL in no rows at all would be false.
  if (!only_truth_ && has == Side::kNew) text = fmt::format("({} OR {} = {})", text, column, key.nothing);
  ctx_.editor.Replace(whole.span, text);
  ctx_.Note(has == Side::kNew ? "the old key is looked up" : "the new key is looked up");
}

void Reader::In(Expr& expr, const Frame& frame) {
  if (expr.children.empty()) return;
  Expr& left = Unwrap(*expr.children[0]);
  Bound bound;
  const Operand kind = Classify(left, frame.scope, &bound);
  if (expr.query != nullptr) {
    if (kind == Operand::kKey) return KeyToQuery(left, bound, *expr.query, frame);
    if (kind == Operand::kRow) return RowToQuery(left, *expr.query, frame);
    QueryUse use;
    use.names_matter = false;
    const Output output = VisitQuery(*expr.query, &frame.scope, frame.ctes, use);
    Compared compared;
    Gather(left, frame, {}, &compared);
    compared.tags.push_back(output.columns.size() == 1 ? output.columns[0].tag : Tag{});
    return Weigh(compared, frame, Weighing::kHidden, "a comparison");
  }
  if (kind == Operand::kKey) return InList(expr, left, bound, frame);
  if (kind == Operand::kRow) return RowInList(expr, left, frame);
  // A value IN (columns): each element is a comparison of its own.
  if (kind == Operand::kValue) {
    for (size_t i = 1; i < expr.children.size(); ++i) {
      Bound element;
      if (Classify(*expr.children[i], frame.scope, &element) == Operand::kKey)
        KeyToValues(expr, Unwrap(*expr.children[i]), element, {&left}, false, false);
      else
        Weigh({&left, expr.children[i]}, frame, Weighing::kHidden, "IN");
    }
    return;
  }
  Weigh(expr.children, frame, Weighing::kHidden, "IN");
}

void Reader::InList(Expr& expr, Expr& left, const Bound& bound, const Frame& frame) {
  const Key& key = *bound.tag.key;
  const Side mention = MentionSide(bound);
  std::vector<Expr*> old_values, new_values, neutral;
  for (size_t i = 1; i < expr.children.size(); ++i) {
    Expr& element = Unwrap(*expr.children[i]);
    Bound other;
    Side side = Side::kNone;
    const Operand kind = Classify(element, frame.scope, &other);
    if (kind == Operand::kValue) {
      bool is_value = false;
      if (key.either) side = SideOfShape(key, ctx_.ShapeFor(key, element, &is_value));
      if (side == Side::kNew) KeepWithin(bound, element);
      if (side == Side::kNew && (expr.negated || !only_truth_) && !Asked(bound)) KeepUuid(key, element);
    } else if (kind == Operand::kKey && other.tag.key == &key) {
      side = MentionSide(other);
      if (bound.kind != Bound::kDerived && !bound.named_new && mention == Side::kNew && other.kind == Bound::kBase) side = Side::kNew;
      SetSide(element, other, side);
    } else {
      const bool carries = Carries(element, frame);
      Visit(element, frame.scope, frame.ctes);
      const ValueShape shape = carries ? ValueShape::kUnknown : ShapeOfExpression(key, element);
      if (shape != ValueShape::kUnknown && key.either) side = SideOfShape(key, shape);
      else if (mention == Side::kNew && !Asked(bound))
        return ctx_.Refuse(key, "an IN list holds an expression that may be an old or a new key", "use literals or parameters");
    }
    (side == Side::kOld ? old_values : side == Side::kNew ? new_values : neutral).push_back(expr.children[i]);
  }
  // NULL and the like go with the others.
  auto& home = old_values.empty() && new_values.empty() ? (mention == Side::kNew ? new_values : old_values)
               : old_values.empty()                     ? new_values
                                                        : old_values;
  home.insert(home.end(), neutral.begin(), neutral.end());
  if (old_values.empty() || new_values.empty()) {
    const Side side = old_values.empty() ? Side::kNew : Side::kOld;
    if (Reachable(bound, side)) {
      SetSide(left, bound, side);
      return;
    }
  }
  if (bound.kind == Bound::kUncertain) {
    SetSide(left, bound, bound.named_new ? Side::kOld : Side::kNew);  // refuses
    return;
  }
  const bool looks_up = !Reachable(bound, Side::kOld) || !Reachable(bound, Side::kNew);
  if (looks_up && key.new_only && !key.spec->keep_old_lookup)
    return ctx_.Refuse(key, "old keys are not looked up any more", "use the new key");
  if (!Reachable(bound, Side::kOld) && ListOfNumbers(left, bound, old_values)) return;
  if (new_values.empty() || old_values.empty()) return ByOtherSide(expr, left, bound, Rest(expr, left));
  const char* in = expr.negated ? "NOT IN" : "IN";
  const auto list = [&](const std::vector<Expr*>& values) {
    std::string text;
    for (Expr* value : values) text += (text.empty() ? "" : ", ") + ctx_.editor.Emit(value->span);
    return text;
  };
  const auto part = [&](Side side, const std::vector<Expr*>& values) {
    if (Reachable(bound, side)) return fmt::format("{} {} ({})", ColumnText(left, bound, side), in, list(values));
    const bool to_new = side == Side::kOld;
    return fmt::format("{0} {1} (SELECT {2}.{3} FROM {4} AS {2} WHERE {2}.{5} IN ({6}))", ColumnText(left, bound, Other(side)),
                       in, ctx_.alias, QuoteName(to_new ? key.spec->new_column : key.spec->old_column), Context::OwnTable(key),
                       QuoteName(to_new ? key.spec->old_column : key.spec->new_column), list(values));
  };
  ctx_.editor.Replace(expr.span, fmt::format("({} {} {})", part(Side::kOld, old_values), expr.negated ? "AND" : "OR",
                                             part(Side::kNew, new_values)));
  ctx_.Note("a list of old and new keys");
}

// The list with the old keys in it looked up one by one. False: one of them is computed.
bool Reader::ListOfNumbers(Expr& left, const Bound& bound, const std::vector<Expr*>& old_values) {
  const Key& key = *bound.tag.key;
  for (const Expr* value : old_values) {
    bool is_value = false;
    if (ctx_.ShapeOf(Unwrap(*const_cast<Expr*>(value)), &is_value) == ValueShape::kNull) continue;
    if (!is_value) return false;
  }
  SetSide(left, bound, Side::kNew);
  for (Expr* value : old_values) {
    bool is_value = false;
    if (ctx_.ShapeOf(Unwrap(*value), &is_value) != ValueShape::kNull) ctx_.editor.Replace(value->span, NumberOf(key, *value));
  }
  ctx_.Note("the old key is looked up");
  return true;
}

// IS [NOT] NULL. As long as both sides are kept the old column answers: where it cannot be NULL, or other conditions on it
// cannot hold at the same time, the server knows before it reads, and says so in its info text. False: nothing of the kind.
bool Reader::IsNull(Expr& expr, const Frame& frame) {
  if (expr.children.size() != 1 || !NameEq(expr.text, "null")) return false;
  Bound bound;
  Expr& column = Unwrap(*expr.children[0]);
  if (Classify(column, frame.scope, &bound) != Operand::kKey || bound.kind != Bound::kBase || bound.named_new) return false;
  if (bound.tag.key->new_only || Grouped(bound)) return false;
  SetSide(column, bound, Side::kOld);
  return true;
}

void Reader::Between(Expr& expr, const Frame& frame) {
  if (expr.children.size() != 3) return;
  Bound bound[3];
  Operand kind[3];
  for (int i = 0; i < 3; ++i) kind[i] = Classify(*expr.children[i], frame.scope, &bound[i]);
  Expr& left = Unwrap(*expr.children[0]);
  if (kind[0] == Operand::kKey && kind[1] == Operand::kValue && kind[2] == Operand::kValue)
    return KeyToValues(expr, left, bound[0], {expr.children[1], expr.children[2]}, true, false);
  if (std::find(kind, kind + 3, Operand::kKey) == kind + 3) return Weigh(expr.children, frame, Weighing::kHidden, "BETWEEN");
  for (int i = 0; i < 3; ++i) {
    Expr& child = Unwrap(*expr.children[i]);
    if (kind[i] != Operand::kKey) {
      if (kind[0] == Operand::kValue) Weigh({&left, &child}, frame, Weighing::kHidden, "BETWEEN");
      else Visit(child, frame.scope, frame.ctes);
    } else if (kind[0] == Operand::kValue) {
      KeyToValues(expr, child, bound[i], {&left}, false, false);
    } else {
      if (MentionSide(bound[i]) == Side::kNew && !Asked(bound[i]))
        ctx_.Refuse(*bound[i].tag.key, "BETWEEN with an expression that may be an old or a new key", "use literals or parameters");
      SetSide(child, bound[i], MentionSide(bound[i]));
    }
  }
}

}  // namespace crossfade::rewrite
