// SPDX-License-Identifier: Apache-2.0
// See stored_form.h.
#include "rewrite/stored_form.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "fmt/format.h"
#include "rewrite/names.h"

namespace crossfade::rewrite {
namespace {

// "decimal(8,2) unsigned" -> "(8,2)"; empty: none.
std::string Parameters(const std::string& type) {
  const size_t open = type.find('('), close = type.rfind(')');
  return open == std::string::npos || close == std::string::npos ? "" : type.substr(open, close - open + 1);
}

// "enum('a','b')" -> "CONVERT(_utf8mb4 x'61' USING …), …", or as bytes of the character set.
std::string Members(const std::string& type, const std::string& charset, bool bytes) {
  std::string out, member;
  bool inside = false;
  for (size_t i = type.find('('); i < type.size(); ++i) {
    if (type[i] != '\'') {
      if (inside) member += fmt::format("{:02X}", static_cast<unsigned char>(type[i]));
    } else if (inside && i + 1 < type.size() && type[i + 1] == '\'') {
      member += "27";
      ++i;
    } else {
      if (inside) out += fmt::format("{}{}CONVERT(_utf8mb4 x'{}' USING {}){}", out.empty() ? "" : ", ", bytes ? "CAST(" : "", member, charset, bytes ? " AS BINARY)" : "");
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

// "varchar(20)" -> "20".
std::string Inside(const std::string& type) {
  const std::string parameters = Parameters(type);
  return parameters.size() > 2 ? parameters.substr(1, parameters.size() - 2) : "";
}

// Bytes that a TEXT or BLOB holds; what is longer loses blanks at its end without an error. 0: it is none, or has no such limit.
uint64_t MostBytes(const std::string& type) {
  const auto is = [&](std::string_view kind) { return type.rfind(fmt::format("{}text", kind), 0) == 0 || type.rfind(fmt::format("{}blob", kind), 0) == 0; };
  return is("tiny") ? 255 : is("") ? 65535 : is("medium") ? 16777215 : 0;
}

// Of a DECIMAL: digits in all, and behind the point.
std::pair<int, int> Digits(const std::string& type) {
  int digits = 10, scale = 0;
  (void)std::sscanf(Inside(type).c_str(), "%d,%d", &digits, &scale);
  return {std::max(digits, scale), scale};
}

// Of an integer: how far below 0 it goes, and its largest value.
std::pair<uint64_t, uint64_t> Range(const std::string& type) {
  const auto is = [&](std::string_view name) { return type.rfind(name, 0) == 0; };
  const int bits = is("tinyint") ? 8 : is("smallint") ? 16 : is("mediumint") ? 24 : is("bigint") ? 64 : 32;
  const uint64_t most = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
  if (IsUnsigned(type)) return {0, most};
  return {most / 2 + 1, most / 2};
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

std::optional<std::string> Uncut(const Column& column, const std::string& expression, bool strict) {
  const std::string type = FoldName(column.type);
  const auto is = [&](std::string_view name) { return type.rfind(name, 0) == 0; };
  const std::string length = Inside(type);
  std::string out;
  const auto also = [&](const std::string& condition) { out += (out.empty() ? "(" : " AND ") + condition; };
  if (!column.charset.empty()) {
    const std::string text = fmt::format("CONVERT({} USING {})", expression, column.charset);
    if (is("set(")) return strict ? std::optional<std::string>("") : std::nullopt;
    if (is("enum(") && !strict) also(fmt::format("{} COLLATE {} IN ({})", text, column.collation, Members(column.type, column.charset, false)));
    // A strict mode lets go only blanks at the end.
    const std::string blank = strict ? fmt::format(" OR RIGHT({}, 1) <> ' '", text) : "";
    const auto fits = [&](const std::string& condition) { also(strict ? "(" + condition + blank + ")" : condition); };
    if (is("varchar(") || (is("char(") && !strict)) fits(fmt::format("CHAR_LENGTH({}) <= {}", text, length));
    if (const uint64_t most = MostBytes(type); most != 0) fits(fmt::format("LENGTH({}) <= {}", text, most));
    // Letters that it does not have become question marks.
    if (column.charset != "utf8mb4" && !is("enum(") && !strict) also(fmt::format("CAST(CONVERT({} USING utf8mb4) AS BINARY) = CAST(CONVERT({} USING utf8mb4) AS BINARY)", text, expression));
  } else if (strict) {
    return "";
  } else if (is("binary(") || is("varbinary(")) {
    also(fmt::format("LENGTH({}) <= {}", expression, length));
  } else if (const uint64_t most = MostBytes(type); most != 0) {
    also(fmt::format("LENGTH({}) <= {}", expression, most));
  } else if (is("decimal")) {
    const auto [digits, scale] = Digits(type);
    also(fmt::format("ABS(ROUND({}, {})) < 1{}", expression, scale, std::string(static_cast<size_t>(digits - scale), '0')));
    if (IsUnsigned(type)) also(fmt::format("{} >= 0", expression));
  } else if (is("year")) {
    also(fmt::format("({0} BETWEEN 0 AND 99 OR {0} BETWEEN 1901 AND 2155)", expression));
  } else if (column.type_class == TypeClass::kInteger && !is("bit")) {
    const auto [least, most] = Range(type);
    also(fmt::format("{0} > -{1}.5 AND {0} < {2}.5", expression, least, most));
  } else if (const std::string cast = CastTo(type); !cast.empty()) {
    also(fmt::format("({0} IS NULL OR CAST({0} AS {1}) IS NOT NULL)", expression, cast));
  } else if (is("float") || is("double")) {
    if (IsUnsigned(type)) also(fmt::format("{} >= 0", expression));
  } else if (!is("json") && !is("longblob")) {
    return std::nullopt;
  }
  return out.empty() ? "" : out + ")";
}

bool Holds(const Column& wide, const Column& narrow) {
  const std::string to = FoldName(wide.type), from = FoldName(narrow.type);
  const auto both = [&](std::string_view name) { return to.rfind(name, 0) == 0 && from.rfind(name, 0) == 0; };
  const auto number = [](const std::string& text) { return std::strtoull(text.c_str(), nullptr, 10); };
  if (!wide.charset.empty()) {
    if (narrow.charset.empty() || (wide.charset != narrow.charset && wide.charset != "utf8mb4")) return false;
    if (to == from) return true;
    if (from.rfind("varchar(", 0) != 0 && from.rfind("char(", 0) != 0) return wide.charset == narrow.charset && MostBytes(from) != 0 && (to == "longtext" || MostBytes(to) >= MostBytes(from));
    const uint64_t letters = number(Inside(from));
    if (to.rfind("varchar(", 0) == 0 || both("char(")) return number(Inside(to)) >= letters;
    return to == "longtext" || MostBytes(to) >= letters * 4;
  }
  if (!narrow.charset.empty()) return false;
  if (to == from) return true;
  if (both("binary(")) return false;  // another length is another padding
  if (both("varbinary(")) return number(Inside(to)) >= number(Inside(from));
  if (both("decimal")) {
    const auto [to_digits, to_scale] = Digits(to);
    const auto [digits, scale] = Digits(from);
    return to_digits - to_scale >= digits - scale && to_scale >= scale && (!IsUnsigned(to) || IsUnsigned(from));
  }
  if (both("datetime") || (both("time") && !both("timestamp"))) return number(Inside(to)) >= number(Inside(from));
  const auto integer = [](const Column& column, const std::string& type) { return column.type_class == TypeClass::kInteger && type.rfind("bit", 0) != 0 && type.rfind("year", 0) != 0; };
  if (!integer(wide, to) || !integer(narrow, from)) return false;
  return Range(to).first >= Range(from).first && Range(to).second >= Range(from).second;
}

std::string Overflow(const std::string& column) { return fmt::format("{} + (1 + ISNULL({}))", kPastAllNumbers, column); }

std::string Only(const std::string& condition, const std::string& column, const std::string& value) {
  return fmt::format("CASE WHEN CASE WHEN {} THEN 1 ELSE {} END THEN {} END", condition, Overflow(column), value);
}

std::optional<StoredForm> StoredAs(const Column& column, const std::string& expression) {
  const std::string type = FoldName(column.type);
  const auto is = [&](std::string_view name) { return type.rfind(name, 0) == 0; };
  if (!column.charset.empty()) {
    const std::string text = fmt::format("CONVERT({} USING {})", expression, column.charset);
    const std::string value = fmt::format("({} COLLATE {})", is("char(") ? "TRIM(TRAILING ' ' FROM " + text + ")" : text, column.collation);
    if (is("char(") || is("longtext")) return StoredForm{value, ""};
    if (is("varchar(")) return StoredForm{value, fmt::format("(CHAR_LENGTH({0}) <= {1} OR RIGHT({0}, 1) <> ' ')", text, Inside(type))};
    if (const uint64_t most = MostBytes(type); most != 0) return StoredForm{value, fmt::format("(LENGTH({0}) <= {1} OR RIGHT({0}, 1) <> ' ')", text, most)};
    if (is("enum(")) return StoredForm{value, fmt::format("CAST({} AS BINARY) IN ({})", text, Members(column.type, column.charset, true))};
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
