# SPDX-License-Identifier: Apache-2.0
"""Transfers through the gateway, blind and attended, with Kamailio as the PBX."""

import asyncio
import re
from urllib.parse import unquote

from kamailio import USERS, Kamailio
from kit import DOMAIN, OUTSIDE, PBX, PHONES_BOUND, check
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
