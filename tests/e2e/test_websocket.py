# SPDX-License-Identifier: Apache-2.0
"""Browsers: SIP over WebSocket (RFC 7118), with a page of JsSIP in Chromium and with a client of a few lines that misbehaves."""

import base64
import hashlib
import json
import os
import re
import socket
import ssl
import struct
import time
import uuid

from browser import Browser
from kamailio import USERS, Kamailio
from kit import DOMAIN, OUTSIDE, PBX, PHONES_BOUND, Failure, check, wait_for
from sipp import Sipp
from test_flows import SDP

SERVER = "wss://%s:8443/" % DOMAIN
SITE = "https://" + DOMAIN
SOURCE, OTHER = PHONES_BOUND[:2]
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class WebSocket:
    """A client by hand, so that it can do what none should."""

    def __init__(self, kit, source=SOURCE):
        authority, _, _ = kit.certificates()
        plain = socket.create_connection((OUTSIDE, 8443), 5, (source, 0))
        self.stream = ssl.create_default_context(cafile=authority).wrap_socket(plain, server_hostname=DOMAIN)
        self.stream.settimeout(10)
        self.data = b""

    def ask(self, headers="", origin=SITE, protocol="sip", version="13", start="GET / HTTP/1.1"):
        """Sends the request; returns the answer's head."""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [start, "Host: %s:8443" % DOMAIN, "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Key: " + key, "Sec-WebSocket-Version: " + version]
        lines += ["Sec-WebSocket-Protocol: " + protocol] if protocol else []
        lines += ["Origin: " + origin] if origin else []
        self.stream.sendall(("\r\n".join(lines) + "\r\n" + headers + "\r\n").encode())
        head = self.head()
        if head.startswith("HTTP/1.1 101 "):
            proof = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
            check("Sec-WebSocket-Accept: %s\r\n" % base64.b64encode(proof).decode() in head, "a wrong proof: " + head)
            check("Sec-WebSocket-Protocol: sip\r\n" in head, "the subprotocol is not said: " + head)
        return head

    def open(self, **more):
        head = self.ask(**more)
        check(head.startswith("HTTP/1.1 101 "), "not opened: " + head)
        return self

    def head(self):
        while b"\r\n\r\n" not in self.data:
            self.more()
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        return head.decode() + "\r\n\r\n"

    def more(self):
        got = self.stream.recv(65536)
        if not got:
            raise EOFError
        self.data += got

    @staticmethod
    def frame(opcode, payload=b"", last=True, mask=b"\x12\x34\x56\x78", bits=0):
        length = len(payload)
        head = bytes([(0x80 if last else 0) | bits | opcode])
        flag = 0x80 if mask else 0
        head += (bytes([flag | length]) if length < 126 else bytes([flag | 126]) + struct.pack("!H", length)
                 if length < 65536 else bytes([flag | 127]) + struct.pack("!Q", length))
        return head + (mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)) if mask else payload)

    def send(self, *arguments, **more):
        self.stream.sendall(self.frame(*arguments, **more))

    def take(self):
        """The next frame: (opcode, payload). The server's are whole and unmasked."""
        while len(self.data) < 2:
            self.more()
        check(self.data[0] & 0x70 == 0 and self.data[0] & 0x80 and not self.data[1] & 0x80,
              "an odd frame: %r" % self.data[:20])
        length, at = self.data[1], 2
        if length >= 126:
            size = 2 if length == 126 else 8
            while len(self.data) < 2 + size:
                self.more()
            length, at = int.from_bytes(self.data[2:2 + size], "big"), 2 + size
        while len(self.data) < at + length:
            self.more()
        opcode, payload = self.data[0] & 15, self.data[at:at + length]
        self.data = self.data[at + length:]
        return opcode, payload

    def closed(self):
        """Waits for the end; returns the code of the close frame before it, or None."""
        code = None
        try:
            while True:
                opcode, payload = self.take()
                if opcode == CLOSE:
                    code = int.from_bytes(payload[:2], "big") if payload else 1005
        except (EOFError, ConnectionError, ssl.SSLError):
            return code

    def request(self, method, uri="sip:" + DOMAIN, more="", call=None, number=1, body=""):
        return ("%s %s SIP/2.0\nVia: SIP/2.0/WSS %s.invalid;branch=z9hG4bK%s;rport\nMax-Forwards: 70\n"
                "From: <sip:1001@%s>;tag=one\nTo: <sip:1001@%s>\nCall-ID: %s\nCSeq: %d %s\n%s\n%s" % (
                    method, uri, uuid.uuid4().hex[:12], uuid.uuid4().hex, DOMAIN, DOMAIN, call or uuid.uuid4().hex,
                    number, method, more, body)).replace("\n", "\r\n").encode()

    def answer(self):
        """The next SIP message."""
        while True:
            opcode, payload = self.take()
            if opcode in (TEXT, BINARY):
                return payload.decode()
            check(opcode in (PING, PONG), "closed with %r" % payload)

    def is_served(self):
        """Whether a request is answered."""
        self.send(TEXT, self.request("OPTIONS"))
        return self.answer().startswith("SIP/2.0 ")


