# SPDX-License-Identifier: Apache-2.0
"""Encryption outside, plain RTP inside: baresip and Linphone as phones, proof by listening on the wire (THREATS M1)."""

import re
import time

from kamailio import Kamailio, USERS
from kit import OUTSIDE, PBX, PHONES_BOUND, check
from phones import Baresip, Linphone, check_heard, share_of_tone
from sipp import Sipp
from wire import INNER_TEXTS, Capture

GATEWAY = OUTSIDE + ":5060"


def testpbx(kit, gateway, user="1001"):
    """The built-in PBX on the inside, for one user."""
    pbx = kit.start("testpbx", [kit.binary, "testpbx", "--listen", PBX + ":5060", "--user", user, "--password",
                                USERS[user]])
    kit.wait_listening("udp", PBX, 5060)
    check(gateway.process.running(), "ringwall ended")
    return pbx


def check_wire(capture, phone):
    """What an eavesdropper at the phone's link hears is no tone, and all that passed was TLS and SRTP."""
    outside = "ip.addr == %s" % phone.where.address
    packets = capture.rtp(outside)
    check(len(packets) > 50, "only %d media packets passed at the phone" % len(packets))
    check(share_of_tone(capture.rtp_sound(outside), 440) < 0.2, "the tone can be heard on the access side")
    check(capture.count("udp && %s && (udp.port == 5060 || sip)" % outside) == 0, "there was SIP in the clear")
    check(capture.count("tls && " + outside) > 0, "there was no TLS")
    readable = [payload for payload in capture.media("ip.src == %s" % OUTSIDE)
                if payload[1] in range(200, 205) and re.search(rb"[ -~]{12}", payload[8:])]
    check(not readable, "RTCP with readable text came from the gateway: %r" % readable[:1])


def check_trace(phone):
    """The phone's own trace of decrypted SIP names nothing of the inside (S18)."""
    text = phone.process.output() if isinstance(phone, Baresip) else phone.log()
    for inner in INNER_TEXTS:
        check(inner not in text, "%r reached the phone: %s" % (
            inner, [line for line in text.splitlines() if inner in line][:3]))


def test_echo_at_600_of_the_test_pbx(kit):
    gateway = kit.gateway()
    testpbx(kit, gateway)
    phone = Baresip(kit, "1001")
    gateway.wait_registrations(1)
    outside, inside = Capture(kit, [phone.where.link]), Capture(kit, ["lo"])
    phone.dial("600")
    phone.wait_established()
    time.sleep(3)
    shown = str(gateway.wait_calls(1))
    check("AES" in shown and "none" in shown and "PCM" in shown, "`ringwall calls` shows no encryption: " + shown)
    phone.hang_up()
    phone.wait_ended()
    gateway.wait_calls(0)
    check_heard(phone.heard(), 440, "the caller")
    check_wire(outside, phone)
    check_trace(phone)
    check(share_of_tone(inside.stop().rtp_sound("ip.dst == %s" % PBX), 440) > 0.5, "the inside is not plain RTP")


def test_two_phones_hear_each_other(kit):
    Kamailio(kit)
    gateway = kit.gateway()
    echo = Baresip(kit, "1002", tone_hz=0, answer=True)
    caller = Baresip(kit, "1001")
    gateway.wait_registrations(2)
    captures = [Capture(kit, [caller.where.link]), Capture(kit, [echo.where.link])]
    caller.dial("1002")
    caller.wait_established()
    time.sleep(3)
    caller.hang_up()
    echo.wait_ended()
    gateway.wait_calls(0)
    check_heard(echo.heard(), 440, "the callee")
    check_heard(caller.heard(), 440, "the caller")
    for capture, phone in zip(captures, (caller, echo)):
        check_wire(capture, phone)
        check_trace(phone)


def test_linphone_calls_600(kit):
    gateway = kit.gateway()
    testpbx(kit, gateway)
    phone = Linphone(kit, "1001")
    phone.use_files()
    phone.wait_registered()
    capture = Capture(kit, [phone.where.link])
    phone.dial("600")
    phone.wait_established()
    phone.record(3)
    phone.hang_up()
    phone.wait_ended()
    gateway.wait_calls(0)
    check_heard(phone.heard(), 440, "the caller")
    check_wire(capture, phone)
    check_trace(phone)


def test_linphone_is_called(kit):
    Kamailio(kit)
    gateway = kit.gateway()
    called = Linphone(kit, "1002", answer=True)
    called.use_files()
    called.wait_registered()
    caller = Baresip(kit, "1001")
    gateway.wait_registrations(2)
    caller.dial("1002")
    caller.wait_established()
    called.wait_established()
    called.record(3)
    caller.hang_up()
    called.wait_ended()
    gateway.wait_calls(0)
    check_heard(called.heard(), 440, "the called Linphone")
    check_heard(caller.heard(), 440, "the calling baresip")
    check_trace(called)


def test_phone_that_offers_plain_rtp_is_refused(kit):
    """M1: with encryption required, no call comes about without, and the PBX never hears of it."""
    pbx = Kamailio(kit, routes={"2000": "sip:2000@%s:5080" % PBX})
    gateway = kit.gateway()
    Sipp(kit, "uac_refused", PHONES_BOUND[0], 5060, GATEWAY, to="2000").finish()
    phone = Baresip(kit, "1001", encryption="")
    phone.dial("2000")
    phone.process.wait_output("488", 10)
    check(gateway.calls() == [], "the refused call is there")
    check(not pbx.requests("ACK"), "a call was set up without encryption")


def test_keys_in_clear_signalling_are_refused(kit):
    """M1: SDES keys that came over UDP are known to every listener."""
    Kamailio(kit, routes={"2000": "sip:2000@%s:5080" % PBX})
    gateway = kit.gateway()
    phone = Baresip(kit, "1001", transport="udp", encryption="srtp-mand")
    phone.dial("2000")
    phone.process.wait_output("488", 10)
    check(gateway.calls() == [], "the refused call is there")
