// SPDX-License-Identifier: Apache-2.0
// Functions over a key that compare it, and comparisons of what functions make of it. One that only shows the key (CONCAT(id), MD5(id))
// is of the side that the cohort reads; what is compared with an old key must be one: FIELD and NULLIF look it up, else the whole
// is asked of the old column, and refused where that is no longer there. See reader.h.
#include <algorithm>
#include <optional>

#include "fmt/format.h"
#include "rewrite/names.h"
#include "rewrite/reader.h"

namespace crossfade::rewrite {
namespace {

template <size_t N>
bool OneOf(std::string_view name, const std::string_view (&names)[N]) {
  return std::any_of(std::begin(names), std::end(names), [&](std::string_view each) { return NameEq(each, name); });
}

// The result is one of the arguments from `*first` on.
bool Chooses(const Expr& call, size_t* first) {
  static constexpr std::string_view kAny[] = {"ifnull", "coalesce", "nvl", "greatest", "least", "nullif", "min", "max", "any_value", "lag", "lead", "first_value", "last_value", "nth_value"};
  static constexpr std::string_view kBranches[] = {"if", "nvl2", "elt", "make_set"};
  *first = OneOf(call.text, kBranches) ? 1 : 0;
  return *first == 1 || OneOf(call.text, kAny);
}

// The same letters, in another case or without blanks.
bool KeepsLetters(const Expr& call) {
  static constexpr std::string_view kNames[] = {"lower", "upper", "lcase", "ucase", "trim", "ltrim", "rtrim", "concat"};
  return OneOf(call.text, kNames) && call.children.size() == 1;
}

// Letters of the key, or with others: a text still, of an old key that is one.
bool MixesLetters(const Expr& call) {
  static constexpr std::string_view kNames[] = {"concat", "concat_ws", "trim", "substring", "substr", "mid", "left", "right", "replace",
                                                "reverse", "lpad", "rpad", "substring_index", "insert", "repeat", "group_concat",
                                                "quote", "hex", "to_base64", "soundex", "md5", "sha", "sha1", "sha2"};
  return OneOf(call.text, kNames);
}

// Whatever the key is made of: both sides give the same.
bool Counts(const Expr& call) {
  static constexpr std::string_view kNames[] = {"count", "isnull", "row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "grouping"};
  return call.kind == ExprKind::kFunction && OneOf(call.text, kNames);
}

// They show the key as it is, whichever it is.
bool Shows(const Expr& call) {
  static constexpr std::string_view kNames[] = {"length", "char_length", "character_length", "octet_length", "bit_length", "json_object", "json_array", "json_objectagg", "json_arrayagg",
                                                "json_quote", "bin_to_uuid", "lower", "upper", "lcase", "ucase", "ltrim", "rtrim", "xmlelement", "crc32", "weight_string", "charset", "collation", "coercibility"};
  size_t first = 0;
  return Chooses(call, &first) || MixesLetters(call) || OneOf(call.text, kNames);
}

// A number is meant: a UUID is none.
bool WantsNumbers(std::string_view name) {
  static constexpr std::string_view kNames[] = {"interval", "mod", "elt", "make_set", "abs", "ceil", "ceiling", "floor", "round", "truncate",
                                                "sign", "pow", "power", "sqrt", "bit_count", "bin", "oct", "conv", "sum", "avg"};
  return OneOf(name, kNames);
}

// A number, a date: not the letters of the key any more.
bool ChangesType(const Context& context, const Expr& cast) {
  static constexpr std::string_view kTypes[] = {"signed", "unsigned", "int", "integer", "decimal", "dec", "numeric", "double", "float", "real", "date", "datetime", "time", "timestamp", "year", "json"};
  if (cast.children.empty()) return false;
  for (uint32_t token = cast.children.back()->span.end; token < cast.span.end; ++token)
    if (OneOf(context.Word(token), kTypes)) return true;
  return false;
}

// Arguments that are positions and lengths.
bool Measures(std::string_view name, size_t argument) {
  static constexpr std::string_view kNames[] = {"substring", "substr", "mid", "left", "right", "lpad", "rpad", "repeat"};
  if (NameEq(name, "substring_index")) return argument == 2;
  if (NameEq(name, "lpad") || NameEq(name, "rpad") || NameEq(name, "insert")) return argument == 1 || (argument == 2 && NameEq(name, "insert"));
  return argument > 0 && OneOf(name, kNames);
}

// What says true or false, or counts, by rules of its own.
bool Answers(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kComparison:
    case ExprKind::kIn:
    case ExprKind::kQuantified:
    case ExprKind::kBetween:
    case ExprKind::kLike:
    case ExprKind::kIsNull:
    case ExprKind::kExists:
    case ExprKind::kDefault:
    case ExprKind::kValues:
    case ExprKind::kMatch: return true;
    case ExprKind::kUnary:
    case ExprKind::kBinary: return expr.op != Op::kCollate && expr.op != Op::kConcat;
    default: return Counts(expr);
  }
}

}  // namespace

// Of a function's or an aggregate's children those in its own parentheses; the rest is of OVER.
size_t Reader::Arguments(const Expr& call) const {
  uint32_t token = call.span.begin;
  int depth = 0;
  for (; token < call.span.end; ++token) {
    const std::string_view word = ctx_.Word(token);
    if (word == "(") ++depth;
    else if (word == ")" && --depth == 0) break;
  }
  size_t n = 0;
  while (n < call.children.size() && call.children[n]->span.begin < token) ++n;
  return n;
}

void Reader::Gather(Expr& wrapped, const Frame& frame, How how, Compared* out) {
  Expr& expr = Unwrap(wrapped);
  const bool apart = how.mixed || how.opaque;
  Bound bound;
  switch (Classify(expr, frame.scope, &bound)) {
    case Operand::kKey: out->mentions.push_back({&expr, bound, how.mixed, how.opaque}); return;
    case Operand::kValue: (apart ? out->parts : out->values).push_back(&expr); return;
    case Operand::kQuery: ++out->queries; [[fallthrough]];
    case Operand::kRow: out->others.push_back(&expr); return;
    case Operand::kOther:
      if (bound.tag.made == nullptr) break;
      out->mentions.push_back({&expr, bound, how.mixed, how.opaque || bound.tag.opaque});
      return;
  }
  const Compared::Sizes before = out->Size();
  const bool function = expr.kind == ExprKind::kFunction, own = function && expr.parts.empty();
  size_t first = 0;
  if (Answers(expr) || (own && WeighingOf(expr) && !Chooses(expr, &first))) {
    // as a whole
  } else if (own && (Chooses(expr, &first) || KeepsLetters(expr) || MixesLetters(expr))) {
    const bool mixes = !Chooses(expr, &first) && !KeepsLetters(expr);
    const size_t arguments = Arguments(expr);
    for (size_t i = 0; i < expr.children.size(); ++i) {
      if (i < first && !NameEq(expr.text, "nvl2")) out->conditions.push_back(expr.children[i]);
      else if (i < first || i >= arguments) out->parts.push_back(expr.children[i]);
      else Gather(*expr.children[i], frame, {how.mixed || mixes, how.opaque}, out);
    }
  } else if (expr.kind == ExprKind::kCast || expr.op == Op::kCollate || expr.op == Op::kConcat) {
    for (Expr* child : expr.children) Gather(*child, frame, {how.mixed || expr.op == Op::kConcat, how.opaque || (expr.kind == ExprKind::kCast && ChangesType(ctx_, expr))}, out);
  } else if (expr.kind == ExprKind::kCase && NameEq(ctx_.Word(expr.span.begin + 1), "when")) {
    for (size_t i = 0; i < expr.children.size(); ++i) {
      if (i % 2 == 0 && i + 1 < expr.children.size()) out->conditions.push_back(expr.children[i]);
      else Gather(*expr.children[i], frame, how, out);
    }
  } else {
    const size_t arguments = function ? Arguments(expr) : expr.children.size();
    for (size_t i = 0; i < expr.children.size(); ++i) {
      if (i >= arguments) out->parts.push_back(expr.children[i]);
      else Gather(*expr.children[i], frame, {how.mixed, true}, out);
    }
  }
  if (out->mentions.size() > before.mentions || out->queries > before.queries) return;
  out->Shrink(before);  // as a whole
  (apart ? out->parts : out->others).push_back(&expr);
}

// Mentions of one key that would be read from both sides, where all have the new one: as in `key = key`.
bool Reader::Apart(const Compared& compared, const Key& key) const {
  bool sides[2] = {false, false};
  for (const Compared::Mention& mention : compared.mentions) {
    if (mention.bound.tag.key != &key) continue;
    if (!key.either || !Reachable(mention.bound, Side::kNew)) return false;
    sides[MentionSide(mention.bound) == Side::kNew] = true;
  }
  return sides[0] && sides[1];
}

Reader::Against Reader::WhatStandsAgainst(const Key& key, const Compared& compared, const std::vector<Tag>& tags, const std::vector<const Expr*>& made) {
  Against against{&key};
  const auto count = [&](Side side) { (side == Side::kOld ? against.old_keys : against.new_keys) |= side != Side::kNone; };
  for (Expr* value : compared.values) {
    bool is_value = false;
    if (!key.either) break;
    const ValueShape shape = ctx_.ShapeFor(key, *value, &is_value);
    count(SideOfShape(key, shape));
    // MariaDB makes a UUID of whatever stands beside one, or NULL.
    if (shape == ValueShape::kString && FoldName(key.spec->new_type) == "uuid") against.unknown = true;
  }
  for (size_t i = 0; i < tags.size(); ++i) {
    const ValueShape shape = made[i] != nullptr ? ShapeOfExpression(key, *made[i]) : ValueShape::kUnknown;
    if (tags[i].made == &key || (tags[i].key == &key && tags[i].side == Side::kNew)) against.among = true;
    else if (tags[i].key == &key) count(tags[i].side);
    else if (shape == ValueShape::kUnknown) against.unknown = true;
    else if (key.either) count(SideOfShape(key, shape));
  }
  against.apart = Apart(compared, key);
  return against;
}

void Reader::Weigh(const Compared& compared, const Frame& frame, Weighing how, std::string_view what) {
  for (Expr* part : compared.parts) Visit(*part, frame.scope, frame.ctes);
  for (Expr* condition : compared.conditions) Number(*condition, frame);
  std::vector<Tag> tags = compared.tags;
  std::vector<const Expr*> made(tags.size(), nullptr);
  for (Expr* other : compared.others) {
    tags.push_back(Visit(*other, frame.scope, frame.ctes));
    made.push_back(other);
  }
  for (const Compared::Mention& mention : compared.mentions) {
    if (mention.bound.tag.made == nullptr) continue;
    tags.push_back(Visit(*mention.column, frame.scope, frame.ctes));
    made.push_back(nullptr);
  }
  std::vector<Against> weighed;  // of each key once: there may be many mentions and many values
  const auto against = [&](const Key& key) {
    auto it = std::find_if(weighed.begin(), weighed.end(), [&](const Against& each) { return each.key == &key; });
    return it != weighed.end() ? *it : weighed.emplace_back(WhatStandsAgainst(key, compared, tags, made));
  };
  for (const Tag& tag : tags) {
    const Key* key = NewKeyOf(tag);
    if (key == nullptr || how == Weighing::kMade) continue;
    const Against one = against(*key);
    const bool number = key->old_shape == ValueShape::kInteger, any = one.old_keys || one.new_keys || one.unknown;
    bool wrong = one.old_keys || one.unknown;
    if (how == Weighing::kNumbers) wrong = true;
    else if (tag.opaque || (number && tag.made != nullptr)) wrong = any;
    if (wrong) ctx_.Refuse(*key, fmt::format("{} of what is read of a new key may mean an old one", what), "compare the column itself with = or IN");
  }
  for (const Compared::Mention& mention : compared.mentions) {
    if (mention.bound.tag.made != nullptr) continue;
    const Key& key = *mention.bound.tag.key;
    const Side read = MentionSide(mention.bound);
    const bool number = key.old_shape == ValueShape::kInteger && key.new_shape != ValueShape::kInteger;
    auto [unused, old_keys, new_keys, unknown, among, apart] = against(key);
    // What stands in a list, or is put together, is no key, but may be made of either: '17,18', 'cave-17'.
    if (number && (how == Weighing::kList || mention.mixed)) unknown = old_keys || new_keys || unknown, old_keys = new_keys = false;
    if (number && how == Weighing::kPattern) old_keys = !key.new_only || key.spec->keep_old_lookup, new_keys = unknown = false;
    if (how == Weighing::kMade) old_keys = number, new_keys = unknown = false;
    else if (how == Weighing::kNumbers || mention.opaque) old_keys = true, new_keys = unknown = false;
    Side side = !old_keys && (apart || (among && Reachable(mention.bound, Side::kNew))) ? Side::kNew : read;
    const bool free = read == Side::kNew && !Asked(mention.bound);  // the application wrote the old name
    if ((free && old_keys && new_keys) || (among && side == Side::kOld)) {
      ctx_.Refuse(key, fmt::format("{} mixes old and new keys", what), "use keys of one kind");
    } else if (free && old_keys && how == Weighing::kShown) {
      ctx_.Refuse(key, fmt::format("{} of a key column and an old key cannot be read on the new side", what), "compare the column with = or IN");
    } else if (free && old_keys) {
      side = Side::kOld;
    } else if (free && unknown) {
      ctx_.Refuse(key, fmt::format("{} is compared with an expression that may be an old or a new key", mention.column->parts.back().text),
                  "compare it with a literal or a parameter");
    } else if (how == Weighing::kEither && new_keys && !old_keys && Reachable(mention.bound, Side::kNew)) {
      side = Side::kNew;
    }
    SetSide(*mention.column, mention.bound, side);
  }
}

void Reader::Weigh(const std::vector<Expr*>& operands, const Frame& frame, Weighing how, std::string_view what) {
  Compared compared;
  for (Expr* operand : operands) Gather(*operand, frame, {}, &compared);
  Weigh(compared, frame, how, what);
}

// By the new side's own name, also of a derived table's column.
bool Reader::Asked(const Bound& bound) const { return bound.named_new || bound.tag.named; }

// Of arithmetic, or of a condition: a number is meant. Sums nest as deeply as they are long, so each operand is weighed alone.
void Reader::Number(Expr& operand, const Frame& frame) {
  const ExprKind kind = Unwrap(operand).kind;
  if (kind == ExprKind::kColumn || kind == ExprKind::kFunction || kind == ExprKind::kCast || kind == ExprKind::kCase || kind == ExprKind::kSubquery)
    Weigh({&operand}, frame, Weighing::kNumbers, "a number or a condition");
  else
    Visit(operand, frame.scope, frame.ctes);
}

bool Reader::Carries(Expr& expr, const Frame& frame) {
  Compared compared;
  Gather(expr, frame, {}, &compared);
  return !compared.mentions.empty();
}

const Key* Reader::NewKeyOf(const Tag& tag) {
  if (tag.made != nullptr) return tag.made;
  return tag.side == Side::kNew && tag.key->active && tag.key->new_reader && !tag.named ? tag.key : nullptr;
}

Tag Reader::MadeOf(Expr& expr, const Frame& frame) {
  Compared compared;
  Gather(expr, frame, {}, &compared);
  Tag tag;
  for (const Compared::Mention& mention : compared.mentions) {
    if (mention.bound.tag.made != nullptr) tag.made = mention.bound.tag.made;
    else if (!Asked(mention.bound) && MentionSide(mention.bound) == Side::kNew) tag.made = mention.bound.tag.key;
    else continue;
    tag.opaque = tag.opaque || mention.opaque;
  }
  if (tag.made == nullptr && subquery_shows_ != nullptr && compared.queries > 0) tag.made = subquery_shows_, tag.opaque = true;
  return tag;
}

// FIELD(key, …), NULLIF(key, …): the key of the side that the cohort reads, the others brought to it.
void Reader::Elements(Expr& call, const Bound& bound, const Frame& frame) {
  const Key& key = *bound.tag.key;
  Expr& left = Unwrap(*call.children[0]);
  const Side side = MentionSide(bound);
  SetSide(left, bound, side);
  for (size_t i = 1; i < call.children.size(); ++i) {
    Expr& element = Unwrap(*call.children[i]);
    Bound other;
    const Operand kind = Classify(element, frame.scope, &other);
    if (kind == Operand::kKey && other.tag.key == &key) {
      SetSide(element, other, side);
      continue;
    }
    Side one = Side::kNone;
    if (kind == Operand::kValue) {
      bool is_value = false;
      if (key.either) one = SideOfShape(key, ctx_.ShapeFor(key, element, &is_value));
      if (one == side && side == Side::kNew) KeepWithin(bound, element);
    } else {
      const bool carries = Carries(element, frame);
      const Tag tag = Visit(element, frame.scope, frame.ctes);
      one = tag.key == &key ? tag.side : carries ? Side::kNone : SideOfShape(key, ShapeOfExpression(key, element));
      if (tag.key != &key && (carries || ShapeOfExpression(key, element) == ValueShape::kUnknown)) one = Side::kNone;
      if (one != side && side == Side::kNew && !Asked(bound))
        return ctx_.Refuse(key, fmt::format("{} is compared with an expression that may be an old or a new key", left.parts.back().text), "compare it with a literal or a parameter");
      continue;
    }
    if (one == Side::kNone || one == side) continue;
    if (key.new_only && !key.spec->keep_old_lookup) return ctx_.Refuse(key, "old keys are not looked up any more", "use the new key");
    ctx_.editor.Replace(element.span, one == Side::kOld ? NumberOf(key, element) : ctx_.Lookup(key, false, ctx_.editor.Emit(element.span)));
    ctx_.Note(one == Side::kOld ? "the old key is looked up" : "the new key is looked up");
  }
}

std::optional<Reader::Weighing> Reader::WeighingOf(const Expr& call) const {
  static constexpr std::string_view kEqual[] = {"field", "nullif"};
  static constexpr std::string_view kOrder[] = {"greatest", "least"};
  static constexpr std::string_view kPatterns[] = {"instr", "locate", "position", "regexp_like", "regexp_instr", "regexp_substr"};
  static constexpr std::string_view kLists[] = {"find_in_set", "MEMBER OF"};
  const std::string_view name = call.text;
  if (!call.parts.empty() || call.children.empty()) return std::nullopt;
  if (OneOf(name, kOrder)) return Weighing::kShown;
  if (OneOf(name, kLists)) return Weighing::kList;
  if (OneOf(name, kPatterns)) return Weighing::kPattern;
  if (WantsNumbers(name)) return Weighing::kNumbers;
  if (NameEq(name, "strcmp")) return Weighing::kEither;
  if (NameEq(name, "SOUNDS LIKE") || OneOf(name, kEqual)) return Weighing::kHidden;
  return std::nullopt;
}

bool Reader::Alters(const Expr& call) {
  size_t first = 0;
  return !call.parts.empty() || (!Counts(call) && !Chooses(call, &first) && !MixesLetters(call) && !Shows(call));
}

// False: the key means the same to it on either side.
bool Reader::Compares(Expr& call, const Frame& frame) {
  if (call.children.empty() || Counts(call)) return false;
  const std::string_view name = call.text;
  std::vector<Expr*> all = call.children;
  std::optional<Weighing> how = WeighingOf(call);
  if (how == Weighing::kHidden && all.size() > 1 && !NameEq(name, "SOUNDS LIKE")) {
    Bound bound;
    if (Classify(*all[0], frame.scope, &bound) == Operand::kKey) Elements(call, bound, frame);
    else Weigh(all, frame, NameEq(name, "nullif") && Carries(*all[0], frame) ? Weighing::kShown : Weighing::kHidden, name);
    return true;
  }
  if (!how && call.parts.empty() && Shows(call)) {
    for (size_t i = 0; i < all.size(); ++i) {
      if (Measures(name, i)) Number(*all[i], frame);
      else Visit(*all[i], frame.scope, frame.ctes);
    }
    return true;
  }
  size_t operands = call.kind == ExprKind::kFunction ? Arguments(call) : all.size();
  if (how == Weighing::kPattern) operands = std::min<size_t>(operands, 2);
  if (NameEq(name, "elt") || NameEq(name, "make_set")) operands = std::min<size_t>(operands, 1);
  for (size_t i = operands; i < all.size(); ++i) Visit(*all[i], frame.scope, frame.ctes);
  all.resize(operands);
  if (how) {
    Weigh(all, frame, *how, name);
    return true;
  }
  for (Expr* argument : all) Weigh({argument}, frame, Weighing::kMade, name);
  return true;
}

}  // namespace crossfade::rewrite
