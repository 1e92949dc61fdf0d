// SPDX-License-Identifier: Apache-2.0
// See ahead.h.
#include "rewrite/ahead.h"

#include <algorithm>
#include <charconv>

#include "fmt/format.h"
#include "rewrite/context.h"
#include "rewrite/names.h"
#include "rewrite/stored_form.h"

namespace crossfade::rewrite {
namespace {

bool IsPlain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < '\x7f' && c != '\'' && c != '"' && c != '\\'; });
}

// Up to 18: constants beyond 2^63 are of another type than those before it, and servers make no ranges of both.
bool IsDigits(std::string_view text) {
  return !text.empty() && text.size() <= 18 && (text.size() == 1 || text[0] != '0') && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// A text is one whatever the connection's character set, which may be binary: MariaDB's UUID is not made of bytes as a text has them.
std::string AsText(std::string_view text) { return fmt::format("_utf8mb4'{}'", text); }

std::string AsLiteral(const Plan::AheadParent& parent, const std::string& key) { return parent.integers ? key : AsText(key); }

// What hexadecimal digits stand for; nullopt: they are none.
std::optional<std::string> FromHex(std::string_view digits) {
  std::string bytes(digits.size() / 2, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) {
    uint8_t byte = 0;
    const char* const at = digits.data() + 2 * i;
    if (std::from_chars(at, at + 2, byte, 16).ptr != at + 2) return std::nullopt;
    bytes[i] = static_cast<char>(byte);
  }
  return digits.size() % 2 == 0 ? std::optional(bytes) : std::nullopt;
}

}  // namespace

std::string Context::LookedUpAhead(const MigratingTable& table, const KeyColumn& column, const Expr& value, std::string lookup) {
  const Key& key = *column.key;
  const Column* fresh = NewColumn(key);
  const Column* stored = table.table != nullptr ? table.table->FindColumn(column.new_name) : nullptr;
  if (!ahead || fresh == nullptr || stored == nullptr || value.span.end - value.span.begin != 1 || OnlyDerived(key)) return lookup;
  const bool null = value.kind == ExprKind::kNull && stored->nullable;
  const bool own = (value.kind == ExprKind::kString && key.old_shape == ValueShape::kString) || (value.kind == ExprKind::kInteger && key.old_shape == ValueShape::kInteger);
  if (!null && !own && value.kind != ExprKind::kParam) return lookup;
  const MigratingTable* parent_table = world.Find(key.schema, key.spec->table);
  if (parent_table == nullptr || parent_table->table == nullptr) return lookup;
  // What is stored is what the text says: a shorter column cuts blanks off, which may make it another key.
  const Column* reference = table.table->FindColumn(column.old_name);
  const Column* referred = parent_table->table->FindColumn(key.spec->old_column);
  if (reference != nullptr && (referred == nullptr || reference->type != referred->type || reference->collation != referred->collation)) return lookup;
  // By its index, whatever the server thinks: without one it would lock every row.
  const Index* index = nullptr;
  for (const Index& each : parent_table->table->indexes)
    if (each.unique && each.columns.size() == 1 && NameEq(each.columns[0], key.spec->old_column)) index = &each;
  if (index == nullptr) return lookup;
  // Beside the primary key, servers may take all of an index that has whatever is asked for (and say so by SERVER_QUERY_NO_INDEX_USED).
  std::string counted = index->name == "PRIMARY" ? "*" : "";
  for (const Column& each : parent_table->table->columns) {
    const bool in_index = NameEq(each.name, key.spec->old_column) || NameEq(each.name, key.spec->new_column);
    if (!in_index && !each.generated && counted.empty()) counted = fmt::format("ISNULL({}.{})", alias, QuoteName(each.name));
  }
  if (counted.empty()) return lookup;
  const std::string table_name = fmt::format("{} AS {} FORCE INDEX ({})", OwnTable(key), alias, QuoteName(index->name)), old_key = fmt::format("{}.{}", alias, QuoteName(key.spec->old_column));
  auto& parents = plan->ahead_parents;
  auto parent = std::find_if(parents.begin(), parents.end(), [&](const Plan::AheadParent& other) { return other.table == table_name && other.old_key == old_key; });
  if (parent == parents.end()) {
    std::string fails = fmt::format("{} ISNULL({}.{}))", kMissingParent, QuoteName(table.name), QuoteName(column.old_name));
    if (FoldName(fresh->type).rfind("uuid", 0) == 0) fails = fmt::format("CAST({} AS CHAR)", fails);
    parents.push_back({table_name, old_key, fmt::format("{}.{}", alias, QuoteName(key.spec->new_column)), std::move(counted), std::move(fails), key.old_shape == ValueShape::kInteger, fresh->type_class == TypeClass::kInteger,
                       fresh->type_class == TypeClass::kBinary});
    parent = parents.end() - 1;
    Note("references are looked up by one query before it, where there are limits.insert_lookups of them");
  }
  plan->ahead.push_back({value.span.begin, static_cast<uint32_t>(parent - parents.begin()), stored->nullable});
  return fmt::format("\x08{}\x02{}\x08\x02", plan->ahead.size() - 1, lookup);
}

