// SPDX-License-Identifier: Apache-2.0
// See lint.h.
#include "rewrite/lint.h"

#include <algorithm>

#include "rewrite/names.h"

namespace crossfade::rewrite {
namespace {

constexpr size_t kSessions = 100'000, kShapes = 100'000;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

size_t FindFolded(std::string_view text, std::string_view word) {
  const auto at = std::search(text.begin(), text.end(), word.begin(), word.end(), [](char a, char b) { return Lower(a) == b; });
  return at == text.end() ? std::string_view::npos : static_cast<size_t>(at - text.begin());
}

// USE zoo, USE `zoo`
std::string_view UsedSchema(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\n' || text.front() == '\t')) text.remove_prefix(1);
  if (text.size() < 5 || !NameEq(text.substr(0, 3), "use") || (text[3] != ' ' && text[3] != '`')) return "";
  text.remove_prefix(3);
  const size_t begin = text.find_first_not_of(" `"), end = text.find_last_not_of(" `;\n\r\t");
  return begin == std::string_view::npos ? "" : text.substr(begin, end - begin + 1);
}

}  // namespace

Lint::Lint(std::shared_ptr<const Snapshot> snapshot, SessionFacts facts, uint32_t parse_depth)
    : snapshot_(std::move(snapshot)), first_(std::move(facts)), planner_(100'000, parse_depth) {}

SessionFacts& Lint::FactsOf(const LoggedStatement& statement) {
  if (sessions_.size() > kSessions) sessions_.clear();
  SessionFacts& facts = sessions_.try_emplace(statement.connection, first_).first->second;
  if (statement.begins) facts = first_;
  if (!statement.schema.empty()) facts.schema = statement.schema;
  return facts;
}

// SET [SESSION] sql_mode = 'A,B', SET NAMES gbk: what changes how later texts read, as far as it stands there.
void Lint::TakeSetting(std::string_view text, SessionFacts* facts) {
  if (const std::string_view schema = UsedSchema(text); !schema.empty()) {
    facts->schema = schema;
    return;
  }
  if (text.size() < 4 || !NameEq(text.substr(0, 3), "set") || FindFolded(text, "global") != std::string_view::npos) return;
  if (size_t at = FindFolded(text, "sql_mode"); at != std::string_view::npos) {
    const size_t open = text.find_first_of("'\"", at);
    const size_t close = open == std::string_view::npos ? open : text.find(text[open], open + 1);
    if (close != std::string_view::npos) facts->sql_mode = ParseSqlMode(text.substr(open + 1, close - open - 1));
  }
  if (size_t at = FindFolded(text, "foreign_key_checks"); at != std::string_view::npos) {
    const size_t value = text.find_first_not_of(" =:", at + 18);
    if (value != std::string_view::npos) facts->foreign_key_checks = text[value] != '0' && !(text.size() > value + 1 && NameEq(text.substr(value, 2), "of"));
  }
  if (size_t at = FindFolded(text, "names "); at != std::string_view::npos) {
    std::string_view name = text.substr(at + 6);
    name.remove_prefix(std::min(name.find_first_not_of(" '\""), name.size()));
    name = name.substr(0, name.find_first_of(" '\",;"));
    if (!name.empty()) facts->charset = name;
  }
}

void Lint::Add(const LoggedStatement& statement) {
  SessionFacts& facts = FactsOf(statement);
  if (statement.text.empty()) return;
  ++statements_;
  const char first = Lower(statement.text[0]);
  if (first == 'u' || first == 's') TakeSetting(statement.text, &facts);
  if (!MightTouch(*snapshot_, statement.text)) {
    ++untouched_;
    return;
  }
  const auto plan = planner_.PlanQuery(*snapshot_, facts, statement.text);
  if (plan->would_be == Strategy::kUntouched) {
    ++untouched_;
    return;
  }
  std::string key;
  key.reserve(1 + plan->would_be_reason.size() + plan->digest.size());
  key += static_cast<char>(plan->would_be);
  key += plan->would_be_reason;
  key += plan->digest;
  auto found = shapes_.find(key);
  if (found == shapes_.end()) {
    const bool full = shapes_.size() >= kShapes;
    LintedShape shape{full ? "(other statements)" : plan->digest, plan->would_be == Strategy::kRefuse ? plan->would_be_reason : "", plan->would_be, 0};
    if (full) key = std::string(1, static_cast<char>(plan->would_be)) + shape.digest;
    found = shapes_.try_emplace(std::move(key), std::move(shape)).first;
  }
  ++found->second.count;
}

uint64_t Lint::CountOf(Strategy strategy) const {
  uint64_t count = 0;
  for (const auto& [key, shape] : shapes_) count += shape.strategy == strategy ? shape.count : 0;
  return count;
}

std::vector<LintedShape> Lint::Shapes(Strategy strategy) const {
  std::vector<LintedShape> out;
  for (const auto& [key, shape] : shapes_)
    if (shape.strategy == strategy) out.push_back(shape);
  std::sort(out.begin(), out.end(), [](const LintedShape& a, const LintedShape& b) { return a.count != b.count ? a.count > b.count : a.digest < b.digest; });
  return out;
}

}  // namespace crossfade::rewrite
