# SPDX-License-Identifier: Apache-2.0
"""What is seen of attackers is held against them, and against nobody else (THREATS S1 to S3, S6, S9, F3 to F5)."""

import os
import random
import re
import signal
import socket
import time

from kamailio import Kamailio, USERS
from kit import DOMAIN, INSIDE, OUTSIDE, PBX, PHONES_BOUND, STRANGER, check, udp_socket, wait_for
from sipp import Sipp, register
from softphone import credentials
from test_datapath import Network
from test_processes import roles_of

GATEWAY = (OUTSIDE, 5060)
HONEST, NEIGHBOUR = PHONES_BOUND[:2]


class Client:
    """Speaks SIP from one address over TCP or UDP, by hand."""

    def __init__(self, address, transport="tcp", agent="Phone 1.0"):
        self.address, self.transport, self.agent, self.cseq = address, transport, agent, 0
        self.call_id = "%016x" % random.getrandbits(64)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.socket.settimeout(2)
        self.socket.connect(GATEWAY)
        self.port = self.socket.getsockname()[1]

    def send(self, method, user, to=None, extra="", uri=None):
        self.cseq += 1
        to = to or user
        uri = uri or ("sip:" + DOMAIN if method == "REGISTER" else "sip:%s@%s" % (to, DOMAIN))
        text = ("%s %s SIP/2.0\r\nVia: SIP/2.0/%s %s:%d;rport;branch=z9hG4bK%x\r\nMax-Forwards: 70\r\nFrom: <sip:%s@%s>;tag=a%d\r\n"
                "To: <sip:%s@%s>\r\nCall-ID: %s\r\nCSeq: %d %s\r\nContact: <sip:%s@%s:%d;transport=%s>\r\nUser-Agent: %s\r\n%s"
                "Content-Length: 0\r\n\r\n" % (
                    method, uri, self.transport.upper(), self.address, self.port, random.getrandbits(60), user, DOMAIN, self.cseq,
                    to, DOMAIN, self.call_id, self.cseq, method, user, self.address, self.port, self.transport, self.agent, extra))
        self.socket.sendall(text.encode())

    def answer(self):
        """The final answer, or "" when there is none, or the connection is gone."""
        try:
            while True:
                text = self.socket.recv(65535).decode("utf-8", "replace")
                if not re.match(r"SIP/2.0 1", text):
                    return text
        except (socket.timeout, ConnectionError):
            return ""

    def ask(self, *arguments, **options):
        try:
            self.send(*arguments, **options)
        except (BrokenPipeError, ConnectionError):
            return ""
        return self.answer()

    def guess(self, user, password):
        """One try to register; returns the status of its answer, 0 for none."""
        answer = self.ask("REGISTER", user)
        if not answer.startswith("SIP/2.0 401"):
            return status_of(answer)
        challenge = re.search(r"WWW-Authenticate: (.*)", answer).group(1)
        line = credentials(challenge, user, password, "REGISTER", "sip:" + DOMAIN)
        return status_of(self.ask("REGISTER", user, extra="Authorization: %s\r\n" % line))


def status_of(answer):
    return int(answer.split()[1]) if answer.startswith("SIP/2.0 ") else 0


def local(kit, more=""):
    Kamailio(kit, trusted='$si == "%s"' % INSIDE)
    gateway = kit.gateway(authentication="local", encryption="offered", more=more)
    for user in "1001", "1002":
        gateway.command("account", "add", user, "--password-file", kit.write("password", USERS[user], 0o600))
    return gateway


def bans(gateway):
    return {ban["who"]: ban for ban in gateway.ask("bans")}


def guessed(client, tries, user="1001"):
    """Statuses of so many wrong passwords, each on a new connection if the last was closed."""
    found = []
    for number in range(tries):
        try:
            found.append(client.guess(user, "wrong%d" % number))
        except OSError:
            found.append(0)
        if not found[-1]:
            try:
                client = Client(client.address, client.transport)
            except OSError:
                pass
    return found


def test_s3_guessing_is_stopped_and_the_owner_is_not(kit):
    gateway = local(kit)
    check(Client(HONEST).guess("1001", USERS["1001"]) == 200, "the owner cannot register")
    found = guessed(Client(STRANGER), 30)
    check(found[:5] == [401] * 5, "the first tries were answered %s" % found[:5])
    check(found[-5:] == [0] * 5 or found[-5:] == [403] * 5, "the last tries were answered %s" % found[-5:])
    held = bans(gateway)
    check(any(STRANGER in who for who in held), "nothing is held against the guesser: %s" % held)
    check(not any(HONEST in who for who in held), "something is held against the owner: %s" % held)
    check(Client(HONEST).guess("1001", USERS["1001"]) == 200, "the owner was locked out")
    check(Client(NEIGHBOUR).guess("1002", USERS["1002"]) == 200, "another user was locked out")
    why = gateway.command("why", STRANGER).stdout
    check("call_password" in why, "`why` says: " + why)
    check("guess" in gateway.command("events").stdout, "`events` does not tell of it")
    for who in list(held):
        gateway.command("unban", who.split()[-1], ok=False)
    gateway.command("unban", STRANGER, ok=False)


