// SPDX-License-Identifier: Apache-2.0
// PREPARE, EXECUTE and DEALLOCATE as SQL. The backend prepares the client's own text under the client's name; what an
// EXECUTE runs is planned then, by the snapshot, the cohort and the kinds of the values, and where it has to be another
// text, that is prepared unseen under a name of our own. So a statement prepared before a phase began is right after it.
#include "fmt/format.h"
#include "protocol/codec.h"
#include "proxy/prepared_statement.h"
#include "proxy/session.h"
#include "proxy/sql_words.h"
#include "rewrite/dynamic.h"
#include "rewrite/names.h"

namespace crossfade::proxy {
using protocol::Command;
using protocol::ReplyTracker;

namespace {

constexpr size_t kLongestText = 500'000;  // of a user variable's text
constexpr size_t kMostVariants = 8;       // of one statement

bool SomethingWrites(const rewrite::Snapshot& snapshot) {
  for (const rewrite::MigrationState& state : snapshot.migrations) {
    if (state.phase >= config::Phase::kDualWrite && !state.Finished()) return true;
  }
  return false;
}

rewrite::ValueShape ShapeOfDefinition(const std::string& definition) {
  const auto type = static_cast<uint8_t>(definition[definition.size() - 6]);
  if ((type >= 1 && type <= 3) || type == 8 || type == 9) return rewrite::ValueShape::kInteger;
  if (type == 15 || (type >= 249 && type <= 254)) return rewrite::ValueShape::kString;
  return rewrite::ValueShape::kOther;
}

}  // namespace

std::string Session::QueryCommand(std::string_view sql) const {
  std::string payload(1, static_cast<char>(Command::kQuery));
  if ((capabilities_ & protocol::kClientQueryAttributes) != 0) payload += std::string_view("\x00\x01", 2);
  payload += sql;
  return payload;
}

// Runs a statement without a result, unseen. `*done`: without an error.
awaitable<bool> Session::HiddenStatement(std::string_view sql, bool* done, uint16_t* status) {
  const std::string command = QueryCommand(sql);
  ReplyTracker tracker;
  std::string reply;
  const bool alive = co_await HiddenCommand(command, &tracker, &reply);
  *done = alive && !tracker.is_error();
  if (status != nullptr) *status = tracker.status();
  co_return alive;
}

// One that is over only where the status flags say so: MariaDB answers a statement that KILL QUERY meets as it begins with an OK, and does nothing.
awaitable<bool> Session::HiddenUntil(const char* sql, uint16_t flag, bool set, bool* done) {
  for (int i = 0; i < 5; ++i) {
    uint16_t status = 0;
    const std::string text = sql;
    const bool alive = co_await HiddenStatement(text, done, &status);
    if (!alive) co_return false;
    if (*done && ((status & flag) != 0) == set) co_return true;
  }
  *done = false;
  co_return true;
}

// What runs under this name is not needed any more.
awaitable<bool> Session::DropVariants(SqlPrepared* prepared) {
  for (const SqlPrepared::Variant& variant : prepared->variants) {
    const std::string sql = "DEALLOCATE PREPARE " + variant.name;
    bool done = false;
    const bool alive = co_await HiddenStatement(sql, &done);
    if (!alive) co_return false;
  }
  prepared->variants.clear();
  co_return true;
}

// A statement that prepares, executes or forgets. kAgain: it goes on as any other, and `*resolved` is the text to plan in its
// place, if there is one (that of a user variable written out).
awaitable<Session::Action> Session::DynamicStatement(std::string_view payload, size_t offset, std::string* resolved) {
  const std::string_view sql = payload.substr(offset);
  rewrite::DynamicSql dynamic = rewrite::ParseDynamic(sql, *facts_, pinned_->snapshot->catalog.dialect, pinned_->snapshot->integers_go);
  const auto known = sql_prepared_.find(dynamic.name);
  switch (dynamic.kind) {
    case rewrite::DynamicSql::kNone: co_return kAgain;
    case rewrite::DynamicSql::kAmong:
      for (const std::string& name : dynamic.executed) {
        const auto text = sql_prepared_.find(name);
        if (text == sql_prepared_.end() || !SomethingWrites(*pinned_->snapshot)) continue;
        if (!text->second->known || rewrite::MightTouch(*pinned_->snapshot, text->second->text))
          co_return co_await Refuse("EXECUTE among other statements runs a text that may name a migrating table; send it alone");
      }
      for (const std::string& name : dynamic.names) sql_prepared_[name] = std::make_unique<SqlPrepared>();
      co_return kAgain;
    case rewrite::DynamicSql::kExecute: {
      if (known == sql_prepared_.end()) co_return kAgain;
      co_return co_await ExecuteSql(payload, offset, dynamic, known->second.get());
    }
    case rewrite::DynamicSql::kDeallocate: {
      if (known == sql_prepared_.end()) co_return kAgain;
      const bool alive = co_await DropVariants(known->second.get());
      sql_prepared_.erase(known);
      co_return alive ? kAgain : kEnd;
    }
    case rewrite::DynamicSql::kPrepare:
    case rewrite::DynamicSql::kImmediate: break;
  }
  bool text_known = dynamic.literal;
  if (!dynamic.variable.empty()) {
    std::vector<std::string> row;
    bool ok = false;
    const std::string ask = fmt::format("SELECT LENGTH({0}) <= {1}, LEFT(CAST(CONVERT({0} USING utf8mb4) AS BINARY), {1}) LIMIT 1", dynamic.variable, kLongestText);
    const bool alive = co_await HiddenQuery(ask, &row, &ok);
    if (!alive) co_return kEnd;
    if (ok && row.size() == 2 && row[0].empty()) co_return kRelay;  // NULL: the server says so
    if (ok && row.size() == 2 && row[0] == "1" && facts_->charset.starts_with("utf8")) {
      dynamic.text = row[1];
      text_known = true;
      *resolved = std::string(sql.substr(0, dynamic.source_begin)) + rewrite::QuoteText(row[1], *facts_) + std::string(sql.substr(dynamic.source_end));
    }
  }
  if (dynamic.kind == rewrite::DynamicSql::kImmediate) co_return kAgain;
  if (known != sql_prepared_.end()) {
    const bool alive = co_await DropVariants(known->second.get());
    if (!alive) co_return kEnd;
  }
  preparing_ = std::make_unique<SqlPrepared>();
  preparing_->known = text_known;
  preparing_->text = dynamic.text;
  preparing_->facts = *facts_;
  preparing_name_ = dynamic.name;
  co_return kAgain;
}

// A PREPARE that is refused: as behind any that fails, there is no statement of that name any more.
awaitable<bool> Session::ForgetPrepared() {
  const std::string forget = "DEALLOCATE PREPARE " + rewrite::QuoteName(preparing_name_);
  bool done = false;
  const bool alive = co_await HiddenStatement(forget, &done);
  sql_prepared_.erase(preparing_name_);
  co_return alive;
}

// The reply to a PREPARE has gone out, or it was refused here.
void Session::KeepPreparing() {
  if (tracker_.state() == ReplyTracker::State::kDone) {
    if (tracker_.is_error()) sql_prepared_.erase(preparing_name_);  // the server has forgotten the one before as well
    else sql_prepared_[preparing_name_] = std::move(preparing_);
  }
  preparing_.reset();
}

// The kinds of the values behind USING; of variables as the server says them.
awaitable<bool> Session::ShapesOf(const rewrite::DynamicSql& dynamic, std::vector<rewrite::ValueShape>* shapes) {
  *shapes = dynamic.shapes;
  std::string values, nulls;
  std::vector<size_t> asked;
  for (size_t i = 0; i < dynamic.values.size(); ++i) {
    if (dynamic.shapes[i] != rewrite::ValueShape::kUnknown || !dynamic.repeatable[i]) continue;
    values += fmt::format("{}{}", asked.empty() ? "" : ", ", dynamic.values[i]);
    // As ReadsAsInteger and ReadsAsNumber tell it of other values.
    constexpr std::string_view kBlanks = "[ \t\r\n\v\f]*";
    nulls += !pinned_->snapshot->integers_go ? fmt::format("{}{} IS NULL", asked.empty() ? "" : ", ", dynamic.values[i])
                                             : fmt::format("{0}IF({1} IS NULL, 1, IF(CONVERT({1} USING utf8mb4) REGEXP '^{2}[-+]?[0-9]+{2}$', 2, IF(CONVERT({1} USING utf8mb4) REGEXP"
                                                           " '^{2}[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?{2}$' AND NOT CHAR_LENGTH({1}) = 32, 3, IF(LENGTH(CONVERT({1} USING utf8mb4)) = CHAR_LENGTH(CONVERT({1} USING utf8mb4)), 0, 4))))",
                                                           asked.empty() ? "" : ", ", dynamic.values[i], kBlanks);
    asked.push_back(i);
  }
  if (asked.empty()) co_return true;
  std::vector<std::string> definitions, row;
  bool ok = false;
  const std::string command = QueryCommand("SELECT " + values + " LIMIT 1"), ask = "SELECT " + nulls + " LIMIT 1";
  bool alive = co_await DefinitionsOf(command, &definitions);
  if (alive) alive = co_await HiddenQuery(ask, &row, &ok);
  if (!alive) co_return false;
  if (!ok || row.size() != asked.size() || definitions.size() != asked.size()) co_return true;
  for (size_t i = 0; i < asked.size(); ++i) {
    rewrite::ValueShape& shape = (*shapes)[asked[i]];
    shape = row[i] == "1" ? rewrite::ValueShape::kNull : ShapeOfDefinition(definitions[i]);
    if (shape != rewrite::ValueShape::kString) continue;
    if (row[i] == "2") shape = rewrite::ValueShape::kNumeric;
    if (row[i] == "3") shape = rewrite::ValueShape::kFraction;
    if (row[i] == "4") shape = rewrite::ValueShape::kWide;
  }
  co_return true;
}

awaitable<Session::Action> Session::ExecuteSql(std::string_view payload, size_t offset, const rewrite::DynamicSql& dynamic, SqlPrepared* prepared) {
  if (!prepared->known) {
    if (!SomethingWrites(*pinned_->snapshot)) co_return kAgain;
    co_return co_await Refuse("the text that EXECUTE would run was not seen when it was prepared; PREPARE it again, from a literal or a user variable");
  }
  NoteChange(MayChange(prepared->text));  // for the next statement
  if (!rewrite::MightTouch(*pinned_->snapshot, prepared->text)) co_return kRelay;
  rewrite::SessionFacts facts = prepared->facts;
  facts.foreign_key_checks = facts_->foreign_key_checks;
  facts.new_cohort = Cohort();
  std::vector<rewrite::ValueShape> shapes = dynamic.shapes;
  std::shared_ptr<const rewrite::Plan> plan = thread_->planner()->PlanPrepared(*pinned_->snapshot, facts, prepared->text, shapes);
  if (!plan->shape_params.empty() && plan->client_params == dynamic.values.size()) {
    const bool alive = co_await ShapesOf(dynamic, &shapes);
    if (!alive) co_return kEnd;
  }
  const Action action = co_await Admit(prepared->text, &shapes, &facts, &plan);
  if (action != kRelay) co_return action;
  if (plan->client_params != dynamic.values.size()) co_return kRelay;  // the server says so
  for (const uint32_t param : plan->shape_params) {
    if (SomethingWrites(*pinned_->snapshot) && shapes[param] == rewrite::ValueShape::kUnknown)
      co_return co_await Refuse("the kind of a value behind USING is not known; put it into a user variable");
  }
  const bool edited = co_await EditReplies(plan, prepared->text, payload, /*binary=*/false);
  if (!edited) co_return kEnd;
  if (plan->strategy == rewrite::Strategy::kUntouched) co_return kRelay;
  co_return co_await ExecuteVariant(payload.substr(0, offset), dynamic, plan, facts, prepared);
}

// Prepares what is to run, if it has not been yet. kRelay: `*name` is its name.
awaitable<Session::Action> Session::SqlVariant(const rewrite::Plan& plan, const rewrite::SessionFacts& facts, rewrite::Form form, SqlPrepared* prepared, std::string* name) {
  const absl::StatusOr<std::string> text = rewrite::Render(plan, facts, pinned_->snapshot->catalog.dialect, prepared->text, {}, form);
  if (!text.ok()) co_return co_await Refuse(std::string(text.status().message()));
  for (const SqlPrepared::Variant& variant : prepared->variants) {
    if (variant.text == *text) *name = variant.name;
  }
  if (!name->empty()) co_return kRelay;
  if (facts_->schema != prepared->facts.schema || facts_->sql_mode != prepared->facts.sql_mode || facts_->charset != prepared->facts.charset) {
    co_return co_await Refuse("the schema, sql_mode or character set has changed since this statement was prepared; prepare it again");
  }
  if (prepared->variants.size() >= kMostVariants) {
    const bool alive = co_await DropVariants(prepared);
    if (!alive) co_return kEnd;
  }
  *name = fmt::format("crossfade_{}", ++sql_variants_);
  const std::string quoted = rewrite::QuoteText(*text, *facts_), sql = fmt::format("PREPARE {} FROM {}", *name, quoted);
  bool done = false;
  if (!quoted.empty()) {
    const bool alive = co_await HiddenStatement(sql, &done);
    if (!alive) co_return kEnd;
  }
  if (!done) co_return co_await Refuse("what EXECUTE has to run could not be prepared; send the statement as it is");
  prepared->variants.push_back({*text, *name});
  co_return kRelay;
}

awaitable<Session::Action> Session::ExecuteVariant(std::string_view head, const rewrite::DynamicSql& dynamic, const std::shared_ptr<const rewrite::Plan>& plan,
                                                   const rewrite::SessionFacts& facts, SqlPrepared* prepared) {
  if (plan->strategy == rewrite::Strategy::kRowImage) co_return co_await Refuse("EXECUTE of an UPDATE that takes several steps; send the statement as it is");
  if (plan->Ranged()) co_return co_await Refuse("EXECUTE of an INSERT … SELECT whose rows get new keys; send the statement as it is");
  std::vector<uint64_t> keys;
  const bool enough = co_await TakeKeys(plan->key_slots, &keys);
  if (closing_) co_return kEnd;
  if (!enough) co_return co_await NoKeys(plan->key_slots);
  std::string set, sql;
  std::vector<bool> used(dynamic.values.size(), false);
  for (size_t i = 0; i < plan->params.size(); ++i) {
    const rewrite::ParamSource& source = plan->params[i];
    sql += i == 0 ? " USING " : ", ";
    if (source.kind == rewrite::ParamSource::kNewKey) {
      set += fmt::format("{}@crossfade_key_{} = {}", set.empty() ? "SET " : ", ", source.index, keys[source.index]);
      sql += fmt::format("@crossfade_key_{}", source.index);
      continue;
    }
    if (used[source.index] && !dynamic.repeatable[source.index]) co_return co_await Refuse("a value behind USING would be computed twice; put it into a user variable");
    used[source.index] = true;
    sql += dynamic.values[source.index];
  }
  if (!set.empty()) {
    bool done = false;
    const bool alive = co_await HiddenStatement(set, &done);
    if (!alive) co_return kEnd;
    if (!done) co_return co_await Refuse("the backend did not take the new keys; try again");
  }
  rewrite::Form form = rewrite::Form::kPlain;
  if (plan->Exposed()) {
    const bool alive = co_await ChooseForm(*plan, prepared->text, /*guards=*/false, &form);
    if (!alive) co_return kEnd;
  }
  std::string name;
  const Action ready = co_await SqlVariant(*plan, facts, form, prepared, &name);
  if (ready != kRelay) co_return ready;
  if (!StillMayGoOn(*plan)) co_return co_await Refuse(kNoLease);  // it waited
  std::string command(head);
  command += "EXECUTE " + name + sql;
  outgoing_.clear();
  const uint8_t sequence = protocol::AppendFrames(command, 0, &outgoing_);
  if (sequence != command_frames_) {
    outgoing_.clear();
    co_return co_await Refuse(kNearFrame);
  }
  thread_->metrics()->rewritten.Add();
  if (form == rewrite::Form::kMarked) marking_ = plan;
  co_return kRelay;
}

}  // namespace crossfade::proxy
