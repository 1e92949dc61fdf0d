// SPDX-License-Identifier: Apache-2.0
// A whole migration under a load that checks itself: up and down through the phases, the proxy killed in each of
// them, the server killed and restarted, clients that vanish. At the end every row is what the application wrote.
#include <gtest/gtest.h>

#include <thread>

#include "fmt/format.h"
#include "tests/integration/walk/load.h"
#include "tests/servers/crossfade_process.h"
#include "tests/servers/server.h"

namespace crossfade::walk {
namespace {

using servers::Client;
using servers::CrossfadeProcess;
using servers::Engine;
using servers::Reply;
using servers::Server;
using std::chrono::milliseconds;
using std::chrono::seconds;

class Walk : public testing::TestWithParam<Engine> {
 protected:
  void SetUp() override {
    auto server = Server::Start(GetParam());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    for (const std::string& sql : CreateShop()) {
      const Reply reply = Direct().Query(sql);
      ASSERT_TRUE(reply.ok()) << reply.message << ": " << sql.substr(0, 200);
    }
    // Small chunks and short intervals: every phase lasts a moment, none is skipped over.
    auto proxy = CrossfadeProcess::Start(
        {.backend = server_->address(),
         .migrations = ShopMigration(),
         .limits = "  chunk_rows: 100\n  key_block: 100\n  control_poll: 50ms\n  lease: 1s\n  backfill_idle_share: 0.8\n  verify_chunk_rows: 500\n"});
    ASSERT_TRUE(proxy.ok()) << proxy.status();
    proxy_ = *std::move(proxy);
    const char* seed = getenv("CROSSFADE_SEED");
    seed_ = seed != nullptr ? std::strtoull(seed, nullptr, 10) : static_cast<uint64_t>(time(nullptr));
    fmt::print("CROSSFADE_SEED={}\n", seed_);
  }

  void TearDown() override {
    if (HasFailure() && proxy_ != nullptr) fmt::print("the proxy's log ends so:\n{}", servers::LastLines(proxy_->log(), 25));
  }

  Client Direct() {
    auto client = Client::Connect({.port = server_->port()});
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }

  LoadOptions Options(unsigned drops) { return {.port = proxy_->port(), .direct_port = server_->port(), .seed = seed_, .drops = drops}; }

  uint64_t Count(const std::string& from) {
    const Reply reply = Direct().Query("SELECT COUNT(*) FROM " + from);
    EXPECT_TRUE(reply.ok()) << reply.message;
    return reply.ok() ? std::stoull(*reply.rows[0][0]) : UINT64_MAX;
  }

  // new = f(old) in every row, from `verify` to `cutover`.
  void ExpectComplete() {
    EXPECT_EQ(Count("shop.items WHERE item_no IS NULL OR item_no = 0"), 0u);
    EXPECT_EQ(Count("(SELECT 1 FROM shop.items GROUP BY item_no HAVING COUNT(*) > 1) d"), 0u);
    EXPECT_EQ(Count("shop.orders o WHERE NOT item_ref <=> (SELECT item_no FROM shop.items i WHERE i.code = o.item)"), 0u);
  }

  void ExpectClean(const LoadReport& report) {
    fmt::print("{} operations, {} transactions, {} waits in vain, {} transactions ended by the server without an error, {} connections lost\n", report.operations,
               report.transactions, report.waits, report.ended, report.lost);
    for (const std::string& error : report.errors) ADD_FAILURE() << error;
    EXPECT_GT(report.operations, 100u);
  }

  // Of a phase that is not reached: a thread of the load that gave up in the middle of a transaction holds it back.
  static std::string ErrorsOf(Load& load) {
    std::string text;
    for (const std::string& error : load.Stop().errors) text += "\nthe load: " + error;
    return text;
  }

