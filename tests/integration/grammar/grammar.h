// SPDX-License-Identifier: Apache-2.0
// The grammar: random statements over whatever schema there is, with values that hit, miss, collide and are NULL. What two servers
// need not agree on (the order of rows of one rank, which row of several an UPDATE fails at) is left out or marked.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/integration/grammar/model.h"
#include "tests/integration/grammar/statement.h"

namespace crossfade::grammar {

// What the phase lets an application do.
struct Mode {
  bool both_sides = false, either_key = false, new_cohort = false, retired = false;
};

// A file with these lines, which both servers can read; named after what is in it, gone with the process. See files.cc.
std::string KeepFile(const std::string& lines);

class Grammar {
 public:
  Grammar(const Model& model, uint64_t seed) : model_(model), random_(seed) {}
  void set_mode(const Mode& mode) { mode_ = mode; }

  Statement Write(const twin::Lexis& lexis, bool strict);
  Statement Read(const twin::Lexis& lexis);
  Statement LockingRead(const twin::Lexis& lexis);
  Random& random() { return random_; }

 private:
  // grammar.cc: pieces
  void Begin(const twin::Lexis& lexis, const std::string& label);
  void T(std::string_view text) { statement_.pieces.push_back({std::string(text), std::nullopt, false}); }
  void V(Value value);
  std::string Id(const std::string& name);
  std::string Name(const Table& table);
  const Table& AnyTable();
  const Table* WithReference();
  std::vector<const Column*> Columns(const Table& table, Role role) const;
  Value KeyValue(int key, bool may_be_new);
  Value OldKey(int key);
  Value ValueFor(const Table& table, const Column& column);
  Value U();
  bool OldGone(int key) const;         // old values of the key are not taken any more
  bool Changes(const Column& column) const;  // reads as another value on the new side, for the new cohort
  bool Hidden(const Column& column) const;   // an old column that retire refuses
  // A key, or a reference without a foreign key, of which '' (what a NULL is stored as, where the mode is not strict) would not come back, so that verification tells of it: see docs/rewriting.md.
  bool NeverEmpty(const Column& column) const;
  Item Of(const Column& column) const;
  void MayRefuse(const char* why) { if (statement_.may_refuse.empty()) statement_.may_refuse = why; }

  // conditions.cc
  void KeyComparison(const Column& column, const std::string& prefix);
  void PlainComparison(const Table& table, const Column& column, const std::string& prefix);
  void Condition(const Table& table, const std::string& alias);
  void Where(const Table& table, const std::string& alias);
  void OneRow(const Table& table, const std::string& alias);

  // writes.cc
  void Insert(const Table& table, bool replace);
  void InsertSelect(const Table& table, bool replace);
  void OnDuplicate(const Table& table, bool aliased);
  void Given(const Table& table, const Column& column);
  void Update(const Table& table);
  void Assignment(const Table& table, const Column& column, const std::string& alias, bool one_row);
  void Delete(const Table& table);
  void JoinWrite();
  void JoinAssign(const Table& child, const Table& parent, const std::string& on, const Column& reference);
  void DerivedAssign(const Table& child, const Column& reference);
  std::string Computed(const Column& column, const std::string& other);
  void Load(const Table& table);

  // reads.cc
  void Items(const Table& table, const std::string& alias, bool may_compute);
  void SelectOne(const Table& table);
  void SelectJoin();
  void SelectAggregate();
  void SelectSubquery();
  void SelectSet();
  void SelectWindow();
  void SelectOther();

  const Model& model_;
  Random random_;
  Mode mode_;
  twin::Lexis lexis_;
  bool strict_ = true;
  Statement statement_;
  int next_u_ = 1000;
};

}  // namespace crossfade::grammar
