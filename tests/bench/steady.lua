-- SPDX-License-Identifier: Apache-2.0
-- sysbench script of a steady application beside a copying tool (tests/bench/big): one event is a transaction of two reads and
-- two writes of one row each, of which one changes the column that is copied. It ends when the file --stop is there.
sysbench.cmdline.options = { rows = {"rows of the table", 10000000}, stop = {"the file that ends the run", ""} }

function thread_init()
   con = sysbench.sql.driver():connect()
end

function thread_done()
   con:disconnect()
end

local function any()
   return sysbench.rand.uniform(1, sysbench.opt.rows) - 1
end

function event()
   local file = io.open(sysbench.opt.stop)
   if file then
      file:close()
      return true
   end
   con:query("BEGIN")
   con:query("SELECT k, c FROM t WHERE id = " .. any())
   con:query("SELECT pad FROM t WHERE id = " .. any())
   con:query("UPDATE t SET pad = '" .. string.format("%060d", any()) .. "' WHERE id = " .. any())
   con:query("UPDATE t SET c = '" .. string.format("%030d%030d", any(), any()) .. "' WHERE id = " .. any())
   con:query("COMMIT")
end
