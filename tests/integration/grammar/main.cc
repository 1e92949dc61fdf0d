// SPDX-License-Identifier: Apache-2.0
// The twin run over random schemas: from each seed a schema with its migrations, then random statements in every phase, through the proxy
// on server A and directly on server B, every reply compared, with scans. A failure shrinks to a minimal script by itself.
// Exit code 0: no difference; 1: one; 2: could not run.
//
//   crossfade_grammar --engine mariadb|mysql [--seed N] [--seeds N] [--statements N, in each phase] [--total N, in all]
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <algorithm>
#include <map>

#include "CLI/CLI.hpp"
#include "fmt/format.h"
#include "tests/integration/grammar/parallel.h"
#include "tests/integration/grammar/refusals.h"
#include "tests/integration/grammar/shrink.h"
#include "tests/integration/grammar/world.h"

namespace crossfade::grammar {
namespace {

struct Options {
  std::string engine = "mariadb";
  uint64_t seed = 0, seeds = 1, total = 0, fixed = 0;
  size_t statements = 40;
  bool direct = false, survey = false, keep_going = false, print = false, each = false, parallel = false;
};

struct Counts {
  uint64_t statements = 0, prepared = 0, errors = 0, refused = 0, waits = 0, at_once = 0, lost = 0, schemas = 0, checked = 0, failed = 0;
  std::map<std::string, uint64_t> refusals, untagged, checks;
};

// The reason of a refusal, without the names in it.
std::string Reason(const std::string& refusal) {
  std::string out;
  for (size_t i = 0; i < refusal.size(); ++i) {
    if (std::isdigit(static_cast<unsigned char>(refusal[i]))) {
      if (out.empty() || out.back() != 'N') out += 'N';
    } else {
      out += refusal[i];
    }
  }
  return out;
}

class Driver {
 public:
  Driver(World& world, const Model& model, uint64_t seed, const Options& options, Counts* counts)
      : world_(world), grammar_(model, seed * 6364136223846793005ull + 99), options_(options), counts_(counts) {}

  // Empty: every stage went well.
  std::string Run() {
    for (size_t stage = 0; stage < kStages.size(); ++stage) {
      stage_ = stage;
      if (absl::Status status = world_.Walk(stage); !status.ok()) return fmt::format("on the way to {}: {}", kStages[stage].name, std::string(status.message()));
      grammar_.set_mode(options_.direct ? Mode{} : kStages[stage].mode);
      for (size_t i = 0; i < options_.statements; ++i) {
        if (std::string text = One(stage); !text.empty()) return text;
        if (i % 20 != 19 && i + 1 != options_.statements) continue;
        if (std::string text = world_.Scan(); !text.empty()) return fmt::format("scan in {}: {}", kStages[stage].name, text);
      }
    }
    if (absl::Status status = world_.Walk(kStages.size() - 1); !status.ok()) return std::string(status.message());
    return world_.Finish();
  }

  const std::vector<Step>& script() const { return script_; }
  size_t stage() const { return stage_; }

