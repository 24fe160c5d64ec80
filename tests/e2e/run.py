#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the end-to-end tests: every function test_* of every tests/e2e/test_*.py, each in a process, a network
namespace and a directory of its own. One line a test; the last line is `N passed, N failed, N skipped`."""

import argparse
import fnmatch
import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import kit as library  # noqa: E402

PASSED, FAILED, SKIPPED = 0, 1, 77
TIMEOUT_S = 90
running = {}  # child's pid: its directory


def discover(pattern):
    """(module, function, seconds) of each test, in file order; `function.timeout_s` overrides TIMEOUT_S."""
    tests = []
    for name in sorted(os.listdir(HERE)):
        if not (name.startswith("test_") and name.endswith(".py")):
            continue
        module = importlib.import_module(name[:-3])
        for function in module.__dict__.copy().values():
            label = "%s.%s" % (module.__name__, getattr(function, "__name__", ""))
            if not callable(function) or not function.__name__.startswith("test_"):
                continue
            if function.__module__ == module.__name__ and (not pattern or fnmatch.fnmatch(label, "*%s*" % pattern)):
                tests.append((module.__name__, function.__name__, getattr(function, "timeout_s", TIMEOUT_S)))
    return tests


def run_inside(label, directory, binary):
    """In the test's own process: runs it and says how it went by the exit code; the reason goes to the output."""
    module, function = label.split(".")
    kit = library.Kit(directory, binary)
    try:
        kit.network()
        getattr(importlib.import_module(module), function)(kit)
        kit.close()
        kit.check_logs()
        return PASSED
    except library.Skip as reason:
        print(reason)
        return SKIPPED
    except library.Failure as failure:
        print(failure)
        frames = [f for f in traceback.extract_tb(failure.__traceback__) if "test_" in f.filename]
        print("".join("  at %s:%d: %s\n" % (os.path.basename(f.filename), f.lineno, f.line) for f in frames))
        return FAILED
    except Exception:
        traceback.print_exc(file=sys.stdout)
        return FAILED
    finally:
        kit.close()


def end_left_over(directory):
    """After a test that was ended itself: the groups it had started, by their ids."""
    try:
        with open(os.path.join(directory, "pids")) as file:
            pids = [int(line) for line in file]
    except OSError:
        return
    for pid in pids:
        try:
            if os.getpgid(pid) == pid and os.getsid(pid) == pid:
                os.killpg(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


def run_one(test, options):
    module, function, timeout_s = test
    directory = tempfile.mkdtemp(prefix="rw-")
    os.chmod(directory, 0o755)
    started = time.monotonic()
    child = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--inside", "%s.%s" % (module, function),
                              "--directory", directory, "--binary", options.binary],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
                             preexec_fn=library.die_with_parent)
    running[child.pid] = directory
    try:
        output, _ = child.communicate(timeout=timeout_s)
        code = child.returncode
    except subprocess.TimeoutExpired:
        child.kill()
        end_left_over(directory)
        output, code = (child.communicate()[0] or "") + "not done after %d s\n" % timeout_s, FAILED
    del running[child.pid]
    verdict = {PASSED: "ok", SKIPPED: "skip"}.get(code, "FAIL")
    line = "%-5s %s.%s (%.1f s)" % (verdict, module, function, time.monotonic() - started)
    if verdict == "skip":
        line += " - " + output.strip()
    elif verdict == "FAIL":
        line += "\n" + "".join("      " + l + "\n" for l in output.strip().splitlines()) + "      logs: " + directory
    if verdict != "FAIL" and not options.keep:
        shutil.rmtree(directory, ignore_errors=True)
    print(line, flush=True)
    return verdict


def interrupted(number, _frame):
    """Told to end early: nothing that was started stays."""
    for pid, directory in list(running.items()):
        os.kill(pid, signal.SIGKILL)
        end_left_over(directory)
    os._exit(128 + number)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default=os.path.join(HERE, "..", "..", "build", "ringwall"))
    parser.add_argument("--only", metavar="PATTERN", help="tests whose name contains PATTERN (with * and ?)")
    parser.add_argument("--list", action="store_true", help="names only")
    parser.add_argument("--keep", action="store_true", help="keep the directories of tests that passed, too")
    parser.add_argument("--jobs", type=int, default=1, help="tests at a time")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--directory", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.binary = os.path.abspath(options.binary)

    if options.inside:
        sys.exit(run_inside(options.inside, options.directory, options.binary))
    tests = discover(options.only)
    if options.list:
        print("\n".join("%s.%s" % test[:2] for test in tests))
        return
    if not tests:
        sys.exit("no test matches")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, interrupted)
    with ThreadPoolExecutor(max(1, options.jobs)) as pool:
        verdicts = list(pool.map(lambda test: run_one(test, options), tests))
    failed = verdicts.count("FAIL")
    print("%d passed, %d failed, %d skipped" % (verdicts.count("ok"), failed, verdicts.count("skip")))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
