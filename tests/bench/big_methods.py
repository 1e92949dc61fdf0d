# SPDX-License-Identifier: Apache-2.0
# The ways to give every row of a big table a new column that are compared by tests/bench/big. Each leaves bench.t with it.
import shutil
import signal
import subprocess
import time

from bench_client import Client
from bench_peers import free_ports, wait_for

CHUNK = 5_000
ADD = "ALTER TABLE bench.t ADD COLUMN c2 int unsigned NULL, ALGORITHM=INSTANT"


class Method:
    """`port`: where the application connects. `run` does the work and returns figures of its own; `seconds`, if it is among
    them, is the time that the rows took."""
    shown, checked = "", True

    def __init__(self, world, database, idle):
        self.world, self.database, self.idle, self.port = world, database, idle, database.port

    def prepare(self):
        self.database.query(ADD)

    def close(self):
        pass


class Crossfade(Method):
    shown = "Crossfade"

    def prepare(self):
        self.port, self.admin = free_ports(2)
        self.file = self.world.folder / "crossfade.yaml"
        limits = ", ".join(["backfill_idle_share: 0"] * self.idle + [self.world.limits] * bool(self.world.limits))  # beside an application: as it comes
        self.file.write_text(
            f'listen:\n  - {{address: "127.0.0.1:{self.port}", backend: b}}\nbackends:\n  b: {{address: "127.0.0.1:{self.database.port}", tls: disabled}}\n'
            f'control: {{backend: b, user: root, schema: cf}}\nadmin: "127.0.0.1:{self.admin}"\nlog_level: warn\nlimits: {{{limits}}}\nthrottle: {{{self.world.throttle}}}\n'
            'migrations:\n  - name: m\n    schema: bench\n    phase: observe\n    columns:\n      - table: t\n        old: [c]\n'
            '        new:\n          c2: {type: int unsigned, from: "CRC32(c)"}\n')
        self.log = open(self.world.folder / "crossfade.log", "w")
        self.process = subprocess.Popen([self.world.build / "crossfade", "serve", "-c", self.file], cwd=self.world.folder, stdout=self.log, stderr=self.log)
        wait_for(self.port, self.process)

    def phase(self, name):
        done = subprocess.run([self.world.build / "crossfade", "phase", "-c", self.file, "m", name, "--yes"], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"phase {name}: {done.stdout[-300:]}{done.stderr[-600:]}")

    def wait(self, question):
        while (answer := self.database.value(question)) in (None, "NULL", "0"):
            if self.process.poll() is not None:
                raise RuntimeError(f"crossfade ended: {(self.world.folder / 'crossfade.log').read_text()[-600:]}")
            time.sleep(0.5)
        return float(answer)

    def run(self):
        self.phase("backfill")
        return {"seconds": self.wait("SELECT TIMESTAMPDIFF(MICROSECOND, MAX(IF(text LIKE '%phase = ''backfill''%', at, NULL)),"
                                     " MAX(IF(text = 'backfill complete', at, NULL))) / 1e6 FROM cf.events")}

    def after(self):
        """Verification: rows a second."""
        self.phase("verify")
        took = self.wait("SELECT TIMESTAMPDIFF(MICROSECOND, started, finished) / 1e6 FROM cf.verifications WHERE finished IS NOT NULL ORDER BY id LIMIT 1")
        return {"verified_per_s": self.world.rows / took}

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


class Chunks(Method):
    shown = f"UPDATE by hand, {CHUNK:,} rows each"
    checked = False  # what the application writes behind the loop is lost to it

    def run(self):
        client = Client(self.database.port, schema="bench")
        client.sock.settimeout(3600)
        client.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        for start in range(0, self.world.rows, CHUNK):
            client.query(f"UPDATE t SET c2 = CRC32(c) WHERE id >= {start} AND id < {start + CHUNK}")
        client.close()
        return {}


class Whole(Method):
    shown = "one UPDATE"
    checked = False

    def run(self):
        self.database.query("UPDATE bench.t SET c2 = CRC32(c)")
        return {}


class PtOsc(Method):
    """It copies into a new table that has the column, empty; triggers follow the application."""
    shown = "pt-online-schema-change"
    checked = False

    @staticmethod
    def missing():
        return None if shutil.which("pt-online-schema-change") else "pt-online-schema-change (Debian's percona-toolkit) is not installed"

    def prepare(self):
        pass

    def run(self):
        command = ["pt-online-schema-change", "--execute", "--no-version-check", "--recursion-method=none", "--alter", "ADD COLUMN c2 int unsigned NULL",
                   f"D=bench,t=t,h=127.0.0.1,P={self.database.port},u=root"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"pt-online-schema-change: {(done.stdout + done.stderr).strip()[-170:]}")
        return {}


METHODS = {"crossfade": Crossfade, "chunks": Chunks, "ptosc": PtOsc, "whole": Whole}
