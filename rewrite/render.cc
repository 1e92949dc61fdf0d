// SPDX-License-Identifier: Apache-2.0
// Plan + the client's text -> the text to send. See Plan::Edit in planner.h for the templates.
#include <charconv>

#include "fmt/format.h"
#include "rewrite/cache.h"
#include "rewrite/lexer.h"
#include "rewrite/planner.h"

namespace crossfade::rewrite {
namespace {

bool Expand(const std::string& text, const TokenList& tokens, bool prepared, const std::vector<uint64_t>& keys, std::string* out) {
  for (size_t i = 0; i < text.size(); ++i) {
    size_t plain = i;
    while (plain < text.size() && text[plain] != '\x01' && text[plain] != '\x03') ++plain;
    out->append(text, i, plain - i);
    i = plain;
    if (i == text.size()) break;
    const size_t end = text.find('\x02', i);
    if (end == std::string::npos) return false;
    uint32_t n = 0;
    std::from_chars(text.data() + i + 1, text.data() + end, n);
    if (text[i] == '\x01') {
      if (n >= tokens.tokens.size()) return false;
      *out += tokens.Text(n);
    } else if (prepared) {
      *out += '?';
    } else {
      if (n >= keys.size()) return false;
      char number[20];
      const auto written = std::to_chars(number, number + sizeof number, keys[n]);
      out->append(number, written.ptr);
    }
    i = end;
  }
  return true;
}

}  // namespace

absl::StatusOr<std::string> Render(const Plan& plan, const SessionFacts& facts, const Dialect& dialect, std::string_view sql,
                                   const std::vector<uint64_t>& keys) {
  if (plan.strategy != Strategy::kOneStatement) return std::string(sql);
  TokenList tokens;
  absl::Status status = Lex(sql, facts, dialect, &tokens);
  if (!status.ok())
    return absl::InternalError("the text does not fit its plan: " + std::string(status.message()));
  std::string out;
  status = RenderTokens(plan, tokens, keys, &out);
  if (!status.ok()) return status;
  return out;
}

absl::Status RenderTokens(const Plan& plan, const TokenList& tokens, const std::vector<uint64_t>& keys, std::string* to) {
  const std::string_view sql = tokens.source;
  std::string& out = *to;
  if (plan.strategy != Strategy::kOneStatement) {
    out += sql;
    return absl::OkStatus();
  }
  out.reserve(out.size() + sql.size() + 128 * plan.edits.size());
  size_t at = 0;  // byte of the source
  for (const Plan::Edit& edit : plan.edits) {
    if (edit.end > tokens.tokens.size() || edit.begin > edit.end || edit.begin >= tokens.tokens.size())
      return absl::InternalError("the text does not fit its plan");
    // An insertion stands directly behind the token before it: no comment or version marker comes between.
    const bool insertion = edit.begin == edit.end;
    const size_t begin = insertion && edit.begin > 0 ? tokens.tokens[edit.begin - 1].end : tokens.tokens[edit.begin].begin;
    if (begin < at) return absl::InternalError("the edits of a plan overlap");
    out += sql.substr(at, begin - at);
    if (!Expand(edit.text, tokens, plan.prepared, keys, &out))
      return absl::InternalError(fmt::format("a plan needs {} new keys, {} were given", plan.key_slots.size(), keys.size()));
    at = insertion ? begin : tokens.tokens[edit.end - 1].end;
  }
  out += sql.substr(at);
  return absl::OkStatus();
}

}  // namespace crossfade::rewrite
