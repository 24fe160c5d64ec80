# SPDX-License-Identifier: Apache-2.0
"""The processes: each confined, each replaced when it dies; starting and ending whole; the first minute of a newcomer."""

import json
import os
import re
import shlex
import signal
import subprocess
import time

from kamailio import Kamailio
from kit import OUTSIDE, PBX, PHONES_BOUND, Skip, check, wait_for
from sipp import Sipp, register
from test_encryption import USERS, testpbx

GATEWAY = OUTSIDE + ":5060"
CALLER = PHONES_BOUND[0]
ROLES = ("gate", "media", "shield", "store")
MEDIA_GAP_MS = 1500  # generous: a sanitized process on a busy machine starts slowly


def roles_of(pid):
    """{role: pid} of the processes that a supervisor runs now."""
    found = {}
    for child in subprocess.run(["ps", "--ppid", str(pid), "-o", "pid=,args="], capture_output=True,
                                text=True).stdout.splitlines():
        words = child.split()
        if len(words) > 3 and words[2] == "role":
            found[words[3]] = int(words[0])
    return found


def supervisor_of(pid):
    """The supervisor's process, of the keeper that was started; None between two of them."""
    for child in subprocess.run(["ps", "--ppid", str(pid), "-o", "pid=,comm="], capture_output=True,
                                text=True).stdout.splitlines():
        words = child.split()
        if len(words) == 2 and words[1] == "ringwall-superv":
            return int(words[0])
    return None


def supervisor_wait(gateway):
    return wait_for("a supervisor", lambda: supervisor_of(gateway.process.pid))


def kill_supervisor(gateway):
    before = supervisor_wait(gateway)
    os.kill(before, signal.SIGKILL)
    wait_for("another supervisor", lambda: supervisor_of(gateway.process.pid) not in (None, before))


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_replaced(gateway, role, before):
    def replaced():
        now = roles_of(gateway.process.pid).get(role)
        status = json.loads(gateway.command("status", "--json", ok=False).stdout or "{}")
        return now not in (None, before) and status.get("ready") and status.get("media") and status.get("store")
    wait_for("the %s process to be replaced" % role, replaced)


def test_processes_are_confined(kit):
    gateway = kit.gateway()
    running = roles_of(gateway.process.pid)
    check(sorted(running) == sorted(ROLES), "these processes run: %s" % running)
    for role, pid in running.items():
        with open("/proc/%d/status" % pid) as file:
            status = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
        check(status["Seccomp"] == "2", role + " may make any system call")
        check(status["NoNewPrivs"] == "1", role + " may gain privileges")
        if os.geteuid() == 0:
            check("0" not in status["Uid"].split(), role + " is root")
            check(int(status["CapPrm"], 16) == 0, role + " has capabilities")
    gateway.stop()


def test_killed_processes_come_back_and_calls_work(kit):
    """A1: no role's crash is the gateway's end; a call that media carries survives the store's and media's."""
    Kamailio(kit, routes={"2000": "sip:2000@%s:5080" % PBX})
    gateway = kit.gateway(encryption="offered")
    register(kit, CALLER, 5060, GATEWAY)
    gateway.wait_registrations(1)
    answering = Sipp(kit, "uas_held", PBX, 5080, user="2000")
    kit.wait_listening("udp", PBX, 5080)
    caller = Sipp(kit, "uac_held", CALLER, 5060, GATEWAY, to="2000")
    gateway.wait_calls(1)
    wait_for("the call to be established", lambda: "established" in str(gateway.calls()))
    for role in ("store", "media"):
        before = roles_of(gateway.process.pid)[role]
        os.kill(before, signal.SIGKILL)
        wait_replaced(gateway, role, before)
        check(len(gateway.calls()) == 1, "the call was lost with the %s process" % role)
    gateway.command("hangup", gateway.calls()[0]["id"])
    caller.finish()
    answering.finish()


