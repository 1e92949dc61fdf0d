// SPDX-License-Identifier: Apache-2.0
// See comparable.h.
#include "rewrite/comparable.h"

#include <algorithm>

#include "rewrite/lexer.h"
#include "rewrite/names.h"

namespace crossfade::rewrite {
namespace {

// Functions of their arguments alone, and words that may stand before a parenthesis.
constexpr std::string_view kBeforeParenthesis[] = {
    "count", "sum", "min", "max", "avg", "bit_and", "bit_or", "bit_xor", "concat", "concat_ws", "coalesce", "ifnull", "nullif", "if", "lower", "upper", "lcase",
    "ucase", "length", "char_length", "substring", "substr", "left", "right", "trim", "ltrim", "rtrim", "lpad", "rpad", "replace", "locate", "instr", "hex", "unhex",
    "abs", "round", "floor", "ceil", "ceiling", "mod", "greatest", "least", "cast", "date", "year", "month", "day", "date_format", "in", "and", "or", "not", "exists",
    "where", "on", "using", "from", "as", "select", "between", "distinct", "char", "convert", "binary", "ascii", "ord", "reverse", "repeat", "space", "field", "elt",
    "find_in_set", "substring_index", "position", "regexp_replace", "regexp_substr", "regexp_instr", "strcmp", "quote", "to_base64", "from_base64", "conv", "bin",
    "oct", "md5", "sha1", "sha2", "crc32", "sign", "sqrt", "pow", "power", "exp", "ln", "log", "log2", "log10", "truncate", "pi", "isnull", "bit_count", "bit_length",
    "octet_length", "character_length", "time", "timestamp", "hour", "minute", "second", "microsecond", "quarter", "week", "weekday", "weekofyear", "yearweek", "dayofmonth",
    "dayofweek", "dayofyear", "last_day", "makedate", "maketime", "adddate", "subdate", "date_add", "date_sub", "addtime", "subtime", "datediff", "timediff", "timestampdiff",
    "timestampadd", "extract", "str_to_date", "time_format", "to_days", "from_days", "to_seconds", "time_to_sec", "sec_to_time", "period_add", "period_diff", "json_extract",
    "json_unquote", "json_value", "json_contains", "json_length", "json_type", "json_valid", "inet_aton", "inet_ntoa", "row", "any", "all", "some", "interval", "join", "like", "xor",
    "when", "then", "else", "case", "having", "by", "update", "set", "values", "value", "partition", "index", "key", "table", "straight_join", "div", "is", "regexp", "rlike", "collate"};
constexpr std::string_view kClock[] = {"now", "current_timestamp", "current_date", "current_time", "curdate", "curtime", "localtime", "localtimestamp", "utc_timestamp",
                                       "utc_date", "utc_time", "unix_timestamp", "from_unixtime"};
constexpr std::string_view kNever[] = {
    "into", "for", "lock", "procedure", "current_timestamp", "current_date", "current_time", "current_user", "localtime", "localtimestamp", "utc_timestamp", "utc_date",
    "utc_time", "sql_calc_found_rows", "current_role", "nextval", "lastval", "next", "previous", "offset"};

template <size_t N>
bool Holds(const std::string_view (&list)[N], std::string_view word) {
  return std::any_of(std::begin(list), std::end(list), [&](std::string_view each) { return NameEq(each, word); });
}

}  // namespace

bool IsPlainFunction(std::string_view word) { return Holds(kBeforeParenthesis, word); }
bool IsClockFunction(std::string_view word) { return Holds(kClock, word); }

Comparable IsComparable(std::string_view sql, const SessionFacts& facts, const Dialect& dialect) {
  Comparable out;
  TokenList list;
  if (!Lex(sql, facts, dialect, &list).ok()) return out;
  uint32_t end = static_cast<uint32_t>(list.tokens.size()) - 1;
  if (end > 0 && list.Text(end - 1) == ";") --end;
  if (end < 2 || !NameEq(list.Text(0), "select")) return out;
  int depth = 0;
  uint32_t order = 0, limit = 0;
  for (uint32_t i = 0; i < end; ++i) {
    const Token& token = list.tokens[i];
    const std::string_view text = list.Text(i);
    if (token.in_version_comment || token.kind == TokenKind::kUserVar || token.kind == TokenKind::kSysVar || token.kind == TokenKind::kParam || text == ";") return out;
    if (text == "(") ++depth;
    if (text == ")") --depth;
    if (token.kind != TokenKind::kWord || token.name_only) {
      if ((token.kind == TokenKind::kQuotedName || token.name_only) && i + 1 < end && list.Text(i + 1) == "(") return out;  // a stored function
      continue;
    }
    if (i + 1 < end && list.Text(i + 1) == "(" && !IsPlainFunction(text)) return out;
    if (Holds(kNever, text)) return out;
    if (depth == 0 && NameEq(text, "order")) order = i;
    if (NameEq(text, "limit")) {
      if (depth > 0) return out;
      limit = i;
    }
  }
  if (limit != 0 && order == 0) return out;
  out.yes = true;
  out.limited = limit != 0;
  if (order == 0) return out;
  // name [ASC|DESC], …; the first that is anything else ends what is known.
  for (uint32_t i = order + 2; i < (limit != 0 ? limit : end);) {
    uint32_t last = i;
    while (last + 2 < end && list.Text(last + 1) == ".") last += 2;
    const TokenKind kind = list.tokens[last].kind;
    if (kind != TokenKind::kWord && kind != TokenKind::kQuotedName) break;
    uint32_t next = last + 1;
    if (next < end && (NameEq(list.Text(next), "asc") || NameEq(list.Text(next), "desc"))) ++next;
    if (next < end && list.Text(next) != "," && next != limit) break;
    out.ordered.push_back(TokenValue(list, last, facts));
    i = next + 1;
  }
  return out;
}

}  // namespace crossfade::rewrite
