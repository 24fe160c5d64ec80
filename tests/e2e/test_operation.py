# SPDX-License-Identifier: Apache-2.0
"""Running it: the commands, accounts of its own, reload, stop."""

import json
import os
import re
import time

from device import Device, challenges
from kamailio import USERS, Kamailio
from kit import INSIDE, OUTSIDE, PBX, PHONES_BOUND, STRANGER, check, wait_for
from phones import Linphone
from sipp import Sipp, register

GATEWAY = OUTSIDE + ":5060"
CALLER, CALLEE = PHONES_BOUND[0], PHONES_BOUND[1]


def established(kit, **options):
    """A gateway with one call that both sides keep until it is ended for them."""
    Kamailio(kit, routes={"2000": "sip:2000@%s:5080" % PBX})
    gateway = kit.gateway(**{"encryption": "offered", **options})
    answering = Sipp(kit, "uas_held", PBX, 5080, user="2000")
    kit.wait_listening("udp", PBX, 5080)
    caller = Sipp(kit, "uac_held", CALLER, 5060, GATEWAY, to="2000")
    gateway.wait_calls(1)
    wait_for("the call to be established", lambda: "established" in str(gateway.calls()))
    time.sleep(0.3)
    return gateway, caller, answering


def test_sigterm_ends_calls_within_five_seconds(kit):
    gateway, caller, answering = established(kit)
    gateway.stop(5.0)
    caller.finish()
    answering.finish()


def test_hang_up_by_id(kit):
    gateway, caller, answering = established(kit)
    gateway.command("hangup", str(gateway.calls()[0]["id"]))
    caller.finish()
    answering.finish()
    gateway.wait_calls(0)
    check(gateway.command("hangup", "12345", ok=False).returncode != 0, "an unknown call was hung up")


def test_silent_call_is_ended(kit):
    """No RTP from either side for as long as the configuration allows: both are told."""
    gateway, caller, answering = established(kit, more="calls: {media_silence: 3s}\n")
    caller.finish()
    answering.finish()
    gateway.wait_calls(0)
    check(gateway.ask("status")["counters"]["calls_silent"] == 1, "it was not counted")


def test_reload_keeps_calls_and_refuses_nonsense(kit):
    gateway, caller, answering = established(kit)
    gateway.configure(more="calls: {ring_timeout: 60s}\n")
    gateway.command("reload")
    check(len(gateway.calls()) == 1, "reload ended a call")
    good = open(gateway.file).read()
    copy = kit.write("good.yaml", good)
    kit.write("ringwall.yaml", good + "nonsense: true\n")
    result = gateway.command("reload", ok=False)
    check(result.returncode != 0 and "nonsense" in result.stdout + result.stderr,
          "a wrong configuration was taken: %s%s" % (result.stdout, result.stderr))
    check(len(gateway.ask("calls", copy)) == 1, "a refused reload ended a call")
    kit.write("ringwall.yaml", good)
    gateway.command("hangup", str(gateway.calls()[0]["id"]))
    caller.finish()
    answering.finish()


def test_check_prints_every_error_at_once(kit):
    gateway = kit.gateway(start=False)
    check(gateway.command("check").returncode == 0, "the test configuration is refused")
    text = open(gateway.file).read()
    wrong = (text.replace("encryption: required", "encryption: perhaps").replace("kind: core", "kind: kernel")
             .replace('ports: "20000-20999"', 'ports: "20999-20000"') + "colour: blue\n")
    kit.write("ringwall.yaml", wrong)
    result = gateway.command("check", ok=False)
    output = result.stdout + result.stderr
    check(result.returncode == 1, "exit code %d" % result.returncode)
    lines = re.findall(r"(?m)^\S*ringwall\.yaml:(\d+): ([^:]+): (.+)$", output)
    check(len(lines) >= 4, "not every error is there: " + output)
    for word in ("perhaps", "kernel", "20999", "colour"):
        place = next(n for n, line in enumerate(wrong.splitlines(), 1) if word in line)
        check(any(int(number) == place for number, _, _ in lines), "no error names line %d: %s" % (place, output))
    check(kit.run([kit.binary, "run", "-c", gateway.file], ok=False).returncode != 0, "it started with errors")


