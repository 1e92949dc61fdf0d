// SPDX-License-Identifier: Apache-2.0
// See commands.h.
#include "tests/integration/wire/commands.h"

namespace crossfade::wire {
namespace {

using protocol::Writer;
using Compare = Exchange::Compare;

std::string Command(uint8_t command, std::string_view rest = {}) {
  std::string payload(1, static_cast<char>(command));
  return Frame(payload.append(rest));
}
std::string Number(uint8_t command, uint32_t value, std::string_view rest = {}) {
  Writer writer;
  writer.U8(command);
  writer.U32(value);
  writer.Bytes(rest);
  return Frame(writer.out());
}
std::string Prepare(std::string_view sql) { return Command(22, sql); }

// COM_STMT_EXECUTE with parameters of one type each: 8 (a number) or 253 (a string).
struct Value {
  uint8_t type = 6;  // NULL
  uint64_t number = 0;
  std::string text;
  bool in_pieces = false;
};
Value N(uint64_t number) { return {8, number, "", false}; }
Value S(std::string text) { return {253, 0, std::move(text), false}; }
Value Pieces() { return {252, 0, "", true}; }

std::string Execute(const RawClient& client, uint32_t id, const std::vector<Value>& values, uint8_t flags = 0) {
  Writer writer;
  writer.U8(23);
  writer.U32(id);
  const bool attributes = (client.capabilities() & protocol::kClientQueryAttributes) != 0;  // a count, and names
  writer.U8(flags);
  writer.U32(1);
  if (!values.empty()) {
    if (attributes) writer.Lenenc(values.size());
    std::string nulls((values.size() + 7) / 8, '\0');
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i].type == 6) nulls[i / 8] = static_cast<char>(nulls[i / 8] | 1 << (i % 8));
    }
    writer.Bytes(nulls);
    writer.U8(1);
    for (const Value& value : values) {
      writer.U8(value.type);
      writer.U8(0);
      if (attributes) writer.LenencString("");
    }
    for (const Value& value : values) {
      if (value.type == 8) writer.U64(value.number);
      if (value.type == 253) writer.LenencString(value.text);
    }
  }
  return Frame(writer.out());
}

// COM_STMT_BULK_EXECUTE: the types of the first row, the values of all.
struct Given { uint8_t indicator = 0; Value value; };
using BulkRow = std::vector<Given>;
Given G(Value value) { return {0, std::move(value)}; }
Given None(uint8_t type) { return {1, {type}}; }       // NULL
Given Default(uint8_t type) { return {2, {type}}; }
Given Ignore(uint8_t type) { return {3, {type}}; }

std::string Bulk(uint32_t id, const std::vector<BulkRow>& rows, uint16_t flags = 128) {
  Writer writer;
  writer.U8(250);
  writer.U32(id);
  writer.U16(flags);
  if ((flags & 128) != 0 && !rows.empty()) {
    for (const Given& given : rows[0]) writer.U8(given.value.type), writer.U8(0);
  }
  for (const BulkRow& row : rows) {
    for (const Given& given : row) {
      writer.U8(given.indicator);
      if (given.indicator != 0) continue;
      if (given.value.type == 8) writer.U64(given.value.number);
      if (given.value.type == 253) writer.LenencString(given.value.text);
    }
  }
  return Frame(writer.out());
}

std::string LongData(uint32_t id, uint16_t param, std::string_view data) {
  Writer writer;
  writer.U16(param);
  writer.Bytes(data);
  return Number(24, id, writer.out());
}

