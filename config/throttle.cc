// SPDX-License-Identifier: Apache-2.0
// Reads limits as numbers or durations, the same names again under `stop:`, and the windows of time.
#include "config/throttle.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "config/limits.h"
#include "config/names.h"

namespace crossfade::config {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
constexpr int kDayMinutes = 24 * 60;
constexpr double kLargest = 1e15;

std::optional<int> ParseDay(std::string_view text) {
  for (size_t i = 0; i < kDays.size(); ++i) {
    if (text == kDays[i]) return static_cast<int>(i);
  }
  return std::nullopt;
}

std::optional<int> Digits(std::string_view text) {
  int value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.size() != 2 || error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

// "05:30" -> 330; "24:00" is the day's end.
std::optional<uint16_t> ParseTime(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  const auto hour = Digits(text.substr(0, 2)), minute = Digits(text.substr(3));
  if (!hour || !minute || *hour < 0 || *minute < 0 || *minute > 59 || *hour * 60 + *minute > kDayMinutes) return std::nullopt;
  return static_cast<uint16_t>(*hour * 60 + *minute);
}

// A duration as so many of `unit`.
void ReadTime(Section& section, std::string_view key, std::chrono::milliseconds unit, double* out) {
  const std::string text = section.String(key);
  if (text.empty()) return;
  if (const auto value = ParseDuration(text)) {
    *out = static_cast<double>(value->count()) / static_cast<double>(unit.count());
  } else {
    section.Fail(key, fmt::format("'{}' is no duration; write it as 500ms, 5s, 2m or 1h", text));
  }
}

// A number of bytes.
void ReadSize(Section& section, std::string_view key, double* out) {
  const std::string text = section.String(key);
  if (text.empty()) return;
  if (const auto value = ParseSize(text)) {
    *out = static_cast<double>(*value);
  } else {
    section.Fail(key, fmt::format("'{}' is no number of bytes; write it as 64KiB, 16MiB or 10GiB", text));
  }
}

void ReadBounds(Section& section, double Throttle::Bound::*which, Throttle* throttle) {
  ReadTime(section, "replica_lag", std::chrono::seconds(1), &(throttle->replica_lag.*which));
  ReadTime(section, "p99", std::chrono::milliseconds(1), &(throttle->p99.*which));
  throttle->threads_running.*which = section.Number("threads_running", 0, kLargest, throttle->threads_running.*which);
  throttle->history_list.*which = section.Number("history_list", 0, kLargest, throttle->history_list.*which);
  ReadSize(section, "binlog_rate", &(throttle->binlog_rate.*which));
  ReadSize(section, "disk_free", &(throttle->disk_free.*which));
  const std::string_view query = which == &Throttle::Bound::limit ? "query_limit" : "query";
  throttle->query.*which = section.Number(query, 0, kLargest, throttle->query.*which);
}

}  // namespace

std::optional<Window> ParseWindow(std::string_view text) {
  Window window;
  if (const size_t space = text.find(' '); space != std::string_view::npos) {
    const std::string_view days = text.substr(0, space);
    const size_t dash = days.find('-');
    const auto first = ParseDay(days.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : ParseDay(days.substr(dash + 1));
    if (!first || !last) return std::nullopt;
    window.days = 0;
    for (int day = *first;; day = (day + 1) % 7) {
      window.days |= static_cast<uint8_t>(1 << day);
      if (day == *last) break;
    }
    text = text.substr(space + 1);
  }
  const size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto from = ParseTime(text.substr(0, dash)), to = ParseTime(text.substr(dash + 1));
  if (!from || !to || *from == kDayMinutes || *from == *to) return std::nullopt;
  window.from = *from;
  window.to = *to;
  return window;
}

bool InWindow(const std::vector<Window>& windows, int minute_of_week) {
  if (windows.empty()) return true;
  for (const Window& window : windows) {
    const int length = window.to > window.from ? window.to - window.from : window.to + kDayMinutes - window.from;
    for (int day = 0; day < 7; ++day) {
      if ((window.days >> day & 1) == 0) continue;
      const int since = (minute_of_week - day * kDayMinutes - window.from + 14 * kDayMinutes) % (7 * kDayMinutes);
      if (since < length) return true;
    }
  }
  return false;
}

void ReadThrottle(const YAML::Node& node, Throttle* throttle, Diagnostics* diagnostics) {
  Section section(node, "throttle", diagnostics);
  ReadBounds(section, &Throttle::Bound::limit, throttle);
  throttle->p99_rise = section.Number("p99_rise", 0, 1000, throttle->p99_rise);
  if (throttle->p99_rise != 0 && throttle->p99_rise <= 1) section.Fail("p99_rise", "is a multiple of the p99 at rest: above 1, or 0 for none");
  if (section.Has("minimal_row_image")) throttle->minimal_row_image = section.Bool("minimal_row_image");
  if (section.Has("find_replicas")) throttle->find_replicas = section.Bool("find_replicas");
  for (const std::string& address : section.Strings("replicas")) {
    if (const std::string reason = CheckAddress(address); !reason.empty()) section.Fail("replicas", reason);
    throttle->replicas.push_back(address);
  }
  throttle->query_sql = section.String("query");
  if (!throttle->query_sql.empty() && throttle->query.limit == 0) section.Fail("query", "needs 'query_limit:'");
  for (const std::string& text : section.Strings("windows")) {
    if (const auto window = ParseWindow(text)) {
      throttle->windows.push_back(*window);
    } else {
      section.Fail("windows", fmt::format("'{}' is no window; write 22:00-06:00 or sat-sun 00:00-24:00, in UTC", text));
    }
  }
  const std::string poll = section.String("poll");
  if (!poll.empty()) {
    const auto value = ParseDuration(poll);
    if (!value || value->count() < 50 || value->count() > 60'000) {
      section.Fail("poll", fmt::format("'{}' is no duration from 50ms to 60s", poll));
    } else {
      throttle->poll = *value;
    }
  }
  if (section.Has("stop")) {
    Section stop(section.Mapping("stop"), "throttle.stop", diagnostics);
    ReadBounds(stop, &Throttle::Bound::stop, throttle);
    stop.Done();
  }
  section.Done();
}

}  // namespace crossfade::config
