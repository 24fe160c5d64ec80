# SPDX-License-Identifier: Apache-2.0
"""The media datapath of the kernel: a phone and a PBX, each in a namespace behind a veth pair, and the gateway between them."""

import asyncio
import contextlib
import ctypes
import os
import random
import re
import signal
import socket
import struct
import time

from kit import Failure, Skip, check, libc, need, wait_for
from softphone import Softphone, token
from test_processes import roles_of, supervisor_wait

CLONE_NEWNET = 0x40000000
PORTS = {"phone": 40000, "pbx": 42000}
CONFIGURATION = """\
site: {{domain: voip.example.org}}
state_directory: {state}
zones:
  - name: phones
    kind: access
    listen: ["udp:{outside}:5060"]
    authentication: none
    accept_risks: [unencrypted_media, unauthenticated_calls]
    media: {{address: "{media_outside}", ports: "20000-20999", encryption: none}}
  - name: pbx
    kind: core
    listen: ["udp:{inside}:5060"]
    peers: ["sip:{pbx}:5060;transport=udp"]
    watch: 0
    media: {{address: "{media_inside}", ports: "30000-30999", encryption: none}}
routes:
  - {{from: phones, to: pbx}}
media: {{datapath: {datapath}}}
"""


@contextlib.contextmanager
def inside(place):
    """What is opened meanwhile is opened in the place's namespace, and stays there."""
    pid = place.prefix[place.prefix.index("--target") + 1]
    own, other = os.open("/proc/thread-self/ns/net", os.O_RDONLY), os.open("/proc/%s/ns/net" % pid, os.O_RDONLY)
    check(libc.setns(other, CLONE_NEWNET) == 0, "the namespace cannot be entered: " + os.strerror(ctypes.get_errno()))
    try:
        yield
    finally:
        libc.setns(own, CLONE_NEWNET)
        os.close(own)
        os.close(other)


class Rtp:
    """An end of a stream, in its place: sends numbered packets, and says which came."""

    def __init__(self, place, address, port=0):
        with inside(place):
            self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, port))
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]
        self.sequence, self.source = random.getrandbits(14), random.getrandbits(32)

    def packet(self, payload_type=0, payload=160 * b"\xff"):
        self.sequence += 1
        return struct.pack("!BBHII", 0x80, payload_type, self.sequence & 0xffff, 160 * self.sequence & 0xffffffff,
                           self.source) + payload

    def send(self, to, count=1, pause_s=0.004):
        for _ in range(count):
            self.socket.sendto(self.packet(), to)
            time.sleep(pause_s)

    def judge(self, data):
        """Whether it counts as received."""
        return True

    def received(self, patience_s=0.3):
        """Sequence numbers of what came, and whom from, until nothing comes for a while."""
        numbers, sources, deadline = [], set(), time.monotonic() + patience_s
        while time.monotonic() < deadline:
            try:
                data, source = self.socket.recvfrom(2048)
            except BlockingIOError:
                time.sleep(0.005)
                continue
            if self.judge(data):
                numbers.append(int.from_bytes(data[2:4], "big"))
                sources.add(source[:2])
            deadline = time.monotonic() + patience_s
        return numbers, sources


def in_uri(address):
    return "[%s]" % address if ":" in address else address


class Network:
    """phone 198.51.100.2 -- .1 gateway .5 -- 198.51.100.6 PBX, and the same for IPv6."""

    def __init__(self, kit):
        if os.geteuid() != 0:
            raise Skip("XDP needs root")
        self.phone, self.pbx = kit.phone(), kit.phone()
        self.kit = kit
        ethtool = need("ethtool")
        for number, place in enumerate((self.phone, self.pbx)):
            # A card of its own: checksums are in the packets, and what is sent back is taken.
            for features in (["tx", "off"], ["gro", "on"]):
                kit.run(place.prefix + [ethtool, "-K", "eth0"] + features, ok=False)
            place.router6, place.address6 = "2001:db8:%d::1" % (8 + number), "2001:db8:%d::2" % (8 + number)
            kit.ip("addr add %s/64 dev %s nodad" % (place.router6, place.link))
            kit.run(place.prefix + ["ip", "addr", "add", place.address6 + "/64", "dev", "eth0", "nodad"])
            kit.run(place.prefix + ["ip", "route", "add", "default", "via", place.router6])

    def address(self, place):
        return place.address6 if self.version == 6 else place.address

    def router(self, place):
        return place.router6 if self.version == 6 else place.router

    def start(self, datapath="auto", version=4, ok=True, changes=(), prefix=()):
        """The gateway, all of it by that version of IP."""
        self.version = version
        text = CONFIGURATION
        for before, after in changes:
            check(before in text, "the configuration has no " + before)
            text = text.replace(before, after)
        file = self.kit.write("datapath.yaml", text.format(
            state=self.kit.path("state"), datapath=datapath, outside=in_uri(self.router(self.phone)),
            inside=in_uri(self.router(self.pbx)), pbx=in_uri(self.address(self.pbx)),
            media_outside=self.router(self.phone), media_inside=self.router(self.pbx)))
        os.makedirs(self.kit.path("state"), exist_ok=True)
        gateway = self.kit.gateway(start=False)
        gateway.file, gateway.state = file, self.kit.path("state")
        if ok:
            gateway.start(prefix)
        else:
            gateway.process = self.kit.start("ringwall", [self.kit.binary, "run", "-c", file])
        return gateway

    def with_xdp(self, **options):
        """The same, or Skip with the reason that the gateway gives."""
        gateway = self.start(**options)
        state = gateway.ask("status")["datapath"]
        if not state.startswith("xdp"):
            raise Skip("no XDP here: " + state)
        check(state == "xdp" or options.get("prefix"), "a part goes by sockets: " + state)
        return gateway