void Add(std::vector<Exchange>* all, const std::string& name, std::string bytes, Compare compare = Compare::kBytes) {
  all->push_back({name, [bytes](const RawClient&, uint32_t) { return bytes; }, compare, true, true});
}
void Sql(std::vector<Exchange>* all, const char* sql) {
  all->push_back({sql, [sql](const RawClient& client, uint32_t) { return client.Query(sql); }, Compare::kBytes, true, true});
}
using Bytes = std::function<std::string(const RawClient&, uint32_t)>;
void Make(std::vector<Exchange>* all, const std::string& name, Bytes bytes, bool mariadb = true, bool mysql = true) {
  all->push_back({name, std::move(bytes), Compare::kBytes, mariadb, mysql});
}
void Prepared(std::vector<Exchange>* all, const std::string& name, const std::string& sql, Bytes bytes) {
  all->push_back({name, std::move(bytes), Compare::kBytes, true, true, sql});
}

void Statements(std::vector<Exchange>* all) {
  struct Case { const char* name; const char* sql; std::vector<Value> values; };
  for (const Case& each : std::vector<Case>{
           {"nothing", "select 1", {}},
           {"plain rows", "select * from Plain where a >= ? order by a", {N(1)}},
           {"no rows", "select a from Plain where b = ?", {S("none")}},
           {"an insert", "insert into Plain (a, b) values (?, ?)", {N(9), S("nine")}},
           {"a duplicate", "insert into Plain (a, b) values (?, ?)", {N(1), S("again")}},
           {"migrating rows", "select id, name from Caves where id = ?", {S("c1")}},
           {"migrating rows by NULL", "select id from Bears where caveId <=> ?", {Value()}},
           {"a migrating join", "select b.name, c.name from Bears b join Caves c on c.id = b.caveId where b.id > ? order by b.id", {N(0)}},
           {"a migrating insert", "insert into Caves (id, name) values (?, ?)", {S("c9"), S("Nine")}},
           {"a migrating reference", "insert into Bears (id, caveId, name) values (?, ?, 'Pip')", {N(9), S("c1")}},
           {"a migrating reference to nothing", "insert into Bears (id, caveId, name) values (?, ?, 'Pip')", {N(9), S("zz")}},
           {"a migrating update", "update Bears set caveId = ? where id = ?", {S("c2"), N(1)}},
           {"a migrating update of nothing", "update Bears set caveId = ? where id = ?", {S("c1"), N(1)}},
           {"a migrating delete", "delete from Bears where caveId = ?", {S("c2")}},
       }) {
    const std::string sql = each.sql, name = std::string("prepared: ") + each.name;
    const auto values = each.values;
    Prepared(all, name + ", then executed", sql, [=](const RawClient& c, uint32_t id) { return Execute(c, id, values); });
    Make(all, name + ", executed as the last one", [=](const RawClient& c, uint32_t) { return Prepare(sql) + Execute(c, 0xFFFFFFFF, values); }, true, false);
    Prepared(all, name + ", twice, reset, closed, gone", sql, [=](const RawClient& c, uint32_t id) {
      return Execute(c, id, values) + Execute(c, id, values) + Number(26, id) + Number(25, id) + Execute(c, id, values);
    });
    Prepared(all, name + ", with a cursor", sql, [=](const RawClient& c, uint32_t id) {
      Writer two, many;
      two.U32(2);
      many.U32(1000);
      return Execute(c, id, values, 1) + Number(28, id, two.out()) + Number(28, id, two.out()) + Number(28, id, many.out()) + Number(28, id, many.out());
    });
    Prepared(all, name + ", a cursor reset, opened again and closed", sql, [=](const RawClient& c, uint32_t id) {
      Writer one;
      one.U32(1);
      return Execute(c, id, values, 1) + Number(28, id, one.out()) + Number(26, id) + Number(28, id, one.out()) +
             Execute(c, id, values, 1) + Number(28, id, one.out()) + Number(25, id) + Number(28, id, one.out());
    });
  }
  Prepared(all, "parameters in pieces", "insert into Plain values (?, ?, ?)", [](const RawClient& c, uint32_t id) {
    return LongData(id, 2, std::string(3000, 'p')) + LongData(id, 2, "q") + LongData(id, 1, "piece") +
           Execute(c, id, {N(20), Pieces(), Pieces()}) + c.Query("select * from Plain where a = 20");
  });
  const std::string bear = "insert into Bears (id, caveId, name) values (?, ?, ?)";
  Prepared(all, "parameters in pieces on a migrating table", bear, [](const RawClient& c, uint32_t id) {
    return LongData(id, 1, "c") + LongData(id, 1, "2") + LongData(id, 2, "Pi") + LongData(id, 2, "p") +
           Execute(c, id, {N(20), Pieces(), Pieces()}) + c.Query("select * from Bears where id = 20");
  });
  Prepared(all, "pieces reset", bear, [](const RawClient& c, uint32_t id) {
    return LongData(id, 1, "zz") + Number(26, id) + LongData(id, 1, "c1") + Execute(c, id, {N(21), Pieces(), S("x")}) +
           c.Query("select * from Bears where id = 21");
  });
  Make(all, "pieces of a statement that is none", [](const RawClient&, uint32_t) { return LongData(7777777, 0, "x") + Command(14); });
  Make(all, "a statement that is none", [](const RawClient& c, uint32_t) {
    return Execute(c, 7777777, {}) + Number(26, 7777777) + Number(28, 7777777, std::string("\1\0\0\0", 4)) + Number(25, 7777777);
  });
  Make(all, "the last statement where there is none", [](const RawClient& c, uint32_t) { return Execute(c, 0xFFFFFFFF, {}); }, true, false);
  Make(all, "the last statement where preparing failed", [](const RawClient& c, uint32_t) {
    return Prepare("select * from nowhere") + Execute(c, 0xFFFFFFFF, {}); }, true, false);
  Make(all, "a statement that cannot be prepared", [](const RawClient&, uint32_t) { return Prepare("select from") + Prepare("") + Prepare("select nothing from Caves"); });
  Prepared(all, "OUT parameters", "call two(?, ?, ?)", [](const RawClient& c, uint32_t id) {
    return Execute(c, id, {N(4), Value(), S("ab")}) + Execute(c, id, {N(5), N(1), S("b")}); });
  for (const std::string& rest : {std::string(), std::string("\1"), std::string("\1\0\0", 3)}) {
    Make(all, "statement commands cut short to " + std::to_string(rest.size()), [rest](const RawClient&, uint32_t) {
      return Command(26, rest) + Command(28, rest) + Command(23, rest) + Command(24, rest) + Command(25, rest); });
  }
}

