// SPDX-License-Identifier: Apache-2.0
// Verification on a replica that really replicates: it waits for its position, reads there and nowhere else, and lets a suspect
// count only as it stands on the primary. The whole way with minimal row images.
#include <thread>

#include "backfill/copier.h"
#include "backfill/alter.h"
#include "backfill/catalog_loader.h"
#include "backfill/migrator.h"
#include "backfill/preflight.h"
#include "backfill/status.h"
#include "backfill/verifier.h"
#include "tests/backfill/replicated.h"
#include "tests/backfill/workload.h"

namespace crossfade::backfill {
namespace {

using config::Phase;

const std::vector<std::string> kGtid = {"--gtid-mode=ON", "--enforce-gtid-consistency=ON"};

class ReplicaVerify : public ReplicatedTest {
 protected:
  void Configure(const std::string& limits = "chunk_rows: 200, backfill_idle_share: 0, control_poll: 20ms, verify_chunk_rows: 100") {
    auto config = std::make_shared<config::Config>(*Load(kZoo, limits));
    config::Backend replica;
    replica.name = "replica";
    replica.address = replica_server_->address();
    config->backends.push_back(replica);
    config->migrations[0].verify_on = "replica";
    config->throttle.poll = std::chrono::milliseconds(50);
    config_ = config;
  }
  std::shared_ptr<const config::Config> OnPrimary() {
    auto config = std::make_shared<config::Config>(*config_);
    config->migrations[0].verify_on.clear();
    return config;
  }
  // Filled, and the phase set by hand.
  void Fill(int parents, int children_each) {
    for (const std::string& sql : ZooTables(parents, children_each)) Run(sql);
    ASSERT_OK(InstallControlSchema(*db_, *config_));
    ASSERT_OK(SyncDeclared(*db_, *config_));
    auto tables = LoadCatalog(*db_, config_->migrations);
    ASSERT_TRUE(tables.ok()) << tables.status();
    ASSERT_OK(RunAlters(*db_, *config_, "ik", ExpandDdl(config_->migrations[0], *tables)));
    Run("UPDATE cf_control.migrations SET phase = 'verify'");
    auto copier = Copier::Make(*db_, *config_, config_->migrations[0]);
    ASSERT_TRUE(copier.ok()) << copier.status();
    for (int i = 0; i < 10'000; ++i) {
      auto result = (*copier)->Step();
      ASSERT_TRUE(result.ok()) << result.status();
      if (result->complete) return;
      std::this_thread::sleep_for(result->rest);
    }
    FAIL() << "never complete";
  }
  Verification Check(const config::Config& config, bool repair = false) {
    auto result = Verify(*db_, config, config.migrations[0], repair, nullptr);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : Verification();
  }
  MigrationRow Row() { return ReadState(*db_, *config_)->migrations.at(0); }
  bool Becomes(const std::function<bool()>& condition) {
    for (int i = 0; i < 6'000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  // All rows of a table as one text.
  static std::string All(Connection& connection, const std::string& table) {
    auto rows = connection.Query("SELECT * FROM cf_data." + table + " ORDER BY 1, 2");
    std::string out = rows.ok() ? "" : std::string(rows.status().message());
    for (const backfill::Row& row : rows.ok() ? rows->rows : std::vector<backfill::Row>()) {
      for (const auto& value : row) out += value.value_or("NULL") + "|";
      out += "\n";
    }
    return out;
  }
};

TEST_P(ReplicaVerify, ItWaitsForItsPositionAndReadsThere) {
  for (const bool gtid : {false, true}) {
    if (gtid && IsMariaDb()) continue;  // it always has them
    SCOPED_TRACE(gtid ? "by GTID" : "by what the engine has");
    ASSERT_NO_FATAL_FAILURE(StartBoth(true, gtid ? kGtid : std::vector<std::string>()));
    Configure();
    ASSERT_NO_FATAL_FAILURE(Fill(200, 3));
    {
      Applier(false);
      Run("UPDATE R SET p_id = p_id + 1 WHERE rid = 5");  // which the replica does not have yet
      auto verifier = Verifier::Make(*db_, *config_, config_->migrations[0], false);
      ASSERT_TRUE(verifier.ok()) << verifier.status();
      for (int i = 0; i < 5; ++i) {
        auto step = (*verifier)->Step();
        ASSERT_TRUE(step.ok()) << step.status();
        EXPECT_FALSE(*step);
        EXPECT_NE((*verifier)->waiting_for().find("the replica replica"), std::string::npos) << (*verifier)->waiting_for();
      }
      EXPECT_EQ((*verifier)->result().rows_checked, 0u);
      Applier(true);
      absl::StatusOr<bool> done = false;
      for (int i = 0; i < 1'000 && done.ok() && !*done; ++i) done = (*verifier)->Step();
      ASSERT_TRUE(done.ok()) << done.status();
      EXPECT_EQ((*verifier)->waiting_for(), "");
      EXPECT_EQ((*verifier)->result().differences, 1u);
      EXPECT_EQ((*verifier)->result().rows_checked, 800u);
      EXPECT_EQ((*verifier)->result().examples, Check(*OnPrimary()).examples);
    }
    EXPECT_EQ(Check(*config_, true).repaired, 1u);  // on the primary, from where it goes to the replica
    EXPECT_EQ(Check(*config_).differences, 0u);
    // The replica alone is wrong: the primary is looked at, and nothing counts.
    OnReplica("UPDATE cf_data.R SET p_id = p_id + 1 WHERE rid = 7");
    EXPECT_EQ(Check(*config_).differences, 0u);
    OnReplica("UPDATE cf_data.R SET p_id = p_id - 1 WHERE rid = 7");
    // The primary alone is wrong: that it is the replica that was read shows by what it cannot see.
    Run("SET sql_log_bin = 0");
    Run("UPDATE R SET p_id = p_id + 1 WHERE rid = 9");
    Run("SET sql_log_bin = 1");
    EXPECT_EQ(Check(*config_).differences, 0u);
    EXPECT_EQ(Check(*OnPrimary()).differences, 1u);
    auto report = ReadStatus(*db_, *config_, "ik");
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->migrations[0].verification.on, "");
  }
}

TEST_P(ReplicaVerify, WhatIsNoReplicaIsSaid) {
  ASSERT_NO_FATAL_FAILURE(StartBoth(true));
  Configure();
  ASSERT_NO_FATAL_FAILURE(Fill(20, 1));
  auto config = std::make_shared<config::Config>(*config_);
  config->backends.back().address = address_;
  auto verifier = Verifier::Make(*db_, *config, config->migrations[0], false);
  EXPECT_TRUE(absl::IsFailedPrecondition(verifier.status())) << verifier.status();
  auto findings = Preflight(*db_, *config, config->migrations[0]);
  ASSERT_TRUE(findings.ok()) << findings.status();
  bool found = false;
  for (const Finding& finding : *findings) found = found || finding.text.find("the backend replica is the primary itself") != std::string::npos;
  EXPECT_TRUE(found);
  replica_server_->Kill();
  verifier = Verifier::Make(*db_, *config_, config_->migrations[0], false);
  EXPECT_TRUE(absl::IsAborted(verifier.status())) << verifier.status();
}

// Under load, with minimal row images on both, with a replica that stands still for a while: the throttle holds, then all goes on to
// the end, and both servers have the same rows.
TEST_P(ReplicaVerify, TheWholeWayWithMinimalRowImages) {
  std::vector<std::string> more = {"--binlog-row-image=MINIMAL"};
  ASSERT_NO_FATAL_FAILURE(StartBoth(true, more));
  for (const std::string& sql : ZooTables(1'500, 3)) Run(sql);
  Configure("chunk_rows: 100, backfill_idle_share: 0.5, control_poll: 20ms, verify_chunk_rows: 1000");
  {
    auto config = std::make_shared<config::Config>(*config_);
    config->throttle.replica_lag.limit = 1;
    config->throttle.p99_rise = 0;
    config_ = config;
  }
  ASSERT_OK(InstallControlSchema(*db_, *config_));
  ASSERT_OK(SyncDeclared(*db_, *config_));
  auto findings = Preflight(*db_, *config_, config_->migrations[0]);
  ASSERT_TRUE(findings.ok()) << findings.status();
  bool told = false;
  for (const Finding& finding : *findings) told = told || finding.text.find("binlog_row_image is MINIMAL") != std::string::npos;
  EXPECT_TRUE(told);
  const auto ask = [&](Phase phase) { ASSERT_OK(SetDesired(*db_, *config_, "ik", phase, phase == Phase::kCutover ? std::optional<double>(100) : std::nullopt, phase >= Phase::kRetire)); };
  {
    Workload load(config_, 1'500, 2);
    Migrator migrator(config_);
    migrator.Start();
    ask(Phase::kVerify);
    ASSERT_TRUE(Becomes([&] { return Row().phase == Phase::kVerify; })) << Row().message;
    Applier(false);
    ask(Phase::kCutover);
    ASSERT_TRUE(Becomes([&] { return Row().message.find("the replica") != std::string::npos || Row().message.find("throttled: replica_lag") == 0; })) << Row().message;
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    EXPECT_EQ(Row().phase, Phase::kVerify);  // nothing is verified there before it has come so far
    Applier(true);
    ASSERT_TRUE(Becomes([&] { return Row().phase == Phase::kCutover; })) << Row().message;
    EXPECT_EQ(Value("SELECT COUNT(*) FROM cf_control.verifications WHERE finished IS NOT NULL AND differences = 0 AND place LIKE '%\"on\":\"replica\"%'"), "1");
    ask(Phase::kDone);
    ASSERT_TRUE(Becomes([&] { return Row().phase == Phase::kDone; })) << Row().message;
    load.Stop();
    migrator.Stop();
    EXPECT_EQ(load.errors(), 0) << load.last_error();
  }
  EXPECT_EQ(Value("SELECT COUNT(*) FROM R LEFT JOIN P ON P.name = R.p WHERE NOT (P.tag <=> R.ptag)"), "0");
  EXPECT_EQ(Value("SELECT COUNT(*) FROM cf_control.drift"), "0");
  Run("CREATE TABLE last_of_all(i int)");
  ASSERT_TRUE(Becomes([&] { return ReplicaValue("SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'last_of_all'") == "1"; }));
  for (const char* table : {"P", "R"}) {
    const std::string here = All(*db_, table);
    EXPECT_GT(here.size(), 10'000u);
    EXPECT_TRUE(here == All(*replica_, table)) << table << " is another on the replica";
  }
}

ON_EACH_ENGINE(ReplicaVerify);

}  // namespace
}  // namespace crossfade::backfill
