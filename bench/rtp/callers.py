# SPDX-License-Identifier: Apache-2.0
"""The whole gateway between two namespaces, and many calls through it: phones of an access zone (plain RTP over UDP, or SRTP whose
keys go over TLS) call phones behind a core zone, which have plain RTP."""

import json
import os
import re
import socket
import ssl
import subprocess
import threading

from engine import crypto, sdp, sdp_port
from places import A, B, INSIDE, OUTSIDE, bench, die_with_parent

CONFIGURATION = """\
site: {{domain: {outside}}}
state_directory: {state}
zones:
  - name: phones
    kind: access
    listen: ["udp:{outside}:5060", "tls:{outside}:5061"]
    authentication: none
    accept_risks: [unauthenticated_calls, unencrypted_media]
    media: {{address: {outside}, ports: "10000-29999", encryption: {encryption}}}
  - name: pbx
    kind: core
    listen: ["udp:{inside}:5060"]
    peers: ["sip:{b}:5060;transport=udp"]
    watch: 0
    media: {{address: {inside}, ports: "10000-29999", encryption: none}}
routes:
  - {{from: phones, to: pbx}}
media: {{datapath: {datapath}, workers: {workers}}}
calls: {{media_silence: 0, session_expires: 0}}
limits: {{transactions: 500000, idle_timeout: 2h}}
log: {{level: warning}}
"""


def value(message, name):
    found = re.search(r"(?im)^%s\s*:\s*(.*?)\r?$" % name, message)
    return found.group(1) if found else ""


class Gateway:
    def __init__(self, place, name, network, binary, datapath, suite="", workers=0):
        state = place.path(name + "-state")
        os.makedirs(state, exist_ok=True)
        encryption = f"required, suites: [{suite}]" if suite else "none"
        self.file = place.write(name + ".yaml", CONFIGURATION.format(
            outside=OUTSIDE, inside=INSIDE, b=B, state=state, encryption=encryption, datapath=datapath, workers=workers))
        self.command = [*network.machine.prefix, str(binary)]
        self.process = bench.Process(place, name, [*self.command, "run", "-c", self.file], preexec_fn=die_with_parent)
        bench.wait_for("ringwall to be ready: " + self.process.tail(), self.status)

    def ask(self, what):
        result = subprocess.run([*self.command, what, "--json", "-c", self.file], capture_output=True, text=True)
        return json.loads(result.stdout) if result.returncode == 0 else None

    def status(self):
        if not self.process.running():
            raise SystemExit("ringwall ended: " + self.process.tail())
        return self.ask("status")

    def dropped(self):
        """Packets of calls that it has refused to relay."""
        return sum(call[side]["media"]["dropped"] for call in self.ask("calls")["calls"] for side in ("caller", "callee"))


class Callee(threading.Thread):
    """Answers every INVITE at once; `offers` is where each call's media goes, by the user that was called."""

    def __init__(self, network, port_of):
        super().__init__(daemon=True)
        with network.b.inside():
            self.sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sip.bind((B, 5060))
        self.port_of, self.offers = port_of, {}
        self.start()

    def answer(self, message, peer):
        user = int(re.match(r"INVITE sip:6(\d+)@", message).group(1))
        self.offers[user] = sdp_port(message)
        body = sdp(B, self.port_of(user), "RTP/AVP")
        kept = "".join(f"{name}: {each}\r\n" for name in ("Via", "Record-Route", "From", "Call-ID", "CSeq")
                       for each in re.findall(r"(?im)^%s:\s*(.*?)\r?$" % name, message))
        self.sip.sendto(f"SIP/2.0 200 OK\r\n{kept}To: {value(message, 'To')};tag=b{user}\r\nContact: <sip:6{user}@{B}:5060>\r\n"
                        f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode(), peer)

    def run(self):
        while True:
            data, peer = self.sip.recvfrom(65536)
            if data.startswith(b"INVITE "):
                self.answer(data.decode(), peer)


class Caller:
    """All of A's phones: one after the other calls, and is answered."""

    def __init__(self, network, suite):
        self.suite, self.name = suite, "TLS" if suite else "UDP"
        with network.a.inside():
            self.sip = socket.socket(socket.AF_INET, socket.SOCK_STREAM if suite else socket.SOCK_DGRAM)
        self.sip.settimeout(10)
        self.sip.bind((A, 0))
        self.contact = f"{A}:{self.sip.getsockname()[1]}"
        self.sip.connect((OUTSIDE, 5061 if suite else 5060))
        if suite:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.sip = context.wrap_socket(self.sip)
        self.pending = b""

    def send(self, method, uri, number, to, body="", extra=""):
        self.sip.sendall(
            f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{self.name} {self.contact};branch=z9hG4bK{method}{number};rport\r\n"
            f"Max-Forwards: 70\r\n{extra}From: <sip:1001@{OUTSIDE}>;tag=a{number}\r\nTo: {to}\r\nCall-ID: call{number}\r\n"
            f"CSeq: 1 {method}\r\nContact: <sip:1001@{self.contact};transport={self.name.lower()}>\r\n"
            f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    def message(self):
        """The next one: a datagram, or the head and the body that it announces."""
        if not self.suite:
            return self.sip.recv(65536).decode()
        while True:
            head, end, rest = self.pending.partition(b"\r\n\r\n")
            length = int(value(head.decode() + "\r\n", "Content-Length") or 0) if end else 0
            if end and len(rest) >= length:
                self.pending = rest[length:]
                return (head + end + rest[:length]).decode()
            more = self.sip.recv(65536)
            if not more:
                raise SystemExit("the gateway has closed the phones' connection")
            self.pending += more

    def call(self, number, port):
        """Returns where the call's media goes."""
        uri = f"sip:6{number}@{OUTSIDE}"
        self.send("INVITE", uri, number, f"<{uri}>", sdp(
            A, port, "RTP/SAVP" if self.suite else "RTP/AVP", [crypto(1, self.suite)] if self.suite else []))
        while True:
            answer = self.message()
            if answer.startswith("SIP/2.0 1") or value(answer, "Call-ID") != f"call{number}":
                continue
            if not answer.startswith("SIP/2.0 200"):
                raise SystemExit("a call was refused: " + answer)
            target = re.search(r"<([^>]+)>", value(answer, "Contact")).group(1)
            routes = re.findall(r"(?im)^Record-Route:\s*(.*?)\r?$", answer)
            self.send("ACK", target, number, value(answer, "To"), extra="".join(
                f"Route: {each}\r\n" for each in reversed(routes)))
            return sdp_port(answer)


def calls_make(network, count, suite, port_of):
    """Returns the ends (the callers must stay, as their connection carries the calls) and the lines for rtp_ends."""
    callee, caller = Callee(network, port_of), Caller(network, suite)
    lines = []
    for i in range(count):
        to_a = caller.call(i, port_of(i))
        lines.append(f"{A}:{port_of(i)} {OUTSIDE}:{to_a} {B}:{port_of(i)} {INSIDE}:{callee.offers[i]}\n")
    return (caller, callee), "".join(lines)
