#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Adds the lines of a run to the kept ones, with where and when, and prints the table: the rows that it had, those of the run in
place of earlier ones of the same work.

  bench/report.py RUN.jsonl KEPT.jsonl TABLE.md
"""
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

LOST_MAXIMUM = 0.01  # a relay that drops spends on that
OTHERS_MAXIMUM = 0.3  # cores that others may take beside a measuring of many wake-ups

HEAD = """\
# How fast it is, beside others

Made by `make bench`; do not edit. Both sides get the same load on the same machine in the same run, so that the ratio
is what counts: microseconds change with the machine. What is compared, and how, stands at the head of each program:
[signalling/calls.py](signalling/calls.py), [signalling/delay.py](signalling/delay.py), [signalling/memory.py](signalling/memory.py),
[signalling/sustained.py](signalling/sustained.py), [recovery/](recovery), [rtp/run.py](rtp/run.py) (on loopback, by sockets),
[rtp/namespaces.py](rtp/namespaces.py) (between namespaces, the whole gateway), [parse/](parse), [net/](net).

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
    if line.get("others_cores", 0) > OTHERS_MAXIMUM:
        goal += " (beside %.1f cores of other work: measure again)" % line["others_cores"]
    ratio = "%.2f" % line["ratio"] if "ratio" in line else "–"
    return "| %s |\n" % " | ".join([line["work"], value(line, "ours"), value(line, "theirs"), ratio, goal,
                                    line.get("peer", "–"), line["date"]])


def table_read(path):
    """The rows of an earlier table by their work, and the machines it names."""
    with open(path) as file:
        lines = file.read().splitlines()
    rows = [line for line in lines if line.startswith("| ")][1:]
    machines = [line[4:-1].split("; ") for line in lines if line.startswith("On: ")]
    return {line.split(" | ")[0][2:]: line + "\n" for line in rows}, set(sum(machines, []))


def main(run, kept, table):
    about = {"date": time.strftime("%Y-%m-%d"), "commit": commit(), "kernel": platform.release(), "cpu": processor()}
    lines = [{**line, **about} for line in lines_of(run)]
    with open(kept, "a") as file:
        for line in lines:
            file.write(json.dumps(line) + "\n")
    rows, machines = table_read(table)
    rows.update({line["work"]: row(line) for line in lines if "work" in line})
    if lines:
        machines.add("%s, Linux %s" % (about["cpu"], about["kernel"]))
    print(HEAD + "".join(rows.values()), end="")
    print("\nOn: %s." % "; ".join(sorted(machines)))


if __name__ == "__main__":
    main(*sys.argv[1:])
