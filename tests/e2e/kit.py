# SPDX-License-Identifier: Apache-2.0
"""The kit of the end-to-end tests: a test's own network, its processes, and the gateway.

A test is a function `test_...(kit)`. It runs in a process of its own, inside a network namespace of its own, so that
addresses and ports can be those of the example configuration, and tests can run side by side:

    phones, 198.51.100.0/24           the gateway                   inside, 10.0.0.0/24
    198.51.100.2, .6, .10 ... each    203.0.113.7 outside           10.0.0.10  the PBX
    in a namespace of its own, joined 10.0.0.1    inside            10.0.0.66  a stranger inside
    by a veth pair; 198.51.100.130
    and up on the gateway's machine, for programs that bind to an address (sipp)

Nothing leaves the machine: there is no route out of the namespace."""

import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))

OUTSIDE = "203.0.113.7"
OUTSIDE6, PHONE6, PHONE6_OTHER = "2001:db8:1::7", "2001:db8:2::2", "2001:db8:2::3"
INSIDE6, PBX6 = "2001:db8:3::1", "2001:db8:3::10"
INSIDE = "10.0.0.1"
PBX = "10.0.0.10"
STRANGER_INSIDE = "10.0.0.66"
DOMAIN = "voip.example.org"
PHONES_BOUND = ["198.51.100.%d" % n for n in range(130, 146)]
STRANGER = "192.0.2.66"

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
PR_SET_PDEATHSIG = 1

libc = ctypes.CDLL(None, use_errno=True)


class Skip(Exception):
    """The machine cannot run this test; the text says why."""


class Failure(AssertionError):
    """What a user would have noticed."""


def check(condition, text):
    if not condition:
        raise Failure(text)


def wait_for(what, predicate, timeout_s=10.0, step_s=0.05):
    """Returns the first true value of predicate(); fails naming `what` after timeout_s."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure("waited %.0f s in vain for: %s" % (timeout_s, what))
        time.sleep(step_s)


def need(program):
    """The program's path, or Skip."""
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise Skip(program + " is not installed")
    return path


