# SPDX-License-Identifier: Apache-2.0
"""The shield in the kernel, with real packets: two phones, each in a namespace behind a veth pair, and sockets of ours where the
gateway's would be. tests/shield/shield_drive.c loads the program and fills its tables."""

import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import time

from kit import Skip, check, need, wait_for
from test_datapath import Network as Gateways, inside
from test_processes import roles_of

SIP = b"OPTIONS sip:x SIP/2.0\r\n\r\n"
SOURCE, TOTAL, PROVEN, SYN_SOURCE, SYN_TOTAL = range(5)
IPV6_DSTOPTS = 59
REASONS = ("blocked", "stranger", "junk", "proven_rate", "source_rate", "unproven_rate", "syn_source_rate", "syn_rate",
           "closed_port", "fragment")


class Drive:
    """The shield, by lines."""

    def __init__(self, kit, mode="auto", addresses=("0.0.0.0", "::")):
        program = os.path.join(os.path.dirname(os.path.abspath(kit.binary)), "tests", "shield", "shield_drive")
        if not os.path.exists(program):
            raise Skip("shield_drive is not built")
        self.kit, self.answers = kit, 0
        self.process = kit.start("shield", [program, mode] + list(addresses), stdin=subprocess.PIPE)
        self.process.wait_output(r"ready (\S+)(.*)")
        self.backend, self.reason = self.process.wait_output(r"ready (\S+) ?(.*)").groups()

    def do(self, line, ok=True):
        """The answer's words before its "ok"."""
        self.process.say(line)
        self.answers += 1
        answer = self.process.wait_output(r"(?m)^(?!ready)(.*)(ok|error .*)$", count=self.answers)
        check(not ok or answer.group(2) == "ok", "%s: %s" % (line, answer.group(2)))
        return answer.group(1).strip()

    def counters(self):
        return {name: int(value) for name, value in (pair.split("=") for pair in self.do("counters").split())}


class Network:
    """A phone and its neighbour, and what listens on the gateway's side."""

    def __init__(self, kit):
        if os.geteuid() != 0:
            raise Skip("XDP and nftables need root")
        self.kit, self.phone, self.neighbour = kit, kit.phone(), kit.phone()
        for number, place in enumerate((self.phone, self.neighbour)):
            place.router6, place.address6 = "2001:db8:%d::1" % (8 + number), "2001:db8:%d::2" % (8 + number)
            kit.ip("addr add %s/64 dev %s nodad" % (place.router6, place.link))
            kit.run(place.prefix + ["ip", "addr", "add", place.address6 + "/64", "dev", "eth0", "nodad"])
        self.server, self.server6 = udp("0.0.0.0", 5060), udp("::", 5060)

    def drive(self, mode="auto"):
        drive = Drive(self.kit, mode)
        if drive.backend != {"auto": "xdp"}.get(mode, mode):
            raise Skip("no %s here: %s" % (mode, drive.reason))
        return drive


def udp(address, port=0, place=None):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET

    def make():
        sock = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        sock.bind((address, port))
        sock.setblocking(False)
        return sock
    if not place:
        return make()
    with inside(place):
        return make()


def received(sock, patience_s=0.25):
    """What came, as [(bytes, source address)], until nothing comes for a while."""
    packets, deadline = [], time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            data, source = sock.recvfrom(65536)
        except BlockingIOError:
            time.sleep(0.005)
            continue
        packets.append((data, source[0]))
        deadline = time.monotonic() + patience_s
    return packets


class Sender:
    """Sends numbered SIP from a place to a server, and says how many of them arrived."""

    def __init__(self, network, place, version=4, port=5060, port_own=0):
        self.address = place.address6 if version == 6 else place.address
        self.to = (place.router6 if version == 6 else place.router, port)
        self.sock = udp(self.address, port_own, place)
        self.server = network.server6 if version == 6 else network.server
        self.port = self.sock.getsockname()[1]

    def send(self, count=10, payload=SIP, pause_s=0.0):
        for _ in range(count):
            self.sock.sendto(payload, self.to)
            time.sleep(pause_s)

    def arrives(self, count=10, payload=SIP, pause_s=0.0):
        received(self.server, 0.02)
        self.send(count, payload, pause_s)
        return sum(source == self.address for _, source in received(self.server))


