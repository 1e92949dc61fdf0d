// SPDX-License-Identifier: Apache-2.0
// See editor.h.
#include "rewrite/editor.h"

#include <cstdlib>

namespace crossfade::rewrite {
namespace {

// The '?' and slots of a template, in order.
void AppendParams(const std::string& text, const TokenList& tokens, const std::vector<uint32_t>& param_of_token,
                  std::vector<ParamSource>* params) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\x01' && text[i] != '\x03') continue;
    const bool slot = text[i] == '\x03';
    const auto n = static_cast<uint32_t>(std::strtoul(text.c_str() + i + 1, nullptr, 10));
    i = text.find('\x02', i);
    if (slot) params->push_back({ParamSource::kNewKey, n});
    else if (tokens.tokens[n].kind == TokenKind::kParam) params->push_back({ParamSource::kClient, param_of_token[n]});
  }
}

}  // namespace

std::string TokenMark(uint32_t token) { return "\x01" + std::to_string(token) + "\x02"; }
std::string NameMark(const TokenList& tokens, uint32_t token) {
  const char first = tokens.Text(token)[0];
  return first >= '0' && first <= '9' ? "`" + TokenMark(token) + "`" : TokenMark(token);
}
std::string SlotMark(uint32_t slot) { return "\x03" + std::to_string(slot) + "\x02"; }

void Editor::Before(uint32_t token, const std::string& text) {
  std::string& at = before_[token];
  at = text + at;
}

void Editor::After(uint32_t token, const std::string& text) { after_[token] += text; }

void Editor::Replace(Span span, std::string text) {
  const auto inside = [&](auto& edits) {
    for (auto it = edits.lower_bound(span.begin); it != edits.end() && it->first < span.end;) it = edits.erase(it);
  };
  inside(before_);
  inside(after_);
  inside(replaced_);
  replaced_[span.begin] = {span.end, std::move(text)};
}

std::string Editor::Emit(Span span) const {
  std::string out;
  for (uint32_t i = span.begin; i < span.end;) {
    if (i != span.begin && tokens_.tokens[i].space_before) out += ' ';
    if (const auto it = before_.find(i); it != before_.end()) out += it->second;
    uint32_t last = i;
    if (const auto it = replaced_.find(i); it != replaced_.end()) {
      out += it->second.text;
      last = it->second.end - 1;
    } else {
      out += TokenMark(i);
    }
    if (const auto it = after_.find(last); it != after_.end()) out += it->second;
    i = last + 1;
  }
  return out;
}

bool Editor::Touched(Span span) const {
  const auto any = [&](const auto& edits) {
    const auto it = edits.lower_bound(span.begin);
    return it != edits.end() && it->first < span.end;
  };
  return any(before_) || any(after_) || any(replaced_);
}

bool Editor::Finish(Plan* plan) const {
  const auto& tokens = tokens_.tokens;
  std::vector<uint32_t> param_of_token(tokens.size(), 0);
  uint32_t params = 0;
  for (size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i].kind == TokenKind::kParam) param_of_token[i] = params++;

  plan->edits.clear();
  plan->params.clear();
  for (uint32_t i = 0; i < tokens.size();) {
    const auto before = before_.find(i);
    const auto replaced = replaced_.find(i);
    uint32_t end = i + 1;
    if (replaced != replaced_.end()) end = replaced->second.end;
    const auto after = after_.find(end - 1);
    if (before != before_.end() || replaced != replaced_.end()) {
      if (tokens[i].in_version_comment != tokens[end - 1].in_version_comment) return false;
      std::string text = before != before_.end() ? before->second : "";
      text += replaced != replaced_.end() ? replaced->second.text : TokenMark(i);
      if (after != after_.end()) text += after->second;
      plan->edits.push_back({i, end, std::move(text)});
      AppendParams(plan->edits.back().text, tokens_, param_of_token, &plan->params);
    } else {
      if (tokens[i].kind == TokenKind::kParam) plan->params.push_back({ParamSource::kClient, param_of_token[i]});
      if (after != after_.end()) {
        plan->edits.push_back({i + 1, i + 1, after->second});
        AppendParams(after->second, tokens_, param_of_token, &plan->params);
      }
    }
    i = end;
  }
  return true;
}

}  // namespace crossfade::rewrite
