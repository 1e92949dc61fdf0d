// SPDX-License-Identifier: Apache-2.0
// See column_expression.h.
#include "rewrite/column_expression.h"

#include <algorithm>
#include <map>
#include <set>

#include "fmt/format.h"
#include "rewrite/lexer.h"
#include "rewrite/names.h"
#include "rewrite/parser.h"

namespace crossfade::rewrite {
namespace {

// The same result for the same arguments on both engines, in every session: no clock, no randomness, no time zone, no locale.
constexpr std::string_view kFunctions[] = {
    "abs", "ascii", "bin_to_uuid", "bit_count", "bit_length", "ceil", "ceiling", "char_length", "character_length", "coalesce", "concat",
    "concat_ws", "conv", "crc32", "date", "datediff", "day", "dayofmonth", "dayofweek", "dayofyear", "elt", "field", "floor", "from_base64",
    "greatest", "hex", "hour", "if", "ifnull", "inet6_aton", "inet6_ntoa", "inet_aton", "inet_ntoa", "instr", "json_array", "json_contains",
    "json_extract", "json_length", "json_object", "json_quote", "json_type", "json_unquote", "json_valid", "json_value", "last_day", "lcase",
    "least", "left", "length", "locate", "lower", "lpad", "ltrim", "microsecond", "mid", "minute", "mod", "month", "nullif", "octet_length",
    "ord", "position", "pow", "power", "quarter", "regexp_instr", "regexp_replace", "regexp_substr", "repeat", "replace", "reverse", "right",
    "round", "rpad", "rtrim", "second", "sha", "sha1", "sha2", "sign", "sqrt", "strcmp", "substr", "substring", "substring_index", "to_base64",
    "to_days", "trim", "truncate", "ucase", "unhex", "upper", "uuid_to_bin", "weekday", "year"};

// Their text has the character set and collation of the connection, unless it is told.
constexpr std::string_view kOfConnection[] = {"bin_to_uuid", "conv", "hex", "inet6_ntoa", "inet_ntoa", "sha", "sha1", "sha2", "to_base64"};

// "…+02:00": of a moment, which MySQL takes to the session's time zone.
bool EndsInOffset(std::string_view text) {
  const size_t n = text.size();
  const auto digit = [&](size_t i) { return text[i] >= '0' && text[i] <= '9'; };
  return n > 7 && (text[n - 6] == '+' || text[n - 6] == '-') && text[n - 3] == ':' && digit(n - 7) && digit(n - 5) && digit(n - 4) && digit(n - 2) && digit(n - 1);
}

absl::Status No(std::string_view what, std::string_view why) {
  return absl::InvalidArgumentError(fmt::format("'{}' {}", what, why));
}

class Checker {
 public:
  explicit Checker(const TokenList& tokens) : tokens_(tokens) {}

