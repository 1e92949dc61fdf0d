// SPDX-License-Identifier: Apache-2.0
// Two servers, one of them behind Crossfade, and sessions on both. Runs steps one by one and compares every reply; at most one session
// has written in an open transaction, the others then only read, so that no reply depends on who waits for whom.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/integration/grammar/compare.h"
#include "tests/servers/crossfade_process.h"
#include "tests/servers/server.h"

namespace crossfade::grammar {

struct Stage {
  const char* name;
  const char* phase;
  int percent;
  bool added, written, complete;  // the new side: is there; right wherever it is filled; filled everywhere
  Mode mode;
};
extern const std::vector<Stage> kStages;
constexpr size_t kSessions = 4;
constexpr std::chrono::seconds kPatience(25);  // with a phase

struct Outcome {
  std::string difference;  // empty: none
  std::string refusal;     // the proxy refused it
  bool skipped = false;    // would have waited for another session
  bool error = false;      // … alike on both sides
  bool waited = false;     // … for a lock, in vain
};

class World {
 public:
  struct Session;
  static absl::StatusOr<std::unique_ptr<World>> Start(servers::Engine engine, bool direct);
  ~World();

  // A new database on both servers, a proxy of its own, and sessions. FailedPrecondition: `check` refuses the migrations.
  absl::Status Begin(const Model& model);
  absl::Status Walk(size_t stage);  // ends all transactions first
  Outcome Run(const Step& step);
  // The full scan; empty: the old columns of both servers are the same, and new = f(old) where it must hold.
  std::string Scan();
  // To contract and done; compares what is left.
  std::string Finish();

  const twin::Lexis& lexis(size_t session) const;
  bool strict(size_t session) const;
  bool in_transaction(size_t session) const;
  int holder() const { return holder_; }
  // As a line of a script that can be read.
  std::string Written(const Step& step);
  std::string log() const;
  int proxied_port() const;
  int direct_port() const { return b_->port(); }

 private:
  World() = default;
  servers::Reply Send(Session& session, bool proxied, const Statement& statement, const twin::Rendered& rendered);
  Outcome Compare(Session& session, const Statement& statement);
  Outcome Text(Session& session, const std::string& label, const std::string& sql);
  std::string Old(const Table& table, bool of_proxy) const;
  std::string Mapping(const Table& table);
  std::string Made(const Table& table, const std::string& fresh, const std::string& type, const std::string& from, bool complete);

  bool direct_ = false;
  std::unique_ptr<servers::Server> a_, b_;
  Model model_;
  std::unique_ptr<servers::CrossfadeProcess> proxy_;
  std::unique_ptr<servers::Client> on_a_, on_b_;  // directly
  std::vector<std::unique_ptr<Session>> sessions_;
  History history_;
  size_t stage_ = 0;
  int holder_ = -1;
};

}  // namespace crossfade::grammar
