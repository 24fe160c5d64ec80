# SPDX-License-Identifier: Apache-2.0
"""Phones whose connections come and go: a call outlives its phone's connection, and a phone that starts anew is one phone."""

import re
import socket
import ssl
import uuid

from kamailio import Kamailio
from kit import DOMAIN, OUTSIDE, PBX, PHONES_BOUND, check, wait_for
from phones import Baresip
from sipp import Sipp

INSTANCE = "<urn:uuid:%s>" % uuid.uuid4()


class TlsPhone:
    """A phone of a few lines on one TLS connection, which it can lose."""

    def __init__(self, kit, address, user="1001"):
        authority, _, _ = kit.certificates()
        self.context = ssl.create_default_context(cafile=authority)
        self.address, self.user, self.number, self.text = address, user, 0, ""
        self.call = uuid.uuid4().hex
        self.connect()

    def connect(self):
        plain = socket.create_connection((OUTSIDE, 5061), 5, (self.address, 0))
        self.stream = self.context.wrap_socket(plain, server_hostname=DOMAIN)
        self.stream.settimeout(10)
        self.port, self.text = self.stream.getsockname()[1], ""

    def send(self, first, to, more, body="", call=None, number=None):
        self.number += 1
        method = first.split(" ")[0]
        head = ("%s SIP/2.0\nVia: SIP/2.0/TLS %s:%d;branch=z9hG4bK%s;rport\nMax-Forwards: 70\n"
                "From: <sip:%s@%s>;tag=%s\nTo: %s\nCall-ID: %s\nCSeq: %d %s\n%sContent-Length: %d\n\n" % (
                    first, self.address, self.port, uuid.uuid4().hex, self.user, DOMAIN, self.call[:8], to,
                    call or self.call, number or self.number, method, more, len(body.replace("\n", "\r\n"))))
        self.stream.sendall((head + body).replace("\n", "\r\n").encode())

    def receive(self, start):
        """The next message that begins so; others are passed over."""
        while True:
            while not re.match(r"(?s).*?\r\n\r\n", self.text):
                got = self.stream.recv(65536)
                check(got, "the connection ended before %r came" % start)
                self.text += got.decode()
            head = self.text[:self.text.index("\r\n\r\n") + 4]
            length = len(head) + int(re.search(r"(?i)content-length: *(\d+)", head).group(1))
            while len(self.text) < length:
                self.text += self.stream.recv(65536).decode()
            message, self.text = self.text[:length], self.text[length:]
            if message.startswith(start):
                return message

    def contact(self):
        return "<sip:%s@%s:%d;transport=tls;ob>" % (self.user, self.address, self.port)

    def register(self):
        self.send("REGISTER sip:" + DOMAIN, "<sip:%s@%s>" % (self.user, DOMAIN),
                  'Contact: %s;+sip.instance="%s";reg-id=1\nSupported: path, outbound\nExpires: 300\n' % (
                      self.contact(), INSTANCE), call=uuid.uuid4().hex)
        return self.receive("SIP/2.0 200")

    def lose_connection(self):
        """Without a word, as when a phone changes from one network to another."""
        self.stream.close()


SDP = """v=0
o=- 1 1 IN IP4 {address}
s=-
c=IN IP4 {address}
t=0 0
m=audio 40000 RTP/SAVP 0
a=rtpmap:0 PCMU/8000
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj
"""


def test_a_phone_that_reconnects_in_a_call_is_told_of_its_end(kit):
    Kamailio(kit, routes={"2000": "sip:2000@%s:5080" % PBX}, trusted="1 == 1")
    gateway = kit.gateway()
    answering = Sipp(kit, "uas_bye", PBX, 5080, user="2000")
    kit.wait_listening("udp", PBX, 5080)
    phone = TlsPhone(kit, PHONES_BOUND[0])
    answer = phone.register()
    check("Require: outbound" in answer and "Flow-Timer: 120" in answer, "outbound is not served: " + answer)
    phone.send("INVITE sip:2000@" + DOMAIN, "<sip:2000@%s>" % DOMAIN,
               "Contact: %s\nContent-Type: application/sdp\n" % phone.contact(),
               SDP.format(address=PHONES_BOUND[0]))
    answer = phone.receive("SIP/2.0 200")
    to = re.search(r"(?m)^To: (.*?)\r$", answer).group(1)
    target = re.search(r"(?m)^Contact: <(.*?)>", answer).group(1)
    phone.send("ACK " + target, to, "", number=phone.number)
    gateway.wait_calls(1)
    phone.lose_connection()
    phone.connect()
    phone.register()
    check(len(gateway.registrations()) == 1, "the phone stands there twice: %s" % gateway.registrations())
    bye = phone.receive("BYE ")
    check("Call-ID: " + phone.call in bye, "the BYE is of another call: " + bye)
    answering.finish()
    gateway.wait_calls(0)


def test_a_softphone_that_starts_anew_replaces_its_flow(kit):
    """baresip with outbound, killed and started again: one binding, its new connection, one contact at the PBX."""
    pbx = Kamailio(kit)
    gateway = kit.gateway()
    phone = Baresip(kit, "1001", outbound=True)
    first = gateway.wait_registrations(1)[0]
    phone.process.popen.kill()
    phone.process.wait()
    phone.start()
    wait_for("the phone's new connection",
             lambda: [b for b in gateway.registrations() if b["remote"] != first["remote"]], 15, 0.2)
    check(len(gateway.registrations()) == 1, "the phone stands there twice: %s" % gateway.registrations())
    # The first of all was challenged, and nothing was registered by it.
    contacts = {re.search(r"contact=<sip:(\w+)@", line).group(1) for line in pbx.requests("REGISTER")[1:]}
    check(len(contacts) == 1, "the PBX was given several contacts for one phone: %s" % contacts)