  absl::Status Check(const Expr& expr) {
    const std::string_view text = Source(expr.span);
    switch (expr.kind) {
      case ExprKind::kColumn:
        if (expr.parts.size() != 1) return No(text, "is qualified; name the column alone");
        columns_[expr.span.begin] = std::string(expr.parts[0].text);
        return absl::OkStatus();
      case ExprKind::kString:
        if (tokens_.source[tokens_.tokens[expr.span.end - 1].begin] == '"') return No(text, "is a name under ANSI_QUOTES; use single quotes");
        if (EndsInOffset(expr.text)) return No(text, "has an offset, which MySQL takes to the session's time zone; write the moment without it");
        if (expr.charset.empty()) strings_[expr.span.begin] = {expr.span.end, std::string(expr.text)};
        return absl::OkStatus();
      case ExprKind::kTemporal:
        if (EndsInOffset(text.substr(0, text.size() - 1))) return No(text, "has an offset, which MySQL takes to the session's time zone; write the moment without it");
        return absl::OkStatus();
      case ExprKind::kInteger: case ExprKind::kDecimal: case ExprKind::kFloat: case ExprKind::kHex: case ExprKind::kBit: case ExprKind::kNull: case ExprKind::kBool:
        return absl::OkStatus();
      case ExprKind::kUnary: case ExprKind::kBinary:
        if (expr.op == Op::kConcat || text.find("||") != std::string_view::npos) return No("||", "means OR or CONCAT by sql_mode; write the one that is meant");
        if (text.find('/') != std::string_view::npos) return No("/", "rounds by div_precision_increment of the session; write DIV or multiply");
        if (expr.op == Op::kNot) return No(text, "is read by sql_mode HIGH_NOT_PRECEDENCE; write IF(…, 0, 1)");
        break;
      case ExprKind::kLike:
        if (expr.children.size() == 2 && IsLike(expr) && (expr.children[1]->kind != ExprKind::kString || expr.children[1]->text.find('\\') != std::string_view::npos))
          return No(text, "has a backslash or another pattern than a literal, which sql_mode NO_BACKSLASH_ESCAPES reads otherwise; say ESCAPE");
        break;
      case ExprKind::kComparison: case ExprKind::kBetween: case ExprKind::kIsNull: case ExprKind::kCase:
      case ExprKind::kRow: case ExprKind::kInterval:
        break;
      case ExprKind::kCast:
        TakeCast(expr);
        break;
      case ExprKind::kIn:
        if (expr.query != nullptr) return No(text, "reads other rows");
        break;
      case ExprKind::kFunction: {
        const bool known = std::any_of(std::begin(kFunctions), std::end(kFunctions), [&](std::string_view name) { return NameEq(name, expr.text); });
        const bool arrow = expr.text == "->" || expr.text == "->>";
        if (!expr.parts.empty() || (!known && !arrow)) {
          return No(expr.text, "is not among the functions that are known to give the same value in every session");
        }
        if (std::any_of(std::begin(kOfConnection), std::end(kOfConnection), [&](std::string_view name) { return NameEq(name, expr.text); })) {
          opens_.insert(expr.span.begin);
          closes_.insert(expr.span.end - 1);
        }
        break;
      }
      case ExprKind::kSubquery: case ExprKind::kExists: case ExprKind::kQuantified: return No(text, "reads other rows");
      case ExprKind::kParam: case ExprKind::kUserVar: case ExprKind::kSysVar: case ExprKind::kAssign: return No(text, "is not of the row");
      default: return No(text, "has no place in a column's expression");
    }
    for (const Expr* child : expr.children)
      if (absl::Status status = Check(*child); !status.ok()) return status;
    return absl::OkStatus();
  }

  std::string_view Source(Span span) const {
    const uint32_t begin = tokens_.tokens[span.begin].begin;
    return tokens_.source.substr(begin, tokens_.tokens[span.end - 1].end - begin);
  }

  bool IsLike(const Expr& expr) const {
    for (uint32_t i = expr.children[0]->span.end; i < expr.children[1]->span.begin; ++i)
      if (IsWord(i, "like")) return true;
    return false;
  }
  // A character type without a character set has the connection's.
  void TakeCast(const Expr& expr) {
    const uint32_t close = expr.span.end - 1;
    uint32_t at = expr.children[0]->span.end;
    while (at < close && tokens_.Text(at) == ")") ++at;
    ++at;  // behind AS or the comma
    if (!IsWord(at, "char") && !IsWord(at, "varchar") && !IsWord(at, "character")) return;
    if (IsWord(at, "character") && IsWord(at + 1, "varying")) ++at;
    ++at;
    while (at < close && tokens_.tokens[at].kind != TokenKind::kWord) ++at;  // its length
    if (at == close) casts_.insert(close);
  }
  bool IsWord(uint32_t token, std::string_view word) const { return token < tokens_.tokens.size() && NameEq(tokens_.Text(token), word); }

  struct String {
    uint32_t end = 0;
    std::string value;
  };
  std::map<uint32_t, std::string> columns_;  // by token
  std::map<uint32_t, String> strings_;
  std::set<uint32_t> casts_;  // the closing parenthesis
  std::set<uint32_t> opens_, closes_;  // of kOfConnection, the first and the last token

 private:
  const TokenList& tokens_;
};

// With its character set, and without anything that an escape mode or a placeholder could change.
std::string Literal(const std::string& value) {
  const bool plain = std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c < 0x7f && c != '\'' && c != '\\' && c != '?'; });
  if (plain) return "_utf8mb4'" + value + "'";
  std::string hex;
  for (char c : value) hex += fmt::format("{:02X}", static_cast<unsigned char>(c));
  return "_utf8mb4 x'" + hex + "'";
}

}  // namespace

absl::StatusOr<std::string> ColumnExpression::OverColumn(std::string_view sql, std::string_view column) { return OverText(sql, QuoteName(column)); }

