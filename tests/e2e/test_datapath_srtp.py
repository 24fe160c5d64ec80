# SPDX-License-Identifier: Apache-2.0
"""SRTP past the kernel's network stack, by AF_XDP: a phone with DTLS-SRTP (OpenSSL shakes hands, libsrtp2 encrypts) and a PBX with
plain RTP, each in a namespace behind a veth pair; and baresip with keys in its description."""

import asyncio
import os
import re
import signal
import struct
import time

from kamailio import USERS
from kit import OUTSIDE, check, need, wait_for
from phones import Baresip, check_heard
from srtp import INBOUND, OUTBOUND, Srtp
from test_datapath import Call, Network, Rtp, datagrams, in_call, media_dies, media_of
from test_dtls import certificate

KEY_BYTES, SALT_BYTES = {"AES_CM_128_HMAC_SHA1_80": 16, "AEAD_AES_128_GCM": 16}, {"AES_CM_128_HMAC_SHA1_80": 14, "AEAD_AES_128_GCM": 12}
PROFILES = {"AES_CM_128_HMAC_SHA1_80": "SRTP_AES128_CM_SHA1_80", "AEAD_AES_128_GCM": "SRTP_AEAD_AES_128_GCM"}
OFFERED = (("unencrypted_media, ", ""), ("[\"udp:{outside}:5060\"", "[\"udp:{outside}:5060\", \"tls:{outside}:5061\""), ("20000-20999\", encryption: none", "20000-20999\", encryption: offered"),)

ENCRYPTED = (("udp:{outside}:5060", "tls:%s:5061" % OUTSIDE),
             ("none\n    accept_risks: [unencrypted_media, unauthenticated_calls]", "relay"),
             ("20000-20999\", encryption: none", "20000-20999\", encryption: required"))


class SecureRtp(Rtp):
    """As Rtp; it has keys once a handshake was made from its port."""

    incoming = outgoing = None
    refused = 0

    def keys_set(self, exported, suite):
        """RFC 5764 section 4.2: as the client."""
        key, salt = KEY_BYTES[suite], SALT_BYTES[suite]
        keys = [exported[:key], exported[key:2 * key]]
        salts = [exported[2 * key:2 * key + salt], exported[2 * key + salt:]]
        self.outgoing, self.incoming = Srtp(keys[0] + salts[0], OUTBOUND, suite), Srtp(keys[1] + salts[1], INBOUND, suite)

    def packet(self, payload_type=0, payload=160 * b"\xff"):
        packet = super().packet(payload_type, payload)
        return self.outgoing.protect(packet) if self.outgoing else packet

    def judge(self, data):
        if not self.incoming or self.incoming.unprotect(data):
            return True
        self.refused += 1
        return False


class SecureCall(Call):
    """The phone's leg has DTLS-SRTP."""

    suite = "AES_CM_128_HMAC_SHA1_80"

    def __init__(self, network):
        super().__init__(network)
        self.caller = SecureRtp(network.phone, self.address(network.phone))
        self.file, self.key, self.fingerprint = certificate(network.kit, "phone")

    def describe(self, end, direction="sendrecv"):
        text = super().describe(end, direction)
        if end is self.callee:
            return text
        return text.replace("RTP/AVP", "UDP/TLS/RTP/SAVP") + "a=rtcp-mux\r\na=setup:active\r\na=fingerprint:sha-256 %s\r\n" % self.fingerprint

    async def establish(self):
        await super().establish()
        self.shake_hands()

    def shake_hands(self):
        """From the port of the stream's end, which is opened again afterwards."""
        kit, place, port = self.network.kit, self.network.phone, self.caller.port
        self.caller.socket.close()
        host = "[%s]" if self.network.version == 6 else "%s"
        length = 2 * (KEY_BYTES[self.suite] + SALT_BYTES[self.suite])
        client = kit.start("openssl", [
            need("openssl"), "s_client", "-dtls1_2", "-connect", (host + ":%d") % self.to_callee, "-bind",
            (host + ":%d") % (self.address(place), port), "-cert", self.file, "-key", self.key, "-use_srtp", PROFILES[self.suite],
            "-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", str(length)], stdin=-1, phone=place)
        found = client.wait_output(r"Keying material: ([0-9A-F]{%d})" % (2 * length))
        os.kill(client.pid, signal.SIGKILL)  # without a word to the gateway
        client.popen.wait()
        sequence, source = self.caller.sequence, self.caller.source
        self.caller = SecureRtp(place, self.address(place), port)
        self.caller.sequence, self.caller.source = sequence, source
        self.caller.keys_set(bytes.fromhex(re.search(r"Keying material: (\w+)", client.output()).group(1)), self.suite)
        check(found is not False, "no keys were made")


