// SPDX-License-Identifier: Apache-2.0
// The scanner: one pass, a table of byte classes, no allocation but the tokens. It follows sql/sql_lex.cc of both
// servers state by state; where releases or engines disagree about a text, the text is refused.
#include "rewrite/lexer.h"

#include <array>

#include "fmt/format.h"
#include "rewrite/lexer_charset.h"

namespace crossfade::rewrite {
namespace {

enum class Class : uint8_t {
  kBad, kNul, kSpace, kWord, kDigit, kHigh, kQuote, kDoubleQuote, kBacktick, kDot, kCompare, kBool,
  kHash, kDash, kSlash, kStar, kAt, kColon, kQuestion, kSemicolon, kPunctuation,
};

constexpr std::array<Class, 256> MakeClasses() {
  std::array<Class, 256> t{};
  for (int c = 0; c < 256; ++c) t[c] = c >= 0x80 ? Class::kHigh : Class::kBad;
  t[0] = Class::kNul;
  for (int c = 'a'; c <= 'z'; ++c) t[c] = t[c - 32] = Class::kWord;
  for (int c = '0'; c <= '9'; ++c) t[c] = Class::kDigit;
  t['_'] = t['$'] = Class::kWord;
  for (unsigned char c : {' ', '\t', '\n', '\v', '\f', '\r'}) t[c] = Class::kSpace;
  for (unsigned char c : {'<', '>', '=', '!'}) t[c] = Class::kCompare;
  for (unsigned char c : {'(', ')', ',', '+', '%', '^', '~', '{', '}'}) t[c] = Class::kPunctuation;
  t['&'] = t['|'] = Class::kBool;
  t['\''] = Class::kQuote;
  t['"'] = Class::kDoubleQuote;
  t['`'] = Class::kBacktick;
  t['.'] = Class::kDot;
  t['#'] = Class::kHash;
  t['-'] = Class::kDash;
  t['/'] = Class::kSlash;
  t['*'] = Class::kStar;
  t['@'] = Class::kAt;
  t[':'] = Class::kColon;
  t['?'] = Class::kQuestion;
  t[';'] = Class::kSemicolon;
  return t;
}
constexpr std::array<Class, 256> kClasses = MakeClasses();

constexpr bool IsDigit(unsigned char c) { return c >= '0' && c <= '9'; }
constexpr bool IsHexDigit(unsigned char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
constexpr bool IsNameAscii(unsigned char c) {
  return kClasses[c] == Class::kWord || kClasses[c] == Class::kDigit;
}
constexpr bool IsSpace(unsigned char c) { return kClasses[c] == Class::kSpace; }

class Scanner {
 public:
  Scanner(std::string_view sql, const SessionFacts& facts, const Dialect& dialect, TokenList* out)
      : begin_(reinterpret_cast<const unsigned char*>(sql.data())), p_(begin_), end_(begin_ + sql.size()),
        family_(FamilyOf(facts.charset)), utf8_(family_ <= CharsetFamily::kUtf8Mb4),
        bites_(TrailingBytesBite(family_)), ansi_quotes_(facts.sql_mode & kAnsiQuotes),
        backslash_((facts.sql_mode & kNoBackslashEscapes) == 0), dialect_(dialect), out_(out) {}

  absl::Status Run();

 private:
  // The byte `ahead` of the next one; 0 past the end.
  unsigned char Peek(size_t ahead = 0) const {
    return static_cast<size_t>(end_ - p_) > ahead ? p_[ahead] : 0;
  }
  bool IsNameByte(unsigned char c) const { return IsNameAscii(c) || c >= 0x80; }
  void Emit(TokenKind kind, const unsigned char* begin, bool name_only = false) {
    Token& token = out_->tokens.emplace_back();
    token.kind = kind;
    token.in_version_comment = in_version_comment_;
    token.space_before = space_;
    token.name_only = name_only;
    token.begin = static_cast<uint32_t>(begin - begin_);
    token.end = static_cast<uint32_t>(p_ - begin_);
    space_ = false;
  }
  bool Operator(size_t length) {
    const unsigned char* begin = p_;
    p_ += length;
    Emit(TokenKind::kOperator, begin);
    return true;
  }
  bool Fail(const char* what) {
    if (error_ == nullptr) error_ = what;
    return false;
  }

  bool Step();
  bool Word();
  bool NameRest();          // p_ past the characters of a name
  bool DotAndNames();       // after a word: ".name", repeatedly
  bool Number();
  bool Literal(size_t prefix, bool (*digit)(unsigned char), TokenKind kind);
  bool Quoted(unsigned char quote, bool escapes);
  bool QuotedName(unsigned char quote);
  bool Variable();
  bool Compare();
  bool LineComment();
  bool BlockComment();
  bool SkipComment(bool nested);
  bool VersionComment();

  const unsigned char* begin_;
  const unsigned char* p_;
  const unsigned char* end_;
  const CharsetFamily family_;
  const bool utf8_, bites_, ansi_quotes_, backslash_;
  const Dialect dialect_;
  TokenList* out_;
  bool space_ = false;
  bool in_version_comment_ = false;
  const char* error_ = nullptr;
};

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
    case Class::kSpace:
      ++p_;
      return space_ = true;
    case Class::kWord:
    case Class::kHigh:
      return Word();
    case Class::kDigit:
      return Number();
    case Class::kQuote:
      if (!Quoted('\'', backslash_)) return false;
      Emit(TokenKind::kString, start);
      return true;
    case Class::kDoubleQuote:
      if (!(ansi_quotes_ ? QuotedName('"') : Quoted('"', backslash_))) return false;
      Emit(ansi_quotes_ ? TokenKind::kQuotedName : TokenKind::kString, start);
      return true;
    case Class::kBacktick:
      if (!QuotedName('`')) return false;
      Emit(TokenKind::kQuotedName, start);
      return true;
    case Class::kDot:
      if (IsDigit(Peek(1))) return Number();
      Operator(1);
      if (!IsNameByte(Peek())) return true;
      start = p_;
      if (!NameRest()) return false;
      Emit(TokenKind::kWord, start, true);
      return DotAndNames();
    case Class::kCompare:
      return Compare();
    case Class::kBool:
      return Operator(Peek(1) == *p_ ? 2 : 1);
    case Class::kHash:
      return LineComment();
    case Class::kDash:
      if (Peek(1) == '-') {
        const unsigned char c = Peek(2);
        if (c <= ' ' || c == 0x7F) return LineComment();
        if (c >= 0x80 && !utf8_) return Fail("'--' before a byte that may be a space");
      } else if (Peek(1) == '>') {
        return Operator(Peek(2) == '>' ? 3 : 2);
      }
      return Operator(1);
    case Class::kSlash:
      return Peek(1) == '*' ? BlockComment() : Operator(1);
    case Class::kStar:
      if (Peek(1) != '/') return Operator(1);
      if (!in_version_comment_) return Fail("'*/' without a comment");
      in_version_comment_ = false;
      p_ += 2;
      return space_ = true;
    case Class::kAt:
      return Variable();
    case Class::kColon:
      return Operator(Peek(1) == '=' ? 2 : 1);
    case Class::kQuestion:
      if (IsNameByte(Peek(1))) return Fail("'?' before a name");
      ++p_;
      Emit(TokenKind::kParam, start);
      return true;
    case Class::kSemicolon:
      if (in_version_comment_) return Fail("';' in an executable comment");
      return Operator(1);
    case Class::kPunctuation:
      return Operator(1);
    case Class::kNul:
      if (p_ + 1 != end_) return Fail("NUL");
      end_ = p_;
      return true;
    case Class::kBad:
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
  const auto compares = [](unsigned char c) { return kClasses[c] == Class::kCompare; };
  const unsigned char c = *p_, next = Peek(1);
  if (!compares(next)) return Operator(1);
  if (c == '<' && next == '=' && Peek(2) == '>') return Operator(3);
  const bool two = (c == '<' && (next == '=' || next == '>' || next == '<')) ||
                   (c == '>' && (next == '=' || next == '>')) || (c == '!' && next == '=');
  // MySQL swallows the second character of "=!" and "!!"; MariaDB does not.
  if (!two || (c == '<' && compares(Peek(2)))) return Fail("comparison characters in a row");
  return Operator(2);
}

bool Scanner::LineComment() {
  while (p_ < end_ && *p_ != '\n' && *p_ != 0) ++p_;
  return space_ = true;
}

// p_ is past the opening. Only in a skipped executable comment does one level of comments nest.
bool Scanner::SkipComment(bool nested) {
  bool inside = false;
  for (; p_ + 1 < end_; ++p_) {
    if (nested && !inside && p_[0] == '/' && p_[1] == '*') {
      inside = true;
      ++p_;
    } else if (p_[0] == '*' && p_[1] == '/') {
      if (!inside) {
        p_ += 2;
        return true;
      }
      inside = false;
      ++p_;
    }
  }
  return Fail("comment without its end");
}

bool Scanner::BlockComment() {
  space_ = true;
  const bool mariadb = dialect_.flavor == Flavor::kMariaDb;
  if (Peek(2) == '!' || (mariadb && Peek(2) == 'M' && Peek(3) == '!')) return VersionComment();
  const bool hint = Peek(2) == '+';
  p_ += 2;
  const unsigned char* start = p_;
  if (!SkipComment(false)) return false;
  if (hint) {  // the hint scanner does not end inside a quoted name, so the comment would be longer
    size_t backticks = 0, doubles = 0, singles = 0;
    for (const unsigned char* q = start; q < p_; ++q) {
      backticks += *q == '`';
      doubles += *q == '"';
      singles += *q == '\'';
    }
    if (backticks % 2 + doubles % 2 + singles % 2 != 0) return Fail("odd quote in an optimizer hint");
  }
  return true;
}

bool Scanner::VersionComment() {
  const bool mariadb = dialect_.flavor == Flavor::kMariaDb;
  const bool own = Peek(2) == 'M';
  p_ += own ? 4 : 3;
  uint32_t version = 0;
  size_t digits = 0;
  while (digits < 6 && IsDigit(Peek(digits))) ++digits;
  bool run = true;
  if (digits >= 5) {
    if (digits == 6 && !mariadb) {
      // Six digits: only where white space follows, and not in the older releases.
      if (dialect_.version < 90000 || !IsSpace(Peek(6))) return Fail("six digits in an executable comment");
    }
    for (size_t i = 0; i < digits; ++i) version = version * 10 + (Peek(i) - '0');
    run = version <= dialect_.version;
    if (mariadb && !own && version >= 50700 && version <= 99999) run = false;
  }
  if (!run) return SkipComment(true);
  if (in_version_comment_) return Fail("nested executable comment");
  if (digits >= 5) p_ += digits;
  in_version_comment_ = true;
  return true;
}

}  // namespace

absl::Status Lex(std::string_view sql, const SessionFacts& facts, const Dialect& dialect, TokenList* out) {
  out->tokens.clear();
  out->source = sql;
  if (sql.size() > UINT32_MAX - 1) return absl::InvalidArgumentError("text over 4 GiB");
  out->tokens.reserve(sql.size() / 6 + 16);
  return Scanner(sql, facts, dialect, out).Run();
}

}  // namespace crossfade::rewrite
