# SPDX-License-Identifier: Apache-2.0
# mysqldump / mariadb-dump (the argument: mariadb or mysql) of a schema with views, triggers, routines and events, its
# load into another schema, and mysqlimport from tab-separated files.
import os
import subprocess
import sys

sys.argv = [sys.argv[0], sys.argv[1]]
import dump_tools as tools  # noqa: E402

DIR, ENGINE = os.environ["CF_DIR"], os.environ["CF_ENGINE"]
tools.run("mysql", [], input=open(tools.fixture.HERE + "/store.sql", encoding="utf-8").read())
dump = ["--hex-blob", "--triggers", "--routines", "--events", "--skip-dump-date", "--tz-utc", "--no-tablespaces", "--default-character-set=utf8mb4"]
if not tools.OURS:
    dump += ["--set-gtid-purged=OFF", "--column-statistics=0"]
for more in (["--single-transaction", "--quick"], ["--lock-tables", "--extended-insert=FALSE", "--complete-insert"], ["--xml", "--skip-lock-tables"],
             ["--no-data", "--skip-lock-tables"], ["--where=id < 4", "--skip-lock-tables", "--order-by-primary", "--replace"]):
    text = tools.run("mysqldump", dump + more + ["store"])
    for line in text.splitlines():
        print(" ", line)
    if more[0] == "--single-transaction":
        kept = text
for line in tools.run("mysqldump", dump + ["--single-transaction", "--no-create-info", "--skip-triggers", "shop", "kinds", "wares"]).splitlines():
    print(" ", line)
tools.run("mysql", ["-e", "CREATE DATABASE copied"])
tools.run("mysql", ["copied"], input=kept)
again = tools.run("mysqldump", dump + ["--single-transaction", "--quick", "copied"])
print("copied equals", again.replace("`copied`", "`store`").replace("Database: copied", "Database: store") == kept)
out = DIR + "/tab"
os.makedirs(out, exist_ok=True)
os.chmod(out, 0o777)
for name in os.listdir(out):
    os.unlink(os.path.join(out, name))
tools.run("mysqldump", ["--tab=" + out, "--no-tablespaces", "--skip-lock-tables", "--default-character-set=utf8mb4"] + dump[8:] + ["store", "customer", "parcel"])
print(sorted(os.listdir(out)))
tools.run("mysql", ["copied", "-e", "SET foreign_key_checks = 0; TRUNCATE parcel; DELETE FROM customer; DROP TRIGGER parcel_added"])
print(tools.run("mysqlimport", ["--local", "--verbose", "--default-character-set=utf8mb4", "copied", out + "/customer.txt", out + "/parcel.txt"]))
print(tools.run("mysql", ["-t", "copied", "-e", "SELECT * FROM customer; SELECT * FROM parcel; SELECT * FROM heavy; CHECKSUM TABLE customer, parcel"]))
tools.run("mysql", ["-e", "DROP DATABASE copied; DROP DATABASE store"])
print("end")
