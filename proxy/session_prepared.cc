// SPDX-License-Identifier: Apache-2.0
// Prepared statements that touch a migrating table: planned at each execution by the snapshot, the cohort and the
// shapes of the values; the variant that is needed is prepared on the backend on first use. The client's id stays.
#include "fmt/format.h"
#include "protocol/codec.h"
#include "proxy/control_thread.h"
#include "proxy/guarded_statement.h"
#include "proxy/prepared_statement.h"
#include "proxy/ranged_statement.h"
#include "proxy/session.h"
#include "proxy/sql_words.h"
#include "rewrite/row_image.h"

namespace crossfade::proxy {
using protocol::Command;
using protocol::ReplyTracker;

namespace {

constexpr size_t kMostVariants = 16;
constexpr uint32_t kLastPrepared = 0xFFFFFFFF;  // MariaDB: the statement prepared last

uint32_t StatementId(std::string_view payload) {
  protocol::Reader reader(payload);
  reader.U8();
  return reader.U32();  // 0 if it is too short: the backend answers that
}

std::string IdCommand(Command command, uint32_t id) {
  protocol::Writer writer;
  writer.U8(static_cast<uint8_t>(command));
  writer.U32(id);
  return writer.Take();
}

}  // namespace

rewrite::ValueShape ShapeOfParam(const protocol::ParamType& type, const protocol::ParamValue& value, bool numbers) {
  switch (protocol::ShapeOf(type, value)) {
    case protocol::TypeShape::kNull: return rewrite::ValueShape::kNull;
    case protocol::TypeShape::kInteger: return rewrite::ValueShape::kInteger;
    case protocol::TypeShape::kString: {
      if (!numbers || value.long_data) return rewrite::ValueShape::kString;
      protocol::Reader reader(value.bytes);
      const std::string_view text = reader.LenencString();
      return reader.ok() ? rewrite::ShapeOfText(text, numbers) : rewrite::ValueShape::kString;
    }
    case protocol::TypeShape::kOther: return rewrite::ValueShape::kOther;
  }
  return rewrite::ValueShape::kUnknown;
}

PreparedStatement* Session::FindPrepared(std::string_view payload) {
  if (payload.size() < 5) return nullptr;
  uint32_t id = StatementId(payload);
  if (id == kLastPrepared) id = last_prepared_;
  const auto it = prepared_.find(id);
  return it == prepared_.end() ? nullptr : it->second.get();
}

// Could this command's statement touch a migrating table, or has it ever?
bool Session::PreparedTouches(std::string_view payload) {
  PreparedStatement* statement = FindPrepared(payload);
  if (statement == nullptr) return false;
  const SnapshotStore::Entry* entry = pinned_ != nullptr ? pinned_ : thread_->snapshots()->current();
  if (statement->generation != entry->generation) {
    statement->generation = entry->generation;
    statement->touches = entry->snapshot != nullptr && rewrite::MightTouch(*entry->snapshot, statement->text);
  }
  return statement->touches || !statement->variants.empty() || statement->types_elsewhere;
}

bool Session::PreparedLoadLocal(std::string_view payload) const {
  const uint32_t id = StatementId(payload);
  return load_local_.count(id) != 0 || (id == kLastPrepared && !load_local_.empty());
}

// The reply to a COM_STMT_PREPARE has gone out: keep what a later execution may need.
void Session::RememberPrepared(std::string_view payload) {
  last_prepared_ = 0;
  if (tracker_.is_error()) return;
  auto statement = std::make_unique<PreparedStatement>();
  statement->text = std::string(payload.substr(1));
  statement->id = statement->active_id = last_prepared_ = tracker_.statement_id();
  statement->params = tracker_.param_count();
  if (facts_known_) {
    statement->facts = *facts_;
    statement->facts_known = true;
  }
  prepared_[statement->id] = std::move(statement);
}

// Both servers hold statements per server; the proxy's own caps keep what it knows of them bounded.
bool Session::MayPrepare() const {
  return statements_.size() < limits().max_client_prepared_statements &&
         thread_->server()->admission().statements.load(std::memory_order_relaxed) < limits().max_prepared_statements;
}

// The reply to a PREPARE has come.
void Session::CountPrepared() {
  prepare_refused_ = false;
  if (tracker_.is_error()) return;
  if (statements_.insert(tracker_.statement_id()).second) {
    thread_->server()->admission().statements.fetch_add(1, std::memory_order_relaxed);
  }
}

// MariaDB's clients send an execution behind its PREPARE without waiting. Where the backend has not seen the PREPARE, "the last
// one" would be another statement there.
bool Session::NamesRefused(std::string_view payload) const {
  return prepare_refused_ && payload.size() >= 5 && StatementId(payload) == kLastPrepared;
}

awaitable<Session::Action> Session::NoSuchStatement(std::string_view payload) {
  const auto command = static_cast<Command>(payload[0]);
  if (command == Command::kStmtSendLongData || command == Command::kStmtClose) co_return kAnswered;  // these have no reply
  const char* where = command == Command::kStmtReset   ? "mysqld_stmt_reset"
                      : command == Command::kStmtFetch ? "mysqld_stmt_fetch"
                      : command == Command::kStmtBulkExecute ? "mysqld_stmt_bulk_execute" : "mysqld_stmt_execute";
  const bool sent = co_await SendError(AfterCommand(), 1243, "HY000", fmt::format("Unknown prepared statement handler ({}) given to {}", kLastPrepared, where));
  co_return sent ? kAnswered : kEnd;
}

// A variant's cursor that is not open, or has come to its end, is asked for no more: what the client does next goes to its
// own statement, so that an error names that.
void Session::CursorState() {
  const bool fetched = static_cast<Command>(last_command_) == Command::kStmtFetch;
  if (tracker_.is_error() || (tracker_.status() & (fetched ? protocol::kStatusLastRowSent : protocol::kStatusCursorExists)) == (fetched ? protocol::kStatusLastRowSent : 0)) {
    running_->active_id = running_->id;
  }
}

// A statement that is refused whatever its values are is refused here; all else is prepared as the client wrote it.
awaitable<Session::Action> Session::Prepare(std::string_view payload) {
  if (!MayPrepare()) {
    const uint32_t limit = statements_.size() >= limits().max_client_prepared_statements ? limits().max_client_prepared_statements
                                                                                       : limits().max_prepared_statements;
    thread_->metrics()->Count(Overrun::kPreparedStatements);
    const bool sent = co_await SendError(AfterCommand(), 1461, "42000",
        fmt::format("Can't create more than max_prepared_stmt_count statements (current value: {})", limit));
    co_return sent ? kAnswered : kEnd;
  }
  const bool learnt = co_await LearnFacts();
  if (!learnt) co_return kEnd;
  if (!facts_known_ || !pinned_->known) co_return kRelay;  // what can be refused is refused when it is executed
  facts_->new_cohort = Cohort();
  const std::vector<rewrite::ValueShape> shapes;
  const auto plan = thread_->planner()->PlanPrepared(*pinned_->snapshot, *facts_, payload.substr(1), shapes);
  if (plan->strategy == rewrite::Strategy::kRefuse && plan->shape_params.empty()) {
    thread_->digests()->Count(*pinned_->snapshot, plan, user_);
    co_return co_await Refuse(plan->reason);
  }
  co_return kRelay;
}

// Prepares `text` unseen. `*id` is 0 if the backend refused; its error then has gone to the client, if it is to be `told`.
awaitable<bool> Session::HiddenPrepare(std::string_view text, uint32_t* id, bool told) {
  *id = 0;
  thread_->metrics()->hidden_statements.Add();
  std::string command(1, static_cast<char>(Command::kStmtPrepare));
  command += text;
  uint8_t sequence = 0;
  const bool sent = co_await WriteMessage(&backend_, &sequence, command);
  if (!sent) co_return false;
  ReplyTracker tracker;
  tracker.Start(ReplyTracker::Kind::kPrepare, capabilities_, sequence);
  tracker.set_status(status_);
  std::string error;
  while (tracker.state() == ReplyTracker::State::kMore) {
    if (backend_.in().empty()) {
      Stream::ReadResult read = co_await backend_.ReadMore();
      if (std::get<0>(read)) co_return Fail("the backend closed during a hidden statement");
    }
    const std::string_view bytes = backend_.in().data();
    const size_t size = tracker.Feed(bytes);
    if (error.size() < 4096) error.append(bytes.substr(0, size));
    backend_.in().Consume(size);
  }
  if (tracker.state() != ReplyTracker::State::kDone || !backend_.in().empty()) co_return Fail("malformed reply to a hidden statement");
  if (!tracker.is_error()) {
    *id = tracker.statement_id();
    co_return true;
  }
  if (!told) co_return true;
  uint8_t reply_sequence = AfterCommand();
  co_return co_await WriteMessage(&client_, &reply_sequence, std::string_view(error).substr(std::min(error.size(), protocol::kFrameHeader)));
}

// Drops the pieces of parameters that the backend holds for statement `id`.
awaitable<bool> Session::HiddenReset(uint32_t id) {
  uint8_t sequence = 0;
  const std::string command = IdCommand(Command::kStmtReset, id);
  const bool sent = co_await WriteMessage(&backend_, &sequence, command);
  if (!sent) co_return false;
  std::string reply;
  sequence = 1;
  co_return co_await ReadMessage(&backend_, &sequence, &reply, 1 << 16);
}

// The backend's statement for `plan`, prepared now if this is its first use. kRelay: go on with *id.
awaitable<Session::Action> Session::Variant(PreparedStatement* statement, const std::shared_ptr<const rewrite::Plan>& plan,
                                            const rewrite::SessionFacts& facts, rewrite::Form form, uint32_t* id) {
  *id = statement->FindVariant(plan, form);
  if (*id == 0) {
    // The variant's text has to be read as the client's was at PREPARE.
    if (facts_->schema != statement->facts.schema || facts_->sql_mode != statement->facts.sql_mode ||
        facts_->charset != statement->facts.charset) {
      co_return co_await Refuse("the schema, sql_mode or character set has changed since this statement was prepared; prepare it again");
    }
    const absl::StatusOr<std::string> text = rewrite::Render(*plan, facts, pinned_->snapshot->catalog.dialect, statement->text, {}, form);
    if (!text.ok()) co_return co_await Refuse(std::string(text.status().message()));
    for (PreparedVariant& variant : statement->variants) {
      if (variant.text == *text && variant.plan->params.size() == plan->params.size()) {
        variant.plan = plan;
        variant.form = form;
        *id = variant.backend_id;
      }
    }
    if (*id == 0) {
      if (statement->variants.size() >= kMostVariants) {
        protocol::AppendFrames(IdCommand(Command::kStmtClose, statement->variants.front().backend_id), 0, &outgoing_);
        statement->variants.erase(statement->variants.begin());
      }
      const bool alive = co_await HiddenPrepare(*text, id);
      if (!alive) co_return kEnd;
      if (*id == 0) co_return kAnswered;
      PreparedVariant variant;
      variant.plan = plan;
      variant.text = *text;
      variant.form = form;
      variant.backend_id = *id;
      statement->variants.push_back(std::move(variant));
    }
  }
  co_return kRelay;
}

awaitable<Session::Action> Session::Execute(std::string_view payload) {
  if (NamesRefused(payload)) co_return co_await NoSuchStatement(payload);
  PreparedStatement* statement = FindPrepared(payload);
  if (!facts_known_) {
    if (FactsWouldTell(statement->text)) co_return co_await NoFacts(kAsksForTheLast);
    const bool learnt = co_await LearnFacts();
    if (!learnt) co_return kEnd;
    if (!facts_known_) co_return co_await NoFacts();
  }
  if (!statement->facts_known) {
    statement->facts = *facts_;
    statement->facts_known = true;
  }
  std::vector<bool> long_params(statement->params, false);
  for (const auto& piece : statement->long_data) {
    if (piece.first < long_params.size()) long_params[piece.first] = true;
  }
  for (const uint16_t param : statement->long_data_sent) {
    if (param < long_params.size()) long_params[param] = true;
  }
  absl::StatusOr<protocol::Execute> parsed =
      protocol::ParseExecute(payload.substr(1), statement->params, statement->types, long_params, capabilities_);
  if (!parsed.ok()) {
    const bool mysql = pinned_->snapshot->catalog.dialect.flavor == rewrite::Flavor::kMySql;
    const bool sent = co_await SendError(AfterCommand(), mysql ? 1835 : 1210, "HY000",
                                         mysql ? "Malformed communication packet." : "Incorrect arguments to mysqld_stmt_execute");
    co_return sent ? kAnswered : kEnd;
  }
  std::vector<rewrite::ValueShape> shapes;
  shapes.reserve(statement->params);
  for (size_t i = 0; i < statement->params && i < parsed->types.size(); ++i) {
    shapes.push_back(ShapeOfParam(parsed->types[i], parsed->values[i], pinned_->snapshot->integers_go));
  }
  NoteChange(MayChange(statement->text));
  rewrite::SessionFacts facts = statement->facts;
  facts.foreign_key_checks = facts_->foreign_key_checks;
  std::shared_ptr<const rewrite::Plan> plan;
  const Action action = co_await Admit(statement->text, &shapes, &facts, &plan, statement);
  if (action != kRelay) co_return action;

  if (parsed->new_types) KeepTypes(parsed->types, statement);
  if (comparable_) {
    const bool alive = co_await CompareExecution(*statement, *parsed, *plan);
    if (!alive) co_return kEnd;
  }
  if (!plan->replies.empty()) {
    parsed->flags = 0;  // no cursor: the rows come with this reply, in which they are changed
    const bool edited = co_await EditExecution(plan, statement, *parsed);
    if (!edited) co_return kEnd;
  }
  if (plan->strategy == rewrite::Strategy::kUntouched) {
    no_way_back_ = plan->no_way_back;
    statement->long_data_sent.clear();
    if (plan->replies.empty() && !statement->types_elsewhere && statement->long_data.empty()) {
      statement->active_id = statement->id;
      co_return kRelay;
    }
    const std::vector<uint64_t> none;
    const bool fits = Build(statement, statement->id, *parsed, nullptr, none);
    if (!fits) co_return co_await Refuse(kNearFrame);
    co_return kRelay;
  }
  if (!statement->long_data_sent.empty()) {
    // A phase began between the pieces and this execution: they are with the client's own statement, not with the variant.
    statement->long_data_sent.clear();
    statement->long_data.clear();
    const bool reset = co_await HiddenReset(statement->id);
    if (!reset) co_return kEnd;
    co_return co_await Refuse("the migration entered another phase while a parameter was sent in pieces; execute the statement again");
  }

  if (plan->strategy == rewrite::Strategy::kRowImage) co_return co_await ExecuteImage(statement, *parsed, facts, plan->image->bytes);
  std::vector<std::string> ahead;
  if (!plan->ahead.empty() && facts_->schema == facts.schema && facts_->sql_mode == facts.sql_mode && facts_->charset == facts.charset && statement->long_data.empty()) {
    const Action looked = co_await LookAhead(*plan, facts, statement->text, &*parsed, &ahead);
    if (looked != kRelay) co_return looked;
  }
  rewrite::Form form = plan->guard != rewrite::Plan::kUnguarded && !plan->Ranged() ? rewrite::Form::kGuarded : rewrite::Form::kPlain;
  if (plan->exposed && !plan->Ranged()) {
    const bool alive = co_await ChooseForm(*plan, statement->text, /*guards=*/true, &form);
    if (!alive) co_return kEnd;
  }
  const bool guards = form == rewrite::Form::kGuarded;
  uint32_t id = statement->FindVariant(plan, form);
  if (id == 0 && ahead.empty()) {
    const Action prepared = co_await Variant(statement, plan, facts, form, &id);
    if (prepared != kRelay) co_return prepared;
  }
  if (plan->Ranged()) {
    statement->types_elsewhere = true;
    RangedStatement ranged;
    ranged.plan = plan;
    ranged.statement = statement;
    ranged.id = id;
    ranged.execute = *parsed;
    ranged.long_data = statement->long_data;
    co_return co_await BeginRange(std::move(ranged));
  }
  std::vector<uint64_t> keys;
  if (!plan->key_slots.empty()) {
    const bool enough = co_await TakeKeys(plan->key_slots, &keys);
    if (closing_) co_return kEnd;
    if (!enough) co_return co_await NoKeys(plan->key_slots);
  }
  if (!StillMayGoOn(*plan)) co_return co_await Refuse(kNoLease);  // it waited for keys
  uint32_t once = 0;
  if (!ahead.empty()) {
    const Action prepared = co_await PrepareAhead(*statement, *plan, facts, form, ahead, &once);
    if (prepared != kRelay) co_return prepared;
  }
  if (once != 0) {
    id = once;
  } else if (id == 0) {
    const Action prepared = co_await Variant(statement, plan, facts, form, &id);
    if (prepared != kRelay) co_return prepared;
  }
  thread_->metrics()->rewritten.Add();
  statement->types_elsewhere = true;
  const bool watched = guards || once != 0;
  if (watched) Guard(plan)->long_data = statement->long_data;
  const bool fits = Build(statement, id, *parsed, plan.get(), keys);
  if (once != 0) statement->active_id = statement->id;  // no cursor is open
  if (!fits) {
    if (watched) guarded_->plan.reset();
    outgoing_.clear();
    CloseHidden(once);
    if (!outgoing_.empty()) (void)co_await backend_.Write(outgoing_);
    co_return co_await Refuse(kNearFrame);
  }
  CloseHidden(once);
  if (watched) {
    guarded_->statement = statement;
    guarded_->id = once != 0 ? 0 : id;
    guarded_->ahead = once != 0;
    guarded_->form = form;
    guarded_->execute = *std::move(parsed);
    guarded_->keys = std::move(keys);
  }
  if (form == rewrite::Form::kMarked) marking_ = plan;
  no_way_back_ = plan->no_way_back;
  co_return kRelay;
}

void Session::KeepTypes(const std::vector<protocol::ParamType>& types, PreparedStatement* statement) {
  statement->types.assign(types.begin(), types.begin() + static_cast<std::ptrdiff_t>(std::min<size_t>(statement->params, types.size())));
  statement->type_names.clear();
  for (protocol::ParamType& type : statement->types) type.name = {};
}

// Puts the pieces of long data and the execution into outgoing_. `plan`: null for the client's own text. False: it takes
// another number of frames than the client's, and the reply would be numbered otherwise than the client expects.
bool Session::Build(PreparedStatement* statement, uint32_t id, const protocol::Execute& client,
                    const rewrite::Plan* plan, const std::vector<uint64_t>& keys) {
  protocol::Execute execute;
  execute.statement_id = id;
  execute.flags = client.flags;
  execute.iterations = client.iterations;
  execute.new_types = true;
  execute.attribute_count = client.attribute_count;
  std::vector<std::string> storage(keys.size());
  const size_t count = plan != nullptr ? plan->params.size() : statement->params;
  execute.types.reserve(count + client.values.size());
  execute.values.reserve(count + client.values.size());
  for (size_t i = 0; i < count; ++i) {
    const bool own = plan != nullptr && plan->params[i].kind == rewrite::ParamSource::kNewKey;
    const uint32_t index = plan != nullptr ? plan->params[i].index : static_cast<uint32_t>(i);
    if (own) {
      protocol::ParamType type;
      protocol::ParamValue value;
      protocol::SetUnsigned(keys[index], &type, &value, &storage[index]);
      execute.types.push_back(type);
      execute.values.push_back(value);
      continue;
    }
    execute.types.push_back(client.types[index]);
    execute.values.push_back(client.values[index]);
    for (const auto& [param, piece] : statement->long_data) {
      if (param != index) continue;
      protocol::Writer writer;
      writer.U8(static_cast<uint8_t>(Command::kStmtSendLongData));
      writer.U32(id);
      writer.U16(static_cast<uint16_t>(i));
      writer.Bytes(piece);
      protocol::AppendFrames(writer.out(), 0, &outgoing_);
    }
  }
  for (size_t i = statement->params; i < client.values.size(); ++i) {  // query attributes
    execute.types.push_back(client.types[i]);
    execute.values.push_back(client.values[i]);
  }
  statement->long_data.clear();
  statement->active_id = id;
  if (id != statement->id) running_ = statement;
  const std::string command = protocol::BuildExecute(execute, capabilities_);
  const uint8_t sequence = protocol::AppendFrames(command, 0, &outgoing_);
  if (sequence == AfterCommand()) return true;
  outgoing_.clear();
  return false;
}

awaitable<Session::Action> Session::OtherStatementCommand(std::string_view payload) {
  if (static_cast<Command>(last_command_) == Command::kStmtClose) load_local_.erase(StatementId(payload));
  if (NamesRefused(payload)) co_return co_await NoSuchStatement(payload);
  if (static_cast<Command>(last_command_) == Command::kStmtClose && payload.size() >= 5 && statements_.erase(StatementId(payload)) > 0) {
    thread_->server()->admission().statements.fetch_sub(1, std::memory_order_relaxed);
  }
  PreparedStatement* statement = FindPrepared(payload);
  if (statement == nullptr) co_return kRelay;
  const auto command = static_cast<Command>(last_command_);
  switch (command) {
    case Command::kStmtSendLongData: {
      if (payload.size() < 7) co_return kRelay;
      protocol::Reader reader(payload.substr(5));
      const uint16_t param = reader.U16();
      if (statement->long_data.empty() && !PreparedTouches(payload)) {
        if (statement->long_data_sent.empty() || statement->long_data_sent.back() != param) statement->long_data_sent.push_back(param);
        co_return kRelay;
      }
      uint64_t held = payload.size();
      for (const auto& piece : statement->long_data) held += piece.second.size();
      if (held > limits().max_packet) {
        Fail("a parameter sent in pieces is larger than limits.max_packet");
        co_return kEnd;
      }
      statement->long_data.emplace_back(param, std::string(reader.Rest()));
      co_return kAnswered;  // this command has no reply
    }
    case Command::kStmtBulkExecute: co_return co_await BulkExecute(payload, statement);
    case Command::kStmtClose:
      for (const PreparedVariant& variant : statement->variants) {
        protocol::AppendFrames(IdCommand(Command::kStmtClose, variant.backend_id), 0, &outgoing_);
      }
      protocol::AppendFrames(payload, 0, &outgoing_);
      prepared_.erase(statement->id);
      co_return kRelay;
    case Command::kStmtReset:
    case Command::kStmtFetch: {
      if (command == Command::kStmtReset) {
        statement->long_data.clear();
        statement->long_data_sent.clear();
      }
      if (statement->active_id != statement->id) running_ = statement;
      std::string patched = IdCommand(command, statement->active_id);
      patched += payload.substr(5);
      protocol::AppendFrames(patched, 0, &outgoing_);
      co_return kRelay;
    }
    default: co_return kRelay;
  }
}

}  // namespace crossfade::proxy
