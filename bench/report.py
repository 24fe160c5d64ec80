#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Adds the lines of a run to the kept ones, with where and when, and prints the table of the last of each work.

  bench/report.py RUN.jsonl KEPT.jsonl
"""
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

LOST_MAXIMUM = 0.01  # a relay that drops spends on that

HEAD = """\
# How fast it is, beside others

Made by `make bench`; do not edit. Both sides get the same load on the same machine in the same run, so that the ratio
is what counts: microseconds change with the machine. What is compared, and how, stands at the head of each program:
[signalling/calls.py](signalling/calls.py), [signalling/delay.py](signalling/delay.py), [signalling/memory.py](signalling/memory.py),
[signalling/sustained.py](signalling/sustained.py), [recovery/](recovery), [rtp/run.py](rtp/run.py), [parse/](parse), [net/](net).

| work | ours | theirs | ratio | goal | peer | date |
|---|---|---|---|---|---|---|
"""


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return "%s, %d cores" % (line.split(":", 1)[1].strip(), os.cpu_count())
    return platform.machine()


def commit():
    here = pathlib.Path(__file__).parent
    result = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=here, capture_output=True, text=True)
    return result.stdout.strip() or "unknown"


def lines_of(path):
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return [json.loads(line) for line in file if line.startswith("{")]


def value(line, side):
    """What a side measured, with its unit; programs write `ours` and `unit`, `ours_us`, or `ours_text`."""
    if side + "_text" in line:
        return line[side + "_text"]
    if side + "_us" in line:
        return "%s µs CPU" % line[side + "_us"]
    return "%s %s" % (format(line[side], ","), line["unit"]) if side in line else "–"


def row(line):
    goal = "–"
    lost = max(line.get("loss_ours", 0), line.get("loss_theirs", 0))
    if lost > LOST_MAXIMUM:
        goal = "no comparison: %.0f %% of the packets were lost" % (100 * lost)
    elif "goal" in line:
        met = line["met"] if "met" in line else line["ratio"] <= line["goal"]
        goal = "%s: %s" % (line.get("goal_text", "at most %.2f" % line["goal"]), "met" if met else "**missed**")
    ratio = "%.2f" % line["ratio"] if "ratio" in line else "–"
    return "| %s |\n" % " | ".join([line["work"], value(line, "ours"), value(line, "theirs"), ratio, goal,
                                    line.get("peer", "–"), line["date"]])


def main(run, kept):
    about = {"date": time.strftime("%Y-%m-%d"), "commit": commit(), "kernel": platform.release(), "cpu": processor()}
    with open(kept, "a") as file:
        for line in lines_of(run):
            file.write(json.dumps({**line, **about}) + "\n")
    last = {line["work"]: line for line in lines_of(kept) if "work" in line}
    print(HEAD + "".join(row(line) for line in last.values()), end="")
    machines = sorted({"%s, Linux %s" % (line["cpu"], line["kernel"]) for line in last.values()})
    print("\nOn: %s." % "; ".join(machines))


if __name__ == "__main__":
    main(*sys.argv[1:])
