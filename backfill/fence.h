// SPDX-License-Identifier: Apache-2.0
// The fence round a proxy that is not waited for any more, and round a leader that was replaced: what they had begun is
// ended by the database itself.
//
//   session's first fenced statement           -> its connection is registered, under a live lease   (RegisterConnections)
//   the lease ran out -> fenced -> the leader kills what is registered, until it is gone -> rows removed   (FenceLost)
//   only then the epoch may change                                                                  (Drained, ChangeEpoch)
//
// Fenced are writes to a migrating table, and from `verify` on all statements that name one. Every step takes the row of the epoch first.
// A connection that is not registered has never sent one, and cannot begin to: who is fenced has no lease to register it under.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backfill/connection.h"
#include "config/config.h"

namespace crossfade::backfill {

// SQL: the row of `proxies` under this alias is of a proxy that is waited for.
std::string LiveLease(std::string_view alias);

// The host and port of connections as the server shows them, by id; those that are not there are left out.
absl::StatusOr<std::map<uint64_t, std::string>> FindConnections(Connection& connection, const std::vector<uint64_t>& ids);

// Registers connections of sessions of `proxy`. False: it has no live lease, and nothing was registered.
// `hosts`: what FindConnections said of them. In one statement.
absl::StatusOr<bool> RegisterConnections(Connection& connection, const config::Config& config, const std::string& proxy,
                                         const std::map<uint64_t, std::string>& hosts);
// `hosts`: as they were registered. A row of the same id by another host is of a later connection (a server that was started since
// counts anew), and stays.
absl::Status ForgetConnections(Connection& connection, const config::Config& config, const std::string& proxy,
                               const std::map<uint64_t, std::string>& hosts);

// Ends what is left of proxies without a lease, and waits a moment for it to be gone. Empty: nothing is left; else what is.
absl::StatusOr<std::string> FenceLost(Connection& connection, const config::Config& config);
// What Drained looks at: registered connections of proxies without a lease. Empty: none.
absl::StatusOr<std::string> UnfencedConnections(Connection& connection, const config::Config& config);

// The leader holds GET_LOCK with one connection, so whatever it does on that ends with its leadership. Its workers' connections
// are registered beside it and killed by the next leader before that does anything.
// TakeLead: to be called with the lock; kills what earlier leaders left. Non-empty: what is waited for.
absl::StatusOr<std::string> TakeLead(Connection& connection, const config::Config& config, const std::string& proxy);
// For a candidate: kills the leader's connection where its proxy has lost its lease. Gives what was done, for the log.
absl::StatusOr<std::string> DislodgeLeader(Connection& connection, const config::Config& config, const std::string& lock_name);
// Another connection for the leader `main`, which is registered. A `main` that leads for no proxy: just a connection.
absl::StatusOr<Connection> OpenWorker(Connection& main, const config::Config& config);

}  // namespace crossfade::backfill
