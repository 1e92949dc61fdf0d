// SPDX-License-Identifier: Apache-2.0
// An expression of a column migration: SQL over columns of one row, from the file. The same text serves the live write, the
// backfill and the verification, in sessions whose settings differ, so only what means the same in each of them is taken:
// listed functions, no operators that a sql_mode changes, string literals with their character set in front.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace crossfade::rewrite {

class ColumnExpression {
 public:
  // InvalidArgument: "'UUID()' does not give the same value each time; …".
  static absl::StatusOr<ColumnExpression> Parse(std::string_view sql);

  // `sql`, an expression over one column, as one over `column`. InvalidArgument as Parse; or it names none or more than one.
  static absl::StatusOr<std::string> OverColumn(std::string_view sql, std::string_view column);
  static absl::StatusOr<std::string> OverText(std::string_view sql, std::string_view text);  // … over another expression

  const std::vector<std::string>& columns() const { return columns_; }  // that it names, once each
  bool IsColumn() const { return pieces_.size() == 1; }  // just a column's name
  // The expression in parentheses, each column as `qualifier`.`name`; qualifier "": `name` alone.
  std::string Text(std::string_view qualifier) const;
  // An expression for a DEFAULT, in a session of utf8mb4 whose backslash escapes: MariaDB stores a literal with its character set in
  // front (`_utf8mb4 x'…'`) wrongly as soon as there is anything but plain letters in it.
  static std::string DefaultText(const std::string& text);
  // … each column as `text` says.
  std::string Text(const std::function<std::string(const std::string& column)>& text) const;

 private:
  struct Piece {
    std::string text;
    bool is_column = false;
  };
  std::vector<Piece> pieces_;
  std::vector<std::string> columns_;
  std::vector<uint32_t> column_tokens_;  // of "SELECT (sql)"
};

}  // namespace crossfade::rewrite
