# SPDX-License-Identifier: Apache-2.0
# PyMySQL: every section prints what the client saw.
import hashlib
import json
import os
import ssl

import pymysql
from pymysql.constants import CLIENT, COMMAND

PORT, ENGINE, DIR = int(os.environ["CF_PORT"]), os.environ["CF_ENGINE"], os.environ["CF_DIR"]


def connect(user="u_empty", password="", tls=True, db="shop", **more):
    if tls:
        context = ssl.create_default_context(cafile=os.environ["CF_CA"])
        more["ssl"] = context
    else:
        more["ssl_disabled"] = True
    return pymysql.connect(host="127.0.0.1", port=PORT, user=user, password=password, database=db, charset="utf8mb4",
                           autocommit=True, local_infile=True, **more)


def show(cursor):
    print(" rowcount", cursor.rowcount, "insert id", cursor.lastrowid)
    if cursor.description:
        for column in cursor.description:
            print(" column", column)
        for row in cursor.fetchall():
            print(" row", row)


def run(connection, sql, *arguments):
    print("sql", sql[:90])
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql, *arguments)
            show(cursor)
            while cursor.nextset():
                print(" next result")
                show(cursor)
            result = connection._result
            if result is not None:
                print(" affected", result.affected_rows, "warnings", result.warning_count, "status", result.server_status,
                      "message", getattr(result, "message", None))
    except pymysql.MySQLError as error:
        print(" error", type(error).__name__, error.args)


def authentication():
    root = connect("root", tls=False, db=None)
    for each in json.loads(os.environ["CF_USERS"]):
        for tls in (True, False):
            if ENGINE == "mysql":
                run(root, "FLUSH PRIVILEGES")  # empties the cache of caching_sha2_password: a full login, then a fast one
            for attempt in ("first", "second"):
                print("login", each["user"], "tls" if tls else "clear", attempt)
                try:
                    c = connect(each["user"], each["password"], tls)
                    run(c, "SELECT CURRENT_USER(), DATABASE(), @@character_set_client")
                    print(" secure", bool(c._secure), "charset", c.character_set_name(), "thread", c.thread_id() > 0)
                    c.close()
                except pymysql.MySQLError as error:
                    print(" error", error.args)
        for user, password, db in ((each["user"], "wrong", "shop"), ("nobody", "x", "shop"), (each["user"], each["password"], "nowhere")):
            for tls in (True, False):
                try:
                    connect(user, password, tls, db).close()
                    print("login accepted", user, db)
                except pymysql.MySQLError as error:
                    print("login refused", type(error).__name__, error.args)
    if ENGINE == "mysql":
        with root.cursor() as cursor:
            cursor.execute("SELECT attr_name FROM performance_schema.session_connect_attrs WHERE processlist_id = CONNECTION_ID() ORDER BY 1")
            print("attributes", cursor.fetchall())
    root.close()


def statements(c):
    with open(os.environ["CF_STATEMENTS"], encoding="utf-8") as f:
        for sql in f:
            run(c, sql.rstrip("\n"))
    run(c, "SELECT %s, HEX(%s), %s", ("it's \\ \"é\" 😀", b"\x00\xff'", None))
    run(c, "INSERT INTO orders (item, quantity, note) VALUES (%s, %s, %s)", ("kiwi", 9, "n'o\\te 😀"))
    with c.cursor() as cursor:
        print("many", cursor.executemany("INSERT INTO orders (item, quantity) VALUES (%s, %s)", [("fig", 1), ("kiwi", 2), (None, 3)]), cursor.lastrowid)


def several(c):
    m = connect(client_flag=CLIENT.MULTI_STATEMENTS)
    run(m, "SELECT 1; SELECT code FROM items ORDER BY code; INSERT INTO orders (item, quantity) VALUES ('fig', 77); SELECT quantity FROM orders WHERE quantity = 77")
    run(m, "INSERT INTO texts VALUES (1,'a',NULL); SELECT nothing FROM texts; SELECT 3")
    run(m, "SELECT COUNT(*) FROM texts; DO 1;")
    run(c, "SELECT 1; SELECT 2")
    run(c, "CALL p_sets(5)")
    run(c, "SET @b = 0, @c = 'c'")
    run(c, "CALL p_out(21, @b, @c)")
    run(c, "SELECT @b, @c")
    run(c, "CALL p_fail()")
    run(c, "CALL p_nothing()")
    with c.cursor() as cursor:
        print("callproc", cursor.callproc("p_out", (4, 0, "x")))
        cursor.execute("SELECT @_p_out_0, @_p_out_1, @_p_out_2")
        print(cursor.fetchall())


