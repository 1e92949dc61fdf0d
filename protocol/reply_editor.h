// SPDX-License-Identifier: Apache-2.0
// Changes result sets as they stream past: rows are left out or get other cells, definitions of columns are replaced.
// For the few replies that must not be relayed as they are; everything here is decoded and copied. Sans-io.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/frame.h"

namespace crossfade::protocol {

class ReplyEditor {
 public:
  using Cell = std::optional<std::string>;  // of a binary row, where it is no string: the value's bytes
  // False: the row is left out. `*changed` is to be set where a cell was.
  using Row = std::function<bool(uint32_t result, const std::vector<std::string>& names, std::vector<Cell>* cells, bool* changed)>;

  // `binary`: the reply to an execution of a prepared statement. `first_sequence`: as for ReplyTracker.
  ReplyEditor(uint64_t capabilities, bool binary, uint8_t first_sequence, Row row)
      : capabilities_(capabilities), binary_(binary), expected_(first_sequence), sequence_(first_sequence), row_(std::move(row)) {}
  // The reply to COM_FIELD_LIST: `keep` says which definitions stay, by the column's name.
  ReplyEditor(uint64_t capabilities, uint8_t first_sequence, std::function<bool(std::string_view column)> keep)
      : capabilities_(capabilities), expected_(first_sequence), sequence_(first_sequence), keep_(std::move(keep)) {}

  // Payloads of definitions that take the place of the first result's, if they are as many.
  void ReplaceDefinitions(std::vector<std::string> definitions) { replacements_ = std::move(definitions); }

  // Takes the reply's next bytes (a ReplyTracker says which they are) and appends what goes on to `out`. False: malformed.
  bool Feed(std::string_view bytes, std::string* out);

 private:
  enum class State : uint8_t { kHead, kDefinitions, kDefinitionsEnd, kRows };
  bool Packet(std::string_view payload);
  bool Definition(std::string_view payload);
  bool DefinitionsDone();
  bool DataRow(std::string_view payload);
  bool DecodeText(std::string_view payload);
  bool DecodeBinary(std::string_view payload);
  std::string Encode() const;
  bool Ended(std::string_view payload);
  void Send(std::string_view payload);

  const uint64_t capabilities_;
  const bool binary_ = false;
  uint8_t expected_, sequence_;
  Row row_;
  std::function<bool(std::string_view)> keep_;
  std::vector<std::string> replacements_;
  State state_ = State::kHead;
  MessageReader reader_{1ull << 32};
  std::string pending_;
  std::string* out_ = nullptr;
  uint32_t result_ = 0;
  uint64_t definitions_left_ = 0;
  std::vector<std::string> definitions_, names_;
  std::vector<uint8_t> types_, sent_types_;  // of the columns, as they come and as the client knows them
  std::vector<bool> unsigned_;
  std::vector<Cell> cells_;
};

// The payloads of the definitions at the head of a reply to COM_STMT_PREPARE (`prepared`) or to a query: of its first result's
// columns. Empty: it has none, or an error.
std::vector<std::string> ColumnDefinitionsOf(std::string_view reply, uint64_t capabilities, bool prepared);

}  // namespace crossfade::protocol
