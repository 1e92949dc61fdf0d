# SPDX-License-Identifier: Apache-2.0
# What the harness sends itself: connections that only log in (user root, no password), one result read as bytes, and
# sysbench with its output read. Standard library only.
import re
import socket
import ssl
import struct
import subprocess
import time

PROTOCOL_41, SSL, SECURE, PLUGIN_AUTH, LONG_PASSWORD, WITH_DB = 0x200, 0x800, 0x8000, 0x80000, 1, 8


def _exactly(sock, size):
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise ConnectionError("closed")
        data += piece
    return bytes(data)


def _packet(sock):
    head = _exactly(sock, 4)
    return _exactly(sock, head[0] | head[1] << 8 | head[2] << 16), head[3]


def _send(sock, sequence, payload):
    sock.sendall(struct.pack("<I", len(payload))[:3] + bytes([sequence]) + payload)


class Client:
    """A connection to 127.0.0.1:port as root, logged in."""

    def __init__(self, port, tls=False, schema=""):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        greeting, _ = _packet(self.sock)
        if greeting[0] == 0xFF:
            raise ConnectionError(greeting[3:].decode(errors="replace"))
        at = greeting.index(b"\0", 1) + 1 + 4 + 8 + 1
        offered = struct.unpack_from("<H", greeting, at)[0] | struct.unpack_from("<H", greeting, at + 5)[0] << 16
        plugin = greeting[at + 18:].split(b"\0")[1] if offered & PLUGIN_AUTH else b""
        wanted = LONG_PASSWORD | PROTOCOL_41 | SECURE | PLUGIN_AUTH | (SSL if tls else 0) | (WITH_DB if schema else 0)
        head = struct.pack("<IIB23x", wanted, 1 << 24, 45)
        sequence = 1
        if tls:
            _send(self.sock, sequence, head)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.sock = context.wrap_socket(self.sock)
            sequence += 1
        name = (schema.encode() + b"\0") if schema else b""
        _send(self.sock, sequence, head + b"root\0" + b"\0" + name + plugin + b"\0")
        while True:
            reply, sequence = _packet(self.sock)
            if reply[0] == 0xFF:
                raise ConnectionError(reply[3:].decode(errors="replace"))
            if reply[0] == 0x00:
                return
            if reply[0] == 0xFE:
                _send(self.sock, sequence + 1, b"")

    def send(self, sql):
        _send(self.sock, 0, b"\3" + sql.encode())

    def reply(self):
        """Reads an OK or a result set to its end; its bytes."""
        size = ends = 0
        while ends < 2:
            packet, _ = _packet(self.sock)
            if packet[0] == 0xFF:
                raise RuntimeError(packet[3:].decode(errors="replace"))
            if size == 0 and packet[0] == 0x00:
                return 4 + len(packet)
            size += 4 + len(packet)
            ends += packet[0] == 0xFE and len(packet) < 9
        return size

    def query(self, sql):
        self.send(sql)
        return self.reply()

    def prepare(self, sql):
        """The statement's id."""
        _send(self.sock, 0, b"\x16" + sql.encode())
        head, _ = _packet(self.sock)
        if head[0] == 0xFF:
            raise RuntimeError(head[3:].decode(errors="replace"))
        statement, columns, params = struct.unpack_from("<IHH", head, 1)
        for count in (params, columns):
            for _ in range(count + 1 if count else 0):
                _packet(self.sock)
        return statement

    def execute(self, statement, values):
        """`values`: integers and strings."""
        types = b"".join(b"\x08\0" if isinstance(value, int) else b"\xfd\0" for value in values)
        data = b"".join(struct.pack("<q", value) if isinstance(value, int) else bytes([len(value)]) + value.encode() for value in values)
        _send(self.sock, 0, b"\x17" + struct.pack("<IBI", statement, 0, 1) + b"\0" * ((len(values) + 7) // 8) + b"\1" + types + data)
        return self.reply()

    def read(self, sql, size):
        """The same once more, its bytes thrown away unread."""
        self.send(sql)
        buffer = bytearray(1 << 18)
        while size > 0:
            size -= self.sock.recv_into(buffer, min(size, len(buffer)))

    def close(self):
        try:
            _send(self.sock, 0, b"\1")
        except OSError:
            pass
        self.sock.close()


class Run:
    """What one run of sysbench came to."""

    def __init__(self, queries, seconds, p50, p99):
        self.queries, self.seconds, self.p50, self.p99 = queries, seconds, p50, p99


def _quantile(histogram, share):
    total, seen = sum(count for _, count in histogram), 0
    for value, count in histogram:
        seen += count
        if seen >= total * share:
            return value
    return 0.0


def sysbench(script, port, threads, seconds, schema, *arguments, mark=None, events=0):
    """`mark`: called after the connections are made and again before they are closed; queries are those between."""
    command = ["sysbench", script, "--db-driver=mysql", "--mysql-host=127.0.0.1", f"--mysql-port={port}", "--mysql-user=root",
               "--mysql-ssl=off", f"--mysql-db={schema}", f"--threads={threads}", f"--time={0 if events else seconds}",
               f"--events={events}", "--histogram=on", "--rand-type=uniform", *arguments]
    if mark is not None:
        command.append("--report-interval=1")
    command.append("run")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines, between, begun = [], 0.0, None
    for line in process.stdout:
        lines.append(line)
        reported = re.match(r"\[ \d+s \].* qps: ([\d.]+)", line)
        if mark is not None and reported:
            if begun is None:
                begun = time.monotonic()
            else:
                between += float(reported[1])
            mark()
    process.wait()
    out = "".join(lines)
    if process.returncode != 0 or "queries:" not in out:
        raise RuntimeError(f"sysbench {script} on port {port}: {out[-600:]}")
    histogram = [(float(value), int(count)) for value, count in re.findall(r"^\s*([\d.]+) \|\**\s+(\d+)$", out, re.M)]
    queries = int(re.search(r"queries:\s+(\d+)", out)[1])
    took = float(re.search(r"total time:\s+([\d.]+)s", out)[1])
    if mark is not None and between > 0:
        queries = between
    return Run(queries, took, _quantile(histogram, 0.5), _quantile(histogram, 0.99))
