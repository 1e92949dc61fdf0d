// SPDX-License-Identifier: Apache-2.0
// See reply_editor.h. Packets that are not rows or definitions go on as they are, with sequence ids of our own.
#include "protocol/reply_editor.h"

#include "protocol/codec.h"
#include "protocol/reply.h"

namespace crossfade::protocol {
namespace {

constexpr size_t kDefinitionTail = 12;  // character set, length, type, flags, decimals, filler

enum Type : uint8_t {
  kTiny = 1, kShort = 2, kLong = 3, kFloat = 4, kDouble = 5, kNull = 6, kTimestamp = 7, kLonglong = 8, kInt24 = 9,
  kDate = 10, kTime = 11, kDatetime = 12, kYear = 13,
};

// Bytes of a binary value; 0: it brings its own length.
size_t FixedSize(uint8_t type) {
  switch (type) {
    case kTiny: return 1;
    case kShort: case kYear: return 2;
    case kLong: case kInt24: case kFloat: return 4;
    case kLonglong: case kDouble: return 8;
    default: return 0;
  }
}
bool IsInteger(uint8_t type) { return type == kTiny || type == kShort || type == kLong || type == kLonglong || type == kInt24; }
bool IsTemporal(uint8_t type) { return type == kTimestamp || type == kDate || type == kTime || type == kDatetime; }

uint8_t TypeOf(std::string_view definition) { return static_cast<uint8_t>(definition[definition.size() - 6]); }
bool IsUnsigned(std::string_view definition) { return (static_cast<uint8_t>(definition[definition.size() - 5]) & 32) != 0; }

// The binary value as another integer type has it.
std::string Resized(const std::string& value, bool is_unsigned, size_t size) {
  const bool negative = !is_unsigned && !value.empty() && (static_cast<uint8_t>(value.back()) & 0x80) != 0;
  std::string out = value.substr(0, size);
  out.resize(size, negative ? '\xFF' : '\0');
  return out;
}

}  // namespace

bool ReplyEditor::Feed(std::string_view bytes, std::string* out) {
  out_ = out;
  pending_.append(bytes);
  size_t at = 0;
  bool ok = true;
  while (ok && pending_.size() - at >= kFrameHeader) {
    std::string_view payload;
    size_t size = 0;
    const MessageReader::Result result = reader_.Next(std::string_view(pending_).substr(at), &expected_, &payload, &size);
    if (result == MessageReader::Result::kNeedMore) break;
    ok = result == MessageReader::Result::kMessage && Packet(payload);
    at += size;
  }
  pending_.erase(0, at);
  return ok;
}

void ReplyEditor::Send(std::string_view payload) { sequence_ = AppendFrames(payload, sequence_, out_); }

// An OK or EOF: does another result follow?
bool ReplyEditor::Ended(std::string_view payload) {
  OkPacket ok;
  if (!ParseOk(payload, capabilities_, &ok)) return false;
  Send(payload);
  state_ = State::kHead;
  ++result_;
  replacements_.clear();
  return true;
}

bool ReplyEditor::Packet(std::string_view payload) {
  if (payload.empty()) return false;
  const auto first = static_cast<uint8_t>(payload[0]);
  if (first == 0xFF) {
    Send(payload);
    return true;
  }
  const bool end = first == 0xFE && payload.size() < ((capabilities_ & kClientDeprecateEof) != 0 ? size_t{kMaxFramePayload} : size_t{9});
  if (keep_ != nullptr) {
    if (!end) {
      Reader reader(payload);
      for (int i = 0; i < 4; ++i) reader.LenencString();
      const std::string_view name = reader.LenencString();
      if (!reader.ok()) return false;
      if (!keep_(name)) return true;
    }
    Send(payload);
    return true;
  }
  switch (state_) {
    case State::kHead: {
      if (first == 0x00 || end) return Ended(payload);
      Reader reader(payload);
      definitions_left_ = reader.Lenenc();
      bool follow = true;
      if (reader.ok() && (capabilities_ & (kClientOptionalResultsetMetadata | kMariaDbCacheMetadata)) != 0) follow = reader.U8() != 0;
      if (!reader.ok() || definitions_left_ == 0 || definitions_left_ > 0xFFFF) return false;
      Send(payload);
      // Without definitions nothing is known of the rows: they go on as they are.
      definitions_.clear();
      names_.clear();
      types_.clear();
      unsigned_.clear();
      state_ = State::kDefinitions;
      if (!follow) {
        definitions_left_ = 0;
        return DefinitionsDone();
      }
      return true;
    }
    case State::kDefinitions: return Definition(payload);
    case State::kDefinitionsEnd:
      if (!end) return false;
      Send(payload);
      state_ = State::kRows;
      return true;
    case State::kRows: return end ? Ended(payload) : DataRow(payload);
  }
  return false;
}

bool ReplyEditor::Definition(std::string_view payload) {
  Reader reader(payload);
  for (int i = 0; i < 4; ++i) reader.LenencString();
  names_.emplace_back(reader.LenencString());
  if (!reader.ok() || payload.size() < kDefinitionTail) return false;
  types_.push_back(TypeOf(payload));
  unsigned_.push_back(IsUnsigned(payload));
  definitions_.emplace_back(payload);
  return --definitions_left_ > 0 || DefinitionsDone();
}

bool ReplyEditor::DefinitionsDone() {
  sent_types_ = types_;
  const bool replace = replacements_.size() == definitions_.size();
  for (size_t i = 0; i < definitions_.size(); ++i) {
    const std::string& own = definitions_[i];
    if (!replace) {
      Send(own);
      continue;
    }
    const uint8_t type = TypeOf(replacements_[i]);
    const bool fits = !binary_ || type == types_[i] || (IsInteger(type) && IsInteger(types_[i])) ||
                      (FixedSize(type) == 0 && FixedSize(types_[i]) == 0 && !IsTemporal(type) && !IsTemporal(types_[i]));
    if (fits) sent_types_[i] = type;
    Send(fits ? replacements_[i] : own);
  }
  state_ = (capabilities_ & kClientDeprecateEof) != 0 ? State::kRows : State::kDefinitionsEnd;
  return true;
}

bool ReplyEditor::DecodeText(std::string_view payload) {
  Reader reader(payload);
  for (size_t i = 0; i < types_.size(); ++i) {
    if (reader.remaining() > 0 && static_cast<uint8_t>(payload[reader.position()]) == 0xFB) {
      reader.U8();
      cells_.emplace_back();
    } else {
      cells_.emplace_back(std::string(reader.LenencString()));
    }
  }
  return reader.ok() && reader.remaining() == 0;
}

bool ReplyEditor::DecodeBinary(std::string_view payload) {
  Reader reader(payload);
  if (reader.U8() != 0) return false;
  const std::string_view nulls = reader.Bytes((types_.size() + 9) / 8);
  if (!reader.ok()) return false;
  for (size_t i = 0; i < types_.size(); ++i) {
    if ((static_cast<uint8_t>(nulls[(i + 2) / 8]) >> ((i + 2) % 8) & 1) != 0) {
      cells_.emplace_back();
      continue;
    }
    if (const size_t size = FixedSize(types_[i]); size != 0) {
      cells_.emplace_back(std::string(reader.Bytes(size)));
      if (sent_types_[i] != types_[i]) cells_.back() = Resized(*cells_.back(), unsigned_[i], FixedSize(sent_types_[i]));
    } else {
      cells_.emplace_back(std::string(reader.LenencString()));
    }
  }
  return reader.ok() && reader.remaining() == 0;
}

std::string ReplyEditor::Encode() const {
  Writer writer;
  if (!binary_) {
    for (const Cell& cell : cells_) {
      if (cell) writer.LenencString(*cell);
      else writer.U8(0xFB);
    }
    return writer.Take();
  }
  std::string nulls((cells_.size() + 9) / 8, '\0');
  for (size_t i = 0; i < cells_.size(); ++i) {
    if (!cells_[i]) nulls[(i + 2) / 8] = static_cast<char>(nulls[(i + 2) / 8] | 1 << ((i + 2) % 8));
  }
  writer.U8(0);
  writer.Bytes(nulls);
  for (size_t i = 0; i < cells_.size(); ++i) {
    if (!cells_[i]) continue;
    if (FixedSize(sent_types_[i]) != 0) writer.Bytes(*cells_[i]);
    else writer.LenencString(*cells_[i]);
  }
  return writer.Take();
}

bool ReplyEditor::DataRow(std::string_view payload) {
  if (types_.empty()) {
    Send(payload);
    return true;
  }
  cells_.clear();
  const bool read = binary_ ? DecodeBinary(payload) : DecodeText(payload);
  if (!read) return false;
  bool changed = sent_types_ != types_;
  if (!row_(result_, names_, &cells_, &changed)) return true;
  Send(changed ? Encode() : std::string(payload));
  return true;
}

std::vector<std::string> ColumnDefinitionsOf(std::string_view reply, uint64_t capabilities, bool prepared) {
  std::vector<std::string> out;
  MessageReader reader(1ull << 30);
  std::string_view payload;
  size_t size = 0, skip = 0, columns = 0;
  uint8_t sequence = reply.size() < kFrameHeader ? 0 : static_cast<uint8_t>(reply[3]);
  for (bool first = true; !reply.empty() && reader.Next(reply, &sequence, &payload, &size) == MessageReader::Result::kMessage; first = false) {
    reply.remove_prefix(size);
    if (first) {
      Reader head(payload);
      if (!prepared) {
        columns = head.Lenenc();
        if (!head.ok() || payload[0] == '\0' || columns > 0xFFFF) return {};
        continue;
      }
      if (head.U8() != 0) return {};
      head.U32();
      columns = head.U16();
      const size_t params = head.U16();
      if (!head.ok()) return {};
      skip = params + (params > 0 && (capabilities & kClientDeprecateEof) == 0 ? 1 : 0);
      continue;
    }
    if (skip > 0) {
      --skip;
      continue;
    }
    if (out.size() == columns) break;
    if (payload.size() < kDefinitionTail) return {};
    out.emplace_back(payload);
  }
  return out.size() == columns ? out : std::vector<std::string>();
}

}  // namespace crossfade::protocol
