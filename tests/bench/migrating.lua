-- SPDX-License-Identifier: Apache-2.0
-- sysbench script of statements on tables under migration (see bench_peers.py for the tables). One event:
--   --op=write     a parent and a child are inserted, a child gets another parent: three statements
--   --op=either    a parent is looked up by its old key, and one by its new key (old: by another old key)
--   --op=steps     a child gets another parent by an UPDATE of several tables, made of an expression: in steps (strategy B)
--   --op=read      a read that differs by cohort
--   --op=shapes    one of --shapes lookups of different shape
-- --prepared=1: as prepared statements (write alone). --new=1: the new keys are there.
sysbench.cmdline.options = {
   op = {"what one event does", "write"}, rows = {"rows of the parent table", 10000}, shapes = {"of --op=shapes", 1},
   prepared = {"1: prepared statements", 0}, new = {"1: there are new keys", 0},
}

function thread_init()
   drv = sysbench.sql.driver()
   con = drv:connect()
   thread = sysbench.tid
   made = 0
   salt = sysbench.rand.uniform(1, 2000000000)
   if sysbench.opt.prepared == 1 then
      local t = sysbench.sql.type
      parent = con:prepare("INSERT INTO caves (id, name) VALUES (?, ?)")
      p_id, p_name = parent:bind_create(t.CHAR, 36), parent:bind_create(t.CHAR, 40)
      parent:bind_param(p_id, p_name)
      child = con:prepare("INSERT INTO bears (cave, name, age) VALUES (?, ?, ?)")
      c_cave, c_name, c_age = child:bind_create(t.CHAR, 36), child:bind_create(t.CHAR, 40), child:bind_create(t.INT)
      child:bind_param(c_cave, c_name, c_age)
      move = con:prepare("UPDATE bears SET cave = ? WHERE id = ?")
      m_cave, m_id = move:bind_create(t.CHAR, 36), move:bind_create(t.INT)
      move:bind_param(m_cave, m_id)
   end
end

function thread_done()
   con:disconnect()
end

local function old_key(n)
   return string.format("00000000-0000-4000-8000-%012d", n)
end

local function any()
   return old_key(sysbench.rand.uniform(1, sysbench.opt.rows))
end

local function write()
   made = made + 1
   local fresh = string.format("%08x-%04x-4000-9000-%012d", salt, thread, made)
   local bear = sysbench.rand.uniform(1, sysbench.opt.rows)
   if sysbench.opt.prepared == 1 then
      p_id:set(fresh) p_name:set("den") parent:execute()
      c_cave:set(fresh) c_name:set("Bruno") c_age:set(7) child:execute()
      m_cave:set(any()) m_id:set(bear) move:execute()
   else
      con:query("INSERT INTO caves (id, name) VALUES ('" .. fresh .. "', 'den')")
      con:query("INSERT INTO bears (cave, name, age) VALUES ('" .. fresh .. "', 'Bruno', 7)")
      con:query("UPDATE bears SET cave = '" .. any() .. "' WHERE id = " .. bear)
   end
end

local function either()
   con:query("SELECT name FROM caves WHERE id = '" .. any() .. "'")
   if sysbench.opt.new == 1 then
      con:query("SELECT name FROM caves WHERE id = " .. sysbench.rand.uniform(1, sysbench.opt.rows))
   else
      con:query("SELECT name FROM caves WHERE id = '" .. any() .. "'")
   end
end

local function steps()
   con:query("UPDATE bears AS b JOIN caves AS c ON c.id = b.cave SET b.cave = IF(b.age > 0, c.id, b.cave), b.age = b.age + 1 WHERE b.id = "
             .. sysbench.rand.uniform(1, sysbench.opt.rows))
end

local function read()
   con:query("SELECT b.name, b.age, c.name FROM bears AS b JOIN caves AS c ON c.id = b.cave WHERE b.cave = '" .. any() .. "'")
end

local function shapes()
   con:query("SELECT name AS n" .. sysbench.rand.uniform(1, sysbench.opt.shapes) .. " FROM caves WHERE id = '" .. any() .. "'")
end

function event()
   if sysbench.opt.op == "write" then write()
   elseif sysbench.opt.op == "either" then either()
   elseif sysbench.opt.op == "steps" then steps()
   elseif sysbench.opt.op == "read" then read()
   else shapes() end
end
