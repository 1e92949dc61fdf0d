// SPDX-License-Identifier: Apache-2.0
// One step of a script: a statement of a session, before it is written out for a side. On the side behind the proxy a key may stand
// as its new value, directly it always stands as the old one. A script can be run again, in part too.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/integration/twin/statement.h"

namespace crossfade::grammar {

struct Value {
  servers::Parameter data;
  int key = -1;            // the key that this is a value of
  bool as_new = false;     // the proxy's side may give it as the new one
  bool new_only = false;   // … and where no row has it, as one that is none
  bool integer = false;    // the text stands without quotes
  bool bytes = false;      // … in hexadecimal
};

struct Piece {
  std::string text;
  std::optional<Value> value;
  bool bound = false;
};

enum class Shown : uint8_t { kSame, kKey, kLoose, kAny };  // kLoose: the same values of another type; kAny: not compared

struct Item {
  Shown shown = Shown::kSame;
  int key = -1;
};

struct Statement {
  std::string label;
  std::vector<Piece> pieces;
  std::vector<Item> items;   // of the result
  bool prepared = false, locks = false, ordered = false;
  bool folds = false;        // merges values that the collation takes for the same: any of them may be shown
  bool any_error = false;    // which row it fails at, or is cut at, is the plan's business
  bool computes = false;     // sets a migrating column by an expression
  bool shape_only = false;   // of the result only whether there is one
  std::string may_refuse;    // why it may be refused where both sides are written; empty: it may not
};

struct Step {
  size_t stage = 0, session = 0;
  Statement statement;
};

// The new key of an old one; nullopt: it has none.
using NewKeyOf = std::function<std::optional<servers::Parameter>(int key, const std::string& old)>;
using NoKeyOf = std::function<servers::Parameter(int key)>;

twin::Rendered Render(const Statement& statement, const twin::Lexis& lexis, const NewKeyOf& fresh, const NoKeyOf& none);

}  // namespace crossfade::grammar
