// SPDX-License-Identifier: Apache-2.0
// PREPARE, EXECUTE and DEALLOCATE of SQL, taken apart: the texts they run stand in literals and variables.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rewrite/planner.h"

namespace crossfade::rewrite {

struct DynamicSql {
  enum Kind : uint8_t {
    kNone,        // the text has nothing of the kind
    kPrepare, kExecute, kDeallocate,
    kImmediate,   // MariaDB: EXECUTE IMMEDIATE
    kAmong,       // beside other statements, or inside one: `names` are those that may be prepared anew or gone
  } kind = kNone;
  std::string name;                // kPrepare, kExecute, kDeallocate; lower case
  std::vector<std::string> names;  // kAmong
  std::vector<std::string> executed;  // kAmong: those that are run
  bool literal = false;            // kPrepare, kImmediate: the text is a literal
  std::string text;                // … this one
  std::string variable;            // kPrepare, kImmediate: the text is this user variable's, as written: "@x"; empty: it is not
  size_t source_begin = 0, source_end = 0;  // … which stands here
  std::vector<std::string> values;     // kExecute, kImmediate: what stands behind USING, as written
  std::vector<bool> repeatable;        // … whether it may stand there twice: a user variable or a literal
  std::vector<ValueShape> shapes;      // … of literals
};

// `numbers`: as of ShapeOfText.
DynamicSql ParseDynamic(std::string_view sql, const SessionFacts& facts, const Dialect& dialect, bool numbers);

// `text` as a string literal under these facts. Empty: the character set has bytes that read as a backslash.
std::string QuoteText(std::string_view text, const SessionFacts& facts);

}  // namespace crossfade::rewrite
