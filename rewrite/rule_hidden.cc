// SPDX-License-Identifier: Apache-2.0
// Statements that ask for the schema: what the migration added to it is left out of the answer (see hidden.h).
// SHOW and DESCRIBE keep their text, and the reply is changed; a query of INFORMATION_SCHEMA reads derived tables in place
// of those that would tell, and its columns are described as they are in the client's own text.
#include "rewrite/hidden.h"

#include <algorithm>
#include <cctype>
#include <initializer_list>

#include "fmt/format.h"
#include "rewrite/names.h"
#include "rewrite/rules.h"

namespace crossfade::rewrite {
namespace {

// The words of a SHOW or DESCRIBE, one after another.
class Words {
 public:
  Words(const Context& context, const Span& span) : context_(context), at_(span.begin), end_(span.end) {}
  bool Is(std::string_view word) const {
    return at_ < end_ && context_.tokens.tokens[at_].kind == TokenKind::kWord && NameEq(context_.Word(at_), word);
  }
  bool Accept(std::initializer_list<std::string_view> words) {
    for (std::string_view word : words) {
      if (!Is(word)) continue;
      ++at_;
      return true;
    }
    return false;
  }
  bool Name(std::string* name) {
    if (at_ >= end_) return false;
    const TokenKind kind = context_.tokens.tokens[at_].kind;
    if (kind != TokenKind::kWord && kind != TokenKind::kQuotedName) return false;
    *name = TokenValue(context_.tokens, at_++, context_.facts);
    return true;
  }
  // [schema .] table
  bool Table(std::string* schema, std::string* table) {
    if (!Name(table)) return false;
    if (at_ < end_ && context_.Word(at_) == ".") {
      ++at_;
      *schema = *table;
      return Name(table);
    }
    return true;
  }

 private:
  const Context& context_;
  uint32_t at_, end_;
};

bool OfTable(const Context& context, const Statement& statement, ReplyEdit::Kind* kind, std::string* schema, std::string* table) {
  Words words(context, statement.span);
  if (words.Accept({"explain", "describe", "desc"})) {
    *kind = ReplyEdit::kColumns;
    return statement.inner == nullptr && words.Table(schema, table);
  }
  if (!words.Accept({"show"})) return false;
  if (words.Accept({"create"})) {
    *kind = ReplyEdit::kCreateTable;
    return words.Accept({"table"}) && words.Table(schema, table);
  }
  words.Accept({"extended"});
  words.Accept({"full"});
  if (words.Accept({"columns", "fields"})) *kind = ReplyEdit::kColumns;
  else if (words.Accept({"index", "indexes", "keys"})) *kind = ReplyEdit::kIndexes;
  else return false;
  if (!words.Accept({"from", "in"}) || !words.Table(schema, table)) return false;
  if (words.Accept({"from", "in"})) words.Name(schema);
  return true;
}

// A name as a string literal that no sql_mode and no character set reads otherwise.
std::string Literal(std::string_view name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x80 && (std::isalnum(c) || c == '_' || c == '$'); });
  if (plain) return fmt::format("'{}'", name);
  std::string hex;
  for (unsigned char c : name) hex += fmt::format("{:02X}", c);
  return "_utf8mb4 0x" + hex;
}

// What stands in place of one table of INFORMATION_SCHEMA.
class Information {
 public:
  Information(const HiddenSchema& hidden, std::string_view table, const std::vector<std::string>& columns, std::string alias)
      : hidden_(hidden), table_(table), columns_(columns), cf_(std::move(alias)) {}
  std::string Text() const {
    std::string list, hides;
    for (const std::string& column : columns_) list += fmt::format("{}{}", list.empty() ? "" : ", ", Column(column));
    for (const auto& table : hidden_.tables) {
      const std::string hidden = Hidden(*table);
      if (!hidden.empty()) hides += fmt::format("{}{} AND {}", hides.empty() ? "" : " OR ", Of(*table, "TABLE_NAME"), hidden);
    }
    return fmt::format("(SELECT {} FROM `information_schema`.`{}` AS {}{})", list, table_, cf_, hides.empty() ? "" : " WHERE NOT (" + hides + ")");
  }

 private:
  std::string Schema() const { return table_ == "COLUMNS" || table_ == "STATISTICS" ? "TABLE_SCHEMA" : "CONSTRAINT_SCHEMA"; }
  std::string Of(const HiddenTable& table, std::string_view by) const {
    return fmt::format("{0}.{1} = {2} AND {0}.{3} = {4}", cf_, Schema(), Literal(table.schema), by, Literal(table.name));
  }
  std::string_view NameColumn() const { return table_ == "STATISTICS" ? "INDEX_NAME" : "CONSTRAINT_NAME"; }

