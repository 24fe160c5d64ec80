# SPDX-License-Identifier: Apache-2.0
"""Calls of a browser: JsSIP in Chromium with DTLS-SRTP and ICE on one side, SDES phones, a plain PBX or another page on the other. What is
heard is measured as a tone."""

import os
import signal
import time

from browser import Browser
from kamailio import USERS, Kamailio
from kit import DOMAIN, check, wait_for
from phones import Baresip, check_heard
from test_encryption import testpbx
from test_processes import roles_of, wait_replaced
from test_websocket import SERVER, websocket_gateway, websocket_zone


def browser_gateway(kit, browser, *users, zone="", **options):
    """A gateway that the page's users have registered with."""
    gateway = websocket_gateway(kit, websocket_zone(origins=[browser.origin]) + zone, **options)
    for user in users:
        browser.ask("register", user=user, domain=DOMAIN, server=SERVER, password=USERS[user])
    gateway.wait_registrations(len(users))
    return gateway


def page_at_the_pbx(kit):
    """A page that is registered as 1001, with the test PBX behind the gateway."""
    browser = Browser(kit)
    gateway = websocket_gateway(kit, websocket_zone(origins=[browser.origin]))
    testpbx(kit, gateway)
    browser.ask("register", user="1001", domain=DOMAIN, server=SERVER, password=USERS["1001"])
    return browser, gateway


def check_hears(browser, user, tone_hz, other_hz=3000, seconds=2):
    heard = browser.ask("hear", user=user, tones_hz=[tone_hz, other_hz], seconds=seconds)
    check(heard["shares"][0] > 0.5 and heard["shares"][1] < 0.1, "%s does not hear %d Hz: %s" % (user, tone_hz, heard))
    check(heard["dtls"] == "connected" and heard["cipher"], "no DTLS-SRTP: %s" % heard)
    return heard


def legs(gateway):
    call = gateway.wait_calls(1)[0]
    return call["caller"], call["callee"]


def test_a_page_calls_the_pbx(kit):
    """600 of the test PBX says again what it hears: the tone has gone both ways. Hold, a restart of ICE, and the end."""
    browser, gateway = page_at_the_pbx(kit)
    answer = browser.ask("call", user="1001", target="sip:600@" + DOMAIN, tone_hz=700)
    check(answer["status"] == 200, "not answered: %s" % answer)
    check_hears(browser, "1001", 700)
    caller, callee = legs(gateway)
    check(caller["keying"] == "dtls" and "AE" in caller["encryption"], "`ringwall calls` says %s" % caller)
    check(callee["keying"] == "" and callee["encryption"] == "none", "`ringwall calls` says %s" % callee)
    check(caller["media"]["packets_in"] > 50 and not caller["media"]["lost"], "counted: %s" % caller["media"])
    browser.ask("restart", user="1001")
    check_hears(browser, "1001", 700)
    browser.ask("hold", user="1001", on=True)
    browser.ask("hold", user="1001", on=False)
    check_hears(browser, "1001", 700)
    browser.ask("hangup", user="1001")
    gateway.wait_calls(0)


def test_a_page_and_an_sdes_phone(kit):
    """Called and calling: DTLS-SRTP with the page, SDES with baresip, plain RTP within."""
    Kamailio(kit)
    browser = Browser(kit)
    gateway = browser_gateway(kit, browser, "1001")
    phone = Baresip(kit, "1002", tone_hz=440, answer=True)
    gateway.wait_registrations(2)
    check(browser.ask("call", user="1001", target="sip:1002@" + DOMAIN, tone_hz=700)["status"] == 200, "not answered")
    check_hears(browser, "1001", 440)
    shown = [leg["keying"] for call in gateway.wait_calls(2) for leg in (call["caller"], call["callee"])]
    check(sorted(shown) == ["", "", "dtls", "sdes"], "`ringwall calls` says %s" % shown)
    browser.ask("hangup", user="1001")
    phone.wait_ended()
    gateway.wait_calls(0)
    check_heard(phone.heard(), 700, "the phone")

    browser.ask("answer", user="1001", tone_hz=900)
    phone.dial("1001")
    phone.wait_established(count=2)
    check_hears(browser, "1001", 440)
    phone.hang_up()
    wait_for("the page's call to end", lambda: browser.ask("state", user="1001")["ended"])
    gateway.wait_calls(0)


def test_a1_a_page_hears_on_while_processes_die(kit):
    """kill -9 of media: the keys that DTLS made are told to the next; of the gate: they are in its records."""
    browser, gateway = page_at_the_pbx(kit)
    check(browser.ask("call", user="1001", target="sip:600@" + DOMAIN, tone_hz=700)["status"] == 200, "not answered")
    check_hears(browser, "1001", 700)
    for role in ("media", "gate", "media"):
        before = roles_of(gateway.process.pid)[role]
        os.kill(before, signal.SIGKILL)
        wait_replaced(gateway, role, before)
        time.sleep(0.5)
        heard = check_hears(browser, "1001", 700)
        check(heard["dtls"] == "connected", "%s died, and DTLS with it: %s" % (role, heard))
        gateway.wait_calls(1)


def test_pages_with_pictures(kit):
    """Two pages and the PBX between them: sound and video, BUNDLE split, feedback crossing."""
    Kamailio(kit)
    browser = Browser(kit)
    gateway = browser_gateway(kit, browser, "1001", "1002")
    browser.ask("answer", user="1002", tone_hz=900, video=True)
    check(browser.ask("call", user="1001", target="sip:1002@" + DOMAIN, tone_hz=700, video=True)["status"] == 200,
          "not answered")
    check_hears(browser, "1001", 900)
    heard = check_hears(browser, "1002", 700)
    wait_for("pictures", lambda: browser.ask("hear", user="1001", tones_hz=[900], seconds=1)["frames"] > 20, 20)
    check(heard["received"] > 50, "few packets: %s" % heard)
    browser.ask("hangup", user="1002")
    gateway.wait_calls(0)
