#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the captured streams as fuzz seeds: seeds.py DIRECTORY makes DIRECTORY/{messages,reply,compression}/."""
import csv, os, sys

KINDS = {"generic": 0, "prepare": 1, "fieldlist": 2, "single": 3, "fetch": 4}  # ReplyTracker::Kind
MESSAGES = {"greeting": 0, "login": 1, "execute": 4}  # the switch of protocol_messages_fuzz.cc

root = os.path.dirname(os.path.abspath(__file__))
for folder in ("messages", "reply", "compression"):
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
