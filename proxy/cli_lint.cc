// SPDX-License-Identifier: Apache-2.0
// crossfade lint: what a recorded workload would meet.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>
#include <vector>

#include "backfill/control.h"
#include "config/load.h"
#include "fmt/format.h"
#include "nlohmann/json.hpp"
#include "proxy/cli.h"
#include "proxy/cli_common.h"
#include "rewrite/lint.h"
#include "rewrite/schema_file.h"

namespace crossfade::proxy {
namespace {

constexpr size_t kPiece = size_t{1} << 20;
constexpr rewrite::Strategy kStrategies[] = {rewrite::Strategy::kUntouched, rewrite::Strategy::kOneStatement, rewrite::Strategy::kRowImage, rewrite::Strategy::kRefuse};

absl::StatusOr<std::shared_ptr<const rewrite::Snapshot>> SnapshotOf(const LintOptions& options, const std::string& config_path, config::Config* config,
                                                                    std::string* sql_mode) {
  if (options.schema_file.empty()) {
    auto opened = OpenControl(config_path);
    if (!opened.ok()) return opened.status();
    *config = opened->config;
    if (sql_mode->empty()) {
      auto rows = opened->connection.Query("SELECT @@GLOBAL.sql_mode");
      if (!rows.ok()) return rows.status();
      *sql_mode = rows->rows[0][0].value_or("");
    }
    auto state = StateIn(*config, options.phase, options.cohort, "");
    if (!state.ok()) return state.status();
    return backfill::LoadSnapshot(opened->connection, opened->config, *state);
  }
  auto loaded = config::Load(config_path);
  if (!loaded.ok()) return loaded.status();
  *config = *std::move(loaded);
  std::ifstream file(options.schema_file, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return absl::NotFoundError(fmt::format("{} cannot be read", options.schema_file));
  const std::string schema = config->migrations.empty() ? "" : config->migrations[0].schema;
  auto catalog = rewrite::ReadSchemaFile(text.str(), schema);
  if (!catalog.ok()) return absl::InvalidArgumentError(fmt::format("{}: {}", options.schema_file, std::string(catalog.status().message())));
  auto state = StateIn(*config, options.phase, options.cohort, "");
  if (!state.ok()) return state.status();
  std::vector<rewrite::MigrationState> migrations;
  for (const config::Migration& spec : config->migrations) {
    for (const config::KeyMigration& key : spec.keys) {
      if (catalog->FindTable(spec.schema, key.table) == nullptr)
        return absl::FailedPreconditionError(fmt::format("{}: {} has no table {}.{}", spec.name, options.schema_file, spec.schema, key.table));
    }
    for (const config::ColumnMigration& columns : spec.columns) {
      if (catalog->FindTable(spec.schema, columns.table) == nullptr)
        return absl::FailedPreconditionError(fmt::format("{}: {} has no table {}.{}", spec.name, options.schema_file, spec.schema, columns.table));
    }
    rewrite::MigrationState& migration = migrations.emplace_back();
    migration.spec = spec;
    migration.phase = state->migrations[migrations.size() - 1].phase;
    migration.percent = state->migrations[migrations.size() - 1].percent;
  }
  return rewrite::MakeSnapshot(1, std::move(migrations), *std::move(catalog));
}

absl::Status Read(const std::string& path, rewrite::QueryLog* log) {
  std::ifstream file;
  std::istream* in = &std::cin;
  if (path != "-") {
    file.open(path, std::ios::binary);
    if (!file) return absl::NotFoundError(fmt::format("{} cannot be read", path));
    in = &file;
  }
  std::vector<char> piece(kPiece);
  while (in->read(piece.data(), static_cast<std::streamsize>(piece.size())), in->gcount() > 0) log->Feed({piece.data(), static_cast<size_t>(in->gcount())});
  if (in->bad()) return absl::DataLossError(fmt::format("{} could not be read to its end", path));
  log->End();
  return absl::OkStatus();
}

uint64_t CountOf(const rewrite::Lint& lint, rewrite::Strategy strategy) {
  return strategy == rewrite::Strategy::kUntouched ? lint.untouched() : lint.CountOf(strategy);
}

void PrintJson(const rewrite::Lint& lint, const rewrite::QueryLog& log) {
  nlohmann::json out = {{"statements", lint.statements()}, {"too_long", log.too_long()}, {"shapes", nlohmann::json::array()}};
  for (rewrite::Strategy strategy : kStrategies) {
    out[std::string(rewrite::StrategyName(strategy))] = CountOf(lint, strategy);
    for (const rewrite::LintedShape& shape : lint.Shapes(strategy)) {
      nlohmann::json row = {{"strategy", std::string(rewrite::StrategyName(strategy))}, {"count", shape.count}, {"digest", shape.digest}};
      if (!shape.reason.empty()) row["reason"] = shape.reason;
      out["shapes"].push_back(std::move(row));
    }
  }
  fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

void Print(const rewrite::Lint& lint, const rewrite::QueryLog& log, size_t shown) {
  fmt::print("{} statements\n", lint.statements());
  for (rewrite::Strategy strategy : kStrategies) {
    const uint64_t count = CountOf(lint, strategy);
    fmt::print("  {:<10} {:>12}  {:5.1f} %\n", rewrite::StrategyName(strategy), count, lint.statements() == 0 ? 0.0 : 100.0 * static_cast<double>(count) / static_cast<double>(lint.statements()));
  }
  if (log.too_long() != 0) fmt::print("  {} too long to be looked at\n", log.too_long());
  for (rewrite::Strategy strategy : {rewrite::Strategy::kRefuse, rewrite::Strategy::kOneStatement}) {
    const auto shapes = lint.Shapes(strategy);
    if (shapes.empty()) continue;
    fmt::print("\n{}, {} shape{}:\n", strategy == rewrite::Strategy::kRefuse ? "would be refused (C)" : "would be rewritten (A)", shapes.size(), shapes.size() == 1 ? "" : "s");
    for (size_t i = 0; i < shapes.size() && i < shown; ++i) {
      fmt::print("  {:>10}  {}\n", shapes[i].count, shapes[i].digest.substr(0, 300));
      if (!shapes[i].reason.empty()) fmt::print("              {}\n", shapes[i].reason);
    }
    if (shapes.size() > shown) fmt::print("  … and {} more (--top 0 shows all)\n", shapes.size() - shown);
  }
}

}  // namespace

int LintLog(const std::string& config_path, const LintOptions& options) {
  config::Config config;
  std::string sql_mode = options.sql_mode;
  auto snapshot = SnapshotOf(options, config_path, &config, &sql_mode);
  if (!snapshot.ok()) return Fail(snapshot.status());
  rewrite::SessionFacts facts;
  facts.schema = options.schema;
  if (facts.schema.empty() && !config.migrations.empty()) facts.schema = config.migrations[0].schema;
  if (!sql_mode.empty()) facts.sql_mode = rewrite::ParseSqlMode(sql_mode);
  facts.new_cohort = rewrite::CohortOf(**snapshot, 0);
  rewrite::Lint lint(*std::move(snapshot), facts, config.limits.parse_depth);
  rewrite::QueryLog log([&](const rewrite::LoggedStatement& statement) { lint.Add(statement); });
  absl::Status read = Read(options.log, &log);
  if (!read.ok()) return Fail(read);
  if (lint.statements() == 0) return Fail(fmt::format("{} holds no statement: it is to be a general log, a slow log or a file of SQL", options.log));
  if (options.json) PrintJson(lint, log);
  else Print(lint, log, options.top == 0 ? SIZE_MAX : options.top);
  return lint.CountOf(rewrite::Strategy::kRefuse) == 0 ? 0 : 1;
}

}  // namespace crossfade::proxy
