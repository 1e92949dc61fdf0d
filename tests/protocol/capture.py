#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Captures what real servers and clients send, as rows of vectors.csv on standard output.

    capture.py mysql=127.0.0.1:3306 mariadb=127.0.0.1:3307 [--client "NAME=COMMAND with {port}"]... > vectors.csv

The servers must let root in without a password, and allow LOCAL INFILE. A reply ends here when the server
has been silent for 0.2 s, so the vectors know nothing of our own idea of where a reply ends.
Columns: engine, name, kind, capabilities (hex), expectations, payload or stream (hex; `|` where the client's file is sent).
"""
import shlex, socket, struct, subprocess, sys, threading

LONG_PASSWORD, FOUND_ROWS, LOCAL, P41, TRANSACTIONS, SECURE = 1, 2, 1 << 7, 1 << 9, 1 << 13, 1 << 15
MULTI_STATEMENTS, MULTI_RESULTS, PS_MULTI, PLUGIN_AUTH = 1 << 16, 1 << 17, 1 << 18, 1 << 19
SESSION_TRACK, DEPRECATE_EOF, OPTIONAL_METADATA, QUERY_ATTRIBUTES = 1 << 23, 1 << 24, 1 << 25, 1 << 27
PROGRESS, EXTENDED_METADATA, CACHE_METADATA = 1 << 32, 1 << 35, 1 << 36
BASE = P41 | TRANSACTIONS | SECURE | PLUGIN_AUTH | MULTI_STATEMENTS | MULTI_RESULTS | PS_MULTI | LOCAL
MARIADB_ONLY = PROGRESS | EXTENDED_METADATA | CACHE_METADATA
QUERY, FIELD_LIST, STATISTICS, PING, PREPARE, EXECUTE, FETCH, RESET = 3, 4, 9, 14, 22, 23, 28, 31


class Session:
    def __init__(self, address, capabilities):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)))
        self.greeting = self.packet()
        end = self.greeting.index(0, 1) + 14
        low, _, _, high = struct.unpack_from("<HBHH", self.greeting, end)
        offered = low | high << 16
        self.mariadb = not offered & LONG_PASSWORD
        if self.mariadb:
            offered |= struct.unpack_from("<I", self.greeting, end + 14)[0] << 32
        else:
            capabilities = capabilities & ~MARIADB_ONLY | LONG_PASSWORD
        self.capabilities = capabilities & offered
        login = struct.pack("<IIB19sI", self.capabilities & 0xFFFFFFFF, 1 << 24, 45, b"", self.capabilities >> 32)
        plugin = b"mysql_native_password" if self.mariadb else b"caching_sha2_password"
        login += b"root\0\0" + plugin + b"\0"
        self.send(login, 1)
        answer = self.packet()
        assert answer[0] == 0, answer

    def send(self, payload, sequence=0):
        self.socket.sendall(struct.pack("<I", len(payload) | sequence << 24) + payload)

    def exactly(self, n):
        data = b""
        while len(data) < n:
            piece = self.socket.recv(n - len(data))
            assert piece
            data += piece
        return data

    def packet(self):
        header = self.exactly(4)
        return self.exactly(int.from_bytes(header[:3], "little"))

    def silence(self):
        data = b""
        self.socket.settimeout(3)  # for the first byte
        try:
            while True:
                data += self.socket.recv(1 << 20)
                self.socket.settimeout(0.2)
        except TimeoutError:
            return data

    def ask(self, command, argument=b""):
        self.send(bytes([command]) + (argument.encode() if isinstance(argument, str) else argument))
        return self.silence()


def row(*fields):
    print(",".join(fields))


def bind(value):
    return bytes([8, 0]), struct.pack("<q", value)


def execute(session, statement, flags, values):
    tracked = session.capabilities & QUERY_ATTRIBUTES
    body = struct.pack("<IBI", statement, flags | (8 if tracked else 0), 1)
    if values or tracked:
        if tracked:
            body += bytes([len(values)])
        if values:
            body += bytes((len(values) + 7) // 8) + b"\1"
            body += b"".join(bind(v)[0] + (b"\0" if tracked else b"") for v in values)
            body += b"".join(bind(v)[1] for v in values)
    return body


def replies(engine, address, capabilities):
    session = Session(address, capabilities)
    caps = f"{session.capabilities:x}"
    query = lambda text: session.ask(QUERY, (b"\0\1" if session.capabilities & QUERY_ATTRIBUTES else b"") + text.encode())
    for text in ("drop database if exists cf_protocol", "create database cf_protocol", "use cf_protocol",
                 "create table t (id int primary key auto_increment, v varchar(20))", "set global local_infile=1",
                 "create procedure p() begin select 1; select 'a' where 1=0; update t set v='z'; end",
                 "set session session_track_state_change=1", "set session session_track_transaction_info='CHARACTERISTICS'"):
        query(text)
    out = lambda name, kind, expect, data: row(engine, name, kind, caps, expect, data.hex())
    for name, expect, text in [
        ("insert", "affected=2;insert_id=1", "insert into t(v) values ('a'),('b')"),
        ("insert_ignore_warning", "affected=1;insert_id=9;warnings=1", "insert ignore into t(id,v) values (9,repeat('x',30))"),
        ("update_info", "affected=1;insert_id=0", "update t set v='c' where id<=1"),
        ("select_rows", "columns=2", "select id, v from t"),
        ("select_none", "columns=2", "select id, v from t where id<0"),
        ("select_null_first", "columns=1", "select null union all select 1"),
        ("select_300_columns", "columns=300", "select " + ",".join(str(i) for i in range(300))),
        ("select_long_row", "columns=1", "select repeat('x', 1000)"),
        ("two_results", "columns=1", "select 1; select 2"),
        ("three_oks", "affected=0", "do 1; do 2; do 3"),
        ("error_second", "error=1064", "select 1; selec 2"),
        ("error_in_rows", "error=*", "select id, if(id<9, id, (select id from t)) from t"),
        ("call", "affected=*", "call p()"),
        ("error_unknown", "error=1146", "select * from nowhere"),
        ("begin", "affected=0;status_has=1", "begin"),
        ("no_backslash", "affected=0;status_has=200", "set sql_mode='NO_BACKSLASH_ESCAPES'"),
        ("commit", "affected=0;status_lacks=1", "commit"),
        ("names", "affected=0;track=character_set_client:latin1", "set names latin1"),
        ("schema", "affected=0;track=schema:mysql", "use mysql"),
        ("schema_back", "affected=0;track=schema:cf_protocol", "use cf_protocol"),
        ("alter_progress", "affected=*", "alter table t engine=innodb, algorithm=copy"),
    ]:
        if name != "select_300_columns" or capabilities in (BASE, BASE | DEPRECATE_EOF):
            out(name, "generic", expect, query(text))
    out("ping", "generic", "affected=0", session.ask(PING))
    out("statistics", "single", "", session.ask(STATISTICS))
    out("unknown_command", "generic", "error=1047", session.ask(99))
    out("field_list", "fieldlist", "", session.ask(FIELD_LIST, b"t\0%"))
    out("field_list_error", "fieldlist", "error=1146", session.ask(FIELD_LIST, b"nowhere\0%"))
    session.send(bytes([QUERY]) + (b"\0\1" if session.capabilities & QUERY_ATTRIBUTES else b"") +
                 b"load data local infile 'some.csv' into table t(v)")
    first = session.silence()
    session.send(b"one\ntwo\nthree\n", 2)
    session.send(b"", 3)
    row(engine, "local_infile", "generic", caps, "affected=3", first.hex() + "|" + session.silence().hex())
    for name, text, params, columns in [("prepare_select", "select id, v from t where id > ? and id < ?", 2, 2),
                                        ("prepare_no_params", "select id from t", 0, 1), ("prepare_no_columns", "delete from t where id=?", 1, 0),
                                        ("prepare_neither", "do 1", 0, 0)]:
        reply = session.ask(PREPARE, text)
        out(name, "prepare", f"params={params};columns={columns}", reply)
        statement = struct.unpack_from("<I", reply, 5)[0]
        if columns == 2:
            for name, flags in (("execute", 0), ("execute_again", 0), ("execute_cursor", 1)):
                sent = execute(session, statement, flags, [0, 100])
                row(engine, name, "execute", caps, f"params={params};statement={statement}", sent.hex())
                out(name, "generic", f"columns={columns}", session.ask(EXECUTE, sent))
            for name, count in (("fetch_two", 2), ("fetch_rest", 1000), ("fetch_past_end", 10)):
                out(name, "fetch", "error=*" if name == "fetch_past_end" else "", session.ask(FETCH, struct.pack("<II", statement, count)))
        if columns == 1:
            sent = execute(session, statement, 0, [])
            row(engine, "execute_no_params", "execute", caps, f"params=0;statement={statement}", sent.hex())
            out("execute_no_params", "generic", "columns=1", session.ask(EXECUTE, sent))
    out("prepare_error", "prepare", "error=1064", session.ask(PREPARE, "selec"))
    if session.capabilities & OPTIONAL_METADATA:
        query("set resultset_metadata=none")
        out("select_no_metadata", "generic", "columns=2", query("select id, v from t"))
        reply = session.ask(PREPARE, "select id, v from t where id=?")
        out("prepare_no_metadata", "prepare", "params=1;columns=2", reply)
        out("execute_no_metadata", "generic", "columns=2", session.ask(EXECUTE, execute(session, struct.unpack_from("<I", reply, 5)[0], 0, [1])))
    out("reset_connection", "generic", "affected=0", session.ask(RESET))
    query("drop database cf_protocol")
    return session


def login(engine, name, address, command):
    """Runs a real client through a relay and keeps its first message."""
    host, port = address.rsplit(":", 1)
    listener = socket.create_server(("127.0.0.1", 0))
    seen = []

    def relay():
        client, _ = listener.accept()
        server = socket.create_connection((host, int(port)))
        client.sendall(server.recv(65536))
        seen.append(client.recv(65536))
        client.close(), server.close()

    threading.Thread(target=relay, daemon=True).start()
    client = subprocess.Popen(shlex.split(command.replace("{port}", str(listener.getsockname()[1]))), stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        client.wait(5)
    except subprocess.TimeoutExpired:
        client.kill()
    if seen and seen[0]:  # a client may refuse to log in
        row(engine, name, "login", "0", "", seen[0][4:].hex())


def main():
    servers = dict(a.split("=", 1) for a in sys.argv[1:] if a.startswith(("mysql=", "mariadb=")))
    clients = [sys.argv[i + 1].split("=", 1) for i, a in enumerate(sys.argv) if a == "--client"]
    for engine, address in servers.items():
        greeted = False
        for extra in (0, SESSION_TRACK, DEPRECATE_EOF, DEPRECATE_EOF | SESSION_TRACK | QUERY_ATTRIBUTES,
                      SESSION_TRACK | OPTIONAL_METADATA | CACHE_METADATA | EXTENDED_METADATA | PROGRESS,
                      DEPRECATE_EOF | OPTIONAL_METADATA | CACHE_METADATA | EXTENDED_METADATA | PROGRESS):
            session = replies(engine, address, BASE | extra)
            if not greeted:
                row(engine, "greeting", "greeting", "0", "", session.greeting.hex())
                greeted = True
        for name, command in clients:
            login(engine, name, address, command)


main()
