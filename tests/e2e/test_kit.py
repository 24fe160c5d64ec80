# SPDX-License-Identifier: Apache-2.0
"""The peers against each other, without the gateway: when one of these fails, the kit or the machine is at fault."""

from kamailio import Kamailio
from kit import PBX, PHONES_BOUND
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
