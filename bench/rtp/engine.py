# SPDX-License-Identifier: Apache-2.0
"""rtpengine in user space as a peer of measuring, told of calls by its control protocol; and descriptions of a stream."""

import base64
import os
import shutil
import socket
import subprocess
import sys
import time

SUITES = {  # number (enum srtp_suite), bytes of key and salt, bytes of the tag
    "": (0, 0, 0),
    "AES_CM_128_HMAC_SHA1_80": (1, 30, 10),
    "AEAD_AES_128_GCM": (5, 28, 16),
}


def bencode(value):
    if isinstance(value, dict):
        return b"d" + b"".join(bencode(k) + bencode(value[k]) for k in sorted(value)) + b"e"
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    if isinstance(value, int):
        return b"i%de" % value
    data = value.encode()
    return b"%d:%s" % (len(data), data)


def bdecode(data, at=0):
    kind = data[at:at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1:end]), end + 1
    if kind in (b"l", b"d"):
        items, at = [], at + 1
        while data[at:at + 1] != b"e":
            item, at = bdecode(data, at)
            items.append(item)
        if kind == b"l":
            return items, at + 1
        return dict(zip(items[::2], items[1::2])), at + 1
    colon = data.index(b":", at)
    length = int(data[at:colon])
    return data[colon + 1:colon + 1 + length].decode(), colon + 1 + length


def sdp(ip, port, protocol, extra=()):
    lines = ["v=0", f"o=- 1 1 IN IP4 {ip}", "s=-", f"c=IN IP4 {ip}", "t=0 0", f"m=audio {port} {protocol} 0",
             "a=rtpmap:0 PCMU/8000", "a=sendrecv", *extra]
    return "\r\n".join(lines) + "\r\n"


def sdp_port(text):
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("m=audio"))


def free_udp_port(ip):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((ip, 0))
        return probe.getsockname()[1]


def crypto(tag, suite):
    """The line of a key that is the same for all (RFC 4568)."""
    return f"a=crypto:{tag} {suite} inline:{base64.b64encode(bytes([1] + [0] * (SUITES[suite][1] - 1))).decode()}"


def popen_in(folder):
    return lambda arguments: subprocess.Popen(arguments, stdout=subprocess.DEVNULL, cwd=folder,
                                              stderr=open(f"{folder}/rtpengine.log", "w"))


class Rtpengine:
    """`interfaces` as its option --interface takes them; `start` begins the process, whose output is to be in rtpengine.log of
    the folder."""

    def __init__(self, folder, address, interfaces, start=None):
        port = free_udp_port(address)
        program = shutil.which("rtpengine")
        if not program:
            sys.exit("rtpengine is not installed (Debian package rtpengine-daemon)")
        self.process = (start or popen_in(folder))(
            [program, "--config-file=none", "--table=-1", *(f"--interface={each}" for each in interfaces),
             f"--listen-ng={address}:{port}", "--port-min=10000", "--port-max=50000", "--foreground", "--log-stderr",
             "--log-level=3", f"--pidfile={folder}/rtpengine.pid", "--timeout=600", "--silent-timeout=600"])
        self.control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.control.connect((address, port))
        self.control.settimeout(1)
        self.asked = 0
        for _ in range(20):
            try:
                self.ask({"command": "ping"})
                return
            except (TimeoutError, ConnectionRefusedError):
                time.sleep(0.25)
        with open(f"{folder}/rtpengine.log") as log:
            sys.exit("rtpengine does not answer: " + log.read()[-500:])

    def ask(self, question):
        self.asked += 1
        cookie = b"%d_%d" % (os.getpid(), self.asked)
        self.control.send(cookie + b" " + bencode(question))
        while True:
            answer = self.control.recv(65536)
            if answer.startswith(cookie + b" "):
                answer = bdecode(answer[len(cookie) + 1:])[0]
                if answer["result"] not in ("ok", "pong"):
                    sys.exit(f"rtpengine: {answer}")
                return answer

    def call_make(self, name, a, b, suite_a="", suite_b="", **more):
        """`a` and `b` are the phones' address and port. Returns its ports toward A and B."""
        protocol_a, protocol_b = ("RTP/SAVP" if suite else "RTP/AVP" for suite in (suite_a, suite_b))
        common = {"call-id": name, "from-tag": "a", "ICE": "remove", "DTLS": "off", "rtcp-mux": ["demux"],
                  "replace": ["origin"]}
        offer = self.ask({**common, **more, "command": "offer", "transport-protocol": protocol_b,
                          "sdp": sdp(*a, protocol_a, [crypto(1, suite_a)] if suite_a else [])})["sdp"]
        extra = []
        if suite_b:
            line = next(x for x in offer.splitlines() if x.startswith("a=crypto:") and f" {suite_b} " in x + " ")
            extra = [crypto(line.split(":", 1)[1].split()[0], suite_b)]
        answer = self.ask({**common, "command": "answer", "to-tag": "b", "transport-protocol": protocol_a,
                           "sdp": sdp(*b, protocol_b, extra)})["sdp"]
        return sdp_port(answer), sdp_port(offer)
