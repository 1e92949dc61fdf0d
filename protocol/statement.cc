// SPDX-License-Identifier: Apache-2.0
// COM_STMT_EXECUTE and COM_QUERY with their bound parameters (page_protocol_com_stmt_execute, _com_query):
//   parameters := [count [sets]] null_bitmap types_sent (type flags [name])* value*
//   bulk       := statement_id flags (type flags)* (indicator [value])*            (MariaDB's COM_STMT_BULK_EXECUTE)
// Both servers skip a NULL's and a long-data parameter's bytes. MySQL takes the count from kClientQueryAttributes
// alone; the flag kParameterCountAvailable only matters for a statement without parameters.
#include "protocol/statement.h"

#include <algorithm>

#include "absl/status/status.h"
#include "fmt/format.h"
#include "protocol/codec.h"
#include "protocol/constants.h"

namespace crossfade::protocol {
namespace {

constexpr uint8_t kParameterCountAvailable = 0x08;
constexpr uint8_t kUnsigned = 0x80;
constexpr size_t kMaxParams = 0xFFFF;
constexpr uint8_t kTypeLongLong = 8;

enum class Form : uint8_t { kUnknown, kNull, kFixed, kTemporal, kLenenc };
struct TypeForm { Form form; uint8_t size; };

TypeForm FormOf(uint8_t type) {
  switch (type) {
    case 1: return {Form::kFixed, 1};                                  // TINY
    case 2: return {Form::kFixed, 2};                                  // SHORT
    case 3: case 4: return {Form::kFixed, 4};                          // LONG, FLOAT
    case 5: case 8: return {Form::kFixed, 8};                          // DOUBLE, LONGLONG
    case 6: return {Form::kNull, 0};                                   // NULL
    case 7: case 10: case 12: return {Form::kTemporal, 11};            // TIMESTAMP, DATE, DATETIME
    case 11: return {Form::kTemporal, 12};                             // TIME
    case 0: case 15: case 242: case 245: return {Form::kLenenc, 0};    // DECIMAL, VARCHAR, VECTOR, JSON
    case 246: case 247: case 248: return {Form::kLenenc, 0};           // NEWDECIMAL, ENUM, SET
    case 249: case 250: case 251: case 252: case 253: case 254: return {Form::kLenenc, 0};  // blobs, VAR_STRING, STRING
    default: return {Form::kUnknown, 0};
  }
}

bool TemporalSizeFits(uint8_t size, uint8_t largest) {
  return largest == 12 ? size == 0 || size == 8 || size == 12 : size == 0 || size == 4 || size == 7 || size == 11;
}

absl::Status Malformed(const char* what) { return absl::InvalidArgumentError(fmt::format("malformed {}", what)); }

// One value's bytes, its length included. False: the reader failed, or the type is unknown.
bool ReadValue(std::string_view payload, const ParamType& type, Reader* reader, std::string_view* bytes) {
  const size_t start = reader->position();
  const TypeForm form = FormOf(type.type);
  switch (form.form) {
    case Form::kFixed:
      reader->Bytes(form.size);
      break;
    case Form::kTemporal: {
      const uint8_t size = reader->U8();
      if (!TemporalSizeFits(size, form.size)) return false;
      reader->Bytes(size);
      break;
    }
    case Form::kLenenc:
      reader->LenencString();
      break;
    case Form::kNull:     // only with its bit in the bitmap: the servers refuse it otherwise
    case Form::kUnknown:
      return false;
  }
  if (!reader->ok()) return false;
  *bytes = payload.substr(start, reader->position() - start);
  return true;
}

// The bitmap, the types and the values of `count` parameters.
absl::Status ReadParameters(std::string_view payload, size_t count, uint32_t params, bool named, const std::vector<ParamType>& known_types,
                            const std::vector<bool>& long_data, Reader* reader, Execute* out) {
  const std::string_view nulls = reader->Bytes((count + 7) / 8);
  out->new_types = reader->U8() != 0;
  if (!reader->ok()) return Malformed("parameters");
  if (out->new_types) {
    for (size_t i = 0; i < count; ++i) {
      ParamType type;
      type.type = reader->U8();
      type.flags = reader->U8();
      if (named) type.name = reader->LenencString();
      if (!reader->ok()) return Malformed("parameter types");
      if (FormOf(type.type).form == Form::kUnknown || (type.flags & ~kUnsigned) != 0) {
        return absl::InvalidArgumentError(fmt::format("unknown type {} (flags {}) of parameter {}", type.type, type.flags, i + 1));
      }
      out->types.push_back(type);
    }
  } else {
    if (known_types.size() < params || count > params) return absl::InvalidArgumentError("no types were sent for the parameters");
    out->types.assign(known_types.begin(), known_types.begin() + static_cast<std::ptrdiff_t>(count));
  }
  out->values.resize(count);
  for (size_t i = 0; i < count; ++i) {
    ParamValue& value = out->values[i];
    value.is_null = (static_cast<uint8_t>(nulls[i / 8]) >> (i % 8) & 1) != 0;
    value.long_data = i < params && i < long_data.size() && long_data[i];
    if (value.is_null || value.long_data) continue;
    if (!ReadValue(payload, out->types[i], reader, &value.bytes)) {
      return absl::InvalidArgumentError(fmt::format("malformed value of parameter {}", i + 1));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Execute> ParseExecute(std::string_view payload, uint32_t params, const std::vector<ParamType>& known_types,
                                     const std::vector<bool>& long_data, uint64_t capabilities) {
  Reader reader(payload);
  Execute out;
  out.statement_id = reader.U32();
  out.flags = reader.U8();
  out.iterations = reader.U32();
  if (!reader.ok()) return Malformed("COM_STMT_EXECUTE");
  const bool named = (capabilities & kClientQueryAttributes) != 0;
  if (params == 0 && !(named && (out.flags & kParameterCountAvailable))) return out;  // the servers read no further either
  const uint64_t count = named ? reader.Lenenc() : params;
  if (!reader.ok() || count > kMaxParams) return Malformed("parameter count");
  if (count < params) return absl::InvalidArgumentError("fewer values than the statement has parameters");
  out.attribute_count = static_cast<uint32_t>(count - params);
  if (count > 0) {
    absl::Status status = ReadParameters(payload, static_cast<size_t>(count), params, named, known_types, long_data, &reader, &out);
    if (!status.ok()) return status;
  }
  if (reader.remaining() > 0) return Malformed("COM_STMT_EXECUTE: bytes after the last value");
  return out;
}

std::string BuildExecute(const Execute& execute, uint64_t capabilities) {
  const bool named = (capabilities & kClientQueryAttributes) != 0;
  const size_t count = named ? execute.values.size() : execute.values.size() - execute.attribute_count;
  Writer writer;
  writer.U8(static_cast<uint8_t>(Command::kStmtExecute));
  writer.U32(execute.statement_id);
  writer.U8(named ? execute.flags | kParameterCountAvailable : execute.flags & static_cast<uint8_t>(~kParameterCountAvailable));
  writer.U32(execute.iterations);
  if (named) writer.Lenenc(count);
  if (count == 0) return writer.Take();

  std::string nulls((count + 7) / 8, '\0');
  for (size_t i = 0; i < count; ++i) {
    if (execute.values[i].is_null) nulls[i / 8] = static_cast<char>(nulls[i / 8] | 1 << (i % 8));
  }
  writer.Bytes(nulls);
  writer.U8(1);
  for (size_t i = 0; i < count; ++i) {
    writer.U8(execute.types[i].type);
    writer.U8(execute.types[i].flags);
    if (named) writer.LenencString(execute.types[i].name);
  }
  for (size_t i = 0; i < count; ++i) {
    if (!execute.values[i].is_null && !execute.values[i].long_data) writer.Bytes(execute.values[i].bytes);
  }
  return writer.Take();
}

BulkReader::BulkReader(std::string_view payload, uint32_t params, const std::vector<ParamType>& known_types) : payload_(payload) {
  Reader reader(payload);
  statement_id_ = reader.U32();
  flags_ = reader.U16();
  if (new_types()) {
    for (uint32_t i = 0; i < params && reader.ok(); ++i) {
      ParamType type;
      type.type = reader.U8();
      type.flags = reader.U8();
      types_.push_back(type);
    }
  } else {
    types_ = known_types;
    types_.resize(std::min<size_t>(types_.size(), params));
  }
  ok_ = reader.ok() && types_.size() == params;
  for (const ParamType& type : types_) ok_ = ok_ && FormOf(type.type).form != Form::kUnknown && (type.flags & ~kUnsigned) == 0;
  position_ = reader.position();
}

bool BulkReader::Next(std::vector<BulkValue>* row) {
  if (!ok_ || types_.empty() || position_ == payload_.size()) return false;
  row->resize(types_.size());
  Reader reader(payload_.substr(position_));
  for (size_t i = 0; i < types_.size(); ++i) {
    const uint8_t indicator = reader.U8();
    BulkValue& value = (*row)[i];
    value = {static_cast<BulkValue::Indicator>(indicator), {}};
    ok_ = reader.ok() && indicator <= BulkValue::kIgnore &&
          (indicator != BulkValue::kNone || ReadValue(payload_.substr(position_), types_[i], &reader, &value.bytes));
    if (!ok_) return false;
  }
  position_ += reader.position();
  return true;
}

std::string BuildBulkHead(uint32_t statement_id, uint16_t flags, const std::vector<ParamType>& types) {
  Writer writer;
  writer.U8(static_cast<uint8_t>(Command::kStmtBulkExecute));
  writer.U32(statement_id);
  writer.U16(flags | kBulkSendTypes);
  for (const ParamType& type : types) {
    writer.U8(type.type);
    writer.U8(type.flags);
  }
  return writer.Take();
}

void AppendBulkValue(const BulkValue& value, std::string* out) {
  out->push_back(static_cast<char>(value.indicator));
  out->append(value.bytes);
}

void SetUnsigned(uint64_t value, ParamType* type, ParamValue* param, std::string* storage) {
  Writer writer;
  writer.U64(value);
  *storage = writer.Take();
  type->type = kTypeLongLong;
  type->flags = kUnsigned;
  *param = {};
  param->bytes = *storage;
}

TypeShape ShapeOf(const ParamType& type, const ParamValue& value) {
  if (value.is_null || type.type == 6) return TypeShape::kNull;
  switch (type.type) {
    case 1: case 2: case 3: case 8: case 9: case 13:
      return TypeShape::kInteger;
    case 15: case 249: case 250: case 251: case 252: case 253: case 254:
      return TypeShape::kString;
    default:
      return TypeShape::kOther;
  }
}

absl::StatusOr<Query> ParseQuery(std::string_view payload, uint64_t capabilities) {
  Reader reader(payload);
  if (capabilities & kClientQueryAttributes) {
    const uint64_t count = reader.Lenenc();
    const uint64_t sets = reader.Lenenc();
    if (!reader.ok() || count > kMaxParams || sets != 1) return Malformed("COM_QUERY");
    if (count > 0) {
      Execute attributes;
      absl::Status status = ReadParameters(payload, static_cast<size_t>(count), 0, true, {}, {}, &reader, &attributes);
      if (!status.ok()) return status;
    }
  }
  return Query{payload.substr(0, reader.position()), reader.Rest()};
}

absl::StatusOr<LongData> ParseLongData(std::string_view payload) {
  Reader reader(payload);
  LongData out;
  out.statement_id = reader.U32();
  out.param = reader.U16();
  out.data = reader.Rest();
  if (!reader.ok()) return Malformed("COM_STMT_SEND_LONG_DATA");
  return out;
}

}  // namespace crossfade::protocol
