# SPDX-License-Identifier: Apache-2.0
# The command line clients (the argument: mariadb or mysql): batch, source, --local-infile, status, Ctrl-C, import and
# the small tools.
import json
import os
import pty
import re
import subprocess
import time

from dump_tools import options, program

ENGINE, DIR = os.environ["CF_ENGINE"], os.environ["CF_DIR"]


def run(name, arguments, text=None, **connection):
    command = program(name) + options(**connection) + arguments
    result = subprocess.run(command, input=text, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=DIR, timeout=60, errors="backslashreplace")
    print(name, *[a for a in arguments][:6])
    for line in result.stdout.splitlines() + ["stderr:"] + result.stderr.splitlines():
        print(" ", line)
    print("  exit", result.returncode)


# Every login.
for each in json.loads(os.environ["CF_USERS"]):
    for tls in (True, False):
        if ENGINE == "mysql":
            run("mysql", ["-e", "FLUSH PRIVILEGES"])  # empties the cache of caching_sha2_password
        for password in (each["password"], each["password"], "wrong"):
            run("mysql", ["shop", "-e", "SELECT CURRENT_USER(), DATABASE()"], user=each["user"], password=password, tls=tls)
run("mysql", ["nowhere", "-e", "SELECT 1"])

with open(os.environ["CF_STATEMENTS"], encoding="utf-8") as f:
    statements = ";\n".join(f.read().splitlines()) + ";\n"
run("mysql", ["shop", "-vvv", "--force", "--show-warnings", "-t", "--column-type-info"], statements)
with open(DIR + "/more.sql", "w", encoding="utf-8") as f:
    f.write("SELECT 'sourced';\nINSERT INTO items VALUES ('quince','Quince',1);\nINSERT INTO orders (item, quantity) VALUES ('quince',1);\n"
            "DELIMITER //\nCREATE PROCEDURE p_new () BEGIN SELECT 1; SELECT 2; END//\nDELIMITER ;\nCALL p_new();\nDROP PROCEDURE p_new;\n"
            "CALL p_sets(5);\nSET @b = 0, @c = 'c';\nCALL p_out(21, @b, @c);\nSELECT @b, @c;\nSELECT * FROM nowhere;\nSELECT * FROM orders ORDER BY id\\G\n")
run("mysql", ["shop", "-vvv", "--force"], f"source {DIR}/more.sql\nuse other\nSELECT DATABASE();\nstatus\nwarnings\nSELECT 1/0;\nnowarning\n\\W\nSELECT 1/0;\nSHOW WARNINGS;\nconnect shop\nSELECT DATABASE();\nCALL p_fail();\n")
for text in ("SELECT code FROM items WHERE stock > 5 ORDER BY code;", "SELECT * FROM kinds ORDER BY id;"):
    for form in ("--xml", "--html", "--batch", "--raw", "-sN", "-E", "--quick", "--binary-as-hex"):
        run("mysql", [form, "shop"], text)
with open(DIR + "/texts.csv", "w", encoding="utf-8") as f:
    f.writelines(f"{i},text {i} é😀,{'' if i % 3 else chr(92) + 'N'}\n" for i in range(2000))
    f.write("not a number,x,y,z\n")
load = f"LOAD DATA LOCAL INFILE '{DIR}/texts.csv' INTO TABLE texts FIELDS TERMINATED BY ','; SHOW WARNINGS; SELECT COUNT(*), SUM(a), COUNT(c) FROM texts; LOAD DATA LOCAL INFILE 'nowhere.csv' INTO TABLE texts; SELECT 'still here';"
run("mysql", ["--local-infile=1", "-vvv", "--force", "shop"], load)
run("mysql", ["--local-infile=0", "-vvv", "--force", "shop"], load)
with open(DIR + "/wares.txt", "w", encoding="utf-8") as f:
    f.write("apple\t1\nlemon\t2\nlime\tmany\n")
run("mysqlimport", ["--local", "--force", "shop", DIR + "/wares.txt"])
run("mysqlimport", ["--local", "--replace", "--verbose", "--columns=code,stock", "shop", DIR + "/wares.txt"])
run("mysqlshow", ["shop"])
run("mysqlshow", ["--count", "shop", "wares"])
run("mysqladmin", ["ping"])
run("mysqlcheck", ["--check", "shop", "wares", "kinds"])
big = "INSERT INTO blobs (v) VALUES ('" + "b" * (17 << 20) + "');\nSELECT LENGTH(v) FROM blobs;\nSELECT v FROM blobs;\n"
result = subprocess.run(program("mysql") + options() + ["--max-allowed-packet=32M", "-N", "shop"], input=big, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
print("large", result.returncode, len(result.stdout), result.stdout[:20])


def interactive(statement):
    """Typed at a terminal; Ctrl-C while it runs. What the client says goes to a file by its own tee."""
    out = DIR + "/tee"
    if os.path.exists(out):
        os.remove(out)
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "dumb"
        command = program("mysql") + options() + ["--no-auto-rehash", f"--tee={out}", "shop"]
        os.execvp(command[0], command)
    read = b""
    def until(what, limit=20):
        nonlocal read  # what: a regular expression
        end = time.monotonic() + limit
        os.set_blocking(terminal, False)
        while not re.search(what, read) and time.monotonic() < end:
            try:
                read += os.read(terminal, 65536)
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                return
        if not re.search(what, read):
            print("  never came:", what)
        read = re.split(what, read, 1)[-1]
    until(b"> ")
    os.write(terminal, statement.encode() + b"\n")
    begun = time.monotonic()
    time.sleep(1.5)
    os.write(terminal, b"\x03")
    until(rb" sec\)|ERROR")
    print("interrupted in time", time.monotonic() - begun < 8)
    os.write(terminal, b"SELECT 'after';\n")
    until(b"1 row in set")
    os.write(terminal, b"exit\n")
    os.set_blocking(terminal, True)
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:
        pass
    os.waitpid(pid, 0)
    with open(out, errors="replace") as f:
        seen = [re.sub(r"[^ -~]", "", line) for line in f]
    for line in seen:
        if re.search(r"error|after|sleep|query|\d sec", line, re.I) and "Type" not in line:
            print("  " + line)


interactive("SELECT SLEEP(10);")
interactive("SELECT COUNT(*), SLEEP(10) FROM items GROUP BY code = SLEEP(10);")
print("end")
