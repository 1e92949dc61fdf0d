// SPDX-License-Identifier: Apache-2.0
// "HOST:PORT", "[V6]:PORT" or "unix:PATH" -> socket endpoints.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "protocol/proxy_header.h"

namespace crossfade::proxy {

using Endpoint = boost::asio::generic::stream_protocol::endpoint;

struct Address {
  bool is_unix = false;
  std::string host;  // without brackets; unix: the path
  std::string port;
};
absl::StatusOr<Address> ParseAddress(std::string_view text);

// Blocking (getaddrinfo): at start only, or for names off the io threads. At least one endpoint.
absl::StatusOr<std::vector<Endpoint>> Resolve(const Address& address);

// Of an IPv4 or IPv6 socket; of any other: not known.
protocol::SocketAddress ToSocketAddress(const Endpoint& endpoint);

}  // namespace crossfade::proxy
