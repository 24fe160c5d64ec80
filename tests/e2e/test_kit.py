# SPDX-License-Identifier: Apache-2.0
"""The peers against each other, without the gateway: when one of these fails, the kit or the machine is at fault."""

import time

from kamailio import Kamailio
from kit import OUTSIDE, PBX, PHONES_BOUND
from phones import Baresip, Linphone, check_heard
from sipp import Sipp, register

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
