// SPDX-License-Identifier: Apache-2.0
// See stored_form.h.
#include "rewrite/stored_form.h"

#include <algorithm>
#include <cstdio>

#include "fmt/format.h"
#include "rewrite/names.h"

namespace crossfade::rewrite {
namespace {

// "decimal(8,2) unsigned" -> "(8,2)"; empty: none.
std::string Parameters(const std::string& type) {
  const size_t open = type.find('('), close = type.rfind(')');
  return open == std::string::npos || close == std::string::npos ? "" : type.substr(open, close - open + 1);
}

// "enum('a','b')" -> "_utf8mb4 X'61', …", as bytes of the character set.
std::string Members(const std::string& type, const std::string& charset) {
  std::string out, member;
  bool inside = false;
  for (size_t i = type.find('('); i < type.size(); ++i) {
    if (type[i] != '\'') {
      if (inside) member += fmt::format("{:02X}", static_cast<unsigned char>(type[i]));
    } else if (inside && i + 1 < type.size() && type[i + 1] == '\'') {
      member += "27";
      ++i;
    } else {
      if (inside) out += fmt::format("{}CAST(CONVERT(_utf8mb4 X'{}' USING {}) AS BINARY)", out.empty() ? "" : ", ", member, charset);
      member.clear();
      inside = !inside;
    }
  }
  return out;
}

// The types of a decimal point, a date or a time, which CAST knows by the same name.
std::string CastTo(const std::string& type) {
  const auto is = [&](std::string_view name) { return type.rfind(name, 0) == 0; };
  if (is("decimal")) return "DECIMAL" + Parameters(type);
  if (is("datetime")) return "DATETIME" + Parameters(type);
  if (is("date")) return "DATE";
  if (is("time(") || type == "time") return "TIME" + Parameters(type);
  return "";
}

bool IsUnsigned(const std::string& type) { return type.find("unsigned") != std::string::npos; }

// Bytes that a TEXT holds; what is longer loses blanks at its end without an error. 0: it is none, or has no such limit.
uint64_t MostBytes(const std::string& type) {
  if (type.rfind("tinytext", 0) == 0) return 255;
  if (type.rfind("text", 0) == 0) return 65535;
  if (type.rfind("mediumtext", 0) == 0) return 16777215;
  return 0;
}

}  // namespace

std::string StoredBytes(const Column& column, const std::string& expression) {
  const std::string type = FoldName(column.type);
  const auto is = [&](std::string_view name) { return type.rfind(name, 0) == 0; };
  if (!column.charset.empty()) {
    const std::string text = fmt::format("CONVERT({} USING {})", expression, column.charset);
    return fmt::format("CAST({} AS BINARY)", is("char(") ? "TRIM(TRAILING ' ' FROM " + text + ")" : text);
  }
  if (is("binary(")) return fmt::format("CAST({} AS BINARY{})", expression, Parameters(type));
  if (is("varbinary") || type.find("blob") != std::string::npos) return fmt::format("CAST({} AS BINARY)", expression);
  if (const std::string cast = CastTo(type); !cast.empty()) return fmt::format("CAST({} AS {})", expression, cast);
  if (is("json")) return fmt::format("CAST(CAST({} AS JSON) AS CHAR CHARACTER SET binary)", expression);
  if (column.type_class == TypeClass::kInteger) return fmt::format("CAST({} AS {})", expression, IsUnsigned(type) ? "UNSIGNED" : "SIGNED");
  return "";
}

std::string StoredEquals(const Column& column, const std::string& name, const std::string& expression) {
  const std::string expected = StoredBytes(column, expression);
  if (expected.empty()) return "";
  const bool bytes = expected.find("BINARY") != std::string::npos || expected.find("binary") != std::string::npos;
  const std::string stored = !bytes                                       ? name
                             : FoldName(column.type).rfind("json", 0) == 0 ? fmt::format("CAST({} AS CHAR CHARACTER SET binary)", name)
                                                                           : fmt::format("CAST({} AS BINARY)", name);
  return fmt::format("({} <=> {})", stored, expected);
}

std::string Uncut(const Column& column, const std::string& expression) {
  const std::string type = FoldName(column.type), in_parentheses = Parameters(type);
  const auto is = [&](std::string_view name) { return type.rfind(name, 0) == 0; };
  const std::string length = in_parentheses.size() > 2 ? in_parentheses.substr(1, in_parentheses.size() - 2) : "";
  std::string out;
  const auto also = [&](const std::string& condition) { out += (out.empty() ? "" : " AND ") + condition; };
  if (!column.charset.empty()) {
    const std::string text = fmt::format("CONVERT({} USING {})", expression, column.charset);
    if (is("enum(")) return fmt::format("(CAST({} AS BINARY) IN ({}))", text, Members(column.type, column.charset));
    if (is("varchar(") || is("char(")) also(fmt::format("CHAR_LENGTH({}) <= {}", text, length));
    if (const uint64_t most = MostBytes(type); most != 0) also(fmt::format("LENGTH({}) <= {}", text, most));
    // Letters that it does not have become question marks.
    if (column.charset != "utf8mb4") also(fmt::format("CAST(CONVERT({} USING utf8mb4) AS BINARY) = CAST(CONVERT({} USING utf8mb4) AS BINARY)", text, expression));
  } else if (is("binary(") || is("varbinary(")) {
    also(fmt::format("LENGTH({}) <= {}", expression, length));
  } else if (is("decimal")) {
    int digits = 10, scale = 0;
    (void)std::sscanf(length.c_str(), "%d,%d", &digits, &scale);
    also(fmt::format("ABS({}) < 1{}", expression, std::string(static_cast<size_t>(std::max(0, digits - scale)), '0')));
    if (IsUnsigned(type)) also(fmt::format("{} >= 0", expression));
  } else if (column.type_class == TypeClass::kInteger && !is("year") && !is("bit")) {
    const int bits = is("tinyint") ? 8 : is("smallint") ? 16 : is("mediumint") ? 24 : is("bigint") ? 64 : 32;
    const uint64_t most = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
    also(IsUnsigned(type) ? fmt::format("{} BETWEEN 0 AND {}", expression, most) : fmt::format("{} BETWEEN -{} AND {}", expression, most / 2 + 1, most / 2));
  } else if (const std::string cast = CastTo(type); !cast.empty()) {
    also(fmt::format("({0} IS NULL OR CAST({0} AS {1}) IS NOT NULL)", expression, cast));
  }
  return out.empty() ? "" : "(" + out + ")";
}

std::optional<StoredForm> StoredAs(const Column& column, const std::string& expression) {
  const std::string type = FoldName(column.type);
  const auto is = [&](std::string_view name) { return type.rfind(name, 0) == 0; };
  if (!column.charset.empty()) {
    const std::string text = fmt::format("CONVERT({} USING {})", expression, column.charset);
    const std::string value = fmt::format("({} COLLATE {})", is("char(") ? "TRIM(TRAILING ' ' FROM " + text + ")" : text, column.collation);
    if (is("char(") || is("longtext")) return StoredForm{value, ""};
    if (is("varchar(")) return StoredForm{value, fmt::format("(CHAR_LENGTH({0}) <= {1} OR RIGHT({0}, 1) <> ' ')", text, Parameters(type).substr(1, Parameters(type).size() - 2))};
    if (const uint64_t most = MostBytes(type); most != 0) return StoredForm{value, fmt::format("(LENGTH({0}) <= {1} OR RIGHT({0}, 1) <> ' ')", text, most)};
    if (is("enum(")) return StoredForm{value, fmt::format("CAST({} AS BINARY) IN ({})", text, Members(column.type, column.charset))};
    return std::nullopt;
  }
  if (is("binary(")) return StoredForm{fmt::format("CAST({} AS BINARY{})", expression, Parameters(type)), ""};
  if (is("varbinary") || type.find("blob") != std::string::npos) return StoredForm{fmt::format("CAST({} AS BINARY)", expression), ""};
  if (const std::string cast = CastTo(type); !cast.empty()) return StoredForm{fmt::format("CAST({} AS {})", expression, cast), ""};
  if (is("year")) return StoredForm{fmt::format("CAST({} AS UNSIGNED)", expression), fmt::format("({} BETWEEN 1901 AND 2155)", expression)};
  if (column.type_class == TypeClass::kInteger) return StoredForm{fmt::format("CAST({} AS {})", expression, IsUnsigned(type) ? "UNSIGNED" : "SIGNED"), ""};
  if (is("double")) return StoredForm{fmt::format("(({}) + 0E0)", expression), ""};
  return std::nullopt;
}

}  // namespace crossfade::rewrite
