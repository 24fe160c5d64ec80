# SPDX-License-Identifier: Apache-2.0
"""Transfers through the gateway, blind and attended, with Kamailio and the test PBX as the PBX."""

import asyncio
import re
import time
from urllib.parse import unquote

from kamailio import USERS, Kamailio
from kit import DOMAIN, OUTSIDE, PBX, PHONES_BOUND, check, wait_for
from phones import Baresip, Linphone, check_heard
from softphone import Audio, Softphone, token

DESKS = {"2000": 5080, "2001": 5081}  # at the PBX
EVENT = "Event: refer\r\nSubscription-State: %s\r\n"


def tag(party):
    return re.search(r";tag=([^;>\s]+)", party).group(1)


class Office:
    """A phone outside, two desks at the PBX; every INVITE is answered, and what came is remembered."""

    async def open(self):
        self.audio, self.invites, self.refers, self.notified = await Audio(PBX).open(), [], [], []
        self.desks = {}
        for user, port in DESKS.items():
            self.desks[user] = await Softphone(user, PBX, port, (PBX, 5060), DOMAIN).open()
            self.desks[user].on_invite = self.answer
            self.desks[user].dialog = None
        self.phone = await Softphone("1001", PHONES_BOUND[0], 5060, (OUTSIDE, 5060), DOMAIN, USERS["1001"]).open()
        self.phone.on_invite = self.answer
        answer = await self.phone.register()
        check(answer and answer.status == 200, "the phone is not registered: %s" % (answer and answer.start))
        return self

    async def answer(self, phone, request, source):
        self.invites.append(request)
        local = token()
        phone.dialog = phone.dialog_add(request.get("call-id"), request.get("to") + ";tag=" + local, request,
                                        request.all("record-route"), source)
        phone.dialog.on_request = self.inside
        check(await phone.answer_invite(request, source, local, self.audio.describe()), "no ACK came")

    async def inside(self, dialog, request, source):
        if request.method == "REFER":
            self.refers.append(request)
            dialog.phone.answer(request, source, 202, "Accepted")
        else:
            if request.method == "NOTIFY":
                self.notified.append(request)
            dialog.phone.answer(request, source, 200, "OK")

    async def call(self, number):
        dialog, answer = await self.phone.call(number, self.audio.describe())
        check(dialog, "%s was not reached: %s" % (number, answer and answer.start))
        dialog.on_request = self.inside
        await asyncio.sleep(0.2)
        return dialog


def run(scenario):
    async def whole():
        await asyncio.wait_for(scenario(await Office().open()), 40)
    asyncio.run(whole())


def test_blind_transfer_of_a_phone_by_the_pbx(kit):
    """S5, S13: the phone is told a name that works once; the result is told to who transferred."""
    Kamailio(kit, routes={user: "sip:%s@%s:%d" % (user, PBX, port) for user, port in DESKS.items()})
    gateway = kit.gateway(encryption="offered")

    async def scenario(office):
        first = await office.call("2000")
        answer = await office.desks["2000"].dialog.request(
            "REFER", "Refer-To: <sip:2001@%s>\r\nReferred-By: <sip:2000@%s>\r\n" % (DOMAIN, PBX))
        check(answer.status == 202, "REFER was answered " + answer.start)
        target = re.search(r"<sip:([^@>]+)@([^>]+)>", office.refers[0].get("refer-to"))
        check(target and target.group(1) != "2001" and PBX not in office.refers[0].get("refer-to"),
              "the phone was told %s" % office.refers[0].get("refer-to"))
        second = await office.call(target.group(1))
        check(office.invites[-1].start.startswith("INVITE sip:2001@"), "2001 was called as " + office.invites[-1].start)
        check("sip:2000@" in office.invites[-1].get("referred-by"), "nobody says who transferred")
        check(len(gateway.calls()) == 2, "calls: %s" % gateway.calls())
        answer = await first.request("NOTIFY", EVENT % "terminated;reason=noresource",
                                     "SIP/2.0 200 OK\r\nServer: secret\r\n", "message/sipfrag")
        check(answer.status == 200 and office.notified[-1].body.startswith("SIP/2.0 200"), "the result was not told")
        check("secret" not in office.notified[-1].body, "the phone's headers crossed")
        again, refusal = await office.phone.call(target.group(1), office.audio.describe())
        check(not again and refusal.status in (403, 404), "the name worked twice: %s" % (refusal and refusal.start))
        for dialog in (first, second):
            check((await dialog.bye()).status == 200, "a call was not there any more")
    run(scenario)
    gateway.wait_calls(0)


