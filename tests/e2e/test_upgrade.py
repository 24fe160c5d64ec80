# SPDX-License-Identifier: Apache-2.0
"""`ringwall upgrade`: another program takes over the running gateway; what cannot, changes nothing."""

import json
import os
import re
import shutil
import signal
import time

from kamailio import Kamailio
from kit import OUTSIDE, PHONES_BOUND, check, wait_for
from sipp import register
from test_encryption import USERS, testpbx
from test_processes import roles_of

GATEWAY = OUTSIDE + ":5060"
CALLER = PHONES_BOUND[0]
GAP_MS = 2500  # generous: a sanitized process on a busy machine starts slowly


def changed(program, old, new):
    """Other bytes in the program, but for the versions that libraries name (LIBNAME_0.1.0)."""
    return re.sub(rb"(?<!_)" + re.escape(old), lambda _: new, program)


def install(kit, *changes):
    """Puts a program that differs by these bytes in the place of the one that runs, as a package manager does."""
    with open(kit.binary, "rb") as file:
        program = file.read()
    for old, new in changes:
        check(old in program and len(old) == len(new), "%r is not in the program" % old)
        program = changed(program, old, new)
    replace(kit, program)


def replace(kit, content):
    new = kit.path("ringwall.new")
    with open(new, "wb") as file:
        file.write(content)
    os.chmod(new, 0o755)
    os.rename(new, kit.path("ringwall"))


def version(kit):
    return kit.run([kit.binary, "version", "--json"]).stdout.split('"')[3]


def another(version_now):
    """A version of the same length, as in the program's bytes."""
    other = version_now[:-1] + ("8" if version_now[-1] == "9" else "9")
    return (version_now.encode() + b"\0", other.encode() + b"\0"), other


def own_program(kit):
    shutil.copy(kit.binary, kit.path("ringwall"))
    kit.binary = kit.path("ringwall")
    os.chmod(kit.directory, 0o755)


def test_upgrade(kit):
    """All processes are replaced but the one that systemd knows; what was registered stays, and no message is lost."""
    own_program(kit)
    Kamailio(kit)
    gateway = kit.gateway(encryption="offered")
    register(kit, CALLER, 5060, GATEWAY)
    gateway.wait_registrations(1)
    before = roles_of(gateway.process.pid)
    change, wanted = another(version(kit))
    install(kit, change)
    said = gateway.command("upgrade", timeout_s=60).stdout
    check(re.search(r"-> %s in \d+ ms" % re.escape(wanted), said), "upgrade says: " + said)
    now = roles_of(gateway.process.pid)
    check(gateway.process.running() and sorted(now) == sorted(before), "these run now: %s" % now)
    check(not set(now.values()) & set(before.values()), "not all were replaced: %s, %s" % (before, now))
    status = json.loads(gateway.command("status", "--json").stdout)
    check(status["version"] == wanted and status["upgrade"]["state"] == "done", "status says: %s" % status)
    check(len(gateway.registrations()) == 1, "the registration is gone")
    check(gateway.command("reload").returncode == 0, "no reload after the upgrade")
    gateway.command("upgrade", timeout_s=60)  # and once more
    os.kill(roles_of(gateway.process.pid)["gate"], signal.SIGKILL)
    wait_for("the gate to be replaced", lambda: "registrations" in gateway.command("status", "--json", ok=False).stdout)
    gateway.stop()
    check(not os.path.exists(gateway.state + "/control.sock"), "the control socket is left behind")


def test_calls_outlive_an_upgrade(kit):
    """Sound goes on, the registration stays, and BYE works on a call that was set up before."""
    own_program(kit)
    gateway = kit.gateway(encryption="offered")
    testpbx(kit, gateway)
    password = kit.write("password", USERS["1001"], 0o600)
    call = kit.start("testcall", [kit.binary, "testcall", "sip:600@%s:5060" % OUTSIDE, "--transport", "udp", "--user",
                                  "1001", "--password-file", password, "--no-encrypt", "--duration", "8", "--json"],
                     phone=kit.phone())
    wait_for("the call to be established", lambda: "established" in str(gateway.calls()), 15, 0.1)
    time.sleep(0.5)
    before = roles_of(gateway.process.pid)
    change, wanted = another(version(kit))
    install(kit, change)
    said = gateway.command("upgrade", timeout_s=60).stdout
    check(wanted in said, "upgrade says: " + said)
    check(not set(roles_of(gateway.process.pid).values()) & set(before.values()), "not all were replaced")
    check(len(gateway.calls()) == 1 and "established" in str(gateway.calls()), "the call is gone")
    check(len(gateway.registrations()) == 1, "the registration is gone")
    call.wait()
    result = json.loads(re.search(r"(?s)\{.*\}", call.output()).group(0))
    missing_ms = 20 * (result["packets_sent"] - result["packets_received"])
    kit.write("upgrade.txt", "%s%d ms of sound were missing\n" % (said, missing_ms))
    check(result["packets_received"] > 100 and missing_ms <= GAP_MS,
          "%d ms of the call are missing: %s" % (missing_ms, call.output()))
    gateway.wait_calls(0)
    gateway.stop()


def test_a_program_that_cannot_take_over_changes_nothing(kit):
    own_program(kit)
    gateway = kit.gateway()
    before = roles_of(gateway.process.pid)
    with open(kit.binary, "rb") as file:
        good = file.read()
    for content, word in ((b"#!/bin/sh\nexit 3\n", "cannot take over"), (b"nonsense", "cannot take over")):
        replace(kit, content)
        shutil.copy(kit.path("ringwall"), kit.path("wrong"))
        kit.binary, wrong = kit.path("good"), kit.binary
        with open(kit.binary, "wb") as file:
            file.write(good)
        os.chmod(kit.binary, 0o755)
        gateway.binary = kit.binary
        result = gateway.command("upgrade", ok=False, timeout_s=60)
        kit.binary = wrong
        check(result.returncode == 1 and word in result.stderr and "nothing changed" in result.stderr,
              "upgrade says: %s%s" % (result.stdout, result.stderr))
        check(roles_of(gateway.process.pid) == before, "processes changed")
    # Its supervisor works, its store does not: the program of before takes over again.
    change, other = another(kit.run([gateway.binary, "version", "--json"]).stdout.split('"')[3])
    with open(kit.path("ringwall.new"), "wb") as file:
        file.write(changed(good, *change).replace(b"ringwall.db\0", b"n/where.dbx\0"))
    os.chmod(kit.path("ringwall.new"), 0o755)
    os.rename(kit.path("ringwall.new"), kit.path("ringwall"))
    result = gateway.command("upgrade", ok=False, timeout_s=60)
    check(result.returncode == 1 and "runs on" in result.stderr and "store" in result.stderr,
          "upgrade says: %s%s" % (result.stdout, result.stderr))
    now = roles_of(gateway.process.pid)
    check(now["gate"] == before["gate"] and now["media"] == before["media"], "more was replaced than the store")
    status = json.loads(gateway.command("status", "--json").stdout)
    check(status["version"] != other and status["store"] and status["upgrade"]["state"] == "failed",
          "status says: %s" % status)
    os.kill(now["store"], signal.SIGKILL)
    wait_for("the store to be replaced", lambda: roles_of(gateway.process.pid).get("store") not in (None, now["store"]))
    time.sleep(0.3)
    gateway.stop()
