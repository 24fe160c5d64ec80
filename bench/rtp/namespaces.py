#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The whole gateway between two namespaces, as between two cards: CPU of a relayed packet by XDP, AF_XDP and sockets, delay, many
calls for long, more workers. rtpengine in user space relays the same load between namespaces of its own.

Three namespaces a relay, joined by veth pairs: A's phones, the relay's machine, B's phones. Calls are set up with SIP (rtpengine:
by its control protocol), then packets go at a constant rate, to one relay after the other in turns, while the others stand idle.

- Whole system: what all cores were not idle in a turn (/proc/stat; idle time is exact, busy time is only sampled) nor run by others'
  processes, for each packet that came; less the same for the same load that goes straight from A's phones to
  B's, over one veth pair. So a relay is charged with everything that it adds: receiving, sending, and the second pair. Each
  turn is compared with the direct one of the same round; medians over the rounds.
- Program and processes: by kernel.bpf_stats_enabled the time of our XDP program, and user and system time of all our
  processes (the scheduler's own account), beside that of rtpengine. What the stack does in the sender's context is in neither.
- Delay: from before the system call that sends to the time stamp of the receiving kernel; less that of the direct way.
- Lost: sent less received; what sockets and interfaces in the phones' namespaces have dropped is the phones'.

  bench/rtp/namespaces.py [--build DIRECTORY] [--calls N] [--turns N] [--seconds N] [--long-seconds N] [PART...]
  parts: rtp srtp delay workers many; all unless named
"""
import argparse
import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

import callers
import places
from engine import SUITES, Rtpengine
from places import A, B, INSIDE, OUTSIDE, bench
from run import compile_programs

PEER = "rtpengine in user space"
RATE = 50  # packets a second a call a direction
A_TO_B, B_TO_A, BOTH = 1, 2, 3
SHARED = 32  # calls side by side at one port of a phone: as BATCH in rtp_ends.c
PORTS = 32
PROGRAM_S = 10  # so long that what happens every few seconds has its share
WARM_S = 1  # peers are locked, neighbours known
GOAL_RTP, GOAL_SRTP, GOAL_WORKERS = 0.05, 0.25, 1.05
LOSS_MAXIMUM = 0.001
CPU_ACCOUNT = pathlib.Path("/sys/fs/cgroup/cpuacct/cpuacct.usage")  # of the root: everybody's
STATS_SWITCH = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")


def others_cores(*relays):
    """What processes of others took meanwhile: relays that wait for a processor are woken more seldom, and so cost less or more."""
    return round(statistics.median(turn["others_s"] / turn["elapsed_s"] for relay in relays for turn in relay.turns), 2)


def port_of(call):
    return 10000 + 2 * (call // SHARED % PORTS)


def busy_s():
    """What all cores together have not been idle, since they started; less what the host took."""
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return time.monotonic() * os.cpu_count() - (fields[3] + fields[4] + fields[7]) / bench.TICKS


def all_run_s():
    """Time on a processor of all threads; those that have ended too, where control groups are set up to know it."""
    with contextlib.suppress(OSError):
        return int(CPU_ACCOUNT.read_text()) / 1e9
    return sum(run_s(path.name) for path in pathlib.Path("/proc").glob("[0-9]*"))


def run_s(pid):
    """Time on a processor of all threads of a process, which /proc/PID/stat has in hundredths of a second only."""
    total = 0
    with contextlib.suppress(OSError):
        for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
            total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


def soft_interrupts():
    """The kernel's threads that go on with packets where there are too many."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):  # it has just ended
            if path.read_text().startswith("ksoftirqd/"):
                found.append(int(path.parent.name))
    return found


class Clock:
    """What a turn takes: `own_s` the relay's processes, `whole_s` the whole system but processes of others, `others_s` those."""

    def __init__(self, relay):
        self.own = relay.family() if relay else []
        self.ours = [*self.own, os.getpid(), *soft_interrupts()]
        self.start, self.started = self.read(), time.monotonic()

    def read(self):
        return busy_s(), all_run_s(), sum(map(run_s, self.ours)), sum(map(run_s, self.own))

    def stop(self, ends_s):
        """`ends_s` is what the ends took, whose threads are gone."""
        busy, everybody, ours, own = (now - then for now, then in zip(self.read(), self.start))
        others = everybody - ours - ends_s
        return {"own_s": own, "others_s": others, "whole_s": busy - others, "elapsed_s": time.monotonic() - self.started}


class Relay:
    """One way for the packets: `process` (None: straight), its network, and the load."""

    def __init__(self, test, name, network, process, ports, suite="", kept=None):
        self.name, self.network, self.process, self.kept, self.calls = name, network, process, kept, ports.count("\n")
        self.load = bench.Process(test.place, name + "-load", [
            test.ends, network.a.pid, network.b.pid, SUITES[suite][0], self.calls, RATE, test.place.write(
                name + ".ports", ports)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.turns = []

    def run(self, seconds, ways, stamped=False):
        """A turn; what was sent and received, and what it took."""
        machine = self.network.machine
        before = machine.udp() if machine else {}
        clock = Clock(self.process)
        self.load.popen.stdin.write(f"{seconds} {ways} {int(stamped)}\n")
        self.load.popen.stdin.flush()
        line = self.load.popen.stdout.readline()
        if not line:
            raise SystemExit("the ends have stopped: " + self.load.tail())
        turn = json.loads(line)
        took = clock.stop(turn["ends_s"])
        if not turn["received"]:
            raise SystemExit(f"{self.name}: nothing came of {turn['sent']} packets")
        turn.update(took, whole_us=1e6 * took["whole_s"] / turn["received"], own_us=1e6 * took["own_s"] / turn["received"])
        if machine:
            after = machine.udp()
            turn.update(by_sockets=(after["InDatagrams"] - before["InDatagrams"]) / turn["sent"])
        bench.say("  %s: %s" % (self.name, " ".join(f"{name}={round(number, 3)}" for name, number in turn.items())))
        return turn

    def median(self, name):
        return statistics.median(turn[name] for turn in self.turns)

    def added(self, name, direct):
        """What it adds to the direct way: each turn is compared with that of the same round."""
        return statistics.median(turn[name] - other[name] for turn, other in zip(self.turns, direct.turns))

    def warm(self):
        for ways in (A_TO_B, B_TO_A):
            self.run(WARM_S, ways)

    def loss(self):
        return 1 - sum(turn["received"] for turn in self.turns) / sum(turn["sent"] for turn in self.turns)

    def wrong(self):
        return sum(turn["wrong_size"] for turn in self.turns)

    def way(self, suite):
        """By what the packets went, as the turns have shown."""
        if self.median("by_sockets") > 0.5:
            return "sockets"
        return "AF_XDP" if suite else "XDP"


class Test:
    """Relays side by side, for one part; `with Test(options) as test`."""

    def __init__(self, options):
        self.options, self.place = options, bench.Place()

    def __enter__(self):
        self.place.__enter__()
        folder = pathlib.Path(self.place.directory)
        compile_programs(self.options.build, folder, ["rtp_ends"])
        self.ends = folder / "rtp_ends"
        return self

    def __exit__(self, *about):
        self.place.__exit__(*about)

    def ours(self, datapath, calls, suite="", workers=0, name=None):
        name = name or "ours-" + datapath
        network = places.Network(self.place, name)
        gateway = callers.Gateway(self.place, name, network, self.options.build / "ringwall", datapath, suite, workers)
        bench.say(f"{name}: media goes by {gateway.status()['datapath']}")
        kept, ports = callers.calls_make(network, calls, suite, port_of)
        return Relay(self, name, network, gateway.process, ports, suite, (gateway, kept))

    def theirs(self, calls, suite=""):
        network = places.Network(self.place, "rtpengine")
        with network.machine.inside():
            engine = Rtpengine(self.place.directory, "127.0.0.1", [f"a/{OUTSIDE}", f"b/{INSIDE}"], lambda arguments: bench.Process(
                self.place, "rtpengine", [*network.machine.prefix, *arguments], preexec_fn=places.die_with_parent))
        lines = []
        for i in range(calls):
            to_a, to_b = engine.call_make(f"call-{i}", (A, port_of(i)), (B, port_of(i)), suite, direction=["a", "b"])
            lines.append(f"{A}:{port_of(i)} {OUTSIDE}:{to_a} {B}:{port_of(i)} {INSIDE}:{to_b}\n")
        return Relay(self, "rtpengine", network, engine.process, "".join(lines), suite, engine)

    def direct(self, calls, suite=""):
        ports = "".join(f"{A}:{port_of(i)} {B}:{port_of(i)} {B}:{port_of(i)} {A}:{port_of(i)}\n" for i in range(calls))
        return Relay(self, "direct", places.Network(self.place, "direct", direct=True), None, ports, suite)

    def turns(self, relays, ways):
        for relay in relays:
            relay.turns = []
        for _ in range(self.options.turns):
            for relay in relays:
                relay.turns.append(relay.run(self.options.seconds, ways))


# ---- CPU of a packet ----

def row(work, ours_us, theirs_us, goal, ours, theirs, **more):
    """Prints it; returns whether the goal, if there is one, was met, and nothing was lost."""
    ratio = ours_us / theirs_us
    fields = {"goal": goal} if goal else {}
    bench.result(work=work, ours_us=round(ours_us, 3 if ours_us < 1 else 2), theirs_us=round(theirs_us, 2), ratio=round(ratio, 3),
                 peer=PEER, loss_ours=round(ours.loss(), 5), loss_theirs=round(theirs.loss(), 5), others_cores=others_cores(ours, theirs), **fields, **more)
    if max(ours.loss(), theirs.loss()) > LOSS_MAXIMUM or ours.wrong():
        bench.say(f"{work}: packets were lost or wrong, so the ratio says nothing")
        return False
    return not goal or ratio <= goal


def whole_row(name, suite, goal, relays):
    """What our relay adds to the direct way, beside what theirs does."""
    ours, theirs, direct = relays
    added = [relay.added("whole_us", direct) for relay in (ours, theirs)]
    way = ours.way(suite)
    return row(f"relayed packet between namespaces, {name}, by {way}: whole system", *added, goal, ours, theirs, calls=ours.calls,
               direct_us=round(direct.median("whole_us"), 2))


@contextlib.contextmanager
def program_stats():
    before = STATS_SWITCH.read_text()
    STATS_SWITCH.write_text("1")
    try:
        yield
    finally:
        STATS_SWITCH.write_text(before)


def program_time(network):
    """Nanoseconds and runs of the XDP programs at the machine's interfaces."""
    links = json.loads(subprocess.run([*network.machine.prefix, bench.need("ip"), "-j", "link"], capture_output=True,
                                      check=True).stdout)
    numbers = {link["xdp"]["prog"]["id"] for link in links if "xdp" in link}
    shown = [json.loads(subprocess.run([bench.need("bpftool"), "-j", "prog", "show", "id", str(number)], capture_output=True,
                                       check=True).stdout) for number in numbers]
    return sum(each.get("run_time_ns", 0) for each in shown), sum(each.get("run_cnt", 0) for each in shown)


def program_row(relay, theirs, ways):
    with program_stats():
        start = program_time(relay.network)
        turn = relay.run(PROGRAM_S, ways)
        ended = program_time(relay.network)
    program_us, own_us = (ended[0] - start[0]) / 1e3 / turn["received"], turn["own_us"]
    return row("relayed packet between namespaces, RTP to RTP, by XDP: program and processes", program_us + own_us,
               theirs.median("own_us"), GOAL_RTP, relay, theirs, program_us=round(program_us, 3), processes_us=round(own_us, 3),
               runs_a_packet=round((ended[1] - start[1]) / turn["received"], 3))


def part_rtp(options):
    """Both ways, and so half the calls."""
    calls = options.calls // 2
    with Test(options) as test:
        relays = [test.ours("xdp", calls), test.ours("sockets", calls), test.theirs(calls), test.direct(calls)]
        for relay in relays:
            relay.warm()
        test.turns(relays, BOTH)
        xdp, sockets, theirs, direct = relays
        good = program_row(xdp, theirs, BOTH)
        good &= whole_row("RTP to RTP", "", None, (xdp, theirs, direct))
        return good & whole_row("RTP to RTP", "", None, (sockets, theirs, direct))


def part_srtp(options):
    good = True
    for suite in list(SUITES)[1:]:
        with Test(options) as test:
            relays = [test.ours("auto", options.calls, suite), test.ours("sockets", options.calls, suite),
                      test.theirs(options.calls, suite), test.direct(options.calls, suite)]
            for relay in relays:
                relay.warm()
            for ways, name in ((B_TO_A, f"RTP to SRTP ({suite})"), (A_TO_B, f"SRTP ({suite}) to RTP")):
                test.turns(relays, ways)
                auto, sockets, theirs, direct = relays
                good &= whole_row(name, suite, GOAL_SRTP, (auto, theirs, direct))
                if auto.way(suite) != "sockets":
                    good &= whole_row(name, suite, None, (sockets, theirs, direct))
    return good


# ---- Delay ----

def part_delay(options):
    calls, good = options.delay_calls, True
    with Test(options) as test:
        relays = [test.ours("xdp", calls), test.ours("sockets", calls), test.theirs(calls), test.direct(calls)]
        for relay in relays:
            relay.warm()
            relay.turns = []
        for _ in range(options.turns):
            for relay in relays:
                relay.turns.append(relay.run(options.seconds, BOTH, stamped=True))
        *ours, theirs, direct = relays
        for quantile in ("p50", "p99"):
            added = {relay: max(relay.added(quantile + "_us", direct), 0) for relay in relays}
            for relay in ours:
                bench.result(work=f"delay that the relay adds to a packet, {quantile}, {calls} calls, by {relay.way('')}", unit="µs",
                             ours=round(added[relay], 1), theirs=round(added[theirs], 1), peer=PEER,
                             ratio=round(added[relay] / max(added[theirs], 0.1), 2), direct_us=direct.median(quantile + "_us"), others_cores=others_cores(relay, theirs))
                good &= relay.loss() <= LOSS_MAXIMUM
    return good


# ---- Workers ----

def part_workers(options):
    """Calls a worker as many as before, workers twice as many: a packet must not cost more."""
    calls, good = options.worker_calls, True
    with Test(options) as test:
        one, two = (test.ours("sockets", calls * workers, workers=workers, name=f"workers-{workers}") for workers in (1, 2))
        for relay in (one, two):
            relay.warm()
        test.turns((one, two), A_TO_B)
        ratio = two.median("own_us") / one.median("own_us")
        bench.result(work="relayed packet between namespaces, by sockets: processes of two workers with twice the calls",
                     ours_us=round(two.median("own_us"), 2), theirs_us=round(one.median("own_us"), 2), ratio=round(ratio, 3),
                     goal=GOAL_WORKERS, goal_text="does not rise (at most %.2f)" % GOAL_WORKERS,
                     peer=f"one worker, {calls} calls", loss_ours=round(two.loss(), 5), loss_theirs=round(one.loss(), 5), others_cores=others_cores(one, two))
        good &= ratio <= GOAL_WORKERS and max(one.loss(), two.loss()) <= LOSS_MAXIMUM
    return good


# ---- Many calls ----

def drops(relay):
    """What was dropped: by sockets and interfaces of the phones; by those of the gateway, and by its own judgement."""
    network, (gateway, _) = relay.network, relay.kept
    return {"phones_sockets": network.a.socket_drops() + network.b.socket_drops(),
            "gateway_sockets": network.machine.socket_drops(), "gateway_judged": gateway.dropped(),
            "phones_links": network.a.link_drops() + network.b.link_drops(), "gateway_links": network.machine.link_drops()}


def carried(relay, seconds):
    before = drops(relay)
    turn = relay.run(seconds, BOTH)
    where = {name: now - before[name] for name, now in drops(relay).items()}
    turn.update(where, lost=turn["sent"] - turn["received"] - where["phones_sockets"] - where["phones_links"])
    bench.say(f"  {relay.name}: {relay.calls} calls, lost by the gateway {turn['lost']} of {turn['sent']}: {where}")
    return turn


def many_row(relay, seconds):
    turn = carried(relay, seconds)
    wanted = 2 * RATE * relay.calls * seconds
    met = turn["lost"] == 0 and turn["sent"] >= 0.999 * wanted
    bench.result(work=f"{relay.calls} calls, both ways, {format(2 * RATE * relay.calls, ',')} packets a second, for {seconds} s", ours_text=(
        "%s sent, %s received; lost by the gateway %d, by the phones' namespaces %d; by sockets went %.1f %%; %.2f cores of our processes" % (
            format(turn["sent"], ","), format(turn["received"], ","), turn["lost"], turn["phones_sockets"] + turn["phones_links"],
            100 * turn["by_sockets"], turn["own_s"] / seconds)),
        goal=0, goal_text="none lost by the gateway", met=met, details=turn)
    return met


def part_many(options):
    with Test(options) as test:
        relay = test.ours("xdp", options.many_calls)
        relay.warm()
        good = many_row(relay, options.long_seconds)
    if options.only_long:
        return good
    most = 0
    for calls in options.socket_calls:
        with Test(options) as test:
            relay = test.ours("sockets", calls)
            relay.warm()
            turn = carried(relay, options.seconds)
            if turn["lost"] or turn["sent"] < 0.999 * 2 * RATE * calls * options.seconds:
                break
            most = calls
    bench.result(work="calls both ways by sockets, beside the load generator, without a packet lost", unit="calls", ours=most,
                 tried=options.socket_calls)
    return good


PARTS = {"rtp": part_rtp, "srtp": part_srtp, "delay": part_delay, "workers": part_workers, "many": part_many}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, default=bench.SOURCE / "build-bench", help="a release build directory")
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--delay-calls", type=int, default=200)
    parser.add_argument("--worker-calls", type=int, default=500, help="a worker's")
    parser.add_argument("--many-calls", type=int, default=2000)
    parser.add_argument("--socket-calls", type=int, nargs="+", default=[400, 600, 800, 1000])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of a turn")
    parser.add_argument("--long-seconds", type=int, default=30, help="of the many calls")
    parser.add_argument("--only-long", action="store_true", help="of the many calls only those by XDP")
    parser.add_argument("parts", nargs="*", metavar="PART", choices=[[], *PARTS], help="only these")
    options = parser.parse_args()
    options.build = options.build.resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that what was begun is put back
    if os.geteuid() != 0:
        sys.exit("namespaces and XDP need root")
    good = [PARTS[part](options) for part in options.parts or PARTS]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