def connects(place, port, timeout_s=0.6):
    with inside(place):
        sock = socket.socket()
    sock.settimeout(timeout_s)
    try:
        sock.connect((place.router, port))
        return True
    except OSError:
        return False
    finally:
        sock.close()


def pings(place):
    with inside(place):
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    sock.settimeout(0.6)
    sock.sendto(struct.pack("!BBHHH", 8, 0, 0xffff & ~(0x0800 + 0x1234 + 1), 0x1234, 1), (place.router, 0))
    try:
        return sock.recv(100)[20] == 0
    except TimeoutError:
        return False
    finally:
        sock.close()


# ---- Blocks ------------------------------------------------------------------------------------------


def blocked_source(kit, mode):
    network = Network(kit)
    drive = network.drive(mode)
    for version in (4, 6):
        phone, neighbour = Sender(network, network.phone, version), Sender(network, network.neighbour, version)
        check(phone.arrives() == 10 and neighbour.arrives() == 10, "packets are lost without a block")
        drive.do("block %s 60" % phone.address)
        check(phone.arrives() == 0, "%s is blocked and gets through" % phone.address)
        check(neighbour.arrives() == 10, "the neighbour of a blocked source is not served")
        check(drive.do("harvest") == "10", "not all that was dropped is harvested")
        check(drive.do("harvest") == "0", "what was dropped is harvested twice")
        if version == 4:
            listener = socket.create_server(("0.0.0.0", 5061))
            check(not pings(network.phone) and pings(network.neighbour), "ping does not go by the block")
            check(not connects(network.phone, 5061) and connects(network.neighbour, 5061), "TCP does not go by the block")
            listener.close()
            drive.do("harvest")
        drive.do("unblock %s" % phone.address)
        check(phone.arrives() == 10, "who is blocked no longer does not get through")


def test_blocked_source_gets_nothing_and_its_neighbour_is_served(kit):
    """F1: all protocols, both versions of IP; and F3: who still sends is known."""
    blocked_source(kit, "auto")


def test_blocked_source_by_nftables(kit):
    """The same where there is no XDP."""
    need("nft")
    blocked_source(kit, "nftables")


def block_ends(kit, mode):
    network = Network(kit)
    drive = network.drive(mode)
    phone = Sender(network, network.phone)
    drive.do("block %s/24 60" % phone.address)
    drive.do("block %s/32 1" % phone.address)
    check(phone.arrives() == 0, "a block does not hold")
    time.sleep(2.2)
    check(phone.arrives() == 0, "the end of a narrow block lets its source through a wider one")
    drive.do("unblock %s/24" % phone.address)
    check(phone.arrives() == 10, "a block outlives its end, though nobody takes it out")
    check(drive.do("expire") == "1", "the block that has ended is still in the table")
    drive.do("block %s 1" % phone.address)
    drive.do("block %s 60" % phone.address)
    time.sleep(2.2)
    check(phone.arrives() == 0, "a block was not made longer")


def test_block_ends_by_itself(kit):
    """F5: in the kernel, also when user space does not run; and one within another."""
    block_ends(kit, "auto")


def test_block_ends_by_itself_by_nftables(kit):
    need("nft")
    block_ends(kit, "nftables")


def test_blocks_outlive_a_kill(kit):
    """A2: with the time that is left."""
    network = Network(kit)
    drive = network.drive()
    phone, neighbour = Sender(network, network.phone), Sender(network, network.neighbour)
    drive.do("block %s 60" % phone.address)
    drive.do("save")
    drive.process.signal(signal.SIGKILL)
    drive.process.wait()
    check(phone.arrives() == 10, "the program stays when nobody holds it")
    drive = network.drive()
    drive.do("block %s 60" % neighbour.address)
    drive.do("load")
    check(phone.arrives() == 0, "a block is gone after a restart")
    check(neighbour.arrives() == 0, "a block is gone after a load")