def datagrams():
    """UDP datagrams that sockets of the gateway's namespace were given."""
    total = 0
    with open("/proc/net/snmp") as file:
        names, values = [line.split() for line in file if line.startswith("Udp:")]
        total += int(values[names.index("InDatagrams")])
    with open("/proc/net/snmp6") as file:
        total += sum(int(line.split()[1]) for line in file if line.startswith("Udp6InDatagrams"))
    return total


def describe(address, port, direction="sendrecv", payload="0"):
    version = 6 if ":" in address else 4
    return ("v=0\r\no=- %d %d IN IP%d %s\r\ns=-\r\nc=IN IP%d %s\r\nt=0 0\r\nm=audio %d RTP/AVP %s\r\na=rtpmap:0 PCMU/8000\r\n"
            "a=%s\r\n" % (port, time.monotonic_ns(), version, address, version, address, port, payload, direction))


def place_of(body):
    return (re.search(r"c=IN IP[46] (\S+)", body).group(1), int(re.search(r"m=audio (\d+)", body).group(1)))


class Call:
    """One established call, with the streams' ends open."""

    def __init__(self, network):
        self.network, self.address, self.router = network, network.address, network.router
        self.caller = Rtp(network.phone, self.address(network.phone))
        self.callee = Rtp(network.pbx, self.address(network.pbx))

    def describe(self, end, direction="sendrecv"):
        place = self.network.phone if end is self.caller else self.network.pbx
        return describe(self.address(place), end.port, direction)

    def softphone(self, user, place):
        router = self.router(place)
        return Softphone(user, self.address(place), 5060, (router, 5060), in_uri(router)).open()

    async def establish(self):
        phone, pbx = self.network.phone, self.network.pbx
        with inside(phone):
            self.phone = await self.softphone("1001", phone)
        with inside(pbx):
            self.pbx = await self.softphone("pbx", pbx)

        async def on_invite(_phone, request, source):
            tag = token()
            self.to_caller = place_of(request.body)
            dialog = self.pbx.dialog_add(request.get("call-id"), request.get("to") + ";tag=" + tag, request,
                                         request.all("record-route"), source)
            dialog.on_request = on_request
            await self.pbx.answer_invite(request, source, tag, self.describe(self.callee))

        async def on_request(_dialog, request, source):
            if request.method == "INVITE":
                await self.pbx.answer_invite(request, source, "", self.describe(self.callee))
            else:
                self.pbx.answer(request, source, 200, "OK")

        self.pbx.on_invite = on_invite
        self.dialog, response = await self.phone.call("600", self.describe(self.caller))
        check(self.dialog, "the call was refused: %s" % (response and response.status))
        self.to_callee = place_of(response.body)

    async def hold(self, direction):
        """What the phone says from now on; the PBX answers as if it did not care."""
        response = await self.phone.reinvite(self.dialog, self.describe(self.caller, direction))
        check(response and response.status == 200, "the re-INVITE was refused: %s" % (response and response.status))

    def talk(self, count=100):
        """Both speak; returns how many packets the gateway's sockets got of them. Fails unless all came."""
        self.caller.received(0.05), self.callee.received(0.05)
        before = datagrams()
        for _ in range(count):
            self.caller.send(self.to_callee, 1, 0.002)
            self.callee.send(self.to_caller, 1, 0.002)
        heard, said = self.callee.received(), self.caller.received()
        check(len(heard[0]) == count and sorted(heard[0]) == heard[0], "the PBX got %d of %d" % (len(heard[0]), count))
        check(len(said[0]) == count and sorted(said[0]) == said[0], "the phone got %d of %d" % (len(said[0]), count))
        check(heard[1] == {self.to_caller}, "what the PBX got came from %s" % heard[1])
        check(said[1] == {self.to_callee}, "what the phone got came from %s" % said[1])
        return datagrams() - before

    def settle(self):
        """Both ends are locked, and the neighbours known."""
        for _ in range(3):
            self.caller.send(self.to_callee, 3)
            self.callee.send(self.to_caller, 3)
        self.caller.received(), self.callee.received()


