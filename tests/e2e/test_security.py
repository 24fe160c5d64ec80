# SPDX-License-Identifier: Apache-2.0
"""Strangers: forged requests in a call, hosts that are no peer, and bytes that are no SIP (THREATS N7, S5, S6, S9)."""

import glob
import json
import os
import re
import socket
import time

from device import Device
from kamailio import Kamailio
from kit import (DOMAIN, HERE, INSIDE, OUTSIDE, PBX, PHONES_BOUND, STRANGER, STRANGER_INSIDE, ask_udp, check, udp_socket,
                 wait_for)
from sipp import Sipp, register

GATEWAY = OUTSIDE + ":5060"
CALLER, CALLEE = PHONES_BOUND[0], PHONES_BOUND[1]

REQUEST = """{method} {uri} SIP/2.0
Via: SIP/2.0/UDP {address}:5099;branch=z9hG4bKforged{number};rport
Max-Forwards: 70
From: {caller}
To: {callee}
Call-ID: {call}
CSeq: {number} {method}
Contact: <sip:evil@{address}:5099>
Content-Length: 0

"""


def established(kit):
    """A call between a phone outside and a callee inside that both sides keep; the gateway, the two, and the headers
    of the dialog as the phone has them."""
    Kamailio(kit, routes={"2000": "sip:2000@%s:5080" % PBX})
    gateway = kit.gateway(encryption="offered")
    answering = Sipp(kit, "uas_held", PBX, 5080, user="2000")
    kit.wait_listening("udp", PBX, 5080)
    caller = Sipp(kit, "uac_long", CALLER, 5060, GATEWAY, to="2000")
    gateway.wait_calls(1)
    time.sleep(0.5)
    answer = [part for part in re.split(r"\n-{20,}", caller.messages()) if "SIP/2.0 200" in part][-1]
    headers = {name: re.search(r"(?im)^%s:\s*(.*?)\r?$" % name, answer).group(1)
               for name in ("from", "to", "call-id", "contact")}
    return gateway, caller, answering, headers


def forge(headers, method, address, number=500, **more):
    return REQUEST.format(method=method, address=address, number=number, call=headers["call-id"],
                          uri=re.search(r"<(.*?)>", headers["contact"]).group(1), caller=headers["from"],
                          callee=headers["to"], **more)


def test_forged_requests_in_a_call_are_refused(kit):
    """S5, S6: all that the dialog's own phone would say, with its tags, from a stranger's and another phone's address."""
    gateway, caller, answering, headers = established(kit)
    for address in (STRANGER, CALLEE):
        with udp_socket(address, 5099) as sock:
            for number, method in enumerate(("BYE", "INVITE", "UPDATE", "INFO", "REFER"), 500):
                answer = ask_udp(sock, (OUTSIDE, 5060), forge(headers, method, address, number), 0.7)
                check(answer is None or re.match(r"SIP/2.0 (403|405|481)", answer),
                      "%s from %s got: %s" % (method, address, (answer or "")[:60]))
    with udp_socket(STRANGER_INSIDE, 5099) as sock:
        check(ask_udp(sock, (INSIDE, 5060), forge(headers, "BYE", STRANGER_INSIDE), 0.7) is None,
              "a stranger inside was answered")
    check(len(gateway.calls()) == 1, "the call was ended by a stranger")
    check(caller.process.running() and answering.process.running(), "a phone was told of a forged request")
    caller.finish()
    answering.finish()


def test_forged_cancel_is_refused(kit):
    Kamailio(kit)
    gateway = kit.gateway(encryption="offered")
    register(kit, CALLEE, 5060, GATEWAY, user="1002")
    ringing = Sipp(kit, "uas_slow", CALLEE, 5060, user="1002")
    kit.wait_listening("udp", CALLEE, 5060)
    caller = Sipp(kit, "uac", CALLER, 5060, GATEWAY)
    wait_for("the phone to ring", lambda: "SIP/2.0 180" in caller.messages())
    invite = [part for part in re.split(r"\n-{20,}", caller.messages()) if "CSeq: 2 INVITE" in part][0]
    cancel = re.sub(r"(?s)^.*?INVITE sip:", "CANCEL sip:", invite).replace("2 INVITE", "2 CANCEL")
    cancel = re.sub(r"(?s)(Contact|Proxy-Authorization|Content-Type|Allow):[^\n]*\n", "", cancel)
    cancel = re.sub(r"(?s)Content-Length:.*", "Content-Length: 0\n\n", cancel)
    with udp_socket(STRANGER, 5060) as sock:
        answer = ask_udp(sock, (OUTSIDE, 5060), cancel, 1)
        check(answer is None or re.match(r"SIP/2.0 (403|481)", answer), "a forged CANCEL got: %s" % answer)
    caller.finish()
    ringing.finish()
    gateway.wait_calls(0)


def test_only_peers_speak_to_the_inside(kit):
    """N7: to a host that is no peer the inner listener is silent."""
    Kamailio(kit)
    gateway = kit.gateway(encryption="offered")
    with udp_socket(STRANGER_INSIDE, 5099) as sock:
        for method in ("OPTIONS", "REGISTER", "INVITE", "MESSAGE"):
            request = REQUEST.format(method=method, uri="sip:1001@" + INSIDE, address=STRANGER_INSIDE, number=1,
                                     caller="<sip:a@b>;tag=1", callee="<sip:1001@voip.example.org>", call="x" + method)
            check(ask_udp(sock, (INSIDE, 5060), request, 0.5) is None, "%s from a stranger was answered" % method)
    check(gateway.process.running(), "ringwall ended")


