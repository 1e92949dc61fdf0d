// SPDX-License-Identifier: Apache-2.0
// Running steps on both sides; see world.h.
#include "tests/integration/grammar/world.h"

#include <algorithm>
#include <thread>

#include "fmt/format.h"
#include "tests/servers/process.h"

namespace crossfade::grammar {

using servers::Client;
using servers::CrossfadeProcess;
using servers::Reply;
using servers::Server;

const std::vector<Stage> kStages = {
    {"observe", "observe", -1, false, false, false, {}},
    {"expand", "expand", -1, true, false, false, {}},
    {"dual_write", "dual_write", -1, true, true, false, {true, false, false, false}},
    {"backfill", "backfill", -1, true, true, false, {true, false, false, false}},
    {"verify", "verify", -1, true, true, true, {true, true, false, false}},
    {"cutover-0", "cutover", 0, true, true, true, {true, true, false, false}},
    {"cutover-50", "cutover", 50, true, true, true, {true, true, true, false}},
    {"cutover-100", "cutover", 100, true, true, true, {true, true, true, false}},
    {"back-to-dual_write", "dual_write", -1, true, true, true, {true, false, false, false}},
    {"forward-to-cutover", "cutover", 100, true, true, true, {true, true, true, false}},
    {"retire", "retire", -1, true, true, true, {true, true, true, true}},
};

struct World::Session {
  int index = 0;
  twin::Lexis lexis;
  bool strict = true;
  std::unique_ptr<Client> a, b;
  std::map<std::string, std::unique_ptr<servers::Statement>> kept_a, kept_b;
  bool in_transaction = false, autocommit = true, snapshot = false, other_wrote = false, any_row = false, refused = false;
};

namespace {

constexpr uint32_t kInTransaction = 1, kAutocommit = 2;
constexpr size_t kKept = 30;

bool WaitedInVain(const Reply& reply) { return reply.error == 1205 || reply.error == 1213 || reply.error == 1412; }
bool Refused(const Reply& reply) { return reply.error == 1235 && reply.message.find("crossfade: ") != std::string::npos; }

}  // namespace

World::~World() = default;
const twin::Lexis& World::lexis(size_t session) const { return sessions_[session]->lexis; }
bool World::strict(size_t session) const { return sessions_[session]->strict; }
bool World::in_transaction(size_t session) const { return sessions_[session]->in_transaction; }
std::string World::log() const { return proxy_ == nullptr ? "" : servers::LastLines(proxy_->log(), 12); }
int World::proxied_port() const { return proxy_ == nullptr ? a_->port() : proxy_->port(); }

absl::StatusOr<std::unique_ptr<World>> World::Start(servers::Engine engine, bool direct) {
  std::unique_ptr<World> world(new World);
  world->direct_ = direct;
  for (std::unique_ptr<Server>* server : {&world->a_, &world->b_}) {
    // Without it MySQL writes rows anew that an UPDATE leaves as they are, which later reads show: see docs/rewriting.md.
    servers::ServerOptions options;
    if (engine == servers::Engine::kMySql) options.arguments = {"--log-bin=binlog", "--server-id=1", "--sync-binlog=0"};
    auto started = Server::Start(engine, options);
    if (!started.ok()) return started.status();
    *server = *std::move(started);
  }
  return world;
}

absl::Status World::Begin(const Model& model) {
  model_ = model;
  sessions_.clear();
  proxy_.reset();
  history_ = History();
  stage_ = 0;
  holder_ = -1;
  for (auto [server, client] : {std::pair{a_.get(), &on_a_}, std::pair{b_.get(), &on_b_}}) {
    auto connected = Client::Connect({.port = server->port()});
    if (!connected.ok()) return connected.status();
    *client = std::make_unique<Client>(*std::move(connected));
    std::vector<std::string> sql = {fmt::format("DROP DATABASE IF EXISTS {}", kDatabase), "DROP DATABASE IF EXISTS crossfade"};
    const std::vector<std::string> create = model.Create();
    sql.insert(sql.end(), create.begin(), create.end());
    for (const std::string& one : sql) {
      const Reply reply = (*client)->Query(one);
      if (!reply.ok()) return absl::InvalidArgumentError(reply.message + ": " + one);
    }
    // Both sides' observers read what is not committed yet.
    if (!(*client)->Query("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED").ok()) return absl::InternalError("isolation level");
    (void)(*client)->Query(fmt::format("USE {}", kDatabase));
    (void)(*client)->Query("SET NAMES utf8mb4");
    (void)(*client)->Query("SET sql_mode = ''");
  }
  if (!direct_ && !model.Migrations().empty()) {
    auto started = CrossfadeProcess::Start({.backend = a_->address(), .migrations = model.Yaml(),
                                            .limits = "  chunk_rows: 20\n  key_block: 50\n  control_poll: 20ms\n  backfill_idle_share: 0.9\n  quiet_before_expand: 1ms\n  insert_lookups: 4\n"});
    if (!started.ok()) return absl::FailedPreconditionError(std::string(started.status().message()));
    proxy_ = *std::move(started);
    const servers::CommandResult checked = proxy_->Run("check", {});
    if (checked.exit_code != 0) return absl::FailedPreconditionError(checked.output);
  }
  for (size_t i = 0; i < kSessions; ++i) {
    auto session = std::make_unique<Session>();
    session->index = static_cast<int>(i);
    std::vector<std::string> setup = {"SET timestamp = 1700000100", "SET innodb_lock_wait_timeout = 3"};
    if (i == 2) {
      setup.push_back("SET sql_mode = ''");
      session->strict = false;
    }
    if (i == 3) {
      setup.push_back("SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'");
      session->lexis = {true, true};
    }
    for (const bool proxied : {true, false}) {
      auto client = Client::Connect({.port = proxied ? proxied_port() : b_->port(), .database = kDatabase, .flags = i == 1 ? uint64_t{CLIENT_FOUND_ROWS} : 0});
      if (!client.ok()) return client.status();
      (proxied ? session->a : session->b) = std::make_unique<Client>(*std::move(client));
      for (const std::string& sql : setup)
        if (!(proxied ? session->a : session->b)->Query(sql).ok()) return absl::InternalError(sql);
    }
    sessions_.push_back(std::move(session));
  }
  return absl::OkStatus();
}

absl::Status World::Walk(size_t stage) {
  for (auto& session : sessions_) {
    const Outcome outcome = Text(*session, "commit", "COMMIT");
    if (!outcome.difference.empty()) return absl::InternalError("COMMIT: " + outcome.difference);
    session->in_transaction = session->snapshot = false;
  }
  holder_ = -1;
  const Stage& to = kStages[stage];
  if (proxy_ != nullptr && stage > 0) {
    for (const std::string& name : model_.Migrations()) {
      if (absl::Status status = proxy_->WalkTo(name, to.phase, to.percent, kPatience); !status.ok())
        return absl::InternalError(std::string(status.message()) + "\n" + proxy_->Run("status", {name}).output + Describe(on_a_->Query("SELECT examples FROM crossfade.verifications WHERE differences > 0 LIMIT 5")));
    }
  }
  stage_ = stage;
  // An online ALTER takes the counter back to what the rows say, where failed statements had moved it on.
  for (const Table& table : model_.tables) {
    for (const Column& column : table.columns) {
      if (!column.automatic) continue;
      for (Client* client : {on_a_.get(), on_b_.get()}) (void)client->Query(fmt::format("ALTER TABLE {} AUTO_INCREMENT = {}", table.name, 2000 + 1000 * stage));
    }
  }
  // The phase begins before its ALTERs have their locks.
  for (int i = 0; proxy_ != nullptr && to.added && i < 500 && !history_.Refresh(*on_a_, model_).ok(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  return proxy_ != nullptr && to.added ? history_.Refresh(*on_a_, model_) : absl::OkStatus();
}

Reply World::Send(Session& session, bool proxied, const Statement& statement, const twin::Rendered& rendered) {
  Client& client = proxied ? *session.a : *session.b;
  if (!statement.prepared) return client.Query(rendered.sql);
  auto& kept = proxied ? session.kept_a : session.kept_b;
  auto found = kept.find(rendered.sql);
  if (found == kept.end()) {
    if (kept.size() >= kKept) kept.clear();
    std::unique_ptr<servers::Statement> fresh;
    Reply reply = client.Prepare(rendered.sql, &fresh);
    if (fresh == nullptr) return reply;
    found = kept.emplace(rendered.sql, std::move(fresh)).first;
  }
  return found->second->Execute(rendered.parameters);
}

Outcome World::Text(Session& session, const std::string& label, const std::string& sql) {
  Statement statement;
  statement.label = label;
  statement.pieces.push_back({sql, std::nullopt, false});
  statement.ordered = label != "show warnings";
  return Compare(session, statement);
}

std::string World::Written(const Step& step) {
  return fmt::format("/* {} {} */ {}", kStages[step.stage].name, step.session, twin::Script(Render(step.statement, lexis(step.session), nullptr, nullptr)));
}

Outcome World::Run(const Step& step) {
  Session& session = *sessions_[step.session];
  Outcome outcome;
  outcome.skipped = step.statement.locks && holder_ >= 0 && holder_ != session.index;
  return outcome.skipped ? outcome : Compare(session, step.statement);
}

Outcome World::Compare(Session& session, const Statement& statement) {
  const Mode none, &mode = proxy_ == nullptr ? none : kStages[stage_].mode;
  Outcome outcome;
  NewKeyOf fresh;
  // A new key stands for an old one only where this session's snapshot has it under that key.
  if (mode.either_key && (holder_ < 0 || holder_ == session.index) && !(session.in_transaction && session.other_wrote)) {
    fresh = [&](int key, const std::string& old) -> std::optional<servers::Parameter> {
      const Key& of = model_.keys[key];
      const Reply found = on_a_->Execute(fmt::format("SELECT {} FROM {}.{} WHERE {} = ?", of.fresh, kDatabase, of.table, of.column), {old});
      if (!found.ok() || found.rows.size() != 1 || !found.rows[0][0]) return std::nullopt;
      if (of.kind == Kind::kNumber) return int64_t{std::stoll(*found.rows[0][0])};
      return *found.rows[0][0];
    };
  }
  const NoKeyOf no_key = [&](int key) -> servers::Parameter {
    const Key& of = model_.keys[key];
    if (of.kind == Kind::kNumber) return int64_t{of.new_type.rfind("mediumint", 0) == 0 ? 16'000'000 : 2'000'000'000};
    if (of.new_type.rfind("binary", 0) == 0) return std::string(16, '\x7F');
    return of.new_type == "char(32)" ? std::string(32, 'f') : std::string("ffffffff-ffff-4fff-8fff-ffffffffffff");
  };
  const twin::Rendered for_a = Render(statement, session.lexis, fresh, no_key), for_b = Render(statement, session.lexis, nullptr, nullptr);
  const std::string other = fmt::format("SELECT u FROM {} ORDER BY u LIMIT 1", model_.tables.back().name);
  const bool reads = statement.label.starts_with("select") && !statement.locks;
  // Where the server knows that no row matches it reads nothing, and the snapshot is not taken yet: so it is taken here.
  if (!session.snapshot && (session.in_transaction || !session.autocommit) && reads && (mode.new_cohort || for_a.sql != for_b.sql || for_a.parameters != for_b.parameters)) {
    session.snapshot = true;
    const Outcome first = Text(session, "other", other);
    if (!first.difference.empty()) return first;
  }
  // What one side has refused the other never got: of that ROW_COUNT() cannot tell the same.
  if (session.refused && for_b.sql.find("ROW_COUNT()") != std::string::npos) {
    (void)session.a->Query("DO 0");
    (void)session.b->Query("DO 0");
  }
  const Reply a = Send(session, true, statement, for_a);
  session.refused = proxy_ != nullptr && Refused(a);
  if (session.refused) {
    outcome.refusal = a.message.substr(a.message.find("crossfade: "));
    return outcome;
  }
  if (WaitedInVain(a)) {
    outcome.waited = true;
    // the migrator held the row: the transaction ends on both sides, and the run goes on
    if (!session.in_transaction) session.b->Query("BEGIN");
    Send(session, false, statement, for_b);
    session.a->Query("ROLLBACK");
    session.b->Query("ROLLBACK");
    session.in_transaction = session.snapshot = false;
    if (holder_ == session.index) holder_ = -1;
    outcome.error = true;
    return outcome;
  }
  const Reply b = Send(session, false, statement, for_b);
  Comparison how{&mode, &history_};
  how.other_text = for_a.sql != for_b.sql || for_a.parameters != for_b.parameters;
  how.warnings = statement.label == "show warnings";
  if (statement.locks) session.any_row = mode.both_sides;
  how.any_row = session.any_row;
  how.filling = mode.both_sides && !mode.either_key;
  const bool ends = statement.label == "rollback" || statement.label == "commit";
  if (proxy_ != nullptr && kStages[stage_].added && ((statement.locks && !reads) || ends)) (void)history_.Refresh(*on_a_, model_);
  outcome.difference = Difference(a, b, statement, how);
  if (!outcome.difference.empty()) {
    outcome.difference += fmt::format("\n  sent:    {}\n  proxied: {}\n  direct:  {}", twin::Script(for_a), Describe(a), Describe(b));
    return outcome;
  }
  outcome.error = !b.ok();
  const bool was = session.in_transaction;
  if (b.ok()) {
    session.in_transaction = (b.status & kInTransaction) != 0;
    session.autocommit = (b.status & kAutocommit) != 0;
  } else if (!session.autocommit && statement.locks) {
    session.in_transaction = true;  // the failed statement may have begun it, and holds locks
  }
  if (!session.in_transaction) session.snapshot = false;
  if (!was && session.in_transaction) session.other_wrote = false;
  if (statement.locks) {
    for (auto& one : sessions_)
      if (one.get() != &session) one->other_wrote = true;
  }
  if (session.in_transaction && statement.locks) holder_ = session.index;
  if (!session.in_transaction && holder_ == session.index) holder_ = -1;
  if (b.warnings > 0 && !how.warnings && b.ok() && !statement.shape_only) {
    const Outcome warned = Text(session, "show warnings", "SHOW WARNINGS");
    if (!warned.difference.empty()) outcome.difference = "its warnings: " + warned.difference;
  }
  return outcome;
}

}  // namespace crossfade::grammar