  // Which rows of `table` are left out.
  std::string Hidden(const HiddenTable& table) const {
    if (table_ == "COLUMNS") {
      std::string list;
      for (const HiddenTable::Column& column : table.columns) list += fmt::format("{}{}", list.empty() ? "" : ", ", Literal(column.name));
      return fmt::format("{0}.COLUMN_NAME IN ({1}) AND {0}.EXTRA LIKE '%INVISIBLE%'", cf_, list);
    }
    std::string shown, left_out;
    for (const auto& [name, as] : table.names) {
      std::string* to = as.empty() ? &left_out : &shown;
      *to += fmt::format("{}{}", to->empty() ? "" : ", ", Literal(name));
    }
    std::string out = fmt::format("RIGHT({}.{}, {}) = {}", cf_, NameColumn(), kOwnSuffix.size(), Literal(kOwnSuffix));
    if (!shown.empty()) out += fmt::format(" AND {}.{} NOT IN ({})", cf_, NameColumn(), shown);
    if (!left_out.empty()) out += fmt::format(" OR {}.{} IN ({})", cf_, NameColumn(), left_out);
    return "(" + out + ")";
  }

  std::string Column(const std::string& column) const {
    std::string cases;
    const auto add = [&](const HiddenTable& table, std::string_view by, std::string_view condition, std::string_view then) {
      cases += fmt::format(" WHEN {} AND {}.{}{} THEN {}", Of(table, by), cf_, column, condition, then);
    };
    std::string otherwise = fmt::format("{}.`{}`", cf_, column);
    for (const auto& pointer : hidden_.tables) {
      const HiddenTable& table = *pointer;
      if (table_ == "COLUMNS" && column == "ORDINAL_POSITION") {
        std::vector<uint32_t> positions;
        for (const HiddenTable::Column& hidden : table.columns)
          if (hidden.position != 0) positions.push_back(hidden.position);
        std::sort(positions.begin(), positions.end());
        for (size_t i = positions.size(); i > 0; --i) add(table, "TABLE_NAME", fmt::format(" > {}", positions[i - 1]), fmt::format("{}.{} - {}", cf_, column, i));
      }
      if (!table.swapped) continue;
      if (table_ == "COLUMNS" && column == "COLUMN_KEY") {
        for (const auto& [old, key] : table.keys)
          cases += fmt::format(" WHEN {} AND {}.COLUMN_NAME = {} THEN '{}'", Of(table, "TABLE_NAME"), cf_, Literal(old), key);
      }
      const bool own = column == "COLUMN_NAME" && table_ != "COLUMNS";
      if (own || column == "REFERENCED_COLUMN_NAME") {
        for (const HiddenTable::Column& hidden : table.columns)
          if (!hidden.shown.empty()) add(table, own ? "TABLE_NAME" : "REFERENCED_TABLE_NAME", " = " + Literal(hidden.name), Literal(hidden.shown));
      }
      if (column == NameColumn() && table_ != "COLUMNS") {
        for (const auto& [name, as] : table.names)
          if (!as.empty()) add(table, "TABLE_NAME", " = " + Literal(name), Literal(as));
      }
      if (column == "UNIQUE_CONSTRAINT_NAME") {
        for (const auto& [name, as] : table.names)
          if (as.empty()) add(table, "REFERENCED_TABLE_NAME", " = " + Literal(name), "'PRIMARY'");
      }
    }
    return cases.empty() ? otherwise : fmt::format("CASE{} ELSE {} END AS `{}`", cases, otherwise, column);
  }

  const HiddenSchema& hidden_;
  const std::string_view table_;
  const std::vector<std::string>& columns_;
  const std::string cf_;
};

// Functions that only compute, and read nothing that a statement before has left.
bool IsPure(std::string_view name) {
  static constexpr std::string_view kPure[] = {
      "count", "max", "min", "sum", "avg", "group_concat", "concat", "concat_ws", "if", "ifnull", "nullif", "coalesce", "lower", "upper", "lcase", "ucase",
      "substring", "substr", "substring_index", "mid", "left", "right", "trim", "ltrim", "rtrim", "replace", "length", "char_length", "locate", "instr", "position", "find_in_set", "field",
      "database", "schema", "user", "current_user", "version", "json_object", "json_array", "json_arrayagg", "json_objectagg", "quote", "any_value", "isnull", "cast", "convert",
      "greatest", "least", "abs", "round", "floor", "ceil", "regexp_replace", "regexp_substr", "regexp_like", "row_number", "rank", "dense_rank"};
  for (std::string_view pure : kPure)
    if (NameEq(name, pure)) return true;
  return false;
}

// Finds the mentions of INFORMATION_SCHEMA's tables in a query.
class Walk {
 public:
  Walk(Context& context, const HiddenSchema& hidden) : context_(context), hidden_(hidden), inside_(NameEq(context.facts.schema, "information_schema")) {}
  bool found() const { return found_; }
  bool pure() const { return pure_; }  // run twice, it does what it does once

