// SPDX-License-Identifier: Apache-2.0
// Strategy B (rewrite/row_image.h): an UPDATE whose new side no assignment can be sure of. Its rows are locked and noted, it is run on
// them, and what it stored is read into their new side, all in one transaction: the client's, or one of its own. The client
// sees the reply to its own statement alone, and what it asks of that afterwards is answered as if nothing had come behind it, or
// refused.
//
//   outside of a transaction: SET TRANSACTION, SET autocommit = 0, SELECT … FOR UPDATE, the statement, UPDATE …, COMMIT, SET autocommit = 1
//   inside one: SELECT … FOR UPDATE, SAVEPOINT, the statement, UPDATE …, RELEASE SAVEPOINT
//
// START TRANSACTION is not used: it would end LOCK TABLES. From REPEATABLE READ on the SELECT locks the gaps too, and the statement is
// the client's own. Inside of a transaction at a lower level, or at one that SET TRANSACTION may have set for it alone, other rows may
// come to fit meanwhile: there it gets the keys that were noted.
#include "fmt/format.h"
#include "protocol/codec.h"
#include "proxy/comparisons.h"
#include "proxy/execution_text.h"
#include "proxy/prepared_statement.h"
#include "proxy/session.h"
#include "proxy/sql_words.h"
#include "rewrite/lexer.h"
#include "rewrite/names.h"
#include "rewrite/row_image.h"