def enter_namespace():
    """Moves this process into a network (and mount) namespace of its own, through a user namespace if not root."""
    uid, gid = os.geteuid(), os.getegid()
    flags = CLONE_NEWNET | CLONE_NEWNS
    if uid != 0:
        flags |= CLONE_NEWUSER
    if libc.unshare(flags) != 0:
        raise Skip("network namespaces are not permitted: " + os.strerror(ctypes.get_errno()))
    if uid != 0:
        for name, text in (("setgroups", "deny"), ("uid_map", "0 %d 1" % uid), ("gid_map", "0 %d 1" % gid)):
            with open("/proc/self/" + name, "w") as file:
                file.write(text)
    if libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        raise Skip("mount namespaces are not permitted: " + os.strerror(ctypes.get_errno()))


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A program under test or a peer, in a process group of its own, its output in a file."""

    def __init__(self, kit, name, arguments, stdin=None, environment=None, directory=None, phone=None):
        self.kit, self.name = kit, name
        self.log = os.path.join(kit.directory, name + ".log")
        prefix = phone.prefix if phone else []
        merged = {**os.environ, "HOME": kit.directory, "LC_ALL": "C.UTF-8", **(environment or {})}
        with open(self.log, "ab") as output:
            self.popen = subprocess.Popen(
                prefix + list(arguments), stdin=stdin or subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=merged, cwd=directory or kit.directory, start_new_session=True, preexec_fn=die_with_parent)
        kit.note_process(self)

    @property
    def pid(self):
        return self.popen.pid

    def output(self):
        with open(self.log, "rb") as file:
            return file.read().decode("utf-8", "replace")

    def running(self):
        return self.popen.poll() is None

    def say(self, text):
        """Types a line into the program."""
        self.popen.stdin.write((text + "\n").encode())
        self.popen.stdin.flush()

    def wait_output(self, pattern, timeout_s=10.0, count=1):
        """The match of the count-th place where the output has `pattern`."""
        def found():
            matches = list(re.finditer(pattern, self.output()))
            if len(matches) >= count:
                return matches[count - 1]
            if not self.running() and not list(re.finditer(pattern, self.output()))[count - 1:]:
                raise Failure("%s ended (%s) without saying %r" % (self.name, self.popen.returncode, pattern))
            return None
        return wait_for("%s to say %r" % (self.name, pattern), found, timeout_s)

    def wait(self, timeout_s=30.0):
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise Failure("%s did not end within %.0f s" % (self.name, timeout_s)) from None

    def signal(self, number):
        if self.running():
            os.kill(self.pid, number)

    def end(self, patience_s=2.0):
        """Asks the group to end, then insists. Only ever the group this kit started."""
        for number, wait_s in ((signal.SIGTERM, patience_s), (signal.SIGKILL, 2.0)):
            try:
                os.killpg(self.pid, number)
            except (ProcessLookupError, PermissionError):
                pass
            try:
                self.popen.wait(wait_s)
            except subprocess.TimeoutExpired:
                continue
            try:
                os.killpg(self.pid, 0)
            except (ProcessLookupError, PermissionError):
                break
        if self.popen.stdin:
            try:
                self.popen.stdin.close()
            except OSError:
                pass


class Phone:
    """A place of its own for one client: a network namespace with one address, one way out and its own host names."""

    def __init__(self, kit, number):
        self.address = "198.51.100.%d" % (4 * number + 2)
        self.router = "198.51.100.%d" % (4 * number + 1)
        self.link = "phone%d" % number
        holder = Process(kit, "hold-" + self.link, ["unshare", "--net", "--mount", "sleep", "600"])
        wait_for("the namespace of " + self.link, lambda: self.has_moved(holder))
        self.prefix = ["nsenter", "--target", str(holder.pid), "--net", "--mount"]
        kit.ip("link add %s type veth peer name eth0 netns %d" % (self.link, holder.pid))
        kit.ip("addr add %s/30 dev %s" % (self.router, self.link))
        kit.ip("link set %s up" % self.link)
        for command in ("link set lo up", "addr add %s/30 dev eth0" % self.address, "link set eth0 up",
                        "route add default via %s" % self.router):
            kit.run(self.prefix + ["ip"] + command.split())
        hosts = os.path.join(kit.directory, "hosts")
        with open(hosts, "w") as file:
            file.write("127.0.0.1 localhost\n%s %s\n" % (OUTSIDE, DOMAIN))
        kit.run(self.prefix + ["mount", "--bind", hosts, "/etc/hosts"])
        self.names = kit.start("dns-" + self.link, [sys.executable, os.path.join(HERE, "dns.py"), DOMAIN, OUTSIDE],
                               phone=self)
        self.names.wait_output("ready")

    @staticmethod
    def has_moved(holder):
        try:
            return (os.readlink("/proc/%d/ns/net" % holder.pid) != os.readlink("/proc/self/ns/net")
                    and os.readlink("/proc/%d/exe" % holder.pid).endswith("sleep"))
        except OSError:
            return False


class Kit:
    def __init__(self, directory, binary):
        self.directory, self.binary = directory, binary
        self.processes, self.phones, self.counter = [], 0, 0
        self.captures = []

    # ---- processes -----------------------------------------------------------------------------

    def note_process(self, process):
        self.processes.append(process)
        with open(os.path.join(self.directory, "pids"), "a") as file:
            file.write("%d\n" % process.pid)

    def start(self, name, arguments, **more):
        self.counter += 1
        return Process(self, "%02d-%s" % (self.counter, name), arguments, **more)

    def run(self, arguments, timeout_s=20.0, ok=True, stdin=None):
        """Runs to the end; fails if ok and the exit code is not 0."""
        result = subprocess.run(arguments, input=stdin, capture_output=True, text=True, timeout=timeout_s,
                                env=dict(os.environ, HOME=self.directory), cwd=self.directory,
                                preexec_fn=die_with_parent)
        if ok and result.returncode != 0:
            raise Failure("%s: exit code %d: %s%s" % (" ".join(arguments), result.returncode, result.stdout[-2000:],
                                                      result.stderr[-2000:]))
        return result

    def ip(self, command):
        return self.run([need("ip")] + command.split())

    def close(self):
        for process in reversed(self.processes):
            process.end()

    def check_logs(self):
        """After close: fails if a sanitizer's report is in the output of any program, whatever the test saw."""
        for process in self.processes:
            found = re.search(r"(?m)^.*(ERROR: \w+Sanitizer|runtime error:|Sanitizer: ).*$", process.output())
            check(not found, "%s: %s" % (process.name, found and found.group(0)))

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    # ---- the network ---------------------------------------------------------------------------

    def network(self):
        enter_namespace()
        self.ip("link set lo up")
        for address in [OUTSIDE, INSIDE, PBX, STRANGER_INSIDE, STRANGER] + PHONES_BOUND:
            self.ip("addr add %s/32 dev lo" % address)
        for address in (OUTSIDE6, PHONE6, PHONE6_OTHER, INSIDE6, PBX6):
            self.ip("addr add %s/128 dev lo nodad" % address)

    def forward(self):
        """Lets phones reach each other directly, which they otherwise cannot: what they hear came through the gateway."""
        with open("/proc/sys/net/ipv4/ip_forward", "w") as file:
            file.write("1")

    def phone(self):
        self.phones += 1
        return Phone(self, self.phones - 1)

    def wait_listening(self, transport, address, port, timeout_s=10.0):
        """Until a socket listens there (asked of the kernel: no packet is sent)."""
        flag = {"udp": "-lnu", "tcp": "-lnt", "tls": "-lnt"}[transport]
        wait_for("%s:%s:%d to listen" % (transport, address, port),
                 lambda: re.search(r"[\[ ]%s\]?:%d " % (re.escape(address), port),
                                   self.run([need("ss"), flag]).stdout), timeout_s)

    def certificates(self):
        """A private authority and a certificate for the gateway's names. Returns (authority, certificate, key)."""
        authority, certificate, key = self.path("ca.pem"), self.path("tls.crt"), self.path("tls.key")
        if os.path.exists(certificate):
            return authority, certificate, key
        openssl = need("openssl")
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        self.run([openssl, "req", "-x509"] + curve + ["-keyout", self.path("ca.key"), "-out", authority, "-subj",
                                                      "/CN=Test authority"])
        self.run([openssl, "req"] + curve[:-2] + ["-keyout", key, "-out", self.path("tls.csr"), "-subj",
                                                  "/CN=" + DOMAIN])
        extensions = self.write("tls.ext", "subjectAltName=DNS:%s,IP:%s,IP:%s\n" % (DOMAIN, OUTSIDE, OUTSIDE6))
        self.run([openssl, "x509", "-req", "-in", self.path("tls.csr"), "-CA", authority, "-CAkey",
                  self.path("ca.key"), "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", certificate])
        os.chmod(key, 0o600)
        return authority, certificate, key

    # ---- the gateway ---------------------------------------------------------------------------

    def gateway(self, **options):
        return Gateway(self, **options)


