// SPDX-License-Identifier: Apache-2.0
// Plan + the client's text -> the text to send. See Plan::Edit in planner.h for the templates.
#include <charconv>

#include "fmt/format.h"
#include "rewrite/cache.h"
#include "rewrite/lexer.h"
#include "rewrite/planner.h"
#include "rewrite/row_image.h"

namespace crossfade::rewrite {
namespace {

// What stands for the marks of a template that are not of the client's text.
struct Filling {
  const std::vector<uint64_t>* keys = nullptr;
  const std::vector<std::string>* rows = nullptr;
  Form form = Form::kPlain;
  const std::vector<std::string>* ahead = nullptr;
};

bool Expand(const std::string& text, const TokenList& tokens, bool prepared, const Filling& filling, std::string* out) {
  for (size_t i = 0; i < text.size(); ++i) {
    size_t plain = i;
    while (plain < text.size() && static_cast<uint8_t>(text[plain] - 1) > 7) ++plain;  // \x01 to \x08
    out->append(text, i, plain - i);
    i = plain;
    if (i == text.size()) break;
    if ((text[i] == '\x06' && filling.form != Form::kGuarded) || (text[i] == '\x04' && filling.form != Form::kMarked)) i = text.find('\x07', i);
    if (i == std::string::npos) return false;
    if (text[i] == '\x04' || text[i] == '\x06' || text[i] == '\x07') continue;
    const size_t end = text.find('\x02', i);
    if (end == std::string::npos) return false;
    uint32_t n = 0;
    std::from_chars(text.data() + i + 1, text.data() + end, n);
    if (text[i] == '\x01') {
      if (n >= tokens.tokens.size()) return false;
      *out += tokens.Text(n);
    } else if (text[i] == '\x08') {
      if (end == i + 1 || filling.ahead == nullptr || n >= filling.ahead->size() || (*filling.ahead)[n].empty()) {
        i = end;
        continue;
      }
      *out += (*filling.ahead)[n];
      i = text.find("\x08\x02", end);
      if (i++ == std::string::npos) return false;
      continue;
    } else if (text[i] == '\x05') {
      if (filling.rows == nullptr || n >= filling.rows->size()) return false;
      *out += (*filling.rows)[n];
    } else if (prepared) {
      *out += '?';
    } else {
      if (filling.keys == nullptr || n >= filling.keys->size()) return false;
      char number[20];
      const auto written = std::to_chars(number, number + sizeof number, (*filling.keys)[n]);
      out->append(number, written.ptr);
    }
    i = end;
  }
  return true;
}

absl::Status RenderFilled(const Plan& plan, const TokenList& tokens, const Filling& filling, std::string* to) {
  const std::string_view sql = tokens.source;
  std::string& out = *to;
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
    if (!Expand(edit.text, tokens, plan.prepared, filling, &out))
      return absl::InternalError(fmt::format("a plan needs {} new keys, {} were given", plan.key_slots.size(), filling.keys == nullptr ? 0 : filling.keys->size()));
    at = insertion ? begin : tokens.tokens[edit.end - 1].end;
  }
  out += sql.substr(at);
  return absl::OkStatus();
}

}  // namespace

absl::Status LexAgain(const SessionFacts& facts, const Dialect& dialect, std::string_view sql, TokenList* tokens) {
  const absl::Status status = Lex(sql, facts, dialect, tokens);
  return status.ok() ? status : absl::InternalError("the text does not fit its plan: " + std::string(status.message()));
}

absl::StatusOr<std::string> Render(const Plan& plan, const SessionFacts& facts, const Dialect& dialect, std::string_view sql,
                                   const std::vector<uint64_t>& keys, Form form) {
  if (plan.strategy != Strategy::kOneStatement) return std::string(sql);
  TokenList tokens;
  absl::Status status = LexAgain(facts, dialect, sql, &tokens);
  if (!status.ok()) return status;
  std::string out;
  status = RenderTokens(plan, tokens, keys, form, &out);
  if (!status.ok()) return status;
  return out;
}

absl::Status RenderTokens(const Plan& plan, const TokenList& tokens, const std::vector<uint64_t>& keys, Form form, std::string* to,
                          const std::vector<std::string>* ahead) {
  if (plan.strategy != Strategy::kOneStatement) {
    *to += tokens.source;
    return absl::OkStatus();
  }
  return RenderFilled(plan, tokens, {&keys, nullptr, form, ahead}, to);
}

absl::StatusOr<std::string> RenderImageSelect(const Plan& plan, const SessionFacts& facts, const Dialect& dialect, std::string_view sql, uint64_t most) {
  TokenList tokens;
  const absl::Status status = LexAgain(facts, dialect, sql, &tokens);
  if (!status.ok()) return status;
  std::string out;
  if (!Expand(plan.image->select, tokens, false, {}, &out)) return absl::InternalError("the text does not fit its plan");
  // With a limit of its own, whatever sql_select_limit is.
  if (!plan.image->limited) out += fmt::format(" LIMIT {}", most + 1);
  return out + plan.image->locking;
}

absl::StatusOr<std::string> RenderImageStatement(const Plan& plan, const SessionFacts& facts, const Dialect& dialect, std::string_view sql, const ImageRows* only) {
  TokenList tokens;
  absl::Status status = LexAgain(facts, dialect, sql, &tokens);
  if (!status.ok()) return status;
  const std::vector<std::string> conditions = only != nullptr ? only->Conditions() : std::vector<std::string>(plan.image->targets.size(), "TRUE");
  std::string out;
  status = RenderFilled(plan, tokens, {nullptr, &conditions}, &out);
  if (!status.ok()) return status;
  return out;
}

}  // namespace crossfade::rewrite
