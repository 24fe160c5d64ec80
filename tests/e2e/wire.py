# SPDX-License-Identifier: Apache-2.0
"""What is on the wire: dumpcap records a test's own network, tshark reads it afterwards."""

import array
import os
import re
import signal
import time
import wave

import kit as library

# Where outsiders are; the rest of the test's network is inside.
OUTSIDE_NETS = "(ip.addr == 203.0.113.0/24 || ip.addr == 198.51.100.0/24 || ip.addr == 192.0.2.0/24)"
# What must never be read outside: the inside's addresses and the PBX's name.
INNER_TEXTS = ["10.0.0.", "InnerPBX", "InnerPhone", "Kamailio", "kamailio"]
# What must never be read inside of the phones' side.
OUTER_TEXTS = ["203.0.113.", "198.51.100.", "OuterPhone", "baresip", "Linphone"]


class Capture:
    def __init__(self, kit, interfaces=("lo",), capture_filter="udp or tcp"):
        self.kit = kit
        self.file = kit.path("capture-%d.pcap" % kit.counter)
        self.tshark = library.need("tshark")
        arguments = [library.need("dumpcap"), "-q", "-P", "-w", self.file]
        for interface in interfaces:
            arguments += ["-i", interface, "-f", capture_filter]
        self.process = kit.start("dumpcap", arguments)
        try:
            self.process.wait_output("File:", 10)
        except library.Failure:
            if re.search("(?i)permission", self.process.output()):
                raise library.Skip("capturing is not permitted") from None
            raise
        time.sleep(0.2)

    def stop(self):
        """Ends the recording; needed before it is read."""
        if self.process.running():
            time.sleep(0.3)
            self.process.signal(signal.SIGINT)
            self.process.wait(10)
        return self

    def packets(self, display_filter, *fields):
        """A tuple of the fields' texts for each packet the filter lets through."""
        self.stop()
        arguments = [self.tshark, "-n", "-r", self.file, "-Y", display_filter, "-T", "fields", "-E", "separator=\t"]
        for field in fields or ("frame.number",):
            arguments += ["-e", field]
        output = self.kit.run(arguments, 60).stdout
        return [tuple(line.split("\t")) for line in output.splitlines()]

    def count(self, display_filter):
        return len(self.packets(display_filter))

    def check_absent(self, texts, display_filter, where):
        """Fails, showing one, if any packet the filter selects holds one of the texts. The filter must select some."""
        library.check(self.count(display_filter) > 0, "no packet was seen " + where)
        for text in texts:
            found = self.packets('(%s) && frame contains "%s"' % (display_filter, text), "frame.number", "ip.src",
                                 "ip.dst", "sip.Method", "sip.Status-Line")
            library.check(not found, "%r was seen %s: %s" % (text, where, found[:3]))

    def check_topology_hidden(self):
        """Nothing of the inside in what outsiders see, nor of the phones in what the PBX sees."""
        self.check_absent(INNER_TEXTS, OUTSIDE_NETS + " && udp", "outside")
        self.check_absent(OUTER_TEXTS, "ip.addr == %s && udp" % library.PBX, "inside")

    def sip_values(self, field, display_filter):
        """The distinct values of a field, say sip.Call-ID."""
        return {row[0] for row in self.packets("sip && (%s)" % display_filter, field) if row[0]}

    def media(self, display_filter):
        """UDP payloads of what is no SIP, as bytes, in order."""
        rows = self.packets("udp && !icmp && udp.port != 5060 && udp.port != 5061 && (%s)" % display_filter,
                            "udp.payload")
        return [bytes.fromhex(row[0].replace(":", "")) for row in rows if row[0]]

    def rtp(self, display_filter, payload_types=(0, 8)):
        """Those of media() that are RTP of such a type: (type, sequence, payload)."""
        return [(p[1] & 127, int.from_bytes(p[2:4], "big"), p[12:]) for p in self.media(display_filter)
                if len(p) >= 12 and p[0] == 0x80 and p[1] & 127 in payload_types]

    def rtp_sound(self, display_filter, name="wire.wav"):
        """Decodes the PCMA or PCMU that an eavesdropper would hear into a wav file; returns its path."""
        samples = array.array("h")
        for kind, _, payload in self.rtp(display_filter):
            table = ALAW if kind == 8 else ULAW
            samples.extend(table[byte] for byte in payload)
        path = os.path.join(self.kit.directory, name)
        with wave.open(path, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(samples.tobytes())
        return path


def alaw_table():
    """G.711 A-law, all 256 codes to 16-bit samples."""
    table = []
    for code in range(256):
        code ^= 0x55
        mantissa, segment = (code & 15) << 4, (code >> 4) & 7
        value = mantissa + 8 if segment == 0 else (mantissa + 0x108) << (segment - 1)
        table.append(value if code & 0x80 else -value)
    return table


def ulaw_table():
    """G.711 mu-law."""
    table = []
    for code in range(256):
        code = ~code & 0xFF
        value = ((((code & 15) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84
        table.append(-value if code & 0x80 else value)
    return table


ALAW, ULAW = alaw_table(), ulaw_table()
