# SPDX-License-Identifier: Apache-2.0
"""Mixed traffic for minutes while the configuration is reloaded and processes are killed: no confirmed call is lost, nothing is
left behind. RINGWALL_SOAK_S sets how long (make soak: half an hour)."""

import asyncio
import json
import os
import random
import signal
import time

from kamailio import USERS, Kamailio
from kit import DOMAIN, OUTSIDE, PBX, PHONES_BOUND, check, wait_for
from softphone import Audio, Softphone, token
from test_processes import roles_of, supervisor_of

SOAK_S = int(os.environ.get("RINGWALL_SOAK_S", "180"))
RELOAD_EVERY_S, KILL_EVERY_S = 20, 60 if SOAK_S > 600 else 25
HEARD_CALLS = 6     # calls at a time that carry sound
GATE_GAP_S = 0.2    # of sound, when the gate is killed
MEDIA_GAP_S = 3.0   # when media is: its process starts anew, under a sanitizer here
CALLEE_PORT = 5080


class Traffic:
    def __init__(self, gateway):
        self.gateway, self.phones, self.calls, self.lost, self.counts = gateway, [], {}, [], {}
        self.kills, self.heard, self.tasks, self.transferred = [], [], set(), 0
        self.over = False

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def spawn(self, coroutine):
        task = asyncio.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def open(self):
        self.callee = await Softphone("2000", PBX, CALLEE_PORT, (PBX, 5060), DOMAIN).open()
        self.callee.on_invite = self.answer_call
        self.callee.on_subscribe = self.answer_subscription
        for number, (user, password) in enumerate(USERS.items()):
            phone = await Softphone(user, PHONES_BOUND[number], 5060, (OUTSIDE, 5060), DOMAIN, password).open()
            phone.on_invite = self.answer_call
            self.phones.append(phone)
        self.control = [await Audio(PBX).open(), await Audio(PHONES_BOUND[0]).open()]
        for mine, other in (self.control, reversed(self.control)):
            mine.start((other.address, other.port))

    async def register_all(self):
        while not self.over:
            answers = await asyncio.gather(*(phone.register() for phone in self.phones))
            for answer in answers:
                self.count("registered" if answer and answer.status == 200 else "registration refused")
            await asyncio.sleep(10)

    # ---- calls ---------------------------------------------------------------------------------------------

    async def audio(self, address):
        return await Audio(address).open()

    async def answer_call(self, phone, request, source):
        """Rings or not, answers, and stays until somebody ends it."""
        name, tag = request.get("subject"), token()
        audio = await self.audio(phone.address)
        if random.random() < 0.5:
            phone.answer(request, source, 180, "Ringing", tag)
            await asyncio.sleep(random.uniform(0.1, 2))
        local = request.get("to") + ";tag=" + tag
        dialog = phone.dialog_add(request.get("call-id"), local, request, request.all("record-route"), source)
        dialog.on_request = self.answer_inside
        dialog.audio = audio
        if not await phone.answer_invite(request, source, tag, audio.describe()):
            audio.close()
            return  # the caller never confirmed it
        call = self.calls.get(name)
        if call:
            call["callee"] = dialog
            if call["heard"]:
                audio.start(Audio.where(request.body))
        await dialog.ended.wait()
        self.ended(name, dialog)
        audio.close()

    async def answer_inside(self, dialog, request, source):
        phone = dialog.phone
        if request.method == "INVITE":
            await phone.answer_invite(request, source, "", dialog.audio.describe(
                "recvonly" if "sendonly" in request.body else "sendrecv"))
        elif request.method == "REFER":
            phone.answer(request, source, 202, "Accepted")
            self.spawn(self.transfer(dialog, request))
        else:
            phone.answer(request, source, 200, "OK")

    async def transfer(self, dialog, request):
        """A phone that was asked to call somebody else."""
        target = request.get("refer-to").strip("<>").split(":", 1)[1].split("@")[0]
        await dialog.request("NOTIFY", "Event: refer\r\nSubscription-State: active;expires=60\r\n",
                             "SIP/2.0 100 Trying\r\n", "message/sipfrag")
        done = await self.one_call(dialog.phone, target, 2)
        self.transferred += bool(done)
        if not dialog.ended.is_set():
            await dialog.request("NOTIFY", "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n",
                                 "SIP/2.0 200 OK\r\n", "message/sipfrag")

    def ended(self, name, dialog):
        """A confirmed call ends because one of the two wanted it."""
        call = self.calls.get(name)
        if call and dialog.ended_by_peer and not call["wanted"]:
            self.lost.append("%s: ended by nobody, %.1f s after it began" % (name, time.monotonic() - call["since"]))

    async def one_call(self, phone, number, seconds):
        """A whole call. Returns whether it was confirmed."""
        name, heard = token(), len(self.heard) < HEARD_CALLS
        call = self.calls[name] = {"since": time.monotonic(), "wanted": False, "heard": heard, "callee": None}
        audio = await self.audio(phone.address)
        if heard:
            self.heard.append(audio)
        try:
            dialog, answer = await phone.call(number, audio.describe(), "Subject: %s\r\n" % name)
            if not dialog:
                self.count("refused %s" % (answer.status if answer else "by silence"))
                return False
            self.count("confirmed")
            dialog.on_request, dialog.audio = self.answer_inside, audio
            if heard:
                audio.start(Audio.where(answer.body))
            await self.talk(call, dialog, seconds, name)
            return True
        finally:
            if heard:
                self.heard.remove(audio)
                self.judge(audio)
            audio.close()
            asyncio.get_running_loop().call_later(40, self.calls.pop, name, None)

    async def talk(self, call, dialog, seconds, name):
        end = time.monotonic() + seconds
        if random.random() < 0.3 and not call["heard"]:
            await asyncio.sleep(seconds / 3)
            for direction in ("sendonly", "sendrecv"):
                if dialog.ended.is_set():
                    break
                answer = await dialog.phone.reinvite(dialog, dialog.audio.describe(direction))
                self.count("re-INVITE %s" % (answer.status if answer else "unanswered"))
                if not answer or answer.status in (408, 481):
                    self.lost.append("%s: re-INVITE %s" % (name, answer and answer.start))
        if random.random() < 0.1 and call["callee"] and call["callee"].phone is self.callee:
            answer = await call["callee"].request("REFER", "Refer-To: <sip:2001@%s>\r\n" % DOMAIN)
            self.count("REFER %s" % (answer.status if answer else "unanswered"))
        try:
            await asyncio.wait_for(dialog.ended.wait(), max(0.1, end - time.monotonic()))
        except asyncio.TimeoutError:
            pass
        if dialog.ended.is_set():
            self.ended(name, dialog)
            return
        call["wanted"] = True
        who = call["callee"] if call["callee"] and random.random() < 0.4 else dialog
        answer = await who.bye()
        if not answer or answer.status != 200:
            self.lost.append("%s: BYE was answered %s" % (name, answer and answer.start))
        dialog.ended.set()

    def judge(self, audio):
        """No longer gap of sound than the one that this machine made of the direct stream at that time."""
        for at, gap in audio.gaps:
            for killed_at, role in self.kills:
                if at - gap - 0.1 <= killed_at <= at or killed_at <= at - gap <= killed_at + 2:
                    direct = max([g for a, g in self.control[0].gaps + self.control[1].gaps
                                  if abs(a - at) < 3] or [0])
                    allowed = (MEDIA_GAP_S if role == "media" else GATE_GAP_S) + direct
                    if gap > allowed:
                        self.lost.append("sound was away for %.0f ms when %s was killed" % (gap * 1000, role))

    async def calls_out(self):
        while not self.over:
            self.spawn(self.one_call(random.choice(self.phones), "2000", random.uniform(1, 20)))
            await asyncio.sleep(random.expovariate(1.5))

    async def calls_in(self):
        while not self.over:
            user = random.choice(list(USERS))
            self.spawn(self.one_call(self.callee, user, random.uniform(1, 20)))
            await asyncio.sleep(random.expovariate(0.7))

    # ---- subscriptions -------------------------------------------------------------------------------------

    async def answer_subscription(self, phone, request, source):
        tag = token()
        dialog = phone.dialog_add(request.get("call-id"), request.get("to") + ";tag=" + tag, request,
                                  request.all("record-route"), source)
        dialog.on_request = self.answer_refresh
        phone.answer(request, source, 200, "OK", tag, "Expires: %s\r\n" % request.get("expires", "60"))
        await self.notify(dialog, "active;expires=60")

    async def answer_refresh(self, dialog, request, source):
        dialog.phone.answer(request, source, 200, "OK", extra="Expires: %s\r\n" % request.get("expires", "60"))
        await self.notify(dialog, "terminated;reason=timeout" if request.get("expires") == "0" else "active;expires=60")

    async def notify(self, dialog, state):
        answer = await dialog.request("NOTIFY", "Event: message-summary\r\nSubscription-State: %s\r\n" % state,
                                      "Messages-Waiting: no\r\n", "application/simple-message-summary")
        self.count("NOTIFY %s" % (answer.status if answer else "unanswered"))

    async def subscriptions(self):
        while not self.over:
            self.spawn(self.one_subscription(random.choice(self.phones)))
            await asyncio.sleep(random.expovariate(0.5))

    async def one_subscription(self, phone):
        dialog = await phone.subscribe("2000", "message-summary")
        self.count("subscribed" if dialog else "subscription refused")
        if not dialog:
            return
        await asyncio.sleep(random.uniform(1, 15))
        answer = await dialog.request("SUBSCRIBE", "Event: message-summary\r\nExpires: 0\r\n")
        self.count("unsubscribed %s" % (answer.status if answer else "in vain"))

    # ---- what disturbs -------------------------------------------------------------------------------------

    async def reloads(self):
        while not self.over:
            await asyncio.sleep(RELOAD_EVERY_S)
            result = await asyncio.to_thread(self.gateway.command, "reload", ok=False)
            self.count("reload" if result.returncode == 0 else "reload while a process was away")

    async def kills_of_processes(self, until):
        order = []
        while time.monotonic() + KILL_EVERY_S < until:
            await asyncio.sleep(KILL_EVERY_S)
            if not order:
                order = random.sample(["gate", "media", "store", "supervisor"], 4)
            role = order.pop()
            running = await asyncio.to_thread(roles_of, self.gateway.process.pid)
            running["supervisor"] = await asyncio.to_thread(supervisor_of, self.gateway.process.pid)
            pid = running.get(role)
            if pid:
                self.kills.append((time.monotonic(), role))
                os.kill(pid, signal.SIGKILL)
                self.count("killed " + role)

    async def run(self, seconds):
        await self.open()
        until = time.monotonic() + seconds
        forever = [asyncio.create_task(c) for c in (self.register_all(), self.calls_out(), self.calls_in(),
                                                    self.subscriptions(), self.reloads(),
                                                    self.kills_of_processes(until))]
        await asyncio.sleep(seconds)
        self.over = True
        for task in forever[1:]:
            task.cancel()
        deadline = time.monotonic() + 60
        while self.tasks and time.monotonic() < deadline:
            await asyncio.sleep(0.5)
        for audio in self.control:
            audio.close()
        forever[0].cancel()


