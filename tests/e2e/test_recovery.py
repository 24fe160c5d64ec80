# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the gate at every moment of a call (A1): media flows on, and the call goes on as if nothing had happened."""

import json
import os
import re
import signal
import time

from kamailio import Kamailio
from kit import OUTSIDE, PBX, PHONES_BOUND, check, udp_socket, wait_for
from sipp import Sipp, register
from test_encryption import USERS, testpbx
from test_processes import kill_supervisor, roles_of, wait_replaced
from wire import Capture

GATEWAY = OUTSIDE + ":5060"
CALLER, CALLEE = PHONES_BOUND[0], PHONES_BOUND[1]
GAP_MS = 200


def kill_gate(gateway):
    before = roles_of(gateway.process.pid)["gate"]
    os.kill(before, signal.SIGKILL)
    return before


def established(gateway):
    wait_for("the call to be established", lambda: "established" in str(gateway.calls()), 15, 0.05)


def start(kit, callee, caller, **more):
    """A call between two phones that begins; returns the gateway and both ends."""
    Kamailio(kit)
    gateway = kit.gateway(encryption="offered")
    register(kit, CALLEE, 5060, GATEWAY, user="1002")
    answering = Sipp(kit, callee, CALLEE, 5060, user="1002", **more)
    kit.wait_listening("udp", CALLEE, 5060)
    return gateway, Sipp(kit, caller, CALLER, 5060, GATEWAY), answering


def finish(gateway, caller, answering):
    caller.finish()
    answering.finish()
    gateway.wait_calls(0)


def largest_gap_ms(capture, display_filter):
    """Between two packets of sound, by the capture's clock."""
    times = [float(row[0]) for row in capture.packets("udp && udp.length == 180 && (%s)" % display_filter,
                                                      "frame.time_epoch")]
    check(len(times) > 80, "only %d packets of sound passed (%s)" % (len(times), display_filter))
    return 1000 * max(b - a for a, b in zip(times, times[1:]))


def test_sound_flows_on_when_the_gate_is_killed(kit):
    """Twice in one call of three seconds: no gap in either direction, and the caller's BYE is understood."""
    gateway = kit.gateway(encryption="offered")
    testpbx(kit, gateway)
    capture = Capture(kit)
    password = kit.write("password", USERS["1001"], 0o600)
    call = kit.start("testcall", [kit.binary, "testcall", "sip:600@" + GATEWAY, "--user", "1001", "--password-file",
                                  password, "--duration", "4", "--json"], phone=kit.phone())
    established(gateway)
    for _ in range(2):
        time.sleep(0.8)
        wait_replaced(gateway, "gate", kill_gate(gateway))
    check(len(gateway.calls()) == 1, "the new gate does not know the call: %s" % gateway.calls())
    check(call.wait() == 0, "the call did not go well: " + call.output())
    gateway.wait_calls(0)
    result = json.loads(re.search(r"(?s)\{.*\}", call.output()).group(0))
    gap = largest_gap_ms(capture, "ip.dst == %s" % PBX)
    missing_ms = 20 * (result["packets_sent"] - result["packets_received"])
    print("    largest gap of sound to the PBX: %.0f ms; %d ms did not come back" % (gap, missing_ms))
    check(gap <= GAP_MS, "sound was interrupted for %.0f ms" % gap)
    check(missing_ms <= GAP_MS, "%d ms of sound did not come back" % missing_ms)


def test_sound_flows_on_when_the_supervisor_is_killed(kit):
    """And the gate right after it: the call is held and ended as ever."""
    gateway, caller, answering = start(kit, "uas_hold", "uac_hold")
    established(gateway)
    capture = Capture(kit)
    before = roles_of(gateway.process.pid)
    kill_supervisor(gateway)
    wait_replaced(gateway, "gate", kill_gate(gateway))
    check(roles_of(gateway.process.pid)["media"] == before["media"], "media did not stay")
    check("established" in str(gateway.calls()), "the call is gone: %s" % gateway.calls())
    finish(gateway, caller, answering)
    check(capture.count("sip.Method == BYE && ip.dst == %s" % CALLEE) > 0, "the callee was not told of the end")


