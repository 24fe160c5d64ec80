# SPDX-License-Identifier: Apache-2.0
"""baresip and Linphone as softphones, each in a namespace of its own, and the proof that they heard something."""

import array
import glob
import math
import os
import re
import socket
import time
import wave

import kit as library
from kamailio import USERS

BARESIP_MODULES = "/usr/lib/baresip/modules"

BARESIP_CONFIGURATION = """\
poll_method epoll
sip_listen {address}:5060
dns_server 127.0.0.1:53
sip_trans_bsize 128
call_local_timeout 60
call_max_calls 4
audio_path {directory}
audio_source {source}
audio_player {player}
audio_alert {player}
ausrc_srate 48000
auplay_srate 48000
ausrc_channels 2
auplay_channels 2
audio_level no
rtp_tos 184
rtcp_mux no
jitter_buffer_delay 5-10
net_interface {interface}
module_path {modules}
module stdio.so
module g711.so
module ausine.so
module aubridge.so
module sndfile.so
module srtp.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
{more}ctrl_tcp_listen 127.0.0.1:4444
snd_path {directory}/sound
"""


class Baresip:
    """`tone_hz`: what it says; 0: it echoes what it hears. What it hears is written to files (see heard)."""

    def __init__(self, kit, user, transport="tls", encryption="srtp-mand", tone_hz=440, server=library.OUTSIDE,
                 answer=False, password=None, register=True, port=0, where=None, domain=library.DOMAIN, outbound=False,
                 modules=()):
        self.kit, self.user, self.domain = kit, user, domain
        self.where = where or kit.phone()
        self.directory = kit.path("baresip-%s-%d" % (user, kit.phones))
        os.makedirs(self.directory + "/sound")
        port = port or (5061 if transport == "tls" else 5060)
        name = os.path.basename(self.directory)
        bridge = "aubridge,echo" if tone_hz == 0 else "aubridge,sink"
        kit.write(name + "/config", BARESIP_CONFIGURATION.format(
            address=self.where.address, directory=self.directory, modules=BARESIP_MODULES, interface="eth0",
            more="".join("module_app %s.so\n" % name for name in modules),
            source="ausine,%d" % tone_hz if tone_hz else bridge, player=bridge))
        kit.write(name + "/contacts", "")
        kit.write(name + "/accounts", (
            '<sip:{user}@{domain}>;auth_user={user};auth_pass={password};'
            'outbound="sip:{server}:{port};transport={transport}";regint={regint};ptime=20;audio_codecs=PCMA/8000/1;'
            'answermode={answer}{nat}{media}\n').format(
                user=user, domain=domain, password=password or USERS[user], server=server, port=port,
                transport=transport, regint=120 if register else 0, answer="auto" if answer else "manual",
                nat=";sipnat=outbound" if outbound else "", media=";mediaenc=" + encryption if encryption else ""))
        self.start(register)

    def start(self, register=True):
        self.process = self.kit.start("baresip-" + self.user,
                                      [library.need("baresip"), "-f", self.directory, "-4", "-s"], phone=self.where)
        self.process.wait_output("baresip is ready", 10)
        if register:
            self.process.wait_output(r"\{\d/TLS|\{\d/TCP|\{\d/UDP|200 OK", 10)

    def command(self, text):
        """A command of its menu, over its control socket, from within its namespace."""
        script = ("import socket,sys;s=socket.create_connection(('127.0.0.1',4444),3);b=sys.argv[1].encode();"
                  "s.sendall(b'%d:%s,'%(len(b),b));print(s.recv(65536))")
        body = '{"command":"%s","params":"%s","token":"t"}' % tuple((text + " ").split(" ", 1))
        return self.kit.run(self.where.prefix + ["python3", "-c", script, body.replace(' "', '"')]).stdout

    def dial(self, number):
        self.command("dial sip:%s@%s" % (number, self.domain))

    def hang_up(self):
        self.command("hangup")

    def wait_established(self, timeout_s=15.0, count=1):
        self.process.wait_output("Call established", timeout_s, count)

    def wait_ended(self, timeout_s=15.0):
        self.process.wait_output("(?i)terminated|session closed", timeout_s)

    def heard(self):
        """The sound that came from the other side, in files of one call each: paths."""
        return sorted(glob.glob(self.directory + "/sound/dump-*-dec.wav"))


LINPHONE_CONFIGURATION = """\
[sip]
sip_port=0
sip_tcp_port=0
sip_tls_port=5071
verify_server_certs=1
verify_server_cn=1
root_ca={authority}
media_encryption={encryption}
media_encryption_mandatory={mandatory}
register_only_when_network_is_up=0
guess_hostname=1
default_proxy=0
inc_timeout=60

[net]
mtu=0
dns_srv_enabled=0
firewall_policy=0

[rtp]
audio_rtp_port=7078
audio_jitt_comp=60
nortp_timeout=30

[sound]
playback_dev_id=ANY
capture_dev_id=ANY
ringer_dev_id=ANY
echocancellation=0

[misc]
log_collection_upload_server_url=

[auth_info_0]
username={user}
userid={user}
passwd={password}
realm={domain}
domain={domain}

[proxy_0]
reg_proxy=<sip:{domain};transport={transport}>
reg_route=<sip:{domain}:{port};transport={transport}>
reg_identity=<sip:{user}@{domain}>
reg_expires=120
reg_sendregister=1
publish=0
"""