def test_soak(kit):
    """A1 to A3: calls, transfers, subscriptions and registrations outlive reloads and kill -9."""
    Kamailio(kit, routes={"2000": "sip:2000@%s:%d" % (PBX, CALLEE_PORT), "2001": "sip:2001@%s:%d" % (PBX, CALLEE_PORT)})
    gateway = kit.gateway(encryption="offered", more="calls: {media_silence: 0}\n")
    random.seed(int(os.environ.get("RINGWALL_SOAK_SEED", time.time())))
    traffic = Traffic(gateway)
    asyncio.run(traffic.run(SOAK_S))
    print(json.dumps(traffic.counts, indent=1, sort_keys=True))
    check(not traffic.lost, "%d calls were lost:\n%s" % (len(traffic.lost), "\n".join(traffic.lost[:20])))
    confirmed, refused = traffic.counts.get("confirmed", 0), sum(
        n for what, n in traffic.counts.items() if what.startswith("refused"))
    check(confirmed > SOAK_S and refused * 20 < confirmed, "%d calls were confirmed, %d refused" % (confirmed, refused))
    check(traffic.counts.get("subscribed", 0) > SOAK_S / 10, "subscriptions did not come about")
    check(traffic.transferred > 0, "no call was transferred")
    wait_for("every call to be gone", lambda: not gateway.calls(), 45)
    gateway.stop()


test_soak.timeout_s = SOAK_S + 150