def websocket_zone(**keys):
    return "    websocket: %s\n" % json.dumps(keys)


def websocket_gateway(kit, zone="", **options):
    gateway = kit.gateway(transports=("udp", "tcp", "tls", "wss"), zone=zone, **options)
    kit.wait_listening("tcp", OUTSIDE, 8443)
    return gateway


def test_a_page_registers_and_sends_messages(kit):
    """JsSIP in Chromium: digest through the gateway, outbound, OPTIONS, and a message from one page's user to another's."""
    pbx = Kamailio(kit)
    browser = Browser(kit)
    gateway = websocket_gateway(kit, websocket_zone(origins=[browser.origin]))
    answers = {user: browser.ask("register", user=user, domain=DOMAIN, server=SERVER, password=USERS[user])
               for user in ("1001", "1002")}
    bindings = gateway.wait_registrations(2)
    check(all(binding["transport"] == "wss" for binding in bindings), "not over wss: %s" % bindings)
    for answer in answers.values():
        check(".invalid" in answer["contact"] and answer["require"] == "outbound" and answer["flow_timer"],
              "not registered with its flow: %s" % answer)
        check("SIP/2.0/WSS" in answer["via"], "an answer with another Via: %s" % answer)
    check(all(".invalid" not in line for line in pbx.requests("REGISTER")),
          "the PBX was told of the browser: %s" % pbx.requests("REGISTER"))
    answer = browser.ask("options", user="1001", target="sip:1002@" + DOMAIN)
    check(answer["status"] == 200, "OPTIONS were refused: %s" % answer)
    said = "Grüße, and a tab:\t."
    check(browser.ask("message", user="1001", target="sip:1002@" + DOMAIN, body=said)["status"] == 200,
          "the message was refused")
    heard = wait_for("the message", lambda: browser.ask("messages", user="1002"))
    check(heard == [{"body": said, "from": "1001"}], "another message came: %s" % heard)
    browser.ask("unregister", user="1001")
    gateway.wait_registrations(1)
    browser.ask("stop", user="1002")
    gateway.wait_registrations(0)


def test_n7_pages_of_other_sites_are_refused(kit):
    """The Origin policy, in a browser: the default is the site's own pages, and this one is from elsewhere."""
    browser = Browser(kit)
    gateway = websocket_gateway(kit)
    check(browser.ask("open", server=SERVER, protocol="sip") == {"opened": False, "code": 1006},
          "a page of another site was let in")
    check(re.search(r"WebSocket refused peer=\S+: an origin that is not the zone's: " + browser.origin,
                    gateway.process.output()), "the log does not say why")
    gateway.configure(zone=websocket_zone(origins=[browser.origin]))
    gateway.command("reload")
    check(browser.ask("open", server=SERVER, protocol="sip") == {"opened": True, "protocol": "sip"},
          "a page of the zone's was refused")


def test_only_the_opening_that_is_right(kit):
    websocket_gateway(kit)
    cases = [
        (403, {"origin": "https://evil.example"}), (403, {"origin": None}), (403, {"origin": "null"}),
        (403, {"origin": SITE + ":8443"}), (403, {"origin": "http://" + DOMAIN}), (403, {"origin": SITE + ".evil.example"}),
        (400, {"origin": "https://a b"}), (400, {"protocol": None}), (400, {"protocol": "xmpp"}),
        (426, {"version": "8"}), (405, {"start": "POST / HTTP/1.1"}), (505, {"start": "GET / HTTP/1.0"}),
        (400, {"start": "INVITE sip:a@b SIP/2.0"}), (400, {"headers": "Content-Length: 3\r\n"}),
        (400, {"headers": "Origin: https://evil.example\r\n"}), (400, {"headers": " folded: x\r\n"}),
        (431, {"headers": "Cookie: %s\r\n" % ("x" * 9000)}), (400, {"headers": "\r\nGET / HTTP/1.1\r\n"}),
    ]
    for number, (status, how) in enumerate(cases):
        client = WebSocket(kit, PHONES_BOUND[number % len(PHONES_BOUND)])
        head = client.ask(**how)
        check(head.startswith("HTTP/1.1 %d " % status), "%s is answered with %s" % (how, head))
        check(client.closed() is None, "%s: more than an answer came" % how)
        client.stream.close()
    check(WebSocket(kit).open().is_served(), "an honest client is not served")