 private:
  std::string One(size_t stage) {
    Random& random = grammar_.random();
    Step step;
    step.stage = stage;
    const int holder = world_.holder();
    step.session = holder >= 0 && random.Chance(65) ? static_cast<size_t>(holder) : random.Below(kSessions);
    const unsigned dice = static_cast<unsigned>(random.Below(100));
    if (dice < 10) Control(&step);
    else if ((holder < 0 || holder == static_cast<int>(step.session)) && dice < 55) step.statement = grammar_.Write(world_.lexis(step.session), world_.strict(step.session));
    else if ((holder < 0 || holder == static_cast<int>(step.session)) && dice < 60) step.statement = grammar_.LockingRead(world_.lexis(step.session));
    else step.statement = grammar_.Read(world_.lexis(step.session));
    script_.push_back(step);
    ++counts_->statements;
    if (step.statement.prepared) ++counts_->prepared;
    if (options_.print) fmt::print("{}\n", world_.Written(step));
    const Outcome outcome = world_.Run(step);
    if (outcome.error) ++counts_->errors;
    if (outcome.waited) ++counts_->waits;
    if (outcome.waited && options_.print) fmt::print("-- waited in vain\n");
    if (!outcome.refusal.empty()) {
      ++counts_->refused;
      ++counts_->refusals[Reason(outcome.refusal)];
      // Where old keys are given up, a session that cannot be given new ones asks for what is refused.
      const bool asks_old = kStages[stage].mode.retired && std::any_of(step.statement.pieces.begin(), step.statement.pieces.end(), [](const Piece& piece) { return piece.value && piece.value->as_new; });
      if ((!KnownRefusal(step.statement, outcome.refusal, world_.strict(step.session)) && !asks_old) || !kStages[stage].mode.both_sides) {
        ++counts_->untagged[fmt::format("{}: {}", step.statement.label, Reason(outcome.refusal))];
        if (!options_.survey) return "refused: " + outcome.refusal + "\n  " + world_.Written(step);
      }
    }
    return outcome.difference.empty() ? "" : fmt::format("{} in {}: {}", step.statement.label, kStages[stage].name, outcome.difference);
  }

  void Control(Step* step) {
    Random& random = grammar_.random();
    Statement& statement = step->statement;
    statement.ordered = true;
    std::string sql;
    if (world_.in_transaction(step->session)) {
      switch (random.Below(6)) {
        case 0: sql = "SAVEPOINT s1"; break;
        case 1: sql = "ROLLBACK TO s1"; break;
        case 2: sql = "ROLLBACK"; break;
        default: sql = random.OneOf({"COMMIT", "COMMIT", "COMMIT AND CHAIN", "SELECT ROW_COUNT()", "SELECT LAST_INSERT_ID()"});
      }
    } else {
      sql = random.OneOf({"BEGIN", "BEGIN", "START TRANSACTION", "SET autocommit = 0", "SET autocommit = 1", "SET autocommit = 1", "START TRANSACTION WITH CONSISTENT SNAPSHOT", "SELECT ROW_COUNT()"});
    }
    statement.label = sql.starts_with("ROLLBACK") ? "rollback" : sql.starts_with("COMMIT") ? "commit" : "control";
    statement.pieces.push_back({sql, std::nullopt, false});
  }

