#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Memory of a subscription (message waiting, RFC 3842) in the gateway: growth of the proportional set size of all its processes,
checkpoints included, from a thousand subscriptions to all of them, once their transactions are gone.

  bench/signalling/subscriptions.py [--binary FILE] [--subscriptions N] [--rate N]
"""
import argparse
import re
import select
import socket
import sys
import time

import bench
import gateway

WATCHER_PORT, NOTIFIER_PORT = 5068, 5069
WARM = 1000


def lines(text, name):
    return re.findall(r"(?im)^%s: *(.*?)\r$" % name, text)


class Watcher:
    """One phone that subscribes many times, and the server that answers and notifies it."""

    def __init__(self):
        self.watcher, self.notifier = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for sock, host, port in ((self.watcher, bench.CALLERS, WATCHER_PORT), (self.notifier, bench.CALLEES, NOTIFIER_PORT)):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            sock.bind((host, port))
        self.asked = self.accepted = self.notified = 0

    def subscribe(self):
        self.asked += 1
        self.watcher.sendto(
            ("SUBSCRIBE sip:1002@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%d;branch=z9hG4bKs%d;rport\r\nMax-Forwards: 70\r\n"
             "From: <sip:1001@%s>;tag=s%d\r\nTo: <sip:1002@%s>\r\nCall-ID: subscription-%d\r\nCSeq: 1 SUBSCRIBE\r\n"
             "Contact: <sip:1001@%s:%d>\r\nEvent: message-summary\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n" % (
                 bench.OURS_OUTSIDE, bench.CALLERS, WATCHER_PORT, self.asked, bench.OURS_OUTSIDE, self.asked,
                 bench.OURS_OUTSIDE, self.asked, bench.CALLERS, WATCHER_PORT)).encode(), (bench.OURS_OUTSIDE, 5060))

    def answer(self, sock, text, source, tag="", extra=""):
        to = lines(text, "To")[0]
        sock.sendto(("SIP/2.0 200 OK\r\n%sFrom: %s\r\nTo: %s%s\r\nCall-ID: %s\r\nCSeq: %s\r\nContact: <sip:%s:%d>\r\n%s"
                     "Content-Length: 0\r\n\r\n" % (
                         "".join("Via: %s\r\n" % v for v in lines(text, "Via")), lines(text, "From")[0], to, tag,
                         lines(text, "Call-ID")[0], lines(text, "CSeq")[0], *sock.getsockname(), extra)).encode(), source)

    def notifier_hears(self):
        data, source = self.notifier.recvfrom(65535)
        text = data.decode()
        if not text.startswith("SUBSCRIBE"):
            return
        tag = ";tag=n" + lines(text, "Call-ID")[0][:12]
        self.answer(self.notifier, text, source, tag, "Expires: 3600\r\n")
        call_id = lines(text, "Call-ID")[0]
        body = "Messages-Waiting: no\r\n"
        self.notifier.sendto(
            ("NOTIFY %s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%d;branch=z9hG4bKn%s;rport\r\nMax-Forwards: 70\r\nFrom: %s%s\r\n"
             "To: %s\r\nCall-ID: %s\r\nCSeq: 1 NOTIFY\r\nContact: <sip:%s:%d>\r\nEvent: message-summary\r\n"
             "Subscription-State: active;expires=3600\r\nContent-Type: application/simple-message-summary\r\n"
             "Content-Length: %d\r\n\r\n%s" % (
                 re.search(r"<([^>]+)>", lines(text, "Contact")[0]).group(1), bench.CALLEES, NOTIFIER_PORT, call_id,
                 lines(text, "To")[0], tag, lines(text, "From")[0], call_id, bench.CALLEES, NOTIFIER_PORT, len(body),
                 body)).encode(), source)

    def watcher_hears(self):
        data, source = self.watcher.recvfrom(65535)
        text = data.decode()
        if text.startswith("NOTIFY"):
            self.notified += 1
            self.answer(self.watcher, text, source)
        elif text.startswith("SIP/2.0 200"):
            self.accepted += 1

    def run(self, until, rate):
        due, end = time.monotonic(), None
        while end is None or time.monotonic() < end:
            now = time.monotonic()
            if self.asked < until and now >= due:
                self.subscribe()
                due += 1 / rate
            elif self.asked == until and end is None:
                end = now + 1
            for sock in select.select([self.watcher, self.notifier], [], [], 0.001)[0]:
                (self.watcher_hears if sock is self.watcher else self.notifier_hears)()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=bench.SOURCE / "build/ringwall")
    parser.add_argument("--subscriptions", type=int, default=6000)
    parser.add_argument("--rate", type=int, default=400)
    parser.add_argument("--rest-s", type=int, default=40, help="until transactions are gone (RFC 3261 timer J)")
    options = parser.parse_args()
    with bench.Place() as place:
        server = gateway.Gateway(place, options.binary, "%s:%d" % (bench.CALLEES, NOTIFIER_PORT))
        watcher = Watcher()
        watcher.run(WARM, options.rate)
        time.sleep(options.rest_s)
        before = server.memory_bytes()
        watcher.run(options.subscriptions, options.rate)
        time.sleep(options.rest_s)
        after = server.memory_bytes()
    good = watcher.accepted == watcher.notified == options.subscriptions
    bench.say("%d asked, %d accepted, %d notified; %.1f to %.1f MB" % (
        watcher.asked, watcher.accepted, watcher.notified, before / 1e6, after / 1e6))
    each = (after - before) / max(watcher.accepted - WARM, 1)
    bench.result(work="memory of a subscription, with its checkpoint", unit="bytes", ours=round(each))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
