// SPDX-License-Identifier: Apache-2.0
// Functions over a key that compare it, and comparisons of what functions make of it. One that only shows the key (CONCAT(id), MD5(id))
// is of the side that the cohort reads; what is compared with an old key must be one: FIELD and NULLIF look it up, else the whole
// is asked of the old column, and refused where that is no longer there. See reader.h.
#include <algorithm>

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
  static constexpr std::string_view kAny[] = {"ifnull", "coalesce", "nvl", "greatest", "least", "nullif", "min", "max", "any_value"};
  static constexpr std::string_view kBranches[] = {"if", "nvl2"};
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

// A number is meant: a UUID is none.
bool WantsNumbers(std::string_view name) {
  static constexpr std::string_view kNames[] = {"interval", "mod", "elt", "make_set", "abs", "ceil", "ceiling", "floor", "round", "truncate",
                                                "sign", "pow", "power", "sqrt", "bit_count", "bin", "oct", "conv", "sum", "avg"};
  return OneOf(name, kNames);
}

}  // namespace

void Reader::Gather(Expr& wrapped, const Frame& frame, bool mixed, Compared* out) {
  Expr& expr = Unwrap(wrapped);
  Bound bound;
  switch (Classify(expr, frame.scope, &bound)) {
    case Operand::kKey: out->mentions.push_back({&expr, bound, mixed}); return;
    case Operand::kValue: (mixed ? out->parts : out->values).push_back(&expr); return;
    case Operand::kQuery:
    case Operand::kRow: (mixed ? out->parts : out->others).push_back(&expr); return;
    case Operand::kOther:
      if (bound.tag.made == nullptr) break;
      out->mentions.push_back({&expr, bound, mixed});
      return;
  }
  const Compared::Sizes before = out->Size();
  if (expr.kind == ExprKind::kFunction && expr.parts.empty()) {
    size_t first = 0;
    const bool chooses = Chooses(expr, &first), letters = KeepsLetters(expr) || MixesLetters(expr);
    for (size_t i = 0; (chooses || letters) && i < expr.children.size(); ++i) {
      if (i < first) out->parts.push_back(expr.children[i]);
      else Gather(*expr.children[i], frame, mixed || (letters && !KeepsLetters(expr)), out);
    }
  } else if (expr.kind == ExprKind::kCast || expr.op == Op::kCollate || expr.op == Op::kConcat) {
    for (Expr* child : expr.children) Gather(*child, frame, mixed || expr.op == Op::kConcat, out);
  } else if (expr.kind == ExprKind::kCase && NameEq(ctx_.Word(expr.span.begin + 1), "when")) {
    for (size_t i = 0; i < expr.children.size(); ++i) {
      if (i % 2 == 0 && i + 1 < expr.children.size()) out->parts.push_back(expr.children[i]);
      else Gather(*expr.children[i], frame, mixed, out);
    }
  }
  if (out->mentions.size() > before.mentions) return;
  out->Shrink(before);  // as a whole
  (mixed ? out->parts : out->others).push_back(&expr);
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
    if (key.either) count(SideOfShape(key, ctx_.ShapeFor(key, *value, &is_value)));
  }
  for (size_t i = 0; i < tags.size(); ++i) {
    const ValueShape shape = made[i] != nullptr ? ShapeOfExpression(key, *made[i]) : ValueShape::kUnknown;
    if (tags[i].made == &key) continue;
    if (tags[i].key == &key) count(tags[i].side);
    else if (shape == ValueShape::kUnknown) against.unknown = true;
    else if (key.either) count(SideOfShape(key, shape));
  }
  against.apart = Apart(compared, key);
  return against;
}

