# SPDX-License-Identifier: Apache-2.0
# What tests/bench/big stands on: a server with a big table, filled once and copied for each method, so that all begin with the
# same pages; its CPU time and its binary log; a steady load beside it.
import pathlib
import re
import shutil
import statistics
import subprocess
import time

from bench_client import _quantile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DURABLE = ["--innodb-flush-log-at-trx-commit=1", "--sync-binlog=1"]
MORE = []  # further arguments of the measured server
FILLING = ["--skip-log-bin", "--innodb-flush-log-at-trx-commit=0"]
EMPTY = "id bigint unsigned NOT NULL PRIMARY KEY, k int unsigned NOT NULL, c char(60) NOT NULL, pad char(60) NOT NULL, KEY(k)"
RATE, THREADS = 200, 16


class Database:
    """A private server. `base`: to fill, without a binary log; else durable."""

    def __init__(self, engine, folder, base=False):
        self.folder = pathlib.Path(folder)
        log = "--innodb-log-file-size=1G" if engine == "mariadb" else "--innodb-redo-log-capacity=1G"
        explain = ["--explain-format=TRADITIONAL"] if engine == "mysql" else []  # a tree is nothing to pt-online-schema-change
        arguments = ["--innodb-buffer-pool-size=1G", log, *explain, *(FILLING if base else [*DURABLE, *MORE])]
        subprocess.run([ROOT / "scripts/server", "start", engine, folder, *arguments], check=True, stdout=subprocess.DEVNULL)
        self.port = int((self.folder / "port").read_text())
        self.pid = int((self.folder / "pid").read_text())

    def query(self, text):
        """The rows of all results, as lists of text."""
        done = subprocess.run(["mariadb", "--no-defaults", "--skip-ssl", "-N", "-B", "-uroot", "-h127.0.0.1", f"-P{self.port}"], input=text, text=True,
                              capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(f"{text[:200]}: {done.stderr.strip()}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    def value(self, text):
        rows = self.query(text)
        return rows[0][0] if rows else None

    def cpu_s(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100  # USER_HZ, threads that have ended included

    def binlog_bytes(self):
        return sum(int(row[1]) for row in self.query("SHOW BINARY LOGS"))

    def stop(self):
        subprocess.run([ROOT / "scripts/server", "stop", self.folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def fill(engine, folder, rows):
    """Fills folder/base, if it is not there with as many rows."""
    base, mark = folder / "base", folder / "base.rows"
    if mark.exists() and mark.read_text() == f"{engine} {rows}":
        return
    shutil.rmtree(base, ignore_errors=True)
    mark.unlink(missing_ok=True)
    database = Database(engine, base, base=True)
    try:
        database.query(f"CREATE DATABASE bench CHARACTER SET utf8mb4; USE bench; CREATE TABLE t({EMPTY}); CREATE TABLE seed(i int PRIMARY KEY);"
                       "INSERT INTO seed WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < 999) SELECT i FROM s;"
                       + "".join(f"INSERT INTO t SELECT n, n, SHA2(n, 224), REPEAT('p', 60) FROM (SELECT {start} + a.i + 1000 * b.i AS n FROM seed a, seed b"
                                 f" WHERE b.i < 100) AS s WHERE n < {rows};" for start in range(0, rows, 100_000))
                       + "ANALYZE TABLE t")
    finally:
        database.stop()
    mark.write_text(f"{engine} {rows}")


def fresh(engine, folder):
    """A durable server on a copy of the filled one, its pages warm."""
    shutil.rmtree(folder / "run", ignore_errors=True)
    (folder / "run").mkdir()
    subprocess.run(["cp", "-a", "--reflink=auto", folder / "base/data", folder / "run/data"], check=True)
    subprocess.run(["sync"], check=True)  # or the copy's own writing would be measured
    database = Database(engine, folder / "run")
    database.query("SELECT SUM(LENGTH(pad)) FROM bench.t FORCE INDEX (PRIMARY)")
    return database


class Load:
    """RATE transactions a second through `port`, from now until `end`."""

    def __init__(self, folder, port, rows):
        self.stop, self.out = folder / "load.stop", folder / "load.out"
        self.stop.unlink(missing_ok=True)
        self.file = open(self.out, "w")
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            ["sysbench", HERE / "steady.lua", "--db-driver=mysql", "--mysql-host=127.0.0.1", f"--mysql-port={port}", "--mysql-user=root", "--mysql-ssl=off",
             "--mysql-db=bench", f"--threads={THREADS}", f"--rate={RATE}", "--time=0", "--report-interval=1", "--percentile=99", "--events=0", "--histogram=on", "--rand-type=uniform",
             "--mysql-ignore-errors=1205,1213,1020", f"--rows={rows}", f"--stop={self.stop}", "run"], stdout=self.file, stderr=subprocess.STDOUT)

    def end(self):
        self.stop.touch()
        try:
            code = self.process.wait(180)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = "no end"
        self.file.close()
        self.stop.unlink(missing_ok=True)
        out = self.out.read_text()
        if code != 0:
            return {"load_failed": out.strip().splitlines()[-1][-200:] if out.strip() else str(code)}
        histogram = [(float(value), int(count)) for value, count in re.findall(r"^\s*([\d.]+) \|\**\s+(\d+)$", out, re.M)]
        seconds = [float(value) for value in re.findall(r"lat \(ms,99%\): ([\d.]+)", out)]  # a stall of the machine is one of these
        number = lambda pattern: float(re.search(pattern, out)[1])
        return {"tps": number(r"transactions:\s+(\d+)") / number(r"total time:\s+([\d.]+)s"), "p99_ms": _quantile(histogram, 0.99),
                "p99_second": statistics.median(seconds) if seconds else 0,
                "max_ms": number(r"max:\s+([\d.]+)"), "errors": number(r"ignored errors:\s+(\d+)")}
