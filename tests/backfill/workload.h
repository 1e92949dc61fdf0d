// SPDX-License-Identifier: Apache-2.0
// A proxy and its application in one process, for tests of the migrator: renews a lease, follows the epochs as a proxy
// does (no statement of an earlier epoch is in flight when it acknowledges), and writes all the while, each statement in
// the form that docs/rewriting.md gives it in the phase. P(name -> id) and R(p -> p_id, q -> q_id), in the end under the
// names name, p and q. Tags that never change say which rows belong together, so that the end can be judged from outside.
// With `columns` also C(phone -> digits) of the migration "cc", whose column `truth` is what phone was or would be.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/backfill/fixture.h"

namespace crossfade::backfill {

inline constexpr char kZoo[] =
    "[{name: ik, schema: cf_data, phase: observe, keys: [{table: P, old: name, new: {column: id, type: int unsigned, final: name},"
    " references: [{table: R, old: p, new: p_id, final: p}, {table: R, old: q, new: q_id, final: q}]}]}]";

inline std::vector<std::string> ZooTables(int parents, int children_each) {
  return {
      "CREATE TABLE P(name varchar(40) NOT NULL PRIMARY KEY, tag varchar(40) NOT NULL, v int, UNIQUE KEY tag(tag), KEY nv(v, name))",
      "CREATE TABLE R(rid bigint AUTO_INCREMENT PRIMARY KEY, p varchar(40) NOT NULL, q varchar(40) NULL, ptag varchar(40) NOT NULL, qtag varchar(40) NULL,"
      " KEY kp(p), UNIQUE KEY uq(q, p, rid), CONSTRAINT fkp FOREIGN KEY(p) REFERENCES P(name) ON UPDATE CASCADE ON DELETE CASCADE,"
      " CONSTRAINT fkq FOREIGN KEY(q) REFERENCES P(name) ON UPDATE CASCADE)",
      "CREATE TABLE seed(i int PRIMARY KEY)",
      "INSERT INTO seed WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < 999) SELECT i FROM s",
      fmt::format("INSERT INTO P(name, tag, v) SELECT CONCAT('k', a.i + 1000 * b.i), CONCAT('k', a.i + 1000 * b.i), 1 FROM seed a, seed b WHERE a.i + 1000 * b.i < {}", parents),
      fmt::format("INSERT INTO R(p, q, ptag, qtag) SELECT name, IF(MOD(CRC32(name) + i, 3) = 0, NULL, CONCAT('k', i)), tag, IF(MOD(CRC32(name) + i, 3) = 0, NULL, CONCAT('k', i)) FROM P, seed WHERE i < {}",
                  children_each),
      "DROP TABLE seed"};
}

struct WorkloadOptions {
  bool survives = false;  // connects again when the server has died
  bool ledger = false;    // says in the table `ledger`, in the same transaction, how many rows each write added
  bool columns = false;
};

inline constexpr char kDigitsOf[] = "CAST(NULLIF(REGEXP_REPLACE({}, '[^0-9]', ''), '') AS UNSIGNED)";

class Workload {
 public:
  Workload(std::shared_ptr<const config::Config> config, int parents, int writers, WorkloadOptions options = {})
      : config_(std::move(config)), parents_(parents), options_(options) {
    control_ = std::thread([this] { Control(); });
    while (!leased_ && errors() == 0) std::this_thread::yield();
    for (int i = 0; i < writers; ++i) writers_.emplace_back([this, i, writers] { Write(i, writers); });
  }
  ~Workload() { Stop(); }
  void Stop() {
    stop_ = true;
    for (std::thread& writer : writers_) writer.join();
    writers_.clear();
    if (control_.joinable()) control_.join();
  }
  // From now on (until false) a transaction of the present epoch stays open.
  void Linger(bool linger) { pinned_ = linger ? epoch_.load() : 0; }
  uint64_t epoch() const { return epoch_; }
  int errors() const { return errors_; }
  int deadlocks() const { return deadlocks_; }
  int writes() const { return writes_; }
  std::string last_error() {
    const std::lock_guard lock(error_mutex_);
    return last_error_;
  }

 private:
  using Phase = config::Phase;

  void Fail(const std::string& text) {
    const std::lock_guard lock(error_mutex_);
    ++errors_;
    last_error_ = text;
  }

