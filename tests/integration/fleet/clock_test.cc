// SPDX-License-Identifier: Apache-2.0
// Clocks that jump by an hour and more, forwards and backwards: a proxy's, and the server's, under a load that checks itself and
// while phases go up and down. No write is done under an epoch that is over, and the jump of a proxy's clock is not even felt.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

#include "tests/integration/fleet/fixture.h"

namespace crossfade::fleet {
namespace {

constexpr int64_t kHour = 3'600'000'000'000;

// Processes that are started between two of these have a clock that Set moves.
class Clocked {
 public:
  explicit Clocked(const std::string& path) {
    servers::WriteFile(path, std::string(sizeof(int64_t), '\0'));
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    offset_ = static_cast<std::atomic<int64_t>*>(::mmap(nullptr, sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    ::close(fd);
    ::setenv("CROSSFADE_CLOCK", path.c_str(), 1);
    ::setenv("LD_PRELOAD", CROSSFADE_CLOCK_LIBRARY, 1);
  }
  static void StartsEnd() { ::unsetenv("LD_PRELOAD"); }
  void Set(int64_t offset) { *offset_ = offset; }

 private:
  std::atomic<int64_t>* offset_;
};

class Clocks : public ShopFixture {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "the sanitizer's library has to be the first";
#endif
  }
  void Begin(bool of_server) {
    {
      Clocked clock(folder_.path() + "/server");
      if (!of_server) Clocked::StartsEnd();
      StartServer();
      Clocked::StartsEnd();
      server_clock_ = std::make_unique<Clocked>(clock);
    }
    for (int i = 0; i < 2; ++i) {
      Clocked clock(folder_.path() + "/proxy" + std::to_string(i));
      if (i > 0) Clocked::StartsEnd();  // one has the right time
      ASSERT_NE(Proxy({.limits = "  chunk_rows: 100\n  control_poll: 50ms\n  lease: 1s\n"}), nullptr);
      Clocked::StartsEnd();
      if (i == 0) proxy_clock_ = std::make_unique<Clocked>(clock);
    }
    walk::LoadOptions options{.direct_port = server_->port()};
    for (const auto& proxy : proxies_) options.ports.push_back(proxy->port());
    load_ = std::make_unique<walk::Load>(options);
  }
  void Walk(const char* phase, int percent = -1) {
    const absl::Status status = proxies_[0]->WalkTo("shop", phase, percent, seconds(60));
    ASSERT_TRUE(status.ok()) << status;
  }
  void End() {
    const walk::LoadReport report = load_->Stop();
    for (const std::string& error : report.errors) ADD_FAILURE() << error;
    EXPECT_GT(report.operations, 100u);
    fmt::print("{} operations, {} connections lost\n", report.operations, report.lost);
    lost_ = report.lost;
    ExpectBothSidesAgree();
    EXPECT_EQ(Value("SELECT COUNT(*) FROM crossfade.drift"), "0");
    auto direct = Client::Connect({.port = server_->port()});
    ASSERT_TRUE(direct.ok());
    const absl::Status same = load_->CheckTables(*direct, "o.item = i.code");
    EXPECT_TRUE(same.ok()) << same;
  }

  servers::TempFolder folder_{"clocks"};
  std::unique_ptr<Clocked> server_clock_, proxy_clock_;
  std::unique_ptr<walk::Load> load_;
  uint64_t lost_ = 0;
};

TEST_P(Clocks, AProxysClockMayJump) {
  ASSERT_NO_FATAL_FAILURE(Begin(false));
  load_->Start();
  Walk("dual_write");
  const auto jump = [&](int64_t to) {
    proxy_clock_->Set(to);
    std::this_thread::sleep_for(milliseconds(300));
  };
  jump(kHour);
  Walk("verify");
  jump(-kHour);
  Walk("cutover", 50);
  jump(100 * kHour);
  Walk("dual_write");
  jump(0);
  Walk("cutover", 100);
  EXPECT_NE(servers::ReadFile(fmt::format("/proc/{}/maps", proxies_[0]->pid())).find(CROSSFADE_CLOCK_LIBRARY), std::string::npos) << "no clock jumped";
  End();
  EXPECT_EQ(lost_, 0u);
}

// Leases run by the server's clock. Forwards: all seem to be over at once, and connections are ended that need not be. Backwards: who
// is away counts as there for longer. Neither lets a write of an old epoch through.
TEST_P(Clocks, TheServersClockMayJump) {
  ASSERT_NO_FATAL_FAILURE(Begin(true));
  load_->set_may_lose(true);
  load_->Start();
  Walk("dual_write");
  const std::string before = Value("SELECT UNIX_TIMESTAMP()");
  server_clock_->Set(kHour);
  EXPECT_GE(std::stoll(Value("SELECT UNIX_TIMESTAMP()")), std::stoll(before) + 3'500) << "the clock did not jump";
  Walk("verify");
  server_clock_->Set(3 * kHour);
  Walk("cutover", 50);
  server_clock_->Set(-kHour);
  Walk("dual_write");
  server_clock_->Set(0);
  Walk("cutover", 100);
  load_->set_may_lose(false);
  End();
}

INSTANTIATE_TEST_SUITE_P(Engines, Clocks, testing::Values(Engine::kMariaDb, Engine::kMySql), EngineOf);

}  // namespace
}  // namespace crossfade::fleet
