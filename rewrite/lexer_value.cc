// SPDX-License-Identifier: Apache-2.0
// TokenValue: what a literal or a quoted name stands for.
#include "rewrite/lexer.h"
#include "rewrite/lexer_charset.h"

namespace crossfade::rewrite {
namespace {

// `text` with its quotes. Escapes as in String Literals of both reference manuals: \% and \_ stay as they are.
std::string Unquote(std::string_view text, bool escapes, CharsetFamily family) {
  std::string value;
  if (text.size() < 2) return value;
  const char quote = text[0];
  value.reserve(text.size() - 2);
  const auto* p = reinterpret_cast<const unsigned char*>(text.data()) + 1;
  const auto* end = p + text.size() - 2;
  while (p < end) {
    const size_t length = *p >= 0x80 ? MultiByteLength(family, p, end) : 0;
    if (length > 1) {
      value.append(reinterpret_cast<const char*>(p), length);
      p += length;
      continue;
    }
    char c = static_cast<char>(*p++);
    if (c == quote && p < end) {
      ++p;  // doubled
    } else if (c == '\\' && escapes && p < end) {
      c = static_cast<char>(*p++);
      switch (c) {
        case '0': c = '\0'; break;
        case 'b': c = '\b'; break;
        case 'n': c = '\n'; break;
        case 'r': c = '\r'; break;
        case 't': c = '\t'; break;
        case 'Z': c = '\x1A'; break;
        case '%':
        case '_': value.push_back('\\'); break;
        default: break;
      }
    }
    value.push_back(c);
  }
  return value;
}

}  // namespace

std::string TokenValue(const TokenList& list, uint32_t i, const SessionFacts& facts) {
  std::string_view text = list.Text(i);
  const bool escapes = (facts.sql_mode & kNoBackslashEscapes) == 0;
  const CharsetFamily family = FamilyOf(facts.charset);
  switch (list.tokens[i].kind) {
    case TokenKind::kString:
      if (text[0] != '\'' && text[0] != '"') text.remove_prefix(1);  // N'...'
      return Unquote(text, escapes, family);
    case TokenKind::kQuotedName:
      return Unquote(text, false, family);
    case TokenKind::kUserVar:
      text.remove_prefix(1);
      if (text[0] == '\'' || (text[0] == '"' && (facts.sql_mode & kAnsiQuotes) == 0)) {
        return Unquote(text, escapes, family);
      }
      return text[0] == '`' || text[0] == '"' ? Unquote(text, false, family) : std::string(text);
    case TokenKind::kSysVar:
      text.remove_prefix(2);
      return text[0] == '`' ? Unquote(text, false, family) : std::string(text);
    default:
      return std::string(text);
  }
}

bool IsLiteral(TokenKind kind) {
  switch (kind) {
    case TokenKind::kString:
    case TokenKind::kInteger:
    case TokenKind::kDecimal:
    case TokenKind::kFloat:
    case TokenKind::kHex:
    case TokenKind::kBit: return true;
    case TokenKind::kWord:
    case TokenKind::kQuotedName:
    case TokenKind::kParam:
    case TokenKind::kUserVar:
    case TokenKind::kSysVar:
    case TokenKind::kOperator:
    case TokenKind::kEnd: return false;
  }
  return false;
}

}  // namespace crossfade::rewrite