def test_programs_where_the_owner_lets_them(kit):
    gateway = websocket_gateway(kit, websocket_zone(programs=True))
    client = WebSocket(kit).open(origin=None)
    check(client.is_served(), "not served")
    head = WebSocket(kit).ask(origin="https://evil.example")
    check(head.startswith("HTTP/1.1 403 "), "a page is no program: " + head)
    gateway.stop()


def test_register_by_hand_and_flows(kit):
    """Without Content-Length, in fragments, text and binary; keep-alives by CRLF and by ping; and the flow of RFC 5626."""
    Kamailio(kit, trusted="1 == 1")
    gateway = websocket_gateway(kit)
    client = WebSocket(kit).open()
    contact = ('Contact: <sip:x@x.invalid;transport=ws>;reg-id=1;+sip.instance="<urn:uuid:%s>"\n'
               "Supported: path, outbound\nExpires: 300\n" % uuid.uuid4())
    request = client.request("REGISTER", more=contact)
    client.send(BINARY, request[:40], last=False)
    client.send(PING, b"between")
    client.send(0, request[40:])
    check(client.take() == (PONG, b"between"), "a ping was not answered")
    answer = client.answer()
    check(answer.startswith("SIP/2.0 200 ") and "Require: outbound" in answer, "not registered: " + answer)
    check(re.search(r"(?m)^Via: SIP/2.0/WSS \S+\.invalid;\S*rport=%d" % client.stream.getsockname()[1], answer),
          "the Via does not say where it came from: " + answer)
    check(gateway.wait_registrations(1)[0]["transport"] == "wss", "not over wss")
    client.send(TEXT, b"\r\n\r\n")
    check(client.take() == (TEXT, b"\r\n"), "a CRLF keep-alive was not answered")
    # A call for it comes by its flow, with what RFC 7118 has in Via and Contact.
    caller = WebSocket(kit, OTHER).open()
    caller.send(TEXT, caller.request("MESSAGE", "sip:1001@" + DOMAIN, "Content-Type: text/plain\n", body="hello"))
    message = client.answer()
    check(message.startswith("MESSAGE sip:x@x.invalid;transport=ws SIP/2.0\r\n"), "not for its contact: " + message)
    check("\r\nVia: SIP/2.0/WSS %s:8443;" % DOMAIN in message and message.endswith("\r\n\r\nhello"), "odd: " + message)
    kept = [line for line in message.split("\r\n") if re.match("(Via|From|To|Call-ID|CSeq):", line)]
    kept = [line + ";tag=y" if line.startswith("To:") else line for line in kept]
    client.send(TEXT, "\r\n".join(["SIP/2.0 200 OK"] + kept + ["", ""]).encode())
    check(caller.answer().startswith("SIP/2.0 200 "), "the answer did not come back")
    # A connection that is gone takes its binding out of use: the next message finds nobody.
    client.stream.close()
    time.sleep(0.5)
    caller.send(TEXT, caller.request("MESSAGE", "sip:1001@" + DOMAIN, "Content-Type: text/plain\n", body="hello"))
    check(not caller.answer().startswith("SIP/2.0 200 "), "a phone that is gone has answered")


def test_a_call_over_a_websocket(kit):
    """A softphone that is no browser: SDES over wss, set up and ended from its side, and the target it is told."""
    Kamailio(kit, routes={"2000": "sip:2000@%s:5080" % PBX}, trusted="1 == 1")
    gateway = websocket_gateway(kit)
    answering = Sipp(kit, "uas", PBX, 5080, user="2000")
    kit.wait_listening("udp", PBX, 5080)
    client, call = WebSocket(kit).open(), uuid.uuid4().hex
    client.send(TEXT, client.request("INVITE", "sip:2000@" + DOMAIN, "Contact: <sip:x@x.invalid;transport=ws>\n"
                                     "Content-Type: application/sdp\n", call, body=SDP.format(address=SOURCE)))
    answer = client.answer()
    while answer.startswith("SIP/2.0 1"):
        answer = client.answer()
    check(answer.startswith("SIP/2.0 200 ") and "a=crypto:" in answer, "not answered: " + answer)
    target = re.search(r"(?m)^Contact: <(.*?)>", answer).group(1)
    check(target == "sip:%s:8443;transport=ws" % DOMAIN, "told to send to " + target)
    to = re.search(r"(?m)^To: (.*?)\r$", answer).group(1)
    for method, number in (("ACK", 1), ("BYE", 2)):
        request = client.request(method, target, call=call, number=number).decode()
        client.send(TEXT, re.sub(r"(?m)^To: .*?\r$", "To: %s\r" % to, request).encode())
        if method == "ACK":
            gateway.wait_calls(1)
    check(client.answer().startswith("SIP/2.0 200 "), "the BYE was not answered")
    gateway.wait_calls(0)
    answering.finish()