void Reader::Weigh(const Compared& compared, const Frame& frame, Weighing how, std::string_view what) {
  for (Expr* part : compared.parts) Visit(*part, frame.scope, frame.ctes);
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
    if (tag.made == nullptr) continue;
    const Against one = against(*tag.made);
    const bool number = tag.made->old_shape == ValueShape::kInteger;
    const bool wrong = number ? how != Weighing::kPattern && (how == Weighing::kNumbers || one.old_keys || one.new_keys || one.unknown)
                              : how != Weighing::kNumbers && (one.old_keys || (one.unknown && !one.new_keys));
    if (wrong) ctx_.Refuse(*tag.made, fmt::format("{} of what is made of a new key may mean an old one", what), "compare the column itself with = or IN");
  }
  for (const Compared::Mention& mention : compared.mentions) {
    if (mention.bound.tag.made != nullptr) continue;
    const Key& key = *mention.bound.tag.key;
    const Side read = MentionSide(mention.bound);
    const bool number = key.old_shape == ValueShape::kInteger && key.new_shape != ValueShape::kInteger;
    auto [unused, old_keys, new_keys, unknown, apart] = against(key);
    if (how == Weighing::kNumbers) old_keys = number, new_keys = unknown = false;
    // What stands in a list, or is put together, is no key, but may be made of either: '17,18', 'cave-17'. A pattern says nothing.
    if (number && (how == Weighing::kList || mention.mixed)) unknown = old_keys || new_keys || unknown, old_keys = new_keys = false;
    if (number && how == Weighing::kPattern) old_keys = new_keys = unknown = false;
    Side side = !old_keys && apart ? Side::kNew : read;
    const bool free = read == Side::kNew && !mention.bound.named_new;  // the application wrote the old name
    if (free && old_keys && new_keys) {
      ctx_.Refuse(key, fmt::format("{} mixes old and new keys", what), "use keys of one kind");
    } else if (free && old_keys && how == Weighing::kShown) {
      ctx_.Refuse(key, fmt::format("{} of a key column and an old key cannot be read on the new side", what), "compare the column with = or IN");
    } else if (free && old_keys) {
      side = Side::kOld;
    } else if (free && unknown && !new_keys && mention.bound.kind != Bound::kDerived) {
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
  for (Expr* operand : operands) Gather(*operand, frame, false, &compared);
  Weigh(compared, frame, how, what);
}

// Arithmetic. Its sums nest as deeply as they are long, so each operand is weighed alone.
void Reader::Numbers(Expr& expr, const Frame& frame) {
  for (Expr* child : expr.children) {
    const ExprKind kind = Unwrap(*child).kind;
    if (kind == ExprKind::kColumn || kind == ExprKind::kFunction || kind == ExprKind::kCast || kind == ExprKind::kCase)
      Weigh({child}, frame, Weighing::kNumbers, "arithmetic");
    else
      Visit(*child, frame.scope, frame.ctes);
  }
}

bool Reader::Carries(Expr& expr, const Frame& frame) {
  Compared compared;
  Gather(expr, frame, false, &compared);
  return !compared.mentions.empty();
}

const Key* Reader::MadeOf(Expr& expr, const Frame& frame) {
  Compared compared;
  Gather(expr, frame, false, &compared);
  for (const Compared::Mention& mention : compared.mentions) {
    if (mention.bound.tag.made != nullptr) return mention.bound.tag.made;
    if (!mention.bound.named_new && MentionSide(mention.bound) == Side::kNew) return mention.bound.tag.key;
  }
  return nullptr;
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
      if (one != side && side == Side::kNew && !bound.named_new && bound.kind != Bound::kDerived)
        return ctx_.Refuse(key, fmt::format("{} is compared with an expression that may be an old or a new key", left.parts.back().text), "compare it with a literal or a parameter");
      continue;
    }
    if (one == Side::kNone || one == side) continue;
    if (key.new_only && !key.spec->keep_old_lookup) return ctx_.Refuse(key, "old keys are not looked up any more", "use the new key");
    ctx_.editor.Replace(element.span, one == Side::kOld ? NumberOf(key, element) : ctx_.Lookup(key, false, ctx_.editor.Emit(element.span)));
    ctx_.Note(one == Side::kOld ? "the old key is looked up" : "the new key is looked up");
  }
}

// False: it compares nothing.
bool Reader::Compares(Expr& call, const Frame& frame) {
  static constexpr std::string_view kEqual[] = {"field", "nullif"};
  static constexpr std::string_view kOrder[] = {"greatest", "least"};
  static constexpr std::string_view kPatterns[] = {"instr", "locate", "position", "regexp_like", "regexp_instr", "regexp_substr"};
  static constexpr std::string_view kLists[] = {"find_in_set", "MEMBER OF"};
  static constexpr std::string_view kAlike[] = {"strcmp", "SOUNDS LIKE"};
  if (!call.parts.empty() || call.children.empty()) return false;
  const std::string_view name = call.text;
  std::vector<Expr*> all = call.children;
  if (OneOf(name, kEqual)) {
    Bound bound;
    if (Classify(*all[0], frame.scope, &bound) == Operand::kKey) Elements(call, bound, frame);
    else Weigh(all, frame, NameEq(name, "nullif") && Carries(*all[0], frame) ? Weighing::kShown : Weighing::kHidden, name);
    return true;
  }
  const bool pattern = OneOf(name, kPatterns), choice = NameEq(name, "elt") || NameEq(name, "make_set");
  const size_t operands = std::min<size_t>(all.size(), pattern ? 2 : choice ? 1 : all.size());
  Weighing how = Weighing::kHidden;
  if (OneOf(name, kOrder)) how = Weighing::kShown;
  else if (OneOf(name, kLists)) how = Weighing::kList;
  else if (pattern) how = Weighing::kPattern;
  else if (WantsNumbers(name)) how = Weighing::kNumbers;
  else if (!OneOf(name, kAlike)) return false;
  if (NameEq(name, "strcmp")) how = Weighing::kEither;
  for (size_t i = operands; i < all.size(); ++i) Visit(*all[i], frame.scope, frame.ctes);
  all.resize(operands);
  Weigh(all, frame, how, name);
  return true;
}

}  // namespace crossfade::rewrite
