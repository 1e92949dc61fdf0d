// SPDX-License-Identifier: Apache-2.0
// Counters of one io thread. Only that thread adds; anyone may read.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>

namespace crossfade::proxy {

class Counter {
 public:
  // A plain add: there is one writer, so no locked instruction is needed.
  void Add(uint64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// Why a client did not get through the connection phase.
enum class Refusal : uint8_t { kOther, kMaxConnections, kMaxPerAddress, kMaxPerUser, kProxyProtocol, kTls, kTlsRequired, kTimeout,
                               kMalformed, kBackend, kBackendTls, kAccessDenied };
inline constexpr const char* kRefusalNames[] = {"other", "max_connections", "max_connections_per_address", "max_user_connections",
                                                "proxy_protocol", "tls", "tls_required", "handshake_timeout",
                                                "malformed", "backend", "backend_tls", "access_denied"};

// A limit that a session ran into after its login.
enum class Overrun : uint8_t { kIdle, kIdleTransaction, kStatement, kStatementKilled, kPreparedStatements, kBuffered };
inline constexpr const char* kOverrunNames[] = {"idle_timeout", "idle_transaction_timeout", "statement_timeout",
                                                "statement_timeout_killed", "max_prepared_statements", "max_buffered"};

struct Metrics {
  Counter connections, connection_failures, commands, rewritten, refused, waited_for_keys, waited_for_gate,
      hidden_statements, bytes_from_clients, bytes_to_clients;
  std::array<Counter, std::size(kRefusalNames)> refusals;
  std::array<Counter, std::size(kOverrunNames)> overruns;
  void Count(Refusal reason) { refusals[static_cast<size_t>(reason)].Add(); }
  void Count(Overrun limit) { overruns[static_cast<size_t>(limit)].Add(); }
};

}  // namespace crossfade::proxy
