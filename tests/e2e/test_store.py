# SPDX-License-Identifier: Apache-2.0
"""A full disk: calls and registrations go on, the operator is told, and what was confirmed is written afterwards."""

import json
import os
import signal
import time

from kamailio import Kamailio
from kit import OUTSIDE, PBX, PHONES_BOUND, Skip, check, wait_for
from sipp import Sipp, register
from test_processes import alive, roles_of

GATEWAY = OUTSIDE + ":5060"
CALLER = PHONES_BOUND[0]


def status(gateway):
    return json.loads(gateway.command("status", "--json").stdout)


def fill(path):
    """Leaves no byte."""
    with open(path, "wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass


def test_full_disk(kit):
    if os.geteuid() != 0:
        raise Skip("needs root to mount a small disk")
    Kamailio(kit, routes={"2000": "sip:2000@%s:5080" % PBX})
    gateway = kit.gateway(encryption="offered", start=False)
    kit.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "none", gateway.state])
    gateway.start()
    register(kit, CALLER, 5060, GATEWAY, user="1001")
    gateway.wait_registrations(1)
    time.sleep(0.5)

    filler = os.path.join(gateway.state, "filler")
    fill(filler)
    for user in ("1002", "1003"):
        register(kit, CALLER, 5062, GATEWAY, user=user)
    gateway.wait_registrations(3)
    shown = wait_for("the store to fail", lambda: [now for now in [status(gateway)] if now["store_error"]])[0]
    check("No space" in shown["store_error"] and shown["store_waiting"] >= 1, "status says: %s" % shown)
    check("wait for it" in gateway.command("status").stdout, "`ringwall status` does not tell it")
    refused = gateway.command("upgrade", ok=False)
    check(refused.returncode == 1 and "store" in refused.stderr, "upgrade says: " + refused.stderr)

    answering = Sipp(kit, "uas_held", PBX, 5080, user="2000")
    kit.wait_listening("udp", PBX, 5080)
    caller = Sipp(kit, "uac_held", CALLER, 5060, GATEWAY, to="2000")
    gateway.wait_calls(1)
    wait_for("the call to be established", lambda: "established" in str(gateway.calls()))
    gateway.command("hangup", gateway.calls()[0]["id"])
    caller.finish()
    answering.finish()

    # The store that died knows nothing of it; the gate does.
    before = roles_of(gateway.process.pid)["store"]
    os.kill(before, signal.SIGKILL)
    os.unlink(filler)
    wait_for("the store to write again", lambda: status(gateway)["store_error"] == "" and
             status(gateway)["store_waiting"] == 0 and roles_of(gateway.process.pid)["store"] != before)
    told = [line for line in gateway.process.output().splitlines() if "store cannot write" in line]
    check(len(told) == 1, "it is not told once: %s" % told)

    victims = [gateway.process.pid] + list(roles_of(gateway.process.pid).values())
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    gateway.process.wait()
    wait_for("all to be gone", lambda: not any(alive(pid) for pid in victims[1:]))
    gateway.start()
    check(len(gateway.registrations()) == 3, "what was confirmed is not on the disk: %s" % gateway.registrations())
    gateway.stop()