def test_attended_transfer_by_a_phone(kit):
    """The phone names its second call as it knows it; the PBX hears of it as the PBX knows it."""
    Kamailio(kit, routes={user: "sip:%s@%s:%d" % (user, PBX, port) for user, port in DESKS.items()})
    gateway = kit.gateway(encryption="offered")

    async def scenario(office):
        first, second = await office.call("2000"), await office.call("2001")
        named = "%s%%3Bto-tag%%3D%s%%3Bfrom-tag%%3D%s" % (second.call_id, tag(second.remote), tag(second.local))
        answer = await first.request("REFER", "Refer-To: <sip:2001@%s?Replaces=%s>\r\n" % (DOMAIN, named))
        check(answer.status == 202, "REFER was answered " + answer.start)
        told, inner = unquote(office.refers[0].get("refer-to")), office.desks["2001"].dialog
        for part in (inner.call_id, "to-tag=" + tag(inner.local), "from-tag=" + tag(inner.remote)):
            check(part in told, "the PBX was told %s, not %s" % (told, part))
        check(second.call_id not in told, "the phone's Call-ID crossed")
        answer = await first.request("REFER", "Refer-To: <sip:2001@%s?Replaces=%s>\r\n" % (
            DOMAIN, named.replace(second.call_id, "nobodys")))
        check(answer.status == 403, "a call that is not the phone's was taken: " + answer.start)
        for dialog in (first, second):
            await dialog.bye()
    run(scenario)
    gateway.wait_calls(0)


def test_a_call_is_replaced_from_the_inside(kit):
    """The PBX takes a phone's call over: the phone hears of the one it knows; of a foreign one, 481."""
    Kamailio(kit, routes={user: "sip:%s@%s:%d" % (user, PBX, port) for user, port in DESKS.items()})
    gateway = kit.gateway(encryption="offered")

    async def scenario(office):
        first = await office.call("2000")
        inner = office.desks["2000"].dialog
        line = "Replaces: %s;to-tag=%s;from-tag=%s\r\n" % (inner.call_id, tag(inner.remote), tag(inner.local))
        _, refusal = await office.desks["2001"].call("1001", office.audio.describe(),
                                                     line.replace(inner.call_id, "nobodys"))
        check(refusal and refusal.status == 481, "a foreign call was replaced: %s" % (refusal and refusal.start))
        second, answer = await office.desks["2001"].call("1001", office.audio.describe(), line)
        check(second, "the phone was not reached: %s" % (answer and answer.start))
        told = office.invites[-1].get("replaces")
        for part in (first.call_id, "to-tag=" + tag(first.local), "from-tag=" + tag(first.remote)):
            check(part in told, "the phone was told %s, not %s" % (told, part))
        check((await first.bye()).status == 200 and (await second.bye()).status == 200, "a call was gone")
    run(scenario)
    gateway.wait_calls(0)


def test_a_redirect_is_followed_as_the_phone_would_dial(kit):
    """S5, S10: where a phone sends its calls on to is routed as if that phone had dialled it; in a circle it ends."""
    Kamailio(kit, routes={user: "sip:%s@%s:%d" % (user, PBX, port) for user, port in DESKS.items()},
             trusted="1 == 1")  # nobody could answer its challenge to a call that is sent on
    gateway = kit.gateway(encryption="offered")

    async def scenario(office):
        async def moved(phone, request, source):
            phone.answer(request, source, 302, "Moved Temporarily", token())

        office.phone.on_invite = moved
        office.phone.contact = lambda: "<sip:2001@%s>" % DOMAIN
        dialog, answer = await office.desks["2000"].call("1001", office.audio.describe())
        check(dialog, "the redirect was not followed: %s" % (answer and answer.start))
        check(office.invites[-1].start.startswith("INVITE sip:2001@"), "2001 was called as " + office.invites[-1].start)
        check((await dialog.bye()).status == 200, "the call was not there any more")
        office.phone.contact = lambda: "<sip:1001@%s>" % DOMAIN
        dialog, answer = await office.desks["2000"].call("1001", office.audio.describe())
        check(not dialog and answer, "a circle was not ended")
    run(scenario)
    gateway.wait_calls(0)


