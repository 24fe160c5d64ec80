# SPDX-License-Identifier: Apache-2.0
"""Attacks on the media of a live call, and the call beside them that notices nothing (THREATS M2 to M5)."""

import asyncio
import re
import struct
import time

from kamailio import USERS
from kit import DOMAIN, INSIDE, OUTSIDE, PBX, PHONES_BOUND, STRANGER, check, udp_socket, wait_for
from phones import Baresip, check_heard
from softphone import Audio, Softphone, token
from test_encryption import testpbx
from wire import Capture

FOREIGN = b"\x2a" * 160


class Ears(Audio):
    """Keeps the last packets that came."""

    def __init__(self, address):
        super().__init__(address)
        self.packets = []

    def datagram_received(self, data, source):
        super().datagram_received(data, source)
        self.packets = self.packets[-2000:] + [data]

    def foreign(self):
        return [packet for packet in self.packets if FOREIGN[:40] in packet]


def rtp(number, payload_type=0, payload=FOREIGN, source=0x11223344):
    return struct.pack("!BBHII", 0x80, payload_type, number & 0xffff, number * 160 & 0xffffffff, source) + payload


def evidence(gateway, kind):
    return gateway.ask("status")["evidence"].get(kind, 0)


def call(kit, attack, before=None):
    """A phone in the clear calls the echo; `attack(gateway, ears, port)` runs while it hears itself, `before(port)` when the
    gateway's port is known and no packet was sent."""
    gateway = kit.gateway(encryption="offered")
    testpbx(kit, gateway)

    async def run():
        phone = await Softphone("1001", PHONES_BOUND[0], 5060, (OUTSIDE, 5060), DOMAIN, USERS["1001"]).open()
        ears = await Ears(PHONES_BOUND[0]).open()
        registered = await phone.register()
        check(registered and registered.status == 200, "the phone could not register")
        dialog, answer = await phone.call("600", ears.describe())
        check(dialog, "the call failed: %s" % (answer and answer.start))
        remote = Audio.where(answer.body)
        if before:
            await before(remote)
        ears.start(remote)
        await asyncio.sleep(1)
        check(ears.received > 20, "the phone does not hear itself: %d packets" % ears.received)
        await attack(gateway, ears, remote)
        ears.received = 0
        await asyncio.sleep(1)
        check(ears.received > 40, "the phone heard %d packets in the second after the attack" % ears.received)
        check(len(gateway.calls()) == 1 and not dialog.ended.is_set(), "the call has ended")
        check(not ears.foreign(), "%d foreign packets came through" % len(ears.foreign()))
        await dialog.bye()
        ears.close()

    asyncio.run(asyncio.wait_for(run(), 40))


def test_m2_injection_into_a_live_call(kit):
    async def attack(gateway, ears, remote):
        with udp_socket(STRANGER) as stranger, udp_socket(PHONES_BOUND[0]) as neighbour:
            for number in range(100):
                stranger.sendto(rtp(number), remote)
                neighbour.sendto(rtp(number), remote)
                await asyncio.sleep(0.01)
            for thief in (stranger, neighbour):
                thief.setblocking(False)
                try:
                    check(not thief.recv(2000), "the attacker was sent a packet")
                except (BlockingIOError, ConnectionRefusedError):
                    pass
    call(kit, attack)


def test_m2_theft_by_early_packets(kit):
    """The stranger knows the port first; the phone's sound goes to the phone all the same."""
    thief = udp_socket(STRANGER)
    thief.setblocking(False)

    async def before(remote):
        for number in range(50):
            thief.sendto(rtp(number), remote)
            await asyncio.sleep(0.005)

    async def attack(gateway, ears, remote):
        try:
            stolen = thief.recv(2000)
        except (BlockingIOError, ConnectionRefusedError):
            stolen = None
        check(not stolen, "the stranger was sent a packet")
    with thief:
        call(kit, attack, before)


