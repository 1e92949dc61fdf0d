// SPDX-License-Identifier: Apache-2.0
// From text to plan: cache, parse, rules; and once more for the migrations that only observe, for what would be.
#include "rewrite/planner.h"

#include <atomic>
#include <cstdlib>
#include <utility>

#include "fmt/format.h"
#include "rewrite/ahead.h"
#include "rewrite/cache.h"
#include "rewrite/context.h"
#include "rewrite/dynamic.h"
#include "rewrite/lexer.h"
#include "rewrite/names.h"
#include "rewrite/parser.h"
#include "rewrite/reader.h"
#include "rewrite/rules.h"
#include "rewrite/touch.h"
#include "rewrite/world.h"

namespace crossfade::rewrite {
namespace {

constexpr size_t kMaxCachedTokens = 4096;
constexpr size_t kMaxKeptTokens = 1 << 16;  // memory for more is given back

// Does the text, which could not be understood, seem to name this table?
bool Mentions(std::string_view sql, const MigratingTable& table) {
  return TouchSet({table.name}, HasHighByte(table.name)).Matches(sql);
}

bool HasWord(std::string_view sql, std::string_view word) { return TouchSet({std::string(word)}, false).Matches(sql); }

// A text that is not understood: refused if it may touch an active migration.
void NotUnderstood(const World& world, std::string_view sql, std::string_view why, Plan* plan) {
  const config::Migration* migration = nullptr;
  for (const MigratingTable& table : world.tables()) {
    const bool dynamic = table.active && (HasWord(sql, "prepare") || HasWord(sql, "immediate"));
    if (!dynamic && !Mentions(sql, table)) continue;
    plan->touched |= table.migrations;
    plan->writes = true;
    if (table.active && migration == nullptr) migration = table.migration;
  }
  if (migration == nullptr) return;
  plan->strategy = Strategy::kRefuse;
  plan->reason = fmt::format("{}: the statement is {}; write it in plain INSERT, UPDATE, DELETE or SELECT", migration->name, why);
}

// In a text of several statements, what one sets decides how the next one is read and what it means.
bool ChangesFacts(const TokenList& tokens, const Statement& statement) {
  if (statement.kind == StatementKind::kUse || statement.kind == StatementKind::kCall) return true;
  if (statement.kind != StatementKind::kSet) return false;
  int depth = 0;
  for (uint32_t i = statement.span.begin; i < statement.span.end; ++i) {
    const std::string_view text = tokens.Text(i);
    if (text == "(") ++depth;
    if (text == ")") --depth;
    const bool target_follows = i == statement.span.begin || (depth == 0 && text == ",");
    if (target_follows && (i + 1 >= statement.span.end || tokens.tokens[i + 1].kind != TokenKind::kUserVar)) return true;
  }
  return false;
}

// A table name outside ASCII has other bytes in other character sets.
bool NamesUnreadable(const World& world, const SessionFacts& facts, std::string_view sql) {
  if (facts.charset.starts_with("utf8") || facts.charset == "ascii" || !HasHighByte(sql)) return false;
  for (const MigratingTable& table : world.tables()) {
    if (HasHighByte(table.schema) || HasHighByte(table.name)) return true;
    for (const KeyColumn& key : table.keys)
      if (HasHighByte(key.old_name) || HasHighByte(key.new_name)) return true;
    for (const ColumnSet* set : table.sets) {
      for (const std::string& name : set->spec->old_columns)
        if (HasHighByte(name)) return true;
      for (const config::NewColumn& column : set->spec->new_columns)
        if (HasHighByte(column.name)) return true;
    }
  }
  return false;
}

// Names that a rewritten text would quote anew, and that would then be read as others: in GBK, say, `…` round one that ends with
// a byte that is a backtick.
bool NamesUnquotable(const TokenList& tokens, const SessionFacts& facts, const Dialect& dialect) {
  if (facts.charset.starts_with("utf8") || facts.charset == "ascii" || !HasHighByte(tokens.source)) return false;
  for (uint32_t i = 0; i + 1 < tokens.tokens.size(); ++i) {
    const TokenKind kind = tokens.tokens[i].kind;
    if (kind != TokenKind::kQuotedName && kind != TokenKind::kWord) continue;
    if (const std::string name = TokenValue(tokens, i, facts); HasHighByte(name) && !CanQuote(name, facts, dialect)) return true;
  }
  return false;
}

struct Request {
  const Snapshot& snapshot;
  const SessionFacts& facts;
  const TokenList& tokens;
  const std::vector<ValueShape>* shapes;
  uint32_t parse_depth;
  bool letters;  // see Plan::by_letters
};

// Whether a subquery that was added to a row of an INSERT or REPLACE, or to an UPDATE of several tables, asks for one of the client's parameters.
bool LooksUpParams(const TokenList& tokens, const std::vector<Statement*>& statements, const Plan& plan) {
  bool rows = false;
  for (const Statement* statement : statements) {
    while (statement->inner != nullptr) statement = statement->inner;
    rows = rows || (statement->kind == StatementKind::kInsert && statement->insert->query == nullptr);
    // Of an UPDATE of several tables nobody has shown that its lookups are made anew for each row.
    rows = rows || (statement->kind == StatementKind::kUpdate && (statement->update->tables.size() != 1 || statement->update->tables[0]->kind != TableRef::kTable));
  }
  for (const Plan::Edit& edit : plan.edits) {
    if (!rows || edit.text.find("(SELECT ") == std::string::npos) continue;
    for (size_t at = edit.text.find('\x01'); at != std::string::npos; at = edit.text.find('\x01', at + 1)) {
      if (tokens.tokens[std::strtoul(edit.text.c_str() + at + 1, nullptr, 10)].kind == TokenKind::kParam) return true;
    }
  }
  return false;
}

bool PlanIn(const Request& request, const World& world, ParseResult* parsed, const absl::Status& parse_status, Plan* plan);

// The rewritten text of an EXECUTE IMMEDIATE in place of its literal, its values in the order in which that needs them.
void ImmediateEdits(const Plan& inner, const DynamicSql& dynamic, const Request& request, const Statement& statement, Context* context) {
  const auto refuse = [&](std::string_view why) {
    for (const MigratingTable& table : context->world.tables())
      if (table.active && (inner.touched & table.migrations).any()) return context->Refuse(*table.migration, why, "send the statement as it is");
  };
  if (dynamic.kind != DynamicSql::kImmediate || dynamic.values.size() != inner.client_params) return refuse("an EXECUTE IMMEDIATE is not understood");
  for (uint32_t param : inner.shape_params)
    if (dynamic.shapes[param] == ValueShape::kUnknown) return refuse("the kind of a value behind USING is not known");
  const absl::StatusOr<std::string> text = Render(inner, request.facts, request.snapshot.catalog.dialect, statement.text, {});
  const std::string quoted = text.ok() ? QuoteText(*text, request.facts) : "";
  if (quoted.empty() || quoted.find_first_of(std::string_view("\x01\x02\x03", 3)) != std::string::npos) return refuse("an EXECUTE IMMEDIATE cannot be written anew");
  std::string out = quoted;
  std::vector<bool> used(dynamic.values.size(), false);
  for (size_t i = 0; i < inner.params.size(); ++i) {
    out += i == 0 ? " USING " : ", ";
    const ParamSource& source = inner.params[i];
    if (source.kind == ParamSource::kNewKey) {
      context->plan->key_slots.push_back(inner.key_slots[source.index]);
      out += SlotMark(static_cast<uint32_t>(context->plan->key_slots.size() - 1));
      continue;
    }
    if (used[source.index] && !dynamic.repeatable[source.index]) return refuse("a value behind USING would be computed twice");
    used[source.index] = true;
    out += dynamic.values[source.index];
  }
  context->editor.Replace({statement.span.begin + 2, statement.span.end}, out);
  context->Note(inner.reason);
}

// PREPARE or EXECUTE IMMEDIATE of a literal: its text is planned as the prepared statement that it becomes. What a PREPARE
// makes of it is decided at each EXECUTE (proxy/session_dynamic.cc). False: the rule for texts that are not seen applies.
bool PlanLiteral(const Request& request, const World& world, const Statement& statement, bool only, Context* context) {
  const bool immediate = statement.kind == StatementKind::kExecuteImmediate;
  if ((!immediate && statement.kind != StatementKind::kPrepare) || !statement.literal_text || !only || request.shapes != nullptr) return false;
  context->cacheable = false;
  const DynamicSql dynamic = ParseDynamic(request.tokens.source, request.facts, request.snapshot.catalog.dialect, request.snapshot.integers_go);
  Plan inner;
  inner.prepared = true;
  TokenList tokens;
  const absl::Status lexed = Lex(statement.text, request.facts, request.snapshot.catalog.dialect, &tokens);
  if (!lexed.ok()) {
    NotUnderstood(world, statement.text, std::string(lexed.message()), &inner);
  } else {
    Arena arena;
    absl::StatusOr<ParseResult> parsed = Parse(tokens, request.facts, request.snapshot.catalog.dialect, request.parse_depth, &arena);
    const std::vector<ValueShape> unknown, *shapes = immediate ? &dynamic.shapes : &unknown;
    PlanIn({request.snapshot, request.facts, tokens, shapes, request.parse_depth, true}, world, parsed.ok() ? &*parsed : nullptr, parsed.status(), &inner);
    if (parsed.ok()) inner.client_params = parsed->params;
  }
  context->plan->touched |= inner.touched;
  if (immediate) context->plan->writes = context->plan->writes || inner.writes;
  context->plan->exposed = immediate && inner.Exposed();  // its literal has the text that is not guarded
  for (const MigratingTable& table : world.tables()) context->active = context->active || (table.active && (inner.touched & table.migrations).any());
  if (inner.strategy == Strategy::kRefuse) {
    if (!immediate && !inner.shape_params.empty()) return true;  // the values decide
    context->refused = true;
    context->plan->reason = inner.reason;
  } else if (inner.strategy == Strategy::kRowImage) {
    if (immediate) context->Refuse(request.snapshot.migrations[First(inner.touched)].spec, "EXECUTE IMMEDIATE of an UPDATE that takes several steps", "send the statement as it is");
    else context->Note("the text is rewritten when it is executed");
  } else if (inner.strategy == Strategy::kOneStatement) {
    if (immediate) ImmediateEdits(inner, dynamic, request, statement, context);
    else context->Note("the text is rewritten when it is executed");
  } else if (immediate) {
    for (ReplyEdit& edit : inner.replies)
      if (edit.kind != ReplyEdit::kDefinitions && edit.kind != ReplyEdit::kDefinitionsByRun) context->plan->replies.push_back(edit);
  }
  return true;
}

// Plans the text in `world`. Returns whether the plan may be cached.
bool PlanIn(const Request& request, const World& world, ParseResult* parsed, const absl::Status& parse_status, Plan* plan) {
  const std::string_view sql = request.tokens.source;
  if (!parse_status.ok()) {
    NotUnderstood(world, sql, std::string(parse_status.message()), plan);
    return false;  // the table may have been named in a comment or a literal, which another text of the same shape has not
  }
  if (NamesUnreadable(world, request.facts, sql)) {
    NotUnderstood(world, sql, fmt::format("in {}, in which names are not compared", request.facts.charset), plan);
    if (plan->strategy == Strategy::kRefuse) return true;
  }
  Context context(request.tokens, request.facts, request.snapshot.catalog.dialect, world, plan);
  context.prepared = request.shapes != nullptr;
  context.shapes = request.shapes;
  context.letters = request.letters;
  for (uint32_t i = 0; i + 1 < request.tokens.tokens.size(); ++i)
    if (NameEq(request.tokens.Text(i), "cf") || NameEq(request.tokens.Text(i), "`cf`")) context.alias = "crossfade_cf";
  Reader reader(context);
  bool facts_unsure = false;
  plan->several = parsed->statements.size() > 1;
  for (uint32_t i = 0; i < request.tokens.tokens.size() && !context.assigns; ++i) context.assigns = request.tokens.Text(i) == ":=";
  for (Statement*& statement : parsed->statements) {
    const bool touched_before = context.active;
    context.active = false;
    context.targets.clear();
    context.updates = false;
    if (request.snapshot.hidden != nullptr && !world.lifted()) {
      HideNewSide(context, *statement, static_cast<uint32_t>(&statement - parsed->statements.data()), parsed->statements.size() == 1, *request.snapshot.hidden);
    }
    const bool only = parsed->statements.size() == 1;
    context.alone = only;
    context.wrapped = context.explained = false;
    if (!world.AnyDual() || !PlanLiteral(request, world, *statement, only, &context)) ApplyRules(context, reader, *statement);
    if (facts_unsure && context.active)
      for (const MigratingTable& table : world.tables())
        if (table.active && (plan->touched & table.migrations).any())
          context.Refuse(*table.migration, "a statement before it in the same text changes the session", "send them one by one");
    context.active = context.active || touched_before;
    facts_unsure = facts_unsure || ChangesFacts(request.tokens, *statement);
  }
  if (!context.refused && !context.editor.Finish(plan)) {
    for (const MigratingTable& table : world.tables())
      if (table.active) context.Refuse(*table.migration, "a version comment stands across what has to be rewritten", "write it without /*! … */");
  }
  if (!context.refused && !plan->edits.empty() && NamesUnquotable(request.tokens, request.facts, request.snapshot.catalog.dialect)) {
    for (const MigratingTable& table : world.tables())
      if (table.active || table.expanding) context.Refuse(*table.migration, "a name has a character that cannot be quoted", "use a character set like utf8mb4");
  }
  if (context.refused) {
    plan->strategy = Strategy::kRefuse;
    plan->edits.clear();
    plan->replies.clear();
    plan->params.clear();
    plan->key_slots.clear();
    plan->image.reset();
  } else if (plan->image != nullptr) {
    plan->strategy = Strategy::kRowImage;
    plan->reason = context.why;
  } else if (!plan->edits.empty()) {
    plan->strategy = Strategy::kOneStatement;
    plan->reason = context.why;
    plan->looks_up_params = LooksUpParams(request.tokens, parsed->statements, *plan);
  } else {
    plan->params.clear();
    plan->reason = !context.why.empty() ? context.why : plan->touched.none() ? "names no migrating table" : "the text is right as it is";
  }
  return context.cacheable;
}

}  // namespace

struct Planner::Impl {
  Impl(uint32_t entries, uint32_t depth) : cache(entries), parse_depth(depth) {}
  PlanCache cache;
  uint32_t parse_depth;
  std::atomic<uint64_t> hits{0}, misses{0}, entries{0};  // one thread writes
  std::string key;  // reused
  TokenList tokens;  // of the text that was planned last, under these facts
  uint32_t lexed_mode = 0;
  std::string lexed_charset;

