#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CPU of a relayed packet, ours beside rtpengine's in user space, 1,000 calls at 50 packets a second each.

Both run at the same time on loopback; the load goes to one and then to the other, in short turns, so that whatever
else the machine does meets both alike. Every calling phone has a socket of its own; packets come evenly spread. CPU is user and system time of the process (/proc/PID/stat) over the packets
that arrived. Prints one JSON line a kind of work, and exits 1 when packets were lost or a goal was missed.

  bench/rtp/run.py [--build DIRECTORY] [--calls N] [--rate N] [--turns N] [--seconds N] [--work NAME]
"""
import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile

from engine import SUITES, Rtpengine

SOURCE = pathlib.Path(__file__).resolve().parents[2]
NET = f"127.{100 + os.getpid() // 250 % 100}.{os.getpid() % 250}"  # several runs do not meet
PHONE_A, PHONE_B, OURS, THEIRS = (f"{NET}.{host}" for host in range(1, 5))
RTP_BYTES = 172
LOSS_MAXIMUM = 0.001
SINKS = 32  # sockets that receive for all the called phones: their cost is charged to the relay that sends to them
WORKS = {  # name: (suite on B's side, goal)
    "RTP to RTP": ("", 0.55),
    "RTP to SRTP": ("AES_CM_128_HMAC_SHA1_80", 0.45),
    "RTP to SRTP, AEAD": ("AEAD_AES_128_GCM", 0.45),
}
MEMORY_GOAL_BYTES = 8192  # of a call with two SRTP legs


def compile_programs(build, out, names=("rtp_load", "rtp_relay")):
    libraries = [*(build / f"src/{name}.a" for name in ("media/libmedia", "bpf/libring", "base/libbase")), "-lssl", "-lcrypto", "-lpthread"]
    for name in names:
        subprocess.run(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-I", SOURCE / "src", "-o", out / name,
                        SOURCE / f"bench/rtp/{name}.c", *libraries], check=True)


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ports_theirs(engine, calls, suite, name):
    lines = []
    for i in range(calls):
        a, b = 10000 + 2 * i, 10000 + 2 * (i % SINKS)
        to_a, to_b = engine.call_make(f"{name}-{i}", (PHONE_A, a), (PHONE_B, b), "", suite)
        lines.append(f"{PHONE_A}:{a} {THEIRS}:{to_a} {PHONE_B}:{b} {THEIRS}:{to_b}")
    return "\n".join(lines) + "\n"


def ports_ours(calls):
    return "".join(f"{PHONE_A}:{10000 + 2 * i} {OURS}:{10000 + 4 * i} {PHONE_B}:{10000 + 2 * (i % SINKS)} "
                   f"{OURS}:{10002 + 4 * i}\n" for i in range(calls))


def ours_start(out, ports, suite, workers, suite_a=""):
    process = subprocess.Popen([out / "rtp_relay", str(workers), str(SUITES[suite_a][0]), str(SUITES[suite][0])], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    process.stdin.write(ports)
    process.stdin.close()
    ready = process.stdout.readline()
    if not ready.startswith("ready"):
        sys.exit("our relay did not start")
    return process, int(ready.split()[3])


class Meter:
    """What one relay has carried and spent."""

    def __init__(self, pid, ports):
        self.pid, self.ports = pid, ports
        self.cpu = self.sent = self.received = self.wrong = 0

    def turn(self, out, options, seconds, size, counted):
        before = cpu_seconds(self.pid)
        result = subprocess.run([out / "rtp_load", str(options.calls), str(options.rate), str(seconds),
                                 str(options.both), "0" if options.both else str(size)], input=self.ports, text=True,
                                capture_output=True)
        if result.returncode:
            sys.exit(result.stderr)
        report = json.loads(result.stdout)
        if counted:
            self.cpu += cpu_seconds(self.pid) - before
            self.sent += report["sent"]
            self.received += report["received"]
            self.wrong += report["wrong_size"]

    def cost_us(self):
        return 1e6 * self.cpu / max(self.received, 1)

    def loss(self):
        return 1 - self.received / max(self.sent, 1)


def measure(options, name, out, folder):
    suite, goal = WORKS[name]
    size = RTP_BYTES + SUITES[suite][2]
    processes = []
    try:
        engine = Rtpengine(folder, THEIRS, [THEIRS])
        processes.append(engine.process)
        theirs = Meter(engine.process.pid, ports_theirs(engine, options.calls, suite, name.replace(" ", "-").replace(",", "")))
        ports = ports_ours(options.calls)
        relay, bytes_a_call = ours_start(out, ports, suite, options.workers)
        processes.append(relay)
        ours = Meter(relay.pid, ports)
        for turn in range(options.turns + 1):  # the first warms up
            for meter in (ours, theirs):
                meter.turn(out, options, options.seconds if turn else 2, size, turn > 0)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(10)
    ratio = ours.cost_us() / theirs.cost_us()
    print(json.dumps({
        "work": f"relayed packet, {name.split(',')[0]}{f' ({suite})' if suite else ''}, {options.calls} calls",
        "ours_us": round(ours.cost_us(), 2), "theirs_us": round(theirs.cost_us(), 2), "ratio": round(ratio, 3),
        "goal": goal, "peer": "rtpengine in user space", "packets": ours.received + theirs.received,
        "loss_ours": round(ours.loss(), 5), "loss_theirs": round(theirs.loss(), 5),
        "heap_bytes_a_call": bytes_a_call}), flush=True)
    if ours.wrong or theirs.wrong:
        print(f"{name}: packets of a wrong size: ours {ours.wrong}, theirs {theirs.wrong}", file=sys.stderr)
    if max(ours.loss(), theirs.loss()) > LOSS_MAXIMUM:
        print(f"{name}: packets were lost, so the ratio says nothing: the machine has too much else to do",
              file=sys.stderr)
        return False
    return ratio <= goal and not ours.wrong


def memory(options, out):
    """Of a call whose legs are both encrypted, set up; each source that is heard on one costs some 200 bytes more."""
    suite = "AES_CM_128_HMAC_SHA1_80"
    relay, bytes_a_call = ours_start(out, ports_ours(options.calls), suite, options.workers, suite)
    relay.terminate()
    relay.wait(10)
    met = bytes_a_call <= MEMORY_GOAL_BYTES
    print(json.dumps({
        "work": f"memory of a call with two SRTP legs in media, {options.calls} calls", "unit": "bytes", "ours": bytes_a_call,
        "goal": MEMORY_GOAL_BYTES, "goal_text": f"at most {MEMORY_GOAL_BYTES}", "met": met}), flush=True)
    return met


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, default=SOURCE / "build", help="a release build directory")
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--rate", type=int, default=50, help="packets a second a call")
    parser.add_argument("--both", type=int, default=0, help="1: both sides send")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2, help="of a turn")
    parser.add_argument("--workers", type=int, default=0, help="threads of our relay; 0: one a core")
    parser.add_argument("--work", choices=WORKS, help="only this one")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # four sockets a call
    good = True
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        compile_programs(options.build, folder)
        for work in [options.work] if options.work else WORKS:
            good &= measure(options, work, folder, folder)
        if not options.work:
            good &= memory(options, folder)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
