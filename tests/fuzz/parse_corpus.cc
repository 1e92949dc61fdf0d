// SPDX-License-Identifier: Apache-2.0
// Parses every statement of a file (separated by NUL) and prints those that are not understood, with the reason.
//   parse_corpus mysql|mariadb VERSION FILE
// Made for statements taken from the servers' own test suites; exits 1 if a tree's spans are not well nested.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include "rewrite/parser.h"
#include "tests/rewrite/parse_tree.h"

int main(int argc, char** argv) {
  using namespace crossfade::rewrite;
  if (argc != 4) {
    std::cerr << "usage: parse_corpus mysql|mariadb VERSION FILE\n";
    return 2;
  }
  const Dialect dialect{argv[1] == std::string("mariadb") ? Flavor::kMariaDb : Flavor::kMySql,
                        static_cast<uint32_t>(std::strtoul(argv[2], nullptr, 10))};
  std::ifstream in(argv[3], std::ios::binary);
  std::stringstream all;
  all << in.rdbuf();
  const std::string text = all.str();
  const SessionFacts facts;
  size_t count = 0, refused = 0, wrong = 0;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = text.find('\0', begin);
    if (end == std::string::npos) end = text.size();
    const std::string_view sql(text.data() + begin, end - begin);
    begin = end + 1;
    ++count;
    TokenList list;
    Arena arena;
    absl::Status status = Lex(sql, facts, dialect, &list);
    if (status.ok()) {
      const absl::StatusOr<ParseResult> result = Parse(list, facts, dialect, 200, &arena);
      status = result.status();
      if (result.ok()) {
        const std::string problem = SpanChecker::Check(list, *result);
        if (!problem.empty()) {
          ++wrong;
          std::cerr << "spans: " << problem << ": " << sql << "\n";
        }
      }
    }
    if (!status.ok()) {
      ++refused;
      std::cout << sql << '\0' << status.message() << '\0';
    }
  }
  std::cerr << count << " statements, " << refused << " not understood, " << wrong << " with wrong spans\n";
  return wrong == 0 ? 0 : 1;
}
