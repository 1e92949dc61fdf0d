// SPDX-License-Identifier: Apache-2.0
// See admin.h. On the main thread's io_context, away from the sessions; the status comes from the control thread.
#include "proxy/admin.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <sstream>
#include <vector>

#include "fmt/format.h"
#include "proxy/admin_page.h"
#include "proxy/control_thread.h"
#include "proxy/server.h"

namespace crossfade::proxy {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr int kMostConnections = 64;
constexpr std::chrono::seconds kTimeout{10};

}  // namespace

std::string Admin::MetricsText(const Server& server, const std::vector<backfill::ThrottleValue>& throttle) {
  std::vector<prometheus::MetricFamily> families;
  const auto add = [&](const char* name, const char* help, prometheus::MetricType type, double value) {
    prometheus::MetricFamily family;
    family.name = fmt::format("crossfade_{}", name);
    family.help = help;
    family.type = type;
    prometheus::ClientMetric metric;
    if (type == prometheus::MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    family.metric.push_back(metric);
    families.push_back(std::move(family));
  };
  const auto count = [&](const char* name, const char* help, Counter Metrics::*counter) {
    uint64_t sum = 0;
    for (const auto& thread : server.threads()) sum += (thread->metrics()->*counter).value();
    add(name, help, prometheus::MetricType::Counter, static_cast<double>(sum));
  };
  count("connections_total", "clients that logged in", &Metrics::connections);
  count("connection_failures_total", "clients that did not get through the connection phase", &Metrics::connection_failures);
  count("commands_total", "commands of clients", &Metrics::commands);
  count("rewritten_total", "statements sent in a rewritten form", &Metrics::rewritten);
  count("refused_total", "statements refused", &Metrics::refused);
  count("hidden_statements_total", "statements of the proxy's own on clients' connections", &Metrics::hidden_statements);
  count("waits_for_keys_total", "waits of statements for new keys", &Metrics::waited_for_keys);
  count("waits_at_gate_total", "waits of statements at the statement gate", &Metrics::waited_for_gate);
  const auto planners = [&](const char* name, const char* help, prometheus::MetricType type, uint64_t (rewrite::Planner::*figure)() const) {
    uint64_t sum = 0;
    for (const auto& thread : server.threads()) sum += (thread->planner()->*figure)();
    add(name, help, type, static_cast<double>(sum));
  };
  planners("plan_cache_hits_total", "statements that may touch a migrating table, planned from the cache", prometheus::MetricType::Counter, &rewrite::Planner::hits);
  planners("plan_cache_misses_total", "those that were planned anew", prometheus::MetricType::Counter, &rewrite::Planner::misses);
  planners("plan_cache_entries", "plans kept; at most limits.plan_cache_entries for each I/O thread", prometheus::MetricType::Gauge, &rewrite::Planner::entries);
  const auto labelled = [&](const char* name, const char* help, const char* label, auto array, const auto& names) {
    prometheus::MetricFamily family;
    family.name = fmt::format("crossfade_{}", name);
    family.help = help;
    family.type = prometheus::MetricType::Counter;
    for (size_t i = 0; i < std::size(names); ++i) {
      prometheus::ClientMetric metric;
      metric.label.push_back({label, names[i]});
      for (const auto& thread : server.threads()) metric.counter.value += static_cast<double>((thread->metrics()->*array)[i].value());
      family.metric.push_back(metric);
    }
    families.push_back(std::move(family));
  };
  labelled("connections_refused_total", "clients that did not get through the connection phase", "reason", &Metrics::refusals, kRefusalNames);
  labelled("limits_reached_total", "times that a session ran into one of its limits", "limit", &Metrics::overruns, kOverrunNames);
  const auto of_throttle = [&](const char* name, const char* help, auto value) {
    prometheus::MetricFamily family;
    family.name = fmt::format("crossfade_throttle_{}", name);
    family.help = help;
    family.type = prometheus::MetricType::Gauge;
    for (const backfill::ThrottleValue& each : throttle) {
      prometheus::ClientMetric metric;
      metric.label.push_back({"value", each.name});
      metric.gauge.value = value(each);
      family.metric.push_back(metric);
    }
    if (!throttle.empty()) families.push_back(std::move(family));
  };
  of_throttle("value", "what the backfill waits for when it is above its limit", [](const backfill::ThrottleValue& each) { return each.value; });
  of_throttle("limit", "above it the backfill waits; 0: never", [](const backfill::ThrottleValue& each) { return each.limit; });
  of_throttle("holds", "1: the backfill waits for it", [](const backfill::ThrottleValue& each) { return each.holds ? 1.0 : 0.0; });
  uint32_t sessions = 0;
  uint64_t epoch = UINT64_MAX, oldest = UINT64_MAX;
  for (const auto& thread : server.threads()) {
    sessions += thread->session_count();
    epoch = std::min(epoch, thread->snapshots()->newest());
    oldest = std::min(oldest, thread->snapshots()->oldest());
  }
  add("sessions", "clients connected", prometheus::MetricType::Gauge, sessions);
  add("epoch", "epoch that all io threads work by", prometheus::MetricType::Gauge, static_cast<double>(epoch));
  add("oldest_epoch", "oldest epoch of a transaction or statement under way", prometheus::MetricType::Gauge, static_cast<double>(oldest));
  if (server.control() != nullptr) {
    add("lease_valid", "1: writes to migrating tables are let through", prometheus::MetricType::Gauge, server.control()->lease().Valid() ? 1 : 0);
  }
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return out.str();
}

absl::Status Admin::Listen(const std::string& address) {
  absl::StatusOr<Address> parsed = ParseAddress(address);
  if (!parsed.ok()) return parsed.status();
  if (parsed->is_unix) return absl::InvalidArgumentError("admin: a unix socket is not supported");
  boost::system::error_code ec;
  asio::ip::tcp::resolver resolver(io_);
  const auto found = resolver.resolve(parsed->host, parsed->port, ec);
  if (!ec) acceptor_.open(found.begin()->endpoint().protocol(), ec);
  if (!ec) acceptor_.set_option(asio::socket_base::reuse_address(true), ec);
  if (!ec) acceptor_.bind(found.begin()->endpoint(), ec);
  if (!ec) acceptor_.listen(64, ec);
  if (ec) return absl::UnavailableError(fmt::format("cannot listen on {}: {}", address, ec.message()));
  asio::co_spawn(io_, Accept(), asio::detached);
  return absl::OkStatus();
}

asio::awaitable<void> Admin::Accept() {
  for (;;) {
    auto [ec, socket] = co_await acceptor_.async_accept(kTuple);
    if (ec == asio::error::operation_aborted || ec == asio::error::bad_descriptor) co_return;
    if (ec || open_ >= kMostConnections) continue;
    asio::co_spawn(io_, Serve(std::move(socket)), asio::detached);
  }
}

// The control thread reads the status only while somebody asks for it.
asio::awaitable<std::string> Admin::Status() {
  ControlThread* control = server_->control();
  if (control == nullptr) co_return "{\"migrations\": []}";
  for (int i = 0; i < 60; ++i) {
    std::string status = control->StatusJson();
    if (!status.empty()) co_return status;
    asio::steady_timer timer(io_, std::chrono::milliseconds(50));
    (void)co_await timer.async_wait(kTuple);
  }
  co_return "";
}

asio::awaitable<void> Admin::Serve(asio::ip::tcp::socket socket) {
  ++open_;
  beast::tcp_stream stream(std::move(socket));
  beast::flat_buffer buffer(16 * 1024);
  for (;;) {
    http::request_parser<http::empty_body> parser;
    parser.header_limit(8 * 1024);
    stream.expires_after(kTimeout);
    auto [ec, read] = co_await http::async_read(stream, buffer, parser, kTuple);
    (void)read;
    if (ec) break;
    const http::request<http::empty_body>& request = parser.get();
    http::response<http::string_body> response(http::status::ok, request.version());
    response.keep_alive(request.keep_alive());
    response.set(http::field::cache_control, "no-store");
    response.set(http::field::content_type, "text/plain; charset=utf-8");
    const std::string target(request.target());
    if (request.method() != http::verb::get) {
      response.result(http::status::method_not_allowed);
      response.body() = "only GET\n";
    } else if (target == "/metrics") {
      response.body() = MetricsText(*server_, throttle_ == nullptr ? std::vector<backfill::ThrottleValue>() : throttle_());
    } else if (target == "/healthz") {
      response.body() = "ok\n";
    } else if (target == "/status") {
      response.body() = co_await Status();
      if (response.body().empty()) {
        response.result(http::status::service_unavailable);
        response.body() = "the control schema cannot be read\n";
      } else {
        response.set(http::field::content_type, "application/json");
      }
    } else if (target == "/") {
      response.set(http::field::content_type, "text/html; charset=utf-8");
      response.body() = kAdminPage;
    } else {
      response.result(http::status::not_found);
      response.body() = "no such page\n";
    }
    response.prepare_payload();
    const bool keep = response.keep_alive();
    stream.expires_after(kTimeout);
    auto [write_ec, written] = co_await http::async_write(stream, response, kTuple);
    (void)written;
    if (write_ec || !keep) break;
  }
  --open_;
}

}  // namespace crossfade::proxy
