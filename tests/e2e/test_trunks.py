# SPDX-License-Identifier: Apache-2.0
"""Trunks: the gateway registers at a provider (Kamailio) and calls through it with credentials; and what a rogue provider gets
out of it (CVE-2020-28242, CVE-2021-41158)."""

import re
import socket
import threading
import time

from kamailio import Kamailio
from kit import DOMAIN, INSIDE, OUTSIDE, PBX, STRANGER, Gateway, ask_udp, check, udp_socket, wait_for
from sipp import Sipp

ACCOUNT, PASSWORD = "4416329", "Trunk secret 9"
PROVIDER = STRANGER  # a host of the internet

CONFIGURATION = """\
site: {{domain: {domain}}}
state_directory: {state}
tls: {{certificate: {certificate}, key: {key}}}
zones:
  - name: pbx
    kind: core
    listen: ["udp:{inside}:5060"]
    peers: ["sip:{pbx}:5060;transport=udp", "sip:{pbx}:5061;transport=udp"]
    media: {{address: {inside}, ports: "30000-30999", encryption: none}}
  - name: carrier
    kind: trunk
    listen: ["udp:{outside}:5070", "tls:{outside}:5071"]
    peers: ["{peer}"]
    register: {{user: "{account}", password_file: {secret}, expires: 60s{register}}}
    media: {{address: {outside}, ports: "20000-20999", encryption: none}}
{zone}routes:
  - {{from: pbx, to: carrier}}
  - {{from: carrier, to: pbx}}
"""


class TrunkGateway(Gateway):
    def configure(self, **changes):
        self.options.update(changes)
        _, certificate, key = self.kit.certificates()
        secret = self.kit.write("carrier.secret", self.options.get("password", PASSWORD) + "\n", 0o600)
        text = CONFIGURATION.format(
            domain=DOMAIN, state=self.state, certificate=certificate, key=key, inside=INSIDE, outside=OUTSIDE, pbx=PBX,
            account=ACCOUNT, secret=secret, register=self.options.get("register", ""),
            peer=self.options.get("trunk", "sip:%s:5060;transport=udp" % PROVIDER), zone=self.options.get("zone", ""))
        self.file = self.kit.write("ringwall.yaml", text)
        return self.file

    def trunk(self):
        return self.ask("status")["trunks"][0]

    def wait_trunk(self, state, timeout_s=10.0):
        wait_for("the trunk to be " + state, lambda: self.trunk()["state"] == state, timeout_s)
        return self.trunk()


def trunk_gateway(kit, **options):
    gateway = TrunkGateway(kit, start=False)
    gateway.configure(**options)
    return gateway.start()


def provider(kit, algorithm=""):
    """Kamailio as registrar and proxy of the provider, where 2000 is one of its own phones."""
    return Kamailio(kit, address=PROVIDER, users={ACCOUNT: PASSWORD}, algorithm=algorithm,
                    routes={"2000": "sip:2000@%s:5080" % PROVIDER},
                    trusted='$sp == 5080 || $sp == 5081')


def calls_both_ways(kit, algorithm):
    provider(kit, algorithm)
    gateway = trunk_gateway(kit)
    trunk = gateway.wait_trunk("registered")
    check(0 < trunk["expires_s"] <= 60 and not trunk["failure"], "status says %s" % trunk)
    answering = Sipp(kit, "uas", PROVIDER, 5080, user="2000")
    kit.wait_listening("udp", PROVIDER, 5080)
    Sipp(kit, "uac_open", PBX, 5061, INSIDE + ":5060", to="2000").finish()
    answering.finish()
    # In: the provider knows where the account is, and the call goes to the PBX.
    answering = Sipp(kit, "uas", PBX, 5060, user=ACCOUNT)
    kit.wait_listening("udp", PBX, 5060)
    Sipp(kit, "uac_open", PROVIDER, 5081, PROVIDER + ":5060", to=ACCOUNT).finish()
    answering.finish()
    gateway.wait_calls(0)
    return gateway


def test_trunk_registers_and_calls_with_md5(kit):
    gateway = calls_both_ways(kit, "")
    started = time.monotonic()
    gateway.stop()
    check(time.monotonic() - started < 5, "the goodbye took too long")
    text = gateway.process.output()
    check(PASSWORD not in text, "the password is in the log")
    check("registered at the provider" in text, "the log does not say that the trunk was registered")


def test_trunk_registers_and_calls_with_sha256(kit):
    calls_both_ways(kit, "SHA-256")


