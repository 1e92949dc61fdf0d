#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Captures the compressed protocol between real clients and servers, as rows of compressed.csv on standard output.

    capture_compressed.py NAME:METHOD:PORT:COMMAND with {port}... > compressed.csv

A relay stands between the client that COMMAND starts and the server on PORT; root needs no password there, and the client
must not use TLS. METHOD is zlib or zstd. Columns: name, method, direction (client, server: who sent it), the pieces as
they were sent after the login, and what is in them (both hex).
"""
import shlex, socket, subprocess, sys, threading, zlib


def exactly(connection, n):
    data = b""
    while len(data) < n:
        piece = connection.recv(n - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def packet(source, target):
    header = exactly(source, 4)
    payload = exactly(source, int.from_bytes(header[:3], "little"))
    target.sendall(header + payload)
    return payload


def pour(source, target, seen):
    try:
        while data := source.recv(1 << 16):
            seen.append(data)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def unpack(method, data):
    if method == "zlib":
        return zlib.decompress(data)
    return subprocess.run(["zstd", "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout


def plain(method, stream):
    out = b""
    while stream:
        length, before = int.from_bytes(stream[:3], "little"), int.from_bytes(stream[4:7], "little")
        piece, stream = stream[7:7 + length], stream[7 + length:]
        out += unpack(method, piece) if before else piece
    return out


for argument in sys.argv[1:]:
    name, method, port, command = argument.split(":", 3)
    listener = socket.create_server(("127.0.0.1", 0))
    client = subprocess.Popen(shlex.split(command.replace("{port}", str(listener.getsockname()[1]))), stdout=subprocess.DEVNULL)
    a, _ = listener.accept()
    b = socket.create_connection(("127.0.0.1", int(port)))
    packet(b, a), packet(a, b)
    answer = packet(b, a)
    assert answer[0] == 0, answer
    seen = [], []
    threads = [threading.Thread(target=pour, args=(a, b, seen[0])), threading.Thread(target=pour, args=(b, a, seen[1]))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.wait() == 0, command
    for direction, data in zip(("client", "server"), seen):
        stream = b"".join(data)
        print(",".join((name, method, direction, stream.hex(), plain(method, stream).hex())))
