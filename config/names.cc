// SPDX-License-Identifier: Apache-2.0
// Checks of names, SQL fragments and addresses; see names.h.
#include "config/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace crossfade::config {
namespace {

constexpr size_t kMaxIdentifier = 64;    // characters, both engines
constexpr size_t kMaxFragment = 4096;    // bytes of a type or an expression
constexpr size_t kMaxSocketPath = 107;   // sockaddr_un

bool IsAlnum(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Characters of a UTF-8 text; nullopt-like -1: it is none, or leaves the plane that identifiers may use.
int Utf8Length(std::string_view text) {
  int characters = 0;
  for (size_t i = 0; i < text.size(); ++characters) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = lead < 0x80 ? 1 : lead >= 0xC2 && lead < 0xE0 ? 2 : lead >= 0xE0 && lead < 0xF0 ? 3 : 0;
    if (length == 0 || i + length > text.size()) return -1;
    for (size_t k = 1; k < length; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) return -1;
    }
    i += length;
  }
  return characters;
}

// The end of the quoted text that starts at `begin`; npos: it is not closed.
size_t EndOfQuoted(std::string_view sql, size_t begin) {
  const char quote = sql[begin];
  for (size_t i = begin + 1; i < sql.size(); ++i) {
    if (sql[i] == '\\' && quote != '`') {
      ++i;
    } else if (sql[i] == quote) {
      if (i + 1 >= sql.size() || sql[i + 1] != quote) return i;
      ++i;
    }
  }
  return std::string_view::npos;
}

}  // namespace

std::string FoldCase(std::string_view name) {
  std::string folded(name);
  std::transform(folded.begin(), folded.end(), folded.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return folded;
}

std::string CheckIdentifier(std::string_view name) {
  const int characters = Utf8Length(name);
  bool plain = characters > 0;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    plain = plain && (IsAlnum(byte) || byte == '_' || byte == '$' || byte >= 0x80);
  }
  if (!plain) return fmt::format("'{}' is no identifier (letters, digits, _ and $)", name);
  if (characters > static_cast<int>(kMaxIdentifier)) return fmt::format("'{}' is longer than 64 characters", name);
  if (name.find_first_not_of("0123456789") == std::string_view::npos) {
    return fmt::format("'{}' is no identifier: it is a number", name);
  }
  return {};
}

std::string CheckMigrationName(std::string_view name) {
  for (const char c : name) {
    if (!IsAlnum(static_cast<unsigned char>(c)) && c != '-' && c != '_') {
      return fmt::format("'{}' may have letters, digits, - and _ only", name);
    }
  }
  if (name.size() > kMaxIdentifier) return fmt::format("'{}' is longer than 64 characters", name);
  if (!name.empty() && name.front() == '-') return fmt::format("'{}' may not begin with -", name);
  return {};
}

std::string CheckExpression(std::string_view sql) {
  if (sql.size() > kMaxFragment) return "longer than 4096 bytes";
  if (sql.find_first_not_of(" \t\r\n") == std::string_view::npos) return "it is empty";
  int depth = 0;
  for (size_t i = 0; i < sql.size(); ++i) {
    const char c = sql[i];
    const char next = i + 1 < sql.size() ? sql[i + 1] : '\0';
    if (c == '\'' || c == '"' || c == '`') {
      i = EndOfQuoted(sql, i);
      if (i == std::string_view::npos) return fmt::format("the quote {} is not closed in \"{}\"", c, sql);
    } else if (c == ';') {
      return fmt::format("; may not stand in \"{}\"", sql);
    } else if (c == '?') {
      return fmt::format("a parameter may not stand in \"{}\"", sql);
    } else if (c == '#' || (c == '-' && next == '-') || (c == '/' && next == '*')) {
      return fmt::format("a comment may not stand in \"{}\"", sql);
    } else if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' && c != '\r') {
      return "a control character may not stand here";
    } else if (c == '(') {
      ++depth;
    } else if (c == ')' && --depth < 0) {
      return fmt::format("a parenthesis too many in \"{}\"", sql);
    }
  }
  if (depth != 0) return fmt::format("a parenthesis is not closed in \"{}\"", sql);
  return {};
}

std::string CheckType(std::string_view type) {
  if (std::string reason = CheckExpression(type); !reason.empty()) return reason;
  int depth = 0;
  const bool letter = (type[0] >= 'a' && type[0] <= 'z') || (type[0] >= 'A' && type[0] <= 'Z');
  bool plain = letter;
  for (size_t i = 0; i < type.size() && plain; ++i) {
    const char c = type[i];
    if (c == '\'') {  // the members of an ENUM or SET
      plain = depth > 0;
      i = EndOfQuoted(type, i);
    } else if (c == '(') {
      ++depth;
    } else if (c == ')') {
      --depth;
    } else if (c == ',') {
      plain = depth > 0;
    } else {
      plain = IsAlnum(static_cast<unsigned char>(c)) || c == ' ' || c == '_';
    }
  }
  if (!plain) return fmt::format("'{}' is no column type", type);
  const std::string folded = " " + FoldCase(type) + " ";
  for (const std::string_view word : {"null", "default", "auto_increment", "unique", "key", "primary", "comment",
                                      "references", "generated", "as", "first", "after", "invisible"}) {
    if (folded.find(fmt::format(" {} ", word)) != std::string::npos) {
      return fmt::format("'{}': write the type alone, without {}", type, word);
    }
  }
  return {};
}

std::string CheckAddress(std::string_view address) {
  if (address.substr(0, 5) == "unix:") {
    const std::string_view path = address.substr(5);
    if (path.empty()) return "unix: needs a path";
    if (path.size() > kMaxSocketPath) return fmt::format("the socket path is longer than {} bytes", kMaxSocketPath);
    return {};
  }
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return fmt::format("'{}' has no port; write HOST:PORT or unix:PATH", address);
  const std::string_view host = address.substr(0, colon), port = address.substr(colon + 1);
  unsigned number = 0;
  const char* end = port.data() + port.size();
  const auto [stop, error] = std::from_chars(port.data(), end, number);
  if (error != std::errc() || stop != end || number == 0 || number > 65535) {
    return fmt::format("'{}' is no port (1 to 65535)", port);
  }
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (host.empty() || host.find_first_of(" \t/@") != std::string_view::npos) return fmt::format("'{}' is no host", host);
  if (!bracketed && host.find_first_of(":[]") != std::string_view::npos) {
    return fmt::format("'{}' is no host; an IPv6 address stands in brackets: [::1]:3306", host);
  }
  return {};
}

}  // namespace crossfade::config
