// SPDX-License-Identifier: Apache-2.0
// Tokens -> syntax tree, by recursive descent. Grammar: the MySQL 9.x and MariaDB 11.x reference manuals, DML.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "rewrite/ast.h"
#include "rewrite/lexer.h"

namespace crossfade::rewrite {

struct ParseResult {
  std::vector<Statement*> statements;  // of a multi-statement text, in order
  uint32_t params = 0;                 // number of '?'
};

// Errors (InvalidArgument, "near '...'" without the values of literals): what the grammar here does not take, nesting
// beyond `depth`, more than two million nodes (values of an INSERT, say).
// A statement of a kind that is not taken apart is kOther (or its kind) with `names`, not an error.
// `arena` and the source of `tokens` must outlive the result.
absl::StatusOr<ParseResult> Parse(const TokenList& tokens, const SessionFacts& facts, const Dialect& dialect,
                                  uint32_t depth, Arena* arena);

}  // namespace crossfade::rewrite
