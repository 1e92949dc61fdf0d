// SPDX-License-Identifier: Apache-2.0
// The file as a whole: what a good one gives, and the line and reason that each bad one gets.
#include "config/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace crossfade::config {
namespace {

using ::testing::HasSubstr;
using std::chrono::milliseconds;

constexpr char kHead[] =
    "listen:\n"
    "  - {address: \"127.0.0.1:6033\", backend: primary}\n"
    "backends:\n"
    "  primary: {address: \"127.0.0.1:3306\", tls: disabled}\n"
    "control: {backend: primary, user: crossfade}\n";  // five lines

constexpr char kZoo[] =
    "migrations:\n"
    "  - name: integer-keys\n"
    "    schema: zoo\n"
    "    phase: observe\n"
    "    keys:\n"
    "      - table: Caves\n"
    "        old: id\n"
    "        new: {column: newId, type: int unsigned, final: id}\n"
    "        references:\n"
    "          - {table: Bears, old: caveId, new: caveNewId}\n";

std::string Message(const std::string& text) {
  const auto config = Parse(text, "crossfade.yaml");
  return config.ok() ? "" : std::string(config.status().message());
}

TEST(Load, DefaultsOfAShortFile) {
  const auto config = Parse(kHead, "dir/crossfade.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->listeners.size(), 1u);
  EXPECT_EQ(config->listeners[0].address, "127.0.0.1:6033");
  EXPECT_EQ(config->listeners[0].backend, "primary");
  EXPECT_EQ(config->FindBackend("primary")->tls, TlsMode::kDisabled);
  EXPECT_EQ(config->FindBackend("other"), nullptr);
  EXPECT_EQ(config->control.schema, "crossfade");
  EXPECT_EQ(config->log_level, "info");
  EXPECT_EQ(config->admin, "");
  EXPECT_EQ(config->limits.lease, milliseconds(5000));
  EXPECT_TRUE(config->migrations.empty());
}

TEST(Load, EverySection) {
  const auto config = Parse(
      "listen:\n"
      "  - {address: \"unix:/run/cf.sock\", backend: a}\n"
      "  - {address: \"[::1]:6033\", backend: b, tls: {certificate: cert.pem, key: /keys/key.pem}}\n"
      "backends:\n"
      "  a: {address: \"unix:/run/mysqld.sock\"}\n"
      "  b: {address: \"db.example:3306\", tls: verify, ca: ca.pem, compression: zstd}\n"
      "control: {backend: b, user: crossfade, password_file: control.password, schema: cf_control}\n"
      "admin: 127.0.0.1:6080\n"
      "log_level: debug\n"
      "limits: {lease: 10s, control_poll: 50ms, max_packet: 64MiB, chunk_rows: 5000, backfill_idle_share: 0.25}\n"
      "migrations: []\n",
      "/etc/cf/crossfade.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->backends[0].tls, TlsMode::kPreferred);
  EXPECT_EQ(config->backends[1].tls, TlsMode::kVerify);
  EXPECT_EQ(config->backends[0].compression, Compression::kOff);
  EXPECT_EQ(config->backends[1].compression, Compression::kZstd);
  EXPECT_EQ(config->backends[1].ca, "/etc/cf/ca.pem");
  EXPECT_EQ(config->listeners[1].tls_certificate, "/etc/cf/cert.pem");
  EXPECT_EQ(config->listeners[1].tls_key, "/keys/key.pem");
  EXPECT_EQ(config->control.schema, "cf_control");
  EXPECT_EQ(config->admin, "127.0.0.1:6080");
  EXPECT_EQ(config->log_level, "debug");
  EXPECT_EQ(config->limits.lease, milliseconds(10'000));
  EXPECT_EQ(config->limits.control_poll, milliseconds(50));
  EXPECT_EQ(config->limits.max_packet, 64u << 20);
  EXPECT_EQ(config->limits.chunk_rows, 5000u);
  EXPECT_DOUBLE_EQ(config->limits.backfill_idle_share, 0.25);
}

TEST(Load, ErrorsSayFileLineAndReason) {
  const std::string head = kHead;
  struct Case {
    std::string text, where, reason;
  };
  const Case cases[] = {
      {"", ":1: ", "the file is empty"},
      {"- a\n", ":1: ", "a mapping (key: value) is needed"},
      {"listen: [\n", ":2: ", "no YAML"},
      {head + "lisen: 1\n", ":6: ", "unknown key 'lisen'"},
      {head + "admin: a:1\nadmin: a:2\n", ":7: ", "'admin' stands here twice (first in line 6)"},
      {head + "---\na: 1\n", ":7: ", "second YAML document"},
      {head + "admin: 6080\n", ":6: ", "has no port"},
      {head + "admin: \"127.0.0.1:66000\"\n", ":6: ", "'66000' is no port"},
      {head + "admin: \"unix:/a\"\n", ":6: ", "write HOST:PORT"},
      {head + "admin: \"::1:80\"\n", ":6: ", "stands in brackets"},
      {head + "admin:\n", ":6: ", "a value is needed"},
      {head + "log_level: loud\n", ":6: ", "'loud' is none of"},
      {head + "limits: {leese: 5s}\n", ":6: ", "unknown key 'leese'"},
      {head + "limits:\n  lease: 5\n", ":7: ", "'5' is no duration"},
      {head + "limits:\n  lease: 5ms\n", ":7: ", "5ms is out of range"},
      {head + "limits:\n  lease: 5 s\n", ":7: ", "no duration"},
      {head + "limits:\n  max_packet: 2GiB\n", ":7: ", "out of range: 1024 to 1073741824"},
      {head + "limits:\n  max_packet: 99999999999999999999\n", ":7: ", "no whole number"},
      {head + "limits:\n  backfill_idle_share: 1\n", ":7: ", "out of range"},
      {head + "limits:\n  backfill_idle_share: nan\n", ":7: ", "not a number"},
      {head + "limits:\n  parse_depth: -1\n", ":7: ", "no whole number"},
      {head + "limits: 5\n", ":6: ", "a mapping"},
      {head + "migrations: 5\n", ":6: ", "a list is needed"},
      {"backends: {a: {address: \"h:1\"}}\ncontrol: {backend: a, user: u}\n", ":1: ", "at least one address"},
      {"listen: [{address: \"h:1\", backend: b}]\nbackends: {a: {address: \"h:1\"}}\n", ":1: ", "there is no backend 'b'"},
      {"listen: [{address: \"h:1\", backend: a}]\nbackends: {a: {address: \"h:1\"}}\n", ":1: ", "'control' is missing"},
      {"listen: [{address: \"h:1\", backend: a}]\nbackends: {a: {address: \"h:1\", tls: maybe}}\n", ":2: ", "'maybe' is none of"},
      {"listen: [{address: \"h:1\", backend: a}]\nbackends: {a: {address: \"h:1\", tls: verify}}\n", ":2: ", "needs 'ca:'"},
      {"listen: [{address: \"h:1\", backend: a}]\nbackends: {a: {address: \"h:1\", compression: gzip}}\n", ":2: ", "'gzip' is none of"},
      {"listen: [{address: \"h:1\", backend: a}]\nbackends: {a: {address: \"h:1\", ca: x}}\n", ":2: ", "'tls: verify' only"},
      {"listen: [{address: \"h:1\", backend: a}]\nbackends: {a: {adress: \"h:1\"}}\n", ":2: ", "'address' is missing"},
      {"listen: [{address: \"unix:\", backend: a}]\nbackends: {a: {address: \"h:1\"}}\n", ":1: ", "needs a path"},
      {"listen:\n - {address: \"h:1\", backend: a}\n - {address: \"h:1\", backend: a}\nbackends: {a: {address: \"h:1\"}}\n", ":3: ",
       "h:1 stands here twice"},
      {"listen: [{address: \"h:1\", backend: a, tls: {key: k}}]\nbackends: {a: {address: \"h:1\"}}\n", ":1: ", "'certificate' is missing"},
      {"listen: [{address: \"h:1\", backend: a}]\nbackends: {a: {address: \"h:1\"}}\ncontrol: {backend: a}\n", ":3: ", "'user' is missing"},
      {"listen: [{address: \"h:1\", backend: a}]\nbackends: {a: {address: \"h:1\"}}\ncontrol: {backend: a, user: u, schema: \"a`b\"}\n",
       ":3: ", "'a`b' is no identifier"},
  };
  for (const Case& c : cases) {
    const std::string message = Message(c.text);
    EXPECT_THAT(message, HasSubstr("crossfade.yaml" + c.where)) << c.text;
    EXPECT_THAT(message, HasSubstr(c.reason)) << c.text;
  }
}

TEST(Load, HostileYamlIsAnErrorAndNoCrash) {
  EXPECT_NE(Message(std::string(20'000, '[')), "");
  EXPECT_NE(Message(std::string(20'000, '{')), "");
  EXPECT_NE(Message("a: &x [*x]\n"), "");
  EXPECT_NE(Message("? [a, b]\n: c\n"), "");
  EXPECT_NE(Message(std::string("a\0b: 1", 6)), "");
  EXPECT_NE(Message("*nothing"), "");
  std::string laughs = "a: &a [x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'z'; ++c) {
    laughs += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 9; ++i) laughs += std::string(i > 0 ? "," : "") + "*" + static_cast<char>(c - 1);
    laughs += "]\n";
  }
  EXPECT_THAT(Message(kHead + laughs), HasSubstr("unknown key 'a'"));
}

TEST(Load, EveryPrefixOfAGoodFileIsHandled) {
  const std::string text = std::string(kHead) + kZoo;
  for (size_t length = 0; length < text.size(); ++length) {
    const auto config = Parse(text.substr(0, length), "f");
    if (!config.ok()) {
      EXPECT_THAT(std::string(config.status().message()), ::testing::MatchesRegex("f:[0-9]+: .+"));
    }
  }
  EXPECT_TRUE(Parse(text, "f").ok());
}

std::string ReadText(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// What the documentation shows has to load.
TEST(Documentation, ExamplesLoad) {
  int examples = 0;
  const std::filesystem::path root = CROSSFADE_SOURCE_DIR;
  for (const auto& entry : std::filesystem::directory_iterator(root / "docs" / "examples")) {
    const auto config = Load(entry.path().string());
    EXPECT_TRUE(config.ok()) << config.status();
    ++examples;
  }
  EXPECT_GE(examples, 2);
}

TEST(Documentation, BlocksOfYamlLoad) {
  int blocks = 0;
  const std::filesystem::path root = CROSSFADE_SOURCE_DIR;
  for (const auto& path : {root / "README.md", root / "docs" / "configuration.md"}) {
    const std::string text = ReadText(path);
    for (size_t begin = 0; (begin = text.find("```yaml\n", begin)) != std::string::npos;) {
      begin += 8;
      const std::string block = text.substr(begin, text.find("```", begin) - begin);
      const auto config = Parse(block, path.string());
      EXPECT_TRUE(config.ok()) << config.status();
      ++blocks;
    }
  }
  EXPECT_GE(blocks, 2);
}

// Every limit stands in the documentation with its default, and nothing else does.
TEST(Documentation, LimitsAreThoseOfTheCode) {
  const std::string text = ReadText(std::filesystem::path(CROSSFADE_SOURCE_DIR) / "docs" / "configuration.md");
  std::string limits;
  for (size_t begin = text.find("## limits"); (begin = text.find("\n| `", begin)) != std::string::npos; ++begin) {
    const size_t name_end = text.find('`', begin + 4), value_end = text.find(" |", name_end + 4);
    limits += "  " + text.substr(begin + 4, name_end - begin - 4) + ": " + text.substr(name_end + 4, value_end - name_end - 4) + "\n";
  }
  const auto config = Parse(std::string(kHead) + "limits:\n" + limits, "f");
  ASSERT_TRUE(config.ok()) << config.status() << limits;
  const Limits defaults;
  EXPECT_EQ(config->limits.connect_timeout, defaults.connect_timeout);
  EXPECT_EQ(config->limits.lease, defaults.lease);
  EXPECT_EQ(config->limits.max_packet, defaults.max_packet);
  EXPECT_EQ(config->limits.chunk_rows, defaults.chunk_rows);
  EXPECT_EQ(config->limits.hold_limit, defaults.hold_limit);
  EXPECT_DOUBLE_EQ(config->limits.backfill_idle_share, defaults.backfill_idle_share);
  EXPECT_EQ(config->limits.parse_depth, defaults.parse_depth);
  EXPECT_GE(std::count(limits.begin(), limits.end(), '\n'), 19);
}

class Files : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "config_test.XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name, std::ios::binary) << text;
    return (directory_ / name).string();
  }
  std::filesystem::path directory_;
};

TEST_F(Files, LoadReadsAFileAndItsPasswordBesideIt) {
  Write("control.password", "s3cret\r\nmore\n");
  const std::string path = Write("crossfade.yaml",
                                 "listen: [{address: \"127.0.0.1:1\", backend: p}]\nbackends: {p: {address: \"h:1\"}}\n"
                                 "control: {backend: p, user: u, password_file: control.password}\n");
  const auto config = Load(path);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->path, path);
  const auto password = ReadControlPassword(*config);
  ASSERT_TRUE(password.ok()) << password.status();
  EXPECT_EQ(*password, "s3cret");
}

TEST_F(Files, MissingFilesAreNamed) {
  const auto config = Load((directory_ / "none.yaml").string());
  EXPECT_EQ(config.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(config.status().message()), HasSubstr("none.yaml: cannot be read"));
  EXPECT_EQ(Load(directory_.string()).status().code(), absl::StatusCode::kNotFound);
  Config plain;
  EXPECT_EQ(*ReadControlPassword(plain), "");
  plain.path = (directory_ / "crossfade.yaml").string();
  plain.control.password_file = "gone";
  EXPECT_EQ(ReadControlPassword(plain).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Load(Write("huge.yaml", std::string(5u << 20, '#'))).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace crossfade::config
