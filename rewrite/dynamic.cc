// SPDX-License-Identifier: Apache-2.0
// See dynamic.h.
#include "rewrite/dynamic.h"

#include "rewrite/lexer.h"
#include "rewrite/names.h"

namespace crossfade::rewrite {
namespace {

constexpr std::string_view kUnknownName = "\x80";

bool IsName(const TokenList& list, size_t i) {
  return i < list.tokens.size() && (list.tokens[i].kind == TokenKind::kWord || list.tokens[i].kind == TokenKind::kQuotedName);
}

}  // namespace

std::string QuoteText(std::string_view text, const SessionFacts& facts) {
  for (std::string_view charset : {"big5", "gbk", "gb18030", "sjis", "cp932"})
    if (NameEq(facts.charset, charset) && HasHighByte(text)) return "";
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || (c == '\\' && (facts.sql_mode & kNoBackslashEscapes) == 0)) out += c;
    out += c;
  }
  return out + "'";
}

DynamicSql ParseDynamic(std::string_view sql, const SessionFacts& facts, const Dialect& dialect, bool numbers) {
  DynamicSql out;
  TokenList list;
  if (!Lex(sql, facts, dialect, &list).ok()) return out;
  const auto word = [&](size_t i, std::string_view w) { return i < list.tokens.size() && list.tokens[i].kind == TokenKind::kWord && NameEq(list.Text(static_cast<uint32_t>(i)), w); };
  const auto value = [&](size_t i) { return TokenValue(list, static_cast<uint32_t>(i), facts); };
  const auto text = [&](size_t i) { return list.Text(static_cast<uint32_t>(i)); };
  // Of letters that another character set has elsewhere nobody knows which names are the same: they are all one, whose text is unknown.
  const bool utf8 = facts.charset.starts_with("utf8");
  const auto name = [&](size_t i) { return !utf8 && HasHighByte(value(i)) ? std::string(kUnknownName) : FoldName(value(i)); };
  size_t end = list.tokens.size() - 1;
  while (end > 0 && text(end - 1) == ";") --end;
  const auto among = [&] {
    out = DynamicSql();
    out.kind = DynamicSql::kAmong;
    for (size_t i = 0; i + 1 < end; ++i) {
      if (!IsName(list, i + 1)) continue;
      if (word(i, "prepare")) out.names.push_back(name(i + 1));
      if (word(i, "execute")) out.executed.push_back(name(i + 1));
    }
    return out;
  };
  bool several = false;
  for (size_t i = 0; i < end; ++i) several = several || text(i) == ";" || list.tokens[i].in_version_comment;
  size_t at = 0;
  if (word(0, "drop") && word(1, "prepare")) at = 1;
  const bool deallocate = at == 1 || word(0, "deallocate");
  if (several || !(word(0, "prepare") || word(0, "execute") || deallocate)) {
    for (size_t i = 0; i < end; ++i)
      if (word(i, "prepare") || word(i, "execute")) return among();
    return out;
  }
  if (deallocate) {
    at = at == 1 ? 2 : word(1, "prepare") ? 2 : 1;
    if (!IsName(list, at) || at + 1 != end) return among();
    out.kind = DynamicSql::kDeallocate;
    out.name = name(at);
    return out;
  }
  if (word(0, "prepare")) {
    if (!IsName(list, 1) || !word(2, "from") || end < 4) return among();
    out.kind = DynamicSql::kPrepare;
    out.name = name(1);
    out.literal = out.name != kUnknownName && end == 4 && list.tokens[3].kind == TokenKind::kString;
    if (out.literal) out.text = value(3);
    if (out.name != kUnknownName && end == 4 && list.tokens[3].kind == TokenKind::kUserVar) out.variable = text(3);
    out.source_begin = list.tokens[3].begin;
    out.source_end = list.tokens[3].end;
    return out;
  }
  const bool immediate = dialect.flavor == Flavor::kMariaDb && word(1, "immediate") && end > 2 && !word(2, "using");
  if (!immediate && !IsName(list, 1)) return among();
  at = immediate ? 3 : 2;
  if (at < end && !word(at, "using")) return immediate ? out : among();  // an expression
  out.kind = immediate ? DynamicSql::kImmediate : DynamicSql::kExecute;
  if (immediate) {
    out.literal = list.tokens[2].kind == TokenKind::kString;
    if (out.literal) out.text = value(2);
    if (list.tokens[2].kind == TokenKind::kUserVar) out.variable = text(2);
    out.source_begin = list.tokens[2].begin;
    out.source_end = list.tokens[2].end;
  } else {
    out.name = name(1);
  }
  if (at == end) return out;
  int depth = 0;
  for (size_t begin = ++at; at <= end; ++at) {
    if (at < end && text(at) == "(") ++depth;
    if (at < end && text(at) == ")") --depth;
    if (at != end && (depth > 0 || text(at) != ",")) continue;
    if (begin == at) return among();
    out.values.emplace_back(sql.substr(list.tokens[begin].begin, list.tokens[at - 1].end - list.tokens[begin].begin));
    const TokenKind kind = at == begin + 1 ? list.tokens[begin].kind : TokenKind::kEnd;
    out.repeatable.push_back(kind == TokenKind::kUserVar || kind == TokenKind::kString || kind == TokenKind::kInteger);
    out.shapes.push_back(kind == TokenKind::kString ? ShapeOfText(TokenValue(list, begin, facts), numbers) : kind == TokenKind::kInteger ? ValueShape::kInteger : ValueShape::kUnknown);
    begin = at + 1;
  }
  return out;
}

}  // namespace crossfade::rewrite
