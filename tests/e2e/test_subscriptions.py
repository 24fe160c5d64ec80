# SPDX-License-Identifier: Apache-2.0
"""Presence, publications and message waiting between phones and a PBX, through the gateway."""

from kamailio import Kamailio
from kit import INSIDE, OUTSIDE, PBX, PHONES_BOUND, check, wait_for
from phones import Baresip
from sipp import Sipp, register
from wire import OUTSIDE_NETS, Capture

GATEWAY = OUTSIDE + ":5060"
WATCHER, WATCHED = PHONES_BOUND[0], PHONES_BOUND[1]


def counter(gateway, name):
    return gateway.ask("status")["counters"][name]


def test_presence_is_published_watched_and_left(kit):
    Kamailio(kit, presence=True)
    gateway = kit.gateway(encryption="offered")
    capture = Capture(kit)
    watcher = Sipp(kit, "subscribe", WATCHER, 5060, GATEWAY)
    wait_for("the subscription", lambda: "NOTIFY sip:" in watcher.messages())
    check(gateway.ask("status")["subscriptions"] == 1, "status does not count the subscription")
    Sipp(kit, "publish", WATCHED, 5060, GATEWAY, user="1002", to="1002").finish()
    watcher.finish()
    wait_for("the end of the subscription", lambda: gateway.ask("status")["subscriptions"] == 0)
    check(counter(gateway, "publications_relayed") >= 1, "the publication was not counted")
    capture.check_topology_hidden()
    both = capture.sip_values("sip.Call-ID", OUTSIDE_NETS) & capture.sip_values("sip.Call-ID", "ip.addr == %s" % PBX)
    check(not both, "Call-IDs cross: %s" % both)


def test_message_waiting_reaches_a_phone_that_did_not_subscribe(kit):
    Kamailio(kit)
    gateway = kit.gateway(encryption="offered")
    register(kit, WATCHER, 5060, GATEWAY)
    capture = Capture(kit)
    phone = Sipp(kit, "uas_notify", WATCHER, 5060, user="1001")
    kit.wait_listening("udp", WATCHER, 5060)
    Sipp(kit, "notify_mwi", PBX, 5070, INSIDE + ":5060", to="1001").finish()
    phone.finish()
    check(counter(gateway, "notifications_unsolicited") == 1, "the notification was not counted")
    capture.check_topology_hidden()


def test_baresip_asks_for_its_messages(kit):
    pbx = Kamailio(kit, presence=True)
    gateway = kit.gateway(encryption="offered")
    Baresip(kit, "1001", transport="udp", encryption="", modules=["mwi"])
    gateway.wait_registrations(1)
    wait_for("baresip's subscription", lambda: gateway.ask("status")["subscriptions"] >= 1, 15)
    check(any("SUBSCRIBE" in line for line in pbx.requests("SUBSCRIBE")), "the PBX was not asked")


def test_baresip_hears_of_a_message_in_the_test_pbxs_mailbox(kit):
    """RFC 3842, over TLS: asked at once, told anew when 605 leaves a message and when 606 takes all away."""
    gateway = kit.gateway()
    kit.start("testpbx", [kit.binary, "testpbx", "--listen", PBX + ":5060"])
    kit.wait_listening("udp", PBX, 5060)
    phone = Baresip(kit, "1001", modules=["mwi"])
    gateway.wait_registrations(1)
    phone.process.wait_output("Voice-Message: 0/0", 20)
    for number, told in (("605", "Voice-Message: 1/0"), ("606", "Voice-Message: 0/0")):
        seen = phone.process.output().count(told)
        phone.dial(number)
        phone.process.wait_output(told, 15, seen + 1)
        phone.hang_up()
        gateway.wait_calls(0)
