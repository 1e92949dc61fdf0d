// SPDX-License-Identifier: Apache-2.0
// Text -> tokens, as the backend's own lexer would cut it under this sql_mode, character set and version.
// Executable comments (/*! ... */, /*M! ... */) whose version the backend accepts are lexed as code: their
// markers become no tokens and `in_version_comment` is set on what stands inside.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "rewrite/planner.h"

namespace crossfade::rewrite {

enum class TokenKind : uint8_t {
  kWord,          // keyword or bare identifier
  kQuotedName,    // `x`, or "x" under ANSI_QUOTES
  kString,        // 'x', "x", adjacent ones are separate tokens; N'x' and _utf8'x' (introducer is a kWord before it)
  kInteger, kDecimal, kFloat, kHex, kBit,   // 0x1F, x'1F', b'01'
  kParam,         // ?
  kUserVar,       // @x, @'x', @`x`, whole
  kSysVar,        // @@x, @@global (a '.' and words follow)
  kOperator,      // one operator or punctuation, the longest that matches: <=>, :=, ->>, ||, (
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  bool in_version_comment = false;
  bool space_before = false;   // white space or a comment stands before it
  bool name_only = false;      // kWord that is never a keyword: right after a '.', or it starts with a digit
  uint32_t begin = 0, end = 0; // bytes of the source
};

struct TokenList {
  std::vector<Token> tokens;  // the last one is kEnd, at the end of the text
  std::string_view source;
  std::string_view Text(uint32_t i) const { return source.substr(tokens[i].begin, tokens[i].end - tokens[i].begin); }
};

// Errors (InvalidArgument): unterminated string or comment, NUL inside the text (not in a string or block comment;
// one at the very end is accepted), a byte sequence that is not valid in `facts.charset` where that decides a
// token's end, text whose tokens depend on the release (nested /*!, MySQL's dollar quotes, "=!"), more than 4 GiB.
// A string N'x' is one token; white space and comments are none.
absl::Status Lex(std::string_view sql, const SessionFacts& facts, const Dialect& dialect, TokenList* out);

bool IsLiteral(TokenKind kind);

// The value of a string, quoted name or number token: unquoted, escapes resolved under facts.sql_mode.
// Of @x and @@x what follows the @; of any other token its text.
std::string TokenValue(const TokenList& list, uint32_t i, const SessionFacts& facts);

// Whether `name` (see TokenValue) in backticks is read as that name: not where a character's last byte is one, or where it
// holds bytes that are no character.
bool CanQuote(std::string_view name, const SessionFacts& facts, const Dialect& dialect);

}  // namespace crossfade::rewrite
