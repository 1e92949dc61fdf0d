// SPDX-License-Identifier: Apache-2.0
// Keyset pagination: the key that a table is walked along, its values as SQL literals that compare as the index
// does, and the ranges between them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "backfill/connection.h"
#include "rewrite/catalog.h"

namespace crossfade::backfill {

// One literal for each key column; empty: no bound.
using KeyValues = std::vector<std::string>;

class Keyset {
 public:
  // The primary key, else a unique key of NOT NULL columns. FailedPrecondition: none whose order literals can follow.
  static absl::StatusOr<Keyset> Of(const rewrite::Table& table);

  const std::vector<rewrite::Column>& columns() const { return columns_; }
  const std::string& index() const { return index_; }

  // "`alias`.`a`, `alias`.`b`"
  std::string Columns(std::string_view alias) const;
  // The same as select items whose text Literals takes: character and binary values in hex, so that no conversion between
  // character sets can change them.
  std::string SelectItems(std::string_view alias) const;
  KeyValues Literals(const Connection& connection, const Row& row, size_t first = 0) const;

  // "key > after AND key <= up_to" in the index's order; "TRUE" where both are empty.
  std::string Range(std::string_view alias, const KeyValues& after, const KeyValues& up_to) const;
  std::string Equals(std::string_view alias, const KeyValues& values) const;

 private:
  std::string Compare(std::string_view alias, const KeyValues& values, std::string_view op, std::string_view last_op) const;
  std::string index_;
  std::vector<rewrite::Column> columns_;
};

// The key `rows` entries further than `after`, up to `up_to` (empty: to the end); empty: fewer are left.
absl::StatusOr<KeyValues> NextBound(Connection& connection, const rewrite::Table& table, const Keyset& keyset, const KeyValues& after,
                                    const KeyValues& up_to, uint64_t rows);

std::string ToJson(const KeyValues& values);
KeyValues KeyValuesFromJson(const std::string& json);

}  // namespace crossfade::backfill
