#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""All phones come back at once: 10,000 register with a new Call-ID each after every process of the gateway was killed and
started again, as after a power cut, and again while it runs. Kamailio, which challenges, is the registrar. Phones obey
Retry-After. What is measured is the time until the last is registered, and the gateway's CPU for a registration, from
which the figure for 100,000 phones is computed: the pace is the configuration's, and the CPU says whether it is kept.

  bench/storm/run.py [--build DIRECTORY] [--phones N] [--rate N]
"""
import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "signalling"))

import bench  # noqa: E402
import gateway  # noqa: E402
import kamailio  # noqa: E402

PASSWORD = "storm-secret"
REGISTRAR = kamailio.REGISTRAR.replace("request_route {{", """loadmodule "auth.so"
request_route {{""").replace("	fix_nated_register();", """	if (!pv_www_authenticate("$td", "%s", "0")) {{
		www_challenge("$td", "0");
		exit;
	}}
	fix_nated_register();""" % PASSWORD)


class Gateway(gateway.Gateway):
    def kill(self):
        for pid in self.family():
            os.kill(pid, signal.SIGKILL)
        self.popen.wait()


def storm_round(storm):
    storm.popen.stdin.write("\n")
    storm.popen.stdin.flush()
    line = storm.popen.stdout.readline()
    if not line:
        raise SystemExit("the phones ended: " + storm.tail())
    return json.loads(line)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, default=bench.SOURCE / "build-bench")
    parser.add_argument("--phones", type=int, default=10000)
    parser.add_argument("--rate", type=int, default=500, help="limits.registrations_per_second")
    options = parser.parse_args()
    options.build = options.build.resolve()
    bench.raise_limits()
    gateway.CONFIGURATION = gateway.CONFIGURATION.replace(
        "limits:\n", "limits:\n  registrations_per_second: %d\n" % options.rate)
    with bench.Place() as place:
        kamailio.Kamailio(place, REGISTRAR)
        server = Gateway(place, options.build / "ringwall", "%s:5060" % bench.THEIRS, "relay")
        storm = bench.Process(place, "storm", [options.build / "bench/storm/storm", bench.OURS_OUTSIDE, 5060,
                                               options.phones, PASSWORD, *bench.PHONES],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        first = storm_round(storm)
        bench.say("for the first time: %s" % first)
        time.sleep(1.5)  # all is on the disk
        server.kill()
        server = Gateway(place, options.build / "ringwall", "%s:5060" % bench.THEIRS, "relay")
        before_s = server.cpu_s()
        again = storm_round(storm)
        cpu_us = (server.cpu_s() - before_s) / max(again["registered"], 1) * 1e6
        bench.say("after a restart: %s; %.0f us of CPU each" % (again, cpu_us))
        storm.popen.stdin.close()
    computed_s = round(max(100000 / options.rate, 100000 * cpu_us / 1e6))
    bench.result(work="%d phones come back at once, with digest, paced at %d a second" % (options.phones, options.rate),
                 ours_text="%.1f s till the last, half after %.1f s, %d µs of CPU each; 100,000: %d s computed" % (
                     again["all_s"], again["half_s"], cpu_us, computed_s), details=again)
    return 0 if again["registered"] == options.phones else 1


if __name__ == "__main__":
    sys.exit(main())
