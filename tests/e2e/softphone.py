# SPDX-License-Identifier: Apache-2.0
"""A small user agent on asyncio for tests that need hundreds of calls watched closely: UDP, digest, calls both ways,
re-INVITE, REFER, SUBSCRIBE, and RTP whose gaps are measured. It does what RFC 3261 makes a user agent do and no more."""

import asyncio
import hashlib
import random
import re
import struct
import time

T1_S, T2_S, PATIENCE_S = 0.5, 4.0, 32.0


def token(length=12):
    return "".join(random.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length))


class Message:
    """A parsed message: `start`, `headers` as (lower-case name, value) in order, `body`."""

    def __init__(self, text):
        head, _, self.body = text.partition("\r\n\r\n")
        self.start, *lines = head.split("\r\n")
        self.headers = [(n.strip().lower(), v.strip()) for n, _, v in (line.partition(":") for line in lines)]
        words = self.start.split(" ", 2)
        self.status = int(words[1]) if words[0] == "SIP/2.0" else 0
        self.method = self.get("cseq").split()[-1] if self.status else words[0]

    def get(self, name, default=""):
        return next((v for n, v in self.headers if n == name), default)

    def all(self, name):
        return [v for n, v in self.headers if n == name]

    def tag(self, name):
        found = re.search(r";\s*tag=([^;>\s]+)", self.get(name))
        return found.group(1) if found else ""

    def target(self):
        found = re.search(r"<([^>]+)>", self.get("contact"))
        return found.group(1) if found else self.get("contact")

    def branch(self):
        return re.search(r";branch=([^;,\s]+)", self.get("via")).group(1)


def credentials(challenge, user, password, method, uri):
    """The value of (Proxy-)Authorization for a digest challenge."""
    values = dict(re.findall(r'(\w+)="?([^",]*)"?', challenge))
    digest = hashlib.sha256 if values.get("algorithm", "MD5").upper() == "SHA-256" else hashlib.md5
    h = lambda text: digest(text.encode()).hexdigest()  # noqa: E731
    cnonce = token(8)
    response = h(":".join([h("%s:%s:%s" % (user, values["realm"], password)), values["nonce"], "00000001", cnonce, "auth",
                           h("%s:%s" % (method, uri))]) if "qop" in values else
                 ":".join([h("%s:%s:%s" % (user, values["realm"], password)), values["nonce"], h("%s:%s" % (method, uri))]))
    text = 'Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", algorithm=%s' % (
        user, values["realm"], values["nonce"], uri, response, values.get("algorithm", "MD5"))
    if "qop" in values:
        text += ', qop=auth, nc=00000001, cnonce="%s"' % cnonce
    return text + (', opaque="%s"' % values["opaque"] if "opaque" in values else "")


class Audio(asyncio.DatagramProtocol):
    """RTP both ways at 50 packets a second; remembers when packets came."""

    def __init__(self, address):
        self.address, self.remote, self.transport, self.task = address, None, None, None
        self.last, self.gaps, self.received = None, [], 0

    async def open(self):
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self.address, 0))
        self.port = self.transport.get_extra_info("sockname")[1]
        return self

    def datagram_received(self, data, source):
        now = time.monotonic()
        if self.last is not None and now - self.last > 0.1:
            self.gaps.append((now, now - self.last))
        self.last = now
        self.received += 1

    def start(self, remote):
        self.remote = remote
        if not self.task:
            self.task = asyncio.create_task(self.send())

    def pause(self):
        """Nobody sends to us now: silence is no gap."""
        self.last = None

    async def send(self):
        sequence, stamp, source = random.getrandbits(15), random.getrandbits(32), random.getrandbits(32)
        due = time.monotonic()
        while True:
            packet = struct.pack("!BBHII", 0x80, 0, sequence & 0xffff, stamp & 0xffffffff, source) + b"\xff" * 160
            self.transport.sendto(packet, self.remote)
            sequence, stamp, due = sequence + 1, stamp + 160, due + 0.02
            await asyncio.sleep(max(0, due - time.monotonic()))

    def close(self):
        if self.task:
            self.task.cancel()
        if self.transport:
            self.transport.close()

    def describe(self, direction="sendrecv"):
        return ("v=0\r\no=- %d 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP 0\r\n"
                "a=rtpmap:0 PCMU/8000\r\na=%s\r\n" % (self.port, self.address, self.address, self.port, direction))

    @staticmethod
    def where(description):
        return (re.search(r"c=IN IP4 (\S+)", description).group(1), int(re.search(r"m=audio (\d+)", description).group(1)))


class Dialog:
    """One dialog as this side sees it."""

    def __init__(self, phone, call_id, local, remote, target, routes, remote_address):
        self.phone, self.call_id, self.local, self.remote = phone, call_id, local, remote
        self.target, self.routes, self.address = target, routes, remote_address
        self.cseq, self.ended, self.on_request = random.randrange(1, 1000), asyncio.Event(), None
        self.ended_by_peer = False

    async def request(self, method, extra="", body="", content_type="application/sdp"):
        self.cseq += 1
        return await self.phone.request(method, self.target, self.address, self.local, self.remote, self.call_id, self.cseq,
                                        "".join("Route: %s\r\n" % r for r in self.routes) + extra, body, content_type)

    async def bye(self):
        self.ended.set()
        return await self.request("BYE")


