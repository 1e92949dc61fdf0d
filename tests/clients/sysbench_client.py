# SPDX-License-Identifier: Apache-2.0
# sysbench with its mysql driver: transactions of reads and writes, with and without prepared statements, and as many
# statements of each kind and rows in the end, because one thread does a fixed number of them.
import os
import subprocess

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
    print(table, len(out.splitlines()))


for script in ("oltp_read_write", "oltp_point_select", "bulk_insert", "oltp_delete", "oltp_update_index"):
    for mode in ("auto", "disable"):
        run(script, "prepare")
        extra = [] if script == "bulk_insert" else ["--db-ps-mode=" + mode]
        run(script, "--threads=1", "--events=300", "--time=0", *extra, "run")
        if script != "bulk_insert":
            rows("sbtest1")
        run(script, "cleanup")
# Several at once, of single statements, which cannot deadlock.
run("oltp_update_non_index", "prepare")
run("oltp_update_non_index", "--threads=8", "--events=2000", "--time=0", "run")
run("oltp_update_non_index", "cleanup")
print("end")
