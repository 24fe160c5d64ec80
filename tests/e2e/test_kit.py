# SPDX-License-Identifier: Apache-2.0
"""The peers against each other, without the gateway: when one of these fails, the kit or the machine is at fault."""

import time

from kamailio import Kamailio
from kit import OUTSIDE, PBX, PHONES_BOUND, Failure, check
from phones import Baresip, Linphone, check_heard, share_of_tone
from sipp import Sipp, register
from wire import Capture

REMOTE = PBX + ":5060"
CALLER, CALLEE = PHONES_BOUND[0], PHONES_BOUND[1]


def call(kit, caller, callee, **more):
    """One call between two sipp phones through the PBX alone."""
    Kamailio(kit)
    register(kit, CALLEE, 5060, REMOTE, user="1002")
    answering = Sipp(kit, callee, CALLEE, 5060, user="1002")
    kit.wait_listening("udp", CALLEE, 5060)
    Sipp(kit, caller, CALLER, 5060, REMOTE, **more).finish()
    answering.finish()


def test_call(kit):
    call(kit, "uac", "uas")


def test_hold(kit):
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


def test_message(kit):
    call(kit, "message", "uas_message")


def test_options(kit):
    call(kit, "options", "uas_options")


def test_baresip_clear(kit):
    Kamailio(kit)
    calls_with_sound(kit, transport="udp", encryption="", server=PBX)


def test_baresip_encrypted(kit):
    Kamailio(kit, tls_port=5061)
    calls_with_sound(kit, transport="tls", encryption="srtp-mand", server=PBX)


def calls_with_sound(kit, **how):
    kit.forward()
    echo = Baresip(kit, "1002", tone_hz=0, answer=True, **how)
    caller = Baresip(kit, "1001", tone_hz=440, **how)
    caller.dial("1002")
    caller.wait_established()
    time.sleep(2.5)
    caller.hang_up()
    echo.wait_ended()
    check_heard(echo.heard(), 440, "the callee")
    check_heard(caller.heard(), 440, "the caller")


def test_linphone(kit):
    kit.forward()
    Kamailio(kit, address=OUTSIDE, tls_port=5061)
    echo = Baresip(kit, "1002", tone_hz=0, answer=True)
    phone = Linphone(kit, "1001")
    phone.use_files()
    phone.wait_registered()
    phone.dial("1002")
    echo.wait_established()
    phone.record(2.5)
    phone.hang_up()
    echo.wait_ended()
    check_heard(echo.heard(), 440, "the callee")
    check_heard(phone.heard(), 440, "the caller")


def test_capture_hears_clear_sound_and_not_encrypted(kit):
    Kamailio(kit, tls_port=5061)
    kit.forward()
    for encryption, user in (("", "1001"), ("srtp-mand", "1003")):
        echo = Baresip(kit, "1002", tone_hz=0, answer=True, server=PBX, encryption=encryption)
        caller = Baresip(kit, user, server=PBX, encryption=encryption)
        capture = Capture(kit, [caller.where.link])
        caller.dial("1002")
        caller.wait_established()
        time.sleep(2)
        capture.stop()
        caller.hang_up()
        echo.process.end()
        check(len(capture.rtp("ip.src == %s" % caller.where.address)) > 50, "no RTP was captured")
        share = share_of_tone(capture.rtp_sound("ip.src == %s" % caller.where.address), 440)
        check((share > 0.5) == (encryption == ""), "with %r, the share of the tone on the wire is %.2f" %
              (encryption, share))


def test_busy(kit):
    call(kit, "uac_busy", "uas_busy")


def test_not_found(kit):
    Kamailio(kit)
    Sipp(kit, "uac_not_found", CALLER, 5060, REMOTE, to="1003").finish()


def test_registering(kit):
    Kamailio(kit)
    register(kit, CALLER, 5060, REMOTE, scenario="register_again")
    Sipp(kit, "register_refused", CALLEE, 5060, REMOTE, to="1001", password="guessed",
         keys={"expires": 60, "contact": "<sip:1001@%s:5060>" % CALLEE}).finish()


def test_call_over_tcp(kit):
    call(kit, "uac", "uas", transport="t1")


def test_slow_and_long(kit):
    call(kit, "uac_trust", "uas_slow")


def test_call_inside(kit):
    Kamailio(kit, routes={"2000": "sip:2000@%s:5080" % PBX})
    answering = Sipp(kit, "uas_held", PBX, 5080, user="2000")
    kit.wait_listening("udp", PBX, 5080)
    Sipp(kit, "uac_stay", CALLER, 5060, REMOTE, to="2000").finish()
    answering.finish()


def test_leaks_are_seen(kit):
    """The control of the tests that find nothing: without a gateway, the inside is there for everybody to read."""
    capture = Capture(kit)
    call(kit, "uac", "uas")
    try:
        capture.check_topology_hidden()
    except Failure as failure:
        check("10.0.0." in str(failure), "another failure: %s" % failure)
    else:
        raise Failure("the inner address was not seen")
    outside, inside = capture.sip_values("sip.Call-ID", "ip.addr == %s" % CALLER), capture.sip_values(
        "sip.Call-ID", "ip.addr == %s" % CALLEE)
    check(outside & inside, "no Call-ID was seen on both sides")
