// SPDX-License-Identifier: Apache-2.0
// The table of limits. A new limit is a member of struct Limits and one line here.
#include "config/limits.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>
#include <variant>

namespace crossfade::config {
namespace {

using std::chrono::milliseconds;

// "12abc" -> 12 and "abc"; nullopt: no digits in front, or beyond 64 bits.
std::optional<std::pair<uint64_t, std::string_view>> NumberAndUnit(std::string_view text) {
  uint64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  return std::pair(number, text.substr(static_cast<size_t>(stop - text.data())));
}

std::optional<uint64_t> Scaled(uint64_t number, uint64_t factor) {
  if (number > UINT64_MAX / 2 / factor) return std::nullopt;
  return number * factor;
}

struct Limit {
  std::string_view name;
  std::variant<milliseconds Limits::*, uint32_t Limits::*, uint64_t Limits::*, double Limits::*> member;
  double low, high;  // durations: milliseconds
};

constexpr double kHour = 3'600'000;

constexpr Limit kLimits[] = {
    {"connect_timeout", &Limits::connect_timeout, 10, kHour},
    {"handshake_timeout", &Limits::handshake_timeout, 100, kHour},
    {"idle_timeout", &Limits::idle_timeout, 0, 8760 * kHour},
    {"idle_transaction_timeout", &Limits::idle_transaction_timeout, 0, 8760 * kHour},
    {"statement_timeout", &Limits::statement_timeout, 0, 8760 * kHour},
    {"drain_timeout", &Limits::drain_timeout, 0, kHour},
    {"lease", &Limits::lease, 500, kHour},
    {"control_poll", &Limits::control_poll, 10, 10'000},
    {"hold_limit", &Limits::hold_limit, 10, 60'000},
    {"quiet_before_expand", &Limits::quiet_before_expand, 0, 168 * kHour},
    {"max_connections", &Limits::max_connections, 1, 1'000'000},
    {"max_user_connections", &Limits::max_user_connections, 0, 1'000'000},
    {"max_connections_per_address", &Limits::max_connections_per_address, 0, 1'000'000},
    {"max_prepared_statements", &Limits::max_prepared_statements, 0, 100'000'000},
    {"max_client_prepared_statements", &Limits::max_client_prepared_statements, 0, 100'000'000},
    {"max_packet", &Limits::max_packet, 1024, 1ull << 30},
    {"max_buffered", &Limits::max_buffered, 1ull << 20, 1ull << 50},
    {"plan_cache_entries", &Limits::plan_cache_entries, 0, 10'000'000},
    {"key_block", &Limits::key_block, 1, 1'000'000},
    {"insert_select_rows", &Limits::insert_select_rows, 1, 1'000'000'000},
    {"insert_lookups", &Limits::insert_lookups, 0, 1'000'000},
    {"row_image_rows", &Limits::row_image_rows, 1, 1'000'000},
    {"keys_wait", &Limits::keys_wait, 100, kHour},
    {"state_wait", &Limits::state_wait, 100, kHour},
    {"compared_bytes", &Limits::compared_bytes, 1024, 1ull << 30},
    {"chunk_rows", &Limits::chunk_rows, 1, 1'000'000},
    {"chunk_target", &Limits::chunk_target, 1, 60'000},
    {"chunk_target_beside", &Limits::chunk_target_beside, 1, 60'000},
    {"backfill_workers", &Limits::backfill_workers, 0, 64},
    {"backfill_idle_share", &Limits::backfill_idle_share, 0, 0.99},
    {"verify_chunk_rows", &Limits::verify_chunk_rows, 1, 10'000'000},
    {"ddl_lock_wait", &Limits::ddl_lock_wait, 1, kHour},
    {"io_threads", &Limits::io_threads, 0, 1024},
    {"parse_depth", &Limits::parse_depth, 10, 1000},
};

void ReadDuration(Section& section, const Limit& limit, milliseconds* out) {
  const std::string text = section.String(limit.name);
  if (text.empty()) return;
  const auto value = ParseDuration(text);
  if (!value) {
    section.Fail(limit.name, fmt::format("'{}' is no duration; write it as 500ms, 5s, 2m or 1h", text));
  } else if (static_cast<double>(value->count()) < limit.low || static_cast<double>(value->count()) > limit.high) {
    section.Fail(limit.name, fmt::format("{} is out of range: {}ms to {}ms", text, limit.low, limit.high));
  } else {
    *out = *value;
  }
}

template <typename Integer>
void ReadInteger(Section& section, const Limit& limit, Integer* out) {
  const std::string text = section.String(limit.name);
  if (text.empty()) return;
  const auto value = ParseSize(text);
  if (!value) {
    section.Fail(limit.name, fmt::format("'{}' is no whole number; sizes may be written as 64KiB, 16MiB, 1GiB", text));
  } else if (static_cast<double>(*value) < limit.low || static_cast<double>(*value) > limit.high) {
    section.Fail(limit.name, fmt::format("{} is out of range: {} to {}", text, static_cast<uint64_t>(limit.low),
                                         static_cast<uint64_t>(limit.high)));
  } else {
    *out = static_cast<Integer>(*value);
  }
}

}  // namespace

std::optional<milliseconds> ParseDuration(std::string_view text) {
  const auto parts = NumberAndUnit(text);
  if (!parts) return std::nullopt;
  const auto [number, unit] = *parts;
  uint64_t factor = 0;
  if (unit == "ms" || (unit.empty() && number == 0)) factor = 1;
  if (unit == "s") factor = 1'000;
  if (unit == "m") factor = 60'000;
  if (unit == "h") factor = 3'600'000;
  if (factor == 0) return std::nullopt;
  const auto count = Scaled(number, factor);
  if (!count) return std::nullopt;
  return milliseconds(static_cast<int64_t>(*count));
}

std::optional<uint64_t> ParseSize(std::string_view text) {
  const auto parts = NumberAndUnit(text);
  if (!parts) return std::nullopt;
  const auto [number, unit] = *parts;
  if (unit.empty()) return number;
  if (unit == "KiB") return Scaled(number, 1ull << 10);
  if (unit == "MiB") return Scaled(number, 1ull << 20);
  if (unit == "GiB") return Scaled(number, 1ull << 30);
  return std::nullopt;
}

void ReadLimits(const YAML::Node& node, Limits* limits, Diagnostics* diagnostics) {
  Section section(node, "limits", diagnostics);
  for (const Limit& limit : kLimits) {
    if (const auto* member = std::get_if<milliseconds Limits::*>(&limit.member)) {
      ReadDuration(section, limit, &(limits->**member));
    } else if (const auto* narrow = std::get_if<uint32_t Limits::*>(&limit.member)) {
      ReadInteger(section, limit, &(limits->**narrow));
    } else if (const auto* wide = std::get_if<uint64_t Limits::*>(&limit.member)) {
      ReadInteger(section, limit, &(limits->**wide));
    } else if (const auto* share = std::get_if<double Limits::*>(&limit.member)) {
      limits->**share = section.Number(limit.name, limit.low, limit.high, limits->**share);
    }
  }
  section.Done();
}

}  // namespace crossfade::config
