# SPDX-License-Identifier: Apache-2.0
# What is measured. Each part takes the world and the plan (seconds, rounds) and returns its figures; within a part all
# peers take turns in each round, and what is kept are medians over the rounds.
import json
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import time
import urllib.request

import bench_peers
import bench_phases
from bench_client import Client, sysbench

HERE = pathlib.Path(__file__).resolve().parent
LUA = str(HERE / "migrating.lua")
ROWS, PARENTS = 100_000, 10_000

WORKLOADS = {  # name: (script, connections)
    "point select, 1": ("oltp_point_select", 1), "point select, 16": ("oltp_point_select", 16),
    "point select, 64": ("oltp_point_select", 64), "point select, 1000": ("oltp_point_select", 1000),
    "read-write, 16": ("oltp_read_write", 16), "write-only, 16": ("oltp_write_only", 16), "update by index, 16": ("oltp_update_index", 16),
}


class Plan:
    def __init__(self, seconds, rounds, quick, workloads=""):
        self.seconds, self.rounds, self.quick, self.workloads = seconds, rounds, quick, workloads


def medians(samples):
    """{peer: [{figure: value}]} -> {peer: {figure: median}}"""
    return {peer: {key: statistics.median(each[key] for each in runs) for key in runs[0]} for peer, runs in samples.items() if runs}


def with_ratios(table):
    base, floor = table.get("direct"), table.get("relay")
    for figures in table.values():
        if base and base.get("qps"):
            figures["qps_over_direct"] = figures["qps"] / base["qps"]
        if floor and floor.get("cpu_us") and figures.get("cpu_us"):
            figures["cpu_over_relay"] = figures["cpu_us"] / floor["cpu_us"]
            figures["qps_over_relay"] = figures["qps"] / floor["qps"]
    return table


def one_run(peer, script, threads, seconds, schema, *arguments):
    """One run of sysbench through `peer`: queries/s, its CPU for each query, p50, p99."""
    costs = []
    crowd = threads > 200  # making the connections would count
    mark = (lambda: costs.append(peer.cpu_ns())) if crowd else None
    before = peer.cpu_ns()
    run = sysbench(script, peer.port, threads, max(seconds, 3) if crowd else seconds, schema, *arguments, mark=mark)
    spent = costs[-1] - costs[0] if crowd and len(costs) > 1 else peer.cpu_ns() - before
    seconds = len(costs) - 1 if crowd and len(costs) > 1 else run.seconds
    return {"qps": run.queries / seconds, "cpu_us": spent / 1000 / run.queries, "p50_ms": run.p50, "p99_ms": run.p99, "queries": run.queries}


def rounds_of(world, plan, peers, script, threads, arguments=(), schema=lambda name: "sbtest", seen=lambda name, run: None):
    samples = {name: [] for name in peers}
    for turn in range(plan.rounds):
        order = peers if turn % 2 == 0 else list(reversed(peers))
        for name in order:
            samples[name].append(one_run(world.peers[name], script, threads, plan.seconds, schema(name), *arguments))
            seen(name, samples[name][-1])
            del samples[name][-1]["queries"]
    return with_ratios(medians(samples))


def present(world, names):
    return [name for name in names if name in world.peers]


def part_proxies(world, plan):
    """sysbench through everything; `rewritten` works on tables of which every statement is rewritten."""
    names = present(world, ["direct", "relay", "haproxy", "router", "none", "untouched", "rewritten"])
    schema = lambda name: "sbnew" if name == "rewritten" else "sbtest"
    out = {}
    for workload, (script, threads) in WORKLOADS.items():
        if plan.workloads not in workload or (plan.quick and not plan.workloads and workload in ("point select, 1000", "write-only, 16")):
            continue
        arguments = ["--table-size=%d" % ROWS, "--db-ps-mode=disable"]
        out[workload] = rounds_of(world, plan, names, script, threads, arguments, schema)
    return out


