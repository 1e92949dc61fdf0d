// SPDX-License-Identifier: Apache-2.0
// The PROXY protocol's header, versions 1 (a line of text) and 2 (binary): what a load balancer sends ahead of the first
// byte to say whose connection it is. Source: haproxy.org/download/2.9/doc/proxy-protocol.txt.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace crossfade::protocol {

// One end of a TCP connection; IPv4 as ::ffff:a.b.c.d.
struct SocketAddress {
  std::array<uint8_t, 16> bytes{};
  uint16_t port = 0;
  bool known = false;  // false: a unix socket, or not told
  bool is_v4() const;
  bool operator==(const SocketAddress&) const = default;
};
std::string ToText(const SocketAddress& address);  // "192.0.2.7:3306", "[2001:db8::1]:3306"; unknown: "unix socket"
std::string HostText(const SocketAddress& address);  // without the port

struct ProxyHeader {
  bool local = false;  // LOCAL or UNKNOWN: the sender speaks for itself, what the socket says holds
  SocketAddress source, destination;  // unknown for unix sockets
};

inline constexpr size_t kProxyHeaderLimit = 4096;  // bytes, with all its extensions

enum class ProxyHeaderResult : uint8_t { kNeedMore, kDone, kNotOne, kMalformed, kTooLarge, kBadChecksum };

// Reads a header at the head of `bytes`; kDone: it takes `*consumed` of them. kNotOne as soon as that can be told.
// Extensions (TLVs) are skipped but for the CRC32C, which is checked where it stands.
ProxyHeaderResult ParseProxyHeader(std::string_view bytes, ProxyHeader* header, size_t* consumed);
const char* Describe(ProxyHeaderResult result);

// `local`, or unknown addresses: "PROXY UNKNOWN" and LOCAL.
std::string BuildProxyHeaderV1(const ProxyHeader& header);
std::string BuildProxyHeaderV2(const ProxyHeader& header);

uint32_t Crc32c(std::string_view bytes);

}  // namespace crossfade::protocol
