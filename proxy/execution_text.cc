// SPDX-License-Identifier: Apache-2.0
// See execution_text.h. Values: page_protocol_binary_resultset, "Binary Protocol Value".
#include "proxy/execution_text.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "fmt/format.h"
#include "protocol/codec.h"
#include "rewrite/dynamic.h"
#include "rewrite/lexer.h"

namespace crossfade::proxy {
namespace {

constexpr size_t kLongest = 64 * 1024;
constexpr uint8_t kUnsigned = 0x80;
enum Type : uint8_t { kTiny = 1, kShort = 2, kLong = 3, kDouble = 5, kNull = 6, kTimestamp = 7, kLongLong = 8, kDate = 10, kDateTime = 12,
                      kVarchar = 15, kVarString = 253, kString = 254 };

std::string Integer(std::string_view bytes, bool is_unsigned) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  const size_t unused = 64 - 8 * bytes.size();
  if (is_unsigned) return std::to_string(value);
  return std::to_string(static_cast<int64_t>(value << unused) >> unused);
}

// With an exponent it is a DOUBLE; 17 digits are read as the value that they were written from.
std::string Double(std::string_view bytes) {
  double value = 0;
  std::memcpy(&value, bytes.data(), sizeof(value));
  return std::isfinite(value) ? fmt::format("{:.16e}", value) : "";
}

std::string Moment(std::string_view bytes, bool date) {
  protocol::Reader reader(bytes);
  const uint8_t size = reader.U8();
  if (size == 0 || (date && size != 4)) return "";  // zero dates mean by sql_mode what they mean
  const uint32_t year = reader.U16(), month = reader.U8(), day = reader.U8();
  const std::string text = fmt::format("{:04}-{:02}-{:02}", year, month, day);
  if (date) return "DATE'" + text + "'";
  uint32_t hour = 0, minute = 0, second = 0, micros = 0;
  if (size >= 7) hour = reader.U8(), minute = reader.U8(), second = reader.U8();
  if (size >= 11) micros = reader.U32();
  if (!reader.ok()) return "";
  return fmt::format("TIMESTAMP'{} {:02}:{:02}:{:02}{}'", text, hour, minute, second, micros == 0 ? "" : fmt::format(".{:06}", micros));
}

// Empty: not to be written.
std::string Literal(const protocol::ParamType& type, const protocol::ParamValue& value, const rewrite::SessionFacts& facts, bool as_bytes, bool converts) {
  if (value.long_data) return "";
  if (value.is_null || type.type == kNull) return "NULL";
  switch (type.type) {
    case kTiny: case kShort: case kLong: case kLongLong: return Integer(value.bytes, (type.flags & kUnsigned) != 0);
    case kDouble: return Double(value.bytes);
    case kDate: return Moment(value.bytes, true);
    case kDateTime: case kTimestamp: return Moment(value.bytes, false);
    case kVarchar: case kVarString: case kString: {
      protocol::Reader reader(value.bytes);
      const std::string_view text = reader.LenencString();
      if (!reader.ok() || text.size() > kLongest) return "";
      std::string quoted = rewrite::QuoteText(text, facts);
      const bool high = std::any_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; });
      if (high && converts) return "";
      return as_bytes && high && !quoted.empty() ? "_binary" + quoted : quoted;
    }
    default: return "";
  }
}

}  // namespace

std::optional<std::string> ExecutionText(std::string_view sql, const rewrite::SessionFacts& facts, const rewrite::Dialect& dialect, const protocol::Execute& execute,
                                         const std::vector<uint32_t>& bytes, bool converts) {
  rewrite::TokenList list;
  if (sql.size() > kLongest || !rewrite::Lex(sql, facts, dialect, &list).ok()) return std::nullopt;
  std::string text;
  size_t param = 0, copied = 0;
  for (const rewrite::Token& token : list.tokens) {
    if (token.kind != rewrite::TokenKind::kParam) continue;
    if (param >= execute.values.size() || param >= execute.types.size()) return std::nullopt;
    const bool mysql = dialect.flavor == rewrite::Flavor::kMySql;
    const bool as_bytes = mysql && std::find(bytes.begin(), bytes.end(), param) != bytes.end();
    const std::string literal = Literal(execute.types[param], execute.values[param], facts, as_bytes, mysql && converts);
    ++param;
    if (literal.empty()) return std::nullopt;
    text += sql.substr(copied, token.begin - copied);
    text += ' ';  // never one token with what stands beside it: "-?" with a negative number would begin a comment
    text += literal;
    text += ' ';
    copied = token.end;
    if (text.size() > kLongest) return std::nullopt;
  }
  if (param != execute.values.size() - execute.attribute_count) return std::nullopt;
  text += sql.substr(copied);
  return text;
}

}  // namespace crossfade::proxy
