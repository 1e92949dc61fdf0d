// SPDX-License-Identifier: Apache-2.0
// Time limits, looked at by the io thread's tick alone, so that no query pays for them: the connection phase, idle
// sessions, statements. A limit that is reached cancels what the session waits on; the coroutine sees ending_ and says
// its last words itself. Whoever does not even take those in is closed by the deadline.
#include "fmt/format.h"
#include "proxy/killer.h"
#include "proxy/session.h"

namespace crossfade::proxy {
using protocol::Command;

namespace {
constexpr std::chrono::milliseconds kLastWords{1'000};
constexpr std::chrono::milliseconds kAfterKill{5'000};  // a killed query may take so long to end
}  // namespace

void Session::Tick(Clock::time_point now) {
  if (deadline_ != Clock::time_point{} && now > deadline_) {
    PhaseTooLong(now);
    return;
  }
  if (!authenticated_ || ending_ != Ending::kNone) return;
  if (commands_ != ticked_commands_ || idle_ != ticked_idle_) {
    const bool other_command = commands_ != ticked_commands_;
    ticked_commands_ = commands_;
    ticked_idle_ = idle_;
    since_ = now;
    if (other_command || !idle_) return;
  }
  const config::Limits& limits = this->limits();
  if (idle_ || half_command_) {
    const auto limit = (status_ & protocol::kStatusInTrans) != 0 ? limits.idle_transaction_timeout : limits.idle_timeout;
    if (limit.count() > 0 && now - since_ >= limit) {
      SitsTooLong(now);
      return;
    }
  } else if (limits.statement_timeout.count() > 0 && now - since_ >= limits.statement_timeout) {
    RunsTooLong(now, now - since_ >= limits.statement_timeout + kAfterKill);
    return;
  }
  if (replicating_ && client_.Look() == Stream::Peek::kClosed) {
    Abort(nullptr);
    return;
  }
  if (!idle_ || watched_) return;
  if (client_.Look() == Stream::Peek::kClosed) {
    Abort(nullptr);
  } else {
    WatchBackend();
  }
}

// Of the connection phase, or of the last words.
void Session::PhaseTooLong(Clock::time_point now) {
  if (ending_ != Ending::kNone) {
    Abort(nullptr);
  } else if (deadline_ != login_deadline_) {
    ending_ = Ending::kConnect;  // ConnectBackend tells the client
    deadline_ = login_deadline_ + kLastWords;
    backend_.Cancel();
  } else {
    refusal_ = Refusal::kTimeout;
    Fail("the connection phase took too long");
    End(Ending::kLogin, now);
  }
}

void Session::SitsTooLong(Clock::time_point now) {
  const bool in_transaction = (status_ & protocol::kStatusInTrans) != 0;
  thread_->metrics()->Count(in_transaction ? Overrun::kIdleTransaction : Overrun::kIdle);
  Fail(in_transaction ? "idle in a transaction for limits.idle_transaction_timeout" : "idle for limits.idle_timeout");
  End(Ending::kIdle, now);
}

void Session::RunsTooLong(Clock::time_point now, bool again) {
  switch (static_cast<Command>(last_command_)) {
    case Command::kBinlogDump:
    case Command::kTableDump:
    case Command::kBinlogDumpGtid:
    case Command::kClone:
    case Command::kGroupReplication: return;  // these have no end
    default: break;
  }
  if (kill_ != Kill::kNone && !again) return;
  Killer* killer = thread_->server()->killer();
  const config::Config& config = thread_->server()->config();
  const config::Backend* control = config.FindBackend(config.control.backend);
  Killer::Order order;
  if (killer != nullptr && control != nullptr && control->address == listener_->backend->spec.address) {
    const bool named = listener_->backend->spec.proxy_protocol != config::ProxyProtocol::kNone && identity_.source.known;
    ErrorCode ignored;
    order.io_thread = thread_->index();
    order.thread_id = backend_thread_;
    order.port = named ? identity_.source.port : ToSocketAddress(backend_.socket().local_endpoint(ignored)).port;
    order.connection = again;
    order.session = again ? 0 : id_;
    killer->Give(order);
    if (!again) {
      kill_ = Kill::kOrdered;
      return;
    }
  }
  thread_->metrics()->Count(Overrun::kStatement);
  Fail("a command ran for limits.statement_timeout");
  End(Ending::kStatement, now);
}

void Session::KillDone(bool killed) {
  if (kill_ != Kill::kOrdered) return;
  kill_ = Kill::kDone;
  if (killed) {
    thread_->metrics()->Count(Overrun::kStatementKilled);
  } else if (!idle_ && commands_ == ticked_commands_ && ending_ == Ending::kNone && !closing_) {
    thread_->metrics()->Count(Overrun::kStatement);
    Fail("a command ran for limits.statement_timeout, and its query could not be killed");
    End(Ending::kStatement, Clock::now());
  }
}

void Session::End(Ending ending, Clock::time_point now) {
  ending_ = ending;
  deadline_ = login_deadline_ = now + kLastWords;
  client_.Cancel();
  backend_.Cancel();
}

// What the server itself would say to a client that it gives up on. MariaDB says nothing.
awaitable<void> Session::LastWords() {
  if (mariadb_ && ending_ != Ending::kStatement) co_return;
  switch (ending_) {
    case Ending::kLogin:
      (void)co_await SendError(1, 1159, "08S01", "Got timeout reading communication packets");
      break;
    case Ending::kIdle:
      (void)co_await SendError(0, 4031, "HY000", "The client was disconnected by the server because of inactivity. See wait_timeout and "
                                                 "interactive_timeout for configuring this behavior.");
      break;
    case Ending::kStatement:
      if (mariadb_) {
        (void)co_await SendError(AfterCommand(), 1969, "70100", "Query execution was interrupted (max_statement_time exceeded)");
      } else {
        (void)co_await SendError(AfterCommand(), 3024, "HY000", "Query execution was interrupted, maximum statement execution time exceeded");
      }
      break;
    case Ending::kNone:
    case Ending::kConnect: break;
  }
}

// A kill is under way for a command that has ended since: the next one must not be hit by it.
awaitable<bool> Session::KillSettled() {
  while (kill_ == Kill::kOrdered && !closing_ && ending_ == Ending::kNone) co_await thread_->kill_done()->Wait(std::chrono::milliseconds(500));
  kill_ = Kill::kNone;
  co_return !closing_ && ending_ == Ending::kNone;
}

// An idle session's backend may send its last words and not close; whoever is idle for a tick is told at once from then on.
void Session::WatchBackend() {
  watched_ = true;
  backend_.socket().async_wait(boost::asio::socket_base::wait_read, [thread = thread_, id = id_](ErrorCode) {
    Session* session = thread->Find(id);
    if (session == nullptr) return;
    session->watched_ = false;
    if (session->idle_ && session->backend_.open() && session->backend_.Look() != Stream::Peek::kQuiet) {
      session->client_.Cancel();  // NextCommand sees to it
    }
  });
}

}  // namespace crossfade::proxy
