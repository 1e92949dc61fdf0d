// SPDX-License-Identifier: Apache-2.0
// See serve.h: signals, the watch on the file, and the order in which things start and stop.
#include <signal.h>
#include <sys/stat.h>

#include <cstdio>
#include <memory>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "backfill/migrator.h"
#include "config/load.h"
#include "fmt/format.h"
#include "proxy/admin.h"
#include "proxy/control_thread.h"
#include "proxy/serve.h"
#include "proxy/server.h"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace crossfade::proxy {
namespace asio = boost::asio;

namespace {

// Modification time and size, to the nanosecond; zeros while the file is away (an editor replaces it).
struct FileStamp {
  timespec time{};
  off_t size = 0;
  ino_t inode = 0;
  explicit FileStamp(const std::string& path) {
    struct stat found {};
    if (::stat(path.c_str(), &found) == 0) {
      time = found.st_mtim;
      size = found.st_size;
      inode = found.st_ino;
    }
  }
  bool operator==(const FileStamp& other) const {
    return time.tv_sec == other.time.tv_sec && time.tv_nsec == other.time.tv_nsec && size == other.size && inode == other.inode;
  }
};

std::vector<FileStamp> Stamps(const std::vector<std::string>& paths) {
  std::vector<FileStamp> stamps;
  for (const std::string& path : paths) stamps.emplace_back(path);
  return stamps;
}

class Main {
 public:
  explicit Main(std::shared_ptr<const config::Config> config) : config_(std::move(config)), server_(config_) {}

  absl::Status Run() {
    absl::Status status = server_.Start();
    if (!status.ok()) return status;
    if (!config_->migrations.empty()) {
      migrator_ = std::make_unique<backfill::Migrator>(config_, server_.control() != nullptr ? server_.control()->lease().id() : "");
      migrator_->Start();
    }
    for (size_t i = 0; i < config_->listeners.size(); ++i) {
      spdlog::info("listening on {}{}, backend {}", config_->listeners[i].address,
                   config_->listeners[i].address.ends_with(":0") ? fmt::format(" (port {})", server_.port(i)) : "",
                   config_->listeners[i].backend);
    }
    if (!config_->admin.empty()) {
      if (migrator_) admin_.ShowThrottle([migrator = migrator_.get()] { return migrator->ThrottleValues(); });
      status = admin_.Listen(config_->admin);
      if (!status.ok()) return status;
      spdlog::info("admin page on {}", config_->admin);
    }
    tls_stamps_ = Stamps(server_.TlsFiles());
    WaitForSignal();
    WatchFile();
    io_.run();
    if (migrator_) migrator_->Stop();
    server_.Stop();
    spdlog::info("stopped");
    return absl::OkStatus();
  }

 private:
  void WaitForSignal() {
    signals_.async_wait([this](boost::system::error_code ec, int signal) {
      if (ec) return;
      if (signal == SIGHUP) {
        Reload();
        WaitForSignal();
        return;
      }
      spdlog::info("stopping: sessions may finish for {} ms", config_->limits.drain_timeout.count());
      timer_.cancel();
      io_.stop();
      // A second signal ends at once.
      ::signal(SIGTERM, SIG_DFL);
      ::signal(SIGINT, SIG_DFL);
    });
  }

  void WatchFile() {
    timer_.expires_after(std::chrono::milliseconds(500));
    timer_.async_wait([this](boost::system::error_code ec) {
      if (ec) return;
      const FileStamp stamp(config_->path);
      if (!(stamp == stamp_) && stamp.inode != 0) {
        stamp_ = stamp;
        Reload();
      } else if (std::vector<FileStamp> stamps = Stamps(server_.TlsFiles()); !(stamps == tls_stamps_)) {
        tls_stamps_ = std::move(stamps);
        spdlog::info("certificates are read anew");
        server_.ReloadTls();
      }
      WatchFile();
    });
  }

  void Reload() {
    stamp_ = FileStamp(config_->path);
    absl::StatusOr<config::Config> loaded = config::Load(config_->path);
    if (!loaded.ok()) {
      spdlog::error("the changed file is not used: {}", std::string(loaded.status().message()));
      return;
    }
    const auto config = std::make_shared<const config::Config>(*std::move(loaded));
    spdlog::info("{} is read anew", config_->path);
    server_.Reload(config);
    tls_stamps_ = Stamps(server_.TlsFiles());
    if (migrator_) migrator_->Reload(config);
  }

  std::shared_ptr<const config::Config> config_;
  asio::io_context io_{1};
  asio::signal_set signals_{io_, SIGHUP, SIGTERM, SIGINT};
  asio::steady_timer timer_{io_};
  FileStamp stamp_{config_->path};
  std::vector<FileStamp> tls_stamps_;
  Server server_;
  Admin admin_{io_, &server_};
  std::unique_ptr<backfill::Migrator> migrator_;
};

}  // namespace

int Serve(const std::string& config_path) {
  const auto fail = [](const absl::Status& status) {
    std::fprintf(stderr, "crossfade: %s\n", std::string(status.message()).c_str());
    return 1;
  };
  absl::StatusOr<config::Config> loaded = config::Load(config_path);
  if (!loaded.ok()) return fail(loaded.status());
  const auto config = std::make_shared<const config::Config>(*std::move(loaded));
  spdlog::set_default_logger(std::make_shared<spdlog::logger>("", std::make_shared<spdlog::sinks::stderr_sink_mt>()));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
  spdlog::set_level(spdlog::level::from_str(config->log_level));
  spdlog::flush_on(spdlog::level::trace);
  ::signal(SIGPIPE, SIG_IGN);
  Main main(config);
  const absl::Status status = main.Run();
  return status.ok() ? 0 : fail(status);
}

}  // namespace crossfade::proxy
