// SPDX-License-Identifier: Apache-2.0
// See explain.h.
#include "rewrite/explain.h"

#include <map>

#include "fmt/format.h"
#include "rewrite/row_image.h"

namespace crossfade::rewrite {

namespace {

constexpr uint64_t kShownRows = 10'000;  // the default of limits.row_image_rows

std::string ExplainImage(const Plan& plan, const SessionFacts& facts, const Dialect& dialect, std::string_view sql) {
  const absl::StatusOr<std::string> select = RenderImageSelect(plan, facts, dialect, sql, kShownRows);
  ImageRows rows;
  std::vector<std::string> row;  // one with the key 1, or 0x01
  for (const RowImage::Target& target : plan.image->targets)
    for (const RowImage::Kind kind : target.kinds) row.push_back(kind == RowImage::Kind::kNumber ? "1" : "01");
  if (!ImageRows::Of(*plan.image, {row}, &rows)) return "";
  const absl::StatusOr<std::string> text = RenderImageStatement(plan, facts, dialect, sql, nullptr);
  if (!select.ok() || !text.ok()) return fmt::format("sent: {}\n", std::string((select.ok() ? text : select).status().message()));
  std::string out = fmt::format("1. locks the rows: {}\n2. the statement; in a transaction at READ COMMITTED with these keys in place of TRUE: {}\n", *select, *text);
  for (const std::string& repair : rows.Repairs(kShownRows)) out += fmt::format("3. makes the new side of these rows (shown: one, whose key is 1): {}\n", repair);
  return out;
}

}  // namespace

std::string Explain(const Snapshot& snapshot, const SessionFacts& facts, std::string_view sql) {
  Planner planner(0);
  const std::shared_ptr<const Plan> plan = planner.PlanQuery(snapshot, facts, sql);
  std::string out;
  switch (plan->strategy) {
    case Strategy::kUntouched: out += "untouched: sent as it is\n"; break;
    case Strategy::kOneStatement: out += "A: one statement, rewritten\n"; break;
    case Strategy::kRowImage: out += "B: in steps, the new side made of the stored rows\n"; break;
    case Strategy::kRefuse: out += "C: refused with error 1235\n"; break;
  }
  if (!plan->reason.empty()) out += fmt::format("why: {}\n", plan->reason);
  if (plan->would_be != plan->strategy || plan->would_be_reason != plan->reason)
    out += fmt::format("in dual_write: {}, {}\n", StrategyName(plan->would_be), plan->would_be_reason);
  for (size_t i = 0; i < snapshot.migrations.size() && i < plan->touched.size(); ++i)
    if (plan->touched[i])
      out += fmt::format("{}: {}\n", plan->writes ? "writes or reads" : "reads", snapshot.migrations[i].spec.name);
  std::map<std::string, size_t> keys;
  for (const KeySlot& slot : plan->key_slots)
    if (slot.use == KeySlot::kOne) ++keys[snapshot.migrations[slot.migration].spec.keys[slot.key].table];
  if (plan->Ranged()) out += fmt::format("new keys of {}: one for each row (shown as 1 to 64)\n", snapshot.migrations[plan->key_slots[0].migration].spec.keys[plan->key_slots[0].key].table);
  for (const auto& [table, count] : keys) out += fmt::format("new keys of {}: {} (shown as 1, 2, …)\n", table, count);
  if (plan->strategy == Strategy::kOneStatement) {
    std::vector<uint64_t> numbers;
    for (size_t i = 0; i < plan->key_slots.size(); ++i) numbers.push_back(plan->key_slots[i].use == KeySlot::kLast ? 64 : i + 1);
    const absl::StatusOr<std::string> text = Render(*plan, facts, snapshot.catalog.dialect, sql, numbers, Form::kGuarded);
    out += fmt::format("sent: {}\n", text.ok() ? *text : std::string(text.status().message()));
  }
  if (plan->strategy == Strategy::kRowImage) out += ExplainImage(*plan, facts, snapshot.catalog.dialect, sql);
  return out;
}

}  // namespace crossfade::rewrite
