// SPDX-License-Identifier: Apache-2.0
// The scanner: one pass, a table of byte classes, no allocation but the tokens. It follows sql/sql_lex.cc of both
// servers state by state; where releases or engines disagree about a text, the text is refused.
#include "rewrite/lexer.h"

#include <bit>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "fmt/format.h"
#include "rewrite/lexer_internal.h"
#include "rewrite/names.h"

namespace crossfade::rewrite {

absl::Status Scanner::Run() {
  while (p_ < end_) {
    if (!Step()) {
      return absl::InvalidArgumentError(fmt::format("{} at byte {}", error_, p_ - begin_));
    }
  }
  if (in_version_comment_) return absl::InvalidArgumentError("comment without its end");
  Emit(TokenKind::kEnd, p_);
  return absl::OkStatus();
}

bool Scanner::Step() {
  const unsigned char* start = p_;
  switch (kClasses[*p_]) {
    case ByteClass::kSpace:
      ++p_;
      return space_ = true;
    case ByteClass::kWord:
    case ByteClass::kHigh:
      return Word();
    case ByteClass::kDigit:
      return Number();
    case ByteClass::kQuote:
      if (!Quoted('\'', backslash_)) return false;
      Emit(TokenKind::kString, start);
      return true;
    case ByteClass::kDoubleQuote:
      if (!(ansi_quotes_ ? QuotedName('"') : Quoted('"', backslash_))) return false;
      Emit(ansi_quotes_ ? TokenKind::kQuotedName : TokenKind::kString, start);
      return true;
    case ByteClass::kBacktick:
      if (!QuotedName('`')) return false;
      Emit(TokenKind::kQuotedName, start);
      return true;
    case ByteClass::kDot:
      if (IsDigit(Peek(1))) return Number();
      Operator(1);
      if (!IsNameByte(Peek())) return true;
      start = p_;
      if (!NameRest()) return false;
      Emit(TokenKind::kWord, start, true);
      return DotAndNames();
    case ByteClass::kCompare:
      return Compare();
    case ByteClass::kBool:
      return Operator(Peek(1) == *p_ ? 2 : 1);
    case ByteClass::kHash:
      return LineComment();
    case ByteClass::kDash:
      if (Peek(1) == '-') {
        const unsigned char c = Peek(2);
        if (c <= ' ' || c == 0x7F) return LineComment();
        if (c >= 0x80 && !utf8_) return Fail("'--' before a byte that may be a space");
      } else if (Peek(1) == '>') {
        return Operator(Peek(2) == '>' ? 3 : 2);
      }
      return Operator(1);
    case ByteClass::kSlash:
      return Peek(1) == '*' ? BlockComment() : Operator(1);
    case ByteClass::kStar:
      if (Peek(1) != '/') return Operator(1);
      if (!in_version_comment_) return Fail("'*/' without a comment");
      in_version_comment_ = false;
      p_ += 2;
      return space_ = true;
    case ByteClass::kAt:
      return Variable();
    case ByteClass::kColon:
      return Operator(Peek(1) == '=' ? 2 : 1);
    case ByteClass::kQuestion:
      if (IsNameByte(Peek(1))) return Fail("'?' before a name");
      ++p_;
      Emit(TokenKind::kParam, start);
      return true;
    case ByteClass::kSemicolon:
      if (in_version_comment_) return Fail("';' in an executable comment");
      return Operator(1);
    case ByteClass::kPunctuation:
      return Operator(1);
    case ByteClass::kNul:
      if (p_ + 1 != end_) return Fail("NUL");
      end_ = p_;
      return true;
    case ByteClass::kBad:
      // \N is NULL, whatever follows it; MySQL has given that up.
      if (*p_ == '\\' && Peek(1) == 'N' && (dialect_.flavor == Flavor::kMariaDb || dialect_.version < 80000)) {
        p_ += 2;
        Emit(TokenKind::kWord, start);
        return true;
      }
      return Fail("unexpected character");
  }
  return Fail("unexpected character");
}

bool Scanner::NameRest() {
  while (p_ < end_) {
    if (IsNameAscii(*p_)) {
      ++p_;
    } else if (*p_ >= 0x80) {
      const size_t length = NameCharLength(family_, p_, end_);
      if (length == 0) return Fail("a byte that is not surely part of a name");
      p_ += length;
    } else {
      break;
    }
  }
  return true;
}

bool Scanner::DotAndNames() {
  while (Peek() == '.' && IsNameByte(Peek(1))) {
    Operator(1);
    const unsigned char* start = p_;
    if (!NameRest()) return false;
    Emit(TokenKind::kWord, start, true);
  }
  return true;
}

bool Scanner::Word() {
  const unsigned char* start = p_;
  if (Peek(1) == '\'') {
    const unsigned char letter = *p_ | 0x20;
    if (letter == 'x') return Literal(2, IsHexDigit, TokenKind::kHex);
    if (letter == 'b') {
      return Literal(2, [](unsigned char c) { return c == '0' || c == '1'; }, TokenKind::kBit);
    }
    if (letter == 'n') {
      ++p_;
      if (!Quoted('\'', backslash_)) return false;
      Emit(TokenKind::kString, start);
      return true;
    }
  }
  if (!NameRest()) return false;
  // MySQL 8.x and 9.x read $tag$ ... $tag$ as a string, from a release on that is not pinned here.
  if (*start == '$' && dialect_.flavor == Flavor::kMySql && dialect_.version >= 80000) {
    for (const unsigned char* q = start + 1; q < p_; ++q) {
      if (*q == '$') return Fail("dollar-quoted text");
    }
  }
  Emit(TokenKind::kWord, start);
  return DotAndNames();
}

bool Scanner::Literal(size_t prefix, bool (*digit)(unsigned char), TokenKind kind) {
  const unsigned char* start = p_;
  p_ += prefix;
  while (p_ < end_ && digit(*p_)) ++p_;
  if (Peek() != '\'') return Fail("illegal hexadecimal or bit literal");
  if (kind == TokenKind::kHex && (p_ - start - prefix) % 2 != 0) return Fail("odd hexadecimal literal");
  ++p_;
  Emit(kind, start);
  return true;
}

bool Scanner::Number() {
  const unsigned char* start = p_;
  const auto name = [&] {
    if (!NameRest()) return false;
    Emit(TokenKind::kWord, start, true);
    return DotAndNames();
  };
  if (*p_ == '0' && (Peek(1) == 'x' || Peek(1) == 'b')) {
    const bool hex = Peek(1) == 'x';
    p_ += 2;
    while (p_ < end_ && (hex ? IsHexDigit(*p_) : (*p_ == '0' || *p_ == '1'))) ++p_;
    if (p_ - start < 3 || IsNameByte(Peek())) return name();
    Emit(hex ? TokenKind::kHex : TokenKind::kBit, start);
    return true;
  }
  while (p_ < end_ && IsDigit(*p_)) ++p_;
  bool point = false;
  if (Peek() == '.') {
    point = true;
    ++p_;
    while (p_ < end_ && IsDigit(*p_)) ++p_;
  }
  if (Peek() == 'e' || Peek() == 'E') {
    const size_t sign = Peek(1) == '+' || Peek(1) == '-' ? 1 : 0;
    if (IsDigit(Peek(1 + sign))) {
      p_ += 2 + sign;
      while (p_ < end_ && IsDigit(*p_)) ++p_;
      Emit(TokenKind::kFloat, start);
      return true;
    }
    if (point) return Fail("number without its exponent");
    return name();
  }
  if (point) {
    Emit(TokenKind::kDecimal, start);
    return true;
  }
  if (IsNameByte(Peek())) return name();
  Emit(TokenKind::kInteger, start);
  return true;
}

bool Scanner::Quoted(unsigned char quote, bool escapes) {
  const unsigned char* p = p_ + 1;
  while (p < end_) {
#if defined(__SSE2__)
    // Over what is plain, sixteen bytes at a time.
    const __m128i ends = _mm_set1_epi8(static_cast<char>(quote)), escape = _mm_set1_epi8(escapes ? '\\' : static_cast<char>(quote));
    while (end_ - p >= 16) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
      const __m128i odd = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, ends), _mm_cmpeq_epi8(bytes, escape)), bytes);
      const auto found = static_cast<uint32_t>(_mm_movemask_epi8(odd));
      if (found != 0) {
        p += std::countr_zero(found);
        break;
      }
      p += 16;
    }
    if (p == end_) break;