def test_loopback_is_served_by_another_back_end(kit):
    """There is no XDP on loopback: nftables, or none, and the reason is said."""
    if os.geteuid() != 0:
        raise Skip("nftables needs root")
    drive = Drive(kit, "auto", ["127.0.0.1"])
    check(drive.backend in ("nftables", "none") and "loopback" in drive.reason, "no reason: " + drive.reason)
    if drive.backend == "none":
        raise Skip("no nftables here: " + drive.reason)
    server, client = udp("127.0.0.1", 5060), udp("127.0.0.77")
    client.sendto(SIP, ("127.0.0.1", 5060))
    check(len(received(server)) == 1, "loopback does not work")
    drive.do("block 127.0.0.77 60")
    client.sendto(SIP, ("127.0.0.1", 5060))
    check(received(server) == [], "the block does not hold")
    drive.process.popen.stdin.close()
    drive.process.wait()
    check("ringwall" not in kit.run([need("nft"), "list", "tables"]).stdout, "the table stays after a clean end")


# ---- Listeners ---------------------------------------------------------------------------------------


def peers_only(kit, mode):
    network = Network(kit)
    drive = network.drive(mode)
    other = udp("0.0.0.0", 5070)
    listener = socket.create_server(("0.0.0.0", 5061))
    phone, neighbour = Sender(network, network.phone), Sender(network, network.neighbour)
    elsewhere = Sender(network, network.neighbour, port=5070)
    elsewhere.server = other
    for place in (network.phone, network.neighbour):
        drive.do("listener udp %s:5060 peers 1" % place.router)
    drive.do("listener tcp 0.0.0.0:5061 peers 1")
    drive.do("listener udp %s:5070 peers 2" % network.neighbour.router)
    drive.do("peer %s/32 1" % neighbour.address)
    drive.do("peer 203.0.113.0/24 2")
    drive.do("apply")
    check(phone.arrives() == 0, "a stranger reaches a listener for peers")
    check(neighbour.arrives() == 10, "a peer does not reach its listener")
    check(elsewhere.arrives() == 0, "the peer of a zone reaches the listener of another")
    check(not connects(network.phone, 5061) and connects(network.neighbour, 5061), "TCP is not as UDP")
    drive.do("block %s 60" % neighbour.address)
    check(neighbour.arrives() == 10, "a peer can be blocked")
    big = SIP + 3000 * b"x"
    check(phone.arrives(3, big) == 0, "a stranger gets through in fragments")
    check(neighbour.arrives(3, big) == 3, "fragments of a peer are lost")
    drive.do("clear")
    drive.do("apply")
    check(phone.arrives() == 10, "rules stay that were taken back")
    listener.close()
    return drive


def test_listener_for_peers(kit):
    """N7: in the kernel, too."""
    drive = peers_only(kit, "auto")
    check(drive.counters()["stranger"] >= 10 + 10 + 3, "strangers are not counted: %s" % drive.counters())


def test_listener_for_peers_by_nftables(kit):
    need("nft")
    peers_only(kit, "nftables")


def test_ports_cannot_be_hidden_behind_headers(kit):
    """N6: of IPv6, extension headers are looked through; and nobody needs seven."""
    network = Network(kit)
    drive = network.drive()
    phone = Sender(network, network.phone, 6)
    option = struct.pack("!BBBB4x", 0, 0, 1, 4)
    phone.sock.setsockopt(socket.IPPROTO_IPV6, IPV6_DSTOPTS, option)
    check(phone.arrives() == 10, "a destination option does not arrive at all")
    drive.do("listener udp [::]:5060 peers 1")
    drive.do("apply")
    check(phone.arrives() == 0, "a stranger hides the port behind an option")
    with inside(network.phone):
        raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 60)
    header = struct.pack("!HHHH", 5060, 5060, 8 + len(SIP), 0)
    raw.sendto(6 * bytes([60, 0, 1, 4, 0, 0, 0, 0]) + bytes([17, 0, 1, 4, 0, 0, 0, 0]) + header + SIP,
               (network.phone.router6, 0))
    wait_for("seven headers to be counted", lambda: drive.counters()["fragment"] == 1, 2)