def test_n3_bad_frames_end_one_connection_alone(kit):
    gateway = websocket_gateway(kit)
    honest = WebSocket(kit, OTHER).open()

    def ends(code, *sends):
        client = WebSocket(kit).open()
        try:
            for data in sends:
                client.stream.sendall(data)
        except (ConnectionError, ssl.SSLError):
            pass  # it was ended before all was sent
        got = client.closed()
        check(got == code, "%r is closed with %s, not %s" % (sends[0][:20], got, code))
        client.stream.close()

    make = WebSocket.frame
    ends(1002, make(TEXT, b"OPTIONS", mask=None))
    ends(1002, make(TEXT, b"OPTIONS", bits=0x40))
    ends(1002, make(3, b"x"))
    ends(1002, make(0, b"x"))
    ends(1002, make(TEXT, b"a", last=False), make(TEXT, b"b"))
    ends(1002, make(PING, b"a", last=False))
    ends(1002, make(PING, b"a" * 126))
    ends(1002, make(CLOSE, b"\x03"))
    ends(1007, make(TEXT, b"\xff"))
    ends(1009, make(BINARY, b"x" * 70000))
    ends(1009, *[make(0 if i else TEXT, b"x" * 1000, last=False) for i in range(70)])
    ends(1009, b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffmaskx")
    ends(1003, make(TEXT, b"GET / HTTP/1.1\r\n\r\n"))
    ends(1000, make(CLOSE, b"\x03\xe8bye"))
    ends(1005, make(CLOSE))
    check(honest.is_served(), "an honest client is not served")
    # What is SIP and wrong is answered, and the connection goes on.
    honest.send(TEXT, honest.request("OPTIONS").replace(b"CSeq: 1 OPTIONS", b"CSeq: 1 INVITE"))
    check(honest.answer().startswith("SIP/2.0 400 "), "not refused")
    check(honest.is_served(), "a client that erred is not served any more")
    gateway.stop()


def test_n3_idle_and_slow_websockets_are_ended(kit):
    gateway = websocket_gateway(
        kit, more="limits: {handshake_timeout: 2s, first_byte_timeout: 2s, connections_per_source: 20}\n")
    started = time.monotonic()
    silent = WebSocket(kit, PHONES_BOUND[2])
    silent.stream.sendall(b"GET / HTTP/1.1\r\n")
    mute = WebSocket(kit, PHONES_BOUND[3]).open()
    slow = WebSocket(kit, PHONES_BOUND[4]).open()
    slow.send(TEXT, b"OPTIONS", last=False)
    for client in (silent, mute, slow):
        try:
            check(client.closed() is None, "a close was said")
        except socket.timeout:
            raise Failure("still there after 10 s") from None
    check(time.monotonic() - started < 8, "ended too late")
    # Half of them are opened and half are not; the limit of a source counts both.
    clients = []
    try:
        for number in range(30):
            client = WebSocket(kit)
            clients.append(client.open() if number % 2 else client)
    except (ConnectionError, ssl.SSLError, EOFError):
        pass
    check(10 <= len(clients) <= 20, "%d connections of one source" % len(clients))
    check(WebSocket(kit, OTHER).open().is_served(), "another source is not served")
    gateway.stop()


def test_a_page_and_local_accounts(kit):
    """JsSIP looks at the first challenge alone, and knows MD5: with digest: md5 it registers with the gateway itself."""
    Kamailio(kit, trusted="1 == 1")
    browser = Browser(kit)
    gateway = websocket_gateway(kit, websocket_zone(origins=[browser.origin]) + "    digest: md5\n",
                                authentication="local")
    gateway.command("account", "add", "1001", "--password-file", kit.write("password", USERS["1001"], 0o600))
    browser.ask("register", user="1001", domain=DOMAIN, server=SERVER, password=USERS["1001"])
    gateway.wait_registrations(1)
    answer = browser.ask("options", user="1001", target="sip:1002@" + DOMAIN)
    check(answer["status"] == 404, "a request of an account of its own was not passed on: %s" % answer)
