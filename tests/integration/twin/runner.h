// SPDX-License-Identifier: Apache-2.0
// Drives sessions on both sides in one deterministic order and compares every reply. At most one session has
// written in an open transaction; the others then only read, so that no reply depends on who waits for whom.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/integration/twin/compare.h"
#include "tests/integration/twin/generator.h"

namespace crossfade::twin {

struct RunOptions {
  int proxied_port = 0;   // side A: what the application connects to
  int observer_port = 0;  // side A's server itself, for the key map
  int direct_port = 0;    // side B
  uint64_t seed = 1;
  bool survey = false;    // refusals of any shape are counted, not failures
  std::string script_file;  // where a failing run leaves its statements
};

class Runner {
 public:
  Runner(const std::vector<Schema>& schemas, const RunOptions& options);
  ~Runner();
  absl::Status Connect();

  // Runs `count` statements in `mode`, and ends all transactions. An error is a difference, with the last
  // statements before it.
  absl::Status Run(const std::string& phase, const Mode& mode, int count);

  std::string Summary() const;  // of the last Run
  void SaveScript() const;
  int64_t last_serial() const { return last_serial_; }
  uint64_t refused() const { return refused_; }

 private:
  struct Session;
  absl::Status Step();
  absl::Status Control(Session& session);
  absl::Status Extras(Session& session);
  absl::Status Both(Session& session, const Statement& statement);
  absl::Status BothText(Session& session, const std::string& label, const std::string& sql, bool ordered = true);
  servers::Reply Send(Session& session, bool proxied, const Statement& statement, const Rendered& rendered);
  absl::Status Differs(const Session& session, const Statement& statement, const std::string& what, const servers::Reply& a, const servers::Reply& b);
  absl::Status CountRows();
  absl::Status RefreshKeys();
  bool NumbersAllowed(const Session& session) const;

  const std::vector<Schema>& schemas_;
  RunOptions options_;
  Generator generator_;
  Mode mode_;
  std::string phase_;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::unique_ptr<servers::Client> observer_, counter_;  // directly on A and on B
  std::vector<KeyMap> keys_;
  Session* holder_ = nullptr;  // the one that has written in its open transaction
  uint64_t parent_writes_ = 0;
  int64_t last_serial_ = 500;

  std::vector<std::string> script_;
  std::map<std::string, uint64_t> counts_, refusals_;
  uint64_t statements_ = 0, prepared_ = 0, errors_ = 0, refused_ = 0, waits_ = 0, rows_ = 0;
};

}  // namespace crossfade::twin
