# SPDX-License-Identifier: Apache-2.0
"""Calls from phone to PBX to phone, each leg through the gateway, signalling in every shape; and what each side may
know of the other. sipp speaks UDP and plain RTP here, so the zone offers encryption instead of requiring it."""

from kamailio import Kamailio
from kit import INSIDE, OUTSIDE, PBX, PHONES_BOUND, check
from sipp import Sipp, register
from wire import OUTSIDE_NETS, Capture

GATEWAY = OUTSIDE + ":5060"
INNER = "InnerPhone/3.0"
CALLER, CALLEE = PHONES_BOUND[0], PHONES_BOUND[1]


def call(kit, caller, callee, transport="u1", **more):
    """One call between two registered phones; returns the gateway and what was on the wire."""
    Kamailio(kit)
    gateway = kit.gateway(encryption="offered")
    register(kit, CALLEE, 5060, GATEWAY, user="1002")
    capture = Capture(kit)
    answering = Sipp(kit, callee, CALLEE, 5060, user="1002")
    kit.wait_listening("udp", CALLEE, 5060)
    Sipp(kit, caller, CALLER, 5060, GATEWAY, transport=transport, **more).finish()
    answering.finish()
    gateway.wait_calls(0)
    check(gateway.process.running(), "ringwall ended")
    capture.stop()
    return gateway, capture


def test_call_hides_each_side_from_the_other(kit):
    _, capture = call(kit, "uac", "uas")
    capture.check_topology_hidden()
    outside, inside = OUTSIDE_NETS, "ip.addr == %s" % PBX
    for field, what in (("sip.Call-ID", "Call-ID"), ("sip.from.tag", "From tag"), ("sip.to.tag", "To tag"),
                        ("sip.Via.branch", "branch"), ("sdp.owner.sessionid", "SDP session id")):
        both = capture.sip_values(field, outside) & capture.sip_values(field, inside)
        check(not both, "%s is the same on both sides: %s" % (what, both))
    hops = capture.packets("sip.Method == INVITE && ip.dst == %s" % PBX, "sip.Max-Forwards")
    check(hops and all(int(row[0]) < 70 for row in hops), "Max-Forwards was not counted down: %s" % hops)
    vias = capture.packets("sip.Method == INVITE && ip.src == %s && ip.dst == %s" % (OUTSIDE, CALLEE), "sip.Via")
    check(vias and all("," not in row[0] and OUTSIDE in row[0] for row in vias), "Via shows the way inside: %s" % vias)


def test_hold_and_resume(kit):
    call(kit, "uac_hold", "uas_hold")


def test_late_offer(kit):
    call(kit, "uac_late", "uas_late")


def test_cancel(kit):
    call(kit, "uac_cancel", "uas_cancel")


def test_prack(kit):
    call(kit, "uac_prack", "uas_prack")


def test_update(kit):
    call(kit, "uac_update", "uas_update")


def test_callee_hangs_up(kit):
    call(kit, "uac_held", "uas_bye")


def test_busy(kit):
    call(kit, "uac_busy", "uas_busy")


def test_tone_by_info_and_fax(kit):
    call(kit, "uac_fax", "uas_fax")


def test_message(kit):
    _, capture = call(kit, "message", "uas_message")
    capture.check_topology_hidden()


def test_options_to_a_user(kit):
    _, capture = call(kit, "options", "uas_options")
    capture.check_topology_hidden()


def test_call_over_tcp(kit):
    call(kit, "uac", "uas", transport="t1")


def test_trust_headers_stay_outside(kit):
    _, capture = call(kit, "uac_trust", "uas")
    capture.check_absent(["boss@", "smuggled", "X-Smuggled"], "ip.dst == %s && udp" % PBX, "inside")


def test_call_from_the_inside(kit):
    """The PBX's side calls a phone: no challenge goes to the phone, and nothing of the inside is seen by it."""
    Kamailio(kit)
    gateway = kit.gateway(encryption="offered")
    register(kit, CALLEE, 5060, GATEWAY, user="1002")
    capture = Capture(kit)
    answering = Sipp(kit, "uas", CALLEE, 5060, user="1002")
    kit.wait_listening("udp", CALLEE, 5060)
    Sipp(kit, "uac_open", PBX, 5080, PBX + ":5060", user="2000", agent=INNER).finish()
    answering.finish()
    gateway.wait_calls(0)
    capture.stop().check_topology_hidden()


def test_call_to_the_inside(kit):
    """A phone calls a user of the PBX who answers from the inside; calls in progress are shown with both legs."""
    Kamailio(kit, routes={"2000": "sip:2000@%s:5080" % PBX})
    gateway = kit.gateway(encryption="offered")
    capture = Capture(kit)
    answering = Sipp(kit, "uas_held", PBX, 5080, user="2000", agent=INNER)
    kit.wait_listening("udp", PBX, 5080)
    caller = Sipp(kit, "uac_stay", CALLER, 5060, GATEWAY, to="2000")
    shown = str(gateway.wait_calls(1))
    check("phones" in shown and "pbx" in shown, "`ringwall calls` does not show both zones: %s" % shown)
    caller.finish()
    answering.finish()
    gateway.wait_calls(0)
    capture.stop().check_topology_hidden()
    check(capture.count("sip.Method == INVITE && ip.src == %s" % INSIDE) > 0, "no INVITE came inside")


def test_many_calls_one_after_the_other(kit):
    Kamailio(kit, routes={"2000": "sip:2000@%s:5080" % PBX})
    gateway = kit.gateway(encryption="offered")
    answering = Sipp(kit, "uas", PBX, 5080, user="2000", calls=20)
    kit.wait_listening("udp", PBX, 5080)
    Sipp(kit, "uac", CALLER, 5060, GATEWAY, to="2000", calls=20, timeout_s=60).finish(70)
    answering.finish()
    gateway.wait_calls(0)