#endif
    const unsigned char c = *p;
    if (c >= 0x80 && bites_) {
      const size_t length = MultiByteLength(family_, p, end_);
      p += length == 0 ? 1 : length;
      continue;
    }
    if (c == '\\' && escapes) {
      p += 2;  // one byte after it, even of a longer character: so do the servers
      continue;
    }
    ++p;
    if (c == quote) {
      if (p == end_ || *p != quote) {
        p_ = p;
        return true;
      }
      ++p;
    } else if (c >= 0x80 && family_ == CharsetFamily::kUnknown) {
      return Fail("character set not known");
    }
  }
  return Fail("string without its end");
}

bool Scanner::QuotedName(unsigned char quote) {
  const bool single = family_ == CharsetFamily::kLatin1 || family_ == CharsetFamily::kSingleByte;
  const unsigned char* p = p_ + 1;
  while (p < end_) {
    const unsigned char c = *p;
    if (c == 0) return Fail("NUL in a quoted name");
    if (c >= 0x80 && !single) {
      // MySQL skips by the first byte alone, MariaDB by the valid character.
      const size_t length = MultiByteLength(family_, p, end_);
      if (length == 0) return Fail("invalid character in a quoted name");
      p += length;
      continue;
    }
    ++p;
    if (c == quote) {
      if (p == end_ || *p != quote) {
        p_ = p;
        return true;
      }
      ++p;
    }
  }
  return Fail("quoted name without its end");
}

