// SPDX-License-Identifier: Apache-2.0
// See parallel.h.
#include "tests/integration/grammar/parallel.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "fmt/format.h"

namespace crossfade::grammar {
namespace {

using servers::Client;
using servers::Reply;

constexpr int kWorkers = 3;
constexpr int kOwn = 40;  // rows and keys that a worker has in each table

bool Again(const Reply& reply) { return reply.error == 1205 || reply.error == 1213 || reply.error == 1412; }

class Worker {
 public:
  Worker(const Model& model, int number, uint64_t seed) : model_(model), number_(number), random_(seed * 31 + static_cast<uint64_t>(number)) {}

  std::string Connect(int proxied, int direct) {
    for (auto [port, client] : {std::pair{proxied, &a_}, std::pair{direct, &b_}}) {
      auto connected = Client::Connect({.port = port, .database = kDatabase});
      if (!connected.ok()) return std::string(connected.status().message());
      *client = std::make_unique<Client>(*std::move(connected));
      (void)(*client)->Query("SET innodb_lock_wait_timeout = 1");
      if (number_ > 0) (void)(*client)->Query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
    }
    return "";
  }

  void Run(const std::atomic<bool>& stop) {
    while (!stop && failure_.empty()) {
      Transaction();
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
    }
  }

  const std::string& failure() const { return failure_; }
  const ParallelCounts& counts() const { return counts_; }

 private:
  int U() { return 20'000 + number_ * 1'000 + random_.Between(1, kOwn); }

  // The worker's own keys, which no other one has.
  std::string OwnKey(int key) {
    const Key& of = model_.keys[key];
    const int n = random_.Between(1, kOwn);
    const std::string& like = of.pool[0];
    if (of.integer) return std::to_string(20'000 + number_ * 1'000 + n);
    if (of.bytes) return std::string(14, static_cast<char>('A' + number_)) + fmt::format("{:02}", n);
    if (like.size() == 36) return fmt::format("{:08x}-1111-4222-8333-{:012x}", number_ + 1, n);
    return fmt::format("own-{}-{}", number_, n);
  }

  std::string ValueOf(const Table& table, const Column& column) {
    // MySQL 9.7 itself leaves rows that refer to their own table without their parents, also without a proxy.
    const bool itself = column.role == Role::kReference && model_.keys[column.key].table == table.name;
    if (column.nullable && (random_.Chance(15) || (itself && model_.engine == servers::Engine::kMySql))) return "NULL";
    if (column.role == Role::kIdentity) return std::to_string(U());
    if (column.role == Role::kKey || column.role == Role::kReference) return Literal(OwnKey(column.key), column, model_);
    return Literal(SomeValue(random_, column), column, model_);
  }

  std::string OneStatement() {
    const Table& table = random_.Pick(model_.tables);
    const unsigned dice = static_cast<unsigned>(random_.Below(100));
    if (dice < 45) {
      std::string list, values, update;
      for (const Column& column : table.columns) {
        list += (list.empty() ? "`" : ", `") + column.name + "`";
        values += (values.empty() ? "" : ", ") + ValueOf(table, column);
        if (column.role != Role::kKey && column.role != Role::kIdentity) update = fmt::format("`{0}` = VALUES(`{0}`)", column.name);
      }
      const bool replace = dice < 8;
      return fmt::format("{} INTO {} ({}) VALUES ({})", replace ? "REPLACE" : dice < 14 ? "INSERT IGNORE" : "INSERT", table.name, list, values);
    }
    if (dice < 85) {
      const Column& column = random_.Pick(table.columns);
      if (column.role == Role::kIdentity) return fmt::format("DELETE FROM {} WHERE u = {}", table.name, U());
      return fmt::format("UPDATE {} SET `{}` = {} WHERE u = {}", table.name, column.name, ValueOf(table, column), U());
    }
    if (dice < 93) return fmt::format("DELETE FROM {} WHERE u = {}", table.name, U());
    return fmt::format("SELECT * FROM {} WHERE u BETWEEN {} AND {} ORDER BY u FOR UPDATE", table.name, 20'000 + number_ * 1'000, 20'999 + number_ * 1'000);
  }

