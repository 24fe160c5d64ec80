#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Memory of a registered phone, UDP and TLS, ours beside Kamailio's as a registrar in memory.

Growth of the proportional set size of all processes (smaps_rollup) from before the first phone to when the last is
registered, over the number of phones. A few hundred phones that come and go first warm each side up. The pace matters
to us: on UDP a transaction stays for 32 s after its answer (RFC 3261 timer J), and 10,000 phones that refresh every
90 s, the default, keep 3,500 of them; Kamailio answers without one.

  bench/signalling/memory.py [--binary FILE] [--phones N] [--rate N]
"""
import argparse
import json
import subprocess
import sys
import time

import bench
import gateway
import kamailio

PORTS = {"udp": 5060, "tls": 5061}
REGISTRAR_PORT = 5070


def phones_start(place, transport, address, count, rate):
    process = bench.Process(place, "phones", [
        sys.executable, bench.HERE / "phones.py", transport, "%s:%d" % (address, PORTS[transport]), count, rate,
        *bench.PHONES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    line = process.popen.stdout.readline()
    if not line:
        raise SystemExit("phones ended: " + process.tail())
    return process, json.loads(line)


def phones_end(process):
    process.popen.stdin.close()
    process.popen.wait(60)


def measure(options, place, transport, side):
    """Bytes a phone, and how many registered."""
    if side == "ours":
        bench.Process(place, "registrar", [sys.executable, bench.HERE / "registrar.py", bench.CALLEES, REGISTRAR_PORT])
        bench.wait_for("the registrar to listen", lambda: bench.listens_udp(bench.CALLEES, REGISTRAR_PORT))
        server = gateway.Gateway(place, options.binary, "%s:%d" % (bench.CALLEES, REGISTRAR_PORT), "relay")
        address = bench.OURS_OUTSIDE
    else:
        server, address = kamailio.Kamailio(place, kamailio.REGISTRAR), bench.THEIRS
    warm, _ = phones_start(place, transport, address, 200, options.rate)
    phones_end(warm)
    time.sleep(options.rest_s)
    before = server.memory_bytes()
    process, report = phones_start(place, transport, address, options.phones, options.rate)
    at_once = server.memory_bytes()
    time.sleep(options.rest_s)
    after = server.memory_bytes()
    phones_end(process)
    bench.say("%s, %s: %s; %.1f MB before, %.1f MB when the last had registered, %.1f MB at rest" % (
        side, transport, report, before / 1e6, at_once / 1e6, after / 1e6))
    return (after - before) / max(report["registered"], 1), report["registered"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=bench.SOURCE / "build/ringwall")
    parser.add_argument("--phones", type=int, default=10000)
    parser.add_argument("--rate", type=int, default=120,
                        help="registrations a second; by default as 10,000 UDP phones refresh every 90 s")
    parser.add_argument("--rest-s", type=int, default=10, help="before memory is read")
    parser.add_argument("--sides", default="ours,theirs")
    parser.add_argument("--transports", default="udp,tls")
    options = parser.parse_args()
    good = True
    for transport in options.transports.split(","):
        bytes_a_phone = {}
        for side in options.sides.split(","):
            with bench.Place() as place:
                bytes_a_phone[side], registered = measure(options, place, transport, side)
            good &= registered == options.phones
        if len(bytes_a_phone) < 2:
            continue
        ratio = bytes_a_phone["ours"] / bytes_a_phone["theirs"]
        bench.result(work="memory of a registered phone, %s, %d phones" % (transport.upper(), options.phones),
                     unit="bytes", peer="Kamailio 5.6 (usrloc in memory; tlsf)", ours=round(bytes_a_phone["ours"]),
                     theirs=round(bytes_a_phone["theirs"]), ratio=round(ratio, 3), goal=1.0,
                     rate=options.rate, met=good and ratio <= 1)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
