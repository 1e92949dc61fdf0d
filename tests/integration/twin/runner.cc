// SPDX-License-Identifier: Apache-2.0
// The twin run's engine; see runner.h.
#include "tests/integration/twin/runner.h"

#include <algorithm>

#include "fmt/format.h"
#include "tests/servers/process.h"

namespace crossfade::twin {

using servers::Client;
using servers::Reply;

// One application connection, on both sides.
struct Runner::Session {
  size_t index = 0;
  size_t schema = 0;
  Lexis lexis;
  uint64_t flags = 0;
  std::vector<std::string> setup;
  std::unique_ptr<Client> a, b;
  // Statements kept prepared, by their text: re-executed when the text comes again.
  std::map<std::string, std::unique_ptr<servers::Statement>> kept_a, kept_b;
  bool in_transaction = false, autocommit = true;
  bool any_row = false;           // its last write visited rows in an order of the plan's
  bool after_select = false;
  bool snapshot = false;          // its transaction has read: it sees the database as it was then
  int length = 0;                 // statements in the open transaction
  uint64_t parent_writes_at = 0;  // of all sessions, when the transaction began
  bool other_wrote_parent = false;
};

namespace {

constexpr uint32_t kInTransaction = 1, kAutocommit = 2;
constexpr size_t kKeptStatements = 40;

// … or MySQL asks to try again: the snapshot is older than an online ALTER (1412).
bool WaitedInVain(const Reply& reply) { return reply.error == 1205 || reply.error == 1213 || reply.error == 1412; }

bool Refused(const Reply& reply) { return reply.error == 1235 && reply.message.find("crossfade: ") != std::string::npos; }

}  // namespace

Runner::Runner(const std::vector<Schema>& schemas, const RunOptions& options)
    : schemas_(schemas), options_(options), generator_(schemas, options.seed * 7919 + 13), keys_(schemas.size()) {}

Runner::~Runner() = default;

absl::Status Runner::Connect() {
  for (size_t i = 0; i < 4; ++i) {
    auto session = std::make_unique<Session>();
    session->index = i;
    session->schema = i % schemas_.size();
    session->setup = {"SET timestamp = 1700000100", "SET innodb_lock_wait_timeout = 4"};
    if (i == 1) session->flags = CLIENT_FOUND_ROWS;
    if (i == 2) session->setup.push_back("SET sql_mode = ''");
    if (i == 3) {
      session->setup.push_back("SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'");
      session->lexis = {true, true};
    }
    for (bool proxied : {true, false}) {
      auto client = Client::Connect({.port = proxied ? options_.proxied_port : options_.direct_port, .database = schemas_[session->schema].name, .flags = session->flags});
      if (!client.ok()) return client.status();
      (proxied ? session->a : session->b) = std::make_unique<Client>(*std::move(client));
    }
    for (const std::string& sql : session->setup) {
      if (absl::Status status = BothText(*session, "set", sql); !status.ok()) return status;
    }
    sessions_.push_back(std::move(session));
  }
  auto observer = Client::Connect({.port = options_.observer_port});
  if (!observer.ok()) return observer.status();
  observer_ = std::make_unique<Client>(*std::move(observer));
  auto counter = Client::Connect({.port = options_.direct_port});
  if (!counter.ok()) return counter.status();
  counter_ = std::make_unique<Client>(*std::move(counter));
  for (Client* client : {observer_.get(), counter_.get()}) {
    if (!client->Query("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED").ok()) return absl::InternalError("isolation level");
  }
  return absl::OkStatus();
}

absl::Status Runner::Run(const std::string& phase, const Mode& mode, int count) {
  phase_ = phase;
  mode_ = mode;
  generator_.set_mode(mode);
  counts_.clear();
  refusals_.clear();
  statements_ = prepared_ = errors_ = refused_ = waits_ = rows_ = 0;
  script_.push_back("-- phase " + phase);
  if (absl::Status status = RefreshKeys(); !status.ok()) return status;
  while (statements_ < static_cast<uint64_t>(count)) {
    if (statements_ % 150 == 0) {
      if (absl::Status status = CountRows(); !status.ok()) return status;
    }
    if (absl::Status status = Step(); !status.ok()) return status;
  }
  for (auto& session : sessions_) {
    if (absl::Status status = BothText(*session, "commit", "COMMIT"); !status.ok()) return status;
  }
  holder_ = nullptr;
  return absl::OkStatus();
}

absl::Status Runner::CountRows() {
  for (size_t i = 0; i < schemas_.size(); ++i) {
    const Reply reply = counter_->Query(fmt::format("SELECT (SELECT COUNT(*) FROM {0}.{1}), (SELECT COUNT(*) FROM {0}.{2})", schemas_[i].name, schemas_[i].parent.name, schemas_[i].child.name));
    if (!reply.ok()) return absl::InternalError(reply.message);
    generator_.set_rows(i, std::stoull(*reply.rows[0][0]), std::stoull(*reply.rows[0][1]));
  }
  generator_.set_last_serial(last_serial_);
  return absl::OkStatus();
}

absl::Status Runner::RefreshKeys() {
  if (!mode_.either_key) return absl::OkStatus();
  for (size_t i = 0; i < schemas_.size(); ++i) {
    if (absl::Status status = keys_[i].Refresh(*observer_, schemas_[i]); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// A number stands for a key only where this session's snapshot has the key under that number.
bool Runner::NumbersAllowed(const Session& session) const {
  if (holder_ != nullptr && holder_ != &session) return false;
  return !session.in_transaction || !session.other_wrote_parent;
}

absl::Status Runner::Step() {
  Random& random = generator_.random();
  Session* session = holder_ != nullptr && random.Chance(65) ? holder_ : sessions_[random.Below(sessions_.size())].get();
  if (session->in_transaction && session->length > 12) {
    return BothText(*session, "end", random.Chance(60) ? "COMMIT" : "ROLLBACK");
  }
  const unsigned dice = static_cast<unsigned>(random.Below(100));
  if (dice < 10) return Control(*session);
  if (dice < 14) return Extras(*session);
  const bool may_write = holder_ == nullptr || holder_ == session;
  Statement statement;
  if (may_write && dice < 60) statement = generator_.Write(session->schema, session->lexis);
  else if (may_write && dice < 64) statement = generator_.LockingRead(session->schema, session->lexis);
  else statement = generator_.Read(session->schema, session->lexis);
  return Both(*session, statement);
}

// Transactions, savepoints and what the session itself is asked to change.
absl::Status Runner::Control(Session& session) {
  Random& random = generator_.random();
  const char* savepoint = random.OneOf({"s1", "s2", "`S 3`"});
  if (session.in_transaction) {
    switch (random.Below(6)) {
      case 0: return BothText(session, "savepoint", fmt::format("SAVEPOINT {}", savepoint));
      case 1: return BothText(session, "rollback to", fmt::format("ROLLBACK TO {}{}", random.OneOf({"", "SAVEPOINT "}), savepoint));
      case 2: return BothText(session, "release", fmt::format("RELEASE SAVEPOINT {}", savepoint));
      case 3: return BothText(session, "rollback", random.OneOf({"ROLLBACK", "rollback work", "ROLLBACK AND CHAIN"}));
      case 4: return BothText(session, "autocommit on", "SET autocommit = 1");
      default: return BothText(session, "commit", random.OneOf({"COMMIT", "commit", "COMMIT AND CHAIN", "/* done */ COMMIT"}));
    }
  }
  switch (random.Below(8)) {
    case 0: return BothText(session, "autocommit off", "SET autocommit = 0");
    case 1: return BothText(session, "autocommit on", "SET autocommit = 1");
    case 2: return BothText(session, "begin", "START TRANSACTION READ ONLY");
    case 3: return BothText(session, "begin", "START TRANSACTION WITH CONSISTENT SNAPSHOT");
    case 4: {
      const size_t next = random.Below(schemas_.size());
      session.schema = next;
      // Kept statements belong to the schema they were prepared in.
      session.kept_a.clear();
      session.kept_b.clear();
      return BothText(session, "use", "USE " + schemas_[next].name);
    }
    default: return BothText(session, "begin", random.OneOf({"BEGIN", "START TRANSACTION", "begin work"}));
  }
}

// What an application asks about its last statement, and statements that touch nothing that migrates.
absl::Status Runner::Extras(Session& session) {
  Random& random = generator_.random();
  switch (random.Below(6)) {
    case 0: return BothText(session, "row count", "SELECT ROW_COUNT()");
    case 1: return BothText(session, "last insert id", "SELECT LAST_INSERT_ID()");
    case 2: return BothText(session, "show warnings", "SHOW WARNINGS", false);
    case 3:
      // Of the SELECT just before; what it says after a write is the server's private matter (it counts subqueries).
      if (!session.after_select) return BothText(session, "row count", "SELECT ROW_COUNT()");
      return BothText(session, "found rows", "SELECT FOUND_ROWS()");
    case 4: return BothText(session, "timestamp", fmt::format("SET timestamp = {}", 1700000100 + random.Below(100000)));
    default: {
      const Schema& schema = schemas_[session.schema];
      return BothText(session, "other", fmt::format("SELECT * FROM {} ORDER BY id LIMIT 3", schema.other.name));
    }
  }
}

absl::Status Runner::BothText(Session& session, const std::string& label, const std::string& sql, bool ordered) {
  Statement statement;
  statement.label = label;
  statement.schema = session.schema;
  statement.pieces.push_back({sql, std::nullopt, false});
  statement.ordered = ordered;
  return Both(session, statement);
}

Reply Runner::Send(Session& session, bool proxied, const Statement& statement, const Rendered& rendered) {
  Client& client = proxied ? *session.a : *session.b;
  if (!statement.prepared) return client.Query(rendered.sql);
  auto& kept = proxied ? session.kept_a : session.kept_b;
  auto found = kept.find(rendered.sql);
  if (found == kept.end()) {
    if (kept.size() >= kKeptStatements) kept.clear();
    std::unique_ptr<servers::Statement> fresh;
    Reply reply = client.Prepare(rendered.sql, &fresh);
    if (fresh == nullptr) return reply;
    found = kept.emplace(rendered.sql, std::move(fresh)).first;
  }
  return found->second->Execute(rendered.parameters);
}

absl::Status Runner::Both(Session& session, const Statement& statement) {
  const Schema& schema = schemas_[session.schema];
  const KeyMap& keys = keys_[session.schema];
  NewKeyOf number;
  if (mode_.either_key && NumbersAllowed(session)) number = [&](const std::string& key) { return keys.Number(key); };
  const Rendered for_a = Render(statement, session.lexis, number);
  const Rendered for_b = Render(statement, session.lexis, nullptr);
  // Where the server knows that no row matches (a = 'x' AND a = 'y') it reads nothing, and the transaction's snapshot is
  // not taken yet. With the new key in one of the conditions it may have to read. So the snapshot is taken here.
  const bool opens = !session.snapshot && (session.in_transaction || !session.autocommit) && statement.label.find("select") == 0 && !statement.locks;
  if (opens && (mode_.new_cohort || for_a.sql != for_b.sql || for_a.parameters != for_b.parameters)) {
    session.snapshot = true;
    if (absl::Status status = BothText(session, "other", fmt::format("SELECT id FROM {} ORDER BY id LIMIT 1", schema.other.name)); !status.ok()) return status;
  }
  script_.push_back(fmt::format("/* {} {} */ {}", session.index, schema.name, Script(for_a)));
  ++statements_;
  ++counts_[statement.label];
  if (statement.prepared) ++prepared_;

  Reply a = Send(session, true, statement, for_a);
  // MySQL compares literals with an integer column at PREPARE already (docs/rewriting.md, What the application may notice).
  const bool made = statement.prepared && schema.integer_keys && number != nullptr && mode_.engine == servers::Engine::kMySql &&
                    std::any_of(statement.pieces.begin(), statement.pieces.end(), [](const Piece& piece) { return piece.value && piece.value->as_number && !piece.bound; });
  const bool at_prepare = made && a.error == 1292;
  if (at_prepare) a.error = 1235, a.message = "crossfade: (the server's) " + a.message;
  if (Refused(a)) {
    // Where old keys are given up, a session that cannot be given numbers asks for what is refused.
    const bool asks_old = statement.no_old_keys && number == nullptr &&
                          std::any_of(statement.pieces.begin(), statement.pieces.end(), [](const Piece& piece) { return piece.value && piece.value->as_number; });
    const bool expected = at_prepare || (mode_.both_sides && (statement.refusable || asks_old)) || options_.survey;
    if (options_.survey && !statement.refusable) ++refusals_[fmt::format("UNTAGGED {}: {}\n        {}", statement.label, a.message, Script(for_a))];
    // What the server itself would not run may be refused as well.
    const bool would_fail = !expected && !statement.locks && Send(session, false, statement, for_b).error != 0;
    if (!expected && !would_fail) return Differs(session, statement, "refused: " + a.message, a, a);
    ++refused_;
    ++refusals_[a.message];
    script_.back() += "  -- refused";
    // It did not come to the server: what this has to say of the last statement is about another one on each side.
    return BothText(session, "other", fmt::format("SELECT id FROM {} ORDER BY id LIMIT 1", schema.other.name));
  }
  if (WaitedInVain(a)) {
    // The migrator held the row: the transaction ends on both sides, and the run goes on.
    // Directly it runs in a transaction that is rolled back: it takes the same AUTO_INCREMENT values.
    ++waits_;
    script_.back() += "  -- waited in vain";
    if (!session.in_transaction) session.b->Query("BEGIN");
    Send(session, false, statement, for_b);
    return BothText(session, "rollback", "ROLLBACK");
  }
  const Reply b = Send(session, false, statement, for_b);
  // MariaDB goes on behind the first error of a row, to the lookup that has one of ours (docs/rewriting.md, What the application may notice).
  if (statement.label == "show warnings" && mode_.both_sides && mode_.engine == servers::Engine::kMariaDb && !b.rows.empty() && b.rows[0][0] == "Error") {
    std::erase_if(a.rows, [](const auto& row) { return row[1] == "1690" && row[2].value_or("").find("18446744073709551615 + (3 + (") != std::string::npos; });
  }
  Comparison how;
  how.schema = &schema;
  how.mode = &mode_;
  how.keys = &keys;
  if (statement.locks) {
    // The servers count rows that subqueries read into "at row N": with the lookups of new references, N is higher.
    const bool looks_up = mode_.both_sides && (statement.label.find("insert") == 0 || statement.label.find("replace") == 0);
    session.any_row = looks_up || statement.label.find("update") == 0 || statement.label.find("select") != std::string::npos;
  }
  how.any_row = session.any_row;
  how.other_text = for_a.sql != for_b.sql || for_a.parameters != for_b.parameters;
  const bool writes_parent = statement.locks && statement.label.find("select") != 0;
  if (writes_parent || statement.label == "rollback" || statement.label == "rollback to" || statement.label == "end") {
    if (absl::Status status = RefreshKeys(); !status.ok()) return status;
  }
  if (std::string what = Difference(a, b, statement, how); !what.empty()) return Differs(session, statement, what, a, b);
  rows_ += b.rows.size();
  if (!b.ok()) ++errors_;
  if (b.insert_id > 0 && schema.child.key().kind == twin::Kind::kSerial) last_serial_ = std::max<int64_t>(last_serial_, static_cast<int64_t>(b.insert_id + b.affected));

  // MariaDB leaves FOUND_ROWS() as it was after an aggregate over no rows at all: it may be that of a hidden SELECT.
  session.after_select = b.ok() && b.has_rows && statement.label.find("select") == 0 && statement.label != "select aggregate";
  const bool was_in_transaction = session.in_transaction;
  if (b.ok()) {
    session.in_transaction = (b.status & kInTransaction) != 0;
    session.autocommit = (b.status & kAutocommit) != 0;
  } else if (!session.autocommit && statement.locks) {
    session.in_transaction = true;  // the failed statement may have begun it, and holds locks
  }
  if (!session.in_transaction) session.snapshot = false;
  if (!was_in_transaction && session.in_transaction) {
    session.length = 0;
    session.other_wrote_parent = false;
  }
  ++session.length;
  if (writes_parent) {
    for (auto& other : sessions_) {
      if (other.get() != &session) other->other_wrote_parent = true;
    }
  }
  if (session.in_transaction && statement.locks) holder_ = &session;
  if (!session.in_transaction && holder_ == &session) holder_ = nullptr;
  // Warnings are read at once, as careful applications do.
  if (b.warnings > 0 && statement.label != "show warnings" && generator_.random().Chance(60)) return BothText(session, "show warnings", "SHOW WARNINGS", false);
  return absl::OkStatus();
}

absl::Status Runner::Differs(const Session& session, const Statement& statement, const std::string& what, const Reply& a, const Reply& b) {
  std::string text = fmt::format("seed {}, phase {}, statement {}, session {}, shape '{}': {}\n", options_.seed, phase_, statements_, session.index, statement.label, what);
  text += "  proxied: " + Describe(a) + "\n  direct:  " + Describe(b) + "\n  the last statements:\n";
  const size_t first = script_.size() > 12 ? script_.size() - 12 : 0;
  for (size_t i = first; i < script_.size(); ++i) text += "    " + script_[i] + "\n";
  SaveScript();
  if (!options_.script_file.empty()) text += "  the whole script: " + options_.script_file;
  return absl::InternalError(text);
}

void Runner::SaveScript() const {
  if (options_.script_file.empty()) return;
  std::string all;
  for (const std::string& line : script_) all += line + "\n";
  servers::WriteFile(options_.script_file, all);
}

std::string Runner::Summary() const {
  std::string text = fmt::format("{} statements ({} prepared), {} rows, {} errors alike, {} refused, {} waited in vain", statements_, prepared_, rows_, errors_, refused_, waits_);
  std::map<std::string, uint64_t> reasons;
  for (const auto& [reason, count] : refusals_) reasons[reason] += count;
  for (const auto& [reason, count] : reasons) text += fmt::format("\n      refused {} times: {}", count, reason);
  return text;
}

}  // namespace crossfade::twin
