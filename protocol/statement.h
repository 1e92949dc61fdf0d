// SPDX-License-Identifier: Apache-2.0
// Prepared statements on the wire: COM_STMT_EXECUTE's parameters taken apart as views, and put together again in
// another order with values of our own. Source: page_protocol_com_stmt_execute, binary protocol values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace crossfade::protocol {

struct ParamType {
  uint8_t type = 0;   // MYSQL_TYPE_*
  uint8_t flags = 0;  // 0x80: unsigned
  std::string_view name;  // query attributes: its name
};

struct ParamValue {
  bool is_null = false;
  bool long_data = false;   // sent by COM_STMT_SEND_LONG_DATA: no bytes here
  std::string_view bytes;   // as on the wire, length prefix included
};

struct Execute {
  uint32_t statement_id = 0;
  uint8_t flags = 0;
  uint32_t iterations = 1;
  bool new_types = false;            // the types were sent along
  std::vector<ParamType> types;      // as sent, or `known_types`
  std::vector<ParamValue> values;    // of the statement's parameters, then query attributes
  uint32_t attribute_count = 0;
};

// Types that the servers themselves refuse or read as NULL (YEAR, INT24, BIT, GEOMETRY, tested on both) are unknown here.
// `payload` without the command byte. `params`: of the statement; `known_types`: from an earlier execution;
// `long_data[i]`: data of parameter i was sent. Errors (InvalidArgument): lengths that overrun or are not canonical,
// types that are missing or unknown.
absl::StatusOr<Execute> ParseExecute(std::string_view payload, uint32_t params, const std::vector<ParamType>& known_types,
                                     const std::vector<bool>& long_data, uint64_t capabilities);

// With the command byte. Types are always sent. Attributes need kClientQueryAttributes, else they are left out.
std::string BuildExecute(const Execute& execute, uint64_t capabilities);

// COM_STMT_BULK_EXECUTE (MariaDB), read row by row, so that what is held is one row: the values of all rows follow each other,
// each behind its indicator. Errors stick: values that overrun, unknown indicators and types, types that were never sent.
struct BulkValue {
  enum Indicator : uint8_t { kNone = 0, kNull = 1, kDefault = 2, kIgnore = 3 };
  Indicator indicator = kNone;
  std::string_view bytes;  // as on the wire; kNone only
};
inline constexpr uint16_t kBulkSendTypes = 128;

class BulkReader {
 public:
  // `payload` without the command byte. The types are `known_types` where none were sent along.
  BulkReader(std::string_view payload, uint32_t params, const std::vector<ParamType>& known_types);
  bool ok() const { return ok_; }
  uint32_t statement_id() const { return statement_id_; }
  uint16_t flags() const { return flags_; }
  bool new_types() const { return (flags_ & kBulkSendTypes) != 0; }
  const std::vector<ParamType>& types() const { return types_; }
  // The next row's values. False: there is none, or it is malformed.
  bool Next(std::vector<BulkValue>* row);

 private:
  std::string_view payload_;
  size_t position_ = 0;
  bool ok_ = false;
  uint32_t statement_id_ = 0;
  uint16_t flags_ = 0;
  std::vector<ParamType> types_;
};

// The command up to its first row, with the types; AppendBulkValue goes on.
std::string BuildBulkHead(uint32_t statement_id, uint16_t flags, const std::vector<ParamType>& types);
void AppendBulkValue(const BulkValue& value, std::string* out);

// A value of our own: an unsigned 64-bit integer parameter. `storage` keeps its bytes.
void SetUnsigned(uint64_t value, ParamType* type, ParamValue* param, std::string* storage);

enum class TypeShape : uint8_t { kNull, kInteger, kString, kOther };
TypeShape ShapeOf(const ParamType& type, const ParamValue& value);  // MYSQL_TYPE_TINY..LONGLONG, YEAR: integer; VAR_STRING, STRING, BLOB...: string

struct Query {  // COM_QUERY, without the command byte
  std::string_view attributes;  // the bytes before the text: with kClientQueryAttributes two counts at least
  std::string_view sql;
};
absl::StatusOr<Query> ParseQuery(std::string_view payload, uint64_t capabilities);

struct LongData {  // COM_STMT_SEND_LONG_DATA, without the command byte
  uint32_t statement_id = 0;
  uint16_t param = 0;
  std::string_view data;
};
absl::StatusOr<LongData> ParseLongData(std::string_view payload);

}  // namespace crossfade::protocol
