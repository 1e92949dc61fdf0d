// SPDX-License-Identifier: Apache-2.0
// The scanner's inside: byte classes and the class whose methods stand in lexer.cc and lexer_comment.cc. Each step
// method takes what starts at p_ and returns false after Fail().
#pragma once

#include <array>

#include "rewrite/lexer.h"
#include "rewrite/lexer_charset.h"

namespace crossfade::rewrite {

enum class ByteClass : uint8_t {
  kBad, kNul, kSpace, kWord, kDigit, kHigh, kQuote, kDoubleQuote, kBacktick, kDot, kCompare, kBool,
  kHash, kDash, kSlash, kStar, kAt, kColon, kQuestion, kSemicolon, kPunctuation,
};

constexpr std::array<ByteClass, 256> MakeClasses() {
  std::array<ByteClass, 256> t{};
  for (int c = 0; c < 256; ++c) t[c] = c >= 0x80 ? ByteClass::kHigh : ByteClass::kBad;
  t[0] = ByteClass::kNul;
  for (int c = 'a'; c <= 'z'; ++c) t[c] = t[c - 32] = ByteClass::kWord;
  for (int c = '0'; c <= '9'; ++c) t[c] = ByteClass::kDigit;
  t['_'] = t['$'] = ByteClass::kWord;
  for (unsigned char c : {' ', '\t', '\n', '\v', '\f', '\r'}) t[c] = ByteClass::kSpace;
  for (unsigned char c : {'<', '>', '=', '!'}) t[c] = ByteClass::kCompare;
  for (unsigned char c : {'(', ')', ',', '+', '%', '^', '~', '{', '}'}) t[c] = ByteClass::kPunctuation;
  t['&'] = t['|'] = ByteClass::kBool;
  t['\''] = ByteClass::kQuote;
  t['"'] = ByteClass::kDoubleQuote;
  t['`'] = ByteClass::kBacktick;
  t['.'] = ByteClass::kDot;
  t['#'] = ByteClass::kHash;
  t['-'] = ByteClass::kDash;
  t['/'] = ByteClass::kSlash;
  t['*'] = ByteClass::kStar;
  t['@'] = ByteClass::kAt;
  t[':'] = ByteClass::kColon;
  t['?'] = ByteClass::kQuestion;
  t[';'] = ByteClass::kSemicolon;
  return t;
}
constexpr std::array<ByteClass, 256> kClasses = MakeClasses();

constexpr bool IsDigit(unsigned char c) { return c >= '0' && c <= '9'; }
constexpr bool IsHexDigit(unsigned char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
constexpr bool IsNameAscii(unsigned char c) {
  return kClasses[c] == ByteClass::kWord || kClasses[c] == ByteClass::kDigit;
}
constexpr bool IsSpace(unsigned char c) { return kClasses[c] == ByteClass::kSpace; }

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
  bool CheckHint(const unsigned char* start);

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

}  // namespace crossfade::rewrite