# ---- Softphones, over TLS with SRTP, and the test PBX -----------------------------------------------------------


def testpbx(kit):
    """For any user: 601 plays 440 Hz; 602 and 603 send their caller on, 604 redirects."""
    kit.start("testpbx", [kit.binary, "testpbx", "--listen", PBX + ":5060"])
    kit.wait_listening("udp", PBX, 5060)


def counter(gateway, name):
    return gateway.ask("status")["counters"][name]


def check_call_of(gateway, account):
    """The one call that is left is that account's, and encrypted."""
    calls = gateway.wait_calls(1, 20)
    check(account in str(calls), "the call left is not of %s: %s" % (account, calls))
    check("AES" in str(calls), "nothing is encrypted: %s" % calls)


def pair(kit, gateway, caller, registered=2):
    """The caller in a call with 1002, who hears at first another tone than 601's."""
    called = Baresip(kit, "1002", answer=True, tone_hz=0)
    gateway.wait_registrations(registered)
    caller.dial("1002")
    caller.wait_established()
    time.sleep(1.5)
    return called


def test_baresip_transfers_blind(kit):
    gateway = kit.gateway()
    testpbx(kit)
    phone = Baresip(kit, "1001", tone_hz=880)
    called = pair(kit, gateway, phone)
    phone.command("transfer sip:601@" + DOMAIN)
    phone.wait_ended()
    check_call_of(gateway, "1002")
    time.sleep(3)
    called.hang_up()
    gateway.wait_calls(0)
    check_heard(called.heard(), 440, "who was transferred")
    check(counter(gateway, "transfers_passed") == 1, "the transfer was not counted")


def test_baresip_transfers_blind_to_a_phone(kit):
    """Who was transferred hears the third, who never was in a call with him before."""
    gateway = kit.gateway()
    testpbx(kit)
    third = Baresip(kit, "1003", tone_hz=600, answer=True)
    phone = Baresip(kit, "1001", tone_hz=880)
    called = pair(kit, gateway, phone, registered=3)
    phone.command("transfer sip:1003@" + DOMAIN)
    phone.wait_ended()
    gateway.wait_calls(2, 20)
    time.sleep(3)
    called.hang_up()
    gateway.wait_calls(0)
    check_heard(called.heard(), 600, "who was transferred")
    check(third.heard(), "the third recorded nothing")


def test_a_failed_transfer_leaves_the_call(kit):
    gateway = kit.gateway()
    testpbx(kit)
    phone = Linphone(kit, "1001")
    phone.use_files()
    phone.wait_registered()
    pair(kit, gateway, phone)
    before = len(gateway.calls())
    phone.process.say("transfer sip:1003@" + DOMAIN)  # is not registered
    phone.wait_log("SIP/2.0 404 Not Found")
    time.sleep(1)
    check(before and len(gateway.calls()) == before, "the call is gone: %s" % gateway.calls())
    phone.hang_up()
    gateway.wait_calls(0)


def test_linphone_transfers_blind(kit):
    gateway = kit.gateway()
    testpbx(kit)
    phone = Linphone(kit, "1001")
    phone.use_files()
    phone.wait_registered()
    called = pair(kit, gateway, phone)
    phone.process.say("transfer sip:601@" + DOMAIN)
    check_call_of(gateway, "1002")
    time.sleep(3)
    called.hang_up()
    gateway.wait_calls(0)
    check_heard(called.heard(), 440, "who was transferred")


