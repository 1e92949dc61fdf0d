#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes fuzz seeds: seeds.py DIRECTORY makes DIRECTORY/{messages,reply,compression,proxyheader}/ of the captured streams, and
DIRECTORY/{parse,plan}/ of the golden cases, with DIRECTORY/{parse,plan}.dict of the words they and the grammar have."""
import csv, glob, os, re, sys

KINDS = {"generic": 0, "prepare": 1, "fieldlist": 2, "single": 3, "fetch": 4}  # ReplyTracker::Kind
MESSAGES = {"greeting": 0, "login": 1, "execute": 4}  # the switch of protocol_messages_fuzz.cc

root = os.path.dirname(os.path.abspath(__file__))
for folder in ("messages", "reply", "compression", "proxyheader", "parse", "plan"):
    os.makedirs(os.path.join(sys.argv[1], folder), exist_ok=True)
with open(os.path.join(root, "../protocol/vectors.csv"), newline="") as file:
    for number, (engine, name, kind, capabilities, expect, data) in enumerate(csv.reader(file)):
        caps = int(capabilities, 16).to_bytes(8, "little")
        stream = bytes.fromhex(data.split("|")[0])
        if len(stream) > 4096:
            continue
        if kind == "generic":
            with open(os.path.join(sys.argv[1], "messages", f"{number}"), "wb") as out:
                out.write(bytes([5]) + caps + stream[4:4 + int.from_bytes(stream[:3], "little")])
        if kind in KINDS:
            folder, seed = "reply", bytes([KINDS[kind], 7]) + caps + stream
        else:
            folder, seed = "messages", bytes([MESSAGES[kind]]) + caps + stream
        with open(os.path.join(sys.argv[1], folder, f"{number}"), "wb") as out:
            out.write(seed)
with open(os.path.join(root, "../protocol/compressed.csv"), newline="") as file:
    for number, (name, method, direction, stream, plain) in enumerate(csv.reader(file)):
        head = bytes([(method == "zlib") | (direction == "client") << 1, 7])  # as protocol_compression_fuzz.cc reads it
        with open(os.path.join(sys.argv[1], "compression", f"{number}"), "wb") as out:
            out.write(head + bytes.fromhex(stream)[:4000])
V2 = b"\r\n\r\n\0\r\nQUIT\n"
TCP4 = bytes([0xC0, 0, 2, 7, 10, 1, 2, 3, 0x12, 0x34, 0x0C, 0xEA])
for number, header in enumerate((
        b"PROXY TCP4 192.0.2.7 10.1.2.3 4660 3306\r\n", b"PROXY TCP6 2001:db8::1 ::1 65535 0\r\n", b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ffff:f...f:ffff ffff 65535 65535\r\n", V2 + b"\x20\x00\0\0", V2 + b"\x21\x11\0\x0c" + TCP4,
        V2 + b"\x21\x21\0\x24" + bytes(36), V2 + b"\x21\x31\0\xd8" + bytes(216),
        V2 + b"\x21\x11\0\x1a" + TCP4 + b"\4\0\4noop" + b"\3\0\4\0\0\0\0")):
    with open(os.path.join(sys.argv[1], "proxyheader", f"{number}"), "wb") as out:
        out.write(header)

# As rewrite_parse_fuzz.cc and rewrite_plan_fuzz.cc read them.
SQL_MODES = {"ANSI_QUOTES": 1, "NO_BACKSLASH_ESCAPES": 2, "PIPES_AS_CONCAT": 4, "IGNORE_SPACE": 8, "HIGH_NOT_PRECEDENCE": 16,
             "SIMULTANEOUS_ASSIGNMENT": 32, "ORACLE": 64}
words = set()
with open(os.path.join(root, "../../rewrite/keywords.h")) as file:
    keywords = re.findall(r'X\(k\w+, "(\w+)"', file.read())
number = 0
for name in sorted(glob.glob(os.path.join(root, "../golden/*.test"))):
    with open(name, newline="") as file:
        cases = file.read().split("\n=== ")[1:]
    for case in cases:
        lines = case.split("\n--- ")[0].split("\n")[1:]
        options = " ".join(line[2:] for line in lines if line.startswith("@ "))
        sql = "\n".join(line for line in lines if not line.startswith("@ ")).strip()
        if len(sql) > 2000:
            continue
        words.update([word for word in re.findall(r"[A-Za-z_]\w{2,}", sql) if word.isascii()])
        maria = "dialect=mariadb" in options
        mode = sum(bit for word, bit in SQL_MODES.items() if word in options)
        with open(os.path.join(sys.argv[1], "parse", f"{number}"), "wb") as out:
            out.write(bytes([3 if maria else 2, mode, 0]) + sql.encode())
        # In three states each: dual_write, cutover of the new cohort, retire.
        for state in (2, 6, 7):
            flags = ("schema=zoo" in options) | ("prepared" in options) << 1
            with open(os.path.join(sys.argv[1], "plan", f"{number}.{state}"), "wb") as out:
                out.write(bytes([maria | state << 1, mode, 0, flags, 0]) + sql.encode())
        number += 1
for folder in ("parse", "plan"):
    with open(os.path.join(sys.argv[1], folder + ".dict"), "w") as out:
        for word in sorted(words | set(keywords)):
            out.write(f'"{word} "\n')
        for sign in ("<=>", "->>", "->", ":=", "/*!80000 ", "/*M! ", "*/", "/*+ ", "||", "&&", "<<", "@@", "@v", "?, ?", "(?)", "'a'", "_utf8mb4'", "0x61", "b'1'", "\\N", "`", ".*", "''"):
            out.write('"' + "".join(f"\\x{byte:02x}" for byte in sign.encode()) + '"\n')
