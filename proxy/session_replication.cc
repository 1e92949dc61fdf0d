// SPDX-License-Identifier: Apache-2.0
// Streams of events (a replica, a reader of the binary log, CLONE): the backend sends for as long as it likes, and the
// client may acknowledge what it got at any time (semi-synchronous replication) or leave. Both are relayed as they come.
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "fmt/format.h"
#include "proxy/prepared_statement.h"
#include "proxy/session.h"

namespace crossfade::proxy {
namespace asio = boost::asio;

awaitable<Session::Action> Session::Replicate() {
  if (thread_->draining()) co_return kEnd;
  const ErrorCode ec = co_await backend_.Write(client_.in().data().substr(0, command_size_));
  if (ec) co_return kEnd;
  client_.in().Consume(command_size_);
  command_size_ = 0;
  // The first event may be long in coming. Until then what the client sends could be its next command and stays where it is;
  // that it has gone the tick sees.
  replicating_ = true;
  Stream::ReadResult read = co_await backend_.Read();
  size_t fed = tracker_.Feed(backend_.in().data());
  bool relayed = true;
  if (!std::get<0>(read) && tracker_.state() == protocol::ReplyTracker::State::kMore) {
    using namespace asio::experimental::awaitable_operators;  // NOLINT
    auto both = RelayEvents(fed) && RelayAcknowledgements();
    const std::tuple<bool, bool> results = co_await std::move(both);
    relayed = std::get<0>(results);
  } else {  // refused
    replicating_ = false;
    relayed = co_await RelayReply(std::get<0>(read), fed, backend_.in().data().substr(0, fed));
  }
  if (!relayed) co_return kEnd;
  if (!backend_.in().empty()) {
    (void)co_await Surplus();
    co_return kEnd;
  }
  co_return kAnswered;  // an error, or the end of a log that was not to be waited for
}

// `fed`: bytes at the head of the backend's buffer that the tracker has seen.
awaitable<bool> Session::RelayEvents(size_t fed) {
  const bool done = co_await RelayReply(ErrorCode(), fed, backend_.in().data().substr(0, fed));
  replicating_ = false;
  client_.Cancel();
  co_return done;
}

awaitable<bool> Session::RelayAcknowledgements() {
  while (replicating_) {
    Stream::ReadResult read = co_await client_.Read();
    if (!replicating_) break;  // what has come in is the next command
    ErrorCode ec = std::get<0>(read);
    if (!ec) ec = co_await backend_.Write(client_.in().data());
    if (ec) {
      Abort(nullptr);
      co_return false;
    }
    client_.in().Consume(client_.in().size());
  }
  co_return true;
}

}  // namespace crossfade::proxy
