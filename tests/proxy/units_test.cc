// SPDX-License-Identifier: Apache-2.0
// The parts of the proxy that need no socket.
#include <gtest/gtest.h>

#include "proxy/address.h"
#include "proxy/buffers.h"
#include "proxy/key_pool.h"
#include "proxy/snapshot_store.h"
#include "proxy/sql_words.h"

namespace crossfade::proxy {
namespace {

TEST(SqlWords, WhatMayChangeTheFacts) {
  for (const char* sql : {"SET NAMES gbk", "set sql_mode=''", "SET SESSION character_set_client=latin1", "use zoo", "CALL p()",
                          "EXECUTE s", "/*!SET NAMES gbk*/", "select 1; set names gbk", "SET @@foreign_key_checks=0",
                          "BEGIN NOT ATOMIC SET sql_mode=''; END", "DROP DATABASE zoo", "SET STATEMENT max_statement_time=1 FOR SELECT 1",
                          "\xEF\xBB\xBFset names utf8", "(select 1)", ""}) {
    EXPECT_TRUE(MayChangeFacts(sql)) << sql;
  }
  for (const char* sql : {"SELECT 1", " select ';'", "INSERT INTO t VALUES (1)", "SET autocommit=0", "SET TRANSACTION READ ONLY",
                          "begin", "COMMIT", "UPDATE t SET a=1", "SET @a = 5", "PREPARE s FROM 'SET NAMES gbk'"}) {
    EXPECT_FALSE(MayChangeFacts(sql)) << sql;
  }
}

// Every place of a word in a text, over the edges of the blocks that are scanned at once; texts no longer than the word too.
TEST(SqlWords, AtEveryPlace) {
  for (size_t before = 0; before < 40; ++before) {
    for (size_t after = 0; after < 40; ++after) {
      const std::string left(before, ' '), right(after, '(');
      for (const char* word : {"prepare", "PREPARE", "pRePaRe"}) EXPECT_TRUE(ContainsWord(left + word + right, "prepare")) << before << " " << after;
      EXPECT_TRUE(ContainsWord(left + "pr prepar prepare" + right, "prepare"));
      EXPECT_FALSE(ContainsWord(left + "prepared" + right, "prepare"));
      EXPECT_FALSE(ContainsWord(left + "_prepare" + right, "prepare"));
      EXPECT_FALSE(ContainsWord(left + "prepar" + right, "prepare"));
      EXPECT_FALSE(ContainsWord(left + right, "prepare"));
      EXPECT_TRUE(MayChangeFacts("SET " + left + "SQL_mode" + right));
      EXPECT_FALSE(MayChangeFacts("SET " + left + "SQL-mode" + right));
    }
  }
}

TEST(SqlWords, LoadLocal) {
  EXPECT_TRUE(HasLoadLocal("LOAD DATA LOCAL INFILE 'x' INTO TABLE t"));
  EXPECT_TRUE(HasLoadLocal("select 1; load/**/data/**/local infile 'x' into table t"));
  EXPECT_FALSE(HasLoadLocal("select payload, localtime from t"));
  EXPECT_FALSE(HasLoadLocal("LOAD DATA INFILE 'x' INTO TABLE t"));
}

TEST(Buffers, MemoryComesWithBytesAndGoesWithThem) {
  ChunkPool pool;
  Buffer buffer(&pool);
  std::string expected;
  size_t room = 0;
  for (int i = 0; i < 2000; ++i) {
    char* memory = buffer.Prepare(&room);
    ASSERT_GT(room, 0u);
    const size_t n = std::min<size_t>(room, 977);
    std::memset(memory, 'a' + i % 26, n);
    expected.append(n, static_cast<char>('a' + i % 26));
    buffer.Commit(n);
    if (i % 3 == 0) {
      buffer.Consume(500);
      expected.erase(0, 500);
    }
    ASSERT_EQ(buffer.data(), expected);
  }
  buffer.Reserve(3'000'000);
  EXPECT_EQ(buffer.data(), expected);
  buffer.Consume(buffer.size());
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.data().data(), nullptr);
}

TEST(SnapshotStore, AnOldSnapshotLivesAsLongAsItsPins) {
  SnapshotStore store;
  const auto publish = [&](uint64_t epoch) {
    auto snapshot = std::make_shared<rewrite::Snapshot>();
    snapshot->epoch = epoch;
    store.Publish(snapshot, true);
  };
  publish(5);
  EXPECT_EQ(store.oldest(), 5u);
  SnapshotStore::Entry* five = store.Pin();
  SnapshotStore::Entry* again = store.Pin();
  publish(6);
  SnapshotStore::Entry* six = store.Pin();
  publish(7);
  EXPECT_EQ(store.newest(), 7u);
  EXPECT_EQ(store.oldest(), 5u);
  EXPECT_EQ(five->snapshot->epoch, 5u);
  store.Unpin(five);
  EXPECT_EQ(store.oldest(), 5u);
  store.Unpin(again);
  EXPECT_EQ(store.oldest(), 6u);
  store.Unpin(six);
  EXPECT_EQ(store.oldest(), 7u);
}

class KeyPoolTest : public testing::Test {
 protected:
  KeyPoolTest() : pool(10, [this](const KeyPool::Key& key, uint64_t count) { orders.emplace_back(key, count); }) {
    config::Migration spec;
    spec.name = "m";
    config::KeyMigration key;
    key.table = "a";
    spec.keys.push_back(key);
    key.table = "b";
    spec.keys.push_back(key);
    rewrite::MigrationState state;
    state.spec = spec;
    snapshot.migrations.push_back(state);
  }
  KeyPool pool;
  std::vector<std::pair<KeyPool::Key, uint64_t>> orders;
  rewrite::Snapshot snapshot;
  std::vector<uint64_t> keys;
};

TEST_F(KeyPoolTest, OrdersAheadAndNeverGivesAKeyTwice) {
  const std::vector<rewrite::KeySlot> one = {{0, 0}};
  EXPECT_FALSE(pool.Take(snapshot, one, &keys));
  EXPECT_FALSE(pool.Take(snapshot, one, &keys));
  ASSERT_EQ(orders.size(), 1u) << "one order is enough";
  pool.Add({"m", "a"}, 101, 10, 10);
  std::vector<uint64_t> all;
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(pool.Take(snapshot, one, &keys));
    all.push_back(keys[0]);
  }
  EXPECT_EQ(orders.size(), 2u) << "half a block left: the next is on order";
  pool.Add({"m", "a"}, 501, 10, 10);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(pool.Take(snapshot, one, &keys));
    all.push_back(keys[0]);
  }
  EXPECT_EQ(all, (std::vector<uint64_t>{101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 501, 502, 503, 504, 505}));
}