class GcmCall(SecureCall):
    suite = "AEAD_AES_128_GCM"


def secure_call(kit, body, kind=SecureCall, **options):
    in_call(kit, body, kind=kind, changes=OFFERED, **options)


def passed_by(call, count=100):
    """Both speak, all arrives and can be read, and the stack's sockets get next to nothing of it."""
    taken = call.talk(count)
    check(taken <= 12, "%d of %d packets went through the stack" % (taken, 2 * count))
    check(call.caller.refused == 0, "the phone could not verify %d packets" % call.caller.refused)


def encrypted_call(kit, body, prefix=()):
    """baresip by TLS and SRTP calls the echo of the test PBX, which has plain RTP."""
    network = Network(kit)
    gateway = network.with_xdp(changes=ENCRYPTED, prefix=prefix)
    kit.start("testpbx", [kit.binary, "testpbx", "--listen", network.pbx.address + ":5060", "--user", "1001",
                          "--password", USERS["1001"]], phone=network.pbx)
    phone = Baresip(kit, "1001", where=network.phone)
    gateway.wait_registrations(1)
    phone.dial("600")
    phone.wait_established()
    time.sleep(1)
    body(gateway, phone)
    phone.hang_up()
    phone.wait_ended()
    gateway.wait_calls(0)
    check_heard(phone.heard(), 440, "the caller")


def spoken_past_the_stack(gateway, seconds=3):
    """Sound goes both ways, and the stack's sockets get next to nothing of it."""
    before, taken = media_of(gateway), datagrams()
    time.sleep(seconds)
    taken = datagrams() - taken
    for side, earlier in zip(media_of(gateway), before):
        for name in "packets_in", "packets_out":
            check(side[name] - earlier[name] > 40 * seconds, "%s rose by %d only" % (name, side[name] - earlier[name]))
        check(side["dropped"] == earlier["dropped"] and side["lost"] == earlier["lost"], "packets were lost: %s" % side)
    check(taken < 30, "%d datagrams went through the stack" % taken)


def test_srtp_goes_past_the_network_stack(kit):
    encrypted_call(kit, lambda gateway, phone: spoken_past_the_stack(gateway))


def test_without_af_xdp_srtp_goes_by_sockets(kit):
    """A gateway that may not open such sockets says so, relays plain RTP in the kernel, and SRTP by its sockets."""
    def body(gateway, phone):
        before, taken = media_of(gateway), datagrams()
        time.sleep(2)
        check(media_of(gateway)[0]["packets_in"] - before[0]["packets_in"] > 80, "no sound passes")
        check(datagrams() - taken > 80, "it does not go by sockets")
        state = gateway.ask("status")["datapath"]
        check(re.match("xdp; SRTP by sockets: AF_XDP is not to be had: .*not permitted", state), "the status is: " + state)
        check("SRTP by sockets" in gateway.process.output(), "the log does not say it")

    encrypted_call(kit, body, prefix=[need("setpriv"), "--bounding-set=-net_raw", "--inh-caps=-net_raw"])


