// SPDX-License-Identifier: Apache-2.0
// One statement of the workload, before it is written out for a side: on the side behind the proxy a key may
// stand as its new number, directly it always stands as the old value.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/servers/client.h"

namespace crossfade::twin {

struct Value {
  servers::Parameter data;
  bool as_number = false;  // an old key that the proxy's side may give as the new one
  bool integer = false;    // the text is sent as a number
};

struct Piece {
  std::string text;            // when there is no value
  std::optional<Value> value;
  bool bound = false;          // a '?' where the statement is prepared
};

// How a session reads text.
struct Lexis {
  bool ansi_quotes = false;
  bool no_backslash_escapes = false;
};

// A result column that shows the migrated key: what the new cohort sees as the new one.
struct KeyColumn {
  size_t index = 0;
  bool of_child = false;  // a reference; else the parent's own key
};

struct Statement {
  std::string label;         // the shape, for counts
  size_t schema = 0;         // index into the schemas
  std::vector<Piece> pieces;
  bool prepared = false;
  bool ordered = false;      // rows come in one order on every server
  bool locks = false;        // writes or locks rows
  bool ddl = false;          // ends the transaction and waits for all others
  bool refusable = false;    // its shape may be refused where both sides are written
  bool no_old_keys = false;  // a key that no row has is given as a number too
  bool uuids = false;        // new keys are texts
  bool folds = false;        // merges values that differ in case: any of them may be shown
  std::vector<KeyColumn> key_columns;
};

// New keys that no row ever gets.
constexpr int64_t kNoKey = 3'999'999'999;
constexpr char kNoUuid[] = "ffffffff-ffff-4fff-8fff-ffffffffffff";

using NewKeyOf = std::function<std::optional<servers::Parameter>(const std::string&)>;

struct Rendered {
  std::string sql;
  std::vector<servers::Parameter> parameters;
};

// `number` gives the new key of an old one (nullopt: keep the old); empty function: the direct side.
Rendered Render(const Statement& statement, const Lexis& lexis, const NewKeyOf& number);

// As a line of a script that can be read and replayed.
std::string Script(const Rendered& rendered);

std::string QuoteString(const std::string& text, const Lexis& lexis);

}  // namespace crossfade::twin
