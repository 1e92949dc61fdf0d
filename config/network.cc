// SPDX-License-Identifier: Apache-2.0
// See network.h.
#include "config/network.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>
#include <string>

namespace crossfade::config {

bool Contains(const Network& network, const AddressBytes& address) {
  if (network.is_unix) return false;
  const size_t whole = network.bits / 8, rest = network.bits % 8;
  if (std::memcmp(network.bytes.data(), address.data(), whole) != 0) return false;
  return rest == 0 || ((network.bytes[whole] ^ address[whole]) >> (8 - rest)) == 0;
}

std::optional<Network> ParseNetwork(std::string_view text) {
  Network network;
  if (text == "unix") {
    network.is_unix = true;
    return network;
  }
  const size_t slash = text.find('/');
  const std::string host(text.substr(0, slash));
  if (host.find('\0') != std::string::npos) return std::nullopt;  // inet_pton would stop there
  const bool v4 = ::inet_pton(AF_INET, host.c_str(), network.bytes.data() + 12) == 1;
  if (v4) {
    network.bytes[10] = network.bytes[11] = 0xFF;
  } else if (::inet_pton(AF_INET6, host.c_str(), network.bytes.data()) != 1) {
    return std::nullopt;
  }
  unsigned bits = v4 ? 32 : 128;
  if (slash != std::string_view::npos) {
    const std::string_view number = text.substr(slash + 1);
    unsigned given = 0;
    const auto [stop, error] = std::from_chars(number.data(), number.data() + number.size(), given);
    if (error != std::errc() || stop != number.data() + number.size() || given > bits) return std::nullopt;
    bits = given;
  }
  network.bits = static_cast<uint8_t>(v4 ? bits + 96 : bits);
  Network masked = network;
  for (size_t i = 0; i < 16; ++i) {
    const size_t kept = network.bits > i * 8 ? network.bits - i * 8 : 0;
    if (kept < 8) masked.bytes[i] &= static_cast<uint8_t>(0xFF00 >> kept);
  }
  if (masked.bytes != network.bytes) return std::nullopt;
  return network;
}

}  // namespace crossfade::config
