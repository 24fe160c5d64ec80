# SPDX-License-Identifier: Apache-2.0
"""Servers of a PBX found by DNS (RFC 3263): nsd answers, sipp are the servers; one that is not there is followed by the next, and calls
go on when DNS is gone."""

import os
import signal

from kit import OUTSIDE, PBX, PHONES_BOUND, check, need, wait_for
from sipp import Sipp
from test_processes import roles_of, wait_replaced

GATEWAY, CALLER = OUTSIDE + ":5060", PHONES_BOUND[0]
FIRST, SECOND = 5070, 5072

ZONE = """\
$ORIGIN office.test.
$TTL {ttl}
@ SOA ns hostmaster {serial} 3600 600 86400 5
@ NS ns
ns A 127.0.0.1
pbx NAPTR 10 0 "s" "SIP+D2U" "" _sip._udp.pbx
_sip._udp.pbx SRV 1 0 {first} one
_sip._udp.pbx SRV 2 0 {second} one
one A {address}
"""


class Nsd:
    def __init__(self, kit, **zone):
        self.kit, self.serial = kit, 0
        directory = kit.path("")
        self.write(**zone)
        self.file = kit.write("nsd.conf", """\
server:
  ip-address: 127.0.0.1
  port: 5353
  username: ""
  chroot: ""
  zonesdir: "{0}"
  database: ""
  pidfile: "{0}/nsd.pid"
  xfrdfile: "{0}/nsd.xfrd"
  zonelistfile: "{0}/nsd.list"
  server-count: 1
remote-control:
  control-enable: no
zone:
  name: office.test
  zonefile: office.zone
""".format(directory))
        self.start()

    def write(self, ttl=5, first=FIRST, second=SECOND):
        self.serial += 1
        self.kit.write("office.zone", ZONE.format(ttl=ttl, serial=self.serial, first=first, second=second, address=PBX))

    def start(self):
        self.process = self.kit.start("nsd", [need("nsd"), "-d", "-c", self.file])
        self.kit.wait_listening("udp", "127.0.0.1", 5353)


def peers(gateway):
    return {peer["address"]: peer["state"] for peer in gateway.ask("status")["peers"]}


def call(kit, port):
    """One call, which the server at `port` answers."""
    answering = Sipp(kit, "uas", PBX, port, user="600")
    kit.wait_listening("udp", PBX, port)
    Sipp(kit, "uac_open", CALLER, 5060, GATEWAY, to="600").finish()
    answering.finish()


def test_servers_by_dns_failover_and_dns_gone(kit):
    name_server = Nsd(kit)
    gateway = kit.gateway(encryption="offered", peer="sip:pbx.office.test",
                          more='dns: {servers: ["127.0.0.1:5353"]}\n')
    first, second = "%s:%d" % (PBX, FIRST), "%s:%d" % (PBX, SECOND)
    wait_for("both servers", lambda: set(peers(gateway)) == {first, second})
    call(kit, FIRST)
    check(peers(gateway)[first] == "up", "after an answer it is not up: %s" % peers(gateway))

    # The first is not there any more: the same INVITE goes to the second, and the caller notices nothing but the wait.
    call(kit, SECOND)
    check(peers(gateway) == {first: "down", second: "up"}, "states: %s" % peers(gateway))
    check(gateway.ask("status")["counters"]["failovers"] == 1, "it was not counted")
    text = gateway.command("status").stdout
    check(first in text and "down" in text, "`ringwall status` does not show it: %s" % text)

    # Another port in DNS is used when the old answer has lived; the old one is not sent to any more.
    name_server.process.end()
    name_server.write(first=5074, ttl=5)
    name_server.start()
    wait_for("the new server", lambda: "%s:5074" % PBX in peers(gateway), 15)
    check(peers(gateway)[first] == "gone", "states: %s" % peers(gateway))
    call(kit, 5074)

    # No name server any more: what was known serves on.
    name_server.process.end()
    wait_for("the failure in the log", lambda: "stay in use" in gateway.process.output(), 25)
    call(kit, 5074)


def test_start_while_dns_is_away(kit):
    """The gateway starts, refuses calls for now, and takes them up when a name server answers."""
    gateway = kit.gateway(encryption="offered", peer="sip:pbx.office.test",
                          more='dns: {servers: ["127.0.0.1:5353"]}\n')
    check(list(peers(gateway).values()) == ["unresolved"], "states: %s" % peers(gateway))
    Nsd(kit)
    wait_for("the servers", lambda: "%s:%d" % (PBX, FIRST) in peers(gateway), 25)
    call(kit, FIRST)


def test_servers_by_dns_are_known_after_a_death(kit):
    """The gate is killed while no name server answers: the PBX may still end its call, and a new call finds it."""
    name_server = Nsd(kit)
    gateway = kit.gateway(encryption="offered", peer="sip:pbx.office.test",
                          more='dns: {servers: ["127.0.0.1:5353"]}\n')
    wait_for("the servers", lambda: "%s:%d" % (PBX, FIRST) in peers(gateway))
    answering = Sipp(kit, "uas_bye", PBX, FIRST, user="600")
    kit.wait_listening("udp", PBX, FIRST)
    caller = Sipp(kit, "uac_open_held", CALLER, 5060, GATEWAY, to="600")
    wait_for("the call to be established", lambda: "established" in str(gateway.calls()), 15, 0.05)
    name_server.process.end()
    gate = roles_of(gateway.process.pid)["gate"]
    os.kill(gate, signal.SIGKILL)
    wait_replaced(gateway, "gate", gate)
    caller.finish()
    answering.finish()
    gateway.wait_calls(0)
    call(kit, FIRST)
