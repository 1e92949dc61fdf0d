// SPDX-License-Identifier: Apache-2.0
// Collects what a plan changes in the client's text, by token. A template is the text of Plan::Edit: "\x01<n>\x02"
// stands for token n of the source, "\x03<n>\x02" for key slot n, a bare '?' only ever for such a slot.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "rewrite/ast.h"
#include "rewrite/lexer.h"
#include "rewrite/planner.h"

namespace crossfade::rewrite {

std::string TokenMark(uint32_t token);
std::string SlotMark(uint32_t slot);
// A name's token as it may stand behind a quoted name and a dot: `t`.2fa would be read as a number.
std::string NameMark(const TokenList& tokens, uint32_t token);

class Editor {
 public:
  explicit Editor(const TokenList& tokens) : tokens_(tokens) {}

  void Before(uint32_t token, const std::string& text);  // a later call stands outside (further left)
  void After(uint32_t token, const std::string& text);   // a later call stands outside (further right)
  // Tokens of `span` become `text`; edits inside it so far are gone (take them along by Emit).
  void Replace(Span span, std::string text);
  // The template of `span` with the edits inside it. Tokens stand apart where they did in the source.
  std::string Emit(Span span) const;
  bool Touched(Span span) const;
  bool Empty() const { return before_.empty() && after_.empty() && replaced_.empty(); }

  // Fills plan.edits and plan.params. False: an edit would cut a version comment in two.
  bool Finish(Plan* plan) const;

 private:
  struct Range {
    uint32_t end;
    std::string text;
  };
  const TokenList& tokens_;
  std::map<uint32_t, std::string> before_, after_;
  std::map<uint32_t, Range> replaced_;  // by begin; not overlapping
};

}  // namespace crossfade::rewrite