def test_m4_what_was_not_negotiated_and_floods_are_cut(kit):
    """From the phone's own socket: another payload type, then a tunnel of 2,000 packets."""
    async def attack(gateway, ears, remote):
        for number in range(50):
            ears.transport.sendto(rtp(number, 96), remote)
            await asyncio.sleep(0.002)
        wait_for("the payload type to be told", lambda: evidence(gateway, "media_payload_type") >= 50, 3)
        check(not ears.foreign(), "a payload type crossed that nobody agreed to")
        for number in range(3000):
            ears.transport.sendto(rtp(number, 0, b"\x31" * 160), remote)
            if number % 50 == 49:
                await asyncio.sleep(0.01)
        wait_for("the flood to be told", lambda: evidence(gateway, "media_rate") > 500, 3)
        await asyncio.sleep(5)  # its own flood has used the phone's budget up
    call(kit, attack)


def test_m5_rtcp_bye_ends_nothing(kit):
    """A BYE for the phone's own source, from the phone's own address, as RTCP says it; and lies about loss."""
    async def attack(gateway, ears, remote):
        source = int.from_bytes(ears.packets[-1][8:12], "big")
        report = struct.pack("!BBHIIIIIII", 0x81, 201, 7, 5, source, 0xff7fffff, 0xffffffff, 0, 0, 0)
        bye = struct.pack("!BBHI", 0x81, 203, 1, source)
        with udp_socket(PHONES_BOUND[0], ears.port + 1) as sock:
            for _ in range(10):
                sock.sendto(report + bye, (remote[0], remote[1] + 1))
                await asyncio.sleep(0.02)
        wait_for("the BYE to be told", lambda: evidence(gateway, "media_bye") >= 10, 3)
        wait_for("the lie to be told", lambda: evidence(gateway, "media_false_report") >= 10, 3)
    call(kit, attack)