TEST_F(KeyPoolTest, RangesAreWholeAndWhatIsLeftOfThemComesBack) {
  const std::vector<rewrite::KeySlot> range = {{0, 0, rewrite::KeySlot::kFirst}, {0, 0, rewrite::KeySlot::kLast}}, one = {{0, 0}};
  EXPECT_FALSE(pool.Take(snapshot, range, &keys, 20));
  ASSERT_EQ(orders.size(), 1u);
  EXPECT_EQ(orders[0].second, 20u);
  pool.Add({"m", "a"}, 1, 10, 10);
  EXPECT_FALSE(pool.Take(snapshot, range, &keys, 20)) << "there are twenty in no one piece";
  pool.Add({"m", "a"}, 101, 30, 30);
  ASSERT_TRUE(pool.Take(snapshot, range, &keys, 20));
  EXPECT_EQ(keys, (std::vector<uint64_t>{101, 120}));
  pool.GiveBack(snapshot, range[0], 104, 121);
  ASSERT_TRUE(pool.Take(snapshot, range, &keys, 27));
  EXPECT_EQ(keys, (std::vector<uint64_t>{104, 130})) << "what came back has grown together with the rest";
  ASSERT_TRUE(pool.Take(snapshot, one, &keys));
  EXPECT_EQ(keys[0], 1u);
}

TEST_F(KeyPoolTest, AStatementWithMoreRowsThanABlock) {
  const std::vector<rewrite::KeySlot> many(25, {0, 1});
  EXPECT_FALSE(pool.Take(snapshot, many, &keys));
  ASSERT_EQ(orders.size(), 1u);
  EXPECT_EQ(orders[0].first.second, "b");
  EXPECT_GE(orders[0].second, 25u);
  pool.Add({"m", "b"}, 1, orders[0].second, orders[0].second);
  ASSERT_TRUE(pool.Take(snapshot, many, &keys));
  EXPECT_EQ(keys.size(), 25u);
  EXPECT_EQ(keys.back(), 25u);
}

TEST_F(KeyPoolTest, AFailedOrderIsMadeAgain) {
  const std::vector<rewrite::KeySlot> one = {{0, 0}};
  EXPECT_FALSE(pool.Take(snapshot, one, &keys));
  pool.OrderFailed({"m", "a"}, "");
  EXPECT_FALSE(pool.Take(snapshot, one, &keys));
  EXPECT_EQ(orders.size(), 2u);
}

TEST(AddressTest, Forms) {
  EXPECT_EQ(ParseAddress("127.0.0.1:3306")->host, "127.0.0.1");
  EXPECT_EQ(ParseAddress("[::1]:3306")->host, "::1");
  EXPECT_EQ(ParseAddress("[::1]:3306")->port, "3306");
  EXPECT_TRUE(ParseAddress("unix:/tmp/s")->is_unix);
  for (const char* bad : {"", "host", "host:", ":3306", "unix:"}) EXPECT_FALSE(ParseAddress(bad).ok()) << bad;
  EXPECT_FALSE(ParseAddress("unix:" + std::string(200, 'x')).ok());
}

}  // namespace
}  // namespace crossfade::proxy
