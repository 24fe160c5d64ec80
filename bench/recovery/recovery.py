#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the gate with calls up: how long until the next call is accepted, how long sound stood still, whether every
call can still be ended; and what an established call takes of the gate's memory, its checkpoint included.

An INVITE is sent in the moment of the kill; the time counts to its first response. Sound is sent on some of the calls
every 20 ms, and timed where it comes out. Each turn has a gateway of its own, as one that dies again and again is
restarted later and later.

  bench/recovery/recovery.py [--binary FILE] [--calls N] [--streams N] [--turns N] [--memory-calls N]
"""
import argparse
import os
import pathlib
import re
import select
import signal
import socket
import statistics
import struct
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "signalling"))
import bench  # noqa: E402
import gateway  # noqa: E402

CALLEE_PORT, SOUND_PORT = 5070, 7000
GOAL_MS, GAP_GOAL_MS, MEMORY_GOAL = 300, 200, 12288
SETTLED_S = 36  # transactions of a call linger for 32 s


def udp(address, port=0):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    return sock


def sdp(address, port):
    return ("v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP 0 101\r\n"
            "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
            "a=sendrecv\r\n" % (address, address, port))


def value(message, name):
    found = re.search(r"(?im)^%s\s*:\s*(.*?)\r?$" % name, message)
    return found.group(1) if found else ""


class Callee(threading.Thread):
    """Answers every INVITE at once and every BYE; notes when sound comes out, by the port it comes from."""

    def __init__(self):
        super().__init__(daemon=True)
        self.sip, self.sound = udp(bench.CALLEES, CALLEE_PORT), udp(bench.CALLEES, SOUND_PORT)
        self.last, self.gap_s, self.ended = {}, 0.0, 0
        self.start()

    def answer(self, message, peer):
        method = message.split(" ", 1)[0]
        if method not in ("INVITE", "BYE"):
            return
        vias = "".join("Via: %s\r\n" % via for via in re.findall(r"(?im)^Via:\s*(.*?)\r?$", message))
        to = value(message, "To")
        body = sdp(bench.CALLEES, SOUND_PORT) if method == "INVITE" else ""
        self.ended += method == "BYE"
        self.sip.sendto(("SIP/2.0 200 OK\r\n%sFrom: %s\r\nTo: %s%s\r\nCall-ID: %s\r\nCSeq: %s\r\n"
                         "Contact: <sip:callee@%s:%d>\r\n%sContent-Length: %d\r\n\r\n%s" %
                         (vias, value(message, "From"), to, "" if ";tag=" in to else ";tag=" +
                          value(message, "Call-ID")[:16], value(message, "Call-ID"), value(message, "CSeq"),
                          bench.CALLEES, CALLEE_PORT, "Content-Type: application/sdp\r\n" if body else "", len(body),
                          body)).encode(), peer)

    def run(self):
        while True:
            for sock in select.select([self.sip, self.sound], [], [])[0]:
                bytes_, peer = sock.recvfrom(65536)
                if sock is self.sip:
                    self.answer(bytes_.decode(errors="replace"), peer)
                    continue
                now = time.monotonic()
                self.gap_s = max(self.gap_s, now - self.last.get(peer, now))
                self.last[peer] = now


class Caller:
    server = (bench.OURS_OUTSIDE, 5060)

    def __init__(self):
        self.sip = udp(bench.CALLERS, 5060)
        self.number, self.calls = 0, []

    def send(self, method, call, cseq, extra="", body=""):
        self.sip.sendto(("%s sip:600@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s:5060;branch=z9hG4bKb%s%s%d;rport\r\n"
                         "Max-Forwards: 70\r\nFrom: <sip:1001@%s>;tag=t%s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\n"
                         "Contact: <sip:1001@%s:5060>\r\n%sContent-Length: %d\r\n\r\n%s" %
                         (method, bench.OURS_OUTSIDE, bench.CALLERS, call["id"], method, cseq, bench.OURS_OUTSIDE,
                          call["id"], call["to"], call["id"], cseq, method, bench.CALLERS, extra, len(body),
                          body)).encode(), self.server)

    def response(self, call, timeout_s):
        """The next one of the call, or None."""
        deadline = time.monotonic() + timeout_s
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.sip], [], [], left)[0]:
                return None
            message = self.sip.recv(65536).decode(errors="replace")
            if message.startswith("SIP/2.0 ") and value(message, "Call-ID") == call["id"]:
                return message

    def invite(self, media_port):
        self.number += 1
        call = {"id": "call%d" % self.number, "to": "<sip:600@%s>" % bench.OURS_OUTSIDE, "media": media_port}
        self.send("INVITE", call, 1, "Content-Type: application/sdp\r\n", sdp(bench.CALLERS, media_port))
        return call

    def establish(self, media_port):
        call = self.invite(media_port)
        return self.establish_rest(call, self.response(call, 10))

    def establish_rest(self, call, answer):
        while answer and not answer.startswith("SIP/2.0 200"):
            answer = self.response(call, 10)
        if not answer:
            raise SystemExit("a call was not answered")
        call["to"] = value(answer, "To")
        call["port"] = int(re.search(r"m=audio (\d+)", answer).group(1))
        self.send("ACK", call, 1)
        self.calls.append(call)
        return call

    def hang_up(self, call):
        self.send("BYE", call, 2)
        answer = self.response(call, 5) or ""
        return answer.startswith("SIP/2.0 200")


class Sound(threading.Thread):
    """A packet every 20 ms on each of the calls."""

    def __init__(self, calls, sockets):
        super().__init__(daemon=True)
        self.pairs, self.running = list(zip(calls, sockets)), True
        self.start()

    def run(self):
        due, sequence = time.monotonic(), 0
        while self.running:
            for call, sock in self.pairs:
                sock.sendto(struct.pack(">BBHII", 0x80, 0, sequence & 0xffff, sequence * 160 & 0xffffffff,
                                        call["port"]) + bytes(160), (bench.OURS_OUTSIDE, call["port"]))
            sequence += 1
            due += 0.02
            time.sleep(max(0.0, due - time.monotonic()))


def gate_pid(server):
    for pid in server.family():
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            if b"\0gate\0" in file.read():
                return pid
    raise SystemExit("there is no gate process")


def gate_bytes(server):
    with open("/proc/%d/smaps_rollup" % gate_pid(server)) as file:
        return 1024 * sum(int(line.split()[1]) for line in file if line.startswith(("Pss_Anon:", "Pss_Shmem:")))


def turn(options, callee):
    """Milliseconds to the first response, the longest gap of sound, and the calls that could not be ended."""
    with bench.Place() as place:
        server = gateway.Gateway(place, options.binary, "%s:%d" % (bench.CALLEES, CALLEE_PORT))
        caller = Caller()
        sockets = [udp(bench.CALLERS) for _ in range(options.streams)]
        for i in range(options.calls):
            caller.establish(sockets[i].getsockname()[1] if i < options.streams else 6000)
        sound = Sound(caller.calls, sockets)
        time.sleep(1)
        callee.gap_s = 0.0
        os.kill(gate_pid(server), signal.SIGKILL)
        began = time.monotonic()
        call = caller.invite(6000)
        answer = caller.response(call, 10)
        accepted_ms = 1000 * (time.monotonic() - began)
        time.sleep(0.6)
        gap_ms = 1000 * callee.gap_s
        caller.establish_rest(call, answer)
        lost = sum(not caller.hang_up(each) for each in caller.calls)
        sound.running = False
        sound.join()
        caller.sip.close()
        for sock in sockets:
            sock.close()
        return accepted_ms, gap_ms, lost


def memory(options):
    with bench.Place() as place:
        server = gateway.Gateway(place, options.binary, "%s:%d" % (bench.CALLEES, CALLEE_PORT))
        caller = Caller()
        for _ in range(50):  # warm
            caller.establish(6000)
        time.sleep(SETTLED_S)
        before = gate_bytes(server)
        for _ in range(options.memory_calls):
            caller.establish(6000)
        time.sleep(SETTLED_S)
        each = (gate_bytes(server) - before) / options.memory_calls
        caller.sip.close()
        return each


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=bench.SOURCE / "build/ringwall")
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--streams", type=int, default=20)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--memory-calls", type=int, default=1000)
    options = parser.parse_args()
    callee = Callee()
    turns = [turn(options, callee) for _ in range(options.turns)]
    for accepted_ms, gap_ms, lost in turns:
        bench.say("accepted after %.0f ms, gap of %.0f ms, %d calls lost" % (accepted_ms, gap_ms, lost))
    accepted = [row[0] for row in turns]
    bench.result(work="kill -9 of the gate with %d calls up: until the next call is accepted" % options.calls,
                 ours_text="%.0f ms (median of %d; %.0f to %.0f)" % (statistics.median(accepted), len(turns),
                                                                    min(accepted), max(accepted)),
                 goal=GOAL_MS, goal_text="below %d ms" % GOAL_MS, met=max(accepted) < GOAL_MS)
    worst_gap, lost = max(row[1] for row in turns), sum(row[2] for row in turns)
    bench.result(work="kill -9 of the gate: sound and calls", ours_text="longest gap of sound %.0f ms, %d calls lost" %
                 (worst_gap, lost), goal=GAP_GOAL_MS, goal_text="at most %d ms, none lost" % GAP_GOAL_MS,
                 met=worst_gap <= GAP_GOAL_MS and not lost)
    good = max(accepted) < GOAL_MS and worst_gap <= GAP_GOAL_MS and not lost
    if options.memory_calls:
        each = memory(options)
        bench.result(work="memory of an established call in the gate, its checkpoint included, %d calls" %
                     options.memory_calls, unit="bytes", ours=round(each), goal=MEMORY_GOAL,
                     goal_text="at most %d" % MEMORY_GOAL, met=each <= MEMORY_GOAL)
        good &= each <= MEMORY_GOAL
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