def transactions(c):
    d = connect()
    for sql in ("BEGIN", "UPDATE items SET stock = 99 WHERE code = 'fig'", "SAVEPOINT a", "INSERT INTO orders (item, quantity) VALUES ('fig', 500)", "ROLLBACK TO a",
                "SELECT stock FROM items WHERE code = 'fig'"):
        run(c, sql)
    run(d, "SET innodb_lock_wait_timeout = 1")
    run(d, "SELECT stock FROM items WHERE code = 'fig'")
    run(d, "UPDATE items SET stock = 1 WHERE code = 'fig'")
    run(c, "ROLLBACK")
    run(d, "UPDATE items SET stock = 1 WHERE code = 'fig'")
    run(c, "SET autocommit = 0")
    run(c, "DELETE FROM orders WHERE item = 'fig'")
    run(d, "SELECT COUNT(*) FROM orders WHERE item = 'fig'")
    c.rollback()
    run(c, "SELECT COUNT(*) FROM orders WHERE item = 'fig'")
    run(c, "START TRANSACTION READ ONLY")
    run(c, "INSERT INTO orders (item, quantity) VALUES ('fig', 1)")
    c.commit()
    c.autocommit(True)
    d.close()


def load(c):
    with open(DIR + "/lines.csv", "w", encoding="utf-8") as f:
        f.writelines(f"{i},text {i} é😀,{'' if i % 3 else chr(92) + 'N'}\n" for i in range(2000))
        f.write("not a number,x,y,z\n")
    run(c, f"LOAD DATA LOCAL INFILE '{DIR}/lines.csv' INTO TABLE texts FIELDS TERMINATED BY ','")
    run(c, "SHOW WARNINGS")
    run(c, "SELECT COUNT(*), SUM(a), COUNT(c), MAX(b) FROM texts")
    run(c, f"LOAD DATA LOCAL INFILE '{DIR}/nowhere.csv' INTO TABLE texts")
    run(c, "SELECT 'still here'")
    run(c, f"LOAD DATA LOCAL INFILE '{DIR}/lines.csv' INTO TABLE nowhere")
    open(DIR + "/empty.csv", "w").close()
    run(c, f"LOAD DATA LOCAL INFILE '{DIR}/empty.csv' INTO TABLE texts")


def large():
    c = connect(max_allowed_packet=64 << 20)
    for size in ((1 << 24) - 30, 20 << 20):
        value = bytes(range(256)) * (size // 256)
        with c.cursor() as cursor:
            cursor.execute("INSERT INTO blobs (v) VALUES (_binary %s)", (value,))
            cursor.execute("SELECT v, 'after' FROM blobs ORDER BY id DESC LIMIT 1")
            row = cursor.fetchone()
            print("large", len(value), hashlib.sha256(row[0]).hexdigest() == hashlib.sha256(value).hexdigest(), row[1])
    # Rows whose packet is just as long as a frame, and one shorter and longer.
    for size in ((1 << 24) - 6, (1 << 24) - 5, (1 << 24) - 4, (1 << 25) - 6):
        with c.cursor() as cursor:
            cursor.execute(f"SELECT REPEAT('y', {size})")
            print("row", size, len(cursor.fetchone()[0]))
    text = "x" * (17 << 20)
    run(c, "INSERT INTO orders (item, quantity, note) VALUES ('fig', 17, %s)", (text,))
    run(c, "SELECT quantity, LENGTH(note) FROM orders WHERE quantity = 17")
    c = connect()
    with connect(cursorclass=pymysql.cursors.SSCursor).cursor() as cursor:
        cursor.execute("SELECT a.id, REPEAT('r', 1000) FROM kinds a, kinds b, kinds c, kinds d, kinds e, kinds f, kinds g, kinds h")
        print("streamed", sum(len(row[1]) for row in cursor))


def session(c):
    print("ping", c.ping())
    c.select_db("other")
    run(c, "SELECT DATABASE()")
    c.select_db("shop")
    try:
        c.select_db("nowhere")
    except pymysql.MySQLError as error:
        print("select_db", error.args)
    run(c, "SELECT code FROM items ORDER BY code")
    c.set_charset("latin1")
    run(c, "SELECT 'é', label FROM items WHERE code = 'über'")
    c.set_charset("utf8mb4")
    # Ended by another session: the error that the server's closing gives.
    victim = connect()
    run(c, f"KILL {victim.thread_id()}".replace(str(victim.thread_id()), "%s"), (victim.thread_id(),))
    try:
        victim.cursor().execute("SELECT 1")
    except pymysql.MySQLError as error:
        print("killed", error.args[0])
    victim = connect()
    try:
        print("kill command", c.kill(victim.thread_id()).message)
    except pymysql.MySQLError as error:
        print("kill command", error.args)
    for command, argument in ((COMMAND.COM_STATISTICS, b""), (COMMAND.COM_DEBUG, b""), (0x1F, b""), (COMMAND.COM_FIELD_LIST, b"items\0%"), (COMMAND.COM_SLEEP, b"")):
        d = connect()
        d._execute_command(command, argument)
        try:
            packet = d._read_packet()
            print("command", command, packet.get_all_data()[:12] if command != COMMAND.COM_STATISTICS else packet.get_all_data()[:6])
        except pymysql.MySQLError as error:
            print("command", command, error.args)
    run(c, "SET NAMES utf8mb4")
    with connect(init_command="SET @x = 'init'", sql_mode="ANSI_QUOTES", read_timeout=30) as d:
        run(d, 'SELECT @x, "label" FROM "items" WHERE "code" = \'fig\'')


authentication()
main = connect()
statements(main)
several(main)
transactions(main)
load(main)
large()
session(main)
main.close()
print("end")
