# SPDX-License-Identifier: Apache-2.0
"""Network namespaces of this benchmark's own: A's phones, B's phones and a machine between them, joined by veth pairs whose phones'
ends behave as cards do (checksums in the packets, what is sent back is taken)."""

import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "signalling"))

import bench  # noqa: E402

CLONE_NEWNET, PR_SET_PDEATHSIG = 0x40000000, 1
A, B, OUTSIDE, INSIDE = "198.51.100.2", "10.0.0.2", "198.51.100.1", "10.0.0.1"
libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def ip(arguments, prefix=()):
    subprocess.run([*prefix, bench.need("ip"), *arguments.split()], check=True)


class Namespace:
    """Lives as long as a process that sleeps in it."""

    def __init__(self, place, name):
        self.holder = bench.Process(place, name, ["unshare", "--net", "sleep", "86400"], preexec_fn=die_with_parent)
        self.pid = self.holder.pid
        bench.wait_for("a namespace", self.is_there)
        self.prefix = ["nsenter", "--target", str(self.pid), "--net"]
        ip("link set lo up", self.prefix)

    def is_there(self):
        with contextlib.suppress(OSError):
            return os.readlink(f"/proc/{self.pid}/exe").endswith("sleep")

    @contextlib.contextmanager
    def inside(self):
        """Sockets that are opened meanwhile are in it, and stay there."""
        own, other = (os.open(f"/proc/{which}/ns/net", os.O_RDONLY) for which in ("thread-self", self.pid))
        if libc.setns(other, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            libc.setns(own, CLONE_NEWNET)
            os.close(own)
            os.close(other)

    def udp(self):
        """What the kernel has counted of UDP: InDatagrams, RcvbufErrors, ..."""
        names, values = [line.split()[1:] for line in pathlib.Path(f"/proc/{self.pid}/net/snmp").read_text().splitlines()
                         if line.startswith("Udp:")]
        return dict(zip(names, map(int, values)))

    def socket_drops(self):
        """Packets that its open UDP sockets had no room for. /proc/net/snmp does not know of all of them."""
        lines = pathlib.Path(f"/proc/{self.pid}/net/udp").read_text().splitlines()[1:]
        return sum(int(line.split()[-1]) for line in lines)

    def link_drops(self):
        """Packets that its interfaces have dropped, received or to be sent."""
        lines = pathlib.Path(f"/proc/{self.pid}/net/dev").read_text().splitlines()[2:]
        return sum(int(fields[3]) + int(fields[11]) for fields in (line.split(":")[1].split() for line in lines))

    def card(self, address, route):
        """Its end of a pair, named eth0, is set up as a phone's. GRO when it is up, or its peer is not told that it may redirect."""
        for command in (f"addr add {address} dev eth0", "link set eth0 up", f"route add default {route}"):
            ip(command, self.prefix)
        for features in ("tx off", "gro on"):
            subprocess.run([*self.prefix, bench.need("ethtool"), "-K", "eth0", *features.split()], check=True,
                           capture_output=True)


class Network:
    """A's phones -- OUTSIDE, machine, INSIDE -- B's phones; or, `direct`, both phones at the two ends of one pair."""

    def __init__(self, place, name, direct=False):
        self.a, self.b = (Namespace(place, f"{name}-{side}") for side in "ab")
        self.machine = None if direct else Namespace(place, f"{name}-machine")
        if direct:
            ip(f"link add eth0 netns {self.a.pid} type veth peer name eth0 netns {self.b.pid}")
            self.a.card(A + "/32", "dev eth0")
            self.b.card(B + "/32", "dev eth0")
            return
        for phones, link, own, address in ((self.a, "outside", OUTSIDE, A), (self.b, "inside", INSIDE, B)):
            ip(f"link add {link} netns {self.machine.pid} type veth peer name eth0 netns {phones.pid}")
            ip(f"addr add {own}/24 dev {link}", self.machine.prefix)
            ip(f"link set {link} up", self.machine.prefix)
            phones.card(address + "/24", f"via {own}")
