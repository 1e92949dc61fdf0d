// SPDX-License-Identifier: Apache-2.0
// See address.h.
#include "proxy/address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>

#include "fmt/format.h"

namespace crossfade::proxy {

absl::StatusOr<Address> ParseAddress(std::string_view text) {
  Address address;
  if (text.starts_with("unix:")) {
    address.is_unix = true;
    address.host = std::string(text.substr(5));
    if (address.host.empty() || address.host.size() >= sizeof(sockaddr_un::sun_path)) {
      return absl::InvalidArgumentError(fmt::format("bad socket path in address '{}'", text));
    }
    return address;
  }
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon + 1 == text.size() || colon == 0) {
    return absl::InvalidArgumentError(fmt::format("address '{}' is not HOST:PORT, [V6]:PORT or unix:PATH", text));
  }
  std::string_view host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  address.host = std::string(host);
  address.port = std::string(text.substr(colon + 1));
  return address;
}

absl::StatusOr<std::vector<Endpoint>> Resolve(const Address& address) {
  std::vector<Endpoint> endpoints;
  if (address.is_unix) {
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    std::memcpy(un.sun_path, address.host.data(), address.host.size());
    endpoints.emplace_back(&un, offsetof(sockaddr_un, sun_path) + address.host.size() + 1, 0);
    return endpoints;
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found);
  if (error != 0) {
    return absl::NotFoundError(fmt::format("cannot resolve {}:{}: {}", address.host, address.port, gai_strerror(error)));
  }
  for (addrinfo* each = found; each != nullptr; each = each->ai_next) {
    endpoints.emplace_back(each->ai_addr, each->ai_addrlen, IPPROTO_TCP);
  }
  ::freeaddrinfo(found);
  return endpoints;
}

protocol::SocketAddress ToSocketAddress(const Endpoint& endpoint) {
  protocol::SocketAddress address;
  if (endpoint.size() >= sizeof(sockaddr_in) && endpoint.data()->sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, endpoint.data(), sizeof v4);
    address.bytes[10] = address.bytes[11] = 0xFF;
    std::memcpy(address.bytes.data() + 12, &v4.sin_addr, 4);
    address.port = ntohs(v4.sin_port);
    address.known = true;
  } else if (endpoint.size() >= sizeof(sockaddr_in6) && endpoint.data()->sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, endpoint.data(), sizeof v6);
    std::memcpy(address.bytes.data(), &v6.sin6_addr, 16);
    address.port = ntohs(v6.sin6_port);
    address.known = true;
  }
  return address;
}

}  // namespace crossfade::proxy
