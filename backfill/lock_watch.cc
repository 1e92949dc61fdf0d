// SPDX-License-Identifier: Apache-2.0
// See lock_watch.h.
#include "backfill/lock_watch.h"

#include <algorithm>

#include "fmt/format.h"

namespace crossfade::backfill {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kShortest{2}, kLongest{20};  // between two looks

}  // namespace

absl::StatusOr<std::unique_ptr<LockWatch>> LockWatch::Start(const config::Config& config, Connection& connection, milliseconds limit) {
  if (limit.count() % 1000 == 0) return nullptr;
  auto own = Connection::Open(config);
  if (!own.ok()) return own.status();
  return std::unique_ptr<LockWatch>(new LockWatch(&connection, *std::move(own), limit));
}

LockWatch::LockWatch(Connection* watched, Connection own, milliseconds limit) : watched_(watched), own_(std::move(own)), limit_(limit) {
  thread_ = std::thread([this] { Run(); });
}

LockWatch::~LockWatch() { Stop(); }

bool LockWatch::Stop() {
  stop_ = true;
  if (!thread_.joinable()) return withdrawn_;
  thread_.join();
  // A kill that came when the statement was over must not hit the next one.
  if (withdrawn_) (void)watched_->Execute("DO 0");
  return withdrawn_;
}

void LockWatch::Run() {
  const std::string id = std::to_string(watched_->thread_id());
  const std::string look = fmt::format(
      "SELECT EXISTS (SELECT 1 FROM information_schema.processlist WHERE id = {0} AND state LIKE 'Waiting for%lock')"
      " OR EXISTS (SELECT 1 FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = {0} AND trx_state = 'LOCK WAIT')", id);
  const milliseconds rest = std::clamp(limit_ / 10, kShortest, kLongest);
  Clock::time_point since{};  // none: it waits for nothing
  while (!stop_) {
    auto waits = own_.Query(look);
    if (!waits.ok()) return;  // lock_wait_timeout, rounded up, stands behind it
    const auto now = Clock::now();
    if (waits->rows[0][0] != "1") {
      since = {};
    } else if (since == Clock::time_point{}) {
      since = now;
    } else if (now - since >= limit_ - rest && !stop_) {
      withdrawn_ = true;
      (void)own_.Execute("KILL QUERY " + id);
      since = {};
    }
    std::this_thread::sleep_for(rest);
  }
}

}  // namespace crossfade::backfill