void BulkAdd(std::vector<Exchange>* all, const std::string& name, const std::string& sql, std::vector<BulkRow> rows, uint16_t flags = 128) {
  all->push_back({"bulk: " + name, [=](const RawClient& c, uint32_t id) {
    return Bulk(id, rows, flags) + c.Query("select * from Bears order by id") + c.Query("select id, name from Caves order by id");
  }, Compare::kBytes, true, false, sql});
}

void Bulks(std::vector<Exchange>* all) {
  const std::string bear = "insert into Bears (id, caveId, name) values (?, ?, ?)";
  const std::vector<BulkRow> bears = {{G(N(20)), G(S("c1")), G(S("Pip"))}, {G(N(21)), G(S("c3")), None(253)}, {G(N(22)), None(253), G(S("Ada"))}};
  BulkAdd(all, "references", bear, bears);
  BulkAdd(all, "one row", bear, {bears[2]});
  BulkAdd(all, "a reference to nothing in the last row", bear, {bears[0], {G(N(21)), G(S("nowhere")), G(S("x"))}});
  BulkAdd(all, "a duplicate in the second row", bear, {bears[0], {G(N(1)), G(S("c1")), G(S("x"))}, bears[1]});
  BulkAdd(all, "defaults", bear, {{G(N(20)), G(S("c1")), Default(253)}, {G(N(21)), G(S("c2")), Ignore(253)}});
  BulkAdd(all, "IGNORE", "insert ignore into Bears (id, caveId, name) values (?, ?, ?)", {bears[0], {G(N(21)), G(S("nowhere")), G(S("x"))}, bears[1]});
  BulkAdd(all, "on duplicate key", bear + " on duplicate key update caveId = values(caveId), name = values(name)",
          {bears[0], {G(N(1)), G(S("c3")), G(S("x"))}, {G(N(2)), G(S("c2")), G(S("Ida"))}});
  BulkAdd(all, "replaced references", "replace into Bears (id, caveId, name) values (?, ?, ?)", {bears[0], {G(N(1)), G(S("c3")), G(S("x"))}});
  BulkAdd(all, "new parents", "insert into Caves (id, name) values (?, ?)", {{G(S("c7")), G(S("Seven"))}, {G(S("c8")), None(253)}, {G(S("c9")), G(S("Nine"))}});
  BulkAdd(all, "new parents, two in each row", "insert into Caves (name, id) values (?, ?), ('other', ?)",
          {{G(S("Seven")), G(S("c7")), G(S("d7"))}, {None(253), G(S("c8")), G(S("d8"))}});
  BulkAdd(all, "a parent twice", "insert into Caves (id, name) values (?, ?)", {{G(S("c7")), G(S("Seven"))}, {G(S("c1")), G(S("One"))}});
  BulkAdd(all, "an update of references", "update Bears set caveId = ? where id = ?", {{G(S("c2")), G(N(1))}, {G(S("c3")), G(N(2))}, {None(253), G(N(1))}, {G(S("c2")), G(N(99))}});
  BulkAdd(all, "an update that fails half way", "update Bears set caveId = ? where id = ?", {{G(S("c2")), G(N(1))}, {G(S("nowhere")), G(N(2))}, {G(S("c3")), G(N(1))}});
  BulkAdd(all, "an update by the key", "update Bears set name = ? where caveId = ?", {{G(S("x")), G(S("c1"))}, {Ignore(253), G(S("c2"))}});
  BulkAdd(all, "an update of parents", "update Caves set name = ? where id = ?", {{G(S("x")), G(S("c1"))}, {Default(253), G(S("c2"))}});
  BulkAdd(all, "a delete", "delete from Bears where caveId = ?", {{G(S("c1"))}, {G(S("c2"))}});
  BulkAdd(all, "a query", "select * from Bears where caveId = ?", {{G(S("c1"))}, {G(S("c2"))}});
  BulkAdd(all, "RETURNING", bear + " returning id, caveId, name", bears);
  BulkAdd(all, "flags that were not agreed on", bear, bears, 128 | 64);
  BulkAdd(all, "flags that are none", bear, bears, 128 | 4096);
  BulkAdd(all, "on a table that does not migrate", "insert into Plain (a, b) values (?, ?)", {{G(N(20)), G(S("x"))}, {G(N(21)), None(253)}});
  all->push_back({"bulk: without types, after one with them, and an execution between", [=](const RawClient& c, uint32_t id) {
    return Bulk(id, {bears[0]}) + Bulk(id, {bears[1]}, 0) + Execute(c, id, {N(23), S("c1"), S("x")}) + Bulk(id, {bears[2]}, 0) + c.Query("select * from Bears order by id");
  }, Compare::kBytes, true, false, bear});
  all->push_back({"bulk: right behind its PREPARE", [=](const RawClient& c, uint32_t) {
    return Prepare(bear) + Bulk(0xFFFFFFFF, bears) + c.Query("select * from Bears order by id");
  }, Compare::kBytes, true, false, ""});
  all->push_back({"bulk: parameters in pieces", [=](const RawClient& c, uint32_t id) {
    return LongData(id, 2, "piece") + Bulk(id, bears) + Bulk(id, bears) + c.Query("select * from Bears order by id");
  }, Compare::kBytes, true, false, bear});
  all->push_back({"bulk: cut short", [=](const RawClient&, uint32_t id) {
    return Number(250, id) + Number(250, id, std::string(1, '\0')) + Frame("\xfa") + Frame("\xfa\1\2");
  }, Compare::kBytes, true, false, bear});
  all->push_back({"bulk: no rows", [=](const RawClient& c, uint32_t id) {
    return Frame(Bulk(id, bears).substr(4, 7 + 6)) + c.Query("select * from Bears order by id");
  }, Compare::kBytes, true, false, bear});
  all->push_back({"bulk: a statement without parameters", [=](const RawClient& c, uint32_t id) {
    return Number(250, id, std::string("\x80\0", 2)) + c.Query("select * from Bears order by id");
  }, Compare::kBytes, true, false, "insert into Bears (id, caveId, name) values (20, 'c1', 'x')"});
  all->push_back({"bulk: a statement that is none", [=](const RawClient& c, uint32_t) { return Bulk(7777777, bears) + c.Query("select 1"); },
                  Compare::kBytes, true, false, ""});
}

}  // namespace