class Linphone:
    """linphonec, typed into. It checks the gateway's certificate against the test's authority and by name."""

    def __init__(self, kit, user, transport="tls", encryption="srtp", mandatory=True, answer=False):
        self.kit, self.user = kit, user
        self.where = kit.phone()
        authority, _, _ = kit.certificates()
        self.directory = kit.path("linphone-" + user)
        os.makedirs(self.directory + "/.local/share/linphone")
        configuration = kit.write("linphone-%s/linphonerc" % user, LINPHONE_CONFIGURATION.format(
            authority=authority, encryption=encryption, mandatory=int(mandatory), user=user, password=USERS[user],
            domain=library.DOMAIN, transport=transport, port=5061 if transport == "tls" else 5060))
        arguments = [library.need("linphonec"), "-c", configuration, "-d", "6", "-l", self.directory + "/log"]
        self.process = kit.start("linphone-" + user, arguments + (["-a"] if answer else []), stdin=-1,
                                 environment={"HOME": self.directory, "XDG_DATA_HOME": self.directory,
                                              "XDG_CONFIG_HOME": self.directory}, phone=self.where)

    def use_files(self):
        """No sound card: a tone is played to the other side, what comes back is recorded."""
        tone(self.directory + "/tone.wav", 440, 10)
        self.process.say("soundcard use files")

    def wait_registered(self, timeout_s=15.0):
        self.wait_log(r"Register refresher \[200\]", timeout_s)

    def wait_established(self, timeout_s=15.0):
        self.wait_log("StreamsRunning", timeout_s)

    def wait_ended(self, timeout_s=15.0):
        self.wait_log("moving from state .* to LinphoneCallReleased|CallSession::State::Released|to Released", timeout_s)

    def log(self):
        try:
            with open(self.directory + "/log", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def wait_log(self, pattern, timeout_s=15.0):
        library.wait_for("Linphone's log to say %r" % pattern, lambda: re.search(pattern, self.log()), timeout_s, 0.2)

    def dial(self, number):
        self.process.say("call sip:%s@%s" % (number, library.DOMAIN))


    def hang_up(self):
        self.process.say("terminate")

    def record(self, seconds):
        """Plays the tone to the other side and records it for so long."""
        self.process.say("play %s/tone.wav" % self.directory)
        self.process.say("record %s/heard.wav" % self.directory)
        time.sleep(seconds)

    def heard(self):
        return glob.glob(self.directory + "/heard*.wav")


def tone(path, frequency_hz, seconds, rate=8000):
    """Writes a wav file of a sine."""
    samples = array.array("h", (int(12000 * math.sin(2 * math.pi * frequency_hz * n / rate))
                                for n in range(int(seconds * rate))))
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


def samples_of(path):
    """(samples of the first channel, rate) of a wav file, also of one whose writer was ended before it wrote the size."""
    with open(path, "rb") as file:
        data = file.read()
    at, channels, rate, width = 12, 1, 8000, 2
    while at + 8 <= len(data):
        name, size = data[at:at + 4], int.from_bytes(data[at + 4:at + 8], "little")
        if name == b"fmt ":
            channels = int.from_bytes(data[at + 10:at + 12], "little")
            rate = int.from_bytes(data[at + 12:at + 16], "little")
            width = int.from_bytes(data[at + 22:at + 24], "little") // 8
        if name == b"data":
            body = data[at + 8:] if size in (0, 0xFFFFFFFF) or at + 8 + size > len(data) else data[at + 8:at + 8 + size]
            if width != 2:
                raise library.Failure("%s has %d bytes a sample" % (path, width))
            samples = array.array("h")
            samples.frombytes(body[:len(body) // 2 * 2])
            return samples[::channels], rate
        at += 8 + size + size % 2
    return array.array("h"), rate


def share_of_tone(path, frequency_hz):
    """How much of the sound's energy is at the frequency, 0 to 1 (Goertzel, over the loudest second); 0 for silence."""
    samples, rate = samples_of(path)
    best = 0.0
    for start in range(0, max(1, len(samples) - rate + 1), rate // 2):
        part = samples[start:start + rate]
        energy = sum(s * s for s in part)
        if len(part) < rate // 2 or energy < len(part) * 100 * 100:
            continue
        coefficient, before, last = 2 * math.cos(2 * math.pi * frequency_hz / rate), 0.0, 0.0
        for sample in part:
            before, last = last, sample + coefficient * last - before
        power = before * before + last * last - coefficient * before * last
        best = max(best, 2 * power / (len(part) * energy))
    return best


def check_heard(paths, frequency_hz, who):
    """Fails unless one of the recordings holds the tone."""
    shares = [(share_of_tone(path, frequency_hz), path) for path in paths]
    library.check(shares and max(shares)[0] > 0.5,
                  "%s did not hear %d Hz: %s" % (who, frequency_hz, [round(s, 3) for s, _ in shares] or "no recording"))


def control_answers(address, port):
    """Whether something accepts connections there."""
    try:
        socket.create_connection((address, port), 1).close()
        return True
    except OSError:
        return False
