// SPDX-License-Identifier: Apache-2.0
// The `throttle:` section and its windows of time.
#include "config/throttle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/load.h"

namespace crossfade::config {
namespace {

absl::StatusOr<Config> With(const std::string& throttle) {
  return Parse("listen: [{address: '127.0.0.1:1', backend: p}]\nbackends: {p: {address: '127.0.0.1:2'}}\ncontrol: {backend: p, user: c}\nthrottle:\n" + throttle, "f");
}
std::string Message(const std::string& throttle) { return std::string(With(throttle).status().message()); }

TEST(Throttle, IsOnWhereTheFileSaysNothing) {
  const Throttle throttle;
  EXPECT_EQ(throttle.replica_lag.limit, 5);
  EXPECT_TRUE(throttle.find_replicas);
  EXPECT_EQ(throttle.threads_running.limit, 50);
  EXPECT_EQ(throttle.p99_rise, 1.2);
  EXPECT_TRUE(InWindow(throttle.windows, 0));
}

TEST(Throttle, EveryKey) {
  const auto config = With(
      "  replica_lag: 1500ms\n  threads_running: 0\n  history_list: 5000\n  p99: 20ms\n  p99_rise: 0\n  query: SELECT 1\n  query_limit: 2.5\n"
      "  binlog_rate: 20MiB\n  disk_free: 10GiB\n  minimal_row_image: true\n  find_replicas: false\n  replicas: ['10.0.0.1:3306']\n  windows: ['22:00-06:00']\n  poll: 1s\n"
      "  stop: {replica_lag: 1m, threads_running: 200, history_list: 90000, p99: 1s, query: 7, binlog_rate: 1GiB, disk_free: 64KiB}\n");
  ASSERT_TRUE(config.ok()) << config.status();
  const Throttle& throttle = config->throttle;
  EXPECT_EQ(throttle.replica_lag.limit, 1.5);
  EXPECT_EQ(throttle.replica_lag.stop, 60);
  EXPECT_EQ(throttle.threads_running.limit, 0);
  EXPECT_EQ(throttle.threads_running.stop, 200);
  EXPECT_EQ(throttle.history_list.limit, 5000);
  EXPECT_EQ(throttle.history_list.stop, 90000);
  EXPECT_EQ(throttle.p99.limit, 20);
  EXPECT_EQ(throttle.p99.stop, 1000);
  EXPECT_EQ(throttle.query_sql, "SELECT 1");
  EXPECT_EQ(throttle.query.limit, 2.5);
  EXPECT_EQ(throttle.query.stop, 7);
  EXPECT_EQ(throttle.binlog_rate.limit, 20 << 20);
  EXPECT_EQ(throttle.binlog_rate.stop, 1 << 30);
  EXPECT_EQ(throttle.disk_free.limit, 10ull << 30);
  EXPECT_EQ(throttle.disk_free.stop, 65536);
  EXPECT_TRUE(throttle.minimal_row_image);
  EXPECT_FALSE(throttle.find_replicas);
  EXPECT_EQ(throttle.replicas, std::vector<std::string>{"10.0.0.1:3306"});
  EXPECT_EQ(throttle.windows.size(), 1u);
  EXPECT_EQ(throttle.poll, std::chrono::seconds(1));
}

TEST(Throttle, MistakesAreNamed) {
  using ::testing::HasSubstr;
  EXPECT_THAT(Message("  p99_rise: 0.5\n"), HasSubstr("f:5: throttle.p99_rise: is a multiple"));
  EXPECT_THAT(Message("  query: SELECT 1\n"), HasSubstr("needs 'query_limit:'"));
  EXPECT_THAT(Message("  windows: ['25:00-26:00']\n"), HasSubstr("'25:00-26:00' is no window"));
  EXPECT_THAT(Message("  replicas: [nowhere]\n"), HasSubstr("throttle.replicas"));
  EXPECT_THAT(Message("  stop: {windows: []}\n"), HasSubstr("throttle.stop"));
  EXPECT_THAT(Message("  replica_lag: 5\n"), HasSubstr("'5' is no duration"));
  EXPECT_THAT(Message("  disk_free: much\n"), HasSubstr("'much' is no number of bytes"));
  EXPECT_THAT(Message("  poll: 1ms\n"), HasSubstr("from 50ms to 60s"));
}

TEST(Throttle, WindowsGoOverMidnightAndTheWeeksEnd) {
  const auto at = [](int day, int hour, int minute) { return (day * 24 + hour) * 60 + minute; };
  const auto in = [](const char* text, int minute) { return InWindow({*ParseWindow(text)}, minute); };
  EXPECT_TRUE(in("22:00-06:00", at(0, 22, 0)));
  EXPECT_TRUE(in("22:00-06:00", at(0, 5, 59)));
  EXPECT_FALSE(in("22:00-06:00", at(0, 6, 0)));
  EXPECT_FALSE(in("22:00-06:00", at(3, 21, 59)));
  EXPECT_TRUE(in("sun 22:00-06:00", at(0, 1, 0)));  // Monday, from Sunday's
  EXPECT_FALSE(in("sun 22:00-06:00", at(1, 1, 0)));
  EXPECT_TRUE(in("sat-sun 00:00-24:00", at(6, 23, 59)));
  EXPECT_FALSE(in("sat-sun 00:00-24:00", at(0, 0, 0)));
  EXPECT_TRUE(in("fri-mon 10:00-11:00", at(0, 10, 30)));
  EXPECT_FALSE(in("fri-mon 10:00-11:00", at(2, 10, 30)));
  for (const char* bad : {"", "22:00", "22:00-22:00", "24:00-06:00", "2:00-3:00", "xyz 10:00-11:00", "10:00-11:00x", "10:60-11:00", "-1:00-02:00"}) {
    EXPECT_FALSE(ParseWindow(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace crossfade::config