std::vector<Exchange> Exchanges() {
  std::vector<Exchange> all;
  for (const char* sql : {
           "select 1", "select * from Plain order by a", "select * from Caves order by id", "select * from Bears where caveId = 'c1'",
           "select 1; select 2; do 1; select 'three'", "select 1; select nothing; select 2", "call two(3, @b, @c)", "select @b",
           "insert into Plain values (4, 'four', null), (5, 'five', '')", "insert into Plain values (1, 'dup', null)",
           "insert into Caves (id, name) values ('c7', 'Seven')", "insert into Caves (id, name) values ('c1', 'Seven')",
           "insert into Bears values (7, 'c2', 'Zita')", "insert into Bears values (7, 'none', 'Zita')", "update Caves set name = 'x'",
           "update Bears set caveId = 'c3' where id < 3", "delete from Caves where id = 'c3'", "delete from Caves where id = 'c1'",
           "replace into Bears values (1, 'c2', 'Bruno')", "insert into Bears values (1, 'c2', 'B') on duplicate key update caveId = 'c2'",
           "select 1 from nowhere", "sel", "", "use zoo", "use nowhere", "set names latin1", "set sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
           "begin", "start transaction read only", "begin; insert into Caves (id, name) values ('c8', 'Eight'); rollback; select count(*) from Caves",
           "insert into Caves (id, name) values ('c8', 'Eight'); insert into Bears values (8, 'c8', 'Ada'); select * from Bears",
           "select b.name from Bears b left join Caves c on b.caveId = c.id order by b.id", "explain select 1", "show warnings",
           "select cast('x' as signed); show warnings", "set @x = 1", "select sleep(0)", "analyze table Plain", "alter table Plain add key (b), drop key b",
           "prepare s from 'select ? + 1'; set @a = 4; execute s using @a; deallocate prepare s", "kill 999999999", "do release_lock('x')",
       }) {
    Sql(&all, sql);
  }
  for (const char* sql : {"select * from Plain where a = 1", "insert into Bears values (11, 'c1', 'Attributed')", "sel"}) {
    Make(&all, std::string("with query attributes: ") + sql, [sql](const RawClient& c, uint32_t) {
      if ((c.capabilities() & protocol::kClientQueryAttributes) == 0) return c.Query(sql);
      Writer writer;
      writer.U8(3), writer.Lenenc(2), writer.Lenenc(1), writer.U8(2), writer.U8(1);  // two, one set; the second is NULL
      for (const char* name : {"trace", "empty"}) writer.U8(253), writer.U8(0), writer.LenencString(name);
      writer.LenencString("insert into nowhere");
      writer.Bytes(sql);
      return Frame(writer.out()) + c.Query("select * from Bears order by id");
    });
  }
  Add(&all, "INIT_DB", Command(2, "zoo") + Command(2, "nowhere") + Command(2) + Command(2, "mysql"));
  Add(&all, "FIELD_LIST", Command(4, std::string("Plain\0", 6)) + Command(4, std::string("Plain\0b%", 8)) + Command(4, std::string("nowhere\0", 8)) + Command(4, "Plain") + Command(4));
  Add(&all, "FIELD_LIST of a migrating table", Command(4, std::string("Bears\0", 6)));
  Add(&all, "STATISTICS", Command(9), Compare::kNoDigits);
  Add(&all, "PING", Command(14) + Command(14, "with more behind it"));
  Add(&all, "PROCESS_INFO", Command(10), Compare::kHead);
  Add(&all, "PROCESS_KILL", Number(12, 999999999) + Command(12) + Command(12, "\1"));
  Add(&all, "DEBUG", Command(13));
  Add(&all, "REFRESH", Command(7, "\1") + Command(7));
  Add(&all, "SET_OPTION", Command(27, std::string("\1\0", 2)) + Command(27, std::string("\0\0", 2)) + Command(27, std::string("\7\0", 2)) + Command(27, "\1") + Command(27));
  Make(&all, "SET_OPTION counts", [](const RawClient& c, uint32_t) {
    return Command(27, std::string("\1\0", 2)) + c.Query("select 1; select 2") + Command(27, std::string("\0\0", 2)) + c.Query("select 1; select 2"); });
  Make(&all, "RESET_CONNECTION", [](const RawClient& c, uint32_t) { return c.Query("set @x = 5") + Command(31) + c.Query("select @x, database()"); });
  Prepared(&all, "RESET_CONNECTION closes statements", "select 1", [](const RawClient& c, uint32_t id) { return Execute(c, id, {}) + Command(31) + Execute(c, id, {}); });
  Add(&all, "commands that are none to a client", Command(0) + Command(5, "x") + Command(6, "x") + Command(11) + Command(15) + Command(16) + Command(20) + Command(29));
  for (int command : {19, 33, 34, 35, 64, 99, 128, 200, 249, 251, 252, 253, 254, 255}) {
    Add(&all, "command " + std::to_string(command), Command(static_cast<uint8_t>(command)) + Command(static_cast<uint8_t>(command), "something"));
  }
  Add(&all, "an empty command", Frame(""));
  Add(&all, "BINLOG_DUMP without a log", Command(18, std::string("\4\0\0\0\1\0\7\0\0\0", 10)));
  Add(&all, "REGISTER_SLAVE cut short", Command(21, "\1"));
  for (const char* table : {"Plain", "Bears"}) {
    Prepared(&all, std::string("executions cut short, ") + table, std::string("select * from ") + table + (*table == 'P' ? " where b = ?" : " where name = ?"), [](const RawClient& c, uint32_t id) {
      // Without the NULL bits. (What is cut short behind them both servers read as '', and the proxy refuses.)
      return Frame(Execute(c, id, {S("value")}).substr(4, 10));
    });
  }
  Make(&all, "CHANGE_USER", [](const RawClient& c, uint32_t) {
    std::string payload("\x11root\0\0zoo\0\x2d\0", 13);
    // Without a password both engines say OK at once to the plugin they would have asked for.
    payload += c.capabilities() & protocol::kClientLongPassword ? "caching_sha2_password" : "mysql_native_password";
    payload += '\0';
    return c.Query("set @x = 5") + Frame(payload) + Frame("", 2) + c.Query("select @x, database()");
  });
  Add(&all, "QUIT", Command(1));
  Add(&all, "a wrong sequence id", Frame("\x0e") + Frame("\x0e", 3));
  Add(&all, "a query with sequence id 1", Frame("\3select 1", 1));
  Make(&all, "a statement of two frames", [](const RawClient& c, uint32_t) { return c.Query("select length('" + std::string(17'000'000, 'z') + "')"); });
  Make(&all, "a second frame out of order", [](const RawClient& c, uint32_t) {
    std::string bytes = c.Query("select length('" + std::string(17'000'000, 'z') + "')");
    bytes[4 + 0xFFFFFF + 3] = 7;
    return bytes;
  });
  Statements(&all);
  Bulks(&all);
  return all;
}

}  // namespace crossfade::wire
