// SPDX-License-Identifier: Apache-2.0
// Comments: what is skipped, and what is code. /*! and /*M! run by engine and release; a hint is skipped.
#include "rewrite/lexer_internal.h"

namespace crossfade::rewrite {

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

// The servers' hint scanner does not end inside a quoted name: there the comment would be longer than it looks.
bool Scanner::CheckHint(const unsigned char* start) {
  size_t backticks = 0, doubles = 0, singles = 0;
  for (const unsigned char* q = start; q < p_; ++q) {
    backticks += *q == '`';
    doubles += *q == '"';
    singles += *q == '\'';
  }
  const int kinds = (backticks != 0) + (doubles != 0) + (singles != 0);
  if (kinds > 1 || (backticks + doubles + singles) % 2 != 0) return Fail("quotes in an optimizer hint");
  return true;
}

bool Scanner::BlockComment() {
  space_ = true;
  const bool mariadb = dialect_.flavor == Flavor::kMariaDb;
  if (Peek(2) == '!' || (mariadb && Peek(2) == 'M' && Peek(3) == '!')) return VersionComment();
  const bool hint = Peek(2) == '+';
  p_ += 2;
  const unsigned char* start = p_;
  if (!SkipComment(false)) return false;
  return !hint || CheckHint(start);
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

}  // namespace crossfade::rewrite
