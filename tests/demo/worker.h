// SPDX-License-Identifier: Apache-2.0
// One connection of the demo's application, on a thread of its own. It owns rows that nobody else writes (packages
// it made, and some of the index, with their dependencies) and checks every reply against what it knows of them.
// Keys are opaque to it: a reference is right if it is the name or the number of the package that is meant.
#pragma once

#include <atomic>
#include <functional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "tests/demo/session.h"
#include "tests/demo/stats.h"
#include "tests/demo/truth.h"

namespace crossfade::demo {

// The releases of the application, as they would be rolled out during a migration.
enum class Release : int {
  kNames,   // knows nothing of the new keys
  kEither,  // from verify on: looks up by either key
  kIds,     // at 100 %: works with new keys; the proxy still gives them out
  kFinal,   // from retire on: gives its packages new keys itself; all it says is right on the final schema too
};

// Shared by all workers.
struct Application {
  Stats* stats = nullptr;
  std::vector<std::string> targets;  // packages of the index that the application only refers to
  double think_ms = 15;              // mean pause between two rounds
  std::atomic<bool> faults{false};   // the proxy is being killed: lost connections are no errors
  std::atomic<int> release{0};
  std::atomic<int> audit{0};         // raised by one: each worker compares all its rows
  std::atomic<int> port{0};          // changed: workers move there
  std::atomic<int> other_port{0};    // not 0: every second connection goes there, as through a load balancer
  std::atomic<bool> stop{false};
  // MariaDB's REPLACE deletes the row, and its children by ON DELETE CASCADE; MySQL 9.7's keeps the children.
  bool replace_deletes_children = true;
  std::string user = "root", password, schema;
};

class Worker {
 public:
  // `base`: the packages of the index that it owns.
  Worker(Application* application, int index, std::vector<std::string> base, uint64_t seed);

  void Run();  // until Application::stop
  int release() const { return acked_release_; }
  int audit() const { return acked_audit_; }
  int port() const { return acked_port_; }
  bool ready() const { return ready_; }

 private:
  enum class Outcome { kFine, kDeadlock, kLost, kBroken };
  struct NewDependency {
    std::string token;
    DependencyRow row;
  };

  // worker.cc: rounds, transactions, lost connections
  void Round();
  void Transaction();
  void OneOperation();
  void Settle();
  void Recover();
  bool Reconnect();
  bool ReadAll(Truth* truth);
  bool ReadPackages(const std::vector<std::string>& names, Truth* truth);
  bool ReadDependencies(const std::vector<std::string>& names, Truth* truth);
  void Audit();
  servers::Reply Call(const std::string& sql, const Parameters& parameters = {});
  void Plain(const std::string& sql);
  bool Usable(const servers::Reply& reply, const std::string& sql);
  void Fail(const std::string& what);

  // choices.cc: values, keys, names
  uint64_t Below(uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(rng_); }
  bool Chance(double p) { return std::uniform_real_distribution<>(0, 1)(rng_) < p; }
  std::string NewName() { return prefix_ + std::to_string(++counter_); }
  std::string AnyPackage();
  std::string OwnPackage();  // made by the application; empty: none yet
  std::string Target();
  std::string AnyToken();
  PackageRow NewPackage();
  uint64_t IdOf(const std::string& name);  // 0: it could not be learnt (said already)
  servers::Parameter WrittenKey(const std::string& name);  // for a reference that is written
  servers::Parameter SoughtKey(const std::string& name);   // for a reference that is looked up
  bool IsKeyOf(const servers::Cell& cell, const std::string& name);
  std::string PackageIs(const std::string& name, Parameters* parameters);  // a condition on packages
  std::string JoinOn(const std::string& packages, const std::string& reference);

  // writes.cc
  void Write(const std::string& sql, const Parameters& parameters, uint64_t affected, const std::function<void()>& effect,
             const std::function<void(const servers::Reply&)>& then = nullptr);
  void ExpectError(const std::string& sql, const Parameters& parameters, uint32_t error);
  void InsertPackage();
  void InsertDependency();
  void InsertPackageWithDependencies();
  void UpdatePackage();
  void UpdateReference();
  void MoveDependency();
  void RenamePackage();
  void DeleteDependency();
  void DeletePackage();
  void ReplacePackage();
  void UpsertPackage();
  void UpsertDependency();
  void ReplaceDependency();
  void Mistake();

  // reads.cc
  servers::Reply Read(const std::string& sql, const Parameters& parameters, size_t columns);
  void ReadPackage();
  void ReadWholePackage();
  void ReadMissing();
  void ReadReferences();
  void ReadPackageList();
  void ReadReferenceList();
  void ReadJoin();
  void ReadCounts();
  void ReadRange();
  void ReadReferenceRange();
  void ReadSubquery();
  void ReadForUpdate();

  Application* const application_;
  const int index_;
  const std::string prefix_;
  const std::vector<std::string> base_;
  std::mt19937_64 rng_;
  Session session_;
  Truth truth_;
  std::unordered_map<std::string, uint64_t> target_ids_;
  Release release_ = Release::kNames;
  Outcome outcome_ = Outcome::kFine;
  bool in_transaction_ = false, committing_ = false;
  uint64_t counter_ = 0, next_id_;
  std::string last_sql_;
  std::atomic<int> acked_release_{0}, acked_audit_{0}, acked_port_{0};
  std::atomic<bool> ready_{false};
};

}  // namespace crossfade::demo