def test_sound_goes_on_when_media_is_killed(kit):
    """A1: a new media process has the old one's keys, roll-over counters and peers: an encrypted call is heard again at
    once. Each packet that is missing is 20 ms of silence."""
    gateway = kit.gateway()
    testpbx(kit, gateway)
    authority, _, _ = kit.certificates()
    password = kit.write("password", USERS["1001"], 0o600)
    call = kit.start("testcall", [kit.binary, "testcall", "sips:600@%s:5061" % OUTSIDE, "--user", "1001",
                                  "--password-file", password, "--authorities", authority, "--duration", "5",
                                  "--json"], phone=kit.phone())
    wait_for("the call to be established", lambda: "established" in str(gateway.calls()), 15, 0.1)
    time.sleep(1.5)
    before = roles_of(gateway.process.pid)["media"]
    os.kill(before, signal.SIGKILL)
    call.wait()
    result = json.loads(re.search(r"(?s)\{.*\}", call.output()).group(0))
    check(roles_of(gateway.process.pid)["media"] != before, "it is still the old media process")
    missing_ms = 20 * (result["packets_sent"] - result["packets_received"])
    check(result["encrypted"] and result["packets_received"] > 150 and missing_ms <= MEDIA_GAP_MS,
          "%d ms of the call are missing: %s" % (missing_ms, call.output()))
    kit.write("gap.txt", "%d ms were missing\n" % missing_ms)


def test_registrations_outlive_the_gate(kit):
    """A2: what was confirmed is loaded again, also when every process is killed at once."""
    Kamailio(kit)
    gateway = kit.gateway(encryption="offered")
    register(kit, CALLER, 5060, GATEWAY)
    gateway.wait_registrations(1)
    time.sleep(0.5)  # a commit comes at most 200 ms after the change
    before = roles_of(gateway.process.pid)["gate"]
    os.kill(before, signal.SIGKILL)
    wait_replaced(gateway, "gate", before)
    check(len(gateway.registrations()) == 1, "the registration is gone with the gate")

    victims = list(roles_of(gateway.process.pid).values())
    for pid in [gateway.process.pid] + victims:
        os.kill(pid, signal.SIGKILL)
    gateway.process.wait()
    wait_for("all to be gone", lambda: not any(alive(pid) for pid in victims))
    gateway.start()
    check(len(gateway.registrations()) == 1, "the registration is gone with a power cut")


def test_a_registration_while_the_store_is_away_is_stored(kit):
    Kamailio(kit)
    gateway = kit.gateway(encryption="offered")
    before = roles_of(gateway.process.pid)["store"]
    os.kill(before, signal.SIGSTOP)  # it hears of the registration and writes nothing
    register(kit, CALLER, 5060, GATEWAY)
    gateway.wait_registrations(1)
    os.kill(before, signal.SIGKILL)
    wait_replaced(gateway, "store", before)
    time.sleep(0.5)
    before = roles_of(gateway.process.pid)["gate"]
    os.kill(before, signal.SIGKILL)
    wait_replaced(gateway, "gate", before)
    check(len(gateway.registrations()) == 1, "the registration went with the store")


def test_the_supervisor_is_replaced(kit):
    """A1: its death is nobody's end; the next one restarts who dies, reloads, and ends all in order."""
    gateway = kit.gateway()
    children = roles_of(gateway.process.pid)
    for _ in range(2):
        kill_supervisor(gateway)
    check(roles_of(gateway.process.pid) == children, "processes changed: %s, %s" % (children,
                                                                                    roles_of(gateway.process.pid)))
    for role in ROLES:
        os.kill(children[role], signal.SIGKILL)
        wait_replaced(gateway, role, children[role])
    check(gateway.command("reload").returncode == 0, "no reload")
    os.kill(supervisor_wait(gateway), signal.SIGKILL)  # and who dies at the same time
    os.kill(roles_of(gateway.process.pid)["gate"], signal.SIGKILL)
    wait_replaced(gateway, "gate", None)
    gateway.stop()
    check(not os.path.exists(gateway.state + "/control.sock"), "the control socket is left behind")


def test_the_supervisor_is_killed_while_it_reloads(kit):
    """Again and again, at any moment of it: what is in force afterwards is one whole configuration."""
    gateway = kit.gateway()
    good = open(gateway.file).read()
    other = good.replace("tcp:%s:5060" % OUTSIDE, "tcp:%s:5098" % OUTSIDE)
    check(other != good, "the configuration is not as expected")
    for turn in range(5):  # of more deaths in a row the gateway would end
        kit.write("ringwall.yaml", other if turn % 2 == 0 else good)
        reload = kit.start("reload-%d" % turn, [kit.binary, "reload", "-c", gateway.file])
        time.sleep(0.01 + 0.02 * turn)
        os.kill(supervisor_wait(gateway), signal.SIGKILL)
        supervisor_wait(gateway)
        reload.end()
        time.sleep(0.3)
    kit.write("ringwall.yaml", good)
    wait_for("a reload", lambda: gateway.command("reload", ok=False).returncode == 0, 20)
    lines = kit.run(["ss", "-lntu"]).stdout
    wait_for("the other listener to be closed", lambda: OUTSIDE + ":5098" not in kit.run(["ss", "-lntu"]).stdout)
    check(lines.count(OUTSIDE + ":5060") >= 1, "no listener: " + lines)
    check(sorted(roles_of(gateway.process.pid)) == sorted(ROLES), "not all run")