bool Scanner::Variable() {
  const unsigned char* start = p_;
  if (Peek(1) == '@') {
    p_ += 2;
    if (Peek() == '`') {
      if (!QuotedName('`')) return false;
    } else {
      const unsigned char* name = p_;
      if (!NameRest()) return false;
      if (p_ == name) return Fail("'@@' without a name");
    }
    Emit(TokenKind::kSysVar, start);
    return DotAndNames();
  }
  ++p_;
  const unsigned char c = Peek();
  if (c == '\'' || (c == '"' && !ansi_quotes_)) {
    if (!Quoted(c, backslash_)) return false;
  } else if (c == '`' || c == '"') {
    if (!QuotedName(c)) return false;
  } else {
    while (p_ < end_ && (IsNameAscii(*p_) || *p_ == '.' || (*p_ >= 0x80 && utf8_))) {
      if (*p_ < 0x80) {
        ++p_;
        continue;
      }
      const size_t length = MultiByteLength(family_, p_, end_);
      if (length == 0) return Fail("invalid character in a variable's name");
      p_ += length;
    }
    if (p_ < end_ && *p_ >= 0x80) return Fail("a byte that is not surely part of a variable's name");
    if (p_ == start + 1) return Fail("'@' without a name");
  }
  Emit(TokenKind::kUserVar, start);
  return true;
}

bool Scanner::Compare() {
  const auto compares = [](unsigned char c) { return kClasses[c] == ByteClass::kCompare; };
  const unsigned char c = *p_, next = Peek(1);
  if (!compares(next)) return Operator(1);
  if (c == '<' && next == '=' && Peek(2) == '>') return Operator(3);
  const bool two = (c == '<' && (next == '=' || next == '>' || next == '<')) ||
                   (c == '>' && (next == '=' || next == '>')) || (c == '!' && next == '=');
  // MySQL swallows the second character of "=!" and "!!"; MariaDB does not.
  if (!two || (c == '<' && compares(Peek(2)))) return Fail("comparison characters in a row");
  return Operator(2);
}

absl::Status Lex(std::string_view sql, const SessionFacts& facts, const Dialect& dialect, TokenList* out) {
  out->tokens.clear();
  out->source = sql;
  if (sql.size() > UINT32_MAX - 1) return absl::InvalidArgumentError("text over 4 GiB");
  out->tokens.reserve(sql.size() / 6 + 16);
  return Scanner(sql, facts, dialect, out).Run();
}

bool CanQuote(std::string_view name, const SessionFacts& facts, const Dialect& dialect) {
  const std::string quoted = QuoteName(name);
  TokenList list;
  return Lex(quoted, facts, dialect, &list).ok() && list.tokens.size() == 2 && list.tokens[0].kind == TokenKind::kQuotedName &&
         TokenValue(list, 0, facts) == name;
}

}  // namespace crossfade::rewrite
