# SPDX-License-Identifier: Apache-2.0
# The servers and proxies that are measured: how each is started on loopback, and what its process has cost so far.
# The database has `sbtest` (no migration), `sbnew` (the same, both text columns of it migrate: every sysbench statement
# is rewritten), `zoo` and `plain` (a UUID key with a reference; one migrates), `pairs` (the same, reads compared).
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests/servers"))
from ports import free_port  # noqa: E402

MYSQL_ROOT = pathlib.Path(os.environ.get("CROSSFADE_MYSQL_ROOT", "/var/cache/crossfade/mysql-root"))
ROUTER = pathlib.Path(os.environ.get("CROSSFADE_MYSQL_ROUTER", "/var/cache/crossfade/mysql-router"))


class Peer:
    """One proxy process. `name`, `port`, `pid`; a pid of 0 is no process (direct)."""

    def __init__(self, name, port, process=None, note=""):
        self.name, self.port, self.process, self.note = name, port, process, note
        self.pid = process.pid if process else 0
        self.tls_port = 0
        self.admin = 0

    def cpu_ns(self):
        """CPU time so far: the scheduler's own count for each thread, in ns."""
        if not self.pid:
            return 0
        total = 0
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except (OSError, IndexError):
                pass
        if total:
            return total
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 10 ** 9 // os.sysconf("SC_CLK_TCK")

    def memory_kib(self):
        """Memory of its own (PSS, without what it shares)."""
        for line in pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
        return 0


def free_ports(count):
    return [free_port() for _ in range(count)]


def wait_for(port, process, seconds=30):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended at its start")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}")