class Softphone(asyncio.DatagramProtocol):
    def __init__(self, user, address, port, server, domain, password=None):
        self.user, self.address, self.port, self.server = user, address, port, server
        self.host = "[%s]" % address if ":" in address else address
        self.domain, self.password = domain, password
        self.waiting, self.answers, self.dialogs, self.acks = {}, {}, {}, {}
        self.subscribed, self.notified = set(), {}
        self.on_invite = self.on_subscribe = None

    async def open(self):
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self.address, self.port))
        return self

    def contact(self):
        return "<sip:%s@%s:%d>" % (self.user, self.host, self.port)

    def send(self, text, destination):
        self.transport.sendto(text.encode(), destination)

    # ---- as a client -----------------------------------------------------------------------------------------

    async def request(self, method, uri, destination, local, remote, call_id, cseq, extra="", body="",
                      content_type="application/sdp", progress=None):
        """Sends until a final answer comes, which is returned; None after 32 s without one."""
        branch = "z9hG4bK" + token()
        head = "Via: SIP/2.0/UDP %s:%d;branch=%s;rport\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\n" % (
            self.host, self.port, branch, local, remote, call_id)
        text = "%s %s SIP/2.0\r\n%sCSeq: %d %s\r\nContact: %s\r\n%s%sContent-Length: %d\r\n\r\n%s" % (
            method, uri, head, cseq, method, self.contact(), extra,
            "Content-Type: %s\r\n" % content_type if body else "", len(body), body)
        queue = self.waiting[branch] = asyncio.Queue()
        interval, deadline, repeats = T1_S, time.monotonic() + PATIENCE_S, True
        self.send(text, destination)
        try:
            while True:
                left = deadline - time.monotonic()
                try:
                    response = await asyncio.wait_for(queue.get(), min(interval if repeats else 120, max(left, 0.01)))
                except asyncio.TimeoutError:
                    if time.monotonic() >= deadline:
                        return None
                    self.send(text, destination)
                    interval = min(interval * 2, T2_S if method != "INVITE" else 64)
                    continue
                if response.status >= 200:
                    break
                if method == "INVITE":
                    repeats, deadline = False, time.monotonic() + 120
                if progress:
                    progress(response)
        finally:
            asyncio.get_running_loop().call_later(PATIENCE_S, self.waiting.pop, branch, None)
        if method == "INVITE" and response.status >= 300:
            ack = "ACK %s SIP/2.0\r\n%sCSeq: %d ACK\r\nContent-Length: 0\r\n\r\n" % (
                uri, head.replace("To: " + remote, "To: " + response.get("to")), cseq)
            self.acks[(call_id, cseq)] = (ack, destination)
            self.send(ack, destination)
        return response

    async def authenticated(self, method, uri, remote, call_id, extra="", body="", content_type="application/sdp", cseq=1):
        """A request outside dialogs, with credentials once asked for. Returns (answer, its CSeq, our From)."""
        local = "<sip:%s@%s>;tag=%s" % (self.user, self.domain, token())
        response = await self.request(method, uri, self.server, local, remote, call_id, cseq, extra, body, content_type)
        if response and response.status in (401, 407) and self.password:
            name, challenge = ("Authorization", "www-authenticate") if response.status == 401 else \
                ("Proxy-Authorization", "proxy-authenticate")
            line = "%s: %s\r\n" % (name, credentials(response.get(challenge), self.user, self.password, method, uri))
            cseq += 1
            response = await self.request(method, uri, self.server, local, remote, call_id, cseq, extra + line, body,
                                          content_type)
        return response, cseq, local

    async def register(self, expires=60):
        if not hasattr(self, "registration"):
            self.registration, self.registration_cseq = token(), 0
        self.registration_cseq += 2
        return (await self.authenticated("REGISTER", "sip:" + self.domain, "<sip:%s@%s>" % (self.user, self.domain),
                                         self.registration, "Expires: %d\r\n" % expires, cseq=self.registration_cseq))[0]

    async def call(self, number, body, extra=""):
        """Returns (the dialog, the 2xx), or (None, the refusal or None)."""
        call_id, uri = token(16), "sip:%s@%s" % (number, self.domain)
        response, cseq, local = await self.authenticated("INVITE", uri, "<%s>" % uri, call_id, extra, body)
        if not response or response.status >= 300:
            return None, response
        dialog = self.dialog_add(call_id, local, response, list(reversed(response.all("record-route"))), self.server)
        dialog.cseq = cseq
        self.acknowledge(dialog, cseq)
        return dialog, response

    async def subscribe(self, number, event, expires=60):
        """Returns the dialog, or None. `notified` has the state of each Call-ID that was notified."""
        call_id, uri = token(16), "sip:%s@%s" % (number, self.domain)
        self.subscribed.add(call_id)
        response, cseq, local = await self.authenticated(
            "SUBSCRIBE", uri, "<%s>" % uri, call_id, "Event: %s\r\nExpires: %d\r\n" % (event, expires))
        if not response or response.status >= 300:
            return None
        dialog = self.dialog_add(call_id, local, response, list(reversed(response.all("record-route"))), self.server)
        dialog.cseq = cseq
        del self.dialogs[(call_id, re.search(r";tag=([^;>\s]+)", local).group(1))]
        return dialog

    def acknowledge(self, dialog, cseq):
        text = ("ACK %s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%d;branch=z9hG4bK%s;rport\r\nMax-Forwards: 70\r\n%sFrom: %s\r\nTo: %s\r\n"
                "Call-ID: %s\r\nCSeq: %d ACK\r\nContent-Length: 0\r\n\r\n" % (
                    dialog.target, self.host, self.port, token(), "".join("Route: %s\r\n" % r for r in dialog.routes),
                    dialog.local, dialog.remote, dialog.call_id, cseq))
        self.acks[(dialog.call_id, cseq)] = (text, dialog.address)
        self.send(text, dialog.address)

    async def reinvite(self, dialog, body):
        response = await dialog.request("INVITE", body=body)
        if response and response.status < 300:
            self.acknowledge(dialog, dialog.cseq)
        return response

    def dialog_add(self, call_id, local, message, routes, address):
        remote = message.get("to") if message.status else message.get("from")
        dialog = Dialog(self, call_id, local, remote, message.target(), routes, address)
        self.dialogs[(call_id, re.search(r";tag=([^;>\s]+)", local).group(1))] = dialog
        return dialog

    # ---- as a server -----------------------------------------------------------------------------------------

    def datagram_received(self, data, source):
        if len(data) < 20:
            return
        message = Message(data.decode("utf-8", "replace"))
        if message.status:
            self.response_received(message)
            return
        key = (message.branch(), message.method)
        if message.method == "ACK":
            event = self.waiting.get(("ack", message.get("call-id"), message.get("cseq").split()[0]))
            if event:
                event.set()
        elif key in self.answers:
            if self.answers[key]:
                self.send(self.answers[key], source)
        else:
            self.answers[key] = ""
            asyncio.get_running_loop().call_later(PATIENCE_S, self.answers.pop, key, None)
            asyncio.create_task(self.serve(message, source))

    def response_received(self, message):
        queue = self.waiting.get(message.branch())
        key = (message.get("call-id"), int(message.get("cseq").split()[0]))
        if message.method == "INVITE" and message.status >= 200 and key in self.acks:
            self.send(*self.acks[key])  # a copy: our ACK was lost
        elif queue:
            queue.put_nowait(message)

    def answer(self, request, source, status, reason, local_tag="", extra="", body=""):
        to = request.get("to") + (";tag=" + local_tag if local_tag and not request.tag("to") else "")
        text = "SIP/2.0 %d %s\r\n%s%sFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\nContact: %s\r\n%s%s" \
               "Content-Length: %d\r\n\r\n%s" % (
                   status, reason, "".join("Via: %s\r\n" % v for v in request.all("via")),
                   "".join("Record-Route: %s\r\n" % v for v in request.all("record-route")), request.get("from"), to,
                   request.get("call-id"), request.get("cseq"), self.contact(), extra,
                   "Content-Type: application/sdp\r\n" if body else "", len(body), body)
        self.answers[(request.branch(), request.method)] = text
        self.send(text, source)
        return text

    async def answer_invite(self, request, source, local_tag, body, extra=""):
        """200 until the ACK comes. Returns whether it came."""
        text = self.answer(request, source, 200, "OK", local_tag, extra, body)
        event = asyncio.Event()
        key = ("ack", request.get("call-id"), request.get("cseq").split()[0])
        self.waiting[key] = event
        interval, deadline = T1_S, time.monotonic() + PATIENCE_S
        try:
            while not event.is_set() and time.monotonic() < deadline:
                try:
                    await asyncio.wait_for(event.wait(), interval)
                except asyncio.TimeoutError:
                    self.send(text, source)
                    interval = min(2 * interval, T2_S)
        finally:
            self.waiting.pop(key, None)
        return event.is_set()

    async def serve(self, request, source):
        dialog = self.dialogs.get((request.get("call-id"), request.tag("to")))
        if dialog and request.method == "BYE":
            dialog.ended_by_peer = not dialog.ended.is_set()
            dialog.ended.set()
            self.answer(request, source, 200, "OK")
        elif dialog and dialog.on_request:
            await dialog.on_request(dialog, request, source)
        elif request.method == "NOTIFY" and request.get("call-id") in self.subscribed:
            self.notified[request.get("call-id")] = request.get("subscription-state")
            self.answer(request, source, 200, "OK")
        elif request.tag("to"):
            self.answer(request, source, 481, "Unknown dialog")
        elif request.method == "INVITE" and self.on_invite:
            await self.on_invite(self, request, source)
        elif request.method == "SUBSCRIBE" and self.on_subscribe:
            await self.on_subscribe(self, request, source)
        elif request.method in ("OPTIONS", "NOTIFY"):
            self.answer(request, source, 200, "OK", token())
        else:
            self.answer(request, source, 405, "Method Not Allowed", token())
