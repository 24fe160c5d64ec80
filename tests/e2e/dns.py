#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A name server for one phone's namespace, for clients that do not read /etc/hosts: `dns.py NAME ADDRESS` answers A of
that name, says that it has nothing else, and that no other name is there."""

import socket
import struct
import sys


def answer(query, name, address):
    """The reply to one query (RFC 1035), or None if it is none."""
    if len(query) < 17 or query[2] & 0x80:
        return None
    at, labels = 12, []
    while at < len(query) and query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("ascii", "replace"))
        at += 1 + query[at]
    kind, = struct.unpack_from("!H", query, at + 1)
    known = ".".join(labels).lower() == name
    record = b""
    if known and kind == 1:
        record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton(address)
    flags = 0x8400 if known else 0x8403
    return (query[:2] + struct.pack("!HHHHH", flags, 1, 1 if record else 0, 0, 0) + query[12:at + 5] + record)


def main():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 53))
    print("ready", flush=True)
    while True:
        query, source = sock.recvfrom(1500)
        try:
            reply = answer(query, sys.argv[1], sys.argv[2])
        except (IndexError, struct.error):
            continue
        if reply:
            sock.sendto(reply, source)


if __name__ == "__main__":
    main()
