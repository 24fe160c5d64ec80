# SPDX-License-Identifier: Apache-2.0
"""IPv6 on either side or both: calls, their sound, and what each side may see."""

import json
import re
import socket

from kamailio import USERS, Kamailio
from kit import (INSIDE6, OUTSIDE, OUTSIDE6, PBX, PBX6, PHONE6, PHONE6_OTHER, PHONES_BOUND, Skip, check, wait_for)
from sipp import Sipp, register
from wire import Capture


def need_ipv6():
    """Each test has a network of its own, with IPv6 if the kernel has it."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as own:
            own.bind((OUTSIDE6, 0))
    except OSError as error:
        raise Skip("IPv6 is not available here: %s" % error) from None


def echo_call(kit, caller, called, pbx, inside, host):
    """A test call over TLS to the echo of the test PBX; what it heard, and the gateway's view of it."""
    need_ipv6()
    gateway = kit.gateway(peer="sip:%s:5060;transport=udp" % host, inside=inside)
    kit.start("testpbx", [kit.binary, "testpbx", "--listen", host + ":5060", "--user", "1001", "--password",
                          USERS["1001"]])
    kit.wait_listening("udp", pbx, 5060)
    authority, _, _ = kit.certificates()
    password = kit.write("password", USERS["1001"], 0o600)
    call = kit.start("testcall", [kit.binary, "testcall", "sips:600@%s:5061" % called, "--user", "1001", "--local",
                                  caller, "--password-file", password, "--authorities", authority, "--duration", "2",
                                  "--json"])
    shown = wait_for("the call to be established",
                     lambda: [c for c in gateway.calls() if c["state"] == "established"], 15, 0.1)[0]
    code = call.wait()
    text = call.output()
    check(code == 0, "the call did not work (exit code %d): %s" % (code, text))
    result = json.loads(re.search(r"(?s)\{.*\}", text).group(0))
    check(result["packets_received"] > 60 and result["audio_matches"] and result["encrypted"],
          "the phone did not hear what it said: " + text)
    return gateway, shown


def test_phone_on_ipv6_and_pbx_on_ipv4(kit):
    _, shown = echo_call(kit, PHONE6, "[%s]" % OUTSIDE6, PBX, "10.0.0.1", PBX)
    check("[%s]" % PHONE6 in shown["caller"]["peer"], "the phone is not shown on IPv6: %s" % shown)
    check(PBX in shown["callee"]["peer"], "the PBX is not shown on IPv4: %s" % shown)


def test_phone_on_ipv4_and_pbx_on_ipv6(kit):
    _, shown = echo_call(kit, PHONES_BOUND[0], OUTSIDE, PBX6, INSIDE6, "[%s]" % PBX6)
    check(PHONES_BOUND[0] in shown["caller"]["peer"], "the phone is not shown on IPv4: %s" % shown)
    check("[%s]" % PBX6 in shown["callee"]["peer"], "the PBX is not shown on IPv6: %s" % shown)


def test_everybody_on_ipv6(kit):
    """Two phones and a PBX, all on IPv6: registration, a call each way through the PBX, nothing of the inside outside."""
    need_ipv6()
    Kamailio(kit, address="[%s]" % PBX6, trusted='$rm == "INVITE"')
    gateway = kit.gateway(encryption="offered", peer="sip:[%s]:5060;transport=udp" % PBX6, inside=INSIDE6)
    register(kit, PHONE6, 5060, "[%s]:5060" % OUTSIDE6, user="1002", contact="<sip:1002@[%s]:5060>" % PHONE6)
    check("[%s]" % PHONE6 in str(gateway.wait_registrations(1)), "the phone is not shown: %s" % gateway.registrations())
    capture = Capture(kit)
    answering = Sipp(kit, "uas", PHONE6, 5060, user="1002")
    kit.wait_listening("udp", PHONE6, 5060)
    Sipp(kit, "uac_open", PHONE6_OTHER, 5062, "[%s]:5060" % OUTSIDE6).finish()
    answering.finish()
    gateway.wait_calls(0)
    outside = "ipv6.addr == 2001:db8:2::/64"
    capture.check_absent(["2001:db8:3:", "InnerPBX", "10.0.0."], outside + " && udp", "outside")
    capture.check_absent(["2001:db8:2:", "2001:db8:1:", "OuterPhone"], "ipv6.addr == %s && udp" % PBX6, "inside")
    shown = capture.packets("sip.Method == INVITE && ipv6.dst == %s" % PHONE6, "sip.Via", "sdp.connection_info")
    check(shown and "[%s]:5060" % OUTSIDE6 in shown[0][0] and shown[0][1] == "IN IP6 " + OUTSIDE6,
          "the phone was not shown the gateway on IPv6: %s" % shown)
