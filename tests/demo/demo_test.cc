// SPDX-License-Identifier: Apache-2.0
// The demo's own parts: the package index, what a connection knows, the histogram; and the application run directly on
// a server, where every one of its checks has to hold, and to fail when somebody changes its rows behind its back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/demo/fleet.h"
#include "tests/demo/loader.h"
#include "tests/servers/server.h"

namespace crossfade::demo {
namespace {

constexpr char kIndex[] =
    "Package: b\nVersion: 1.0\nInstalled-Size: 12\nDepends: a (>= 1), c:any | nowhere, a (<< 2)\nRecommends: a\n"
    "Description: short\n long\n .\n longer\n\n"
    "Package: a\nVersion: 2\nMaintainer: J\xC3\xB6rg\nTag: x::y,\n z::w\nPre-Depends: b [amd64]\n\n"
    "Package: c\n\nPackage: a\nVersion: 3\n";

TEST(PackageIndex, ReadsPackagesAndDependencies) {
  const PackageIndex index = ParsePackageIndex(kIndex);
  ASSERT_EQ(index.packages.size(), 3u);
  EXPECT_EQ(index.packages[0].name, "a");
  EXPECT_EQ(index.packages[0].version, "2");
  EXPECT_EQ(index.packages[0].maintainer, "J\xC3\xB6rg");
  EXPECT_EQ(index.packages[1].installed_size, 12);
  EXPECT_EQ(index.packages[1].description, "short\n long\n .\n longer");
  std::vector<std::string> found;
  for (const Dependency& d : index.dependencies) {
    found.push_back(index.packages[d.package].name + " " + d.kind + " " + index.packages[d.depends_on].name + " " + d.note);
  }
  EXPECT_THAT(found, ::testing::UnorderedElementsAre("b depends a >= 1, << 2", "b depends c ", "b recommends a ", "a pre-depends b "));
}

TEST(PackageIndex, MultiplyKeepsEachCopyToItself) {
  const PackageIndex index = Multiply(ParsePackageIndex(kIndex), 3);
  ASSERT_EQ(index.packages.size(), 9u);
  ASSERT_EQ(index.dependencies.size(), 12u);
  EXPECT_EQ(index.packages[8].name, "c~3");
  for (const Dependency& d : index.dependencies) EXPECT_EQ(d.package / 3, d.depends_on / 3);
}

TEST(PackageIndex, LongFieldsAreCutBetweenCharacters) {
  std::string description;
  while (description.size() < 600) description += "x\xC3\xB6";
  const PackageIndex index = ParsePackageIndex("Package: a\nDescription: " + description + "\n");
  EXPECT_EQ(index.packages[0].description, description.substr(0, 499));
}

TEST(Truth, UndoRestoresCascades) {
  Truth truth;
  truth.SetPackage("p", {"1", "s", 5, false, 0});
  truth.SetPackage("q", {"2", "s", 6, false, 0});
  truth.SetDependency("t", {7, "p", "q", "depends", "t"});
  truth.Commit();
  const Truth before = truth;
  truth.Rename("q", "r");
  EXPECT_EQ(truth.dependencies().at("t").depends_on, "r");
  EXPECT_TRUE(truth.IsTarget("r"));
  EXPECT_FALSE(truth.IsTarget("q"));
  const size_t mark = truth.Mark();
  truth.ErasePackage("p");
  EXPECT_TRUE(truth.dependencies().empty());
  truth.UndoTo(mark);
  EXPECT_EQ(truth.DependenciesOf("p").size(), 1u);
  EXPECT_NE(truth.DifferenceTo(before), "");
  truth.UndoTo(0);
  EXPECT_EQ(truth.DifferenceTo(before), "");
}

TEST(Stats, QuantilesWithinTwoPercent) {
  Stats stats;
  stats.BeginStep("one");
  for (int i = 1; i <= 10'000; ++i) stats.Request(i * 10);
  const StepSummary summary = stats.Summaries()[0];
  EXPECT_EQ(summary.requests, 10'000u);
  EXPECT_NEAR(summary.p50_ms, 50, 1);
  EXPECT_NEAR(summary.p99_ms, 99, 2);
  EXPECT_DOUBLE_EQ(summary.max_ms, 100);
}

TEST(Session, TextTakesLiterals) {
  EXPECT_EQ(Inline("a = ? AND b = ?", {std::string("d'o\\c"), int64_t{-7}}), "a = 'd\\'o\\\\c' AND b = -7");
}

PackageIndex SmallIndex() {
  PackageIndex index;
  for (uint32_t i = 0; i < 600; ++i) {
    Package package;
    package.name = "package-" + std::to_string(10'000 + i);
    package.version = "1";
    index.packages.push_back(package);
    for (uint32_t k = 1; k <= 3 && i >= k; ++k) index.dependencies.push_back({i, i - k, "depends", ""});
  }
  return index;
}

class OnServer : public ::testing::TestWithParam<servers::Engine> {};

TEST_P(OnServer, EveryCheckHoldsDirectly) {
  auto server = servers::Server::Start(GetParam());
  ASSERT_TRUE(server.ok()) << server.status();
  const PackageIndex index = SmallIndex();
  ASSERT_TRUE(Load(index, (*server)->port()).ok());
  Stats stats;
  stats.BeginStep("direct");
  Fleet fleet(index, {.connections = 4, .packages_each = 60, .think_ms = 0.1}, &stats);
  ASSERT_TRUE(fleet.Start({.port = (*server)->port()}, (*server)->port()).ok());
  std::this_thread::sleep_for(std::chrono::seconds(3));
  EXPECT_TRUE(fleet.Audit().ok());
  EXPECT_EQ(stats.errors(), 0u);
  EXPECT_GT(stats.requests(), 1000u);
  auto client = servers::Client::Connect({.port = (*server)->port(), .database = kSchema});
  ASSERT_TRUE(client.ok());
  const std::string name = index.packages[fleet.owned()[0]].name;
  ASSERT_TRUE(client->Query("UPDATE packages SET priority = version, version = 'changed' WHERE name = '" + name + "'").ok());
  EXPECT_TRUE(fleet.Audit().ok());
  fleet.Stop();
  EXPECT_GT(stats.errors(), 0u);
}

// The last release runs on the final schema, with nothing in between.
TEST_P(OnServer, LastReleaseRunsOnTheFinalSchema) {
  auto server = servers::Server::Start(GetParam());
  ASSERT_TRUE(server.ok()) << server.status();
  const PackageIndex index = SmallIndex();
  ASSERT_TRUE(Load(index, (*server)->port()).ok());
  auto client = servers::Client::Connect({.port = (*server)->port(), .database = kSchema});
  ASSERT_TRUE(client.ok());
  for (const char* sql : {
           "ALTER TABLE dependencies DROP FOREIGN KEY dependency_of, DROP FOREIGN KEY dependency_on",
           "ALTER TABLE packages ADD COLUMN id int unsigned AFTER name",
           "SET @n = 0", "UPDATE packages SET id = (@n := @n + 1)",
           "ALTER TABLE packages MODIFY id int unsigned NOT NULL, DROP PRIMARY KEY, ADD PRIMARY KEY (id), ADD UNIQUE KEY (name)",
           "ALTER TABLE dependencies ADD p int unsigned AFTER package, ADD t int unsigned AFTER depends_on",
           "UPDATE dependencies SET p = (SELECT id FROM packages WHERE name = package), t = (SELECT id FROM packages WHERE name = depends_on)",
           "ALTER TABLE dependencies DROP package, DROP depends_on, CHANGE p package int unsigned NOT NULL, "
           "CHANGE t depends_on int unsigned NOT NULL",
           "ALTER TABLE dependencies ADD FOREIGN KEY (package) REFERENCES packages (id) ON DELETE CASCADE ON UPDATE CASCADE, "
           "ADD FOREIGN KEY (depends_on) REFERENCES packages (id) ON UPDATE CASCADE",
       }) {
    const servers::Reply reply = client->Query(sql);
    ASSERT_TRUE(reply.ok()) << sql << Describe(reply);
  }
  Stats stats;
  stats.BeginStep("final");
  Fleet fleet(index, {.connections = 4, .packages_each = 60, .think_ms = 0.1, .release = Release::kFinal}, &stats);
  ASSERT_TRUE(fleet.Start({.port = (*server)->port()}, (*server)->port()).ok());
  std::this_thread::sleep_for(std::chrono::seconds(3));
  EXPECT_TRUE(fleet.Audit().ok());
  fleet.Stop();
  EXPECT_EQ(stats.errors(), 0u);
  EXPECT_GT(stats.requests(), 1000u);
}

INSTANTIATE_TEST_SUITE_P(Engines, OnServer, ::testing::Values(servers::Engine::kMariaDb, servers::Engine::kMySql),
                         [](const auto& info) { return servers::EngineName(info.param); });

}  // namespace
}  // namespace crossfade::demo