def test_nobody_reads_the_log_any_more(kit):
    """What the keeper says of a supervisor that died is not its end, when who read that is gone."""
    gateway = kit.gateway(start=False)
    log = kit.path("log")
    os.mkfifo(log)
    reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    gateway.process = kit.start("ringwall", ["sh", "-c", 'exec "$0" run -c "$1" 2>"$2"', kit.binary, gateway.file, log])
    gateway.wait_ready()
    children = roles_of(gateway.process.pid)
    os.close(reader)
    kill_supervisor(gateway)
    check(gateway.process.running() and roles_of(gateway.process.pid) == children, "the gateway ended with its log")
    gateway.stop()


def test_a_supervisor_that_dies_again_and_again_is_the_end(kit):
    gateway = kit.gateway()
    children = roles_of(gateway.process.pid)
    while gateway.process.running():
        supervisor = supervisor_of(gateway.process.pid)
        if supervisor:
            try:
                os.kill(supervisor, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.3)
    wait_for("the other processes to end", lambda: not any(alive(pid) for pid in children.values()), 5.0)
    check("again and again" in gateway.process.output(), "the log does not say why")
    gateway.start()


def test_nothing_outlives_the_keeper(kit):
    gateway = kit.gateway()
    children = roles_of(gateway.process.pid)
    children["supervisor"] = supervisor_wait(gateway)
    os.kill(gateway.process.pid, signal.SIGKILL)
    gateway.process.wait()
    wait_for("the other processes to end", lambda: not any(alive(pid) for pid in children.values()), 5.0)
    gateway.start()  # what the dead one left behind is no obstacle


def test_sigterm_to_all_ends_calls_first(kit):
    """A service manager signals every process at once; the far ends still hear of it."""
    Kamailio(kit, routes={"2000": "sip:2000@%s:5080" % PBX})
    gateway = kit.gateway(encryption="offered")
    answering = Sipp(kit, "uas_held", PBX, 5080, user="2000")
    kit.wait_listening("udp", PBX, 5080)
    caller = Sipp(kit, "uac_held", CALLER, 5060, GATEWAY, to="2000")
    gateway.wait_calls(1)
    wait_for("the call to be established", lambda: "established" in str(gateway.calls()))
    os.killpg(gateway.process.pid, signal.SIGTERM)
    check(gateway.process.wait(6) == 0, "it did not end well")
    caller.finish()
    answering.finish()


def test_one_gateway_a_state_directory(kit):
    gateway = kit.gateway()
    second = kit.run([kit.binary, "run", "-c", gateway.file], ok=False)
    check(second.returncode == 1 and gateway.state in second.stderr, "a second one started: " + second.stderr)
    check(gateway.command("status").returncode == 0, "the first one was harmed")


def test_reload_is_all_or_nothing(kit):
    gateway = kit.gateway()
    good = open(gateway.file).read()

    def listening():
        lines = kit.run(["ss", "-lntu"]).stdout.splitlines()
        return sorted(line.split()[4] for line in lines if OUTSIDE in line)

    before = listening()
    other_key = kit.path("other.key")  # of no certificate: the gate finds that, when the sockets are open already
    kit.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", other_key])
    os.chmod(other_key, 0o600)
    for wrong, reason in (
            (good.replace('"tcp:%s:5060"' % OUTSIDE, '"tcp:192.0.2.77:5060", "udp:%s:5099"' % OUTSIDE), "192.0.2.77"),
            (good.replace(kit.path("tls.key"), other_key).replace("tcp:%s:5060" % OUTSIDE, "tcp:%s:5098" % OUTSIDE),
             "other.key")):
        check(wrong != good, "the configuration is not as expected")
        kit.write("ringwall.yaml", wrong)
        result = gateway.command("reload", ok=False, timeout_s=50)
        check(result.returncode == 1 and reason in result.stderr, "the reason is not told: " + result.stderr)
        check(listening() == before, "sockets changed: %s" % listening())
    kit.write("ringwall.yaml", good.replace("tcp:%s:5060" % OUTSIDE, "tcp:%s:5098" % OUTSIDE))
    gateway.process.signal(signal.SIGHUP)
    wait_for("SIGHUP to be obeyed", lambda: OUTSIDE + ":5098" in listening())
    # The gate closes what the new configuration has no more after it took the new over: not in the same instant.
    wait_for("the removed listener to be closed", lambda: listening().count(OUTSIDE + ":5060") == 1)


