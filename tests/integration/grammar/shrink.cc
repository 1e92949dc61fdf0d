// SPDX-License-Identifier: Apache-2.0
// See shrink.h.
#include "tests/integration/grammar/shrink.h"

#include <chrono>
#include <cstdlib>

#include "fmt/format.h"
#include "tests/integration/grammar/refusals.h"

namespace crossfade::grammar {
namespace {

constexpr size_t kFirstBack = 8;  // of the stages: the one that goes back

using Clock = std::chrono::steady_clock;

class Shrinker {
 public:
  Shrinker(World& world, const Model& model, const std::vector<Step>& script, size_t stage, bool refusal)
      : world_(world), model_(model), script_(script), last_(stage), refusal_(refusal) {
    const char* seconds = getenv("CROSSFADE_SHRINK_SECONDS");
    end_ = Clock::now() + std::chrono::seconds(seconds == nullptr ? 120 : std::atoi(seconds));
  }

  std::string Run() {
    if (Fails(model_, script_).empty()) return "  run again, it does not fail: something beside the statements has a part in it";
    // Of the stages before the last nothing may be needed; then ever smaller parts of all.
    std::vector<Step> tail;
    for (const Step& step : script_)
      if (step.stage == last_) tail.push_back(step);
    if (!tail.empty()) Try(tail);
    for (size_t parts = 2; parts <= script_.size() * 2 && Clock::now() < end_;) {
      const size_t size = std::max<size_t>(1, script_.size() / parts);
      bool dropped = false;
      for (size_t at = 0; at < script_.size() && Clock::now() < end_;) {
        std::vector<Step> without(script_.begin(), script_.begin() + static_cast<long>(at));
        without.insert(without.end(), script_.begin() + static_cast<long>(std::min(at + size, script_.size())), script_.end());
        if (Try(without)) dropped = true;
        else at += size;
      }
      if (size == 1 && !dropped) break;
      if (!dropped || size > 1) parts *= 2;
    }
    for (size_t i = 0; i < model_.sets.size() && Clock::now() < end_; ++i) {
      Model without = model_;
      if (without.DropSet(i) && !Fails(without, script_).empty()) model_ = without;
    }
    for (const Table& table : std::vector<Table>(model_.tables.rbegin(), model_.tables.rend())) {
      Model without = model_;
      if (Clock::now() < end_ && without.Drop(table.name) && !Fails(without, script_).empty()) model_ = without;
    }
    const std::string failure = Fails(model_, script_);
    std::string text = fmt::format("  minimal: seed {}, {}\n-- the file's migrations:\n{}-- the schema:\n", model_.seed, failure, model_.Yaml());
    for (const std::string& sql : model_.Create()) text += sql + ";\n";
    text += "-- the statements, by phase and session:\n";
    for (const Step& step : script_) text += world_.Written(step) + "\n";
    return text;
  }

 private:
  bool Try(const std::vector<Step>& script) {
    if (script.size() == script_.size() || Fails(model_, script).empty()) return false;
    script_ = script;
    return true;
  }

  // The failure, if it does.
  std::string Fails(const Model& model, const std::vector<Step>& script) {
    if (!world_.Begin(model).ok()) return "";
    size_t next = 0;
    for (size_t stage = 0; stage <= last_; ++stage) {
      // A phase is walked through without a stop where nothing is to be done in it.
      const bool stops = stage == last_ || (next < script.size() && script[next].stage == stage) || (stage + 1 >= kFirstBack && stage <= last_);
      if (!stops) continue;
      if (absl::Status status = world_.Walk(stage); !status.ok()) return std::string(status.message());
      for (; next < script.size() && script[next].stage == stage; ++next) {
        const Outcome outcome = world_.Run(script[next]);
        if (!outcome.difference.empty()) return outcome.difference;
        const Statement& statement = script[next].statement;
        if (refusal_ && !outcome.refusal.empty() && !KnownRefusal(statement, outcome.refusal, world_.strict(script[next].session))) return "refused: " + outcome.refusal;
      }
      if (std::string text = world_.Scan(); !text.empty()) return text;
    }
    if (last_ + 1 != kStages.size()) return "";
    if (absl::Status status = world_.Walk(last_); !status.ok()) return std::string(status.message());
    return world_.Finish();
  }

  World& world_;
  Model model_;
  std::vector<Step> script_;
  size_t last_;
  bool refusal_;
  Clock::time_point end_;
};

}  // namespace

std::string Shrink(World& world, const Model& model, const std::vector<Step>& script, size_t stage, bool refusal) { return Shrinker(world, model, script, stage, refusal).Run(); }

}  // namespace crossfade::grammar