def test_junk_ends_in_the_kernel(kit):
    """N6: what cannot be SIP, and does not keep a way open."""
    network = Network(kit)
    drive = network.drive()
    phone = Sender(network, network.phone)
    drive.do("listener udp 0.0.0.0:5060 open 0")
    drive.do("apply")
    stun = struct.pack("!HHI", 1, 0, 0x2112A442) + 12 * b"t"
    for good in (SIP, b"SIP/2.0 200 OK\r\n\r\n", b"\r\n\r\n", b"\r\n", stun):
        check(phone.arrives(3, good) == 3, "%r is dropped" % good[:8])
    junk = (b"", b"\x00", 100 * b"\x00", b"\x80\x00" + 170 * b"a", b" OPTIONS sip:x SIP/2.0\r\n\r\n", b"\x16\x03\x01",
            struct.pack("!HHI", 1, 0, 0x2112A443) + 12 * b"t", b"1")
    for bad in junk:
        check(phone.arrives(3, bad) == 0, "%r gets through" % bad[:8])
    check(drive.counters()["junk"] == 3 * len(junk), "junk is not counted: %s" % drive.counters())


# ---- Floods ------------------------------------------------------------------------------------------


class Forger:
    """Sends from addresses that are not its own."""

    def __init__(self, place):
        with inside(place):
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.to = place.router

    def packet(self, source, payload, protocol=socket.IPPROTO_UDP):
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0,
                             socket.inet_aton(source), socket.inet_aton(self.to))
        return header + payload

    def sip(self, source):
        self.sock.sendto(self.packet(source, struct.pack("!HHHH", 5060, 5060, 8 + len(SIP), 0) + SIP), (self.to, 0))

    def syn(self, source, port):
        segment = struct.pack("!HHIIBBHHH", random.randrange(1024, 65535), port, 1, 0, 0x50, 2, 1024, 0, 0)
        self.sock.sendto(self.packet(source, segment, socket.IPPROTO_TCP), (self.to, 0))


def forged_sources(count):
    return ["%d.%d.%d.%d" % (11 + n % 80, n >> 8 & 255, n & 255, 1 + n % 250) for n in range(count)]


def test_forged_flood_does_not_touch_who_is_proven(kit):
    """N1, N2: thousands of forged sources have a bounded share; a proven phone beside them loses nothing."""
    network = Network(kit)
    drive = network.drive()
    phone = Sender(network, network.neighbour)
    for line in ("listener udp 0.0.0.0:5060 open 0", "rate %d 20 10" % SOURCE, "rate %d 50 50" % TOTAL,
                 "rate %d 500 500" % PROVEN, "apply", "prove %s:%d 60" % (phone.address, phone.port)):
        drive.do(line)
    stranger, forger = Sender(network, network.neighbour), Forger(network.phone)
    received(network.server, 0.05)
    for number, source in enumerate(forged_sources(5000)):
        forger.sip(source)
        if number % 25 == 0:
            phone.send(1)
            stranger.send(1)
    by_proven = by_others = 0
    while True:
        try:
            _, source = network.server.recvfrom(2048)
        except BlockingIOError:
            break
        by_proven += source == (phone.address, phone.port)
        by_others += source != (phone.address, phone.port)
    counted = drive.counters()
    check(by_proven == 200, "of 200 packets of a proven phone %d came: %s" % (by_proven, counted))
    check(by_others < 1000, "the flood is not bounded: %d of 5,200 came" % by_others)
    check(counted["unproven_rate"] + counted["source_rate"] > 4000, "the flood is not counted: %s" % counted)
    check(counted["proven_rate"] == 0, "the proven phone was limited: %s" % counted)