def test_dtls_srtp_goes_past_the_stack_and_is_counted(kit):
    """As test_rtp_stays_in_the_kernel_and_is_counted."""
    async def body(gateway, call):
        before = media_of(gateway)
        passed_by(call)
        call.caller.sequence += 7  # lost on the way to us
        passed_by(call, 50)
        time.sleep(0.3)
        for side, earlier, lost in zip(media_of(gateway), before, (7, 0)):
            counted = {name: side[name] - earlier[name] for name in ("packets_in", "packets_out", "lost", "dropped")}
            check(counted == {"packets_in": 150, "packets_out": 150, "lost": lost, "dropped": 0},
                  "of 150 packets were counted: %s" % counted)

    secure_call(kit, body)


def test_dtls_srtp_over_ipv6_with_gcm(kit):
    async def body(gateway, call):
        passed_by(call)

    secure_call(kit, body, kind=GcmCall, version=6)


def test_hold_moves_srtp_to_the_stack_and_back(kit):
    async def body(gateway, call):
        passed_by(call)
        await call.hold("inactive")
        before = media_of(gateway)[0]
        call.caller.send(call.to_callee, 20)
        wait_for("what came on hold to be dropped", lambda: media_of(gateway)[0]["dropped"] > before["dropped"] + 10, 3)
        await call.hold("sendrecv")
        call.settle()
        passed_by(call)

    secure_call(kit, body)


def test_m3_forged_and_replayed_packets_past_the_stack(kit):
    """From the phone's own address and port: judged by tag and window, as at a socket."""
    async def body(gateway, call):
        passed_by(call)
        before = media_of(gateway)
        recorded = call.caller.packet()
        call.caller.socket.sendto(recorded, call.to_callee)
        check(len(call.callee.received()[0]) == 1, "the packet itself did not pass")
        for _ in range(10):
            call.caller.socket.sendto(recorded, call.to_callee)
            call.caller.socket.sendto(struct.pack("!BBHII", 0x80, 0, 7, 7, call.caller.source) + os.urandom(170), call.to_callee)
        check(call.callee.received()[0] == [], "a forged or replayed packet passed")
        wait_for("each to be counted", lambda: media_of(gateway)[0]["dropped"] - before[0]["dropped"] == 20, 3)
        passed_by(call)

    secure_call(kit, body)


def test_a_damaged_packet_is_not_made_good(kit):
    """Plain RTP of the PBX whose UDP checksum is wrong must not leave encrypted, and so be believed."""
    async def body(gateway, call):
        passed_by(call)
        place = call.network.pbx
        script = ("import socket,struct,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_RAW,socket.IPPROTO_RAW)\n"
                  "d=bytes.fromhex(sys.argv[5])\nu=struct.pack('!HHHH',int(sys.argv[2]),int(sys.argv[4]),8+len(d),0x1234)\n"
                  "a,b=socket.inet_aton(sys.argv[1]),socket.inet_aton(sys.argv[3])\n"
                  "h=struct.pack('!BBHHHBBH4s4s',0x45,0,28+len(d),0,0,64,17,0,a,b)\n"
                  "for _ in range(5): s.sendto(h+u+d,(sys.argv[3],0))\n")
        for _ in range(2):  # the first may be taken for the stack's turn
            call.network.kit.run(place.prefix + ["python3", "-c", script, call.address(place), str(call.callee.port), call.to_caller[0],
                                                 str(call.to_caller[1]), call.callee.packet().hex()])
        check(call.caller.received()[0] == [], "a damaged packet arrived")
        passed_by(call)

    secure_call(kit, body)


def test_a1_srtp_goes_on_while_processes_die(kit):
    """kill -9 of media: the stack's sockets, then again past it; and reload, upgrade and the gate's death change nothing."""
    async def body(gateway, call):
        passed_by(call)
        media_dies(gateway, call, lost=40)
        passed_by(call)
        gateway.command("reload")
        passed_by(call)
        gateway.command("upgrade", timeout_s=60)
        call.settle()
        passed_by(call)

    secure_call(kit, body)
