// SPDX-License-Identifier: Apache-2.0
// Addresses and networks of peers, IPv4 and IPv6 alike: an IPv4 address is held as IPv6 holds it (::ffff:a.b.c.d), so
// that a client is the same one on whichever kind of socket it comes in.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace crossfade::config {

using AddressBytes = std::array<uint8_t, 16>;

struct Network {
  AddressBytes bytes{};
  uint8_t bits = 0;      // that have to be the same, counted over all 128
  bool is_unix = false;  // the peers of a unix socket
  bool operator==(const Network&) const = default;
};

// "10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "unix". nullopt: none of these, or with bits set behind the prefix.
std::optional<Network> ParseNetwork(std::string_view text);
bool Contains(const Network& network, const AddressBytes& address);

}  // namespace crossfade::config