  void Visit(Query& query) {
    if (query.into || query.locking) pure_ = false;
    for (Cte& cte : query.with) {
      ctes_.push_back(cte.name.text);
      if (cte.query != nullptr) Visit(*cte.query);
    }
    for (Select* select : query.selects) Visit(*select);
    Visit(query.order_by);
    Visit(query.limit);
  }

 private:
  void Visit(Select& select) {
    for (TableRef* table : select.from) Visit(table);
    for (SelectItem& item : select.items) Visit(item.expr);
    Visit(select.where);
    Visit(select.group_by);
    Visit(select.having);
    Visit(select.window_exprs);
    Visit(select.order_by);
    if (select.nested != nullptr) Visit(*select.nested);
    if (select.into || select.locking) pure_ = false;
  }
  void Visit(std::vector<OrderItem>& items) {
    for (OrderItem& item : items) Visit(item.expr);
  }
  void Visit(std::vector<Expr*>& items) {
    for (Expr* item : items) Visit(item);
  }
  void Visit(TableRef* table) {
    if (table == nullptr) return;
    Visit(table->left);
    Visit(table->right);
    Visit(table->on);
    Visit(table->other_exprs);
    if (table->derived != nullptr) Visit(*table->derived);
    if (table->kind != TableRef::kTable || !table->table.present()) return;
    const bool qualified = table->schema.present();
    if (qualified ? !NameEq(table->schema.text, "information_schema") : !inside_) return;
    std::string name = FoldName(table->table.text);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    const auto known = hidden_.information.find(name);
    if (known == hidden_.information.end()) return;
    for (std::string_view cte : ctes_)
      if (!qualified && NameEq(cte, table->table.text)) return;
    std::string text = Information(hidden_, known->first, known->second, context_.alias).Text();
    if (!table->alias.present()) text += " AS " + QuoteName(table->table.text);
    context_.editor.Replace({qualified ? table->schema.span.begin : table->table.span.begin, table->table.span.end}, std::move(text));
    found_ = true;
  }
  void Visit(Expr* expr) {
    if (expr == nullptr) return;
    // information_schema.columns.column_name: a derived table has no schema.
    const bool named = (expr->kind == ExprKind::kColumn && expr->parts.size() == 3) || (expr->kind == ExprKind::kStar && expr->parts.size() == 2);
    if (named && NameEq(expr->parts[0].text, "information_schema")) {
      const std::string folded = FoldName(expr->parts[1].text);
      for (const auto& [table, columns] : hidden_.information)
        if (NameEq(table, folded)) context_.editor.Replace({expr->parts[0].span.begin, expr->parts[1].span.end}, QuoteName(expr->parts[1].text));
    }
    if (expr->kind == ExprKind::kAssign || expr->kind == ExprKind::kOther) pure_ = false;
    if (expr->kind == ExprKind::kFunction && (!expr->parts.empty() || !IsPure(expr->text))) pure_ = false;
    Visit(expr->children);
    if (expr->query != nullptr) Visit(*expr->query);
  }

  Context& context_;
  const HiddenSchema& hidden_;
  const bool inside_;
  bool found_ = false, pure_ = true;
  std::vector<std::string_view> ctes_;
};

}  // namespace

void HideNewSide(Context& context, Statement& statement, uint32_t result, bool only, const HiddenSchema& hidden) {
  if (hidden.tables.empty()) return;
  if (statement.kind == StatementKind::kShow || statement.kind == StatementKind::kExplain) {
    ReplyEdit edit;
    std::string schema, table;
    if (!OfTable(context, statement, &edit.kind, &schema, &table)) return;
    edit.table = hidden.Find(schema.empty() ? context.facts.schema : schema, table);
    if (edit.table == nullptr) return;
    edit.result = result;
    context.plan->replies.push_back(std::move(edit));
    context.Note("the reply leaves out what the migration added");
    return;
  }
  Query* query = statement.kind == StatementKind::kInsert ? statement.insert->query : statement.query;
  if (query == nullptr || hidden.information.empty()) return;
  Walk walk(context, hidden);
  walk.Visit(*query);
  if (!walk.found()) return;
  context.Note("INFORMATION_SCHEMA is read without what the migration added");
  // Of a text with several statements the proxy cannot ask for the definitions of each.
  if (only && statement.kind == StatementKind::kSelect) {
    const bool run = walk.pure() && context.dialect.flavor == Flavor::kMySql;
    context.plan->replies.push_back({run ? ReplyEdit::kDefinitionsByRun : ReplyEdit::kDefinitions, result, nullptr});
  }
}

}  // namespace crossfade::rewrite