absl::StatusOr<std::string> ColumnExpression::OverText(std::string_view sql, std::string_view with) {
  auto parsed = Parse(sql);
  if (!parsed.ok()) return parsed.status();
  if (parsed->columns().size() != 1) return No(sql, "is not made of one column");
  const std::string text = "SELECT (" + std::string(sql) + ")";
  SessionFacts facts;
  facts.charset = "utf8mb4";
  TokenList tokens;
  if (absl::Status status = Lex(text, facts, Dialect{Flavor::kMySql, 80000}, &tokens); !status.ok()) return status;
  std::string out;
  size_t copied = 8;  // "SELECT ("
  for (uint32_t i : parsed->column_tokens_) {
    out += text.substr(copied, tokens.tokens[i].begin - copied) + std::string(with);
    copied = tokens.tokens[i].end;
  }
  return out + text.substr(copied, text.size() - 1 - copied);
}

absl::StatusOr<ColumnExpression> ColumnExpression::Parse(std::string_view sql) {
  const std::string text = "SELECT (" + std::string(sql) + ")";
  const Dialect dialect{Flavor::kMySql, 80000};
  SessionFacts facts;
  facts.charset = "utf8mb4";
  TokenList tokens;
  if (absl::Status status = Lex(text, facts, dialect, &tokens); !status.ok()) return status;
  Arena arena;
  auto parsed = rewrite::Parse(tokens, facts, dialect, 100, &arena);
  if (!parsed.ok()) return parsed.status();
  const Statement* statement = parsed->statements.size() == 1 ? parsed->statements[0] : nullptr;
  const Query* query = statement != nullptr ? statement->query : nullptr;
  const Select* select = query != nullptr && query->selects.size() == 1 ? query->selects[0] : nullptr;
  const uint32_t end = static_cast<uint32_t>(tokens.tokens.size()) - 1;  // kEnd
  if (select == nullptr || select->items.size() != 1 || !select->from.empty() || select->items[0].alias.present() || select->items[0].span.end != end) {
    return No(sql, "is not one expression");
  }
  for (const Token& token : tokens.tokens)
    if (token.in_version_comment) return No(sql, "holds a version comment");
  if (select->items[0].expr->kind == ExprKind::kRow) return No(sql, "is more than one expression");
  Checker checker(tokens);
  if (absl::Status status = checker.Check(*select->items[0].expr); !status.ok()) return status;

  ColumnExpression out;
  std::string so_far;
  for (uint32_t i = 1; i < end; ++i) {
    if (tokens.tokens[i].space_before && i > 1) so_far += ' ';
    if (checker.opens_.count(i) != 0) so_far += "CONVERT(";
    if (const auto column = checker.columns_.find(i); column != checker.columns_.end()) {
      out.pieces_.push_back({so_far, false});
      out.pieces_.push_back({column->second, true});
      out.column_tokens_.push_back(i);
      so_far.clear();
      const bool seen = std::any_of(out.columns_.begin(), out.columns_.end(), [&](const std::string& name) { return NameEq(name, column->second); });
      if (!seen) out.columns_.push_back(column->second);
    } else if (const auto literal = checker.strings_.find(i); literal != checker.strings_.end()) {
      so_far += Literal(literal->second.value);
      i = literal->second.end - 1;
    } else {
      if (checker.casts_.count(i) != 0) so_far += " CHARACTER SET utf8mb4";
      so_far += tokens.Text(i);
      if (checker.closes_.count(i) != 0) so_far += " USING utf8mb4)";
    }
  }
  out.pieces_.push_back({so_far, false});
  if (out.pieces_.size() == 3 && out.pieces_[0].text == "(" && out.pieces_[2].text == ")") out.pieces_ = {{out.columns_[0], true}};
  return out;
}

std::string ColumnExpression::Text(std::string_view qualifier) const {
  return Text([&](const std::string& column) { return qualifier.empty() ? QuoteName(column) : QuoteName(qualifier) + "." + QuoteName(column); });
}

std::string ColumnExpression::DefaultText(const std::string& text) {
  constexpr std::string_view kHexed = "_utf8mb4 x'";
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = text.find(kHexed, at);
    out += text.substr(at, begin - at);
    if (begin == std::string::npos) break;
    const size_t end = text.find('\'', begin + kHexed.size());
    out += '\'';
    for (size_t i = begin + kHexed.size(); i + 1 < end; i += 2) {
      const char c = static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
      if (c == '\0') out += "\\0";
      else out += c == '\'' || c == '\\' ? std::string(2, c) : std::string(1, c);
    }
    out += '\'';
    at = end + 1;
  }
  return out;
}

std::string ColumnExpression::Text(const std::function<std::string(const std::string& column)>& text) const {
  std::string out;
  for (const Piece& piece : pieces_) out += piece.is_column ? text(piece.text) : piece.text;
  return out;
}

}  // namespace crossfade::rewrite