def test_accounts_without_a_gateway(kit):
    gateway = kit.gateway(authentication="local", start=False)
    made = json.loads(gateway.command("account", "add", "1001", "--json").stdout)
    check(len(made["password"]) == 20, "no password of 20 characters: %s" % made)
    check(gateway.command("account", "add", "1001", ok=False).returncode == 1, "it was added twice")
    changed = gateway.command("account", "password", "1001", "--password-file", "-", stdin="brought along\n")
    check("brought along" not in changed.stdout, "a password that was given is shown")
    gateway.command("account", "add", "1002")
    gateway.command("account", "remove", "1002")
    check(gateway.command("account", "remove", "1002", ok=False).returncode == 1, "it was removed twice")
    check(gateway.command("account", "add", "a b", ok=False).returncode == 2, "a user with a blank was taken")
    gateway.start()
    users = [account["user"] for account in json.loads(gateway.command("account", "list", "--json").stdout)["accounts"]]
    check(users == ["1001"], "after the start there are %s" % users)
    check(gateway.command("account", "frobnicate", ok=False).returncode == 2, "an unknown action is no usage error")


def test_usage_errors_are_clear(kit):
    for arguments, word in ((["frobnicate"], "frobnicate"), (["status", "--frobnicate"], "--frobnicate"),
                            (["check", "--explain"], "--explain"), (["hangup"], "CALL"), (["calls", "all"], "all"),
                            (["testcall", "sip:600@" + OUTSIDE, "--user", "1001"], "--password-file"),
                            (["version", "--json=yes"], "--json"), (["help", "nobody"], "nobody")):
        result = kit.run([kit.binary] + arguments, ok=False)
        check(result.returncode == 2 and word in result.stderr and not result.stdout,
              "%s: exit code %d: %s" % (arguments, result.returncode, result.stderr))
    check("--explain" in kit.run([kit.binary, "check", "--help"]).stdout, "check --help does not help")
    check("encryption" in kit.run([kit.binary, "check", "--explain", "zones.media.encryption"]).stdout, "no explanation")
    check(kit.run([kit.binary, "check", "--explain", "zones.colour"], ok=False).returncode == 1, "zones.colour is known")
    example = kit.write("example.yaml", kit.run([kit.binary, "check", "--example"]).stdout)
    check("is good" in kit.run([kit.binary, "-c", example, "check"]).stdout, "the example is not good")


def newcomer(kit, prefix, environment):
    """`ringwall run` without a configuration: reads the screen, and runs the line that it offers."""
    if os.path.exists("/etc/ringwall/ringwall.yaml"):
        raise Skip("this machine has a configuration of its own")
    run = kit.start("ringwall", prefix + [kit.binary, "run"], environment=environment)
    screen = run.wait_output(r"(?s)Ringwall .* is running.*Server +(\S+).*Password +(\S{20}).*Ctrl-C", 15)
    check(re.search(r"SRTP.*mandatory", run.output()), "the screen does not ask for encryption")
    line = re.search(r"(?s)(\S+ testcall .*?authorities \S+)", run.output()).group(1).replace("\\\n", " ")
    result = kit.run(prefix + shlex.split(line), 60)
    check("PASSED" in result.stdout and "AES" in result.stdout, "the test call says: " + result.stdout)
    check(screen.group(2) not in " ".join(shlex.split(line)), "the password is on a command line")
    run.signal(signal.SIGTERM)
    check(run.wait(8) == 0, "it ended with %s" % run.popen.returncode)


def test_newcomer_as_root(kit):
    if os.geteuid() != 0:
        raise Skip("needs root")
    # What root's default directory holds is hidden from this test, and it from the test.
    kit.run(["mount", "-t", "tmpfs", "none", "/var/lib"])
    newcomer(kit, [], {})


def test_newcomer_as_ordinary_user(kit):
    state = kit.path("home")
    os.makedirs(state)
    if os.geteuid() != 0:
        raise Skip("needs root to become somebody else")
    for directory in (kit.directory, state):
        os.chmod(directory, 0o755)
    os.chown(state, 65534, 65534)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if kit.run(nobody + [kit.binary, "version"], ok=False).returncode != 0:
        raise Skip("nobody may not run " + kit.binary)
    newcomer(kit, nobody, {"XDG_STATE_HOME": state})