CONFIGURATION = """\
site:
  domain: {domain}
  country: GB
  emergency: ["999", "112"]

state_directory: {state}
tls:
  certificate: {certificate}
  key: {key}

zones:
  - name: phones
    kind: access
    listen: [{listen}]
    authentication: {authentication}
{zone}    media: {{address: [{outside}, "{outside6}"], ports: "20000-20999", encryption: {encryption}}}

  - name: pbx
    kind: core
    listen: ["udp:{inside_host}:5060"]
    peers: ["{peer}"]
    watch: 0
    media: {{address: "{inside}", ports: "30000-30999", encryption: none}}

routes:
  - {{from: phones, to: pbx}}
  - {{from: pbx, to: phones, when: registered}}
{more}"""


class Gateway:
    """`ringwall run` on a generated configuration, and the commands that ask it."""

    def __init__(self, kit, authentication="relay", encryption="required", transports=("udp", "tcp", "tls"), more="",
                 peer="sip:%s:5060;transport=udp" % PBX, inside=INSIDE, zone="", start=True):
        self.kit, self.process = kit, None
        self.state = kit.path("state")
        os.makedirs(self.state, exist_ok=True)
        self.options = {"authentication": authentication, "encryption": encryption, "more": more, "peer": peer, "zone": zone,
                        "transports": transports, "inside": inside}
        self.file = self.configure()
        if start:
            self.start()

    def configure(self, **changes):
        self.options.update(changes)
        _, certificate, key = self.kit.certificates()
        ports = {"udp": 5060, "tcp": 5060, "tls": 5061, "wss": 8443}
        listen = ", ".join('"%s:%s:%d"' % (name, OUTSIDE, ports[name]) for name in self.options["transports"])
        listen += ', "udp:[%s]:5060", "tcp:[%s]:5060", "tls:[%s]:5061"' % (OUTSIDE6, OUTSIDE6, OUTSIDE6)
        inside = self.options["inside"]
        values = {name: value for name, value in self.options.items() if name != "transports"}
        text = CONFIGURATION.format(domain=DOMAIN, state=self.state, certificate=certificate, key=key, listen=listen,
                                    outside=OUTSIDE, outside6=OUTSIDE6,
                                    inside_host="[%s]" % inside if ":" in inside else inside, **values)
        self.file = self.kit.write("ringwall.yaml", text)
        return self.file

    def start(self, prefix=()):
        self.process = self.kit.start("ringwall", list(prefix) + [self.kit.binary, "run", "-c", self.file])
        self.wait_ready()
        return self

    def wait_ready(self, timeout_s=15.0):
        def ready():
            if not self.process.running():
                raise Failure("ringwall ended (%s): %s" % (self.process.popen.returncode,
                                                           self.process.output()[-2000:]))
            result = self.command("status", "--json", ok=False)
            if result.returncode != 0:
                return False
            try:
                return json.loads(result.stdout).get("ready", True)
            except ValueError:
                return False
        wait_for("ringwall to be ready", ready, timeout_s)

    def command(self, *arguments, ok=True, stdin=None, timeout_s=20.0, file=None):
        return self.kit.run([self.kit.binary] + list(arguments) + ["-c", file or self.file], ok=ok, stdin=stdin,
                            timeout_s=timeout_s)

    def ask(self, what, file=None):
        """The answer of `ringwall WHAT --json`; lists come as a list whatever object holds them."""
        answer = json.loads(self.command(what, "--json", file=file).stdout)
        if isinstance(answer, dict) and isinstance(answer.get(what), list):
            return answer[what]
        return answer

    def calls(self):
        return self.ask("calls")

    def ask_ended(self):
        """The calls that were answered and have ended, the oldest first."""
        return json.loads(self.command("calls", "--ended", "--json").stdout)["calls"]

    def registrations(self):
        return self.ask("registrations")

    def wait_calls(self, count, timeout_s=10.0):
        wait_for("%d calls in `ringwall calls`" % count, lambda: len(self.calls()) == count, timeout_s, 0.1)
        return self.calls()

    def wait_registrations(self, count, timeout_s=10.0):
        wait_for("%d bindings in `ringwall registrations`" % count, lambda: len(self.registrations()) == count,
                 timeout_s, 0.1)
        return self.registrations()

    def stop(self, within_s=5.0):
        """SIGTERM; fails if it does not end in time or not with 0."""
        started = time.monotonic()
        self.process.signal(signal.SIGTERM)
        code = self.process.wait(within_s + 3)
        taken = time.monotonic() - started
        check(taken <= within_s + 0.5, "ringwall needed %.1f s to end" % taken)
        check(code == 0, "ringwall ended with exit code %d: %s" % (code, self.process.output()[-1500:]))
        return taken

    def restart(self):
        self.stop()
        return self.start()


def udp_socket(address, port=0):
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    sock.settimeout(2.0)
    return sock


def ask_udp(sock, destination, text, timeout_s=2.0):
    """Sends a message (LF becomes CRLF) and returns the next datagram, or None."""
    sock.settimeout(timeout_s)
    sock.sendto(re.sub(r"\r?\n", "\r\n", text).encode(), destination)
    try:
        return sock.recvfrom(65535)[0].decode("utf-8", "replace")
    except socket.timeout:
        return None