def test_trunk_says_why_it_is_not_registered(kit):
    provider(kit)
    gateway = trunk_gateway(kit, password="wrong")
    trunk = gateway.wait_trunk("not registered")
    check("user or password are not accepted" in trunk["failure"], "status says %s" % trunk)
    shown = gateway.command("status").stdout
    check("user or password are not accepted" in shown and "carrier" in shown, "status shows %s" % shown)
    gateway.configure(password=PASSWORD)
    gateway.command("reload")
    gateway.wait_trunk("registered")


class Rogue:
    """A provider that answers as `respond` says: a function from (method, headers, number) to (status, header lines)."""

    def __init__(self, respond, address=PROVIDER, port=5060):
        self.respond, self.requests = respond, []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((address, port))
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            data, source = self.sock.recvfrom(65535)
            text = data.decode("utf-8", "replace")
            method = text.split(" ", 1)[0]
            if method in ("SIP/2.0", "ACK"):
                continue
            self.requests.append(text)
            status, lines = self.respond(method, text, len(self.of(method)))
            kept = re.findall(r"(?im)^(?:via|from|call-id|cseq):.*?\r$", text)
            to = re.search(r"(?im)^to:.*?(?=\r$)", text).group(0)
            answer = ["SIP/2.0 " + status] + [line.strip() for line in kept] + [to + ";tag=rogue"] + lines
            self.sock.sendto(("\r\n".join(answer + ["Content-Length: 0", "", ""])).encode(), source)

    def of(self, method):
        return [text for text in self.requests if text.startswith(method + " ")]

    def with_credentials(self, method):
        return [text for text in self.of(method) if re.search(r"(?im)^(proxy-)?authorization:", text)]


def challenge(realm, nonce, more=""):
    return 'WWW-Authenticate: Digest realm="%s", nonce="%s", qop="auth"%s' % (realm, nonce, more)


INVITE = """INVITE sip:2000@%s SIP/2.0
Via: SIP/2.0/UDP %s:5061;branch=z9hG4bKrogue;rport
Max-Forwards: 70
From: <sip:100@%s>;tag=caller
To: <sip:2000@%s>
Call-ID: rogue
CSeq: 1 INVITE
Contact: <sip:100@%s:5061>
Content-Length: 0

""" % (DOMAIN, PBX, DOMAIN, DOMAIN, PBX)


def granted(text):
    return re.search(r"(?im)^contact:.*?(?=\r$)", text).group(0)


def test_rogue_provider_whose_challenge_changes_forever(kit):
    rogue = Rogue(lambda method, text, number: ("401 Unauthorized", [challenge(DOMAIN, "n%d" % number)]))
    gateway = trunk_gateway(kit)
    gateway.wait_trunk("not registered")
    time.sleep(1)
    check(len(rogue.of("REGISTER")) == 3, "%d registrations were sent" % len(rogue.of("REGISTER")))
    check(len(rogue.with_credentials("REGISTER")) == 2, "not two answers")


def test_rogue_provider_that_asks_from_another_realm(kit):
    def respond(method, text, number):
        if method == "REGISTER" and number == 1:
            return "401 Unauthorized", [challenge(DOMAIN, "n1")]
        if method == "REGISTER":
            return "200 OK", [granted(text)]
        return "401 Unauthorized", [challenge("bank.example", "n2")]
    rogue = Rogue(respond)
    gateway = trunk_gateway(kit)
    gateway.wait_trunk("registered")
    with udp_socket(PBX, 5061) as caller:
        answer = ask_udp(caller, (INSIDE, 5060), INVITE)
        if answer and answer.startswith("SIP/2.0 100"):
            answer = caller.recv(65535).decode()
    check(answer and answer.startswith("SIP/2.0 403"), "the caller was told %s" % answer)
    check(len(rogue.of("INVITE")) == 1, "%d INVITEs were sent" % len(rogue.of("INVITE")))
    check(not rogue.with_credentials("INVITE"), "credentials went to another realm")
    check("another realm" in gateway.process.output(), "the log does not tell of it")


def test_rogue_provider_that_sends_elsewhere_to_be_asked_there(kit):
    rogue = Rogue(lambda method, text, number: (
        "302 Moved Temporarily", ["Contact: <sip:thief@%s:5090>" % PROVIDER]))
    thief = Rogue(lambda method, text, number: ("401 Unauthorized", [challenge(DOMAIN, "n1")]), port=5090)
    gateway = trunk_gateway(kit)
    trunk = gateway.wait_trunk("not registered")
    check("not followed" in trunk["failure"], "status says %s" % trunk)
    time.sleep(0.5)
    check(rogue.requests and not thief.requests, "the redirect was followed")
