// SPDX-License-Identifier: Apache-2.0
// Replies that are changed on their way: questions for the schema, whose answers leave out what a migration added.
#include "fmt/format.h"
#include "protocol/codec.h"
#include "protocol/reply_editor.h"
#include "proxy/prepared_statement.h"
#include "proxy/session.h"
#include "rewrite/hidden.h"
#include "rewrite/names.h"

namespace crossfade::proxy {
using protocol::Command;
using protocol::ReplyTracker;

namespace {
constexpr size_t kMostDefinitions = 1 << 20;  // bytes
}

// The definitions of the columns of the client's own text: `command` prepares it, or runs it (its rows are thrown away).
// Empty: the backend refuses it, and will tell the client so.
awaitable<bool> Session::DefinitionsOf(std::string_view command, std::vector<std::string>* definitions) {
  thread_->metrics()->hidden_statements.Add();
  const bool prepares = static_cast<Command>(command[0]) == Command::kStmtPrepare;
  uint8_t sequence = 0;
  const bool sent = co_await WriteMessage(&backend_, &sequence, command);
  if (!sent) co_return false;
  ReplyTracker tracker;
  tracker.Start(prepares ? ReplyTracker::Kind::kPrepare : ReplyTracker::Kind::kGeneric, capabilities_, sequence);
  tracker.set_status(status_);
  std::string reply;
  while (tracker.state() == ReplyTracker::State::kMore) {
    if (backend_.in().empty()) {
      Stream::ReadResult read = co_await backend_.ReadMore();
      if (std::get<0>(read)) co_return Fail("the backend closed during a hidden statement");
    }
    const size_t size = tracker.Feed(backend_.in().data());
    if (reply.size() < kMostDefinitions) reply.append(backend_.in().data().substr(0, size));
    backend_.in().Consume(size);
  }
  if (tracker.state() != ReplyTracker::State::kDone || !backend_.in().empty()) co_return Fail("malformed reply to a hidden statement");
  if (tracker.is_error()) co_return true;
  *definitions = protocol::ColumnDefinitionsOf(reply, capabilities_, prepares);
  if (!prepares) co_return true;
  protocol::Writer close;
  close.U8(static_cast<uint8_t>(Command::kStmtClose));
  close.U32(tracker.statement_id());
  sequence = 0;
  co_return co_await WriteMessage(&backend_, &sequence, close.out());
}

// Has the reply to this command changed as the plan says. `sql`: the client's own text; `own`: the command that would run it
// as it is. `binary`: it is an execution of a prepared statement.
awaitable<bool> Session::EditReplies(const std::shared_ptr<const rewrite::Plan>& plan, std::string_view sql, std::string_view own, bool binary) {
  if (plan->replies.empty()) co_return true;
  std::vector<std::string> definitions;
  const rewrite::ReplyEdit::Kind kind = plan->replies[0].kind;
  if (kind == rewrite::ReplyEdit::kDefinitions || kind == rewrite::ReplyEdit::kDefinitionsByRun) {
    std::string command(own);
    if (kind == rewrite::ReplyEdit::kDefinitions) {
      command.assign(1, static_cast<char>(Command::kStmtPrepare));
      command += sql;
    }
    const bool alive = co_await DefinitionsOf(command, &definitions);
    if (!alive) co_return false;
  }
  protocol::ReplyEditor::Row row = [plan](uint32_t result, const std::vector<std::string>& names, std::vector<rewrite::ReplyCell>* cells, bool* changed) {
    for (const rewrite::ReplyEdit& edit : plan->replies) {
      if (edit.result == result && !rewrite::EditRow(edit, names, cells, changed)) return false;
    }
    return true;
  };
  editor_ = std::make_unique<protocol::ReplyEditor>(capabilities_, binary, AfterCommand(), std::move(row));
  editor_->ReplaceDefinitions(std::move(definitions));
  co_return true;
}

awaitable<bool> Session::EditExecution(const std::shared_ptr<const rewrite::Plan>& plan, PreparedStatement* statement, const protocol::Execute& client) {
  protocol::Execute own = client;
  own.statement_id = statement->id;
  own.new_types = true;
  const std::string command = protocol::BuildExecute(own, capabilities_);
  co_return co_await EditReplies(plan, statement->text, command, /*binary=*/true);
}

awaitable<Session::Action> Session::FieldList(std::string_view payload) {
  if (pinned_ == nullptr || pinned_->snapshot->hidden == nullptr || pinned_->snapshot->hidden->tables.empty()) co_return kRelay;
  const bool learnt = co_await LearnFacts();
  if (!learnt) co_return kEnd;
  const std::string_view table = payload.substr(1, payload.find('\0', 1) - 1);
  const auto hidden = facts_known_ ? pinned_->snapshot->hidden->Find(facts_->schema, table) : nullptr;
  if (hidden != nullptr) {
    std::function<bool(std::string_view)> keep = [hidden](std::string_view column) { return hidden->Find(column) == nullptr; };
    editor_ = std::make_unique<protocol::ReplyEditor>(capabilities_, AfterCommand(), std::move(keep));
  }
  co_return kRelay;
}

// The default schema may be INFORMATION_SCHEMA now: then a text need not say so to read its tables.
void Session::MayEnterInformation(std::string_view schema) {
  if (rewrite::NameEq(schema, "information_schema")) in_information_ = true;
}

awaitable<bool> Session::RelayEdited() {
  std::string out;
  for (bool sent = false;;) {
    if (backend_.in().empty()) {
      Stream::ReadResult read = co_await backend_.ReadMore();
      // With a part of the reply sent already, nothing can be told the client any more.
      if (std::get<0>(read) && !sent) co_return co_await RelayReply(std::get<0>(read), 0, {});
      if (std::get<0>(read)) co_return Fail("the backend closed within a reply");
    }
    const size_t fed = tracker_.Feed(backend_.in().data());
    out.clear();
    const bool good = tracker_.state() != ReplyTracker::State::kMalformed && tracker_.state() != ReplyTracker::State::kLocalInfile &&
                      editor_->Feed(backend_.in().data().substr(0, fed), &out);
    if (!good) {
      if (!sent) (void)co_await SendError(AfterCommand(), 1105, "HY000", "crossfade: malformed packet from the backend");
      co_return Fail("malformed packet from the backend");
    }
    backend_.in().Consume(fed);
    if (!out.empty()) {
      const ErrorCode ec = co_await client_.Write(out);
      if (ec) co_return Fail(fmt::format("the client left in the middle of a reply: {}", ec.message()));
      sent = true;
    }
    if (tracker_.state() == ReplyTracker::State::kDone) co_return true;
  }
}

}  // namespace crossfade::proxy