def test_flood_of_one_source_is_its_own(kit):
    """N1: who floods empties his own bucket and not that of all; a proven one has a limit, too."""
    network = Network(kit)
    drive = network.drive()
    flooder, other = Sender(network, network.phone), Sender(network, network.neighbour)
    for line in ("listener udp 0.0.0.0:5060 open 0", "rate %d 10 20" % SOURCE, "rate %d 1000 1000" % TOTAL,
                 "rate %d 10 50" % PROVEN, "apply"):
        drive.do(line)
    came = flooder.arrives(1000)
    check(20 <= came <= 60, "of 1,000 packets of one source %d came" % came)
    check(other.arrives(15) == 15, "another source is not served meanwhile")
    drive.do("prove %s 60" % flooder.address)
    came = flooder.arrives(1000)
    check(50 <= came <= 100, "of 1,000 packets of a proven source %d came" % came)
    drive.do("prove %s 0.001" % flooder.address)
    time.sleep(0.01)
    check(flooder.arrives(1000) <= 60, "proof has no end")


def test_flood_of_connection_requests(kit):
    """N3: SYNs of forged sources have a bounded share, and who is proven connects all the same."""
    network = Network(kit)
    drive = network.drive()
    listener = socket.create_server(("0.0.0.0", 5061), backlog=128)
    for line in ("listener tcp 0.0.0.0:5061 open 0", "rate %d 5 5" % SYN_SOURCE, "rate %d 1 50" % SYN_TOTAL, "apply"):
        drive.do(line)
    forger = Forger(network.phone)
    for source in forged_sources(2000):
        forger.syn(source, 5061)
    wait_for("the flood to be counted", lambda: drive.counters()["syn_rate"] >= 1900, 3)
    check(not connects(network.neighbour, 5061), "the bucket of all is not empty: the flood was none")
    drive.do("prove %s 60" % network.neighbour.address)
    drive.do("rate %d 100 100" % PROVEN)
    drive.do("apply")
    for _ in range(10):
        check(connects(network.neighbour, 5061, 2), "a proven source cannot connect")
    listener.close()


# ---- Closed ports ------------------------------------------------------------------------------------


def answered(sock, to):
    """Whether the port is said to be closed."""
    sock.connect(to)
    try:
        sock.send(b"\x80" * 40)
        time.sleep(0.1)
        sock.recv(100)
    except ConnectionRefusedError:
        return True
    except BlockingIOError:
        return False
    return False


def test_closed_media_port_is_silent(kit):
    """N5: nobody learns which are open; and what is open, whoever opened it, gets its packets."""
    network = Network(kit)
    drive = network.drive()
    for version in (4, 6):
        place = network.phone
        router = place.router6 if version == 6 else place.router
        own = place.address6 if version == 6 else place.address
        check(answered(udp(own, 0, place), (router, 20002)), "closed ports are silent by themselves")
        drive.do("range %s 20000 20999" % router)
        drive.do("apply")
        check(not answered(udp(own, 0, place), (router, 20002)), "a closed port answers")
        check(answered(udp(own, 0, place), (router, 21000)), "a port beyond the range is silent")
        for address in (router, "::" if version == 6 else "0.0.0.0"):
            server, client = udp(address, 20002), udp(own, 0, place)
            client.sendto(b"\x80" * 40, (router, 20002))
            check(len(received(server)) == 1, "an open port is shut")
            server.connect(client.getsockname()[:2])
            client.sendto(b"\x80" * 40, (router, 20002))
            check(len(received(server)) == 1, "an open port is shut to its peer")
            check(not answered(udp(own, 0, place), (router, 20002)), "a port that has another peer answers")
            server.close()
    check(drive.counters()["closed_port"] >= 4, "it is not counted: %s" % drive.counters())


# ---- The whole gateway -------------------------------------------------------------------------------


