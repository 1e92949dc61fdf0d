// SPDX-License-Identifier: Apache-2.0
// The random workload: a grammar over the statements an application sends to migrating tables, with values that
// hit, miss, collide, are NULL, too long or of the wrong type. Depends on the seed and on Mode alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/integration/twin/random.h"
#include "tests/integration/twin/schema.h"
#include "tests/integration/twin/statement.h"

namespace crossfade::twin {

// What the phase lets an application do.
struct Mode {
  servers::Engine engine = servers::Engine::kMariaDb;
  bool both_sides = false;   // dual_write and later: some shapes are refused
  bool either_key = false;   // verify and later: numbers find by the new key
  bool new_cohort = false;   // reads show the new key
  bool retired = false;      // the old references are gone
};

class Generator {
 public:
  Generator(const std::vector<Schema>& schemas, uint64_t seed) : schemas_(schemas), random_(seed) {}

  void set_mode(const Mode& mode) { mode_ = mode; }
  // Rows there are now, so that the tables neither empty nor grow without end.
  void set_rows(size_t schema, uint64_t parents, uint64_t children) { rows_[schema] = {parents, children}; }
  void set_last_serial(int64_t serial) { last_serial_ = serial; }

  Statement Write(size_t schema, const Lexis& lexis);
  Statement Read(size_t schema, const Lexis& lexis);  // never locks
  Statement LockingRead(size_t schema, const Lexis& lexis);
  Random& random() { return random_; }

 private:
  // draft.cc: pieces
  void Begin(size_t schema, const Lexis& lexis, const std::string& label);
  Statement Finish();
  void T(std::string_view text);
  void V(Value value);
  std::string Id(const std::string& name);
  std::string TableName(const Table& table);
  std::string OneKey();
  Value OldKey();
  Value KeyValue(bool number_allowed);
  Value ValueFor(const Column& column);
  bool Expression(const Column& column);  // a value, or something computed: true for a computed key
  void KeyComparison(const Column& column, const std::string& prefix);
  void Condition(const Table& table, const std::string& alias);
  void Where(const Table& table, const std::string& alias);
  std::string OrderByKey(const Table& table, const std::string& alias);
  bool KeyOrderHolds(const Table& table) const;  // the order by key is the same for the new cohort
  bool HalfDone(const Table& table) const;       // IGNORE of it is half done: see writes.cc
  bool Plain(const Column& column) const;        // its value is the same on both sides
  std::vector<const Column*> SomeColumns(const Table& table, bool with_key);

  // writes.cc
  void InsertInto(const Table& table, bool replace);
  void Given(const Column& column);
  void InsertRows(const std::vector<const Column*>& columns);
  void OnDuplicate(const Table& table);
  void InsertSelect(bool replace);
  void Update(const Table& table);
  bool Set(const Table& table, const std::string& alias, bool one_row);
  void Delete(const Table& table);
  void JoinWrite();

  // reads.cc
  size_t Items(const Table& table, const std::string& alias, size_t first);
  void SelectOne(const Table& table);
  void SelectJoin();
  void SelectAggregate();
  void SelectSubquery();
  void SelectUnion();
  void SelectWrong();

  const std::vector<Schema>& schemas_;
  Random random_;
  Mode mode_;
  struct Rows { uint64_t parents = 200, children = 500; } rows_[8];
  int64_t last_serial_ = 500;

  // the statement under way
  const Schema* schema_ = nullptr;
  Lexis lexis_;
  Statement statement_;
  std::vector<std::string> given_;  // keys that the statement has given to rows
  bool lower_ = false, airy_ = false;
};

}  // namespace crossfade::twin
