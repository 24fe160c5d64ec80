# SPDX-License-Identifier: Apache-2.0
"""Phones register at the PBX through the gateway, and the PBX's calls find them."""

import re
import socket
import time

from device import Device
from kamailio import Kamailio
from kit import INSIDE, OUTSIDE, OUTSIDE6, PBX, PHONE6, PHONES_BOUND, ask_udp, check, udp_socket, wait_for
from phones import Baresip
from sipp import Sipp, register
from wire import Capture

GATEWAY = OUTSIDE + ":5060"
A, B, C = PHONES_BOUND[:3]


def test_registration_is_relayed_with_a_contact_of_our_own(kit):
    pbx = Kamailio(kit)
    gateway = kit.gateway(encryption="offered")
    capture = Capture(kit)
    register(kit, A, 5060, GATEWAY)
    bindings = gateway.wait_registrations(1)
    check("1001" in str(bindings[0]), "the binding does not name its account: %s" % bindings[0])
    check(A in str(bindings[0]), "the binding does not name its phone's address: %s" % bindings[0])
    requests = pbx.requests("REGISTER")
    check(requests and all(INSIDE in line.split("contact=")[1] for line in requests),
          "the PBX was told another contact than the gateway's: %s" % requests)
    capture.check_topology_hidden()
    answers = capture.packets('sip.Status-Code == 200 && ip.dst == %s' % A, "sip.contact.uri", "sip.Contact")
    check(answers and any(A in field for field in answers[-1]), "the phone was not shown its own contact: %s" % answers)


def test_phones_refresh_often_and_the_pbx_is_asked_rarely(kit):
    pbx = Kamailio(kit)
    kit.gateway(encryption="offered")
    capture = Capture(kit)
    register(kit, A, 5060, GATEWAY, expires=3600, scenario="register_again")
    capture.stop()
    granted = [re.search(r"expires=(\d+)", row[0]) for row in
               capture.packets("sip.Status-Code == 200 && ip.dst == %s" % A, "sip.Contact")]
    check(granted and granted[0] and int(granted[0].group(1)) <= 120,
          "a UDP phone was told to stay away for long: %s" % granted)
    check(capture.count("ip.dst == %s && sip.Expires >= 1800" % PBX) or
          any(int(n) >= 1800 for line in pbx.requests("REGISTER") for n in re.findall(r"expires=(\d+)", line)),
          "the PBX was asked for a short time")
    check(len(pbx.requests("REGISTER")) == 2, "a refresh in time was sent on to the PBX")


def test_wrong_password_is_refused(kit):
    Kamailio(kit)
    gateway = kit.gateway(encryption="offered")
    Sipp(kit, "register_refused", A, 5060, GATEWAY, to="1001", password="guessed",
         keys={"expires": 60, "contact": "<sip:1001@%s:5060>" % A}).finish()
    check(gateway.registrations() == [], "a phone with a wrong password has a binding")


def test_several_contacts_ring_and_leave_one_by_one(kit):
    Kamailio(kit)
    gateway = kit.gateway(encryption="offered")
    for address in (A, B, C):
        register(kit, address, 5060, GATEWAY, user="1002")
    gateway.wait_registrations(3)
    register(kit, C, 5060, GATEWAY, user="1002", expires=0)
    gateway.wait_registrations(2)
    ringing = [Sipp(kit, "uas_cancel", A, 5060, user="1002"), Sipp(kit, "uas", B, 5060, user="1002")]
    for address in (A, B):
        kit.wait_listening("udp", address, 5060)
    Sipp(kit, "uac", PHONES_BOUND[5], 5060, GATEWAY).finish()
    for phone in ringing:
        phone.finish()


def test_all_contacts_leave_at_once(kit):
    pbx = Kamailio(kit)
    gateway = kit.gateway(encryption="offered")
    for address in (A, B):
        register(kit, address, 5060, GATEWAY, user="1002")
    gateway.wait_registrations(2)
    register(kit, A, 5060, GATEWAY, user="1002", expires=0, contact="*")
    gateway.wait_registrations(0)
    Sipp(kit, "uac_not_found", C, 5060, GATEWAY).finish()
    check(pbx.process.running(), "the PBX ended")


def test_bindings_survive_a_restart(kit):
    Kamailio(kit)
    gateway = kit.gateway(encryption="offered")
    register(kit, B, 5060, GATEWAY, user="1002")
    gateway.wait_registrations(1)
    time.sleep(1.2)
    gateway.restart()
    gateway.wait_registrations(1)
    answering = Sipp(kit, "uas", B, 5060, user="1002")
    kit.wait_listening("udp", B, 5060)
    Sipp(kit, "uac", A, 5060, GATEWAY).finish()
    answering.finish()


