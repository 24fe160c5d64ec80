# SPDX-License-Identifier: Apache-2.0
"""The first five minutes: `ringwall run` without a configuration, and what it prints typed into a softphone."""

import json
import re
import time

from kit import check
from phones import Baresip, check_heard, share_of_tone
from wire import Capture


def newcomer(kit):
    """Starts it with the machine's state and configuration out of sight; the phone's place is there first, so that the
    machine has an address to be reached at, that of its way out. Returns the phone's place and what was printed."""
    where = kit.phone()
    kit.ip("route add default via %s" % where.address)
    for directory in ("/var/lib", "/etc/ringwall"):
        kit.run(["sh", "-c", "[ ! -d %s ] || mount -t tmpfs none %s" % (directory, directory)])
    process = kit.start("ringwall", [kit.binary, "run"])
    process.wait_output("Ctrl-C ends it", 20)
    text = process.output()
    shown = {name: re.search(r"%s\s+(\S+)" % name, text) for name in ("Server", "Port", "Transport", "User", "Password")}
    check(all(shown.values()), "it does not say what to type: " + text)
    time.sleep(0.5)
    return where, {name: match.group(1) for name, match in shown.items()}, text


def test_softphone_calls_600_and_hears_itself(kit):
    where, shown, _ = newcomer(kit)
    check(shown["Server"] == where.router, "the address it prints is not the machine's: " + shown["Server"])
    phone = Baresip(kit, shown["User"], transport=shown["Transport"].lower(), password=shown["Password"],
                    server=shown["Server"], port=int(shown["Port"]), where=where, domain=shown["Server"])
    capture = Capture(kit, [where.link])
    phone.dial("600")
    phone.wait_established()
    time.sleep(2.5)
    phone.hang_up()
    phone.wait_ended()
    check_heard(phone.heard(), 440, "the newcomer")
    outside = "ip.addr == %s" % where.address
    check(len(capture.rtp(outside)) > 50, "no media passed at the phone")
    check(share_of_tone(capture.rtp_sound(outside), 440) < 0.2, "the call was not encrypted")


def test_the_printed_test_call_passes(kit):
    _, _, text = newcomer(kit)
    command = re.search(r"(?s)(\S+ testcall .*?)\n\n", text).group(1).replace("\\\n", " ")
    result = kit.run(["sh", "-c", command], 60)
    check("AES" in result.stdout, "it does not say how the call was encrypted: " + result.stdout)
    calls = kit.run([kit.binary, "calls", "--json"]).stdout
    check(not json.loads(calls).get("calls", []), "the test call is still there: " + calls)