def test_gateway_keeps_strangers_from_its_peers(kit):
    """N5, N7: by the configuration alone; the shield's process holds the maps, and others' media goes on."""
    network = Gateways(kit)
    gateway = network.with_xdp()
    gateway.process.wait_output("blocks go by xdp")
    counters = counters_of(roles_of(gateway.process.pid)["shield"])
    check(not answered(udp(network.phone.address, 0, network.phone), (network.phone.router, 20400)),
          "a closed media port answers")
    check(answered(udp(network.phone.address, 0, network.phone), (network.phone.router, 21500)),
          "a port that is not the gateway's is silent")
    stranger = udp(network.phone.address, 0, network.phone)
    for _ in range(10):
        stranger.sendto(SIP, (network.pbx.router, 5060))
    wait_for("strangers to be counted", lambda: counters()["stranger"] == 10, 3)
    pid = roles_of(gateway.process.pid)["shield"]
    os.kill(pid, signal.SIGKILL)
    wait_for("another shield", lambda: roles_of(gateway.process.pid).get("shield") not in (None, pid))
    stranger.sendto(SIP, (network.pbx.router, 5060))
    wait_for("the shield to hold when its process has died", lambda: counters()["stranger"] == 11, 3)
    gateway.process.wait_output("blocks go by xdp", count=2)
    gateway.command("reload")
    stranger.sendto(SIP, (network.pbx.router, 5060))
    wait_for("the shield to hold after a reload", lambda: counters()["stranger"] == 12, 3)
    gateway.stop()


def test_gateway_without_xdp_has_a_table_of_nftables(kit):
    """On loopback: made by a process that may configure the network and nothing else, and gone when the gateway has ended."""
    nft = need("nft")
    gateway = kit.gateway()
    line = gateway.process.wait_output(r"blocks go by (\S+): (.*)")
    if line.group(1) != "nftables":
        raise Skip("no nftables here: " + line.group(2))
    check("loopback" in line.group(2), "no reason is given: " + line.group(2))
    rules = kit.run([nft, "list", "ruleset"]).stdout
    check("table inet ringwall" in rules and re.search(r"ip daddr 10.0.0.1 udp dport 5060 ip saddr != @zone1_4 drop", rules),
          "the PBX's listener is not for it alone: " + rules)
    check("does not take" not in gateway.process.output(), "something was not taken")
    runner = subprocess.run(["ps", "--ppid", str(roles_of(gateway.process.pid)["shield"]), "-o", "pid="], text=True,
                            capture_output=True).stdout.strip()
    with open("/proc/%s/status" % runner) as file:
        status = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
    if os.geteuid() == 0:
        check(int(status["CapPrm"], 16) == 1 << 12, "the runner may: " + status["CapPrm"])
        check("0" not in status["Uid"].split(), "the runner is root")
    check(status["NoNewPrivs"] == "1", "the runner may gain privileges")
    gateway.stop()
    check("ringwall" not in kit.run([nft, "list", "ruleset"]).stdout, "the table stays when the gateway has ended")
    wait_for("the runner to end", lambda: not os.path.exists("/proc/" + runner), 3)


def counters_of(pid):
    """A function that reads the counters of the shield whose maps that process holds."""
    bpftool, held = need("bpftool"), set()
    for name in os.listdir("/proc/%d/fdinfo" % pid):
        with open("/proc/%d/fdinfo/%s" % (pid, name)) as file:
            held.update(int(number) for number in re.findall(r"(?m)^map_id:\s*(\d+)", file.read()))

    def ask(*words):
        return json.loads(subprocess.run([bpftool, "-j"] + list(words), capture_output=True, text=True).stdout)
    own = [each["id"] for each in ask("map", "show") if each.get("name") == "shield_counters" and each["id"] in held]
    check(len(own) == 1, "the process does not hold the counters")

    def read():
        rows = ask("map", "dump", "id", str(own[0]))
        return {REASONS[row["formatted"]["key"]]: sum(each["value"] for each in row["formatted"]["values"])
                for row in rows}
    return read
