// SPDX-License-Identifier: Apache-2.0
// See sql_words.h.
#include "proxy/sql_words.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "rewrite/names.h"

namespace crossfade::proxy {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool IsLetter(char c) { return (Lower(c) >= 'a' && Lower(c) <= 'z') || c == '_'; }

bool StartsWith(std::string_view text, std::string_view word) {
  if (text.size() < word.size()) return false;
  for (size_t i = 0; i < word.size(); ++i) {
    if (Lower(text[i]) != word[i]) return false;
  }
  return true;
}

// The next place from `i` on where `needle` (two letters or more) may stand; npos: none. It has to be looked at.
size_t Candidate(std::string_view text, std::string_view needle, size_t i) {
  if (text.size() < needle.size()) return std::string_view::npos;
  const size_t end = text.size() - needle.size() + 1;
#if defined(__SSE2__)
  const __m128i one = _mm_set1_epi8(needle[0]), two = _mm_set1_epi8(needle[1]), small = _mm_set1_epi8(0x20);
  for (; i + 17 <= text.size() && i < end; i += 16) {
    const __m128i at = _mm_or_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + i)), small);
    const __m128i next = _mm_or_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + i + 1)), small);
    const auto found = static_cast<uint32_t>(_mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(at, one), _mm_cmpeq_epi8(next, two))));
    if (found == 0) continue;
    i += static_cast<size_t>(std::countr_zero(found));
    return i < end ? i : std::string_view::npos;
  }
#endif
  while (i < end && Lower(text[i]) != needle[0]) ++i;
  return i < end ? i : std::string_view::npos;
}

bool Contains(std::string_view text, std::string_view needle) {
  for (size_t i = Candidate(text, needle, 0); i != std::string_view::npos; i = Candidate(text, needle, i + 1)) {
    if (StartsWith(text.substr(i), needle)) return true;
  }
  return false;
}

// First words of statements that leave the facts alone (stored code they may call is not looked into).
constexpr std::array<std::string_view, 18> kHarmless = {
    "select", "insert", "update", "delete", "replace", "commit", "begin", "start", "rollback",
    "savepoint", "release", "show", "explain", "with", "desc", "truncate", "analyze", "prepare"};
constexpr std::array<std::string_view, 8> kDangerous = {"set", "use", "call", "execute", "drop", "prepare", "begin", "names"};
// What a SET must name to matter here.
constexpr std::array<std::string_view, 8> kFactNames = {"sql_mode", "names", "character", "charset", "foreign_key_checks", "statement", "collation", "regex_flags"};
constexpr uint8_t kAll = kFactsChange | kIsolationChange;

}  // namespace

bool ContainsWord(std::string_view text, std::string_view word) {
  for (size_t i = Candidate(text, word, 0); i != std::string_view::npos; i = Candidate(text, word, i + 1)) {
    if (i > 0 && IsLetter(text[i - 1])) continue;
    if (StartsWith(text.substr(i), word) && (i + word.size() == text.size() || !IsLetter(text[i + word.size()]))) return true;
  }
  return false;
}

bool HasLoadLocal(std::string_view sql) { return ContainsWord(sql, "load") && ContainsWord(sql, "local"); }

uint8_t MayChange(std::string_view sql) {
  size_t begin = 0;
  while (begin < sql.size() && (sql[begin] == ' ' || sql[begin] == '\n' || sql[begin] == '\t' || sql[begin] == '\r')) ++begin;
  size_t end = begin;
  while (end < sql.size() && IsLetter(sql[end])) ++end;
  const std::string_view first = sql.substr(begin, end - begin);
  const bool several = sql.size() > end && std::memchr(sql.data() + end, ';', sql.size() - end) != nullptr;
  if (!several) {
    for (std::string_view word : kHarmless) {
      if (first.size() == word.size() && StartsWith(first, word)) {
        // MariaDB: BEGIN NOT ATOMIC runs a block.
        return word == "begin" && ContainsWord(sql, "not") ? kAll : 0;
      }
    }
    if (first.size() == 3 && StartsWith(first, "set")) {
      for (std::string_view name : kFactNames) {
        if (Contains(sql, name)) return kAll;
      }
      // READ ONLY too is said of the next transaction.
      return Contains(sql, "isolation") || Contains(sql, "transaction") || Contains(sql, "read_only") ? kIsolationChange : 0;
    }
    return kAll;
  }
  for (std::string_view word : kDangerous) {
    if (Contains(sql, word)) return kAll;
  }
  return 0;
}

bool IsPrepare(std::string_view sql) {
  const size_t first = sql.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && StartsWith(sql.substr(first), "prepare");
}

bool AsksOfDiagnostics(std::string_view text) {
  return rewrite::AsksForTheLast(text) || (ContainsWord(text, "show") && (ContainsWord(text, "warnings") || ContainsWord(text, "errors"))) || ContainsWord(text, "diagnostics");
}

}  // namespace crossfade::proxy
