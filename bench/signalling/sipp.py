# SPDX-License-Identifier: Apache-2.0
"""sipp as callers and callees. Quiet: no screen, no traces but one line of counts a second."""

import csv
import subprocess

import bench


class Callees(bench.Process):
    def __init__(self, place, port):
        super().__init__(place, "callees-%d" % port, [
            bench.need("sipp"), "-sf", bench.HERE / "uas.xml", "-i", bench.CALLEES, "-p", port, "-t", "u1", "-nostdin",
            "-nd", "-buff_size", 4000000], stdout=subprocess.DEVNULL, patience_s=0.2)
        bench.wait_for("sipp to listen", lambda: bench.listens_udp(bench.CALLEES, port))


class Callers(bench.Process):
    """`calls` calls at `rate` a second, each `length_ms` long."""

    def __init__(self, place, remote, rate, calls, length_ms, port=5060):
        self.calls, self.rate = calls, rate
        self.statistics = place.path("callers-%s-%d.csv" % (remote, len(place.processes)))
        super().__init__(place, "callers", [
            bench.need("sipp"), "-sf", bench.HERE / "uac.xml", "-i", bench.CALLERS, "-p", port, "-t", "u1", "-nostdin",
            "-nd", "-buff_size", 4000000, "-m", calls, "-r", rate, "-d",
            length_ms, "-l", 100000, "-recv_timeout", 20000, "-trace_stat", "-fd", 1, "-stf", self.statistics,
            "-timeout", int(calls / rate) + 60, "-timeout_error", "%s:5060" % remote], stdout=subprocess.DEVNULL)

    def finish(self):
        """Waits for the last call. Returns what became of them."""
        self.popen.wait(self.calls / self.rate + 90)
        with open(self.statistics) as file:
            last = list(csv.DictReader(file, delimiter=";"))[-1]
        return {"successful": int(last["SuccessfulCall(C)"]), "failed": int(last["FailedCall(C)"]),
                "retransmissions": int(last["Retransmissions(C)"])}