def test_calls_reach_a_phone_on_its_own_tls_connection(kit):
    Kamailio(kit, routes={})
    gateway = kit.gateway()
    echo = Baresip(kit, "1002", tone_hz=0, answer=True)
    gateway.wait_registrations(1)
    capture = Capture(kit, [echo.where.link])
    caller = Baresip(kit, "1001")
    caller.dial("1002")
    caller.wait_established()
    caller.hang_up()
    echo.wait_ended()
    capture.stop()
    check(capture.count("tcp.flags.syn == 1 && tcp.flags.ack == 0 && ip.dst == %s" % echo.where.address) == 0,
          "the gateway dialled the phone instead of using its connection")


def test_keep_alives_on_the_sip_port(kit):
    Kamailio(kit)
    kit.gateway(encryption="offered")
    with socket.create_connection((OUTSIDE, 5060), 3, (A, 0)) as connection:
        connection.sendall(b"\r\n\r\n")
        connection.settimeout(3)
        check(connection.recv(10) == b"\r\n", "no pong on TCP (RFC 5626)")
    with udp_socket(A, 5060) as sock:
        transaction = bytes(range(12))
        sock.sendto(b"\x00\x01\x00\x00\x21\x12\xa4\x42" + transaction, (OUTSIDE, 5060))
        answer = sock.recv(1500)
        check(answer[:2] == b"\x01\x01" and answer[8:20] == transaction, "no STUN answer on the SIP port")


def test_unregistered_user_is_not_found(kit):
    Kamailio(kit)
    kit.gateway(encryption="offered")
    Sipp(kit, "uac_not_found", A, 5060, GATEWAY, to="1003").finish()


def test_phone_on_ipv6(kit):
    Kamailio(kit)
    gateway = kit.gateway(encryption="offered")
    device = Device(PHONE6, (OUTSIDE6, 5060), user="1002")
    check(device.register("Secret-1002", "MD5")[0] == 200, "the phone on IPv6 could not register")
    check(PHONE6 in str(gateway.wait_registrations(1)), "its address is not shown: %s" % gateway.registrations())
    device.sock.settimeout(10)
    caller = Sipp(kit, "uac_cancel", A, 5060, GATEWAY)
    invite = device.sock.recv(65535).decode()
    check(invite.startswith("INVITE sip:1002@[%s]" % PHONE6), "the call came as: " + invite[:200])
    check("Via: SIP/2.0/UDP [%s]:5060" % OUTSIDE6 in invite, "Via is not on IPv6: " + invite[:300])
    copied = "".join(re.search(r"(?m)^%s: .*\n" % name, invite).group(0) for name in
                     ("Via", "From", "To", "Call-ID", "CSeq")).replace("\r", "")
    copied = re.sub(r"(?m)^(To: .*)$", r"\1;tag=six", copied)
    device.sock.sendto(("SIP/2.0 180 Ringing\n%sContent-Length: 0\n\n" % copied).replace("\n", "\r\n").encode(),
                       (OUTSIDE6, 5060))
    cancel = device.sock.recv(65535).decode()
    while cancel.startswith("INVITE"):
        cancel = device.sock.recv(65535).decode()
    check(cancel.startswith("CANCEL sip:1002@[%s]" % PHONE6), "instead of CANCEL came: " + cancel[:200])
    for status, method in (("200 OK", "CANCEL"), ("487 Request Terminated", "INVITE")):
        text = "SIP/2.0 %s\n%sContent-Length: 0\n\n" % (status, re.sub(r"(?m)^(CSeq: \d+) .*$", r"\1 " + method,
                                                                       copied))
        device.sock.sendto(text.replace("\n", "\r\n").encode(), (OUTSIDE6, 5060))
    caller.finish()


def test_registrar_that_is_away_is_said_and_mended(kit):
    gateway = kit.gateway(encryption="offered")
    with udp_socket(A, 5060) as sock:
        answer = ask_udp(sock, (OUTSIDE, 5060), REGISTER.format(address=A), 40)
    check(answer and re.match(r"SIP/2.0 (100|408|50\d)", answer), "a phone was told: %s" % answer)
    Kamailio(kit)
    wait_for("a registration after the PBX is back", lambda: try_register(kit), 40, 1)
    gateway.wait_registrations(1)


def try_register(kit):
    try:
        return register(kit, B, 5060, GATEWAY, timeout_s=5)
    except AssertionError:
        return None


REGISTER = """REGISTER sip:voip.example.org SIP/2.0
Via: SIP/2.0/UDP {address}:5060;branch=z9hG4bKaway1;rport
Max-Forwards: 70
From: <sip:1001@voip.example.org>;tag=away
To: <sip:1001@voip.example.org>
Call-ID: away@{address}
CSeq: 1 REGISTER
Contact: <sip:1001@{address}:5060>
Expires: 60
Content-Length: 0

"""
