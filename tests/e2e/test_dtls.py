# SPDX-License-Identifier: Apache-2.0
"""DTLS-SRTP with phones that are no browsers: OpenSSL's own client and server at a hand-made phone's port, Linphone, and who attacks the
handshake (THREATS M1, M5)."""

import asyncio
import os
import re
import struct

from kamailio import USERS
from kit import DOMAIN, OUTSIDE, PHONES_BOUND, STRANGER, check, need, udp_socket, wait_for
from phones import Linphone, check_heard
from softphone import Softphone
from test_browsers import check_hears, legs, page_at_the_pbx
from test_encryption import testpbx
from test_media import evidence

PHONE = PHONES_BOUND[0]


def certificate(kit, name):
    """A certificate of the phone's own: (file, key file, fingerprint)."""
    path = kit.path(name)
    kit.run([need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=" + name, "-keyout", path + ".key", "-out", path + ".pem"])
    shown = kit.run([need("openssl"), "x509", "-in", path + ".pem", "-noout", "-fingerprint", "-sha256"]).stdout
    return path + ".pem", path + ".key", shown.strip().split("=")[1]


def description(port, fingerprint, setup):
    return ("v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} UDP/TLS/RTP/SAVP 0\r\na=setup:{2}\r\n"
            "a=fingerprint:sha-256 {3}\r\na=rtcp-mux\r\n").format(PHONE, port, setup, fingerprint)


def free_port():
    with udp_socket(PHONE) as probe:
        return probe.getsockname()[1] & ~1


def handshake(kit, setup, shown, signalled=None, profile="SRTP_AES128_CM_SHA1_80"):
    """A phone with `setup` calls 600 and lets OpenSSL speak DTLS at its port with the certificate `shown`, having signalled that or
    another one. Returns (OpenSSL's words, the call as it is shown while it lasts or None, why it ended)."""
    gateway = kit.gateway(encryption="offered")
    testpbx(kit, gateway)
    file, key, own = certificate(kit, shown)
    fingerprint = certificate(kit, signalled)[2] if signalled else own
    port = free_port()
    result = {}

    async def run():
        phone = await Softphone("1001", PHONE, 5060, (OUTSIDE, 5060), DOMAIN, USERS["1001"]).open()
        await phone.register()
        common = ["-cert", file, "-key", key, "-use_srtp", profile]
        if setup == "passive":
            server = kit.start("openssl", [need("openssl"), "s_server", "-dtls1_2", "-4", "-accept", "%s:%d" % (PHONE, port),
                                           "-Verify", "1"] + common, stdin=-1)
            server.wait_output("ACCEPT")
        dialog, answer = await phone.call("600", description(port, fingerprint, setup))
        check(dialog, "the call failed: %s" % (answer and answer.start))
        check("a=fingerprint:sha-256 " in answer.body and "UDP/TLS/RTP/SAVP " in answer.body, "the answer is " + answer.body)
        check("a=setup:" + {"active": "passive", "passive": "active"}[setup] in answer.body, "the answer is " + answer.body)
        remote = re.search(r"m=audio (\d+) ", answer.body).group(1)
        if setup == "active":
            server = kit.start("openssl", [need("openssl"), "s_client", "-dtls1_2", "-connect", "%s:%s" % (OUTSIDE, remote), "-bind",
                                           "%s:%d" % (PHONE, port)] + common, stdin=-1)
        for _ in range(60):
            await asyncio.sleep(0.1)
            calls = gateway.calls()
            if not calls or calls[0]["caller"]["encryption"] != "under way":
                break
        result["call"] = calls[0] if calls else None
        result["ended"] = dialog.ended.is_set()
        if not result["ended"]:
            await dialog.bye()
        await asyncio.sleep(0.2)
        result["said"] = server.output()

    asyncio.run(asyncio.wait_for(run(), 40))
    return result["said"], result["call"], gateway


def test_openssl_as_the_client_of_a_phone(kit):
    said, shown, _ = handshake(kit, "active", "phone")
    check("SRTP Extension negotiated, profile=SRTP_AES128_CM_SHA1_80" in said, "no SRTP: " + said[-2000:])
    check(shown["caller"]["keying"] == "dtls" and shown["caller"]["encryption"] == "AES_CM_128_HMAC_SHA1_80", "shown: %s" % shown)


def test_openssl_as_the_server_of_a_phone(kit):
    said, shown, _ = handshake(kit, "passive", "phone", profile="SRTP_AEAD_AES_256_GCM")
    check(shown and shown["caller"]["encryption"] == "AEAD_AES_256_GCM", "shown: %s, OpenSSL: %s" % (shown, said[-2000:]))


def test_m1_another_certificate_ends_the_call(kit):
    """The handshake fails, and the call ends at once with the reason."""
    _, shown, gateway = handshake(kit, "active", "somebody", signalled="phone")
    check(shown is None, "the call goes on: %s" % shown)
    wait_for("the reason", lambda: "another certificate than was signalled" in gateway.process.output())
    check(gateway.ask("status")["counters"]["calls_ended_keys"] == 1, "not counted")


def test_m1_a_page_with_a_wrong_fingerprint(kit):
    """What a description says is altered on its way: no call comes of it."""
    browser, gateway = page_at_the_pbx(kit)
    browser.ask("call", user="1001", target="sip:600@" + DOMAIN, tone_hz=700, spoil=True)
    wait_for("the call to end", lambda: browser.ask("state", user="1001")["ended"])
    gateway.wait_calls(0)
    check("another certificate than was signalled" in gateway.process.output(), "the log does not say why")


def hello(cookie=b""):
    """A ClientHello of DTLS 1.2 (RFC 6347 section 4.2.1), with a cookie of the sender's invention."""
    body = b"\xfe\xfd" + os.urandom(32) + b"\x00" + bytes([len(cookie)]) + cookie + b"\x00\x02\xc0\x2b\x01\x00"
    message = b"\x01" + len(body).to_bytes(3, "big") + b"\x00\x00" + b"\x00\x00\x00" + len(body).to_bytes(3, "big") + body
    return b"\x16\xfe\xff" + b"\x00" * 8 + struct.pack("!H", len(message)) + message


def test_m5_handshakes_and_checks_of_strangers(kit):
    """From elsewhere, at the port of a page's call: ClientHellos, with cookies and without, and checks of ICE with a wrong password. Nobody is
    answered, all is counted, and the page hears on."""
    browser, gateway = page_at_the_pbx(kit)
    check(browser.ask("call", user="1001", target="sip:600@" + DOMAIN, tone_hz=700)["status"] == 200, "not answered")
    check_hears(browser, "1001", 700)
    ports = [int(port) for port in re.findall(re.escape(OUTSIDE) + r":(2\d{4}) ", kit.run([need("ss"), "-Hanu"]).stdout)]
    check(ports, "no media port is open")
    with udp_socket(STRANGER) as stranger:
        stranger.setblocking(False)
        for number in range(500):
            for port in ports:
                stranger.sendto(hello(os.urandom(32) if number % 2 else b""), (OUTSIDE, port))
                stranger.sendto(b"\x00\x01\x00\x00\x21\x12\xa4\x42" + os.urandom(12), (OUTSIDE, port))
            if number % 50 == 0:
                heard = browser.ask("hear", user="1001", tones_hz=[700], seconds=0.3)
        try:
            check(not stranger.recv(2000), "a stranger was answered")
        except (BlockingIOError, ConnectionRefusedError):
            pass
    before = browser.ask("hear", user="1001", tones_hz=[700], seconds=1)["received"]
    heard = check_hears(browser, "1001", 700, seconds=1)
    check(heard["received"] - before > 40 and heard["lost"] <= 2, "the page's sound suffered: %s" % heard)
    wait_for("what was dropped to be told", lambda: evidence(gateway, "media_dtls") >= 500 and evidence(gateway, "media_stun") > 100, 3)
    caller, _ = legs(gateway)
    check(caller["keying"] == "dtls", "the call is another one: %s" % caller)


def test_linphone_with_dtls(kit):
    """It asks for DTLS-SRTP, and hears 600 say what it says."""
    gateway = kit.gateway(encryption="required, keying: dtls")
    testpbx(kit, gateway)
    phone = Linphone(kit, "1001", encryption="dtls")
    phone.use_files()
    phone.wait_registered()
    phone.dial("600")
    phone.wait_established()
    phone.record(3)
    caller, _ = legs(gateway)
    check(caller["keying"] == "dtls" and "AE" in caller["encryption"], "`ringwall calls` says %s" % caller)
    phone.hang_up()
    phone.wait_ended()
    gateway.wait_calls(0)
    check_heard(phone.heard(), 440, "the caller")
