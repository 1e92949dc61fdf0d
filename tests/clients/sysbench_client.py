# SPDX-License-Identifier: Apache-2.0
# sysbench with its mysql driver: transactions of reads and writes, with and without prepared statements, and data that is
# the same in the end, because one thread with a fixed seed does a fixed number of them.
import os
import subprocess
import zlib

common = ["sysbench", "--db-driver=mysql", "--mysql-host=127.0.0.1", "--mysql-port=" + os.environ["CF_PORT"], "--mysql-user=u_empty",
          "--mysql-db=other", "--tables=2", "--table-size=500", "--rand-seed=7", "--verbosity=3"]


def run(*arguments):
    result = subprocess.run([*common, *arguments], capture_output=True, text=True, timeout=120)
    print(*arguments, result.returncode)
    for line in (result.stdout + result.stderr).splitlines():
        if any(word in line for word in ("read:", "write:", "other:", "total:", "transactions:", "queries:", "errors:", "reconnects:", "FATAL", "Creating", "Inserting", "Dropping")):
            print(" ", line.split("(")[0].rstrip())


def rows(table):
    sql = f"SELECT * FROM {table} ORDER BY id"
    out = subprocess.run(["mariadb", "--no-defaults", "--skip-ssl", "-h127.0.0.1", "-P" + os.environ["CF_PORT"], "-uu_empty", "-N", "-e", sql, "other"], capture_output=True).stdout
    print(table, len(out.splitlines()), zlib.crc32(out))


for script in ("oltp_read_write", "oltp_insert", "oltp_point_select", "bulk_insert", "oltp_delete", "oltp_update_index"):
    for mode in ("auto", "disable"):
        run(script, "prepare")
        extra = [] if script == "bulk_insert" else ["--db-ps-mode=" + mode]
        run(script, "--threads=1", "--events=300", "--time=0", *extra, "run")
        if script != "bulk_insert":
            rows("sbtest1")
        run(script, "cleanup")
# Several at once: how many of what there were is the same, their order is not.
run("oltp_read_write", "prepare")
run("oltp_read_write", "--threads=8", "--events=400", "--time=0", "--skip_trx=on", "--range_selects=off", "run")
run("oltp_read_write", "cleanup")
print("end")
