# SPDX-License-Identifier: Apache-2.0
"""Trunks: the gateway registers at a provider (Kamailio) and calls through it with credentials; and what a rogue provider gets
out of it (CVE-2020-28242, CVE-2021-41158)."""

import os
import re
import shutil
import socket
import ssl
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


# ---- TLS -------------------------------------------------------------------------------------------

TLS_ZONE = """\
  - name: partner
    kind: trunk
    listen: ["tls:{outside}:5081"]
    peers: ["sips:sip.partner.example:5061"]
    client_certificate: require
    authorities: {authorities}
    media: {{address: {outside}, ports: "21000-21999", encryption: required}}
"""


def partner(kit, name):
    """A certificate of the partner's own authority for `name`: its chain and key."""
    openssl = shutil.which("openssl")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    authority, certificate, key = kit.path("partner-ca.pem"), kit.path(name + ".pem"), kit.path(name + ".key")
    if not os.path.exists(authority):
        kit.run([openssl, "req", "-x509"] + curve + ["-days", "2", "-keyout", kit.path("partner-ca.key"), "-out",
                                                     authority, "-subj", "/CN=Partner authority"])
    kit.run([openssl, "req"] + curve + ["-keyout", key, "-out", kit.path("csr"), "-subj", "/CN=" + name])
    extensions = kit.write("ext", "subjectAltName=DNS:%s\n" % name)
    kit.run([openssl, "x509", "-req", "-in", kit.path("csr"), "-CA", authority, "-CAkey", kit.path("partner-ca.key"),
             "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", certificate])
    return authority, certificate, key


def tls_gateway(kit, authority):
    """With a partner's zone; its name is in the hosts file of this test's machine."""
    hosts = kit.write("hosts", "127.0.0.1 localhost\n%s sip.partner.example\n" % PROVIDER)
    kit.run(["mount", "--bind", hosts, "/etc/hosts"])
    Rogue(lambda method, text, number: ("200 OK", [granted(text)] if method == "REGISTER" else []))
    return trunk_gateway(kit, zone=TLS_ZONE.format(outside=OUTSIDE, authorities=authority))


OPTIONS = """OPTIONS sip:%s SIP/2.0\r
Via: SIP/2.0/TLS %s:5061;branch=z9hG4bKtls%%d;alias\r
Max-Forwards: 70\r
From: <sip:sip.partner.example>;tag=t%%d\r
To: <sip:%s>\r
Call-ID: tls%%d\r
CSeq: 1 OPTIONS\r
Content-Length: 0\r
\r
""" % (DOMAIN, PROVIDER, DOMAIN)


def test_mutual_tls_lets_only_the_partner_in(kit):
    authority, certificate, key = partner(kit, "sip.partner.example")
    _, other, other_key = partner(kit, "evil.example")
    gateway = tls_gateway(kit, authority)
    check(connect_tls(certificate, key) is not None, "the partner was not let in: %s" % gateway.process.output()[-800:])
    for what, arguments in (("no certificate", (None, None)), ("another's certificate", (other, other_key)),
                            ("a certificate of another authority", kit.certificates()[1:])):
        check(connect_tls(*arguments) is None, "let in with " + what)
    check("certificate refused" in gateway.process.output(), "the log does not tell of it")


def connect_tls(certificate, key, port=5081, keep=False):
    """The answer to OPTIONS over TLS; None when the gateway refused the connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(certificate, key)
    plain = socket.create_connection((OUTSIDE, port), 5, (PROVIDER, 0))
    try:
        stream = context.wrap_socket(plain)
        answer = options(stream, 1)
    except (ssl.SSLError, ConnectionError, socket.timeout):
        plain.close()
        return None
    if keep:
        return stream
    stream.close()
    return answer or None


def options(stream, number):
    stream.settimeout(3)
    stream.sendall((OPTIONS % (number, number, number)).encode())
    return stream.recv(65535).decode()


def test_partner_is_called_over_the_connection_it_opened(kit):
    """RFC 5923: nobody listens at the partner's port, so the only way there is the connection that it opened."""
    authority, certificate, key = partner(kit, "sip.partner.example")
    gateway = tls_gateway(kit, authority)
    stream = connect_tls(certificate, key, keep=True)
    check(stream is not None, "the partner was not let in")
    gateway.file = kit.write("ringwall.yaml", open(gateway.file).read().replace("{from: pbx, to: carrier}",
                                                                                "{from: pbx, to: partner}"))
    gateway.command("reload")
    with udp_socket(PBX, 5061) as caller:
        invite = INVITE.replace("INVITE", "OPTIONS").replace("branch=z9hG4bKrogue", "branch=z9hG4bKalias")
        caller.sendto(re.sub(r"\r?\n", "\r\n", invite).encode(), (INSIDE, 5060))
        stream.settimeout(3)
        try:
            request = stream.recv(65535).decode()
        except socket.timeout:
            caller.settimeout(0.2)
            request = "nothing; the caller got " + caller.recv(65535).decode()
    check(request.startswith("OPTIONS sip:2000@"), "over the connection came %r" % request[:200])
    check(";alias" in request, "our Via does not offer the same")


def test_certificate_is_renewed_under_an_open_connection(kit):
    authority, certificate, key = partner(kit, "sip.partner.example")
    gateway = tls_gateway(kit, authority)
    stream = connect_tls(certificate, key, keep=True)
    openssl = shutil.which("openssl")
    shown = lambda: kit.run([openssl, "s_client", "-connect", "%s:5071" % OUTSIDE, "-bind", "%s:0" % PROVIDER],
                            ok=False, stdin="").stdout
    old = re.search(r"BEGIN CERT.*?END CERT", shown(), re.S).group(0)
    for name in ("tls.crt", "tls.key"):
        os.remove(kit.path(name))
    kit.certificates()
    gateway.command("reload")
    new = re.search(r"BEGIN CERT.*?END CERT", shown(), re.S).group(0)
    check(old != new, "the old certificate is still shown")
    check("SIP/2.0 200" in options(stream, 2), "the open connection was dropped")
