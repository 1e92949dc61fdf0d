// SPDX-License-Identifier: Apache-2.0
// See comparisons.h.
#include "proxy/comparisons.h"

#include <algorithm>

#include "fmt/format.h"
#include "protocol/codec.h"
#include "protocol/constants.h"
#include "protocol/frame.h"
#include "rewrite/names.h"

namespace crossfade::proxy {
namespace {

constexpr char kNull[] = "\xFB";
constexpr size_t kMostEntries = 1'000;

bool IsKeyPair(const SideResult::Column& a, const SideResult::Column& b, const rewrite::Snapshot& snapshot) {
  if (a.org_name == b.org_name || a.org_name.empty() || b.org_name.empty()) return false;
  const auto fits = [&](const std::string& old_name, const std::string& new_name) {
    return rewrite::NameEq(a.org_name, old_name) && rewrite::NameEq(b.org_name, new_name);
  };
  for (const rewrite::MigrationState& migration : snapshot.migrations) {
    for (const config::KeyMigration& key : migration.spec.keys) {
      if (fits(key.old_column, key.new_column)) return true;
      for (const config::KeyReference& reference : key.references)
        if (fits(reference.old_column, reference.new_column)) return true;
    }
  }
  return false;
}

std::string Shown(const std::vector<std::string>& row) {
  std::string text = "(";
  for (size_t i = 0; i < row.size(); ++i) text += fmt::format("{}{}", i == 0 ? "" : ", ", row[i] == kNull ? "NULL" : row[i].substr(0, 60));
  return text + ")";
}

}  // namespace

void ParseSide(std::string_view reply, uint64_t capabilities, SideResult* result) {
  std::vector<std::string> packets;
  for (size_t at = 0; at + protocol::kFrameHeader <= reply.size();) {
    const uint32_t length = protocol::ParseFrameHeader(reply.data() + at).length;
    if (length == protocol::kMaxFramePayload || at + protocol::kFrameHeader + length > reply.size()) return;
    packets.emplace_back(reply.substr(at + protocol::kFrameHeader, length));
    at += protocol::kFrameHeader + length;
  }
  if (packets.size() < 3 || packets[0].empty() || static_cast<uint8_t>(packets[0][0]) == 0xFF) return;
  const bool eofs = (capabilities & protocol::kClientDeprecateEof) == 0;
  // Before the count, where that was agreed, whether definitions follow.
  const bool flagged = (capabilities & protocol::kClientOptionalResultsetMetadata) != 0;
  if (flagged && packets[0][0] == 0) return;
  const size_t count = protocol::Reader(std::string_view(packets[0]).substr(flagged ? 1 : 0)).Lenenc();
  if (count == 0 || packets.size() < 1 + count + (eofs ? 2 : 1)) return;
  for (size_t i = 1; i <= count; ++i) {
    protocol::Reader reader(packets[i]);
    SideResult::Column column;
    reader.LenencString();
    reader.LenencString();
    reader.LenencString();
    column.org_table = reader.LenencString();
    column.name = reader.LenencString();
    column.org_name = reader.LenencString();
    if (!reader.ok()) return;
    result->columns.push_back(std::move(column));
  }
  for (size_t i = 1 + count + (eofs ? 1 : 0); i + 1 < packets.size(); ++i) {
    std::vector<std::string>& row = result->rows.emplace_back();
    protocol::Reader reader(packets[i]);
    for (size_t c = 0; c < count; ++c) {
      if (reader.remaining() > 0 && packets[i][reader.position()] == kNull[0]) {
        reader.U8();
        row.emplace_back(kNull);
      } else {
        row.emplace_back(reader.LenencString());
      }
    }
    if (!reader.ok()) return;
  }
  result->ok = true;
}

std::string DifferenceOf(const SideResult& old_side, const SideResult& new_side, const rewrite::Comparable& how, const rewrite::Snapshot& snapshot) {
  if (old_side.columns.size() != new_side.columns.size()) return "the number of columns";
  if (old_side.rows.size() != new_side.rows.size()) return fmt::format("{} rows on the old side, {} on the new", old_side.rows.size(), new_side.rows.size());
  std::vector<std::vector<std::string>> a = old_side.rows, b = new_side.rows;
  std::vector<size_t> ordered;
  for (size_t i = 0; i < old_side.columns.size(); ++i) {
    if (IsKeyPair(old_side.columns[i], new_side.columns[i], snapshot)) {
      for (auto* rows : {&a, &b})
        for (std::vector<std::string>& row : *rows)
          if (row[i] != kNull) row[i] = "a key";
    }
  }
  // Names of the ORDER BY that are shown, up to the first that is not or that is a key: behind it any order may be right.
  for (const std::string& name : how.ordered) {
    size_t i = 0;
    while (i < old_side.columns.size() && !rewrite::NameEq(old_side.columns[i].name, name)) ++i;
    if (i == old_side.columns.size() || IsKeyPair(old_side.columns[i], new_side.columns[i], snapshot)) break;
    ordered.push_back(i);
  }
  for (size_t r = 0; r < a.size(); ++r) {
    for (size_t i : ordered)
      if (a[r][i] != b[r][i]) return fmt::format("row {} in order: {} on the old side, {} on the new", r + 1, Shown(a[r]), Shown(b[r]));
  }
  if (how.limited) return "";
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  for (size_t r = 0; r < a.size(); ++r)
    if (a[r] != b[r]) return fmt::format("{} on the old side, {} on the new", Shown(a[r]), Shown(b[r]));
  return "";
}

void Comparisons::Add(backfill::ComparisonRow row) {
  const std::lock_guard lock(mutex_);
  const auto at = rows_.find({row.migration, row.digest});
  if (at == rows_.end()) {
    if (rows_.size() < kMostEntries) rows_.emplace(std::pair(row.migration, row.digest), std::move(row));
    return;
  }
  backfill::ComparisonRow& sum = at->second;
  if (sum.epoch < row.epoch) sum = backfill::ComparisonRow{row.migration, row.digest, row.epoch};
  sum.compared += row.compared;
  sum.mismatches += row.mismatches;
  sum.old_us += row.old_us;
  sum.new_us += row.new_us;
  if (!row.sample.empty()) sum.sample = std::move(row.sample);
}

void Comparisons::Collect(std::vector<backfill::ComparisonRow>* rows) {
  const std::lock_guard lock(mutex_);
  for (auto& [key, row] : rows_) rows->push_back(std::move(row));
  rows_.clear();
}

}  // namespace crossfade::proxy