def part_prepared(world, plan):
    """The same as prepared statements, executed again and again."""
    names = present(world, ["direct", "relay", "none", "untouched", "rewritten"])
    schema = lambda name: "sbnew" if name == "rewritten" else "sbtest"
    arguments = ["--table-size=%d" % ROWS, "--db-ps-mode=auto"]
    workloads = {"point select, 16": ("oltp_point_select", 16), "read-write, 16": ("oltp_read_write", 16)}
    return {name: rounds_of(world, plan, names, script, threads, arguments, schema) for name, (script, threads) in workloads.items()}


def part_states(world, plan):
    """Statements on a key that migrates: dual writes, lookups by either key, reads compared on both sides."""
    names = present(world, ["direct", "relay", "rewritten"])
    schema = lambda name: "zoo" if name == "rewritten" else "plain"
    rows = "--rows=%d" % PARENTS
    out = {}
    if plan.workloads in "dual writes, text, 16":
        out["dual writes, text, 16"] = rounds_of(world, plan, names, LUA, 16, ["--op=write", rows], schema)
    if plan.workloads in "dual writes, prepared, 16":
        out["dual writes, prepared, 16"] = rounds_of(world, plan, names, LUA, 16, ["--op=write", "--prepared=1", rows], schema)
    if plan.workloads in "writes in steps, 16":
        out["writes in steps, 16"] = rounds_of(world, plan, names, LUA, 16, ["--op=steps", rows], schema)
    if plan.workloads in "either key, 16":
        samples = {name: [] for name in names}
        for _ in range(plan.rounds):
            for name in names:
                extra = ["--new=1"] if name == "rewritten" else []
                samples[name].append(one_run(world.peers[name], LUA, 16, plan.seconds, schema(name), "--op=either", rows, *extra))
                del samples[name][-1]["queries"]
        out["either key, 16"] = with_ratios(medians(samples))
    if plan.workloads in "reads, 10 % compared, 16":
        names = present(world, ["direct", "relay", "rewritten", "compared"])
        where = {"direct": "plain", "relay": "plain", "rewritten": "zoo", "compared": "pairs"}
        before, queries = world.compared("pairs"), [0]
        table = rounds_of(world, plan, names, LUA, 16, ["--op=read", rows], where.get, lambda name, run: queries.append(run["queries"] * (name == "compared")))
        time.sleep(3)  # until the last ones are in the control schema
        table["compared"]["compared_share"] = (world.compared("pairs") - before) / sum(queries)
        out["reads, 10 % compared, 16"] = table
    return out


def part_application(world, plan):
    """The demo's application, half of it prepared statements, without its pauses; it checks each reply as it does there."""
    schemas = {"direct": "debian", "relay": "debian", "haproxy": "debian", "router": "debian", "none": "debian", "untouched": "debian", "rewritten": "moving"}
    names = present(world, list(schemas)) if world.index else []
    samples, first = {name: [] for name in names}, 0
    for turn in range(plan.rounds):
        for name in names if turn % 2 == 0 else reversed(names):
            peer = world.peers[name]
            command = [world.build / "bench_application", "--index", world.index, "--port", peer.port, "--schema", schemas[name], "--first", first, "--seconds", plan.seconds]
            run = subprocess.Popen([str(part) for part in command + ["--either"] * (name == "rewritten")], stdout=subprocess.PIPE, text=True)
            run.stdout.readline()
            before = peer.cpu_ns()
            seen = run.stdout.readline()
            spent = peer.cpu_ns() - before
            if run.wait() != 0:
                raise RuntimeError(f"the application failed through {name}")
            seen, first = json.loads(seen), first + 16
            samples[name].append({"qps": seen["requests"] / seen["seconds"], "cpu_us": spent / 1000 / seen["requests"], "p50_ms": seen["p50_ms"], "p99_ms": seen["p99_ms"]})
    return {"the demo's application, 16": with_ratios(medians(samples))} if names else {}