def test_s3_udp_is_held_against_who_returned_a_nonce(kit):
    """Its address is proven by the nonce that it brings back."""
    gateway = local(kit)
    found = guessed(Client(STRANGER, "udp"), 16)
    check(401 in found and found[-1] in (0, 403), "the tries were answered %s" % found)
    check(any(STRANGER in who for who in bans(gateway)), "nothing is held against the guesser")


def test_s3_behind_a_pbx_that_challenges(kit):
    """authentication: relay: the challenges are the PBX's, and the gateway only passes them on."""
    Kamailio(kit)
    gateway = kit.gateway(encryption="offered")
    register(kit, HONEST, 5070, "%s:%d" % GATEWAY)
    found = guessed(Client(STRANGER, "udp"), 16)
    check(401 in found and found[-1] in (0, 403), "the tries were answered %s" % found)
    check(any(STRANGER in who for who in bans(gateway)), "nothing is held against the guesser: %s" % gateway.ask("status")["evidence"])
    check(not any(HONEST in who for who in bans(gateway)), "something is held against the owner")


def test_s1_a_scanner_hears_nothing(kit):
    gateway = local(kit)
    client = Client(STRANGER, "udp", agent="friendly-scanner")
    check(client.ask("OPTIONS", "100") == "", "a scanner was answered")
    check(Client(HONEST, "udp").ask("OPTIONS", "1001", uri="sip:" + DOMAIN).startswith("SIP/2.0 200"), "a phone was not")
    check(gateway.ask("status")["counters"]["scanners_left"] == 1, "it was not counted")
    check(bans(gateway) == {}, "an address that may be forged is held responsible")


def test_s2_harvesting_is_stopped(kit):
    """Names that are not there, over TCP, each with a password: no answer tells one from the other, and after a while none comes."""
    gateway = local(kit)
    client, found = Client(STRANGER), []
    for number in range(40):
        found.append(client.guess("%d" % (2000 + number), "x"))
    check(set(found[:5]) == {401}, "names that are not there were answered %s" % found[:5])
    check(found[-1] in (0, 403), "the last was answered %s" % found[-1])
    check(any(ban["control"] in ("harvest", "scan") for ban in bans(gateway).values()), "the bans are %s" % bans(gateway))


def test_s9_messages_made_to_harm(kit):
    gateway = local(kit)
    for _ in range(10):
        try:
            client = Client(STRANGER)
            client.socket.sendall(b"OPTIONS sip:x SIP/2.0\r\nCall-ID: a\r\nCall-ID: b\r\nContent-Length: 0\r\n\r\n")
            client.answer()
        except OSError:
            pass
    check(any(STRANGER in who and ban["control"] == "malformed" for who, ban in bans(gateway).items()),
          "the bans are %s" % bans(gateway))
    check(Client(HONEST).guess("1001", USERS["1001"]) == 200, "a phone cannot register")


def test_f4_forged_packets_get_nobody_blocked(kit):
    """Everything bad in the name of a phone's address, over UDP: the phone notices nothing."""
    gateway = local(kit)
    with udp_socket(HONEST) as forger:
        for number in range(300):
            forger.sendto(random.choice([b"\0\1junk", b"OPTIONS sip:x SIP/2.0\r\nCall-ID: a\r\nCall-ID: b\r\n\r\n",
                                         b"REGISTER sip:x SIP/2.0\r\nUser-Agent: sipvicious\r\n\r\n"]), GATEWAY)
            if number % 20 == 0:
                time.sleep(0.01)
    check(not any(HONEST in who for who in bans(gateway)), "the bans are %s" % bans(gateway))
    check(Client(HONEST, "udp").guess("1001", USERS["1001"]) == 200, "the phone cannot register")


def test_f5_what_was_seen_is_replayed_with_another_policy(kit):
    """The record of the store, while the gateway runs and with addresses kept."""
    gateway = local(kit, more="protection:\n  record: {findings: 1000}\n")
    guessed(Client(STRANGER), 9)
    check(bans(gateway) == {}, "nine wrong passwords were too many: %s" % bans(gateway))
    record = os.path.join(gateway.state, "store", "evidence.record")
    wait_for("the record to be written", lambda: os.path.exists(record) and os.path.getsize(record) > 4096, 5)
    time.sleep(1.5)
    stricter = kit.write("stricter.yaml", open(gateway.file).read().replace("findings: 1000", "findings: 1000}\n  guess: {threshold: 50"))
    said = gateway.command("replay", record, "--with", stricter).stdout
    check(STRANGER in said and "guess" in said, "replay says: " + said)


