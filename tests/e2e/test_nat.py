# SPDX-License-Identifier: Apache-2.0
"""A phone behind NAT: its SDP names a private address, and all that it sends comes from its router's."""

import json
import re

from kamailio import USERS
from kit import OUTSIDE, Phone, Skip, check, need, wait_for
from test_encryption import testpbx

BEHIND, ROUTER = "192.168.1.20", "192.168.1.1"
# The router translates ports too: none the phone names is right by chance.
ROUTER_PORTS = "62000-62999"


class Behind:
    """A place for one client in a private network. What is known of it outside is the address of its router."""

    def __init__(self, kit):
        self.router = kit.phone()
        self.address = BEHIND
        masquerade(kit, self.router)
        holder = kit.start("hold-behind", ["unshare", "--net", "sleep", "600"])
        wait_for("the private namespace", lambda: Phone.has_moved(holder))
        self.prefix = ["nsenter", "--target", str(holder.pid), "--net"]
        for command in ("link add lan type veth peer name eth0 netns %d" % holder.pid,
                        "addr add %s/24 dev lan" % ROUTER, "link set lan up"):
            kit.run(self.router.prefix + ["ip"] + command.split())
        for command in ("link set lo up", "addr add %s/24 dev eth0" % BEHIND, "link set eth0 up",
                        "route add default via %s" % ROUTER):
            kit.run(self.prefix + ["ip"] + command.split())


def masquerade(kit, router):
    """Makes the place a NAT router; Skip if this kernel cannot."""
    iptables = need("iptables")
    for protocol in ("udp", "tcp"):
        rule = ["-A", "POSTROUTING", "-o", "eth0", "-p", protocol, "-j", "MASQUERADE", "--to-ports", ROUTER_PORTS]
        result = kit.run(router.prefix + [iptables, "-w", "-t", "nat"] + rule, ok=False)
        if result.returncode != 0:
            raise Skip("masquerading is not possible here: " + " ".join(result.stderr.split()))
    kit.run(router.prefix + ["sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"])


def test_phone_behind_nat_is_heard(kit):
    """No packet reaches the address that the phone names: the router's is learned from the phone's own packets."""
    where = Behind(kit)
    gateway = kit.gateway()
    testpbx(kit, gateway)
    authority, _, _ = kit.certificates()
    password = kit.write("password", USERS["1001"], 0o600)
    call = kit.start("testcall", [kit.binary, "testcall", "sips:600@%s:5061" % OUTSIDE, "--user", "1001",
                                  "--password-file", password, "--authorities", authority, "--duration", "4", "--json"],
                     phone=where)

    def established():
        check(call.running(), "the test call ended early: " + call.output())
        return [shown for shown in gateway.calls() if shown["state"] == "established"]

    caller = wait_for("the call to be established", established, 15, 0.1)[0]["caller"]
    check(re.fullmatch(re.escape(where.router.address) + r":62\d{3}", caller["peer"]),
          "the caller's peer is not the router's address: %s" % caller)
    check(caller["transport"].lower() == "tls" and "AES" in caller["encryption"],
          "the call is not encrypted: %s" % caller)

    code = call.wait()
    text = call.output()
    check(code == 0, "the phone behind NAT has no working call (exit code %d): %s" % (code, text))
    result = json.loads(re.search(r"(?s)\{.*\}", text).group(0))
    check(result["packets_received"] > 100 and result["audio_matches"] and result["encrypted"],
          "the phone behind NAT did not hear what it said: " + text)
    gateway.wait_calls(0)
