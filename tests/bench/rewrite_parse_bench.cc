// SPDX-License-Identifier: Apache-2.0
// Speed of the lexer and the parser: a lookup, a join, an INSERT of many rows, and one with a large string.
#include <string>

#include "benchmark/benchmark.h"
#include "rewrite/parser.h"

namespace crossfade::rewrite {
namespace {

const std::string& Text(int64_t which) {
  static const std::string* const kTexts = [] {
    auto* texts = new std::string[4];
    texts[0] = "SELECT id, name, owner FROM caves WHERE id = 'b7c1f0de-7f0e-4f4c-9a63-1f6b0d1f2a77' AND owner <> 5";
    texts[1] =
        "SELECT b.id, b.name, c.name AS cave, COUNT(*) AS n FROM bears b JOIN caves c ON c.id = b.caveId LEFT JOIN foods f "
        "ON f.bearId = b.id AND f.kind IN ('honey', 'fish', 'berries') WHERE b.age BETWEEN 3 AND 12 AND c.region = ? GROUP BY "
        "b.id, b.name, c.name HAVING COUNT(*) > 2 ORDER BY n DESC, b.name LIMIT 20 OFFSET 40";
    texts[2] = "INSERT INTO bears (id, caveId, name, age) VALUES ";
    for (int i = 0; i < 200; ++i) {
      texts[2] += (i == 0 ? "(" : ", (") + std::to_string(i) + ", 'b7c1f0de-7f0e-4f4c-9a63-1f6b0d1f2a77', 'Bruno', 7)";
    }
    texts[3] = "INSERT INTO bears (id, picture) VALUES (1, '" + std::string(1 << 20, 'x') + "')";
    return texts;
  }();
  return kTexts[which];
}

void BM_Lex(benchmark::State& state) {
  const std::string& text = Text(state.range(0));
  const SessionFacts facts;
  const Dialect dialect;
  TokenList list;
  for (auto _ : state) {
    benchmark::DoNotOptimize(Lex(text, facts, dialect, &list).ok());
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}
BENCHMARK(BM_Lex)->DenseRange(0, 3);

void BM_Parse(benchmark::State& state) {
  const std::string& text = Text(state.range(0));
  const SessionFacts facts;
  const Dialect dialect;
  TokenList list;
  if (!Lex(text, facts, dialect, &list).ok()) state.SkipWithError("lex");
  for (auto _ : state) {
    Arena arena;
    const auto result = Parse(list, facts, dialect, 200, &arena);
    if (!result.ok()) state.SkipWithError("parse");
    benchmark::DoNotOptimize(result.ok());
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}
BENCHMARK(BM_Parse)->DenseRange(0, 3);

}  // namespace
}  // namespace crossfade::rewrite