  // Waits until the load has done something more: a stop at a phase that no statement met would prove nothing.
  void LetWork(Load& load, uint64_t operations = 150) {
    const uint64_t until = load.operations() + operations;
    const auto end = std::chrono::steady_clock::now() + seconds(20);
    while (load.operations() < until && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(milliseconds(10));
    EXPECT_GE(load.operations(), until) << "the load stands still";
  }

  // From `cutover` 100 % to the end, with the load until there are no old references, and what is left then.
  void Finish(Load& load) {
    absl::Status status = proxy_->WalkTo("shop", "retire");
    ASSERT_TRUE(status.ok()) << status;
    LetWork(load);
    ExpectClean(load.Stop());
    Client direct = Direct();
    status = load.CheckTables(direct, "o.item_ref = i.item_no");
    EXPECT_TRUE(status.ok()) << status;
    status = proxy_->WalkTo("shop", "contract");
    ASSERT_TRUE(status.ok()) << status;
    status = proxy_->WalkTo("shop", "done");
    ASSERT_TRUE(status.ok()) << status;
    status = load.CheckTables(direct, "o.item = i.item_no");
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(Count("information_schema.columns WHERE table_schema = 'shop' AND column_name = 'item_ref'"), 0u);
    EXPECT_EQ(Count("information_schema.key_column_usage WHERE table_schema = 'shop' AND table_name = 'orders' AND column_name = 'item' AND referenced_column_name = 'item_no'"), 1u);
    EXPECT_EQ(Count("information_schema.key_column_usage WHERE table_schema = 'shop' AND table_name = 'items' AND column_name = 'item_no' AND constraint_name = 'PRIMARY'"), 1u);
  }

  std::unique_ptr<Server> server_;
  std::unique_ptr<CrossfadeProcess> proxy_;
  uint64_t seed_ = 1;
};

struct Stop {
  const char* phase;
  int percent = -1;
};

TEST_P(Walk, UpAndDownUnderLoad) {
  Load load(Options(0));
  load.Start();
  LetWork(load);
  const Stop stops[] = {{"expand"}, {"dual_write"}, {"backfill"}, {"expand"}, {"dual_write"}, {"observe"}, {"verify"}, {"cutover", 10},
                        {"cutover", 100}, {"dual_write"}, {"cutover", 50}, {"verify"}, {"cutover", 100}};
  for (const Stop& stop : stops) {
    const absl::Status status = proxy_->WalkTo("shop", stop.phase, stop.percent);
    ASSERT_TRUE(status.ok()) << status << ErrorsOf(load);
    LetWork(load);
    if (HasFailure()) break;
  }
  ExpectComplete();
  const servers::CommandResult verified = proxy_->Run("verify", {"shop"});
  EXPECT_EQ(verified.exit_code, 0) << verified.output;
  if (!HasFailure()) Finish(load);
  else ExpectClean(load.Stop());
  EXPECT_EQ(proxy_->Stop(), 0);
}

TEST_P(Walk, TheProxyIsKilledInEveryPhase) {
  Load load(Options(10));
  load.set_may_lose(true);
  load.Start();
  LetWork(load);
  twin::Random random(seed_);
  const Stop stops[] = {{"expand"}, {"dual_write"}, {"backfill"}, {"verify"}, {"cutover", 50}, {"cutover", 100}, {"dual_write"}, {"cutover", 100}};
  for (const Stop& stop : stops) {
    std::vector<std::string> argv = {servers::CrossfadeBinary(), "phase", "-c", proxy_->config_path(), "shop", stop.phase, "--wait", "--yes"};
    if (stop.percent >= 0) argv.insert(argv.end(), {"--percent", std::to_string(stop.percent)});
    servers::TempFolder folder("phase");
    auto command = servers::Process::Spawn(argv, folder.path() + "/log");
    ASSERT_TRUE(command.ok()) << command.status();
    for (int kill = 0; kill < 2; ++kill) {
      std::this_thread::sleep_for(milliseconds(random.Between(5, 700)));
      proxy_->Kill();
      const absl::Status status = proxy_->StartAgain();
      ASSERT_TRUE(status.ok()) << status;
    }
    const auto code = command->Wait(seconds(90));
    ASSERT_TRUE(code.has_value()) << stop.phase << " is not reached: " << servers::ReadFile(folder.path() + "/log");
    ASSERT_EQ(*code, 0) << stop.phase << ": " << servers::ReadFile(folder.path() + "/log");
    LetWork(load, 50);
    if (HasFailure()) break;
  }
  ExpectComplete();
  if (!HasFailure()) Finish(load);
  else ExpectClean(load.Stop());
}

TEST_P(Walk, TheServerIsKilledDuringTheBackfill) {
  Load load(Options(0));
  load.set_may_lose(true);
  load.Start();
  absl::Status status = proxy_->WalkTo("shop", "backfill");
  ASSERT_TRUE(status.ok()) << status << ErrorsOf(load);
  std::this_thread::sleep_for(milliseconds(300));
  server_->Kill();
  std::this_thread::sleep_for(milliseconds(200));
  ASSERT_TRUE(server_->StartAgain().ok()) << server_->log();
  EXPECT_TRUE(proxy_->running());
  status = proxy_->WalkTo("shop", "verify");
  ASSERT_TRUE(status.ok()) << status << ErrorsOf(load);
  LetWork(load);
  ASSERT_TRUE(server_->Stop().ok());
  ASSERT_TRUE(server_->StartAgain().ok()) << server_->log();
  status = proxy_->WalkTo("shop", "cutover", 100);
  ASSERT_TRUE(status.ok()) << status << ErrorsOf(load);
  LetWork(load);
  ExpectComplete();
  if (!HasFailure()) Finish(load);
  else ExpectClean(load.Stop());
}

INSTANTIATE_TEST_SUITE_P(Engines, Walk, testing::Values(Engine::kMariaDb, Engine::kMySql), [](const auto& info) { return servers::EngineName(info.param); });

}  // namespace
}  // namespace crossfade::walk
