# SPDX-License-Identifier: Apache-2.0
"""What the parts of the signalling benchmark share: processes in a directory of their own, their CPU and memory, and
one JSON line a result. Everything is on loopback, on addresses of this benchmark's own."""

import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")

CALLERS, OURS_OUTSIDE, OURS_INSIDE, THEIRS, THEIRS_MEDIA, CALLEES = ("127.0.33.%d" % n for n in range(1, 7))
PHONES = ["127.0.33.%d" % n for n in range(101, 121)]


def say(text):
    print(text, file=sys.stderr, flush=True)


def need(program):
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        sys.exit("%s is not installed: scripts/setup.sh test bench" % program)
    return path


def raise_limits():
    """Descriptors for ten thousand connections or a few thousand calls: what a service unit would set."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for wanted in (262144, hard):
        try:
            return resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
        except ValueError:  # not ours to raise
            continue
    return None


def wait_for(what, predicate, timeout_s=15.0):
    deadline = time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() > deadline:
            sys.exit("waited %.0f s in vain for %s" % (timeout_s, what))
        time.sleep(0.1)


class Process:
    """A program in a session of its own, its output in a file; ended with the place."""

    def __init__(self, place, name, arguments, **more):
        self.name, self.log = name, place.path(name + ".log")
        self.patience_s = more.pop("patience_s", 6)
        with open(self.log, "ab") as output:
            self.popen = subprocess.Popen([str(a) for a in arguments], stdout=more.pop("stdout", output),
                                          stderr=output, stdin=more.pop("stdin", subprocess.DEVNULL),
                                          cwd=place.directory, start_new_session=True, **more)
        self.pid = self.popen.pid
        place.processes.append(self)

    def family(self):
        """Its process ids and those of all its descendants."""
        children = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    children.setdefault(stat_fields(entry)[1], []).append(int(entry))
                except OSError:
                    continue
        found, ahead = [], [self.pid]
        while ahead:
            pid = ahead.pop()
            found.append(pid)
            ahead += children.get(str(pid), [])
        return found

    def cpu_s(self):
        """User and system time of the whole family."""
        total = 0
        for pid in self.family():
            try:
                fields = stat_fields(pid)
            except OSError:
                continue
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def memory_bytes(self):
        """Proportional set size of the whole family, each shared page counted once, but for pages of files: those are
        shared with whoever else runs on the machine."""
        total = 0
        for pid in self.family():
            try:
                with open("/proc/%d/smaps_rollup" % pid) as file:
                    total += sum(int(line.split()[1]) for line in file if line.startswith(("Pss_Anon:", "Pss_Shmem:")))
            except OSError:
                continue
        return total * 1024

    def running(self):
        return self.popen.poll() is None

    def tail(self):
        with open(self.log, errors="replace") as file:
            return file.read()[-1500:]

    def end(self):
        """Asks the processes of its session to end, then insists."""
        family = self.family() if self.running() else []
        for number, patience_s in ((signal.SIGTERM, self.patience_s), (signal.SIGKILL, 3)):
            if self.running():
                self.popen.send_signal(number)
                try:
                    self.popen.wait(patience_s)
                except subprocess.TimeoutExpired:
                    continue
        for pid in family[1:]:  # what a killed parent has left behind
            try:
                if os.getsid(pid) == self.pid:
                    os.kill(pid, signal.SIGKILL)
            except OSError:
                continue


def stat_fields(pid):
    """The fields of /proc/PID/stat after the program's name: state, parent, ..."""
    with open("/proc/%s/stat" % pid) as file:
        return file.read().rsplit(")", 1)[1].split()


class Place:
    """A directory and the processes started in it; `with Place() as place`."""

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="ringwall-bench-")
        os.chmod(self.directory, 0o755)
        self.processes = []
        raise_limits()
        return self

    def __exit__(self, kind, value, trace):
        for process in reversed(self.processes):
            process.end()
        if os.environ.get("KEEP"):
            say("kept: " + self.directory)
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)

    def certificate(self):
        """A self-made certificate and its key, like the one the gateway makes."""
        certificate, key = self.path("tls.crt"), self.path("tls.key")
        if not os.path.exists(certificate):
            subprocess.run([need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
                            "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-keyout", key, "-out",
                            certificate, "-subj", "/CN=bench"], check=True, capture_output=True)
            os.chmod(key, 0o600)
        return certificate, key


def listens_udp(address, port):
    """Whether someone holds the port: binding it fails."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, port))
            return False
        except OSError:
            return True


def result(**fields):
    print(json.dumps(fields), flush=True)
