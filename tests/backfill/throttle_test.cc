// SPDX-License-Identifier: Apache-2.0
// The throttle: a replica that really lags, load, history, a query, windows; what it says, when it stops, and that the
// migrator obeys.
#include "backfill/throttle.h"

#include <thread>

#include "backfill/migrator.h"
#include "backfill/status.h"
#include "backfill/store.h"
#include "tests/backfill/replicated.h"
#include "tests/backfill/workload.h"

namespace crossfade::backfill {
namespace {

using config::Phase;

class ThrottleTest : public ReplicatedTest {
 protected:
  config::Config With(const std::function<void(config::Throttle*)>& change) {
    config::Config config = *config_;
    config.throttle.poll = std::chrono::milliseconds(50);
    change(&config.throttle);
    return config;
  }
  // Asks until the verdict is as `wanted` says; its reason.
  static std::string Until(Throttle* throttle, const std::function<bool(const ThrottleVerdict&)>& wanted) {
    ThrottleVerdict verdict;
    for (int i = 0; i < 1'500; ++i) {
      verdict = throttle->Look();
      if (wanted(verdict)) return verdict.reason;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ADD_FAILURE() << "never; now hold=" << verdict.hold << " stop=" << verdict.stop << " " << verdict.reason;
    return verdict.reason;
  }
  static bool Open(const ThrottleVerdict& verdict) { return !verdict.hold && !verdict.stop; }
  static bool Holds(const ThrottleVerdict& verdict) { return verdict.hold && verdict.reason.find("first look") == std::string::npos; }
  std::string LagName() { return "replica_lag " + replica_server_->address(); }
  std::unique_ptr<Connection> Another() {
    auto connection = Connection::Open(*config_);
    EXPECT_TRUE(connection.ok()) << connection.status();
    return std::make_unique<Connection>(*std::move(connection));
  }
  void SetPhase(const std::string& phase) {
    ASSERT_OK(SetDesired(*db_, *config_, "ik", *config::ParsePhase(phase), std::nullopt, false));
  }
  MigrationRow Row() { return ReadState(*db_, *config_)->migrations.at(0); }
  bool Becomes(const std::function<bool()>& condition) {
    for (int i = 0; i < 3'000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
};

TEST_P(ThrottleTest, AReplicaIsFoundAndItsLagHolds) {
  for (const bool report : {true, false}) {
    if (!report && IsMariaDb()) continue;  // lists only those that report their host
    SCOPED_TRACE(report ? "by report_host" : "by the connection that fetches the binary log");
    ASSERT_NO_FATAL_FAILURE(StartBoth(report));
    ASSERT_OK(InstallControlSchema(*db_, *config_));
    Throttle throttle(With([](config::Throttle* t) { t->replica_lag.limit = 1; t->replica_lag.stop = 3; }));
    Until(&throttle, [&](const ThrottleVerdict& verdict) { return Open(verdict) && !throttle.Values().empty() && throttle.Values().back().name == LagName(); });
    ASSERT_TRUE(Becomes([&] {
      throttle.Look();
      return ReplicaValue("SELECT COUNT(*) FROM cf_control.heartbeat") == "1";
    }));
    Applier(false);
    EXPECT_NE(Until(&throttle, Holds).find(LagName() + " is "), std::string::npos);
    EXPECT_NE(Until(&throttle, [](const ThrottleVerdict& verdict) { return verdict.stop; }).find("stops it above 3"), std::string::npos);
    Applier(true);
    Until(&throttle, Open);
    // One that was there and does not answer any more holds too, as long as it is a replica.
    replica_server_->Kill();
    const std::string reason = Until(&throttle, Holds);
    EXPECT_NE(reason.find(LagName()), std::string::npos) << reason;
  }
}

TEST_P(ThrottleTest, WithoutTheBeatSecondsBehindCounts) {
  ASSERT_NO_FATAL_FAILURE(StartBoth(true));
  ASSERT_OK(InstallControlSchema(*db_, *config_));
  const std::string applied = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'cf_control' AND table_name = 'heartbeat'";
  ASSERT_TRUE(Becomes([&] { return ReplicaValue(applied) == "1"; }));
  Applier(false);
  OnReplica("DROP TABLE cf_control.heartbeat");
  Throttle throttle(With([](config::Throttle* t) { t->replica_lag.limit = 1; }));
  EXPECT_NE(Until(&throttle, Holds).find("replication is stopped there"), std::string::npos);
}

TEST_P(ThrottleTest, LoadQueryWindowsAndListedReplicas) {
  ASSERT_NO_FATAL_FAILURE(StartBoth(true));
  ASSERT_OK(InstallControlSchema(*db_, *config_));
  const auto query = [&](const std::string& sql) {
    Throttle throttle(With([&](config::Throttle* t) { t->query_sql = sql; t->query.limit = 5; }));
    Until(&throttle, [](const ThrottleVerdict& verdict) { return verdict.reason.find("first look") == std::string::npos; });
    return throttle.Look().reason;
  };
  EXPECT_EQ(query("SELECT 5"), "");
  EXPECT_EQ(query("SELECT 6"), "query is 6, limit 5");
  EXPECT_EQ(query("SELECT NULL"), "query: gave no value");
  EXPECT_NE(query("SELECT nothing").find("query: "), std::string::npos);
  {
    config::Window window;
    const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    window.from = static_cast<uint16_t>((now / 60 + 120) % 1440);
    window.to = static_cast<uint16_t>((now / 60 + 130) % 1440);
    Throttle throttle(With([&](config::Throttle* t) { t->windows = {window}; }));
    EXPECT_EQ(Until(&throttle, Holds), "outside of its windows of time");
  }
  {
    Throttle throttle(With([&](config::Throttle* t) { t->replicas = {"127.0.0.1:1"}; }));
    EXPECT_NE(Until(&throttle, Holds).find("replica_lag 127.0.0.1:1: replica at 127.0.0.1:1"), std::string::npos);
  }
  {
    Throttle throttle(With([&](config::Throttle* t) { t->threads_running.limit = 5; }));
    Until(&throttle, Open);
    std::vector<std::thread> sleepers;
    for (int i = 0; i < 8; ++i) sleepers.emplace_back([this] { EXPECT_TRUE(Another()->Query("SELECT SLEEP(3)").ok()); });
    EXPECT_NE(Until(&throttle, Holds).find("threads_running is "), std::string::npos);
    for (std::thread& sleeper : sleepers) sleeper.join();
    Until(&throttle, Open);
  }
  {
    // Old versions that a reader keeps from being purged.
    Run("CREATE TABLE h(i int PRIMARY KEY, v int)");
    Run("INSERT INTO h VALUES (1, 0)");
    auto reader = Another();
    ASSERT_OK(StatusOf(reader->Execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")));
    ASSERT_OK(StatusOf(reader->Execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")));
    ASSERT_OK(StatusOf(reader->Query("SELECT * FROM cf_data.h")));
    for (int i = 0; i < 300; ++i) Run("UPDATE h SET v = v + 1");
    Throttle throttle(With([&](config::Throttle* t) { t->history_list.limit = 200; }));
    EXPECT_NE(Until(&throttle, Holds).find("history_list is "), std::string::npos);
    ASSERT_OK(StatusOf(reader->Execute("COMMIT")));
    Until(&throttle, Open);
  }
}

TEST_P(ThrottleTest, TheBinaryLogAndTheDisk) {
  ASSERT_NO_FATAL_FAILURE(StartBoth(true));
  ASSERT_OK(InstallControlSchema(*db_, *config_));
  Run("CREATE TABLE b(i int PRIMARY KEY, v longtext)");
  Run("INSERT INTO b VALUES (1, '')");
  {
    Throttle throttle(With([](config::Throttle* t) { t->binlog_rate.limit = 200'000; }));
    Until(&throttle, Open);
    for (int i = 0; i < 20; ++i) {
      Run(fmt::format("UPDATE b SET v = REPEAT('{}', 100000)", i % 10));
      if (i % 5 == 0) Run("FLUSH BINARY LOGS");
    }
    EXPECT_NE(Until(&throttle, Holds).find("binlog_rate is "), std::string::npos);
    const auto values = throttle.Values();
    const auto rate = std::find_if(values.begin(), values.end(), [](const ThrottleValue& value) { return value.name == "binlog_rate"; });
    ASSERT_TRUE(rate != values.end());
    EXPECT_GT(rate->value, 200'000);
    EXPECT_LT(rate->value, 200'000'000);
    Until(&throttle, Open);  // and again little is written
  }
  {
    // The server runs on this machine, so its disk is known.
    Throttle throttle(With([](config::Throttle* t) { t->disk_free = {1, 0}; }));
    Until(&throttle, Open);
    const auto values = throttle.Values();
    const auto free = std::find_if(values.begin(), values.end(), [](const ThrottleValue& value) { return value.name == "disk_free"; });
    ASSERT_TRUE(free != values.end());
    EXPECT_GT(free->value, 1e6);
    EXPECT_TRUE(free->known);
  }
  {
    Throttle throttle(With([](config::Throttle* t) { t->disk_free = {1e18, 0}; }));
    EXPECT_NE(Until(&throttle, Holds).find("disk_free is "), std::string::npos);
  }
  {
    Throttle throttle(With([](config::Throttle* t) { t->disk_free = {1e18, 1e18}; }));
    EXPECT_NE(Until(&throttle, [](const ThrottleVerdict& verdict) { return verdict.stop; }).find("which stops it below"), std::string::npos);
  }
  {
    // One that is elsewhere does not tell, and that holds nothing.
    auto config = With([](config::Throttle* t) { t->disk_free = {1e18, 1e18}; });
    config.backends[0].address = fmt::format("localhost.localdomain:{}", server_->port());
    auto free = DiskFree(*db_, config);
    ASSERT_TRUE(free.ok()) << free.status();
    EXPECT_FALSE(free->value.has_value());
    EXPECT_EQ(free->detail.find("not known"), 0u) << free->detail;
  }
}

// The p99 that proxies report is compared with what it is while nothing of ours runs.
TEST_P(ThrottleTest, ARiseOfTheP99HoldsAndSlowsDown) {
  ASSERT_NO_FATAL_FAILURE(StartBoth(true));
  ASSERT_OK(InstallControlSchema(*db_, *config_));
  std::atomic<double> p99{10'000};
  std::atomic<bool> stop{false};
  std::thread proxy([&] {
    auto own = Another();
    while (!stop) {
      EXPECT_TRUE(ReportLatency(*own, *config_, "p", 1'000, p99, 5'000).ok());
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  {
    Throttle throttle(With([](config::Throttle*) {}));
    Until(&throttle, Open);  // at rest it is 10 ms
    EXPECT_EQ(throttle.pace(), 1);
    {
      const Throttle::Working working(&throttle);
      p99 = 12'500;  // 25 %, but within noise of a few milliseconds
      std::this_thread::sleep_for(std::chrono::milliseconds(400));
      EXPECT_TRUE(Open(throttle.Look())) << throttle.Look().reason;
      p99 = 40'000;
      const std::string reason = Until(&throttle, Holds);
      EXPECT_NE(reason.find("p99 is "), std::string::npos) << reason;
    }
    EXPECT_LE(throttle.pace(), 0.5);
    // It rests until the p99 is what it was, or has been as high for as long as nothing of ours runs.
    p99 = 10'000;
    Until(&throttle, Open);
  }
  {
    Throttle throttle(With([](config::Throttle* t) { t->p99_rise = 0; t->p99.limit = 5; t->p99.stop = 100; }));
    EXPECT_EQ(Until(&throttle, Holds), "p99 is 10, limit 5");
    p99 = 500'000;
    Until(&throttle, [](const ThrottleVerdict& verdict) { return verdict.stop; });
  }
  stop = true;
  proxy.join();
}

// The whole way: the migrator waits while the replica lags, says so, goes on, and pauses where it lags too much.
TEST_P(ThrottleTest, TheMigratorObeys) {
  ASSERT_NO_FATAL_FAILURE(StartBoth(true));
  for (const std::string& sql : ZooTables(3'000, 3)) Run(sql);
  auto config = std::make_shared<config::Config>(*Load(kZoo, "chunk_rows: 50, chunk_target: 1ms, backfill_idle_share: 0.98, control_poll: 20ms, backfill_workers: 1"));
  config->throttle.poll = std::chrono::milliseconds(50);
  config->throttle.replica_lag = {1, 4};
  config_ = config;
  ASSERT_OK(InstallControlSchema(*db_, *config_));
  ASSERT_OK(SyncDeclared(*db_, *config_));
  Migrator migrator(config_);
  migrator.Start();
  SetPhase("backfill");
  const auto done = [&] { return std::stoull(Value("SELECT COALESCE(SUM(rows_done), 0) FROM cf_control.backfill_progress")); };
  ASSERT_TRUE(Becomes([&] { return done() > 100; })) << Row().message;
  Applier(false);
  ASSERT_TRUE(Becomes([&] { return Row().message.find("throttled: " + LagName()) == 0; })) << Row().message;
  const uint64_t held_at = done();
  auto report = ReadStatus(*db_, *config_, "ik");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_NE(ToText(*report, 0).find(LagName()), std::string::npos) << ToText(*report, 0);
  EXPECT_NE(ToJson(*report).find("\"holds\": true"), std::string::npos) << ToJson(*report);
  EXPECT_FALSE(migrator.ThrottleValues().empty());
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  EXPECT_EQ(done(), held_at);
  Applier(true);
  ASSERT_TRUE(Becomes([&] { return done() > held_at; })) << Row().message;
  Applier(false);
  ASSERT_TRUE(Becomes([&] { return Row().message.find("paused by the throttle: " + LagName()) == 0; })) << Row().message;
  EXPECT_TRUE(Row().paused);
  Applier(true);
  ASSERT_TRUE(Becomes([&] { return ReplicaValue("SELECT COUNT(*) FROM cf_control.events WHERE text LIKE 'paused by the throttle%'") == "1"; }));
  const uint64_t paused_at = done();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(done(), paused_at);
  ASSERT_OK(SetPaused(*db_, *config_, "ik", false));
  // Faster from now on: a changed file takes effect at once.
  auto faster = std::make_shared<config::Config>(*config_);
  faster->limits.backfill_idle_share = 0;
  faster->limits.chunk_target = std::chrono::milliseconds(500);
  migrator.Reload(faster);
  SetPhase("verify");
  ASSERT_TRUE(Becomes([&] { return Row().phase == Phase::kVerify; })) << Row().message;
  EXPECT_EQ(Value("SELECT COUNT(*) FROM R LEFT JOIN P ON P.id = R.p_id WHERE NOT (P.tag <=> R.ptag)"), "0");
  migrator.Stop();
}

ON_EACH_ENGINE(ThrottleTest);

}  // namespace
}  // namespace crossfade::backfill