def test_accounts_of_the_gateway(kit):
    """Local authentication: the gateway challenges; the PBX sees only who passed."""
    pbx = Kamailio(kit, trusted='$si == "%s"' % INSIDE)
    gateway = kit.gateway(authentication="local\n    digest: both", encryption="offered")
    password_file = kit.write("password", USERS["1001"] + "\n", 0o600)
    gateway.command("account", "add", "1001", "--password-file", password_file)
    made = gateway.command("account", "add", "1003")
    check(re.search(r"\S{12,}", made.stdout), "no password was made: " + made.stdout)
    listed = gateway.command("account", "list").stdout
    check("1001" in listed and "1003" in listed, "accounts are missing: " + listed)
    check(USERS["1001"] not in listed, "a password is shown")
    for address, algorithm in ((CALLER, "MD5"), (CALLEE, "SHA-256")):
        device = Device(address)
        status, offered = device.register(USERS["1001"], algorithm)
        check(status == 200, "%s credentials got %d" % (algorithm, status))
        check(list(offered) == ["SHA-256", "MD5"], "not the strongest first: %s" % list(offered))
        thief = Device(STRANGER)
        check(thief.send(device.last)[0] != 200, "overheard credentials were good from another address (S3)")
    gateway.wait_registrations(2)
    check(Device(PHONES_BOUND[2]).register("guessed", "MD5")[0] in (401, 403), "a wrong password passed")
    status, known = Device(PHONES_BOUND[3]).send()
    unknown_status, unknown = Device(PHONES_BOUND[4], user="7777").send()
    check(status == unknown_status and sorted(challenges(known)) == sorted(challenges(unknown)),
          "an unknown user is told from a known one (S2): %s" % unknown)
    seen = pbx.requests("REGISTER")
    check(seen and not [line for line in seen if "7777" in line], "the PBX saw who did not pass: %s" % seen)
    gateway.command("account", "remove", "1001")
    check("1001" not in gateway.command("account", "list").stdout, "a removed account is listed")
    check(Device(PHONES_BOUND[5]).register(USERS["1001"], "SHA-256")[0] != 200, "a removed account registered")


def test_linphone_with_an_account_of_the_gateway(kit):
    """SHA-256 alone is offered, and Linphone takes it."""
    Kamailio(kit, trusted='$si == "%s"' % INSIDE)
    gateway = kit.gateway(authentication="local")
    gateway.command("account", "add", "1001", "--password-file", kit.write("password", USERS["1001"], 0o600))
    phone = Linphone(kit, "1001")
    phone.wait_registered()
    gateway.wait_registrations(1)
    check("SHA-256" in phone.log(), "no SHA-256 was seen")


def test_testcall_passes_and_fails(kit):
    gateway = kit.gateway()
    kit.start("testpbx", [kit.binary, "testpbx", "--listen", PBX + ":5060", "--user", "1001", "--password",
                          USERS["1001"]])
    kit.wait_listening("udp", PBX, 5060)
    password = kit.write("password", USERS["1001"], 0o600)
    target = "sips:600@%s:5061" % OUTSIDE
    arguments = [kit.binary, "testcall", target, "--user", "1001", "--insecure"]
    result = kit.run(arguments + ["--password-file", password], 60)
    check("AES" in result.stdout + result.stderr, "the test call does not say how it was encrypted: " + result.stdout)
    wrong = kit.write("wrong", "guessed", 0o600)
    check(kit.run(arguments + ["--password-file", wrong], 60, ok=False).returncode == 1,
          "a test call with a wrong password passed")
    check(kit.run([kit.binary, "testcall", "sips:600@%s:5999" % OUTSIDE, "--user", "1001", "--password-file", password,
                   "--insecure"], 60, ok=False).returncode == 1, "a call to a closed port passed")
    gateway.wait_calls(0)


def test_status_is_told_as_json_and_as_text(kit):
    Kamailio(kit)
    gateway = kit.gateway(encryption="offered")
    register(kit, CALLER, 5060, GATEWAY)
    for what in ("status", "calls", "registrations"):
        json.loads(gateway.command(what, "--json").stdout)
        check(gateway.command(what).stdout.strip(), "`ringwall %s` says nothing" % what)
    check("1001" in gateway.command("registrations").stdout, "the phone is not listed")
    check(re.search(r"\d+\.\d+", kit.run([kit.binary, "version"]).stdout), "no version")
    for command in ("run", "check", "status", "calls", "registrations", "account", "hangup", "reload", "testpbx",
                    "testcall", "route", "replay", "version"):
        check(command in kit.run([kit.binary, "help"]).stdout, "help does not name " + command)
    gateway.stop()
    check(gateway.command("status", ok=False).returncode != 0, "status of a stopped gateway is 0")


