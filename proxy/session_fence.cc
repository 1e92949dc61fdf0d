// SPDX-License-Identifier: Apache-2.0
// The fence, seen from a session: before its first write to a migrating table (from `verify` on: its first statement that names one) its
// backend connection is entered in the control schema, so that it can be ended from outside should this process stop, or be cut off. Once
// for each connection.
#include "proxy/control_thread.h"
#include "proxy/session.h"

namespace crossfade::proxy {

namespace {

// A connection to another server than the control schema's has ids of its own.
bool OnControlServer(const config::Config& config, const config::Backend& own) {
  const config::Backend* control = config.FindBackend(config.control.backend);
  return control != nullptr && (own.name == control->name || own.address == control->address);
}
}  // namespace

bool Session::FenceReaches() const { return OnControlServer(thread_->server()->config(), listener_->backend->spec); }

// kRelay: it is registered.
awaitable<Session::Action> Session::Register() {
  const auto until = Clock::now() + limits().state_wait;
  thread_->server()->control()->lease().Register(thread_->index(), id_, backend_thread_);
  while (!registered_ && !closing_ && Clock::now() < until) co_await thread_->registered()->Wait(std::chrono::milliseconds(100));
  if (closing_) co_return kEnd;
  if (!registered_) co_return co_await Refuse(kNoLease);
  co_return kRelay;
}

// Before the epoch is let go.
void Session::EndRegistration() {
  if (!registered_ || !FenceReaches()) return;
  const bool busy = tracker_.state() == protocol::ReplyTracker::State::kMore;
  const uint64_t epoch = (pinned_ != nullptr ? pinned_ : thread_->snapshots()->current())->epoch;
  thread_->server()->control()->lease().Closed(id_, backend_thread_, epoch, busy);
}

}  // namespace crossfade::proxy
