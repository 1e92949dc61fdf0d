// SPDX-License-Identifier: Apache-2.0
// Who the client is. A load balancer in front says so in a PROXY header, which is read before anything is sent to
// anyone: the backend's greeting, the first words of the protocol, comes only after it. Limits on addresses and users.
#include "fmt/format.h"
#include "proxy/session.h"

namespace crossfade::proxy {

using protocol::ProxyHeaderResult;

const config::Limits& Session::limits() const { return thread_->server()->config().limits; }

awaitable<bool> Session::Arrive() {
  identity_.source = peer_;
  bool listed = false;
  for (const config::Network& network : listener_->spec.proxy_protocol) {
    listed = listed || (listener_->address.is_unix ? network.is_unix : peer_.known && config::Contains(network, peer_.bytes));
  }
  if (listed) {
    const bool read = co_await ReadProxyHeader();
    if (!read) co_return false;
  }
  const uint32_t limit = limits().max_connections_per_address;
  if (limit > 0 && identity_.source.known) {
    address_counted_ = thread_->server()->admission().addresses.Take(identity_.source.bytes, limit);
    if (!address_counted_) {
      (void)co_await SendError(0, 1040, "08004", "Too many connections");
      co_return Refused(Refusal::kMaxPerAddress, "limits.max_connections_per_address is reached");
    }
  }
  co_return true;
}

awaitable<bool> Session::ReadProxyHeader() {
  protocol::ProxyHeader header;
  size_t consumed = 0;
  ProxyHeaderResult result = ProxyHeaderResult::kNeedMore;
  while (result == ProxyHeaderResult::kNeedMore) {
    Stream::ReadResult read = client_.in().empty() ? co_await client_.Read() : co_await client_.ReadMore();
    if (std::get<0>(read)) {
      // Connected and gone without a byte: a load balancer that asks whether anybody is there.
      if (client_.in().empty() && ending_ == Ending::kNone) {
        refusal_ = Refusal::kProxyProtocol;
        co_return false;
      }
      break;
    }
    result = protocol::ParseProxyHeader(client_.in().data(), &header, &consumed);
  }
  if (result != ProxyHeaderResult::kDone) {
    co_return Refused(Refusal::kProxyProtocol, fmt::format("the PROXY header that proxy_protocol asks of this peer is {}", protocol::Describe(result)));
  }
  // The client waits for a greeting; what comes before it is no client's.
  if (client_.in().size() > consumed) co_return Refused(Refusal::kProxyProtocol, "bytes behind the PROXY header, ahead of the greeting");
  client_.in().Consume(consumed);
  if (!header.local) identity_ = header;
  co_return true;
}

// A client on a unix socket is not named: it would count as a client on the database's own machine there.
awaitable<bool> Session::SendProxyHeader() {
  const config::ProxyProtocol version = listener_->backend->spec.proxy_protocol;
  if (version == config::ProxyProtocol::kNone) co_return true;
  protocol::ProxyHeader header = identity_;
  if (!header.destination.known) {
    ErrorCode ignored;
    header.destination = ToSocketAddress(client_.socket().local_endpoint(ignored));
  }
  header.local = !header.source.known || !header.destination.known;
  const std::string bytes = version == config::ProxyProtocol::kV1 ? protocol::BuildProxyHeaderV1(header) : protocol::BuildProxyHeaderV2(header);
  const ErrorCode ec = co_await backend_.Write(bytes);
  if (ec) co_return Refused(Refusal::kBackend, fmt::format("backend: {}", ec.message()));
  co_return true;
}

bool Session::AdmitUser() {
  const uint32_t limit = limits().max_user_connections;
  if (limit == 0) return true;
  auto& users = thread_->server()->admission().users;
  if (user_counted_) users.Give(counted_user_);
  user_counted_ = users.Take(user_, limit);
  if (user_counted_) counted_user_ = user_;
  return user_counted_;
}

bool Session::HoldMemory(size_t bytes) {
  if (bytes <= ChunkPool::kLarge || bytes <= held_memory_) return true;
  const size_t more = bytes - held_memory_;
  std::atomic<uint64_t>& buffered = thread_->server()->admission().buffered;
  if (buffered.fetch_add(more, std::memory_order_relaxed) + more > limits().max_buffered) {
    buffered.fetch_sub(more, std::memory_order_relaxed);
    return false;
  }
  held_memory_ = bytes;
  return true;
}

void Session::GiveMemory() {
  thread_->server()->admission().buffered.fetch_sub(held_memory_, std::memory_order_relaxed);
  held_memory_ = 0;
}

void Session::GiveBack() {
  Admission& admission = thread_->server()->admission();
  GiveMemory();
  if (address_counted_) admission.addresses.Give(identity_.source.bytes);
  if (user_counted_) admission.users.Give(counted_user_);
  if (!statements_.empty()) admission.statements.fetch_sub(statements_.size(), std::memory_order_relaxed);
  address_counted_ = user_counted_ = false;
  statements_.clear();
}

}  // namespace crossfade::proxy
