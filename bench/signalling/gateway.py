# SPDX-License-Identifier: Apache-2.0
"""The gateway under load: an access zone and a core zone on loopback, all of its processes."""

import os
import subprocess

import bench

CONFIGURATION = """\
site:
  domain: {outside}
state_directory: {state}
zones:
  - name: phones
    kind: access
    listen: ["udp:{outside}:5060", "tls:{outside}:5061"]
    authentication: {authentication}
    registrations: {{expires: 1h, expires_udp: 1h, registrar_expires: 2h}}
    media: {{address: {outside}, ports: "10000-59999", encryption: none}}
  - name: pbx
    kind: core
    listen: ["udp:{inside}:5060"]
    peers: ["sip:{peer};transport=udp"]
    media: {{address: {inside}, ports: "10000-59999", encryption: none}}
routes:
  - {{from: phones, to: pbx}}
  - {{from: pbx, to: phones, when: registered}}
limits:
  calls: 20000
  connections: 20000
  connections_per_source: 2000
  transactions: 500000
  idle_timeout: 2h
log: {{level: warning}}
"""


class Gateway(bench.Process):
    def __init__(self, place, binary, peer, authentication="none"):
        state = place.path("state")
        os.makedirs(state, exist_ok=True)
        self.binary = binary
        self.file = place.write("ringwall.yaml", CONFIGURATION.format(
            outside=bench.OURS_OUTSIDE, inside=bench.OURS_INSIDE, peer=peer, state=state,
            authentication=authentication))
        super().__init__(place, "ringwall", [binary, "run", "-c", self.file])
        bench.wait_for("ringwall to be ready: " + self.tail(), self.ready)

    def ready(self):
        if not self.running():
            raise SystemExit("ringwall ended: " + self.tail())
        return subprocess.run([self.binary, "status", "--json", "-c", self.file], capture_output=True).returncode == 0