namespace crossfade::proxy {
using protocol::Command;
using protocol::ReplyTracker;

namespace {

constexpr size_t kRepaired = 500;  // rows, by one statement
constexpr size_t kMostShown = 1 << 20;  // bytes of SHOW WARNINGS
constexpr size_t kMostOfRow = 16 << 10;  // bytes of the keys of one row, in hexadecimal

// Up to such a statement MariaDB keeps what there was to tell.
bool MayUseTables(std::string_view text) {
  for (const char* word : {"from", "into", "insert", "replace", "update", "table", "tables", "call", "show", "execute", "load", "truncate", "use"})
    if (ContainsWord(text, word)) return true;
  return false;
}

// SHOW WARNINGS and nothing else.
bool IsShowWarnings(std::string_view text) {
  std::string folded;
  for (const char c : rewrite::FoldName(text)) {
    const bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ';';
    if (!blank) folded += c;
    else if (!folded.empty() && folded.back() != ' ') folded += ' ';
  }
  while (!folded.empty() && folded.back() == ' ') folded.pop_back();
  return folded == "show warnings";
}

// SELECT ROW_COUNT() [[AS] name] and SET @x = ROW_COUNT() with what that was in its place, of the same type and under the same name; of
// any other text nothing. IF has the type of both its branches (LONGLONG, 21 digits, NOT NULL).
std::string WithRowCount(std::string_view text, int64_t count, const rewrite::SessionFacts& facts, const rewrite::Dialect& dialect) {
  rewrite::TokenList list;
  if (!rewrite::Lex(text, facts, dialect, &list).ok()) return {};
  const auto is = [&](size_t i, std::string_view word) { return i < list.tokens.size() && rewrite::NameEq(list.Text(static_cast<uint32_t>(i)), word); };
  const size_t size = list.tokens.size() - (list.tokens.size() > 1 && is(list.tokens.size() - 2, ";") ? 2 : 1);  // without ; and the end
  const size_t at = is(0, "select") ? 1 : is(0, "set") && size == 6 && list.tokens[1].kind == rewrite::TokenKind::kUserVar && (is(2, "=") || is(2, ":=")) ? 3 : 0;
  if (at == 0 || size < at + 3 || !is(at, "row_count") || !is(at + 1, "(") || !is(at + 2, ")")) return {};
  const std::string_view asked = text.substr(list.tokens[at].begin, list.tokens[at + 2].end - list.tokens[at].begin);
  // Of a version comment its name has a blank, of a long one the beginning.
  if (asked.size() > 255 || asked.find("/*!") != std::string_view::npos || asked.find("/*M!") != std::string_view::npos) return {};
  std::string name;
  if (at == 1) {
    const size_t alias = is(4, "as") ? 5 : 4;
    const bool named = size == alias + 1 && (list.tokens[alias].kind == rewrite::TokenKind::kWord || list.tokens[alias].kind == rewrite::TokenKind::kQuotedName);
    if (size != 4 && !named) return {};
    if (size == 4) name = " AS " + rewrite::QuoteName(asked);
  }
  std::string out(text.substr(0, list.tokens[at].begin));
  out += fmt::format("IF(ROW_COUNT() IS NULL, ROW_COUNT(), {}){}", count, name);
  out += text.substr(list.tokens[at + 2].end);
  return out;
}

// The reply to SHOW WARNINGS, as it is outside of the transaction in which it was asked for: EOF and OK packets have the status at
// the same place.
void SetStatus(uint16_t status, std::string* reply) {
  status &= static_cast<uint16_t>(~0x4000u);  // SERVER_SESSION_STATE_CHANGED: of the reply that told it
  for (size_t at = 0; at + protocol::kFrameHeader <= reply->size();) {
    const size_t length = protocol::ParseFrameHeader(reply->data() + at).length;
    at += protocol::kFrameHeader;
    if (length >= 5 && length < 64 && static_cast<uint8_t>((*reply)[at]) == 0xFE) {
      (*reply)[at + 3] = static_cast<char>(status & 0xFF);
      (*reply)[at + 4] = static_cast<char>(status >> 8);
    }
    at += length;
  }
}

}  // namespace

awaitable<bool> Session::RunImageStep(std::string_view sql, uint64_t most, ImageStep* step) {
  *step = ImageStep();
  const std::string command = QueryCommand(sql);
  co_return co_await HiddenCommand(command, &step->tracker, &step->reply, most, &step->whole);
}

awaitable<bool> Session::ShowWarnings(std::string* reply, const char* limit) {
  ImageStep step;
  const std::string sql = std::string("SHOW WARNINGS") + limit;
  const bool alive = co_await RunImageStep(sql, kMostShown, &step);
  if (alive && step.whole && !step.failed()) *reply = std::move(step.reply);
  co_return alive;
}

// What was done since the rows were locked is taken back, and a transaction of our own is over.
awaitable<bool> Session::EndImage(bool own, bool savepoint, bool keep) {
  bool done = true;
  bool alive = true;
  if (own && !keep) alive = co_await HiddenUntil("ROLLBACK AND NO CHAIN NO RELEASE", protocol::kStatusInTrans, false, &done);
  if (alive && !done) co_return Fail("what a statement in steps had begun could not be undone");  // autocommit would commit it
  if (own && alive) alive = co_await HiddenUntil("SET autocommit = 1", protocol::kStatusAutocommit, true, &done);
  // A deadlock has ended the transaction and all its savepoints: then these fail, and nothing is left to be undone. Where the transaction
  // goes on, the session ends with it, lest one side be kept alone.
  if (!own && savepoint && !keep) alive = co_await HiddenStatement("ROLLBACK TO SAVEPOINT crossfade_image_5a8e1c", &done);
  if (!own && savepoint && !keep && alive) alive = co_await HiddenStatement("ROLLBACK TO SAVEPOINT crossfade_image_5a8e1c", &done);  // see HiddenUntil
  if (!own && alive && !done) {
    alive = co_await LearnTransactionState();
    if (alive && (status_ & protocol::kStatusInTrans) != 0) co_return Fail("what a statement in steps had done could not be undone");
  }
  if (!own && savepoint && alive) alive = co_await HiddenStatement("RELEASE SAVEPOINT crossfade_image_5a8e1c", &done);
  if (own && alive && !done) co_return Fail("autocommit could not be set to what it was");
  co_return alive;
}

// Sends the client the reply to its own statement, or the error that stands in its place. `committed`: the session's state that came with
// the COMMIT of a transaction of our own (the GTID, say), which is the statement's.
awaitable<Session::Action> Session::ImageReply(const ImageStep& step, bool own, std::string_view committed) {
  if (step.failed()) {
    if (MayEndTransaction(step.tracker.error_code()) && (status_ & protocol::kStatusInTrans) != 0) {
      const bool alive = co_await LearnTransactionState();
      if (!alive) co_return kEnd;
    }
    const std::string payload(step.tracker.last_packet());
    uint8_t sequence = AfterCommand();
    tracker_.set_status(status_);
    const bool sent = co_await WriteMessage(&client_, &sequence, payload);
    co_return sent ? kAnswered : kEnd;
  }
  protocol::OkPacket ok;
  if (!protocol::ParseOk(step.tracker.last_packet(), capabilities_, &ok)) {
    (void)Fail("malformed reply to a statement run in steps");
    co_return kEnd;
  }
  const uint16_t transaction = protocol::kStatusInTrans | protocol::kStatusAutocommit;
  if (own) {
    ok.status = static_cast<uint16_t>((ok.status & ~transaction) | (status_ & transaction));
    ok.session_state = committed;
    ok.status = static_cast<uint16_t>(committed.empty() ? ok.status & ~protocol::kStatusSessionStateChanged : ok.status | protocol::kStatusSessionStateChanged);
  }
  const std::string payload = protocol::BuildOk(ok, capabilities_);
  uint8_t sequence = AfterCommand();
  tracker_.set_status(ok.status);
  const bool sent = co_await WriteMessage(&client_, &sequence, payload);
  co_return sent ? kAnswered : kEnd;
}

awaitable<Session::Action> Session::RunImage(const std::shared_ptr<const rewrite::Plan>& plan, std::string_view sql) {
  const rewrite::Dialect dialect = pinned_->snapshot->catalog.dialect;
  const rewrite::SessionFacts facts = *facts_;
  const uint64_t most = limits().row_image_rows;
  const absl::StatusOr<std::string> select = rewrite::RenderImageSelect(*plan, facts, dialect, sql, most);
  if (!select.ok()) co_return co_await Refuse(std::string(select.status().message()));
  thread_->metrics()->rewritten.Add();
  const bool own = (status_ & protocol::kStatusInTrans) == 0 && (status_ & protocol::kStatusAutocommit) != 0;
  bool done = true, alive = true;
  std::vector<std::string> level;
  const std::string ask = fmt::format("SELECT CAST({} AS BINARY) LIMIT 1", dialect.flavor == rewrite::Flavor::kMariaDb ? "@@tx_isolation" : "@@transaction_isolation");
  alive = co_await HiddenQuery(ask, &level, &done);
  if (!alive) co_return kEnd;
  if (!done || level.size() != 1) co_return co_await Refuse("the isolation level, which a statement that takes several steps depends on, could not be read");
  const bool serializable = level[0] == "SERIALIZABLE", gaps = own || (!isolation_unsure_ && (serializable || level[0] == "REPEATABLE-READ"));
  if (own) alive = co_await HiddenStatement(serializable ? "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE" : "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", &done);
  if (!alive) co_return kEnd;
  if (own && done) alive = co_await HiddenUntil("SET autocommit = 0", protocol::kStatusAutocommit, false, &done);
  if (!alive) co_return kEnd;
  if (!done) co_return co_await Refuse("autocommit could not be switched off for a statement that takes several steps; begin a transaction");

  ImageStep step;
  alive = co_await RunImageStep(*select, std::min<uint64_t>(kMostShown + most * kMostOfRow, 1ull << 30), &step);
  if (!alive) co_return kEnd;
  if (!own && !step.failed()) status_ = step.tracker.status();  // with autocommit off, that began a transaction
  SideResult found;
  if (!step.failed() && step.whole) ParseSide(step.reply, capabilities_, &found);
  const bool told = step.failed() && OfTheMoment(step.tracker.error_code());
  rewrite::ImageRows rows;
  const bool few = found.ok && found.rows.size() <= most && rewrite::ImageRows::Of(*plan->image, found.rows, &rows);
  if (!step.failed() && !few) {
    alive = co_await EndImage(own, /*savepoint=*/false, /*keep=*/false);
    if (!alive) co_return kEnd;
    if (step.whole && found.rows.size() <= most) co_return co_await Refuse("the keys of the rows that the UPDATE finds could not be read");
    co_return co_await Refuse(fmt::format("the UPDATE finds more than limits.row_image_rows ({}) rows, whose new side has to be made one after the other; send it in parts", most));
  }
  auto last = std::make_unique<LastImage>();
  if (told) {
    last->told = true;
    alive = co_await ShowWarnings(&last->shown);
    if (alive) alive = co_await EndImage(own, false, false);
    if (!alive) co_return kEnd;
    const Action action = co_await ImageReply(step, own, {});
    last->count = -1;
    SetStatus(tracker_.status(), &last->shown);
    last_image_ = std::move(last);
    co_return action;
  }
  // What is wrong with the statement its own error says, in the server's words.
  ImageStep asked;
  const bool wrong = step.failed();
  if (wrong) {
    asked = std::move(step);
    (void)rewrite::ImageRows::Of(*plan->image, {}, &rows);
  }
  const absl::StatusOr<std::string> text = rewrite::RenderImageStatement(*plan, facts, dialect, sql, wrong || !gaps ? &rows : nullptr);
  std::string why = !text.ok() ? std::string(text.status().message()) : StillMayGoOn(*plan) ? "" : kNoLease;
  // What is wrong may be so before anything has begun a transaction: then nor do we.
  const bool savepoint = !own && !(wrong && (status_ & protocol::kStatusInTrans) == 0);
  if (why.empty() && savepoint) alive = co_await HiddenStatement("SAVEPOINT crossfade_image_5a8e1c", &done);
  if (!alive) co_return kEnd;
  if (!done) why = "the UPDATE takes several steps, and no savepoint can be set here (as in an XA transaction) to take them back to";
  if (!why.empty()) {
    alive = co_await EndImage(own, false, false);
    if (!alive) co_return kEnd;
    co_return co_await Refuse(std::move(why));
  }
  alive = co_await RunImageStep(*text, kMostShown, &step);
  if (!alive) co_return kEnd;
  last->told = step.failed() || step.tracker.warnings() > 0;
  if (last->told) alive = co_await ShowWarnings(&last->shown);
  if (!alive) co_return kEnd;
  bool good = !step.failed() && !wrong, warned = false;
  if (good) {
    for (const std::string& repair : rows.Repairs(kRepaired)) {
      ImageStep made;
      protocol::OkPacket ok;
      for (int i = 0; i < 3 && alive && ok.info.empty(); ++i) {  // an UPDATE says what it met, if it was run: see HiddenUntil
        alive = co_await RunImageStep(repair, kMostShown, &made);
        if (made.failed() || !protocol::ParseOk(made.tracker.last_packet(), capabilities_, &ok)) break;
      }
      if (!alive) co_return kEnd;
      if (!made.failed()) {
        warned = warned || made.tracker.warnings() > 0;
        continue;
      }
      step = std::move(made);
      good = false;
      *last = {true, {}};
      alive = co_await ShowWarnings(&last->shown);
      if (!alive) co_return kEnd;
      break;
    }
  } else if (!step.failed()) {
    step = std::move(asked);
  }
  if (warned && !last->told) {  // the client's statement did not
    last->told = true;
    alive = co_await ShowWarnings(&last->shown, " LIMIT 0");
    if (!alive) co_return kEnd;
  }
  std::string state;
  if (own && good) {
    // Where several servers have to agree, this is where they do not. It also uses up what SET TRANSACTION had said for this statement.
    ImageStep committed;
    for (int i = 0; i < 5 && alive; ++i) {  // see HiddenUntil
      alive = co_await RunImageStep("COMMIT AND NO CHAIN NO RELEASE", kMostShown, &committed);
      if (committed.failed() || (committed.tracker.status() & protocol::kStatusInTrans) == 0) break;
    }
    protocol::OkPacket ok;
    if (alive && !committed.failed() && protocol::ParseOk(committed.tracker.last_packet(), capabilities_, &ok)) state = ok.session_state;
    if (alive && committed.failed()) {
      step = std::move(committed);
      good = false;
      *last = {true, {}};
      alive = co_await ShowWarnings(&last->shown);
    }
  }
  if (alive) alive = co_await EndImage(own, savepoint, good);
  if (!alive) co_return kEnd;
  co_return co_await TellImage(step, own, state, plan->no_way_back, &last);
}

// The reply, and what can be asked of it afterwards.
awaitable<Session::Action> Session::TellImage(const ImageStep& step, bool own, const std::string& committed, const std::string& no_way_back, std::unique_ptr<LastImage>* last) {
  protocol::ErrPacket error;
  if (step.failed() && !no_way_back.empty() && protocol::ParseErr(step.tracker.last_packet(), capabilities_, &error) && rewrite::IsPastAllNumbers(error.code, error.message)) {
    co_return co_await Refuse(no_way_back);
  }
  const Action action = co_await ImageReply(step, own, committed);
  if (action == kEnd) co_return kEnd;
  protocol::OkPacket ok;
  if (*last != nullptr && step.failed()) (*last)->count = -1;
  else if (*last != nullptr && protocol::ParseOk(step.tracker.last_packet(), capabilities_, &ok)) (*last)->count = static_cast<int64_t>(ok.affected_rows);
  if (*last != nullptr) SetStatus(tracker_.status(), &(*last)->shown);
  last_image_ = std::move(*last);
  co_return action;
}

// The same of a prepared statement, whose values are written into its text: the rows that it is run on stand in that too.
awaitable<Session::Action> Session::ExecuteImage(PreparedStatement* statement, const protocol::Execute& execute, const rewrite::SessionFacts& facts,
                                                      const std::vector<uint32_t>& bytes) {
  statement->types_elsewhere = true;
  const bool pieces = !statement->long_data.empty();
  statement->long_data.clear();
  const bool same = facts_->schema == facts.schema && facts_->sql_mode == facts.sql_mode && facts_->charset == facts.charset;
  if (!same) co_return co_await Refuse("the schema, sql_mode or character set has changed since this statement was prepared; prepare it again");
  const rewrite::Snapshot& snapshot = *pinned_->snapshot;
  const std::optional<std::string> text = pieces ? std::nullopt : ExecutionText(statement->text, facts, snapshot.catalog.dialect, execute, bytes, converts_);
  if (!text) co_return co_await Refuse("the UPDATE takes several steps, and one of its parameters cannot be written as a literal of the same kind; send it as a text");
  const std::shared_ptr<const rewrite::Plan> plan = thread_->planner()->PlanQuery(snapshot, facts, *text);
  if (plan->strategy == rewrite::Strategy::kRefuse) co_return co_await Refuse(plan->reason);
  if (plan->strategy == rewrite::Strategy::kRowImage) co_return co_await RunImage(plan, *text);
  // As a literal its value may be sure enough for one statement.
  const absl::StatusOr<std::string> rendered = rewrite::Render(*plan, facts, snapshot.catalog.dialect, *text, {});
  if (!rendered.ok() || !plan->key_slots.empty()) co_return co_await Refuse("the statement has another plan with its values in it; send it as a text");
  thread_->metrics()->rewritten.Add();
  outgoing_.clear();
  const bool fits = protocol::AppendFrames(QueryCommand(*rendered), 0, &outgoing_) == command_frames_;
  if (fits) co_return kRelay;
  outgoing_.clear();
  co_return co_await Refuse(kNearFrame);
}

// The command behind such a statement. kAgain: it asks for nothing of it.
awaitable<Session::Action> Session::AfterImage(std::string_view payload) {
  const std::string_view text = TextOf(payload);
  const std::string then = last_image_->then;
  switch (static_cast<Command>(last_command_)) {
    case Command::kPing:
      last_image_->passed = true;
      last_image_->count.reset();
      co_return kAgain;
    case Command::kStatistics:
    case Command::kStmtSendLongData:
    case Command::kStmtClose: co_return kAgain;
    case Command::kStmtPrepare:
      if (AsksOfDiagnostics(text)) co_return kAgain;  // its execution asks
      if (!last_image_->count) break;
      // ROW_COUNT() stays, unless it fails.
      if (!mariadb_ || MayUseTables(text)) last_image_->told = false;
      last_image_->kept = true;
      co_return kAgain;
    default: break;
  }
  if (!then.empty()) {
    if (AsksOfDiagnostics(text)) co_return kAgain;
    last_image_.reset();
    bool done = false;
    const bool alive = co_await HiddenStatement(then, &done);
    co_return alive ? kAgain : kEnd;
  }
  const auto names = [&](std::initializer_list<std::string_view> words) { return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return ContainsWord(text, word); }); };
  const bool counted = last_image_->counted || last_image_->passed;
  const bool said = (last_image_->said || (counted && !names({"warning_count", "error_count", "found_rows"}))) && !names({"show", "diagnostics"});
  if (text.empty() || said || !AsksOfDiagnostics(text)) {
    last_image_->kept = mariadb_ && last_image_->told && !text.empty() && !MayUseTables(text);
    last_image_->passed = true;
    last_image_->count.reset();
    if (!last_image_->kept) last_image_.reset();
    co_return kAgain;
  }
  const bool counts = ContainsWord(text, "row_count") || ContainsWord(text, "found_rows");
  if (!last_image_->told && !counts) {  // the last step had nothing to tell either
    if (ContainsWord(text, "diagnostics")) last_image_->count.reset();
    else last_image_.reset();  // SHOW and SELECT: ROW_COUNT() is theirs from now on
    co_return kAgain;
  }
  if (static_cast<Command>(last_command_) == Command::kQuery && IsShowWarnings(text) && !last_image_->shown.empty()) {
    last_image_->count = -1;
    last_image_->passed = false;
    const ErrorCode ec = co_await client_.Write(last_image_->shown);
    co_return ec ? kEnd : kAnswered;
  }
  if (static_cast<Command>(last_command_) == Command::kQuery && last_image_->count && facts_known_ && facts_ != nullptr && pinned_ != nullptr) {
    const std::string known = WithRowCount(text, *last_image_->count, *facts_, pinned_->snapshot->catalog.dialect);
    if (!known.empty()) {
      last_image_->kept = mariadb_ && last_image_->told;
      last_image_->passed = true;
      last_image_->count.reset();
      if (!last_image_->kept) last_image_.reset();
      outgoing_.clear();
      const bool fits = protocol::AppendFrames(QueryCommand(known), 0, &outgoing_) == command_frames_;
      if (fits) co_return kRelay;
      outgoing_.clear();
    }
  }
  co_return co_await Refuse("the statement asks what became of one that took several steps; of these only its own reply, a plain SHOW WARNINGS and SELECT ROW_COUNT() tell");
}

}  // namespace crossfade::proxy