def test_a_call_of_a_lost_connection_can_be_ended(kit):
    """The phone's TLS connection went with the gate; the call is still there, and the PBX hears of its end."""
    gateway = kit.gateway()
    testpbx(kit, gateway)
    authority, _, _ = kit.certificates()
    capture = Capture(kit)
    password = kit.write("password", USERS["1001"], 0o600)
    call = kit.start("testcall", [kit.binary, "testcall", "sips:600@%s:5061" % OUTSIDE, "--user", "1001",
                                  "--password-file", password, "--authorities", authority, "--duration", "3",
                                  "--json"], phone=kit.phone())
    established(gateway)
    time.sleep(0.7)
    wait_replaced(gateway, "gate", kill_gate(gateway))
    check(len(gateway.calls()) == 1, "the new gate does not know the call")
    gateway.command("hangup", gateway.calls()[0]["id"])
    gateway.wait_calls(0)
    call.end()
    check(capture.count("sip.Method == BYE && ip.dst == %s" % PBX) > 0, "the PBX was not told of the end")


def test_hold_and_resume_after_a_death(kit):
    gateway, caller, answering = start(kit, "uas_hold", "uac_hold")
    established(gateway)
    kill_gate(gateway)
    finish(gateway, caller, answering)


def test_the_callee_hangs_up_after_a_death(kit):
    gateway, caller, answering = start(kit, "uas_bye", "uac_held")
    established(gateway)
    kill_gate(gateway)
    finish(gateway, caller, answering)


def test_a_ringing_call_is_answered_after_two_deaths(kit):
    gateway, caller, answering = start(kit, "uas_slow", "uac")
    wait_for("the phone to ring", lambda: "ringing" in str(gateway.calls()), 15, 0.05)
    wait_replaced(gateway, "gate", kill_gate(gateway))
    check("ringing" in str(gateway.calls()), "the new gate does not know the call: %s" % gateway.calls())
    wait_replaced(gateway, "gate", kill_gate(gateway))
    finish(gateway, caller, answering)


def test_deaths_at_any_moment(kit):
    """The gate is killed again and again while a call is set up, held, taken back and ended: wherever that is in the call,
    what is lost is sent again."""
    gateway, caller, answering = start(kit, "uas_hold", "uac_hold")
    deadline = time.monotonic() + 20
    killed = 0
    while caller.process.running() and time.monotonic() < deadline:
        running = roles_of(gateway.process.pid).get("gate")
        if running:
            try:
                os.kill(running, signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                pass
        time.sleep(0.45 + 0.07 * (killed % 5))
    finish(gateway, caller, answering)
    check(killed >= 2, "the call was over before the gate was killed twice")


def test_forged_requests_are_refused_after_a_death(kit):
    gateway, caller, answering = start(kit, "uas_held", "uac_held")
    established(gateway)
    wait_replaced(gateway, "gate", kill_gate(gateway))
    invite = re.search(r"(?s)SIP/2\.0 200 OK\r?\n.*?CSeq: 2 INVITE", caller.messages()).group(0)

    def value(name):
        return re.search(r"(?im)^%s:\s*(.*?)\r?$" % name, invite).group(1)
    stranger = udp_socket(PHONES_BOUND[2])
    stranger.sendto(("BYE sip:x@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%d;branch=z9hG4bKforged;rport\r\nMax-Forwards: 70\r\n"
                     "From: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: 99 BYE\r\nContent-Length: 0\r\n\r\n" %
                     (GATEWAY, PHONES_BOUND[2], stranger.getsockname()[1], value("From"), value("To"),
                      value("Call-ID"))).encode(), (OUTSIDE, 5060))
    stranger.settimeout(5)
    check(b"481" in stranger.recv(4096).split(b"\r\n")[0], "a stranger's BYE with the right tags was not refused")
    check(len(gateway.calls()) == 2, "a stranger ended the call")  # to the PBX, and from it
    gateway.command("hangup", gateway.calls()[0]["id"])
    finish(gateway, caller, answering)
