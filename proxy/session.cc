// SPDX-License-Identifier: Apache-2.0
// Life and death of a session, and its command loop. See session.h.
#include "proxy/session.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include "fmt/format.h"
#include "protocol/reply_editor.h"
#include "proxy/guarded_statement.h"
#include "proxy/prepared_statement.h"
#include "proxy/ranged_statement.h"
#include "proxy/sql_words.h"
#include "spdlog/spdlog.h"

namespace crossfade::proxy {
namespace asio = boost::asio;
using protocol::Command;
using protocol::MessageReader;
using protocol::ReplyTracker;

namespace {
constexpr int kChunksBeforeYield = 16;  // of one reply, so that other sessions have their turn

// MySQL answers 1835 to commands without a reply that are cut short; MariaDB says nothing to them either.
bool AnsweredAllTheSame(Command command, size_t size) {
  return (command == Command::kStmtClose && size < 5) || (command == Command::kStmtSendLongData && size < 7);
}
}

Session::Session(IoThread* thread, uint64_t id, Socket client, const ListenerContext* listener, const protocol::SocketAddress& peer)
    : thread_(thread), id_(id), listener_(listener), peer_(peer), client_(std::move(client), thread->pool()),
      backend_(Socket(thread->io()), thread->pool()), reader_(thread->server()->config().limits.max_packet) {
  client_.set_unix_socket(listener->address.is_unix);
  backend_.set_unix_socket(listener->backend->address.is_unix);
  // Golden-ratio steps spread the tickets evenly over however few connections there are.
  static std::atomic<uint32_t> counter{0};
  ticket_ = static_cast<uint16_t>(counter.fetch_add(1, std::memory_order_relaxed) * 6181ull % 10'000);
}

Session::~Session() = default;

awaitable<void> Session::Run(std::unique_ptr<Session> self) {
  self->login_deadline_ = self->deadline_ = Clock::now() + self->thread_->server()->config().limits.handshake_timeout;
  try {
    const bool in = co_await self->Login();
    if (in) {
      self->deadline_ = {};
      self->since_ = Clock::now();
      self->authenticated_ = true;
      self->thread_->close_watch()->Add(self->backend_.socket().native_handle(), self->id_);
      self->thread_->metrics()->connections.Add();
      co_await self->Serve();
    } else {
      self->thread_->metrics()->connection_failures.Add();
      self->thread_->metrics()->Count(self->refusal_);
      if (self->ending_ == Ending::kLogin && self->greeted_) co_await self->LastWords();
    }
  } catch (const std::exception& error) {  // no memory for a large command, as a rule: what others know of the session has to go with it
    (void)self->Fail(error.what());
  }
  self->Finish();
}

void Session::Finish() {
  closing_ = true;
  EndRegistration();
  Unpin();
  GiveBack();
  client_.Close();
  backend_.Close();
  if (!fault_.empty()) {
    const std::string through = identity_.source == peer_ ? "" : " through " + protocol::ToText(peer_);
    spdlog::warn("session {} of '{}' from {}{}: {}", id_, user_, protocol::ToText(identity_.source), through, fault_);
  }
  thread_->Forget(id_);
}

bool Session::Refused(Refusal refusal, std::string reason) {
  if (fault_.empty()) refusal_ = refusal;
  return Fail(std::move(reason));
}

bool Session::Fail(std::string reason) {
  if (fault_.empty() && !closing_) fault_ = std::move(reason);
  return false;
}

void Session::Abort(const char* reason) {
  if (closing_) return;
  if (reason != nullptr) Fail(reason);
  closing_ = true;
  client_.Close();
  backend_.Close();
}

void Session::Drain() {
  if (replicating_ || (idle_ && (status_ & protocol::kStatusInTrans) == 0)) Abort(nullptr);
}

// Within a command the reply's end is seen by whoever reads it.
void Session::BackendClosed() {
  backend_closed_ = true;
  if (idle_ || half_command_) client_.Cancel();  // NextCommand sees to it
}

awaitable<bool> Session::ReadMessage(Stream* stream, uint8_t* sequence, std::string* payload, uint64_t limit) {
  MessageReader reader(limit);
  const bool from_client = stream == &client_;
  // Behind a TLS request the handshake may come at once: it is OpenSSL's to read.
  const bool exact = from_client && !authenticated_ && MayStartTls();
  for (;;) {
    if (!stream->in().empty()) {
      std::string_view view;
      size_t size = 0;
      const uint8_t expected = *sequence;
      const MessageReader::Result result = reader.Next(stream->in().data(), sequence, &view, &size);
      if (result == MessageReader::Result::kMessage) {
        payload->assign(view);
        stream->in().Consume(size);
        co_return true;
      }
      if (result == MessageReader::Result::kNeedMore && stream->in().size() >= protocol::kFrameHeader) {
        stream->in().Reserve(protocol::ParseFrameHeader(stream->in().data().data()).length + protocol::kFrameHeader);
      }
      if (result == MessageReader::Result::kTooLarge) co_return Fail("a packet of the connection phase is too large");
      if (result == MessageReader::Result::kBadSequence) {
        if (from_client) (void)co_await SendError(expected, 1156, "08S01", "Got packets out of order");
        co_return Fail("packets out of order");
      }
    }
    Stream::ReadResult read;
    if (exact) {
      const std::string_view head = stream->in().empty() ? std::string_view() : stream->in().data();
      const size_t whole = protocol::kFrameHeader +
                           (head.size() < protocol::kFrameHeader ? 0 : protocol::ParseFrameHeader(head.data()).length);
      read = co_await stream->ReadAtMost(whole - head.size());
    } else {
      read = co_await stream->ReadMore();  // looks first: an end that came with the packet before is told by nothing else
    }
    const ErrorCode ec = std::get<0>(read);
    if (ec) co_return Fail(fmt::format("{}: {}", from_client ? "client" : "backend", ec.message()));
  }
}

awaitable<bool> Session::WriteMessage(Stream* stream, uint8_t* sequence, std::string_view payload) {
  std::string frames;
  *sequence = protocol::AppendFrames(payload, *sequence, &frames);
  const ErrorCode ec = co_await stream->Write(frames);
  if (ec) co_return Fail(fmt::format("{}: {}", stream == &client_ ? "client" : "backend", ec.message()));
  co_return true;
}

awaitable<bool> Session::SendError(uint8_t sequence, uint16_t code, const char* state, std::string message) {
  // Ahead of the greeting there is no SQLSTATE; the servers leave it out as well.
  const uint64_t capabilities = capabilities_ != 0 ? capabilities_ : greeted_ ? uint64_t{protocol::kClientProtocol41} : uint64_t{0};
  const std::string payload = protocol::BuildErr(code, state, message, capabilities);
  co_return co_await WriteMessage(&client_, &sequence, payload);
}

awaitable<bool> Session::TooLarge() {
  (void)co_await SendError(1, 1153, "08S01", "Got a packet bigger than 'max_allowed_packet' bytes");
  co_return Fail("a command is larger than limits.max_packet");
}

// `sequence`: the id that was due; the servers' error bears it.
awaitable<bool> Session::OutOfOrder(uint8_t sequence) {
  (void)co_await SendError(sequence, 1156, "08S01", "Got packets out of order");
  co_return Fail("the client's packets are out of order");
}

// The client's read ended: it left, or the session was woken because the backend has something to say.
awaitable<bool> Session::ClientLeft(ErrorCode ec) {
  if (closing_) co_return false;
  if (ending_ != Ending::kNone) {
    co_await LastWords();
    co_return false;
  }
  switch (client_.wire_fault()) {
    case protocol::CompressedLink::Result::kBadSequence: co_return co_await OutOfOrder(0);
    case protocol::CompressedLink::Result::kTooLarge: co_return co_await TooLarge();
    case protocol::CompressedLink::Result::kCorrupt: co_return Fail("the client's compressed data is corrupt");
    case protocol::CompressedLink::Result::kPiece:
    case protocol::CompressedLink::Result::kNeedMore: break;
  }
  if (ec == asio::error::operation_aborted && backend_.open()) {
    const Stream::Peek peek = backend_.Look();
    if (peek == Stream::Peek::kQuiet) co_return true;  // nothing: go on
    if (peek == Stream::Peek::kBytes) {
      // Unasked for: the server's last words (shutdown, kill, timeout). They go to the client as they are.
      Stream::ReadResult read = co_await backend_.ReadMore();
      if (!std::get<0>(read)) (void)co_await client_.Write(backend_.in().data());
    }
    co_return false;
  }
  // A client that goes without COM_QUIT: the server sees its connection close as well, and rolls back.
  co_return false;
}

awaitable<bool> Session::NextCommand(std::string_view* payload, size_t* size) {
  for (;;) {
    Buffer& in = client_.in();
    Stream::ReadResult read;
    if (in.empty()) {
      if (thread_->draining() && (status_ & protocol::kStatusInTrans) == 0) co_return false;
      if (backend_closed_) {
        backend_closed_ = false;
        const bool go_on = co_await ClientLeft(asio::error::operation_aborted);
        if (!go_on) co_return false;
      }
      idle_ = true;
      read = co_await client_.Read();
      idle_ = false;
    } else {
      uint8_t sequence = 0;
      const MessageReader::Result result = reader_.Next(in.data(), &sequence, payload, size);
      if (result == MessageReader::Result::kMessage) {
        command_frames_ = sequence;
        co_return true;
      }
      if (result == MessageReader::Result::kTooLarge) co_return co_await TooLarge();
      if (result == MessageReader::Result::kBadSequence) co_return co_await OutOfOrder(sequence);
      size_t needed = in.capacity();
      if (in.size() >= protocol::kFrameHeader) {
        needed = std::max<size_t>(needed, protocol::ParseFrameHeader(in.data().data()).length + protocol::kFrameHeader);
      }
      if (!HoldMemory(needed)) {
        thread_->metrics()->Count(Overrun::kBuffered);
        (void)co_await SendError(1, 1041, "HY000", "Out of memory; check if mysqld or some other process uses all available memory; if not, "
                                                   "you may have to use 'ulimit' to allow mysqld to use more memory or you can add more swap space");
        co_return Fail("limits.max_buffered is reached");
      }
      if (needed < protocol::kMaxFramePayload) in.Reserve(needed);
      half_command_ = true;
      read = co_await client_.ReadMore();
      half_command_ = false;
    }
    if (std::get<0>(read)) {
      const bool go_on = co_await ClientLeft(std::get<0>(read));
      if (!go_on) co_return false;
    }
  }
}

awaitable<void> Session::Serve() {
  for (;;) {
    // The steady state is written out here, one receive and one send each way; what is longer has its own coroutine.
    std::string_view payload;
    size_t size = 0;
    if (client_.in().empty() && !thread_->draining() && !backend_closed_) {
      idle_ = true;
      Stream::ReadResult read;
      if (client_.plain()) {
        auto receive = client_.Receive();
        read = co_await std::move(receive);
      } else {
        read = co_await client_.Read();
      }
      idle_ = false;
      if (std::get<0>(read)) {
        const bool go_on = co_await ClientLeft(std::get<0>(read));
        if (!go_on) co_return;
        continue;
      }
    }
    uint8_t sequence = 0;
    if (!client_.in().empty() && reader_.Next(client_.in().data(), &sequence, &payload, &size) == MessageReader::Result::kMessage) {
      command_frames_ = sequence;
    } else {
      const bool has_command = co_await NextCommand(&payload, &size);
      if (!has_command) co_return;
    }
    command_size_ = size;
    ++commands_;
    thread_->metrics()->commands.Add();
    last_command_ = payload.empty() ? 0 : static_cast<uint8_t>(payload[0]);
    const auto command = static_cast<Command>(last_command_);
    ReplyTracker::Kind kind = protocol::ReplyKind(command);
    if (kind == ReplyTracker::Kind::kNone && !mariadb_ && AnsweredAllTheSame(command, payload.size())) kind = ReplyTracker::Kind::kSingle;
    tracker_.Start(kind, capabilities_, AfterCommand());
    tracker_.set_status(status_);

    std::string_view bytes = client_.in().data().substr(0, size);
    const rewrite::Snapshot* snapshot = (pinned_ != nullptr ? pinned_ : thread_->snapshots()->current())->snapshot.get();
    Action action = kRelay;
    if (snapshot != nullptr) {
      Begin();
      if (pinned_->snapshot->gate != nullptr) {
        const bool go_on = co_await WaitAtGate(command, payload);
        if (!go_on) co_return;
        snapshot = pinned_->snapshot.get();
      }
      // To a savepoint: the server may let go of what was taken since.
      if (taken_.any() && command == Command::kQuery && ContainsWord(payload, "rollback")) taken_.reset();
      if (pinned_->snapshot->kin != nullptr && MayMeetAlter()) action = co_await TakeTablesOfRelatives(command, payload);
    }
    if (action != kRelay || last_image_ != nullptr || !marked_.empty() || !IsPlain(command, payload, snapshot)) {
      if (action == kRelay) action = co_await Special(payload);
      if (action == kEnd) co_return;
      if (action == kAnswered) {
        if (command == Command::kStmtPrepare) prepare_refused_ = true;
        outgoing_.clear();
        CommandDone();
        if (kill_ != Kill::kNone) {
          const bool go_on = co_await KillSettled();
          if (!go_on) co_return;
        }
        continue;
      }
      if (!outgoing_.empty()) bytes = outgoing_;
    }
    if (!backend_.TryWrite(&bytes)) {
      const ErrorCode ec = co_await backend_.WriteRest(bytes);
      if (ec && tracker_.state() != ReplyTracker::State::kMore) co_return;
      // Else: the backend's last words may still be readable.
    }
    outgoing_.clear();
    Stream::ReadResult read;
    bool looked = ranged_ != nullptr || !no_way_back_.empty();
    if (guarded_ != nullptr && guarded_->plan != nullptr && !looked) {
      if (backend_.plain() && backend_.in().empty()) {
        auto receive = backend_.Receive();
        read = co_await std::move(receive);
      }
      // No error, as a rule.
      const std::string_view head = backend_.in().data();
      looked = head.size() <= protocol::kFrameHeader || static_cast<uint8_t>(head[protocol::kFrameHeader]) == 0xFF;
      if (!looked) {
        guarded_->plan.reset();
        std::string().swap(guarded_->own);
      }
    }
    if (looked) {
      auto replied = ranged_ != nullptr ? RangeReply() : CheckedReply();
      const Action action = co_await std::move(replied);
      if (action == kEnd) co_return;
      if (action == kAnswered) {
        CommandDone();
        if (kill_ != Kill::kNone) {
          const bool go_on = co_await KillSettled();
          if (!go_on) co_return;
        }
        continue;
      }
    }
    if (editor_ != nullptr && tracker_.state() == ReplyTracker::State::kMore) {
      const bool replied = co_await RelayEdited();
      if (!replied) co_return;
    }
    if (tracker_.state() == ReplyTracker::State::kMore) {
      if (looked && backend_.in().empty()) {
        read = co_await backend_.ReadMore();  // whoever looked has met its end, which a socket tells those who wait only once
      } else if (backend_.plain() && backend_.in().empty()) {
        auto receive = backend_.Receive();
        read = co_await std::move(receive);
      } else if (backend_.in().empty()) {
        read = co_await backend_.Read();
      }
      const size_t fed = tracker_.Feed(backend_.in().data());
      bytes = backend_.in().data().substr(0, fed);
      if (!std::get<0>(read) && tracker_.state() == ReplyTracker::State::kDone && client_.TryWrite(&bytes)) {
        backend_.in().Consume(fed);
      } else {
        const bool replied = co_await RelayReply(std::get<0>(read), fed, bytes);
        if (!replied) co_return;
      }
      if (!backend_.in().empty()) {
        (void)co_await Surplus();
        co_return;
      }
    }
    if (command == Command::kStmtPrepare && !tracker_.is_error() && HasLoadLocal(payload)) load_local_.insert(tracker_.statement_id());
    if (snapshot != nullptr) {
      if (command == Command::kStmtPrepare) RememberPrepared(payload);
      if (running_ != nullptr) CursorState();
      if (command == Command::kSetOption && !tracker_.is_error() && payload.size() > 1) multi_statements_ = payload[1] == 0;
      if (tracker_.is_error() && (status_ & protocol::kStatusInTrans) != 0 && MayEndTransaction(tracker_.error_code())) {
        const bool alive = co_await LearnTransactionState();
        if (!alive) co_return;
        tracker_.set_status(status_);
      }
    }
    if (command == Command::kStmtPrepare) CountPrepared();
    CommandDone();
    if (kill_ != Kill::kNone) {
      const bool go_on = co_await KillSettled();
      if (!go_on) co_return;
    }
  }
}

// Text that names no migrating table, and everything that carries no text, goes on as it came.
bool Session::IsPlain(Command command, std::string_view payload, const rewrite::Snapshot* snapshot) {
  switch (command) {
    case Command::kPing: return true;
    case Command::kQuery:
    case Command::kStmtPrepare:
      if (command == Command::kStmtPrepare && !MayPrepare()) return false;
      if (snapshot == nullptr) return true;
      if (comparable_) WatchText(payload);
      if (in_information_ || rewrite::MightTouch(*snapshot, payload) || (!sql_prepared_.empty() && ContainsWord(payload, "execute"))) return false;
      if (facts_known_) NoteChange(MayChange(payload.substr(std::min(TextOffset(payload), payload.size()))));
      return true;
    case Command::kStmtExecute:
      if (prepare_refused_ && NamesRefused(payload)) return false;
      if (prepared_.empty()) return true;
      if (payload.size() > 5 && (payload[5] & 7) != 0) comparable_ = false;  // a cursor: a hidden transaction would close it
      if (PreparedTouches(payload)) return false;
      if (PreparedStatement* statement = FindPrepared(payload); statement == nullptr) {
        facts_known_ = false;
      } else {
        if (!statement->long_data.empty()) return false;
        statement->long_data_sent.clear();
        if (facts_known_) NoteChange(MayChange(statement->text));
      }
      return true;
    default: return false;
  }
}

// The backend has sent more than its reply. An error is its last words (shutdown, kill) and goes to the client; anything
// else would be taken for the reply to the next command.
awaitable<bool> Session::Surplus() {
  const std::string_view bytes = backend_.in().data();
  if (bytes.size() > protocol::kFrameHeader && static_cast<uint8_t>(bytes[protocol::kFrameHeader]) == 0xFF) {
    (void)co_await client_.Write(bytes);
    co_return false;
  }
  co_return Fail("the backend sent more than the reply");
}

void Session::CommandDone() {
  if (last_image_ != nullptr && std::exchange(last_image_->kept, false) && (tracker_.is_error() || tracker_.warnings() != 0)) {
    // The warnings of a PREPARE are its own, ROW_COUNT() is not.
    if (last_command_ == static_cast<uint8_t>(protocol::Command::kStmtPrepare) && !tracker_.is_error()) last_image_->told = false;
    else last_image_.reset();
  }
  if (began_ != Clock::time_point{}) thread_->latency()->Add(static_cast<uint64_t>(std::chrono::nanoseconds(Clock::now() - began_).count()));
  running_ = nullptr;
  editor_.reset();
  if (ranged_ != nullptr) RangeDone();
  if (preparing_ != nullptr) KeepPreparing();
  if (raised_ != Raised::kNo) Lower();
  if (marking_ != nullptr) Marked();
  if (std::exchange(uses_up_level_, false) && !tracker_.is_error()) isolation_unsure_ = false;
  client_.in().Consume(command_size_);
  command_size_ = 0;
  const bool ended = (status_ & ~tracker_.status() & protocol::kStatusInTrans) != 0;
  status_ = tracker_.status();
  if (ended && facts_known_) isolation_unsure_ = false;
  if (pinned_ != nullptr && (status_ & protocol::kStatusInTrans) == 0) Unpin();
  if (held_memory_ != 0) GiveMemory();
  if (outgoing_.capacity() > 64 * 1024) std::string().swap(outgoing_);
}

// Goes on with a reply of which `fed` bytes at the head of the backend's buffer have been looked at, and `bytes` are
// the part of them that has not been sent. `ec`: of the read that brought them.
awaitable<bool> Session::RelayReply(ErrorCode ec, size_t fed, std::string_view bytes) {
  bool forwarded = false;
  for (int chunks = 1;; ++chunks) {
    if (ec) {
      if (ending_ != Ending::kNone) {
        if (!forwarded) co_await LastWords();
        co_return false;
      }
      if (ec != asio::error::operation_aborted || closing_) {
        co_return Fail(fmt::format("the backend closed before or within a reply: {}", ec.message()));
      }
    } else if (tracker_.state() == ReplyTracker::State::kMalformed) {
      // With the start of the reply sent already, an error could become a part of it.
      if (!forwarded) (void)co_await SendError(AfterCommand(), 1105, "HY000", "crossfade: malformed packet from the backend");
      co_return Fail("malformed packet from the backend");
    } else if (tracker_.state() == ReplyTracker::State::kLocalInfile) {
      const bool sent = co_await RelayLocalInfile(fed, forwarded);
      if (!sent) co_return false;
      forwarded = true;
      if (!no_way_back_.empty()) {
        bool answered = false;
        const bool alive = co_await CheckedLoad(&answered);
        if (!alive || answered) co_return alive;
      }
    } else {
      if (!bytes.empty() && !client_.TryWrite(&bytes)) {
        ec = co_await client_.WriteRest(bytes);
        if (ec) co_return Fail(fmt::format("the client left in the middle of a reply: {}", ec.message()));
      }
      forwarded = true;
      backend_.in().Consume(fed);
      if (tracker_.state() == ReplyTracker::State::kDone) co_return true;
      if (chunks % kChunksBeforeYield == 0) co_await asio::post(thread_->io(), kAwait);
    }
    ec = {};
    if (backend_.in().empty()) {
      Stream::ReadResult read = co_await backend_.ReadMore();
      ec = std::get<0>(read);
    }
    fed = tracker_.Feed(backend_.in().data());
    bytes = backend_.in().data().substr(0, fed);
  }
}

}  // namespace crossfade::proxy
