# SPDX-License-Identifier: Apache-2.0
# What changes of phase cost the application: the fence at a connection's first statement on a migrating table, and the
# statement gate. docs/cutover.md says what they are.
import datetime
import statistics
import subprocess
import threading
import time

import bench_peers
from bench_client import Client

CONNECTIONS, LATER = 100, 10
CLIENTS = 8
EPOCH = "SELECT epoch FROM cf_rewritten.state WHERE id = 1 LOCK IN SHARE MODE"


def old_key(number):
    return f"00000000-0000-4000-8000-{number:012d}"


def timed(work):
    begun = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - begun) / 1000


def one_write(client, number):
    client.query(f"UPDATE caves SET name = 'den {time.perf_counter_ns()}' WHERE id = '{old_key(number)}'")


def fenced_write(client, number):
    """The other way to fence: each write reads the epoch under a shared lock, in a transaction of its own."""
    client.query("BEGIN")
    client.query(EPOCH)
    one_write(client, number)
    client.query("COMMIT")


def part_fence(world, plan):
    """A connection's first write of a migrating table and those after it, in `cutover`; and what an epoch read in each write would cost."""
    ways = {"direct": ("direct", "plain", one_write), "relay": ("relay", "plain", one_write), "none": ("none", "plain", one_write),
            "rewritten": ("rewritten", "zoo", one_write), "direct, the epoch read in each write": ("direct", "plain", fenced_write)}
    samples = {way: [] for way in ways}
    for turn in range(plan.rounds):
        for way in list(ways) if turn % 2 == 0 else reversed(list(ways)):
            name, schema, write = ways[way]
            peer, first, later, cpu = world.peers[name], [], [], 0
            for number in range(1, (CONNECTIONS // 4 if plan.quick else CONNECTIONS) + 1):
                client = Client(peer.port, schema=schema)
                client.query("SELECT 1")
                client.query(f"SELECT name FROM {'plain' if schema == 'zoo' else schema}.caves WHERE id = '{old_key(number)}'")  # the pages are there
                first.append(timed(lambda: write(client, number)))
                before = peer.cpu_ns()
                later += [timed(lambda: write(client, number)) for _ in range(LATER)]
                cpu += peer.cpu_ns() - before
                client.close()
            samples[way].append({"first_us": statistics.median(first), "later_us": statistics.median(later), "cpu_us": cpu / 1000 / len(later)})
    table = {way: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for way, runs in samples.items()}
    for figures in table.values():
        figures["later_over_direct"] = figures["later_us"] / table["direct"]["later_us"]
        if table["relay"]["cpu_us"] and figures["cpu_us"]:
            figures["cpu_over_relay"] = figures["cpu_us"] / table["relay"]["cpu_us"]
    return {"one write, 1 connection after the other": table}


class Crowd:
    """Clients that read and write a migrating table without a pause; what each statement took, and when."""

    def __init__(self, port, schema):
        self.stop, self.taken, self.errors = False, [], []
        self.threads = [threading.Thread(target=self.work, args=(port, schema, index)) for index in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def work(self, port, schema, index):
        client = Client(port, schema=schema)
        for turn in range(1 << 30):
            if self.stop:
                break
            number = 1 + index + CLIENTS * (turn % 500)
            try:
                for sql in (f"UPDATE bears SET age = age + 1 WHERE id = {number}", f"SELECT name, age FROM bears WHERE id = {number}"):
                    begun = time.time()
                    client.query(sql)
                    self.taken.append((begun, time.time()))
            except (RuntimeError, OSError) as error:
                self.errors.append(str(error))
                break
        client.close()

    def longest_ms(self, begun, ended):
        """Of the statements that were under way in this time."""
        return 1000 * max((to - at for at, to in self.taken if at < ended and to > begun), default=0)


def rows(world, sql):
    done = subprocess.run(["mariadb", "--no-defaults", "--skip-ssl", "-N", "-uroot", "-h127.0.0.1", f"-P{world.port}", "-e", sql],
                          text=True, check=True, capture_output=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def part_gate(world, plan):
    """How long the statement gate holds at each of its three moments, beside clients that never pause; and their longest statement then."""
    held = {"expand": [], "retire": [], "contract": []}
    pauses = {moment: [] for moment in held}
    usual, tries = [], []
    peer = world.peers["gate"]
    for turn in range(plan.rounds):
        name = f"gate{turn}"
        crowd = Crowd(peer.port, name)
        begun = time.time()
        time.sleep(1)
        usual.append(crowd.longest_ms(begun, time.time()))
        try:
            for phase, percent in (("expand", None), ("cutover", 100), ("retire", None), ("done", None)):
                world.walk("gate", name, phase, percent)
        finally:
            crowd.stop = True
            for thread in crowd.threads:
                thread.join()
        if crowd.errors:
            raise RuntimeError(f"a client met an error: {crowd.errors[0]}")
        events = rows(world, f"SELECT DATE_FORMAT(at, '%Y-%m-%d %H:%i:%s.%f'), text FROM cf_gate.events WHERE migration = '{name}' AND text LIKE '%were held for%' ORDER BY id")
        tries.append(len(rows(world, f"SELECT 1 FROM cf_gate.events WHERE migration = '{name}' AND text LIKE 'the statement gate was let go%'")))
        for moment, (at, text) in zip(held, events, strict=True):
            ended = datetime.datetime.strptime(at, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=datetime.timezone.utc).timestamp()
            took = int(text.rsplit(" for ", 1)[1].split()[0])
            held[moment].append(took)
            pauses[moment].append(crowd.longest_ms(ended - took / 1000, ended))
    out = {moment: {"held_ms": statistics.median(held[moment]), "most_held_ms": max(held[moment]), "longest_statement_ms": statistics.median(pauses[moment])}
           for moment in held if held[moment]}
    out["no hold, for a second"] = {"longest_statement_ms": statistics.median(usual)}
    out["let go and tried again"] = {"times": sum(tries)}
    return {f"the gate beside {CLIENTS} clients": out}


def start(world, rounds):
    for turn in range(rounds):
        world.sql(f"CREATE DATABASE gate{turn}; USE gate{turn}; CREATE TABLE caves LIKE plain.caves; CREATE TABLE bears LIKE plain.bears;"
                  "INSERT INTO caves SELECT * FROM plain.caves; INSERT INTO bears SELECT * FROM plain.bears; ALTER TABLE bears ADD FOREIGN KEY (cave) REFERENCES caves (id)")
    world.crossfade("gate", "".join(bench_peers.keys_migration(f"gate{turn}", "    quiet_before_retire: 0h\n") for turn in range(rounds)))