def test_m3_replay_of_srtp(kit):
    """What was recorded on the way is sent again, from the phone's address: it changes nothing, and is told."""
    gateway = kit.gateway()
    testpbx(kit, gateway)
    phone = Baresip(kit, "1001")
    gateway.wait_registrations(1)
    capture = Capture(kit, [phone.where.link])
    phone.dial("600")
    phone.wait_established()
    time.sleep(2)
    rows = [row for row in capture.packets("udp && ip.src == %s && udp.dstport >= 20000 && udp.dstport < 21000"
                                           % phone.where.address, "udp.dstport", "udp.payload") if int(row[0]) % 2 == 0]
    check(len(rows) > 50, "only %d packets were recorded" % len(rows))
    script = ("import socket,sys,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
              "for line in sys.stdin:\n p,d=line.split()\n s.sendto(bytes.fromhex(d),(%r,int(p)))\n time.sleep(.002)\n"
              "s.settimeout(1)\ntry:\n s.recv(2000); print('stolen')\nexcept socket.timeout:\n print('nothing')\n" % OUTSIDE)
    result = kit.run(phone.where.prefix + ["python3", "-c", script],
                     stdin="".join("%s %s\n" % (port, payload.replace(":", "")) for port, payload in rows))
    check("nothing" in result.stdout, "the replayed packets moved the call: " + result.stdout)
    wait_for("the replay to be told", lambda: evidence(gateway, "media_replayed") >= len(rows) // 2, 3)
    time.sleep(1)
    phone.hang_up()
    phone.wait_ended()
    check_heard(phone.heard(), 440, "the caller")


def test_n5_open_ports_send_strangers_no_datagram(kit):
    """The kernel's ICMP is another matter: see docs/threats.md."""
    async def attack(gateway, ears, remote):
        with udp_socket(STRANGER) as stranger:
            stranger.setblocking(False)
            for data in (b"", b"\0", rtp(1), b"\x80\xc9\0\1\0\0\0\1", b"\0\1\0\0\x21\x12\xa4\x42" + b"x" * 12, b"\x16\xfe\xff"):
                for port in remote[1], remote[1] + 1:
                    stranger.sendto(data, (remote[0], port))
            await asyncio.sleep(0.5)
            try:
                answer = stranger.recv(2000)
            except (BlockingIOError, ConnectionRefusedError):
                answer = None
            check(not answer, "a stranger was answered: %r" % answer)
    call(kit, attack)


def test_ended_calls_are_remembered(kit):
    """How they ended, how long they lasted and how they sounded, while the gate's process lives; and one line of the log each."""
    gateway = kit.gateway(encryption="offered")
    testpbx(kit, gateway)
    check(gateway.ask_ended() == [], "a call has ended before there was one")

    async def run():
        phone = await Softphone("1001", PHONES_BOUND[0], 5060, (OUTSIDE, 5060), DOMAIN, USERS["1001"]).open()
        ears = await Ears(PHONES_BOUND[0]).open()
        await phone.register()
        for number in range(2):
            dialog, answer = await phone.call("600", ears.describe())
            check(dialog, "the call failed: %s" % (answer and answer.start))
            ears.start(Audio.where(answer.body))
            ears.remote = Audio.where(answer.body)
            await asyncio.sleep(2)
            if number == 0:
                await dialog.bye()
            else:
                gateway.command("hangup", gateway.calls()[0]["id"])
                await asyncio.wait_for(dialog.ended.wait(), 5)
        dialog, answer = await phone.call("9999999", ears.describe())
        check(not dialog, "nobody should have answered")
        ears.close()

    asyncio.run(asyncio.wait_for(run(), 40))
    ended = wait_for("both calls to be remembered",
                     lambda: [row for row in gateway.ask_ended() if "media" in row["caller"]][1:] and gateway.ask_ended(), 5)
    check(len(ended) == 2, "%d calls are remembered" % len(ended))
    check([row["ended"] for row in ended] == ["the caller hung up", "Ended by the operator"], "they ended otherwise: %s" % ended)
    for row in ended:
        check(row["duration_s"] in (1, 2, 3) and abs(row["started_at_s"] - time.time()) < 60, "wrong times: %s" % row)
        check(row["caller"]["user"] == "1001" and row["caller"]["zone"] == "phones" and row["callee"]["zone"] == "pbx",
              "wrong people: %s" % row)
        check(row["caller"]["codec"].startswith("PCMU") and row["caller"]["encryption"] == "none", "wrong codec: %s" % row)
        for leg in row["caller"], row["callee"]:
            check(leg["media"]["packets_in"] > 60 and leg["media"]["lost"] < 5 and leg["media"]["opinion_score"] > 4,
                  "wrong scores: %s" % leg)
    check(not gateway.calls(), "an ended call is among those that go on")
    shown = gateway.command("calls", "--ended").stdout
    check("the caller hung up" in shown and "MOS" in shown, "the table shows otherwise: " + shown)
    lines = [line for line in gateway.process.output().splitlines() if " ended after " in line]
    check(len(lines) == 2 and "MOS" in lines[0], "the log says otherwise: %s" % lines)
    said = "".join(line.split(" ended after ")[1] for line in lines)
    check("1001" not in said and "600" not in said, "the log names who called: %s" % lines)


# ---- Tones (RFC 4733, and by INFO) ----

EVENT_TYPE = 101


def with_events(description):
    return description.replace("RTP/AVP 0\r\n", "RTP/AVP 0 101\r\n") + (
        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n")


def tone(digit, number, source=0x55667788):
    """The packets of a key that is pressed for 100 ms (RFC 4733 section 2.5): one timestamp, three ends."""
    rows = [(160 * n, 0) for n in range(1, 5)] + [(800, 0x80)] * 3
    return [struct.pack("!BBHII", 0x80, EVENT_TYPE | (0x80 if n == 0 else 0), number + n, 16000 + number, source) +
            struct.pack("!BBH", digit, end | 10, duration) for n, (duration, end) in enumerate(rows)]


class Desk:
    """A PBX of one extension, which hears all that comes and answers what a call brings."""

    async def open(self):
        self.ears, self.asked, self.dialog = await Ears(PBX).open(), [], None
        self.phone = await Softphone("pbx", PBX, 5060, (INSIDE, 5060), DOMAIN).open()
        self.phone.on_invite = self.answer
        return self

    async def answer(self, _phone, request, source):
        tag = token()
        self.dialog = self.phone.dialog_add(request.get("call-id"), request.get("to") + ";tag=" + tag, request,
                                            request.all("record-route"), source)
        self.dialog.on_request = self.serve
        self.remote = Audio.where(request.body)
        self.ears.start(self.remote)
        kind = re.search(r"a=rtpmap:(\d+) PCM", request.body)
        body = with_events(self.ears.describe())
        if kind and "RTP/AVP 0" not in request.body and kind.group(1) == "8":
            body = body.replace("RTP/AVP 0 ", "RTP/AVP 8 ").replace("0 PCMU", "8 PCMA")
        await self.phone.answer_invite(request, source, tag, body)

    async def serve(self, _dialog, request, source):
        self.asked.append(request)
        self.phone.answer(request, source, 200, "OK")

    def events(self):
        return [packet for packet in self.ears.packets if packet[1] & 127 == EVENT_TYPE]


async def wait_true(what, predicate, timeout_s=5.0):
    for _ in range(int(timeout_s * 20)):
        if predicate():
            return
        await asyncio.sleep(0.05)
    check(False, "waited in vain for " + what)


def check_no_digit_logged(gateway, since, digits):
    """At level debug, too, nobody learns what was typed: it may be the number of a card."""
    lines = gateway.process.output()[since:].splitlines()
    for line in lines:
        said = line.split(": ", 1)[-1]
        check(not re.search(r"(?i)signal|dtmf|duration=", said), "the log tells of a tone: " + line)
        for digit in digits:
            check(not re.search(r"(?<![\w.:,-])%s(?![\w.:,%%-])" % re.escape(digit), said),
                  "the log has the digit %s: %s" % (digit, line))


def test_tones_cross_unchanged_and_unlogged(kit):
    gateway = kit.gateway(encryption="offered", more="log: {level: debug}\n")

    async def run():
        desk = await Desk().open()
        phone = await Softphone("1001", PHONES_BOUND[0], 5060, (OUTSIDE, 5060), DOMAIN).open()
        ears = await Ears(PHONES_BOUND[0]).open()
        dialog, answer = await phone.call("600", with_events(ears.describe()))
        check(dialog, "the call failed: %s" % (answer and answer.start))
        heard = []

        async def on_request(_dialog, request, source):
            heard.append(request)
            phone.answer(request, source, 200, "OK")
        dialog.on_request = on_request
        remote = Audio.where(answer.body)
        ears.start(remote)
        await wait_true("sound both ways", lambda: ears.received > 10 and desk.ears.received > 10)
        since = len(gateway.process.output())
        for sender, receiver, where, digit in (ears, desk.ears, remote, 7), (desk.ears, ears, desk.remote, 3):
            sent = tone(digit, 100)
            for packet in sent:
                sender.transport.sendto(packet, where)
                await asyncio.sleep(0.02)
            await wait_true("the tone", lambda: len([p for p in receiver.packets if p[1] & 127 == EVENT_TYPE]) >= len(sent))
            check([p for p in receiver.packets if p[1] & 127 == EVENT_TYPE] == sent, "the tone is another one now")
        answer = await dialog.request("INFO", body="Signal=7\r\nDuration=160\r\n", content_type="application/dtmf-relay")
        check(answer and answer.status == 200, "INFO was refused: %s" % (answer and answer.start))
        check(desk.asked and desk.asked[-1].method == "INFO" and desk.asked[-1].body == "Signal=7\r\nDuration=160\r\n",
              "the PBX got another INFO: %s" % [request.body for request in desk.asked])
        answer = await desk.dialog.request("INFO", body="Signal=3\r\nDuration=250\r\n",
                                           content_type="application/dtmf-relay")
        check(answer and answer.status == 200, "INFO was refused: %s" % (answer and answer.start))
        check(heard and heard[-1].body == "Signal=3\r\nDuration=250\r\n", "the phone got another INFO")
        check(not evidence(gateway, "media_payload_type"), "a tone was taken for what nobody agreed to")
        await dialog.bye()
        await asyncio.sleep(0.3)
        check_no_digit_logged(gateway, since, ("7", "3"))
        ears.close(), desk.ears.close()

    asyncio.run(asyncio.wait_for(run(), 40))


def test_tones_cross_from_srtp_to_rtp_and_back(kit):
    """baresip sends and hears them encrypted, the PBX in the clear."""
    gateway = kit.gateway(more="log: {level: debug}\n")

    async def run():
        desk = await Desk().open()
        phone = await asyncio.to_thread(Baresip, kit, "1001", register=False)
        await asyncio.to_thread(phone.dial, "600")
        await wait_true("the call", lambda: "Call established" in phone.process.output(), 15)
        await wait_true("sound", lambda: desk.ears.received > 10)
        since = len(gateway.process.output())
        await asyncio.to_thread(phone.command, "sndcode 7")
        await wait_true("the end of the tone at the PBX", lambda: any(p[13] & 0x80 for p in desk.events()), 8)
        events = desk.events()
        check({(p[12], p[4:8]) for p in events} == {(7, events[0][4:8])}, "the PBX heard other tones: %s" % events)
        check(all(len(p) == 16 and p[:1] == b"\x80" for p in events), "the packets are not as RFC 4733 has them")
        for packet in tone(3, 100):
            desk.ears.transport.sendto(packet, desk.remote)
            await asyncio.sleep(0.02)
        await wait_true("the tone at the phone", lambda: re.search(r"received (event|DTMF): '3'", phone.process.output()), 8)
        shown = gateway.calls()[0]
        check("AES" in shown["caller"]["encryption"] and shown["callee"]["encryption"] == "none", "not encrypted: %s" % shown)
        check_no_digit_logged(gateway, since, ("7", "3"))
        await asyncio.to_thread(phone.hang_up)
        await asyncio.sleep(0.5)
        desk.ears.close()

    asyncio.run(asyncio.wait_for(run(), 60))


# ---- Floods at ports ----

FLOOD = """
import socket, struct, sys, time
rows = [(sys.argv[1], int(port)) for port in sys.argv[2:]]
sockets = []
for number in range(8):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((%r, 0))
    sock.setblocking(False)
    sockets.append(sock)
for number in range(20000):
    packet = struct.pack("!BBHII", 0x80, 0, number & 0xffff, number * 160, 7) + b"\\x2a" * 160
    try:
        sockets[number %% 8].sendto(packet, rows[number %% len(rows)])
    except OSError:
        pass  # "nobody listens there", told of an earlier one
    if number %% 100 == 99:
        time.sleep(0.01)
""" % STRANGER


def test_m2_floods_at_closed_and_open_ports_harm_no_call(kit):
    """20,000 packets of strangers: at a port that nobody has, and at both ports of a live call."""
    async def attack(gateway, ears, remote):
        closed = remote[1] + 100 if remote[1] < 20800 else remote[1] - 100
        for ports in [closed], [remote[1], remote[1] + 1]:
            before, started, ears.gaps = ears.received, time.monotonic(), []
            await asyncio.to_thread(kit.run, ["python3", "-c", FLOOD, remote[0]] + [str(port) for port in ports])
            share = (ears.received - before) / (50 * (time.monotonic() - started))
            check(share > 0.9, "the phone heard %.0f %% during a flood at %s" % (100 * share, ports))
            check(not [gap for _, gap in ears.gaps if gap > 0.5], "sound stood still: %s" % ears.gaps)
        wait_for("the flood to be told", lambda: evidence(gateway, "media_source") > 1000, 3)
        media = gateway.calls()[0]["caller"]["media"]
        check(media["lost"] <= 5, "the phone's sound lost %d packets" % media["lost"])
        check(gateway.command("status").stdout.count("evidence: media source"), "`ringwall status` does not show it")
    call(kit, attack)
