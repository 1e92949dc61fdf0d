// SPDX-License-Identifier: Apache-2.0
// Lexes and parses any bytes. Input: engine and release, sql_mode, character set, the text. Tokens must ascend and
// cover no white space twice; a tree's spans must nest; values of tokens must not be longer than their text.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "rewrite/parser.h"
#include "tests/rewrite/parse_tree.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crossfade::rewrite;  // NOLINT
  if (size < 3) return 0;
  static constexpr std::array<Dialect, 5> kDialects = {{{Flavor::kMySql, 50744},
                                                        {Flavor::kMySql, 80036},
                                                        {Flavor::kMySql, 90704},
                                                        {Flavor::kMariaDb, 100619},
                                                        {Flavor::kMariaDb, 110402}}};
  static constexpr std::array<const char*, 8> kCharsets = {"utf8mb4", "gbk",    "sjis",   "big5",
                                                           "gb18030", "latin1", "cp1251", "ujis"};
  SessionFacts facts;
  const Dialect dialect = kDialects[data[0] % kDialects.size()];
  facts.sql_mode = data[1];
  facts.charset = kCharsets[data[2] % kCharsets.size()];
  const std::string_view sql(reinterpret_cast<const char*>(data) + 3, size - 3);
  TokenList list;
  if (!Lex(sql, facts, dialect, &list).ok()) return 0;
  uint32_t end = 0;
  for (uint32_t i = 0; i < list.tokens.size(); ++i) {
    const Token& token = list.tokens[i];
    if (token.begin < end || token.end < token.begin || token.end > sql.size()) std::abort();
    if ((token.kind == TokenKind::kEnd) != (i + 1 == list.tokens.size())) std::abort();
    if (token.kind != TokenKind::kEnd && token.begin == token.end) std::abort();
    if (TokenValue(list, i, facts).size() > token.end - token.begin) std::abort();
    end = token.end;
  }
  Arena arena;
  const absl::StatusOr<ParseResult> result = Parse(list, facts, dialect, 100, &arena);
  if (result.ok() && !SpanChecker::Check(list, *result).empty()) std::abort();
  return 0;
}
