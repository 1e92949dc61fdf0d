// SPDX-License-Identifier: Apache-2.0
// Writing a step out; see statement.h.
#include "tests/integration/grammar/statement.h"

#include <cstdlib>

#include "fmt/format.h"

namespace crossfade::grammar {

twin::Rendered Render(const Statement& statement, const twin::Lexis& lexis, const NewKeyOf& fresh, const NoKeyOf& none) {
  twin::Rendered out;
  for (const Piece& piece : statement.pieces) {
    if (!piece.value.has_value()) {
      out.sql += piece.text;
      continue;
    }
    servers::Parameter data = piece.value->data;
    bool bytes = piece.value->bytes, old = true;
    if (piece.value->as_new && fresh != nullptr && std::holds_alternative<std::string>(data)) {
      const auto found = fresh(piece.value->key, std::get<std::string>(data));
      old = !found.has_value() && !piece.value->new_only;
      if (found.has_value()) data = *found;
      else if (!old) data = none(piece.value->key);
      if (!old) bytes = std::holds_alternative<std::string>(data) && std::get<std::string>(data).size() == 16;
    }
    if (old && piece.value->integer && std::holds_alternative<std::string>(data)) data = int64_t{std::atoll(std::get<std::string>(data).c_str())};
    if (statement.prepared && piece.bound) {
      out.sql += "?";
      out.parameters.push_back(std::move(data));
    } else if (const auto* integer = std::get_if<int64_t>(&data)) {
      out.sql += std::to_string(*integer);
    } else if (const auto* text = std::get_if<std::string>(&data)) {
      if (!bytes) {
        out.sql += twin::QuoteString(*text, lexis);
        continue;
      }
      out.sql += "x'";
      for (char c : *text) out.sql += fmt::format("{:02X}", static_cast<unsigned char>(c));
      out.sql += "'";
    } else {
      out.sql += "NULL";
    }
  }
  return out;
}

}  // namespace crossfade::grammar