def test_linphone_transfers_attended(kit):
    """The phone asks 1003 first, and then joins its two calls. baresip, once held, plays nothing any more: that sound
    reaches 1002, to which nothing came before, shows in what it counts."""
    gateway = kit.gateway()
    testpbx(kit)
    Baresip(kit, "1003", tone_hz=600, answer=True)
    phone = Linphone(kit, "1001")
    phone.use_files()
    phone.wait_registered()
    gateway.wait_registrations(2)
    called = Baresip(kit, "1002", tone_hz=700, answer=True)
    gateway.wait_registrations(3)
    phone.dial("1002")
    phone.wait_established()
    phone.process.say("pause")
    phone.wait_log("LinphoneCallPaused|to Paused")
    phone.dial("1003")
    wait_for("the second call", lambda: phone.log().count("StreamsRunning") >= 2 and len(gateway.calls()) == 4, 20, 0.2)
    time.sleep(1)
    received = r"audio=\d+/6\d{4}"  # bit/s, of what it could decrypt
    seen = len(re.findall(received, called.process.output()))
    phone.process.say("transfer 1 --to-call 2")
    gateway.wait_calls(2, 20)
    called.process.wait_output(received, 15, seen + 10)
    check(len(gateway.calls()) == 2, "calls: %s" % gateway.calls())
    called.hang_up()
    gateway.wait_calls(0)


def check_quality(call):
    """On one machine nothing is lost or late, so both sides sound as well as they can."""
    for leg in (call["caller"], call["callee"]):
        check(leg["media"]["opinion_score"] > 4, "the sound is not good: %s" % leg)


def check_sent_on(kit, number, tone_hz, heard_hz):
    """The PBX transfers the phone that called it: REFER from core to access."""
    gateway = kit.gateway()
    testpbx(kit)
    phone = Baresip(kit, "1001", tone_hz=tone_hz)
    gateway.wait_registrations(1)
    phone.dial(number)
    phone.wait_established(count=2)
    gateway.wait_calls(1, 15)
    time.sleep(3)
    check_call_of(gateway, "1001")
    check_quality(gateway.calls()[0])
    phone.hang_up()
    gateway.wait_calls(0)
    check_heard(phone.heard()[-1:], heard_hz, "the transferred phone")
    check(counter(gateway, "transfers_passed") == 1, "the transfer was not counted")


def test_the_pbx_transfers_baresip_blind(kit):
    check_sent_on(kit, "602", 880, 880)


def test_the_pbx_transfers_baresip_attended(kit):
    """The new call takes the place of the first (Replaces), which the phone never hears of."""
    check_sent_on(kit, "603", 880, 440)


def test_the_pbx_transfers_linphone_blind(kit):
    gateway = kit.gateway()
    testpbx(kit)
    phone = Linphone(kit, "1001")
    phone.use_files()
    phone.wait_registered()
    gateway.wait_registrations(1)
    phone.dial("602")
    wait_for("the second call", lambda: phone.log().count("LinphoneCallConnected to LinphoneCallStreamsRunning") == 2,
             20, 0.2)
    check_call_of(gateway, "1001")
    check(counter(gateway, "transfers_passed") == 1, "the transfer was not counted")
    phone.hang_up()
    gateway.wait_calls(0)


def test_the_pbx_redirects(kit):
    gateway = kit.gateway()
    testpbx(kit)
    phone = Baresip(kit, "1001", tone_hz=880)
    gateway.wait_registrations(1)
    phone.dial("604")
    phone.wait_established()
    time.sleep(3)
    phone.hang_up()
    gateway.wait_calls(0)
    check_heard(phone.heard(), 440, "who was redirected")


def test_nobody_dials_by_a_refer_outside_of_calls(kit):
    """Click-to-dial: a REFER that belongs to no call makes no phone and no PBX call anybody."""
    Kamailio(kit, routes={user: "sip:%s@%s:%d" % (user, PBX, port) for user, port in DESKS.items()})
    kit.gateway(encryption="offered")

    async def scenario(office):
        answer, _, _ = await office.phone.authenticated("REFER", "sip:2000@" + DOMAIN, "<sip:2000@%s>" % DOMAIN, token(16),
                                                        "Refer-To: <sip:2001@%s>\r\n" % DOMAIN)
        check(answer and answer.status == 403, "from a phone: %s" % (answer and answer.start))
        answer, _, _ = await office.desks["2000"].authenticated("REFER", "sip:1001@" + DOMAIN, "<sip:1001@%s>" % DOMAIN,
                                                                token(16), "Refer-To: <sip:2001@%s>\r\n" % DOMAIN)
        check(answer and answer.status == 403, "from the PBX: %s" % (answer and answer.start))
        check(not office.refers and not office.invites, "somebody was asked to call")
    run(scenario)
