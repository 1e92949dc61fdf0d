// SPDX-License-Identifier: Apache-2.0
// Strategy B, for an UPDATE whose new side no assignment of the same statement can be sure of: one of several tables, one under
// SIMULTANEOUS_ASSIGNMENT, one that reads the table it changes. In one transaction
//   1. `select` locks the rows that it will change, and tells their keys;
//   2. the client's statement is run; where the isolation level lets rows come to fit meanwhile, on these rows and no others, so that
//      none is changed which nobody noted;
//   3. `repair` makes the new side of these rows, of what is stored in them by then.
// See proxy/session_image.cc, docs/rewriting.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "rewrite/planner.h"

namespace crossfade::rewrite {

struct RowImage {
  enum class Kind : uint8_t { kNumber, kText, kBytes };
  // A table whose new side is made. Its rows are known by a unique key without NULL.
  struct Target {
    std::vector<std::string> key;   // quoted names
    std::vector<Kind> kinds;        // of these, in order
    std::vector<std::string> charsets;  // … of kText
    std::string alias;              // … quoted, in the client's statement
    bool outer = false;             // … where the row may be missing, behind an outer join
    std::string repair;             // "UPDATE … SET …", to be followed by WHERE
    std::string reads;              // " AND …", always true, behind that: it names what is set
    std::string check;              // "SELECT …", which fails where a row must not stay as it is then; empty: none
    std::string repair_alias;       // in both
  };
  std::vector<Target> targets;
  std::vector<uint32_t> bytes;  // parameters that are compared with a column of bytes or assigned to one, and nothing else
  std::string select;    // a template as Plan::Edit's, up to its WHERE, ORDER BY and LIMIT
  std::string locking;   // " FOR UPDATE", " FOR UPDATE OF c FOR SHARE OF s"
  bool limited = false;  // the client's own LIMIT is in it
};

// The rows that step 1 found.
class ImageRows {
 public:
  // `cells`: the rows of the result, each the keys of all targets in order; "\xFB" is NULL. False: that is not what was asked for.
  static bool Of(const RowImage& image, const std::vector<std::vector<std::string>>& cells, ImageRows* rows);

  // For step 2: of each target, that a row is one of these (or none, behind an outer join).
  std::vector<std::string> Conditions() const;
  // Step 3, and its checks: at most `each` rows a statement.
  std::vector<std::string> Repairs(size_t each) const;

 private:
  using Row = std::vector<std::string>;  // the key's columns as literals
  std::string Among(size_t target, const std::string& alias, size_t begin, size_t end) const;

  const RowImage* image_ = nullptr;
  std::vector<std::vector<Row>> rows_;  // by target; none twice
};

// Step 1. Asks for one row more than `most`.
absl::StatusOr<std::string> RenderImageSelect(const Plan& plan, const SessionFacts& facts, const Dialect& dialect, std::string_view sql, uint64_t most);
// Step 2. `only`: on these rows; nullptr: as it is.
absl::StatusOr<std::string> RenderImageStatement(const Plan& plan, const SessionFacts& facts, const Dialect& dialect, std::string_view sql, const ImageRows* only);

}  // namespace crossfade::rewrite
