# SPDX-License-Identifier: Apache-2.0
# mysqlclient (MySQLdb, on the C library).
import hashlib
import json
import os

import MySQLdb
import MySQLdb.cursors
from MySQLdb.constants import CLIENT

PORT, ENGINE, DIR = int(os.environ["CF_PORT"]), os.environ["CF_ENGINE"], os.environ["CF_DIR"]


def connect(user="u_empty", password="", tls=True, db="shop", **more):
    if tls:
        more["ssl"] = {"ca": os.environ["CF_CA"]}
    c = MySQLdb.connect(host="127.0.0.1", port=PORT, user=user, password=password, database=db, charset="utf8mb4", local_infile=1, **more)
    c.autocommit(True)
    return c


def run(c, sql, *arguments):
    print("sql", sql[:90])
    try:
        with c.cursor() as cursor:
            print(" result", cursor.execute(sql, *arguments))
            while True:
                print(" rowcount", cursor.rowcount, "insert id", cursor.lastrowid, "warnings", c.warning_count(), "info", c.info())
                for column in cursor.description or ():
                    print(" column", column)
                for row in cursor.fetchall() if cursor.description else ():
                    print(" row", row)
                if not cursor.nextset():
                    break
    except MySQLdb.Error as error:
        print(" error", type(error).__name__, error.args, c.sqlstate())


root = connect("root", db="mysql")
for each in json.loads(os.environ["CF_USERS"]):
    for tls in (True, False):
        if ENGINE == "mysql":
            run(root, "FLUSH PRIVILEGES")  # empties the cache of caching_sha2_password
        for password, db in ((each["password"], "shop"), (each["password"], "shop"), ("wrong", "shop"), (each["password"], "nowhere")):
            print("login", each["user"], tls)
            try:
                c = connect(each["user"], password, tls, db)
                run(c, "SELECT CURRENT_USER(), DATABASE()")
                print(" ", c.get_server_info(), c.get_proto_info(), c.character_set_name(), c.get_character_set_info()["name"], c.stat()[:6])
                c.close()
            except MySQLdb.Error as error:
                print(" error", error.args)

main = connect(client_flag=CLIENT.MULTI_STATEMENTS)
with open(os.environ["CF_STATEMENTS"], encoding="utf-8") as f:
    for line in f:
        run(main, line.rstrip("\n"))
run(main, "INSERT INTO orders (item, quantity, note) VALUES (%s, %s, %s)", ("kiwi", 9, "n'o\\te 😀"))
with main.cursor() as cursor:
    print("many", cursor.executemany("INSERT INTO orders (item, quantity) VALUES (%s, %s)", [("fig", 1), ("kiwi", 2), (None, 3)]), cursor.lastrowid)
    print("callproc", cursor.callproc("p_sets", (5,)))
    print(cursor.fetchall(), cursor.nextset(), cursor.fetchall(), cursor.nextset())
for sql in ("SELECT 1; SELECT code FROM items ORDER BY code; INSERT INTO orders (item, quantity) VALUES ('fig', 77); SELECT 4", "CALL p_fail()",
            "INSERT INTO texts VALUES (1,'a',NULL); SELECT nothing FROM texts; SELECT 3", "CALL p_nothing()"):
    run(main, sql)
main = connect()
with open(DIR + "/texts.csv", "w", encoding="utf-8") as f:
    f.writelines(f"{i},text {i} é😀,{'' if i % 3 else chr(92) + 'N'}\n" for i in range(2000))
run(main, f"LOAD DATA LOCAL INFILE '{DIR}/texts.csv' INTO TABLE texts FIELDS TERMINATED BY ','")
run(main, f"LOAD DATA LOCAL INFILE '{DIR}/nowhere' INTO TABLE texts")
value = bytes(range(256)) * (17 << 12)
with main.cursor() as cursor:
    cursor.execute("INSERT INTO blobs (v) VALUES (_binary %s)", (value,))
    cursor.execute("SELECT v FROM blobs")
    print("large", hashlib.sha256(cursor.fetchone()[0]).hexdigest())
with connect(cursorclass=MySQLdb.cursors.SSCursor).cursor() as cursor:
    cursor.execute("SELECT a.id, REPEAT('r', 1000) FROM kinds a, kinds b, kinds c, kinds d, kinds e, kinds f")
    print("streamed", sum(len(row[1]) for row in cursor))
for each in json.loads(os.environ["CF_USERS"]):
    try:
        main.change_user(each["user"], each["password"], "other")
        run(main, "SELECT CURRENT_USER(), DATABASE(), @a")
        run(main, "SELECT COUNT(*) FROM shop.items")
    except MySQLdb.Error as error:
        print("change user", error.args)
main.select_db("shop")
run(main, "SELECT code FROM items ORDER BY code LIMIT 1")
print("ping", main.ping())
victim = connect()
main.kill(victim.thread_id()) if ENGINE == "mariadb" else run(main, "KILL %s", (victim.thread_id(),))
try:
    victim.query("SELECT 1")
except MySQLdb.Error as error:
    print("killed", error.args[0])
print("end")