  void Control() {
    while (!stop_) {
      auto connection = Connection::Open(*config_);
      absl::Status status = connection.ok() ? Follow(&*connection) : connection.status();
      if (status.ok()) return;
      if (!options_.survives) return Fail(std::string(status.message()));
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  absl::Status Follow(Connection* connection) {
    while (!stop_) {
      auto state = ReadState(*connection, *config_);
      if (!state.ok()) return state.status();
      if (state->epoch != epoch_) {
        wanted_ = true;  // a shared_mutex may starve its writer
        const std::unique_lock gate(gate_);  // the drain: every statement of the earlier epoch is over
        for (const MigrationRow& row : state->migrations) (row.name == "cc" ? columns_ : row_) = row;
        epoch_ = state->epoch;
        wanted_ = false;
      }
      auto renewed = RenewLease(*connection, *config_, "test", "here", epoch_, pinned_ != 0 ? pinned_.load() : epoch_.load());
      if (!renewed.ok()) return renewed.status();
      // Whoever has no lease is not waited for, so nothing is written before there is one of the present epoch.
      if (renewed->epoch == epoch_) leased_ = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    (void)EndLease(*connection, *config_, "test");
    return absl::OkStatus();
  }

  // Affected rows. `parents`, `children`, `others`: how many rows of each table there are more for each of them.
  absl::StatusOr<uint64_t> Run(Connection* connection, const std::string& sql, int parents, int children, int others) {
    if (!options_.ledger) return connection->Execute(sql);
    uint64_t affected = 0;
    absl::Status status = connection->Execute("START TRANSACTION").status();
    if (!status.ok()) return status;
    auto done = connection->Execute(sql);
    if (done.ok()) {
      affected = *done;
      const int n = static_cast<int>(affected);
      if (n != 0) done = connection->Execute(fmt::format("INSERT INTO ledger(p, r, c) VALUES ({}, {}, {})", parents * n, children * n, others * n));
    }
    if (done.ok()) done = connection->Execute("COMMIT");
    if (!done.ok()) {
      (void)connection->Execute("ROLLBACK");
      return done.status();
    }
    return affected;
  }

  bool Connect(std::optional<Connection>* connection) {
    connection->reset();
    while (!stop_) {
      auto opened = Connection::Open(*config_);
      if (opened.ok() && opened->Execute("USE cf_data").ok()) {
        *connection = *std::move(opened);
        return true;
      }
      if (!options_.survives) {
        Fail(std::string(opened.status().message()));
        return false;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return false;
  }

  void Write(int self, int writers) {
    std::optional<Connection> own;
    if (!Connect(&own)) return;
    std::mt19937 random(static_cast<unsigned>(self) + 1);
    std::vector<std::pair<std::string, std::string>> keys;  // (name, tag) of this writer's parents
    // The first ten are what q refers to and are never renamed: no engine cascades two keys into one row.
    for (int i = self + 10; i < parents_; i += writers) keys.emplace_back(fmt::format("k{}", i), fmt::format("k{}", i));
    uint64_t next = 0, end = 0;
    int fresh = 0;
    while (!stop_) {
      while (wanted_ && !stop_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      const std::shared_lock gate(gate_);
      if (row_.held || columns_.held) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        continue;
      }
      if (next == end) {
        auto block = ReserveKeys(*own, *config_, "ik", "P", 50);
        if (!block.ok() && options_.survives) {
          if (!Connect(&own)) return;
          continue;
        }
        if (!block.ok()) return Fail(std::string(block.status().message()));
        next = *block;
        end = next + 50;
      }
      auto& [name, tag] = keys[random() % keys.size()];
      const auto& other = keys[random() % keys.size()];
      std::string sql;
      std::string new_name;
      const int kind = static_cast<int>(random() % (options_.columns ? 8 : 6));
      if (kind == 0) {
        new_name = fmt::format("w{}-{}", self, ++fresh);
        sql = InsertParent(new_name, next++);
      } else if (kind <= 2) {
        sql = InsertChild(name, tag, random() % 2 == 0 ? "NULL" : fmt::format("'k{}'", random() % 10));
      } else if (kind == 3) {
        sql = MoveChildren(other.second, name, tag);
      } else if (kind == 4) {
        sql = fmt::format("DELETE FROM R WHERE ptag = '{}' ORDER BY rid LIMIT 1", tag);
        if (random() % 4 != 0) continue;
      } else if (kind >= 6) {
        sql = WriteColumns(kind == 6, fmt::format("+{} ({})-{}", random() % 100, random() % 1000, random() % 10'000), 1 + random() % 150);
      } else {
        if (row_.phase >= Phase::kRetire || random() % 2 == 0) continue;
        new_name = fmt::format("r{}-{}", self, ++fresh);
        sql = fmt::format("UPDATE P SET name = '{}' WHERE name = '{}'", new_name, name);
      }
      auto done = Run(&*own, sql, kind == 0 ? 1 : 0, kind == 1 || kind == 2 ? 1 : kind == 4 ? -1 : 0, kind == 6 ? 1 : 0);
      if (options_.survives && absl::IsUnavailable(done.status())) {
        if (!Connect(&own)) return;
        // Whether it was committed nobody said.
        auto now = own->Query(fmt::format("SELECT name FROM P WHERE tag = '{}'", tag));
        if (now.ok() && !now->rows.empty() && row_.phase < Phase::kRetire) name = now->rows[0][0].value_or("");
        continue;
      }
      if (ServerError(done.status()) == 1213 || ServerError(done.status()) == 1205) {
        ++deadlocks_;
        continue;
      }
      if (!done.ok()) {
        Fail(sql + ": " + std::string(done.status().message()));
        continue;
      }
      ++writes_;
      if (kind == 0) keys.emplace_back(new_name, new_name);
      if (kind == 5) name = new_name;
    }
  }

  bool Dual() const { return row_.phase >= Phase::kDualWrite && row_.phase <= Phase::kCutover; }
  std::string InsertParent(const std::string& name, uint64_t key) const {
    if (row_.swapped || row_.phase == Phase::kDone) return fmt::format("INSERT INTO P(name, tag) VALUES ({}, '{}')", key, name);
    if (row_.phase < Phase::kDualWrite) return fmt::format("INSERT INTO P(name, tag) VALUES ('{0}', '{0}')", name);
    return fmt::format("INSERT INTO P(name, id, tag) VALUES ('{0}', {1}, '{0}')", name, key);
  }
  // `q`: the other parent's first name and tag, quoted, or NULL
  std::string InsertChild(const std::string& name, const std::string& tag, const std::string& q) const {
    if (row_.swapped || row_.phase == Phase::kDone) {
      return fmt::format("INSERT INTO R(p, q, ptag, qtag) SELECT name, (SELECT q.name FROM P AS q WHERE q.tag = {0}), tag, {0} FROM P WHERE tag = '{1}'", q, tag);
    }
    if (row_.phase >= Phase::kRetire) {
      return fmt::format("INSERT INTO R(p_id, q_id, ptag, qtag) SELECT id, (SELECT q.id FROM P AS q WHERE q.tag = {0}), tag, {0} FROM P WHERE tag = '{1}'", q, tag);
    }
    if (!Dual()) return fmt::format("INSERT INTO R(p, q, ptag, qtag) VALUES ('{}', {}, '{}', {})", name, q, tag, q);
    return fmt::format("INSERT INTO R(p, p_id, q, q_id, ptag, qtag) VALUES ('{}', (SELECT cf.id FROM P AS cf WHERE cf.name = R.p LOCK IN SHARE MODE), {},"
                       " (SELECT cf.id FROM P AS cf WHERE cf.name = R.q LOCK IN SHARE MODE), '{}', {})", name, q, tag, q);
  }
  // One child of the parent tagged `from` goes to the parent (name, tag).
  std::string MoveChildren(const std::string& from, const std::string& name, const std::string& tag) const {
    const std::string where = fmt::format("ptag = '{}' WHERE ptag = '{}' ORDER BY rid LIMIT 1", tag, from);
    if (row_.swapped || row_.phase == Phase::kDone) return fmt::format("UPDATE R SET p = (SELECT name FROM P WHERE tag = '{}'), {}", tag, where);
    if (row_.phase >= Phase::kRetire) return fmt::format("UPDATE R SET p_id = (SELECT id FROM P WHERE tag = '{}'), {}", tag, where);
    if (!Dual()) return fmt::format("UPDATE R SET p = '{}', {}", name, where);
    if (row_.phase <= Phase::kBackfill) {
      return fmt::format("UPDATE R SET p_id = IF(p <=> '{0}', p_id, 0), p = '{0}', p_id = IF(p_id = 0, (SELECT cf.id FROM P AS cf WHERE cf.name = R.p LOCK IN SHARE MODE), p_id), {1}",
                         name, where);
    }
    return fmt::format("UPDATE R SET p = '{}', p_id = (SELECT cf.id FROM P AS cf WHERE cf.name = R.p LOCK IN SHARE MODE), {}", name, where);
  }

  std::string WriteColumns(bool insert, const std::string& value, unsigned id) const {
    const Phase phase = columns_.phase;
    const std::string of_value = fmt::format(fmt::runtime(kDigitsOf), "'" + value + "'"), of_phone = fmt::format(fmt::runtime(kDigitsOf), "phone");
    const bool after = columns_.swapped || phase == Phase::kDone;
    std::string set = after ? fmt::format("digits = {}, truth = '{}'", of_value, value) : fmt::format("phone = '{0}', truth = '{0}'", value);
    if (!after && phase >= Phase::kDualWrite) set += ", digits = " + of_phone;
    return insert ? "INSERT INTO C SET " + set : fmt::format("UPDATE C SET {} WHERE cid = {}", set, id);
  }

  std::shared_ptr<const config::Config> config_;
  int parents_;
  WorkloadOptions options_;
  std::shared_mutex gate_;
  MigrationRow row_, columns_;  // under gate_
  std::atomic<uint64_t> epoch_{0}, pinned_{0};
  std::atomic<bool> stop_{false}, wanted_{false}, leased_{false};
  std::atomic<int> errors_{0}, deadlocks_{0}, writes_{0};
  std::mutex error_mutex_;
  std::string last_error_;
  std::vector<std::thread> writers_;
  std::thread control_;
};

}  // namespace crossfade::backfill
