// SPDX-License-Identifier: Apache-2.0
// See cache.h.
#include "rewrite/cache.h"

#include <utility>

#include "rewrite/names.h"

namespace crossfade::rewrite {
namespace {

void AppendNumber(uint64_t number, std::string* key) { key->append(reinterpret_cast<const char*>(&number), sizeof number); }

void AppendText(std::string_view text, std::string* key) {
  AppendNumber(text.size(), key);
  *key += text;
}

}  // namespace

std::shared_ptr<const Plan> PlanCache::Find(std::string_view key) {
  const auto it = index_.find(key);
  if (it == index_.end()) return nullptr;
  order_.splice(order_.begin(), order_, it->second);
  return it->second->plan;
}

void PlanCache::Put(std::string key, std::shared_ptr<const Plan> plan) {
  if (entries_ == 0 || index_.count(key) != 0) return;
  if (order_.size() >= entries_) {
    index_.erase(order_.back().key);
    order_.pop_back();
  }
  order_.push_front({std::move(key), std::move(plan)});
  index_[order_.front().key] = order_.begin();
}

void CacheKey(const Snapshot& snapshot, const SessionFacts& facts, const TokenList& tokens,
              const std::vector<ValueShape>* shapes, bool letters, std::string* key) {
  key->clear();
  AppendNumber(snapshot.epoch, key);
  static_assert(sizeof(MigrationSet) == 16);
  key->append(reinterpret_cast<const char*>(&facts.new_cohort), sizeof facts.new_cohort);
  AppendNumber(facts.sql_mode, key);
  *key += facts.foreign_key_checks ? '1' : '0';
  AppendText(facts.schema, key);
  AppendText(facts.charset, key);
  *key += shapes != nullptr ? 'P' : 'Q';
  if (letters) *key += 'L';
  if (shapes != nullptr) {
    AppendNumber(shapes->size(), key);
    for (ValueShape shape : *shapes) *key += static_cast<char>('0' + static_cast<int>(shape));
  }
  for (size_t i = 0; i < tokens.tokens.size(); ++i) {
    const Token& token = tokens.tokens[i];
    const char head = static_cast<char>(static_cast<int>(token.kind) * 8 + (token.space_before ? 1 : 0) +
                                        (token.in_version_comment ? 2 : 0) + (token.name_only ? 4 : 0));
    *key += head;
    if (IsLiteral(token.kind)) {
      // N'x', x'41' and the like are spelt by their first byte.
      const bool string = tokens.source[token.begin] == '\'' || tokens.source[token.begin] == '"';
      const std::string_view text = tokens.Text(static_cast<uint32_t>(i));
      const bool number = string && snapshot.integers_go && text.size() > 2 && ReadsAsNumber(text.substr(1, text.size() - 2));
      if (letters && HasHighByte(text)) *key += 'w';
      *key += !string ? 'l' : !number ? 's' : ReadsAsInteger(text.substr(1, text.size() - 2)) ? 'n' : 'd';
    } else {
      const std::string_view text = tokens.Text(static_cast<uint32_t>(i));
      const auto size = static_cast<uint32_t>(text.size());
      key->append(reinterpret_cast<const char*>(&size), sizeof size);
      *key += text;
    }
  }
}

std::string Digest(const TokenList& tokens) {
  std::string out;
  for (uint32_t i = 0; i + 1 < tokens.tokens.size(); ++i) {
    if (!out.empty()) out += ' ';
    if (IsLiteral(tokens.tokens[i].kind)) out += '?';
    else out += tokens.Text(i);
  }
  return out;
}

}  // namespace crossfade::rewrite