def part_result(world, plan):
    """A result of 100,000 rows: CPU of the proxy for each MB."""
    names = present(world, ["direct", "relay", "haproxy", "router", "none", "untouched", "rewritten"])
    sql = "SELECT id, k, c, pad FROM sbtest1"
    samples = {name: [] for name in names}
    clients = {name: Client(world.peers[name].port, schema="sbnew" if name == "rewritten" else "sbtest") for name in names}
    sizes = {name: client.query(sql) for name, client in clients.items()}
    for _ in range(plan.rounds * 2):
        for name, client in clients.items():
            peer, size = world.peers[name], sizes[name]
            before, begun = peer.cpu_ns(), time.monotonic()
            for _ in range(3):
                client.read(sql, size)
            took = time.monotonic() - begun
            samples[name].append({"cpu_ms_mb": (peer.cpu_ns() - before) / 1e6 / (3 * size / 1e6), "mb_s": 3 * size / 1e6 / took})
    for client in clients.values():
        client.close()
    return {"100,000 rows": medians(samples)}


def part_connect(world, plan):
    """Connections made, one after the other: CPU of the proxy for each, with and without TLS to the client."""
    count = 300 if plan.quick else 1000
    out = {}
    for tls in (False, True):
        names = present(world, ["none", "untouched"] if tls else ["direct", "relay", "haproxy", "router", "none", "untouched"])
        samples = {name: [] for name in names}
        for _ in range(plan.rounds):
            for name in names:
                peer = world.peers[name]
                port = peer.tls_port if tls else peer.port
                for _ in range(10):
                    Client(port, tls).close()
                before, begun = peer.cpu_ns(), time.monotonic()
                for _ in range(count):
                    Client(port, tls).close()
                took = time.monotonic() - begun
                samples[name].append({"cpu_us": (peer.cpu_ns() - before) / 1000 / count, "per_s": count / took})
        out["TLS" if tls else "no TLS"] = medians(samples)
    return out