class World:
    """The database server and everything started beside it; `close` ends all of it."""

    def __init__(self, engine, build, work):
        self.engine, self.build, self.work = engine, pathlib.Path(build), pathlib.Path(work)
        self.processes = []
        self.peers = {}
        self.missing = []
        self.index = None  # of the demo's application, once it is loaded
        arguments = ["--max-connections=7000", "--innodb-buffer-pool-size=512M", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0",
                     "--back-log=4096", "--max-connect-errors=1000000", "--open-files-limit=20000", "--max-prepared-stmt-count=100000"]
        subprocess.run([ROOT / "scripts/server", "start", engine, self.work / "server", *arguments], check=True, stdout=subprocess.DEVNULL)
        self.port = int((self.work / "server/port").read_text())
        self.peers["direct"] = Peer("direct", self.port)

    def sql(self, text):
        subprocess.run(["mariadb", "--no-defaults", "--skip-ssl", "-uroot", "-h127.0.0.1", f"-P{self.port}"], input=text, text=True, check=True, stdout=subprocess.DEVNULL)

    def compared(self, migration):
        """Reads that were compared so far, as the control schema has them."""
        done = subprocess.run(["mariadb", "--no-defaults", "--skip-ssl", "-N", "-uroot", "-h127.0.0.1", f"-P{self.port}", "-e",
                               f"SELECT COALESCE(SUM(compared), 0) FROM cf_compared.comparisons WHERE migration = '{migration}'"],
                              text=True, check=True, capture_output=True)
        return int(done.stdout)

    def fill(self, rows, parents):
        for schema in ("sbtest", "sbnew", "zoo", "plain", "pairs"):
            self.sql(f"CREATE DATABASE {schema}")
        digits = "(SELECT 0 AS d" + "".join(f" UNION ALL SELECT {digit}" for digit in range(1, 10)) + ")"
        self.sql("USE sbtest; CREATE TABLE sbtest1 (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, k int NOT NULL DEFAULT 0, c char(120) NOT NULL DEFAULT '',"
                 " pad char(60) NOT NULL DEFAULT '', KEY k_1 (k)); INSERT INTO sbtest1 SELECT n, FLOOR(1 + RAND() * 100000), REPEAT(LPAD(n, 12, '-'), 10),"
                 f" REPEAT('pad-', 15) FROM (SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d AS n FROM {digits} a, {digits} b, {digits} c,"
                 f" {digits} e, {digits} f) numbers WHERE n <= {rows}; ANALYZE TABLE sbtest1")
        self.sql("CREATE TABLE sbnew.sbtest1 LIKE sbtest.sbtest1; INSERT INTO sbnew.sbtest1 SELECT * FROM sbtest.sbtest1")
        for schema in ("zoo", "plain", "pairs"):
            self.sql(f"USE {schema}; CREATE TABLE caves (id varchar(36) CHARACTER SET ascii PRIMARY KEY, name varchar(40));"
                     "CREATE TABLE bears (id int AUTO_INCREMENT PRIMARY KEY, cave varchar(36) CHARACTER SET ascii, name varchar(40), age int,"
                     "  FOREIGN KEY (cave) REFERENCES caves (id));"
                     f"INSERT INTO caves SELECT CONCAT('00000000-0000-4000-8000-', LPAD(id, 12, '0')), 'den' FROM sbtest.sbtest1 WHERE id <= {parents};"
                     f"INSERT INTO bears SELECT id, CONCAT('00000000-0000-4000-8000-', LPAD(id, 12, '0')), 'Bruno', 7 FROM sbtest.sbtest1 WHERE id <= {parents}")

    def load_application(self, schemas):
        """The demo's tables; false where this machine has no package index."""
        index = self.work / "index"
        with open(index, "w") as out:
            subprocess.run(["apt-cache", "dumpavail"], stdout=out, stderr=subprocess.DEVNULL)
        if index.stat().st_size == 0:
            self.missing.append("the demo's application: apt-cache dumpavail has nothing")
            return False
        self.index = index
        for schema in schemas:
            subprocess.run([self.build / "bench_application", "--index", index, "--port", str(self.port), "--schema", schema, "--load"], check=True)
        return True

    def start(self, command, **kwargs):
        log = open(self.work / f"log.{len(self.processes)}", "w")
        process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log, **kwargs)
        self.processes.append(process)
        return process

    def relay(self):
        (port,) = free_ports(1)
        process = self.start([self.build / "bench_relay", port, self.port])
        wait_for(port, process)
        self.peers["relay"] = Peer("relay", port, process)

    def haproxy(self):
        program = shutil.which("haproxy") or shutil.which("/usr/sbin/haproxy")
        if not program:
            self.missing.append("HAProxy (Debian's haproxy) is not installed")
            return
        (port,) = free_ports(1)
        file = self.work / "haproxy.cfg"
        file.write_text(f"global\n nbthread 2\n maxconn 9000\ndefaults\n mode tcp\n timeout connect 5s\n timeout client 1h\n timeout server 1h\n"
                        f" maxconn 9000\nlisten l\n bind 127.0.0.1:{port} backlog 4096\n server s 127.0.0.1:{self.port}\n")
        process = self.start([program, "-f", file])
        wait_for(port, process)
        self.peers["haproxy"] = Peer("haproxy", port, process)

    def router(self):
        program = [shutil.which("mysqlrouter")] if shutil.which("mysqlrouter") else None
        environment = dict(os.environ)
        plugins = None
        if program is None and (ROUTER / "usr/bin/mysqlrouter").exists():  # taken from MySQL's own tree by mysql-router
            libraries = [ROUTER / "usr/lib/mysql-router", ROUTER / "usr/lib/x86_64-linux-gnu", MYSQL_ROOT / "usr/lib/x86_64-linux-gnu",
                         MYSQL_ROOT / "usr/lib/mysql/private"]
            program = [MYSQL_ROOT / "usr/lib64/ld-linux-x86-64.so.2", "--library-path", ":".join(map(str, libraries)), ROUTER / "usr/bin/mysqlrouter"]
            plugins = ROUTER / "usr/lib/mysqlrouter/plugin"
        if program is None:
            self.missing.append("MySQL Router is not there (tests/bench/mysql-router fetches it)")
            return
        (port,) = free_ports(1)
        folder = self.work / "router"
        folder.mkdir()
        plugin = f"plugin_folder={plugins}\n" if plugins else ""
        (folder / "router.conf").write_text(
            f"[DEFAULT]\nlogging_folder={folder}\nruntime_folder={folder}\ndata_folder={folder}\n{plugin}max_total_connections=9000\n[logger]\nlevel=WARNING\n"
            f"[io]\nthreads=2\n[routing:bench]\nbind_address=127.0.0.1\nbind_port={port}\ndestinations=127.0.0.1:{self.port}\nrouting_strategy=first-available\n"
            "protocol=classic\nclient_ssl_mode=PASSTHROUGH\nserver_ssl_mode=AS_CLIENT\nmax_connections=8000\n")
        process = self.start([*program, "-c", folder / "router.conf"], env=environment)
        try:
            wait_for(port, process)
        except RuntimeError as error:
            self.missing.append(f"MySQL Router did not start: {error}")
            return
        self.peers["router"] = Peer("router", port, process)

    def crossfade(self, name, migrations, walks=(), note="", io_threads=2):
        """`migrations`: YAML of the list. `walks`: (migration, phase, percent)."""
        port, tls_port, admin = free_ports(3)
        file = self.work / f"{name}.yaml"
        file.write_text(
            f'listen:\n  - {{address: "127.0.0.1:{port}", backend: b}}\n'
            f'  - {{address: "127.0.0.1:{tls_port}", backend: b, tls: {{generate: true}}}}\n'
            f'backends:\n  b: {{address: "127.0.0.1:{self.port}", tls: disabled}}\ncontrol: {{backend: b, user: root, schema: cf_{name}}}\n'
            f'admin: "127.0.0.1:{admin}"\nlog_level: warn\nlimits: {{io_threads: {io_threads}, max_connections: 20000, backfill_idle_share: 0}}\n'
            "throttle: {p99_rise: 0, poll: 10s}\n"
            + (f"migrations:\n{migrations}" if migrations else ""))
        process = self.start([self.build / "crossfade", "serve", "-c", file], cwd=self.work)
        wait_for(port, process)
        for walk in walks:
            self.walk(name, *walk)
        peer = Peer(name, port, process, note)
        peer.tls_port, peer.admin = tls_port, admin
        self.peers[name] = peer
        return peer

    def walk(self, name, migration, phase, percent=None):
        command = [self.build / "crossfade", "phase", "-c", self.work / f"{name}.yaml", migration, phase, "--wait", "--yes"]
        if percent is not None:
            command += ["--percent", str(percent)]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=240)
        if done.returncode != 0:
            raise RuntimeError(f"{name}: {' '.join(map(str, command[4:]))}: {done.stdout[-300:]}{done.stderr[-600:]}")

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
        subprocess.run([ROOT / "scripts/server", "stop", self.work / "server"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def keys_migration(schema, extra=""):
    return (f"  - name: {schema}\n    schema: {schema}\n    phase: observe\n{extra}    keys:\n      - table: caves\n        old: id\n"
            "        new: {column: new_id, type: int unsigned}\n        references:\n          - {table: bears, old: cave, new: new_cave}\n")


def columns_migration(schema):
    return (f"  - name: {schema}\n    schema: {schema}\n    phase: observe\n    columns:\n      - table: sbtest1\n        old: [c]\n"
            '        new:\n          c_new: {type: "char(120)", from: "c"}\n        back: {c: c_new}\n        final: c\n'
            "      - table: sbtest1\n        old: [k]\n"
            '        new:\n          k_new: {type: "bigint", from: "k"}\n        back: {k: k_new}\n        final: k\n')


def application_migration(schema):
    """As in the demo, of the tables that bench_application loads."""
    return (f"  - name: {schema}\n    schema: {schema}\n    phase: observe\n    keys:\n      - table: packages\n        old: name\n"
            "        new: {column: id, type: int unsigned}\n        keep_old_lookup: true\n        references:\n"
            "          - {table: dependencies, old: package, new: package_id, final: package}\n"
            "          - {table: dependencies, old: depends_on, new: depends_on_id, final: depends_on}\n")


def quiet_migrations(count):
    """So many migrations of tables that no workload names (nor need they be there: they only observe)."""
    return "".join(f"  - name: m{i}\n    schema: nowhere\n    phase: observe\n    keys:\n      - table: animals{i}_of_the_zoo\n        old: id\n"
                   "        new: {column: new_id, type: int unsigned}\n" for i in range(count))