def hostile_datagrams():
    """Bytes that are no SIP, or nearly: our own, and the shared torture messages where they are."""
    yield from (b"", b"\0", b"\r\n", b"\r\n\r\n", b"x" * 65000, b"INVITE", b"INVITE sip:a@b SIP/2.0\r\n\r\n",
                b"SIP/2.0 200 OK\r\n\r\n", b"\x00\x01\x00\x08\x21\x12\xa4\x42" + b"\xff" * 20, os.urandom(1400))
    head = (b"INVITE sip:1001@voip.example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.66:5099;branch=z9hG4bKx\r\n"
            b"Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: y\r\nCSeq: 1 INVITE\r\n")
    yield from (head + line + b"\r\n\r\n" for line in (
        b"Content-Length: 99999999999999999999", b"Content-Length: -1", b"Content-Length: 10", b"To: <sip:e@f>;tag=",
        b"X-Header : v", b"Via: " + b"a," * 3000, b"Accept: x\r\n" * 200, b"From: \0", b"Route: <sip:10.0.0.10>",
        b"Contact: <sip:" + b"a" * 9000 + b">", b"CSeq: 1 " + b"M" * 5000))
    vectors = os.environ.get("RINGWALL_VECTORS") or os.path.join(HERE, "..", "..", "..", "shared", "vectors")
    for path in sorted(glob.glob(os.path.join(vectors, "torture", "*")) + glob.glob(os.path.join(vectors, "real", "*"))):
        with open(path, "rb") as file:
            yield file.read()[:65000]


def test_hostile_bytes_harm_nobody(kit):
    """S9: an honest call beside them goes through; answers to them name nothing of the inside."""
    Kamailio(kit)
    gateway = kit.gateway(encryption="offered")
    register(kit, CALLEE, 5060, GATEWAY, user="1002")
    answers = []
    with udp_socket(STRANGER, 5099) as sock:
        sock.setblocking(False)
        for datagram in hostile_datagrams():
            sock.sendto(datagram, (OUTSIDE, 5060))
            time.sleep(0.005)
            try:
                answers.append(sock.recv(65535))
            except BlockingIOError:
                pass
    for datagram in hostile_datagrams():
        try:
            with socket.create_connection((OUTSIDE, 5060), 3, (STRANGER, 0)) as connection:
                connection.sendall(datagram)
                connection.settimeout(0.02)
                answers.append(connection.recv(65535))
        except OSError:
            pass
    for answer in answers:
        ours = re.sub(rb"(?im)^(Via|From|To|Call-ID|CSeq|v|f|t|i):.*$", b"", answer)  # these echo the request
        check(b"10.0.0." not in ours, "an answer names the inside: %r" % answer[:300])
        check(b"ringwall" not in ours.lower(), "an answer names the product: %r" % answer[:300])
    check(gateway.process.running(), "ringwall ended")
    answering = Sipp(kit, "uas", CALLEE, 5060, user="1002")
    kit.wait_listening("udp", CALLEE, 5060)
    Sipp(kit, "uac", CALLER, 5060, GATEWAY).finish()
    answering.finish()
    check(re.search(r"[1-9]", str(gateway.ask("status").get("rejects", gateway.ask("status")))),
          "nothing was counted")


def test_what_strangers_say_does_not_speak_to_the_terminal(kit):
    """Others let escapes through to whoever looked at their log or their list of phones, and line ends into their control socket."""
    Kamailio(kit, trusted='$si == "%s"' % INSIDE)
    gateway = kit.gateway(authentication="local", encryption="offered")
    password_file = kit.write("password", "secret\n", 0o600)
    gateway.command("account", "add", "1001", "--password-file", password_file)
    device = Device(CALLER)
    device.more = "User-Agent: \u009b2J\u009d0;title\u009c phone \u202e\n"
    check(device.register("secret", "SHA-256")[0] == 200, "the phone was refused")
    thief = Device(STRANGER, user="%1b%5b2J%0d%0aerror")
    thief.register("wrong", "SHA-256")
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(os.path.join(gateway.state, "control.sock"))
        control.sendall(json.dumps({"command": "account_add", "user": "a\r\n\x1b[2J", "realm": DOMAIN,
                                    "ha1_sha256": "0" * 64, "ha1_md5": ""}).encode() + b"\n")
        answer = control.recv(65536)
        check(b'"ok":false' in answer and b"cannot stand in a SIP URI" in answer, "the account was made: %r" % answer)
    gateway.wait_registrations(1)
    said = {what: gateway.command(what, ok=False).stdout for what in ("registrations", "calls", "status")}
    said["account list"] = gateway.command("account", "list").stdout
    said["json"] = gateway.command("registrations", "--json").stdout
    said["hangup"] = gateway.command("hangup", "1\x1b[2J\r", ok=False).stderr
    said["log"] = gateway.process.output()
    check("phone" in said["registrations"] and "no call" in said["hangup"] and "1b" in said["log"], "not seen: %s" % said)
    for what, text in said.items():
        check(not re.search(r"[^\n -~]", text), "%s has what a terminal obeys: %r" % (what, text))


def test_idle_and_broken_connections_harm_nobody(kit):
    """N3: half a TLS hello, half a request, connections that say nothing."""
    Kamailio(kit)
    gateway = kit.gateway(encryption="offered")
    held = []
    for port, start in ((5061, b"\x16\x03\x01\x02\x00\x01"), (5061, b"GET / HTTP/1.0\r\n\r\n"), (5060, b"REGISTER sip:"),
                        (5060, b"")):
        for _ in range(20):
            connection = socket.create_connection((OUTSIDE, port), 3, (STRANGER, 0))
            connection.sendall(start)
            held.append(connection)
    register(kit, CALLEE, 5060, GATEWAY, user="1002")
    gateway.wait_registrations(1)
    for connection in held:
        connection.close()
    check(gateway.process.running(), "ringwall ended")