def part_idle(world, plan):
    """Memory of 64 busy and of many idle connections, and what a query costs beside those."""
    names = present(world, ["relay", "haproxy", "router", "none", "untouched"])
    crowd = 1000 if plan.quick else 5000
    out = {}
    for name in names:
        peer = world.peers[name]
        figures = {}
        arguments = ["oltp_point_select", 16, plan.seconds, "sbtest", "--table-size=%d" % ROWS, "--db-ps-mode=disable"]
        one_run(peer, *arguments)
        base = peer.memory_kib()
        alone = [one_run(peer, *arguments)["cpu_us"] for _ in range(plan.rounds)]
        process = subprocess.Popen(["sysbench", "oltp_point_select", "--mysql-host=127.0.0.1", f"--mysql-port={peer.port}", "--mysql-user=root", "--mysql-ssl=off",
                                    "--mysql-db=sbtest", "--threads=64", "--time=2", "--table-size=%d" % ROWS, "run"], stdout=subprocess.DEVNULL)
        time.sleep(1.2)
        figures["busy_64_kib"] = peer.memory_kib() - base
        process.wait()
        base = peer.memory_kib()
        clients = []
        for step in (crowd // 5, crowd):
            while len(clients) < step:
                clients.append(Client(peer.port))
            time.sleep(1.5)
            figures[f"idle_{step}_kib_each"] = (peer.memory_kib() - base) / step
            beside = [one_run(peer, *arguments)["cpu_us"] for _ in range(plan.rounds)]
            figures[f"cpu_us_beside_{step}"] = statistics.median(beside)
        figures["cpu_us_alone"] = statistics.median(alone)
        for client in clients:
            client.close()
        out[name] = figures
    return {"idle connections": out}


def _calls(peer, work, events, prepared):
    """System calls of `peer` while `events` point selects go through it."""
    file = work / "strace"
    tracer = subprocess.Popen(["strace", "-f", "-c", "-p", str(peer.pid), "-o", str(file)], stderr=subprocess.PIPE, text=True)
    while True:
        line = tracer.stderr.readline()
        if "attached" in line:
            break
        if not line:
            return None
    time.sleep(0.3)
    sysbench("oltp_point_select", peer.port, 1, 0, "sbtest", "--table-size=%d" % ROWS, f"--db-ps-mode={'auto' if prepared else 'disable'}", events=events)
    tracer.send_signal(signal.SIGINT)
    tracer.wait()
    return {match[2]: int(match[1]) for match in re.finditer(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)$", file.read_text(), re.M) if match[2] != "total"}


def part_syscalls(world, plan):
    """System calls for each point select, the difference of a long and a short run."""
    if not shutil.which("strace"):
        return {}
    out = {}
    for name in present(world, ["relay", "haproxy", "router", "none", "untouched"]):
        few, many = (_calls(world.peers[name], world.work, events, False) for events in (200, 1200))
        if few is None or many is None:
            return {}
        each = {call: (count - few.get(call, 0)) / 1000 for call, count in many.items()}
        each = {call: round(count, 2) for call, count in each.items() if count >= 0.02}
        out[name] = {"calls": round(sum(each.values()), 2), **each}
    return {"point select": out}


def part_scale(world, plan):
    """Cost against the number of migrations that are configured and of plans that are used."""
    names = present(world, ["none", "migrations_1", "migrations_10", "migrations_100"])
    arguments = ["--table-size=%d" % ROWS, "--db-ps-mode=disable"]
    out = {"untouched point select, 16": rounds_of(world, plan, ["relay", *names], "oltp_point_select", 16, arguments)}
    shapes = {}
    peer = world.peers["rewritten"]
    for count in (1, 100, 5000, 50000):
        before = _plan_cache(peer)
        runs = [one_run(peer, LUA, 16, plan.seconds, "zoo", "--op=shapes", f"--shapes={count}", "--rows=%d" % PARENTS) for _ in range(plan.rounds)]
        after = _plan_cache(peer)
        figures = {key: statistics.median(run[key] for run in runs) for key in runs[0] if key != "queries"}
        hits, misses = (after.get(key, 0) - before.get(key, 0) for key in ("hits", "misses"))
        if hits + misses > 0:
            figures["hit_rate"] = hits / (hits + misses)
        figures["plans"] = after.get("entries", 0)
        shapes[f"{count} shapes"] = figures
    out["statements of different shape, 16"] = shapes
    return out


def _plan_cache(peer):
    with urllib.request.urlopen(f"http://127.0.0.1:{peer.admin}/metrics", timeout=5) as reply:
        text = reply.read().decode()
    return {name: float(value) for name, value in re.findall(r"^crossfade_plan_cache_(\w+?)(?:_total)? ([\d.e+]+)$", text, re.M)}


PARTS = {"proxies": part_proxies, "prepared": part_prepared, "states": part_states, "application": part_application, "result": part_result, "connect": part_connect,
         "idle": part_idle, "syscalls": part_syscalls, "scale": part_scale, "fence": bench_phases.part_fence, "gate": bench_phases.part_gate}


def start_peers(world, parts, rounds):
    """What the parts need."""
    wants = lambda *names: any(name in parts for name in names)
    application = wants("application") and world.load_application(["debian", "moving"])
    world.fill(ROWS, PARENTS)
    world.relay()
    if wants("proxies", "application", "result", "connect", "idle", "syscalls"):
        world.haproxy()
        world.router()
    world.crossfade("none", "")
    quiet = bench_peers.quiet_migrations
    if wants("proxies", "prepared", "application", "result", "connect", "idle", "syscalls"):
        world.crossfade("untouched", quiet(10), note="10 migrations of other tables")
    if wants("proxies", "prepared", "application", "result", "states", "scale", "fence"):
        migrations = {"sbnew": bench_peers.columns_migration("sbnew"), "zoo": bench_peers.keys_migration("zoo")}
        if application:
            migrations["moving"] = bench_peers.application_migration("moving")
        world.crossfade("rewritten", "".join(migrations.values()), walks=[(name, "cutover", 100) for name in migrations])
    if wants("states"):
        world.crossfade("compared", bench_peers.keys_migration("pairs", "    compare_reads: {share: 10}\n"), walks=[("pairs", "cutover", 100)])
    if wants("gate"):
        bench_phases.start(world, rounds)
    if wants("scale"):
        for count in (1, 10, 100):
            world.crossfade(f"migrations_{count}", quiet(count))
