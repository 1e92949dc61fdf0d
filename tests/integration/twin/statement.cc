// SPDX-License-Identifier: Apache-2.0
// Writing a statement out; see statement.h.
#include "tests/integration/twin/statement.h"

namespace crossfade::twin {

std::string QuoteString(const std::string& text, const Lexis& lexis) {
  std::string quoted = "'";
  for (char c : text) {
    if (c == '\'' || (c == '\\' && !lexis.no_backslash_escapes)) quoted += c;
    quoted += c;
  }
  return quoted + "'";
}

Rendered Render(const Statement& statement, const Lexis& lexis, const NewKeyOf& number) {
  Rendered out;
  for (const Piece& piece : statement.pieces) {
    if (!piece.value.has_value()) {
      out.sql += piece.text;
      continue;
    }
    servers::Parameter data = piece.value->data;
    bool old = true;
    if (piece.value->as_number && number != nullptr && std::holds_alternative<std::string>(data)) {
      const auto found = number(std::get<std::string>(data));
      old = !found && !statement.no_old_keys;
      if (found) data = *found;
      else if (!old && statement.uuids) data = kNoUuid;
      else if (!old) data = kNoKey;
    }
    if (old && piece.value->integer) data = std::stoll(std::get<std::string>(data));
    if (statement.prepared && piece.bound) {
      out.sql += "?";
      out.parameters.push_back(std::move(data));
    } else if (const auto* integer = std::get_if<int64_t>(&data)) {
      out.sql += std::to_string(*integer);
    } else if (const auto* text = std::get_if<std::string>(&data)) {
      out.sql += QuoteString(*text, lexis);
    } else {
      out.sql += "NULL";
    }
  }
  return out;
}

std::string Script(const Rendered& rendered) {
  std::string line = rendered.sql + ";";
  if (rendered.parameters.empty()) return line;
  line += "  -- prepared, with";
  for (const servers::Parameter& parameter : rendered.parameters) {
    if (const auto* integer = std::get_if<int64_t>(&parameter)) line += " " + std::to_string(*integer);
    else if (const auto* text = std::get_if<std::string>(&parameter)) line += " " + QuoteString(*text, {});
    else line += " NULL";
  }
  return line;
}

}  // namespace crossfade::twin