  void Transaction() {
    std::vector<std::pair<std::string, Reply>> done;
    const int length = random_.Chance(40) ? 1 : random_.Between(2, 5);
    const bool rolls_back = length > 1 && random_.Chance(10);
    if (length > 1 && !a_->Query("BEGIN").ok()) return Fail("BEGIN");
    for (int i = 0; i < length; ++i) {
      const std::string sql = OneStatement();
      Reply reply = a_->Query(sql);
      ++counts_.statements;
      if (reply.lost()) return Fail(sql + ": " + reply.message);
      if (reply.error == 1235) {
        ++counts_.refused;
        continue;
      }
      if (Again(reply)) {
        ++counts_.lost;
        (void)a_->Query("ROLLBACK");
        return;
      }
      done.emplace_back(sql, std::move(reply));
    }
    if (length > 1) {
      const Reply ended = a_->Query(rolls_back ? "ROLLBACK" : "COMMIT");
      if (!ended.ok()) return Fail("COMMIT: " + ended.message);
    }
    ++counts_.transactions;
    if (!rolls_back) Repeat(done, length > 1);
  }

  // The same on the other server, where it may have to be tried again.
  void Repeat(const std::vector<std::pair<std::string, Reply>>& done, bool transaction) {
    for (int attempt = 0; attempt < 50; ++attempt) {
      if (transaction) (void)b_->Query("BEGIN");
      bool again = false;
      for (const auto& [sql, expected] : done) {
        const Reply reply = b_->Query(sql);
        again = Again(reply);
        if (again) break;
        if (reply.error != expected.error || reply.affected != expected.affected) return Fail(fmt::format("{}: proxied {}, direct {}", sql, Describe(expected), Describe(reply)));
      }
      (void)b_->Query(again ? "ROLLBACK" : "COMMIT");
      if (!again) return;
    }
    Fail("the direct side deadlocks for ever");
  }

  void Fail(const std::string& text) {
    failure_ = text;
    (void)a_->Query("ROLLBACK");  // or a phase would wait for it
  }

  const Model& model_;
  int number_;
  Random random_;
  std::unique_ptr<Client> a_, b_;
  std::string failure_;
  ParallelCounts counts_;
};

}  // namespace

std::string RunParallel(World& world, const Model& model, uint64_t seed, ParallelCounts* counts) {
  std::vector<std::unique_ptr<Worker>> workers;
  for (int i = 0; i < kWorkers; ++i) {
    workers.push_back(std::make_unique<Worker>(model, i, seed));
    if (std::string text = workers.back()->Connect(world.proxied_port(), world.direct_port()); !text.empty()) return text;
  }
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (auto& worker : workers) threads.emplace_back([&worker, &stop] { worker->Run(stop); });
  std::string failure;
  // All but retire, from which on old keys are not taken any more.
  for (size_t stage = 0; stage + 1 < kStages.size() && failure.empty(); ++stage) {
    if (absl::Status status = world.Walk(stage); !status.ok()) failure = fmt::format("on the way to {}: {}", kStages[stage].name, std::string(status.message()));
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  for (const auto& worker : workers) {
    if (!worker->failure().empty()) failure = worker->failure() + (failure.empty() ? "" : "\n  " + failure);
    counts->statements += worker->counts().statements;
    counts->transactions += worker->counts().transactions;
    counts->lost += worker->counts().lost;
    counts->refused += worker->counts().refused;
  }
  const std::string scanned = world.Scan();
  return failure.empty() || scanned.empty() ? failure + scanned : failure + "\n  scan: " + scanned;
}

}  // namespace crossfade::grammar
