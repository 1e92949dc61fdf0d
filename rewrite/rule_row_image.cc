// SPDX-License-Identifier: Apache-2.0
// Strategy B: what an UPDATE that no assignment can keep right is turned into. See row_image.h.
#include <algorithm>

#include "fmt/format.h"
#include "rewrite/comparable.h"
#include "rewrite/names.h"
#include "rewrite/row_image.h"
#include "rewrite/rules.h"
#include "rewrite/table_refs.h"

namespace crossfade::rewrite {
namespace {

// Where the parts of the UPDATE stand, in tokens.
struct Parts {
  Span tables;  // between UPDATE [LOW_PRIORITY] [IGNORE] and SET
  Span tail;    // WHERE, ORDER BY and LIMIT
};

Parts PartsOf(const Context& context, const Statement& statement) {
  const Update& update = *statement.update;
  Parts parts;
  uint32_t at = update.with.empty() ? statement.span.begin : update.with.back().span.end;
  while (at < statement.span.end && !NameEq(context.Word(at), "update")) ++at;
  ++at;
  while (at < statement.span.end && (NameEq(context.Word(at), "low_priority") || NameEq(context.Word(at), "ignore"))) ++at;
  parts.tables = {at, update.set.front().span.begin - 1};
  parts.tail = {update.set.back().span.end, statement.span.end};
  return parts;
}

bool HasOuterJoin(const TableRef* ref) {
  return ref != nullptr && (ref->join == JoinKind::kLeft || ref->join == JoinKind::kRight || HasOuterJoin(ref->left) || HasOuterJoin(ref->right));
}

bool HasOther(const TableRef* ref) {
  return ref != nullptr && (ref->kind == TableRef::kOther || HasOther(ref->left) || HasOther(ref->right));
}

// Which rows are found must be the same when it is asked again a moment later, but for what other transactions change.
std::string NotTheSameTwice(const Context& context, Span span) {
  for (uint32_t i = span.begin; i < span.end; ++i) {
    const Token& token = context.tokens.tokens[i];
    const std::string_view text = context.Word(i);
    const bool called = i + 1 < span.end && context.Word(i + 1) == "(";
    if (called && (token.kind == TokenKind::kQuotedName || token.name_only)) return std::string(text);  // a stored function, or a column list
    if (token.kind != TokenKind::kWord || token.name_only) continue;
    if ((called && !IsPlainFunction(text) && !IsClockFunction(text)) || NameEq(text, "nextval") || NameEq(text, "lastval")) return std::string(text);
  }
  return "";
}

// A system variable that the steps change, or may.
std::string ToldOfTransaction(const Context& context, uint32_t at) {
  if (context.tokens.tokens[at].kind != TokenKind::kSysVar && context.tokens.tokens[at].kind != TokenKind::kWord) return "";
  const std::string name = FoldName(context.Word(at));
  for (const char* each : {"autocommit", "in_transaction", "tx_isolation", "transaction_isolation", "tx_read_only", "transaction_read_only", "last_gtid"}) {
    const size_t found = name.rfind(each);
    const bool behind = at > 0 && context.Word(at - 1) == ".";
    if (found != std::string::npos && found + std::string_view(each).size() == name.size() && (context.tokens.tokens[at].kind == TokenKind::kSysVar || behind)) return each;
  }
  return "";
}

std::optional<RowImage::Kind> KindOf(const Column& column) {
  switch (column.type_class) {
    case TypeClass::kInteger: return RowImage::Kind::kNumber;
    case TypeClass::kString: return RowImage::Kind::kText;
    case TypeClass::kBinary: return RowImage::Kind::kBytes;
    default: return std::nullopt;
  }
}

// The key by which the rows of `source` are known: unique, without NULL, and not assigned.
bool KeyOf(const Source& source, const std::vector<Assignment>& set, RowImage::Target* target) {
  const Table* table = source.table->table;
  if (table == nullptr) return false;
  const Index* primary = table->PrimaryKey();
  const auto fits = [&](const Index& index) {
    target->key.clear();
    target->kinds.clear();
    target->charsets.clear();
    for (const std::string& name : index.columns) {
      const Column* column = table->FindColumn(name);
      const std::optional<RowImage::Kind> kind = column == nullptr || column->nullable || column->generated ? std::nullopt : KindOf(*column);
      for (const Assignment& assignment : set)
        if (!kind || (NameEq(assignment.column->parts.back().text, name) && !StaysItself(assignment))) return false;
      target->key.push_back(QuoteName(column->name));
      target->kinds.push_back(*kind);
      target->charsets.push_back(column->charset);
    }
    return !target->key.empty();
  };
  if (primary != nullptr && fits(*primary)) return true;
  return std::any_of(table->indexes.begin(), table->indexes.end(), [&](const Index& index) { return &index != primary && index.unique && fits(index); });
}

bool IsBytes(Reader& reader, Expr& expr, const Scope& scope) {
  if (expr.kind != ExprKind::kColumn) return false;
  const Bound bound = reader.Resolve(expr, scope);
  const Table* table = bound.source == nullptr || bound.source->table == nullptr ? nullptr : bound.source->table->table;
  const Column* column = table == nullptr ? nullptr : table->FindColumn(expr.parts.back().text);
  // Beside an old key that is a number, bytes are a new key.
  const Key* key = bound.kind == Bound::kBase && bound.tag.key != nullptr && bound.tag.key->either ? bound.tag.key : nullptr;
  if (key != nullptr && key->old_shape == ValueShape::kInteger && FoldName(key->spec->new_type).find("binary") != std::string::npos) return true;
  return column != nullptr && column->type_class == TypeClass::kBinary;
}

// Notes the parameters among `operands` where they are compared with a column of bytes, and else with values alone: they mean the same as
// bytes and as a string of the session's.
void NoteBytesAmong(Reader& reader, const std::vector<Expr*>& operands, const Scope& scope, std::vector<uint32_t>* out) {
  bool bytes = false;
  for (Expr* operand : operands) {
    const ExprKind kind = operand->kind;
    const bool value = kind == ExprKind::kParam || kind == ExprKind::kString || kind == ExprKind::kInteger || kind == ExprKind::kHex || kind == ExprKind::kNull;
    if (!value && !IsBytes(reader, *operand, scope)) return;
    bytes = bytes || !value;
  }
  for (const Expr* operand : operands)
    if (bytes && operand->kind == ExprKind::kParam) out->push_back(operand->param_index);
}

void NoteBytes(Reader& reader, Expr* expr, const Scope& scope, std::vector<uint32_t>* out) {
  if (expr == nullptr || expr->query != nullptr) return;
  for (Expr* child : expr->children) NoteBytes(reader, child, scope, out);
  if (expr->kind != ExprKind::kComparison && expr->kind != ExprKind::kIn && expr->kind != ExprKind::kBetween) return;
  const auto row = [](const Expr* child) { return child->kind == ExprKind::kRow; };
  if (std::none_of(expr->children.begin(), expr->children.end(), row)) return NoteBytesAmong(reader, expr->children, scope, out);
  if (!std::all_of(expr->children.begin(), expr->children.end(), row)) return;
  for (size_t i = 0; i < expr->children[0]->children.size(); ++i) {
    std::vector<Expr*> column;
    for (const Expr* child : expr->children)
      if (i < child->children.size()) column.push_back(child->children[i]);
    NoteBytesAmong(reader, column, scope, out);
  }
}

void NoteBytes(Reader& reader, const TableRef* ref, const Scope& scope, std::vector<uint32_t>* out) {
  if (ref == nullptr) return;
  NoteBytes(reader, ref->on, scope, out);
  NoteBytes(reader, ref->left, scope, out);
  NoteBytes(reader, ref->right, scope, out);
}

std::string SelectOf(const RowImage::Kind kind, const std::string& column) {
  // As bytes, whatever character_set_results is; of a text those of its own character set, which need not come back from another.
  return kind == RowImage::Kind::kNumber ? fmt::format("CAST({} AS BINARY)", column) : fmt::format("CAST(HEX({}) AS BINARY)", column);
}

// An UPDATE reads the other tables as they are now. A SELECT does so where it locks what it reads. Empty: it cannot be said.
bool LockQueries(const Update& update, Editor* editor) {
  bool sure = true;
  const auto lock = [&](const Query& query) {
    const bool plain = query.selects.size() == 1 && !query.recursive && query.selects[0]->nested == nullptr && !query.selects[0]->values_constructor && !query.into;
    sure = sure && plain;
    if (plain && !query.locking && !query.selects[0]->locking && !query.selects[0]->from.empty()) editor->After(query.span.end - 1, " LOCK IN SHARE MODE");
  };
  for (const Cte& cte : update.with)
    if (cte.query != nullptr) VisitQueries(*cte.query, lock);
  for (const TableRef* ref : update.tables) VisitQueries(ref, lock);
  VisitQueries(update.where, lock);
  for (const OrderItem& item : update.order_by) VisitQueries(item.expr, lock);
  return sure;
}

// What is changed is locked to be changed, what is read to be read: for that, MySQL asks for no more than the right to read.
std::string LockingOf(const Context& context, const Scope& scope, const std::vector<const Source*>& changed, bool others) {
  if (context.dialect.flavor != Flavor::kMySql || context.dialect.version < 80001 || others || changed.empty()) return " FOR UPDATE";
  std::string update, share;
  for (const Source& source : scope.sources) {
    if (source.derived) continue;
    const auto same = [&](const Source& other) { return &other != &source && NameEq(other.alias, source.alias); };
    if (std::any_of(scope.sources.begin(), scope.sources.end(), same)) return " FOR UPDATE";
    std::string& names = std::find(changed.begin(), changed.end(), &source) != changed.end() ? update : share;
    names += (names.empty() ? "" : ", ") + QuoteName(source.alias);
  }
  return (update.empty() ? "" : " FOR UPDATE OF " + update) + (share.empty() ? "" : " FOR SHARE OF " + share);
}

std::string RepairOf(const Source& source, const std::vector<ImageNeed>& needs) {
  std::string joins, set;
  for (const ImageNeed& need : needs) {
    if (need.source != &source) continue;
    joins += need.join;
    set += fmt::format("{}{}.{} = {}", set.empty() ? "" : ", ", kImageRow, QuoteName(need.column), need.value);
  }
  // ON UPDATE CURRENT_TIMESTAMP is the business of the client's statement.
  for (const Column& column : source.table->table->columns)
    if (column.stamped) set += fmt::format(", {0}.{1} = {0}.{1}", kImageRow, QuoteName(column.name));
  return fmt::format("UPDATE {}.{} AS {}{} SET {}", QuoteName(source.table->schema), QuoteName(source.table->name), kImageRow, joins, set);
}

// Without a full binary log MySQL does not compare what it sets where it does not read it: a row that stays as it is would be written, and
// be seen in the transaction's snapshot from then on.
std::string ReadsOf(const Source& source, const std::vector<ImageNeed>& needs) {
  std::string out;
  for (const ImageNeed& need : needs)
    if (need.source == &source) out += fmt::format(" AND ISNULL({}.{}) < 2", kImageRow, QuoteName(need.column));
  return out;
}

// Fails where a row must not stay so. Locking, since MySQL's snapshot may be older than what it has changed.
std::string CheckOf(const Source& source, const std::vector<ImageNeed>& needs) {
  std::string items;
  for (const ImageNeed& need : needs)
    if (need.source == &source && !need.check.empty()) items += (items.empty() ? "" : ", ") + fmt::format("COUNT({})", need.check);
  return items.empty() ? "" : fmt::format("SELECT {} FROM {}.{} AS {}", items, QuoteName(source.table->schema), QuoteName(source.table->name), kImageRow);
}

}  // namespace

void NeedReference(Context& context, const Source& source, const KeyColumn& column, std::string why, std::string advice, std::vector<ImageNeed>* needs) {
  const Key& key = *column.key;
  if (needs == nullptr) return context.Refuse(key, why, advice);
  ImageNeed need{&source, column.new_name, {}, {}, key.spec_migration, std::move(why), std::move(advice), {}};
  const std::string old_side = fmt::format("{}.{}", kImageRow, QuoteName(column.old_name));
  if (RefersToItself(*source.table, column)) {
    // MySQL reads the table that it changes by a join alone.
    const std::string parent = fmt::format("`crossfade_parent_{}`", needs->size());
    need.join = fmt::format(" LEFT JOIN {} AS {} ON {}.{} = {}", Context::OwnTable(key), parent, parent, QuoteName(key.spec->old_column), old_side);
    need.value = fmt::format("{}.{}", parent, QuoteName(key.spec->new_column));
    const Column* stored = source.table->table != nullptr ? source.table->table->FindColumn(column.new_name) : nullptr;
    if (stored != nullptr && !stored->nullable) need.value = fmt::format("COALESCE({}, {})", need.value, key.nothing);
  } else {
    const auto targets = std::exchange(context.targets, {});  // the repair is a statement of its own
    need.value = context.LookupToStore(*source.table, column, old_side);
    context.targets = targets;
  }
  context.Note("writes both sides of the reference");
  needs->push_back(std::move(need));
}

void PlanRowImage(Context& context, Reader& reader, const Statement& statement, const Scope& scope, const std::vector<ImageNeed>& needs) {
  const Update& update = *statement.update;
  const auto refuse = [&](std::string_view cause) { context.Refuse(*needs[0].migration, fmt::format("{}{}", needs[0].why, cause), needs[0].advice); };
  if (context.explained) return;  // the plan of step 2 is that of the client's statement, or one by the key
  if (context.wrapped || !context.alone) return refuse(", inside of another statement or among others");
  // Behind a semicolon a comment is a statement of its own, with a reply.
  if (context.Word(statement.span.end) == ";") {
    const size_t behind = context.tokens.tokens[statement.span.end].end;
    if (context.tokens.source.find_first_not_of(" \t\r\n;", behind) != std::string_view::npos) return refuse(", with a text behind its semicolon");
  }
  const Parts parts = PartsOf(context, statement);
  for (const Span& span : {Span{statement.span.begin, parts.tables.end}, parts.tail}) {
    const std::string function = NotTheSameTwice(context, span);
    if (!function.empty()) return refuse(fmt::format(", where {}() need not find the same rows twice", function));
  }
  for (uint32_t i = statement.span.begin; i < statement.span.end; ++i) {
    if (context.Word(i) == ":=") return refuse(", with a user variable that is assigned");
    if (const std::string variable = ToldOfTransaction(context, i); !variable.empty()) return refuse(fmt::format(", with @@{}, which these change", variable));
  }

  auto image = std::make_shared<RowImage>();
  std::vector<const Source*> changed;
  bool unsure = false, outer = false;
  for (const TableRef* ref : update.tables) {
    unsure = unsure || HasOther(ref);
    outer = outer || HasOuterJoin(ref);
  }
  for (const Assignment& assignment : update.set) {
    const Bound bound = reader.Resolve(*assignment.column, scope);
    unsure = unsure || bound.source == nullptr;
    if (bound.source != nullptr) changed.push_back(bound.source);
    if (assignment.value != nullptr && assignment.value->kind == ExprKind::kParam && IsBytes(reader, *assignment.column, scope)) image->bytes.push_back(assignment.value->param_index);
    NoteBytes(reader, assignment.value, scope, &image->bytes);
  }
  for (const TableRef* ref : update.tables) NoteBytes(reader, ref, scope, &image->bytes);
  NoteBytes(reader, update.where, scope, &image->bytes);
  std::string items;
  for (const Source& source : scope.sources) {
    if (std::none_of(needs.begin(), needs.end(), [&](const ImageNeed& need) { return need.source == &source; })) continue;
    RowImage::Target target;
    target.alias = QuoteName(source.alias);
    target.outer = outer;
    if (!KeyOf(source, update.set, &target)) return refuse(fmt::format(", and the rows of {} have no unique key of numbers, strings or bytes that stays as it is", source.table->name));
    target.repair = RepairOf(source, needs);
    if (context.dialect.flavor == Flavor::kMySql) target.reads = ReadsOf(source, needs);
    target.repair_alias = kImageRow;
    target.check = CheckOf(source, needs);
    for (size_t i = 0; i < target.key.size(); ++i) items += (items.empty() ? "" : ", ") + SelectOf(target.kinds[i], target.alias + "." + target.key[i]);
    image->targets.push_back(std::move(target));
  }
  Editor locking = context.editor;
  if (!LockQueries(update, &locking)) return refuse(", with a UNION, a recursive query or the like in it");
  if (!update.with.empty()) image->select = locking.Emit({statement.span.begin, update.with.back().span.end}) + " ";
  // The limit of a SELECT's time is none of an UPDATE's.
  const bool hints = context.dialect.flavor == Flavor::kMySql && context.dialect.version >= 50708;
  image->select += fmt::format("SELECT {}{} FROM {}", hints ? "/*+ MAX_EXECUTION_TIME(4294967295) */ " : "", items, locking.Emit(parts.tables));
  if (!parts.tail.empty()) image->select += " " + locking.Emit(parts.tail);
  image->limited = update.limit != nullptr;
  image->locking = LockingOf(context, scope, changed, unsure);

  std::string rows;
  for (size_t i = 0; i < image->targets.size(); ++i) rows += fmt::format("{}\x05{}\x02", i == 0 ? "" : " AND ", i);
  if (update.where != nullptr) {
    context.editor.Before(update.where->span.begin, "(");
    context.editor.After(update.where->span.end - 1, ") AND " + rows);
  } else {
    context.editor.After(update.set.back().span.end - 1, " WHERE " + rows);
  }
  context.plan->image = std::move(image);
  context.Note("the new side is made of the stored rows");
}

}  // namespace crossfade::rewrite
