#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CPU of a whole call through the gateway, ours beside Kamailio (dialogs, topology hiding) with rtpengine (offer,
answer, delete), UDP on both sides.

Both run all the time. The load goes to one and then to the other in turns; a turn's CPU is counted until the same
side's next turn, so that what a call leaves behind (transactions linger 32 s, RFC 3261 timer J) is counted too. What
each spends when idle is measured first and taken off. CPU is user and system time of all processes (/proc/PID/stat).

A side that has to send again, or that fails calls, spends on that and not on calls: then nothing is compared, and the
same is tried at half the rate. On a machine too busy for the lowest rate there is no result.

  bench/signalling/calls.py [--binary FILE] [--rates N,N,...] [--seconds N] [--turns N]
"""
import argparse
import statistics
import sys
import time

import bench
import gateway
import kamailio
import sipp

GOAL = 0.30
IDLE_S = 10
DISTURBED = 0.01  # retransmissions a call


class Side:
    def __init__(self, name, remote, processes):
        self.name, self.remote, self.processes = name, remote, processes
        self.calls = self.failed = self.retransmissions = 0
        self.costs = []

    def cpu_s(self):
        return [process.cpu_s() for process in self.processes]

    def idle(self, before):
        """After IDLE_S without work: what a second costs."""
        self.idle_share = [(now - then) / IDLE_S for now, then in zip(self.cpu_s(), before)]

    def turn(self, place, options, rate, counted=True):
        """The load of one turn; without `counted` a short one."""
        count = rate * (options.seconds if counted else 3)
        report = sipp.Callers(place, self.remote, rate, count, options.length_ms).finish()
        if counted:
            self.calls += report["successful"]
            self.failed += report["failed"]
            self.retransmissions += report["retransmissions"]

    def is_clean(self):
        return self.failed == 0 and self.retransmissions <= DISTURBED * self.calls

    def open(self):
        self.opened, self.started = self.cpu_s(), time.monotonic()

    def close(self, calls):
        """Microseconds a call of each process since open(), without what they spend when idle."""
        lasted = time.monotonic() - self.started
        self.costs.append([1e6 * (now - then - share * lasted) / calls
                           for now, then, share in zip(self.cpu_s(), self.opened, self.idle_share)])

    def cost_us(self):
        return statistics.median(sum(cost) for cost in self.costs)


def measure(options, rate, place):
    callees = {"ours": 5061, "theirs": 5062}
    for port in callees.values():
        sipp.Callees(place, port)
    sides = []
    if "ours" in options.sides:
        sides.append(Side("ours", bench.OURS_OUTSIDE, [gateway.Gateway(
            place, options.binary, "%s:%d" % (bench.CALLEES, callees["ours"]))]))
    if "theirs" in options.sides:
        engine = kamailio.Rtpengine(place)
        sides.append(Side("theirs", bench.THEIRS, [kamailio.Kamailio(
            place, kamailio.CALLS, "%s:%d" % (bench.CALLEES, callees["theirs"])), engine]))
    for side in sides:  # the first calls fault pages in
        side.turn(place, options, rate, counted=False)
    time.sleep(options.rest_s)
    before = [side.cpu_s() for side in sides]
    time.sleep(IDLE_S)
    for side, cpu in zip(sides, before):
        side.idle(cpu)
    calls = rate * options.seconds
    for turn in range(options.turns + 1):
        for side in sides:
            if turn:
                side.close(calls)
            if turn < options.turns:
                side.open()
                side.turn(place, options, rate)
                time.sleep(options.rest_s)
            bench.say("turn %d of %s: %s" % (turn, side.name, [[round(c) for c in cost] for cost in side.costs]))
    return sides


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=bench.SOURCE / "build/ringwall")
    parser.add_argument("--rates", default="200,100,50", help="calls a second; the first without retransmissions counts")
    parser.add_argument("--seconds", type=int, default=15, help="of a turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--length-ms", type=int, default=1000, help="of a call")
    parser.add_argument("--rest-s", type=int, default=5, help="between turns")
    parser.add_argument("--sides", default="ours,theirs")
    options = parser.parse_args()
    for rate in map(int, options.rates.split(",")):
        with bench.Place() as place:
            sides = {side.name: side for side in measure(options, rate, place)}
        for side in sides.values():
            bench.say("%s at %d a second: %d calls, %d failed, %d retransmissions; idle %s" % (
                side.name, rate, side.calls, side.failed, side.retransmissions,
                ["%.2f %%" % (100 * share) for share in side.idle_share]))
        if all(side.is_clean() for side in sides.values()):
            break
    else:
        bench.say("no result: this machine is too busy with something else")
        return 1
    if len(sides) < 2:
        return 0
    ours, theirs = sides["ours"], sides["theirs"]
    ratio = ours.cost_us() / theirs.cost_us()
    bench.result(
        work="a whole call, UDP to UDP, all processes", unit="µs CPU",
        peer="Kamailio 5.6 (dialog, topoh; tlsf) with rtpengine", ours=round(ours.cost_us()), theirs=round(theirs.cost_us()),
        ratio=round(ratio, 3), goal=GOAL, met=ratio <= GOAL, rate=rate,
        theirs_parts=dict(zip(("kamailio", "rtpengine"), (round(statistics.median(column)) for column in
                                                          zip(*theirs.costs)))),
        calls=ours.calls + theirs.calls, retransmissions_ours=ours.retransmissions,
        retransmissions_theirs=theirs.retransmissions)
    return 0 if ratio <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
