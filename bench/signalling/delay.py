#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Setup delay that a gateway adds: from INVITE to its 200 when the callee answers at once, less what the same caller and
callee need without anybody between them. Ours beside Kamailio (dialogs, topology hiding) with rtpengine, in turns, a hundred
calls a second, UDP on both sides.

  bench/signalling/delay.py [--binary FILE] [--calls N] [--rate N] [--turns N]
"""
import argparse
import re
import select
import socket
import statistics
import sys
import time

import bench
import gateway
import kamailio

CALLEE_PORTS = {"ours": 5064, "theirs": 5065, "nobody": 5066}
CALLER_PORT = 5067
SDP = ("v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n"
       "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n")


def bound(host, port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, port))
    return sock


def lines(text, name):
    return re.findall(r"(?im)^%s: *(.*?)\r$" % name, text)


class Pair:
    """A caller and a callee on sockets of their own, driven by one loop."""

    def __init__(self, remote, callee_port):
        self.remote, self.count, self.began, self.delays = remote, 0, {}, []
        self.caller, self.callee = bound(bench.CALLERS, CALLER_PORT), bound(bench.CALLEES, callee_port)
        self.prefix = "%x" % time.monotonic_ns()

    def close(self):
        self.caller.close()
        self.callee.close()

    def request(self, method, uri, to, call_id, cseq, routes, body=""):
        text = ("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%d;branch=z9hG4bK%s%s%d;rport\r\nMax-Forwards: 70\r\n%s"
                "From: <sip:1001@%s>;tag=%s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\nContact: <sip:1001@%s:%d>\r\n%s"
                "Content-Length: %d\r\n\r\n%s" % (
                    method, uri, bench.CALLERS, CALLER_PORT, call_id, method, cseq,
                    "".join("Route: %s\r\n" % r for r in routes), bench.CALLERS, call_id, to, call_id, cseq, method,
                    bench.CALLERS, CALLER_PORT, "Content-Type: application/sdp\r\n" if body else "", len(body), body))
        self.caller.sendto(text.encode(), self.remote)

    def call(self):
        self.count += 1
        call_id = "%s-%d" % (self.prefix, self.count)
        self.began[call_id] = time.perf_counter()
        self.request("INVITE", "sip:1002@%s:%d" % self.remote, "<sip:1002@%s>" % self.remote[0], call_id, 1, [],
                     SDP.format(host=bench.CALLERS))

    def caller_hears(self):
        text = self.caller.recv(65535).decode()
        now = time.perf_counter()
        call_id, cseq = lines(text, "Call-ID")[0], lines(text, "CSeq")[0]
        if not text.startswith("SIP/2.0 200") or not cseq.endswith("INVITE") or call_id not in self.began:
            return
        self.delays.append(now - self.began.pop(call_id))
        target, to = re.search(r"<([^>]+)>", lines(text, "Contact")[0]).group(1), lines(text, "To")[0]
        routes = list(reversed(lines(text, "Record-Route")))
        self.request("ACK", target, to, call_id, 1, routes)
        self.request("BYE", target, to, call_id, 2, routes)

    def callee_hears(self):
        data, source = self.callee.recvfrom(65535)
        text = data.decode()
        if text.startswith("ACK"):
            return
        body = SDP.format(host=bench.CALLEES) if text.startswith("INVITE") else ""
        to = lines(text, "To")[0]
        answer = "SIP/2.0 200 OK\r\n%s%sFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\nContact: <sip:1002@%s:%d>\r\n%s" \
                 "Content-Length: %d\r\n\r\n%s" % (
                     "".join("Via: %s\r\n" % v for v in lines(text, "Via")),
                     "".join("Record-Route: %s\r\n" % r for r in lines(text, "Record-Route")), lines(text, "From")[0],
                     to if ";tag=" in to else to + ";tag=callee", lines(text, "Call-ID")[0], lines(text, "CSeq")[0],
                     *self.callee.getsockname(), "Content-Type: application/sdp\r\n" if body else "", len(body), body)
        self.callee.sendto(answer.encode(), source)

    def run(self, calls, rate):
        """Milliseconds of each call's setup."""
        due, end = time.perf_counter(), None
        while True:
            now = time.perf_counter()
            if self.count < calls and now >= due:
                self.call()
                due += 1 / rate
            if self.count == calls and end is None:
                end = now + 1
            if end and now > end:
                return [1000 * delay for delay in self.delays]
            for sock in select.select([self.caller, self.callee], [], [], max(0, min(due - now, 0.01)))[0]:
                (self.caller_hears if sock is self.caller else self.callee_hears)()


def measure(options):
    with bench.Place() as place:
        gateway.Gateway(place, options.binary, "%s:%d" % (bench.CALLEES, CALLEE_PORTS["ours"]))
        kamailio.Rtpengine(place)
        kamailio.Kamailio(place, kamailio.CALLS, "%s:%d" % (bench.CALLEES, CALLEE_PORTS["theirs"]))
        remotes = {"ours": (bench.OURS_OUTSIDE, 5060), "theirs": (bench.THEIRS, 5060),
                   "nobody": (bench.CALLEES, CALLEE_PORTS["nobody"])}
        delays = {name: [] for name in remotes}
        for turn in range(options.turns + 1):
            for name, remote in remotes.items():
                pair = Pair(remote, CALLEE_PORTS[name])
                taken = pair.run(options.calls if turn else 50, options.rate)
                pair.close()
                if turn:  # the first calls fault pages in
                    delays[name] += taken
        return delays


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=bench.SOURCE / "build/ringwall")
    parser.add_argument("--calls", type=int, default=500, help="of a turn")
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    delays = measure(options)
    good = True
    for name, taken in delays.items():
        bench.say("%s: %d calls, median %.2f ms" % (name, len(taken), statistics.median(taken)))
        good &= len(taken) >= 0.99 * options.turns * options.calls
    for part, share in (("p50", 50), ("p99", 99)):
        at = {name: statistics.quantiles(taken, n=100)[share - 1] for name, taken in delays.items()}
        ours, theirs = at["ours"] - at["nobody"], at["theirs"] - at["nobody"]
        bench.result(work="setup delay added to a call, %s" % part, unit="ms",
                     peer="Kamailio 5.6 (dialog, topoh; tlsf) with rtpengine", ours=round(ours, 2), theirs=round(theirs, 2),
                     ratio=round(ours / theirs, 3), direct_ms=round(at["nobody"], 2))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