Ahead::Ahead(const Plan& plan, const TokenList& tokens, const std::vector<AheadParameter>& parameters) : plan_(plan), wanted_(plan.ahead_parents.size()) {
  asked_.reserve(plan.ahead.size());
  std::vector<uint32_t> marks;  // the parameters' tokens
  for (uint32_t i = 0; plan.prepared && i < tokens.tokens.size(); ++i)
    if (tokens.tokens[i].kind == TokenKind::kParam) marks.push_back(i);
  for (const Plan::Ahead& lookup : plan.ahead) {
    Asked asked;
    const std::string_view text = lookup.token < tokens.tokens.size() ? tokens.Text(lookup.token) : std::string_view();
    const TokenKind kind = lookup.token < tokens.tokens.size() ? tokens.tokens[lookup.token].kind : TokenKind::kEnd;
    AheadParameter value;
    if (kind == TokenKind::kParam) {
      const size_t at = static_cast<size_t>(std::lower_bound(marks.begin(), marks.end(), lookup.token) - marks.begin());
      if (at < parameters.size()) value = parameters[at];
    } else if (kind == TokenKind::kString && text.size() >= 2 && (text[0] == '\'' || text[0] == '"')) {
      value = {AheadParameter::kString, std::string(text.substr(1, text.size() - 2))};
    } else if (kind == TokenKind::kInteger) {
      value = {AheadParameter::kInteger, std::string(text)};
    }
    const bool integers = plan.ahead_parents[lookup.parent].integers;
    asked.null = lookup.nullable && (value.kind == AheadParameter::kNull || (kind == TokenKind::kWord && NameEq(text, "null")));
    if (integers ? value.kind == AheadParameter::kInteger && IsDigits(value.text) : value.kind == AheadParameter::kString && IsPlain(value.text))
      asked.fresh = &wanted_[lookup.parent].try_emplace(std::move(value.text)).first->second;
    lookups_ += asked.null || asked.fresh != nullptr ? 1 : 0;
    asked_.push_back(asked);
  }
}

size_t Ahead::keys() const {
  size_t keys = 0;
  for (const auto& of_parent : wanted_) keys += of_parent.size();
  return keys;
}

std::vector<Ahead::Question> Ahead::Questions(bool locking) const {
  std::vector<Question> questions;
  for (size_t i = 0; i < wanted_.size(); ++i) {
    const Plan::AheadParent& parent = plan_.ahead_parents[i];
    std::string fresh = fmt::format("CAST(HEX({}) AS BINARY)", parent.bytes ? parent.new_key : fmt::format("CONVERT({} USING utf8mb4)", parent.new_key));
    if (parent.counted != "*") fresh += ", " + parent.counted;
    for (auto it = wanted_[i].begin(); it != wanted_[i].end();) {
      std::string keys;
      size_t count = 0;
      for (; it != wanted_[i].end() && count < kKeysAtOnce; ++it, ++count) keys += (count == 0 ? "" : ", ") + AsLiteral(parent, it->first);
      questions.push_back({i, count, fmt::format("SELECT CAST(HEX(CONVERT({0} USING utf8mb4)) AS BINARY), {1} FROM {2} WHERE {0} IN ({3}) LIMIT 18446744073709551615{4}", parent.old_key, fresh, parent.table,
                                                 keys, locking ? " LOCK IN SHARE MODE" : "")});
    }
  }
  return questions;
}

void Ahead::Answer(size_t parent, std::string_view old_key, std::optional<std::string_view> fresh) {
  const std::optional<std::string> old_text = FromHex(old_key);
  if (!old_text) return;
  const auto it = wanted_[parent].find(*old_text);
  if (it == wanted_[parent].end()) return;
  if (!fresh) {
    it->second = "NULL";
    return;
  }
  const std::optional<std::string> text = FromHex(*fresh);
  if (!text || text->empty()) return;
  const Plan::AheadParent& of = plan_.ahead_parents[parent];
  if (of.bytes) it->second = fmt::format("X'{}'", *fresh);
  else if (of.number && IsDigits(*text)) it->second = *text;
  else if (!of.number && IsPlain(*text)) it->second = AsText(*text);
}

// That the keys are still what they were.
std::string Ahead::Still() const {
  std::string still;
  for (size_t i = 0; i < wanted_.size(); ++i) {
    const Plan::AheadParent& parent = plan_.ahead_parents[i];
    for (auto it = wanted_[i].begin(); it != wanted_[i].end();) {
      std::string keys, numbered, numbers, unnumbered;
      size_t found = 0;
      for (; it != wanted_[i].end() && found < kKeysAgain; ++it) {
        if (!it->second) continue;
        const std::string text = AsLiteral(parent, it->first);
        keys += (found++ == 0 ? "" : ", ") + text;
        if (*it->second == "NULL") {
          unnumbered += (unnumbered.empty() ? "" : ", ") + text;
        } else {
          numbered += ", " + text;
          numbers += ", " + *it->second;
        }
      }
      if (found == 0) continue;
      std::string pairs;
      if (!numbered.empty()) pairs = fmt::format("FIELD({}{}) = NULLIF(FIELD({}{}), 0)", parent.old_key, numbered, parent.new_key, numbers);
      if (!unnumbered.empty()) unnumbered = fmt::format("{} IN ({}) AND {} IS NULL", parent.old_key, unnumbered, parent.new_key);
      still += fmt::format("{}(SELECT COUNT({}) FROM {} WHERE {} IN ({}) AND ({}{}{}) LOCK IN SHARE MODE) = {}", still.empty() ? "" : " AND ", parent.counted, parent.table, parent.old_key, keys, pairs,
                           pairs.empty() || unnumbered.empty() ? "" : " OR ", unnumbered, found);
    }
  }
  return still;
}

std::vector<std::string> Ahead::Values() const {
  std::string still = Still();
  std::vector<std::string> values(asked_.size());
  for (size_t i = 0; i < asked_.size(); ++i) {
    if (asked_[i].null) values[i] = "NULL";
    if (asked_[i].fresh == nullptr || !*asked_[i].fresh) continue;
    values[i] = **asked_[i].fresh;
    if (still.empty()) continue;
    values[i] = fmt::format("IF({}, {}, {})", still, values[i], plan_.ahead_parents[plan_.ahead[i].parent].fails);
    still.clear();
  }
  return values;
}

}  // namespace crossfade::rewrite