def test_certificate_is_made_when_absent(kit):
    gateway = kit.gateway(start=False)
    text = open(gateway.file).read()
    kit.write("ringwall.yaml", re.sub(r"(?m)^tls:\n(  .*\n)+", "", text))
    gateway.start()
    shown = kit.run(["openssl", "s_client", "-connect", OUTSIDE + ":5061", "-servername", "voip.example.org"],
                    stdin="").stdout
    check("BEGIN CERTIFICATE" in shown and re.search("TLSv1.[23]", shown), "no TLS: " + shown[-500:])
    first = re.search(r"(?s)-----BEGIN.*?-----END", shown).group(0)
    gateway.restart()
    again = kit.run(["openssl", "s_client", "-connect", OUTSIDE + ":5061"], stdin="").stdout
    check(first in again, "a restart made another certificate")
    old = kit.run(["openssl", "s_client", "-connect", OUTSIDE + ":5061", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
                  stdin="", ok=False)
    check("Cipher is (NONE)" in old.stdout or old.returncode != 0, "TLS 1.1 was accepted")


def test_check_looks_into_certificates(kit):
    """What a start or a reload would stumble over, and what phones would refuse, is said at once."""
    gateway = kit.gateway(start=False)
    text = open(gateway.file).read()
    certificate, key = kit.path("tls.crt"), kit.path("tls.key")
    good = open(certificate).read(), open(key).read()

    def checked(code, *wanted):
        result = gateway.command("check", ok=False)
        output = result.stdout + result.stderr
        check(result.returncode == code, "exit code %d: %s" % (result.returncode, output))
        for pattern in wanted:
            check(re.search(pattern, output), "%s is not said: %s" % (pattern, output))
        return output

    def pair(days, extensions):
        kit.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                 "-subj", "/CN=x", "-keyout", key, "-out", kit.path("other.csr")])
        kit.run(["openssl", "x509", "-req", "-in", kit.path("other.csr"), "-signkey", key, "-days", days, "-extfile",
                 kit.write("other.ext", extensions), "-out", certificate])

    check("note: " not in checked(0), "something is wrong with the test's own certificate")
    pair("2", "subjectAltName=DNS:voip.example.org\n")
    kit.write("tls.crt", good[0])
    where = next(n for n, line in enumerate(text.splitlines(), 1) if line.startswith("  key: "))
    kit.write("ringwall.yaml", text + "colour: blue\n")
    checked(1, r"ringwall\.yaml:%d: tls\.key: .*does not match the certificate" % where, "colour")
    kit.write("ringwall.yaml", text)
    pair("-1", "subjectAltName=DNS:voip.example.org\n")
    checked(0, r"note: .*tls\.certificate: .*has expired", "is good")
    pair("2", "subjectAltName=DNS:elsewhere.example\nextendedKeyUsage=clientAuth\n")
    checked(0, r"note: .*holds none of the names .*voip\.example\.org", r"note: .*is not for servers")
    kit.write("tls.crt", good[0])
    kit.write("tls.key", good[1], 0o600)
    kit.write("ringwall.yaml", text.replace("tls:\n", "tls:\n  authorities: %s\n" % key, 1))
    checked(1, r"tls\.authorities: .*hold no certificate")


def test_unreadable_key_is_named(kit):
    gateway = kit.gateway(start=False)
    kit.write("tls.key", "no key\n", 0o600)
    result = kit.run([kit.binary, "run", "-c", gateway.file], ok=False)
    check(result.returncode != 0 and "tls.key" in result.stdout + result.stderr, "the key is not named: " +
          result.stdout + result.stderr)


def test_route_tells_where_a_number_goes(kit):
    """Without a running gateway: routes, hours, rewriting."""
    gateway = kit.gateway(start=False, more="""\
  - {from: pbx, to: phones, number: "7"}
rewrite:
  - {zone: pbx, match: "00", strip: 2, prepend: "+"}
""")
    answer = json.loads(gateway.command("route", "0044123", "--from", "phones", "--json").stdout)
    check(answer["routes"][0]["zones"][0]["called"] == "+44123", "rewritten to %s" % answer)
    check(answer["routes"][0]["zones"][0]["zone"] == "pbx", "sent to %s" % answer)
    check("if registered" in gateway.command("route", "1001", "--from", "pbx").stdout, "a phone is not told of")
    for wrong in (["--from", "nowhere"], ["--from", "phones", "--time", "noon"], []):
        check(gateway.command("route", "1", *wrong, ok=False).returncode == 2, "%s was taken" % wrong)


def test_f5_a_day_is_replayed_with_another_policy(kit):
    """What was recorded, decided again: by this configuration, and where another would decide otherwise."""
    gateway = kit.gateway(start=False)
    events = os.path.join(os.path.dirname(gateway.file), "events")
    kit.run([os.path.join(os.path.dirname(kit.binary), "tests/detect/write_record"), events])
    answer = json.loads(gateway.command("replay", events, "--json").stdout)
    check(answer["findings"] == 610 and answer["damaged"] == 0, "read %s" % answer)
    check([(row["control"], row["verdict"], row["whom"]) for row in answer["verdicts"]] ==
          [("scan", "block", "198.51.100.7:5062")], "decided %s" % answer)
    check("198.51.100.7:5062" in gateway.command("replay", events).stdout, "nobody is named")
    other = kit.write("other.yaml", open(gateway.file).read() +
                      "protection: {scan: {verdict: off}, guess: {threshold: 60, dry_run: true}}\n")
    rows = json.loads(gateway.command("replay", events, "--with", other, "--json").stdout)["verdicts"]
    check([(row["in"], row["control"], row["dry_run"]) for row in rows] ==
          [("before", "scan", False), ("after", "guess", True)], "differ in %s" % rows)
    check("the same" in gateway.command("replay", events, "--with", gateway.file).stdout, "they differ")
    for wrong in (gateway.file, events + "-not-there"):
        check(gateway.command("replay", wrong, ok=False).returncode == 1, "%s was replayed" % wrong)
