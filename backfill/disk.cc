// SPDX-License-Identifier: Apache-2.0
// See disk.h.
#include "backfill/disk.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>

#include "backfill/catalog_loader.h"
#include "fmt/format.h"

namespace crossfade::backfill {
namespace {

constexpr std::chrono::seconds kWindow{3};
constexpr uint32_t kSyntax = 1064;

double Real(const std::optional<std::string>& value) { return value ? std::strtod(value->c_str(), nullptr) : 0; }

bool OnThisMachine(const config::Config& config, const std::string& server_host) {
  const config::Backend* backend = config.FindBackend(config.control.backend);
  if (backend == nullptr) return false;
  char host[256] = {};
  if (gethostname(host, sizeof host - 1) != 0 || server_host != host) return false;
  const std::string& address = backend->address;
  return address.starts_with("unix:") || address.starts_with("127.") || address.starts_with("[::1]") || address.starts_with("localhost:");
}

std::string Folder(const std::string& file) { return file.substr(0, file.rfind('/') + 1); }

}  // namespace

absl::StatusOr<Measured> DiskFree(Connection& connection, const config::Config& config) {
  auto places = connection.Query("SELECT @@hostname, @@datadir, @@log_bin_basename");
  if (!places.ok()) return places.status();
  std::vector<std::string> folders = {places->rows[0][1].value_or("")};
  if (const std::string log = Folder(places->rows[0][2].value_or("")); !log.empty()) folders.push_back(log);
  Measured out;
  auto disks = connection.Query("SELECT path, available * 1024 FROM information_schema.disks");
  if (absl::IsUnavailable(disks.status())) return disks.status();
  if (disks.ok() && !disks->rows.empty()) {
    for (const std::string& folder : folders) {  // the longest mount point that it is under
      const Row* best = nullptr;
      for (const Row& row : disks->rows) {
        const std::string path = row[0].value_or("");
        const bool under = path == "/" || folder == path || folder.starts_with(path.ends_with('/') ? path : path + "/");
        if (under && (best == nullptr || path.size() > best->at(0)->size())) best = &row;
      }
      if (best == nullptr || (out.value && *out.value <= Real((*best)[1]))) continue;
      out = {Real((*best)[1]), fmt::format("of {}", folder)};
    }
    if (out.value) return out;
  }
  if (OnThisMachine(config, places->rows[0][0].value_or(""))) {
    for (const std::string& folder : folders) {
      struct statvfs disk {};
      if (statvfs(folder.c_str(), &disk) != 0) continue;
      const double free = static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize);
      if (!out.value || free < *out.value) out = {free, fmt::format("of {}", folder)};
    }
    if (out.value) return out;
  }
  out.detail = "not known: the server is on another machine and does not tell (MariaDB does with the plugin `disks` and the privilege FILE)";
  return out;
}

absl::StatusOr<std::optional<double>> BinlogRate::Written(Connection& connection, std::string* why) {
  auto counted = connection.Query("SHOW GLOBAL STATUS LIKE 'Binlog_bytes_written'");
  if (!counted.ok()) return counted.status();
  if (!counted->rows.empty()) return Real(counted->rows[0][1]);
  auto status = connection.Query("SHOW BINARY LOG STATUS");
  if (ServerError(status.status()) == kSyntax) status = connection.Query("SHOW MASTER STATUS");
  if (absl::IsUnavailable(status.status())) return status.status();
  if (!status.ok() || status->rows.empty()) {
    *why = status.ok() ? "there is no binary log" : "not known: " + std::string(status.status().message());
    return std::optional<double>();
  }
  const std::string file = status->rows[0][0].value_or("");
  if (!file_.empty() && file != file_) {  // those in between, whole
    auto files = connection.Query("SHOW BINARY LOGS");
    if (!files.ok()) return files.status();
    bool since = false, found = false;
    for (const Row& row : files->rows) {
      if (row[0] == file) break;
      since = since || row[0] == file_;
      found = found || since;
      if (since) before_ += Real(row[1]);
    }
    if (!found) before_ += position_;  // purged already: at least so much
  }
  file_ = file;
  position_ = Real(status->rows[0][1]);
  return std::optional<double>(before_ + position_);
}

absl::StatusOr<Measured> BinlogRate::Look(Connection& connection) {
  Measured out;
  auto written = Written(connection, &out.detail);
  if (!written.ok()) return written.status();
  if (!*written) return out;
  const auto now = Clock::now();
  if (!seen_.empty() && **written < seen_.back().second) seen_.clear();  // the server was started again
  seen_.emplace_back(now, **written);
  while (seen_.size() > 2 && now - seen_[1].first >= kWindow) seen_.pop_front();
  const double seconds = std::chrono::duration<double>(now - seen_.front().first).count();
  out.value = seconds > 0 ? (seen_.back().second - seen_.front().second) / seconds : 0;
  out.detail = "bytes/s";
  return out;
}

}  // namespace crossfade::backfill
