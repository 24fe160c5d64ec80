#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calls at one rate for a minute, with the load generator on the same cores: no failed call, and no growth of memory
between the 20th and the 60th second.

Calls run for 40 s at the rate before the minute begins, so that what stays for 32 s after each call (RFC 3261 timer J,
RFC 6026 timers L and M) is there in full; the growth since the minute's 20th second is then growth. When a call fails
or sipp falls behind, the next lower rate is tried; the highest that is carried is reported.

  bench/signalling/sustained.py [--binary FILE] [--rates N,N,...]
"""
import argparse
import sys
import time

import bench
import gateway
import sipp

BEFORE_S, MINUTE_S = 40, 60
GROWTH_MAXIMUM = 0.02
BEHIND_MAXIMUM = 0.02


def watch(server, callers, rate):
    """Samples memory (bytes by second of the minute) and CPU of the minute (cores) while the callers run."""
    samples, cpu_s = {}, {}
    started = time.monotonic()
    while callers.running():
        second = int(time.monotonic() - started) - BEFORE_S
        if second >= 0 and second % 5 == 0 and second <= MINUTE_S and second not in samples:
            samples[second], cpu_s[second] = server.memory_bytes(), server.cpu_s()
            bench.say("%d a second, second %d: %.1f MB" % (rate, second, samples[second] / 1e6))
        time.sleep(0.2)
    lasted = time.monotonic() - started
    return samples, (cpu_s[max(cpu_s)] - cpu_s[0]) / max(cpu_s) if len(cpu_s) > 1 else 0, lasted


def attempt(options, rate):
    with bench.Place() as place:
        sipp.Callees(place, 5061)
        server = gateway.Gateway(place, options.binary, "%s:5061" % bench.CALLEES)
        callers = sipp.Callers(place, bench.OURS_OUTSIDE, rate, rate * (BEFORE_S + MINUTE_S + 1), options.length_ms)
        samples, cores, lasted = watch(server, callers, rate)
        report = callers.finish()
    late = lasted / (BEFORE_S + MINUTE_S + 1 + options.length_ms / 1000) - 1
    report.update(rate=rate, behind=round(late, 3), cores=round(cores, 2))
    if 20 in samples and 60 in samples:
        report.update(mb_at_20_s=round(samples[20] / 1e6, 1), mb_at_60_s=round(samples[60] / 1e6, 1),
                      growth=round(samples[60] / samples[20] - 1, 4))
    bench.say(str(report))
    return report


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=bench.SOURCE / "build/ringwall")
    parser.add_argument("--rates", default="1000,800,600,400", help="calls a second, the first that is carried counts")
    parser.add_argument("--length-ms", type=int, default=1000, help="of a call")
    options = parser.parse_args()
    for rate in map(int, options.rates.split(",")):
        report = attempt(options, rate)
        carried = report["failed"] == 0 and report["behind"] <= BEHIND_MAXIMUM
        if carried:
            break
    good = carried and report.get("growth", 1) <= GROWTH_MAXIMUM
    growth = 100 * report.get("growth", 1)
    bench.result(work="calls for 60 s beside the load generator",
                 ours_text="%d a second, %d failed, memory %+.1f %% from the 20th to the 60th second, %.2f cores" % (
                     report["rate"], report["failed"], growth, report["cores"]),
                 goal=100 * GROWTH_MAXIMUM, goal_text="none failed, no growth", met=good, **report)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
