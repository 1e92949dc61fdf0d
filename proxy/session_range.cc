// SPDX-License-Identifier: Apache-2.0
// Statements whose error tells the proxy something. INSERT … SELECT into a table whose new keys are numbers runs with a range of
// them, and where there were more rows than numbers the server says so instead of writing any, and it runs again with a longer one
// (rewrite/rule_insert_keys.cc). A write of a new column fails where the old one would not give it back (rewrite/rule_columns.cc).
#include "proxy/session.h"

#include <algorithm>
#include <utility>

#include "fmt/format.h"
#include "protocol/frame.h"
#include "protocol/reply.h"
#include "proxy/guarded_statement.h"
#include "proxy/prepared_statement.h"
#include "proxy/io_thread.h"
#include "proxy/ranged_statement.h"
#include "proxy/server.h"

namespace crossfade::proxy {
namespace {

constexpr uint64_t kFirstRange = 64, kGrowth = 64;

}  // namespace

awaitable<Session::Action> Session::BeginRange(RangedStatement ranged) {
  ranged_ = std::make_unique<RangedStatement>(std::move(ranged));
  ranged_->rows = std::min<uint64_t>(kFirstRange, limits().insert_select_rows);
  thread_->metrics()->rewritten.Add();
  co_return co_await SendRanged();
}

// Puts the statement into outgoing_.
awaitable<Session::Action> Session::SendRanged() {
  RangedStatement& ranged = *ranged_;
  ranged.keys.clear();
  const bool enough = co_await TakeKeys(ranged.plan->key_slots, &ranged.keys, ranged.rows);
  if (closing_) co_return kEnd;
  if (!enough) co_return co_await NoKeys(ranged.plan->key_slots);
  rewrite::Form form = rewrite::Form::kPlain;
  if (ranged.plan->Exposed()) {
    const std::string_view sql = ranged.statement != nullptr ? ranged.statement->text : ranged.sql;
    const bool alive = co_await ChooseForm(*ranged.plan, sql, /*guards=*/false, &form);
    if (!alive) co_return kEnd;
  }
  if (form == rewrite::Form::kMarked && ranged.statement != nullptr) {
    const Action prepared = co_await Variant(ranged.statement, ranged.plan, ranged.statement->facts, form, &ranged.id);
    if (prepared != kRelay) {
      EndRange(0);
      co_return prepared;
    }
  }
  if (!StillMayGoOn(*ranged.plan)) {  // it waited for keys
    EndRange(0);
    co_return co_await Refuse(kNoLease);
  }
  if (ranged.plan->key_slots[0].variable) {
    bool done = false;
    const bool alive = co_await HiddenStatement(fmt::format("SET @{} = {}", rewrite::kRowVariable, ranged.keys[0] - 1), &done);
    if (!alive) co_return kEnd;
    if (!done) {
      EndRange(0);
      co_return co_await Refuse("the backend did not take the new keys; try again");
    }
  }
  outgoing_.clear();
  bool fits = true;
  if (ranged.statement != nullptr) {
    ranged.statement->long_data = ranged.long_data;
    fits = Build(ranged.statement, ranged.id, ranged.execute, ranged.plan.get(), ranged.keys);
  } else {
    const absl::StatusOr<std::string> text = rewrite::Render(*ranged.plan, *facts_, pinned_->snapshot->catalog.dialect, ranged.sql, ranged.keys, form);
    if (!text.ok()) co_return co_await Refuse(std::string(text.status().message()));
    const std::string command = ranged.head + *text;
    if (GrowsTooLong(command.size(), ranged.head.size() + ranged.sql.size())) {
      EndRange(0);
      co_return co_await Refuse(kTooLong);
    }
    fits = protocol::AppendFrames(command, 0, &outgoing_) == command_frames_;
  }
  if (fits && form == rewrite::Form::kMarked) marking_ = ranged.plan;
  if (fits) co_return kRelay;
  outgoing_.clear();
  EndRange(0);
  co_return co_await Refuse(kNearFrame);
}

// The error that the backend replies with, without taking it out of its buffer: its bytes. 0: it is none, or the connection is lost,
// which who relays the reply meets again.
awaitable<size_t> Session::HeadError(protocol::ErrPacket* error) {
  for (;;) {
    const std::string_view bytes = backend_.in().data();
    size_t need = protocol::kFrameHeader + 1;
    if (bytes.size() >= need && static_cast<uint8_t>(bytes[protocol::kFrameHeader]) == 0xFF) need = protocol::kFrameHeader + protocol::ParseFrameHeader(bytes.data()).length;
    if (bytes.size() < need) {
      Stream::ReadResult read = co_await backend_.ReadMore();
      if (std::get<0>(read)) co_return 0;
      continue;
    }
    if (static_cast<uint8_t>(bytes[protocol::kFrameHeader]) != 0xFF) co_return 0;
    const bool parsed = protocol::ParseErr(bytes.substr(protocol::kFrameHeader, need - protocol::kFrameHeader), capabilities_, error);
    co_return parsed ? need : 0;
  }
}

// The reply to a statement that fails by itself: where a parent is not found, or a new column's value would not come back. kRelay: it did not.
awaitable<Session::Action> Session::CheckedReply() {
  if (guarded_ != nullptr && guarded_->plan != nullptr) {
    const Action action = co_await GuardedReply();
    if (action != kRelay) no_way_back_.clear();  // or the next command's reply would be looked at, which may have none
    if (no_way_back_.empty()) co_return action;
  }
  const std::string why = std::exchange(no_way_back_, {});
  protocol::ErrPacket error;
  const size_t size = co_await HeadError(&error);
  if (size == 0) {
    const std::string_view bytes = backend_.in().data();
    if (bytes.size() > protocol::kFrameHeader && static_cast<uint8_t>(bytes[protocol::kFrameHeader]) == 0xFB) no_way_back_ = why;  // LOAD LOCAL: behind the file
    co_return kRelay;
  }
  if (!rewrite::IsPastAllNumbers(error.code, error.message)) co_return kRelay;
  backend_.in().Consume(size);
  co_return co_await Refuse(why);
}

// … behind the client's file. False: the connection is lost. `*answered`: the client has its reply.
awaitable<bool> Session::CheckedLoad(bool* answered) {
  const std::string why = std::exchange(no_way_back_, {});
  protocol::ErrPacket error;
  const size_t size = co_await HeadError(&error);
  *answered = size != 0 && rewrite::IsPastAllNumbers(error.code, error.message);
  if (!*answered) co_return true;
  const auto sequence = static_cast<uint8_t>(backend_.in().data()[protocol::kFrameHeader - 1]);
  (void)tracker_.Feed(backend_.in().data().substr(0, size));
  backend_.in().Consume(size);
  thread_->metrics()->refused.Add();
  co_return co_await SendError(sequence, 1235, "42000", "crossfade: " + why);
}

// Looks at the head of the reply, and runs the statement again as long as it says that the range was too short. kRelay: the
// reply in the backend's buffer is the client's.
awaitable<Session::Action> Session::RangeReply() {
  for (;;) {
    protocol::ErrPacket error;
    const size_t need = co_await HeadError(&error);
    if (need == 0) {
      const std::string_view bytes = backend_.in().data();
      ranged_->counted = bytes.size() > protocol::kFrameHeader && bytes[protocol::kFrameHeader] == 0;  // of RETURNING and ANALYZE there are rows, and no number behind them
      co_return kRelay;
    }
    if (!rewrite::IsPastRange(error.code, error.message)) {
      if (ranged_->plan->no_way_back.empty() || !rewrite::IsPastAllNumbers(error.code, error.message)) co_return kRelay;
      backend_.in().Consume(need);
      EndRange(0);
      co_return co_await Refuse(ranged_->plan->no_way_back);
    }
    backend_.in().Consume(need);
    EndRange(0);
    const uint64_t most = limits().insert_select_rows;
    if (ranged_->rows >= most) {
      co_return co_await Refuse(fmt::format("INSERT … SELECT gives more than limits.insert_select_rows ({}) rows, each of which needs a new key; send it in parts", most));
    }
    ranged_->rows = std::min(most, ranged_->rows * kGrowth);
    const Action sent = co_await SendRanged();
    if (sent != kRelay) co_return sent;
    tracker_.Start(protocol::ReplyTracker::Kind::kGeneric, capabilities_, AfterCommand());
    tracker_.set_status(status_);
    const ErrorCode ec = co_await backend_.Write(outgoing_);
    outgoing_.clear();
    if (ec) co_return kRelay;  // the backend's last words may still be readable
  }
}

// Gives back what is left of the range behind the first `used`.
void Session::EndRange(uint64_t used) {
  if (ranged_ == nullptr || ranged_->keys.size() != 2 || pinned_ == nullptr) return;
  thread_->keys()->GiveBack(*pinned_->snapshot, ranged_->plan->key_slots[0], ranged_->keys[0] + used, ranged_->keys[1] + 1);
  ranged_->keys.clear();
}

// The reply is with the client.
void Session::RangeDone() {
  const bool replied = tracker_.state() == protocol::ReplyTracker::State::kDone;
  if (replied && tracker_.is_error()) EndRange(0);
  else if (replied && ranged_->counted && ranged_->plan->key_slots[0].exact) EndRange(std::min(ranged_->rows, tracker_.affected_rows()));
  ranged_.reset();
}

}  // namespace crossfade::proxy