  bool Holds(const SessionFacts& facts, std::string_view sql) const {
    return !sql.empty() && tokens.source.data() == sql.data() && tokens.source.size() == sql.size() && lexed_mode == facts.sql_mode && lexed_charset == facts.charset;
  }

  static void Add(std::atomic<uint64_t>* count) { count->store(count->load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }
  std::shared_ptr<const Plan> PlanText(const Snapshot& snapshot, const SessionFacts& given, std::string_view sql,
                                       const std::vector<ValueShape>* shapes, bool letters);
  std::shared_ptr<const Plan> PlanByLetters(const Snapshot& snapshot, const SessionFacts& facts, std::string_view sql,
                                            const std::vector<ValueShape>* shapes);
};

// Texts stand in many parameters and literals whose letters no plan asks for: these are told apart only where one did, and of
// the parameters only those whose kind it asked for.
std::shared_ptr<const Plan> Planner::Impl::PlanByLetters(const Snapshot& snapshot, const SessionFacts& facts, std::string_view sql,
                                                         const std::vector<ValueShape>* shapes) {
  std::vector<ValueShape> plain;
  const bool wide = shapes != nullptr && std::find(shapes->begin(), shapes->end(), ValueShape::kWide) != shapes->end();
  if (wide) {
    plain = *shapes;
    std::replace(plain.begin(), plain.end(), ValueShape::kWide, ValueShape::kString);
  }
  std::shared_ptr<const Plan> plan = PlanText(snapshot, facts, sql, wide ? &plain : shapes, false);
  if (!plan->by_letters || (!wide && !HasHighByte(sql))) return plan;
  for (const uint32_t param : plan->shape_params)
    if (wide && param < plain.size()) plain[param] = (*shapes)[param];
  return PlanText(snapshot, facts, sql, wide ? &plain : shapes, true);
}

std::shared_ptr<const Plan> Planner::Impl::PlanText(const Snapshot& snapshot, const SessionFacts& given, std::string_view sql,
                                                    const std::vector<ValueShape>* shapes, bool letters) {
  SessionFacts changed;
  const SessionFacts* facts = &given;
  // A hint that the lexer takes for a comment: /*+ SET_VAR(foreign_key_checks = OFF) */.
  if (given.foreign_key_checks && sql.find("/*+") != std::string_view::npos && HasWord(sql, "foreign_key_checks")) {
    changed = given;
    changed.foreign_key_checks = false;
    facts = &changed;
  }
  if (tokens.tokens.capacity() > kMaxKeptTokens) std::vector<Token>().swap(tokens.tokens);
  const absl::Status lexed = Lex(sql, *facts, snapshot.catalog.dialect, &tokens);
  lexed_mode = facts->sql_mode;
  lexed_charset = facts->charset;
  if (!lexed.ok()) {
    tokens.source = {};
    auto plan = std::make_shared<Plan>();
    plan->prepared = shapes != nullptr;
    NotUnderstood(World(snapshot, *facts, false), sql, std::string(lexed.message()), plan.get());
    Plan would;
    NotUnderstood(World(snapshot, *facts, true), sql, std::string(lexed.message()), &would);
    plan->would_be = would.strategy;
    plan->would_be_reason = would.reason;
    plan->digest = "(not lexed)";
    Add(&misses);
    return plan;
  }
  const bool may_cache = tokens.tokens.size() <= kMaxCachedTokens;
  if (may_cache) {
    CacheKey(snapshot, *facts, tokens, shapes, letters, &key);
    if (std::shared_ptr<const Plan> found = cache.Find(key)) {
      Add(&hits);
      return found;
    }
  }
  Add(&misses);
  auto plan = std::make_shared<Plan>();
  plan->prepared = shapes != nullptr;
  const World world(snapshot, *facts, false);
  Arena arena;
  absl::StatusOr<ParseResult> parsed = Parse(tokens, *facts, snapshot.catalog.dialect, parse_depth, &arena);
  ParseResult* result = parsed.ok() ? &*parsed : nullptr;
  const Request request{snapshot, *facts, tokens, shapes, parse_depth, letters};
  bool cacheable = PlanIn(request, world, result, parsed.status(), plan.get());
  if (result != nullptr) plan->client_params = result->params;
  plan->would_be = plan->strategy;
  plan->would_be_reason = plan->reason;
  if (world.AnyQuiet()) {
    Plan would;
    would.prepared = plan->prepared;
    const World lifted(snapshot, *facts, true);
    cacheable = PlanIn(request, lifted, result, parsed.status(), &would) && cacheable;
    plan->would_be = would.strategy;
    plan->would_be_reason = would.reason;
    plan->writes = plan->writes || would.writes;
    plan->touched |= would.touched;
  }
  plan->digest = Digest(tokens);
  if (cacheable && may_cache) {
    cache.Put(key, plan);
    entries.store(cache.size(), std::memory_order_relaxed);
  }
  return plan;
}

Planner::Planner(uint32_t cache_entries, uint32_t parse_depth) : impl_(std::make_unique<Impl>(cache_entries, parse_depth)) {}
Planner::~Planner() = default;

std::shared_ptr<const Plan> Planner::PlanQuery(const Snapshot& snapshot, const SessionFacts& facts, std::string_view sql) {
  return impl_->PlanByLetters(snapshot, facts, sql, nullptr);
}

std::shared_ptr<const Plan> Planner::PlanPrepared(const Snapshot& snapshot, const SessionFacts& facts, std::string_view sql,
                                                  const std::vector<ValueShape>& shapes) {
  return impl_->PlanByLetters(snapshot, facts, sql, &shapes);
}

// Whoever holds a text while others are planned has it where none of theirs can be.
absl::Status Planner::RenderTo(const Plan& plan, const SessionFacts& facts, const Dialect& dialect, std::string_view sql,
                               const std::vector<uint64_t>& keys, Form form, std::string* out, const std::vector<std::string>* ahead) {
  if (impl_->Holds(facts, sql)) return RenderTokens(plan, impl_->tokens, keys, form, out, ahead);
  if (plan.strategy != Strategy::kOneStatement) {
    *out += sql;
    return absl::OkStatus();
  }
  TokenList tokens;
  const absl::Status status = LexAgain(facts, dialect, sql, &tokens);
  return status.ok() ? RenderTokens(plan, tokens, keys, form, out, ahead) : status;
}

absl::StatusOr<Ahead> Planner::LookAhead(const Plan& plan, const SessionFacts& facts, const Dialect& dialect, std::string_view sql, const std::vector<AheadParameter>& parameters) {
  if (impl_->Holds(facts, sql)) return Ahead(plan, impl_->tokens, parameters);
  TokenList tokens;
  const absl::Status status = LexAgain(facts, dialect, sql, &tokens);
  if (!status.ok()) return status;
  return Ahead(plan, tokens, parameters);
}

uint64_t Planner::hits() const { return impl_->hits.load(std::memory_order_relaxed); }
uint64_t Planner::misses() const { return impl_->misses.load(std::memory_order_relaxed); }
uint64_t Planner::entries() const { return impl_->entries.load(std::memory_order_relaxed); }

}  // namespace crossfade::rewrite