def in_call(kit, body, version=4, kind=Call, **options):
    network = Network(kit)
    gateway = network.with_xdp(version=version, **options)

    async def run():
        call = kind(network)
        await call.establish()
        call.settle()
        await body(gateway, call)

    asyncio.run(run())


def media_of(gateway):
    call = gateway.calls()[0]
    return call["caller"]["media"], call["callee"]["media"]


def relayed_by_kernel(call, count=100):
    taken = call.talk(count)
    # Every 5 s one packet of a stream goes the other way.
    check(taken <= 8, "%d of %d packets went through sockets" % (taken, 2 * count))


def test_rtp_stays_in_the_kernel_and_is_counted(kit):
    """Both ways, nothing lost, and `ringwall calls` says what it would say of the sockets' path."""
    async def body(gateway, call):
        time.sleep(0.5)  # the counters are taken five times a second
        before = media_of(gateway)
        relayed_by_kernel(call)
        call.caller.sequence += 7  # lost on the way to us
        relayed_by_kernel(call, 50)
        time.sleep(0.5)
        for side, earlier, lost in zip(media_of(gateway), before, (7, 0)):
            counted = {name: side[name] - earlier[name] for name in ("packets_in", "packets_out", "lost", "dropped")}
            check(counted == {"packets_in": 150, "packets_out": 150, "lost": lost, "dropped": 0},
                  "of 150 packets were counted: %s" % counted)

    in_call(kit, body, datapath="xdp")


def test_rtp_over_ipv6_stays_in_the_kernel(kit):
    async def body(gateway, call):
        relayed_by_kernel(call)

    in_call(kit, body, version=6)


def test_hold_moves_the_stream_to_sockets_and_back(kit):
    async def body(gateway, call):
        relayed_by_kernel(call)
        await call.hold("inactive")

        def dropped():
            call.caller.send(call.to_callee, 1)
            return media_of(gateway)[0]["dropped"]
        wait_for("media to have heard of the hold", dropped, 3)
        call.callee.received()
        before = dropped()
        call.caller.send(call.to_callee, 20)
        check(call.callee.received()[0] == [], "packets passed while the call was on hold")
        wait_for("what came on hold to be counted as dropped", lambda: media_of(gateway)[0]["dropped"] >= before + 20, 3)
        await call.hold("sendrecv")
        call.settle()
        relayed_by_kernel(call)

    in_call(kit, body)


def test_jitter_is_measured_by_the_negotiated_clock(kit):
    """opus counts 48,000 a second, in the kernel as in the sockets."""
    async def body(gateway, call):
        def describe_opus(end, direction="sendrecv"):
            place = call.network.phone if end is call.caller else call.network.pbx
            return describe(call.address(place), end.port, direction, "96").replace("rtpmap:0 PCMU/8000",
                                                                                     "rtpmap:96 opus/48000/2")
        call.describe = describe_opus
        await call.hold("sendrecv")
        before = datagrams()
        for number in range(150):
            packet = call.caller.packet(96, 80 * b"o")
            sequence = int.from_bytes(packet[2:4], "big")
            call.caller.socket.sendto(packet[:4] + struct.pack("!I", 960 * sequence) + packet[8:], call.to_callee)
            await asyncio.sleep(0.02)
        check(datagrams() - before < 30, "the sockets relayed it: %d packets" % (datagrams() - before))
        media = gateway.calls()[0]["caller"]["media"]
        check(media["packets_in"] >= 150, "not all were counted: %s" % media)
        check(media["jitter_ms"] < 10, "the jitter is wrong: %s" % media)

    in_call(kit, body)


def test_nothing_is_lost_when_a_stream_moves(kit):
    """re-INVITEs that change nothing but the way, while both sides speak."""
    async def body(gateway, call):
        relayed_by_kernel(call)
        sent = 0
        for direction in ("sendrecv", "sendrecv", "sendrecv"):
            task = asyncio.create_task(call.hold(direction))
            while not task.done():
                call.caller.send(call.to_callee, 1, 0.001)
                sent += 1
                await asyncio.sleep(0.001)
            await task
        numbers, _ = call.callee.received()
        check(len(numbers) == sent, "of %d packets %d came" % (sent, len(numbers)))

    in_call(kit, body)