def test_f5_dry_run_never_and_unban(kit):
    gateway = local(kit, more="protection:\n  guess: {dry_run: true}\n  scan: {dry_run: true}\n  harvest: {dry_run: true}\n")
    found = guessed(Client(STRANGER), 14)
    check(set(found) == {401}, "in a dry run something was done: %s" % found)
    held = bans(gateway)
    check(held and all(ban["dry_run"] for ban in held.values()), "the bans are %s" % held)
    gateway.configure(more="protection:\n  never_block: [\"%s\"]\n" % STRANGER)
    gateway.command("reload")
    found = guessed(Client(STRANGER), 14)
    check(set(found) == {401}, "something was done to who is never to be touched: %s" % found)
    gateway.configure(more="")
    gateway.command("reload")
    found = guessed(Client(STRANGER), 30)
    check(found[-1] in (0, 403), "nothing is done: %s" % found)
    for who in bans(gateway):
        place = re.search(r"[\d.]+(:\d+)?$", who)
        if place:
            gateway.command("unban", place.group(0), ok=False)
    gateway.command("unban", STRANGER, ok=False)
    gateway.command("unban", "1001", ok=False)
    wait_for("him to be served again", lambda: Client(STRANGER).guess("1001", "wrong") == 401, 5)
    check(gateway.command("unban", "198.18.0.1", ok=False).returncode == 1, "what was never held is taken back")


BAD_CONNECTIONS = """
import socket, sys
for _ in range(int(sys.argv[2])):
    try:
        with socket.create_connection((sys.argv[1], 5060), 1) as s:
            s.sendall(b"OPTIONS sip:x SIP/2.0\\r\\nCall-ID: a\\r\\nCall-ID: b\\r\\nContent-Length: 0\\r\\n\\r\\n")
            s.settimeout(1)
            s.recv(1000)
    except OSError as error:
        print(type(error).__name__)
"""
PING = """
import os, socket, sys
name = os.urandom(8).hex().encode()
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
s.connect((sys.argv[1], 5060))
s.send(b"OPTIONS sip:x SIP/2.0\\r\\nVia: SIP/2.0/UDP x;branch=z9hG4bK" + name + b";rport\\r\\nMax-Forwards: 9\\r\\nFrom: <sip:a@x>;tag=a\\r\\n"
       b"To: <sip:x>\\r\\nCall-ID: " + name + b"\\r\\nCSeq: 1 OPTIONS\\r\\nContent-Length: 0\\r\\n\\r\\n")
try:
    print(s.recv(1000).decode().split()[1])
except OSError:
    print("silence")
"""


def test_f1_a_verdict_is_in_the_kernel(kit):
    """An address that makes bad messages by many connections is dropped at its interface; by hand, too; and both are taken back."""
    network = Network(kit)
    gateway = network.with_xdp(changes=[("\"udp:{outside}:5060\"", "\"udp:{outside}:5060\", \"tcp:{outside}:5060\"")])

    def inside(place, script, *arguments):
        return kit.run(place.prefix + ["python3", "-c", script, place.router] + [str(each) for each in arguments]).stdout

    def blocks():
        return gateway.ask("status")["shield"]["blocks"]
    check(inside(network.phone, PING).strip() == "200", "the phone is not served")
    inside(network.phone, BAD_CONNECTIONS, 40)
    wait_for("the kernel to block it", lambda: blocks() > 0, 5)
    held = [ban for ban in gateway.ask("bans") if ban["kind"] == "in the kernel"]
    check(any(network.phone.address in ban["who"] for ban in held), "the kernel's blocks are %s" % held)
    check(inside(network.phone, PING).strip() == "silence", "it is still heard")
    gateway.command("unban", network.phone.address)
    wait_for("it to be taken back", lambda: blocks() == 0, 5)
    wait_for("it to be heard again", lambda: inside(network.phone, PING).strip() == "200", 10)

    gateway.command("ban", network.phone.address, "1h", "--reason", "bothers us")
    check("bothers us" in gateway.command("bans").stdout, "it is not listed")
    check(inside(network.phone, PING).strip() == "silence", "who was blocked by hand is heard")
    check(gateway.command("ban", network.pbx.address, ok=False).returncode == 1, "the PBX can be blocked")
    os.kill(roles_of(gateway.process.pid)["shield"], signal.SIGKILL)
    check(inside(network.phone, PING).strip() == "silence", "a block died with its process")
    wait_for("another shield", lambda: blocks() == 1, 5)
    gateway.command("unban", network.phone.address)
    wait_for("it to be heard again", lambda: inside(network.phone, PING).strip() == "200", 10)


def test_a4_calls_for_help_pass(kit):
    """From an address and an account that are refused everything else."""
    Kamailio(kit)
    gateway = kit.gateway(encryption="offered", more="protection:\n  guess: {verdict: refuse}\n  scan: {verdict: refuse}\n")
    guessed(Client(STRANGER), 14)
    client = Client(STRANGER)
    check(status_of(client.ask("OPTIONS", "1001")) == 403, "he is not refused: %s" % bans(gateway))
    answer = client.ask("INVITE", "1001", to="112")
    check(status_of(answer) not in (0, 403, 503), "the call for help was answered " + answer[:60])