  World& world_;
  Grammar grammar_;
  const Options& options_;
  Counts* counts_;
  std::vector<Step> script_;
  size_t stage_ = 0;
};

void Print(const Counts& counts) {
  fmt::print("  {} statements ({} prepared) over {} schemas, {} errors alike, {} waits in vain, {} refused; {} schemas refused by check; {} statements by connections at once, {} of their transactions lost to deadlocks\n", counts.statements, counts.prepared, counts.schemas, counts.errors, counts.waits,
             counts.refused, counts.checked, counts.at_once, counts.lost);
  for (const auto& [reason, count] : counts.refusals) fmt::print("    refused {} times: {}\n", count, reason);
  for (const auto& [reason, count] : counts.untagged) fmt::print("    UNTAGGED {} times: {}\n", count, reason);
  for (const auto& [reason, count] : counts.checks) fmt::print("    check, {} times: {}\n", count, reason);
  std::fflush(stdout);
}

int Run(const Options& options) {
  const servers::Engine engine = options.engine == "mysql" ? servers::Engine::kMySql : servers::Engine::kMariaDb;
  auto world = World::Start(engine, options.direct);
  if (!world.ok()) {
    fmt::print("cannot run: {}\n", std::string(world.status().message()));
    return 2;
  }
  Counts counts;
  uint64_t begun_seeds = 0;
  const auto more = [&] { return begun_seeds < options.fixed || (options.total > 0 ? counts.statements < options.total : begun_seeds < options.fixed + options.seeds); };
  for (; more(); ++begun_seeds) {
    const uint64_t seed = begun_seeds < options.fixed ? 103 + begun_seeds : options.seed + begun_seeds - options.fixed;
    Model model = Model::Make(seed, engine);
    // Every fifth schema is for connections that do not wait for each other. Theirs is one migration: the statement gate of one holds its own
    // tables alone, and a transaction that it holds may have locked them through the foreign keys of another's.
    const bool at_once = options.parallel || seed % 5 == 0;
    if (at_once) {
      for (Key& key : model.keys) key.group = 0;
      for (Set& set : model.sets) set.group = 0;
    }
    const std::time_t begin = std::time(nullptr);
    const absl::Status begun = (*world)->Begin(model);
    if (absl::IsFailedPrecondition(begun)) {
      ++counts.checked;
      const std::string text(begun.message());
      const size_t at = text.find("error");
      ++counts.checks[Reason(text.substr(at == std::string::npos ? 0 : at, 200))];
      continue;
    }
    std::string failure = begun.ok() ? "" : std::string(begun.message());
    Driver driver(**world, model, seed, options, &counts);
    ParallelCounts parallel;
    if (failure.empty()) failure = at_once && !options.direct ? RunParallel(**world, model, seed, &parallel) : driver.Run();
    counts.statements += parallel.statements;
    counts.at_once += parallel.statements;
    counts.lost += parallel.lost;
    counts.refused += parallel.refused;
    ++counts.schemas;
    if (options.each) fmt::print("seed {}: {}, {} s, {} statements so far\n", seed, failure.empty() ? "the same" : "FAILED", std::time(nullptr) - begin, counts.statements);
    std::fflush(stdout);
    if (failure.empty()) continue;
    fmt::print("FAILED, --engine {} --seed {}: {}\n{}\n", options.engine, seed, failure, (*world)->log());
    std::fflush(stdout);
    if (begun.ok() && !at_once) fmt::print("{}\n", Shrink(**world, model, driver.script(), driver.stage(), failure.starts_with("refused")));
    ++counts.failed;
    if (!options.keep_going) break;
  }
  Print(counts);
  return counts.failed > 0 ? 1 : 0;
}

}  // namespace
}  // namespace crossfade::grammar

int main(int argc, char** argv) {
  using crossfade::grammar::Options;
  Options options;
  CLI::App app("The twin run over random schemas: every reply through the proxy equals the direct one.");
  app.add_option("--engine", options.engine)->check(CLI::IsMember({"mariadb", "mysql"}));
  app.add_option("--seed", options.seed, "the first; default: the day's date");
  app.add_option("--seeds", options.seeds, "how many");
  app.add_option("--fixed", options.fixed, "so many seeds that are always the same before those");
  app.add_option("--statements", options.statements, "in each phase");
  app.add_option("--total", options.total, "as many seeds as it takes for so many statements");
  app.add_flag("--direct", options.direct, "both sides without a proxy: shows that the workload itself is deterministic");
  app.add_flag("--survey", options.survey, "list what is refused instead of failing at a shape that should not be");
  app.add_flag("--keep-going", options.keep_going, "to the next seed after a failure");
  app.add_flag("--each", options.each, "a line for every seed");
  app.add_flag("--parallel", options.parallel, "all schemas with connections at once, else every fifth");
  app.add_flag("--print", options.print, "every statement");
  CLI11_PARSE(app, argc, argv);
  if (std::getenv("CROSSFADE_LONG") != nullptr && options.total == 0 && options.seeds <= 1) {
    options.total = 110'000;
    options.statements = 300;
  }
  if (options.seed == 0) {
    const std::time_t now = std::time(nullptr);
    std::tm day;
    gmtime_r(&now, &day);
    options.seed = static_cast<uint64_t>(day.tm_year + 1900) * 10000 + static_cast<uint64_t>(day.tm_mon + 1) * 100 + static_cast<uint64_t>(day.tm_mday);
  }
  fmt::print("random schemas on {}, {} statements in each phase, --seed {}\n", options.engine, options.statements, options.seed);
  std::fflush(stdout);
  return crossfade::grammar::Run(options);
}