def media_dies(gateway, call, lost):
    """kill -9 of media while the phone speaks; so many of its 100 packets may be lost."""
    pid = media_pid(gateway)
    os.kill(pid, signal.SIGKILL)
    for _ in range(100):
        call.caller.send(call.to_callee, 1, 0.01)
    numbers, _ = call.callee.received()
    check(len(numbers) >= 100 - lost, "of 100 packets around the death of media %d came" % len(numbers))
    wait_for("another media process", lambda: media_pid(gateway) not in (None, pid), 5)
    call.settle()


def test_media_killed_and_the_kernel_goes_on(kit):
    async def body(gateway, call):
        relayed_by_kernel(call)
        media_dies(gateway, call, lost=10)
        relayed_by_kernel(call)

    in_call(kit, body)


def media_pid(gateway):
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/cmdline" % name, "rb") as file:
                arguments = file.read().split(b"\0")
            with open("/proc/%s/environ" % name, "rb") as file:
                ours = gateway.state.encode() in file.read()
        except OSError:
            continue
        if ours and b"media" in arguments:
            return int(name)
    return None


def test_foreign_source_is_dropped_and_counted(kit):
    """M2: whoever sends to an open call's port from elsewhere is not heard, and does not move the call."""
    async def body(gateway, call):
        relayed_by_kernel(call)
        stranger = Rtp(call.network.phone, call.address(call.network.phone))
        stranger.source, stranger.sequence = call.caller.source, call.caller.sequence
        stranger.send(call.to_callee, 50)
        check(call.callee.received()[0] == [], "the PBX heard a stranger")
        wait_for("50 drops", lambda: media_of(gateway)[0]["dropped"] == 50, 3)
        relayed_by_kernel(call)

    in_call(kit, body)


def test_what_is_odd_is_judged_by_the_socket(kit):
    """Not RTP, another SSRC, a leap in the numbers: as on the sockets' path."""
    async def body(gateway, call):
        relayed_by_kernel(call)
        call.caller.socket.sendto(b"\x00" * 100, call.to_callee)
        check(call.callee.received()[0] == [], "what is no RTP went through")
        wait_for("it to be counted", lambda: media_of(gateway)[0]["dropped"] == 1, 3)
        call.caller.source, call.caller.sequence = random.getrandbits(32), 20000
        relayed_by_kernel(call)

    in_call(kit, body)


def test_call_ends_and_the_port_is_closed(kit):
    async def body(gateway, call):
        relayed_by_kernel(call)
        await call.dialog.bye()
        gateway.wait_calls(0)
        call.caller.send(call.to_callee, 20)
        check(call.callee.received()[0] == [], "packets pass after the call's end")

    in_call(kit, body)


def test_media_outlives_its_supervisor_and_a_gate(kit):
    """Who holds the program dies and another goes on with it."""
    async def body(gateway, call):
        relayed_by_kernel(call)
        gateway.command("reload")
        relayed_by_kernel(call)
        for victim in (supervisor_wait(gateway), roles_of(gateway.process.pid)["gate"]):
            os.kill(victim, signal.SIGKILL)
            relayed_by_kernel(call)
        wait_for("another gate", lambda: "gate" in roles_of(gateway.process.pid))
        wait_for("it to be ready", lambda: gateway.command("status", ok=False).returncode == 0)
        check(media_of(gateway)[0]["packets_in"] > 0, "the call is gone")

    in_call(kit, body)


def test_sockets_with_a_reason(kit):
    """On loopback there is no driver: `auto` says so and goes on, `xdp` refuses."""
    gateway = kit.gateway(more="media: {datapath: auto}\n")
    state = gateway.ask("status")["datapath"]
    check(state.startswith("sockets: ") and "loopback" in state, "no reason is given: " + state)
    check("media goes by sockets" in gateway.process.output(), "the log does not say why")
    gateway.stop()
    gateway.configure(more="media: {datapath: xdp}\n")
    gateway.process = kit.start("ringwall", [kit.binary, "run", "-c", gateway.file])
    check(gateway.process.wait(15) != 0, "a gateway without the datapath that was asked for runs")
    check("media.datapath: xdp is not to be had" in gateway.process.output(), "it does not say why")


def test_another_program_on_the_interface(kit):
    """It is left alone: the gateway goes by sockets and says why."""
    network = Network(kit)
    first = network.with_xdp()
    other = kit.write("other.yaml", open(first.file).read().replace("5060", "5070").replace(
        kit.path("state"), kit.path("other")))
    os.makedirs(kit.path("other"), exist_ok=True)
    second = kit.gateway(start=False)
    second.file = other
    second.start()
    state = second.ask("status")["datapath"]
    check(state.startswith("sockets: ") and "another XDP program" in state, "no reason is given: " + state)

