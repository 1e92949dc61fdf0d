// SPDX-License-Identifier: Apache-2.0
// New texts from golden ones: tokens exchanged for others of their kind, cut, doubled, swapped, or pieces put in.
#pragma once

#include <random>

#include "rewrite/lexer.h"
#include "tests/rewrite/golden_cases.h"

namespace crossfade::rewrite {

inline std::string Mutate(const std::string& sql, const std::string& other, std::mt19937* random) {
  const auto pieces = [](const std::string& text) {
    TokenList tokens;
    std::vector<std::string> out;
    if (!Lex(text, {}, {}, &tokens).ok()) return out;
    for (uint32_t i = 0; i + 1 < tokens.tokens.size(); ++i) out.emplace_back(tokens.Text(i));
    return out;
  };
  std::vector<std::string> a = pieces(sql), b = pieces(other);
  if (a.empty() || b.empty()) return sql;
  const auto pick = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(*random); };
  const auto kind = [](const std::string& piece) {
    const auto c = static_cast<unsigned char>(piece[0]);
    return std::isalpha(c) || c == '`' ? 0 : std::isdigit(c) || c == '\'' || c == '?' ? 1 : 2;
  };
  for (size_t changes = 1 + pick(3); changes > 0 && !a.empty(); --changes) {
    const size_t at = pick(a.size());
    if (pick(4) != 0) {  // mostly something of the same kind in its place, so that many texts stay statements
      for (int tries = 0; tries < 20; ++tries) {
        const std::string& with = pick(2) == 0 ? a[pick(a.size())] : b[pick(b.size())];
        if (kind(with) != kind(a[at])) continue;
        a[at] = std::string(with);
        break;
      }
      continue;
    }
    switch (pick(5)) {
      case 0: a.erase(a.begin() + static_cast<long>(at)); break;
      case 1: a.insert(a.begin() + static_cast<long>(at), a[pick(a.size())]); break;
      case 2: std::swap(a[at], a[pick(a.size())]); break;
      case 3: a[at] = b[pick(b.size())]; break;
      default: a.insert(a.begin() + static_cast<long>(at), b.begin(), b.begin() + static_cast<long>(pick(b.size()))); break;
    }
  }
  std::string out;
  for (const std::string& piece : a) out += (out.empty() ? "" : " ") + piece;
  return out;
}

}  // namespace crossfade::rewrite
