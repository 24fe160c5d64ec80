# SPDX-License-Identifier: Apache-2.0
"""The peers: Kamailio with dialogs, topology hiding and rtpengine for calls, and as a registrar that keeps phones in
memory. No more than what the work needs, so that what they spend is spent on it."""

import glob
import os

import bench

# The one that serves it best: with the default, qm, half of its CPU goes into searching for free memory, and each
# fragment costs more.
ALLOCATOR = "tlsf"

COMMON = """\
debug=0
log_stderror=yes
auto_aliases=no
children=4
mpath="{modules}"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
"""

CALLS = COMMON + """\
disable_tcp=yes
listen=udp:{address}:5060
loadmodule "dialog.so"
loadmodule "topoh.so"
loadmodule "rtpengine.so"
modparam("dialog", "dlg_match_mode", 1)
modparam("topoh", "mask_key", "bench")
modparam("topoh", "mask_ip", "{address}")
modparam("topoh", "mask_callid", 1)
modparam("rtpengine", "rtpengine_sock", "udp:{media}:2223")

request_route {{
	if (!mf_process_maxfwd_header("10")) {{
		sl_send_reply("483", "Too Many Hops");
		exit;
	}}
	if (has_totag()) {{
		if (loose_route()) {{
			if (is_method("BYE")) {{
				t_check_trans();  # ends here for a copy
				rtpengine_delete();
			}}
			t_relay();
			exit;
		}}
		if (is_method("ACK")) {{
			if (t_check_trans())
				t_relay();
			exit;
		}}
		sl_send_reply("404", "No such dialog");
		exit;
	}}
	if (is_method("CANCEL")) {{
		if (t_check_trans())
			t_relay();
		exit;
	}}
	if (!is_method("INVITE")) {{
		sl_send_reply("405", "Not here");
		exit;
	}}
	t_newtran();
	record_route();
	dlg_manage();
	rtpengine_offer("replace-origin replace-session-connection ICE=remove");
	t_on_reply("ANSWER");
	$du = "sip:{peer}";
	if (!t_relay())
		sl_reply_error();
}}

onreply_route[ANSWER] {{
	if (has_body("application/sdp"))
		rtpengine_answer("replace-origin replace-session-connection ICE=remove");
}}
"""

REGISTRAR = COMMON + """\
enable_tls=yes
listen=udp:{address}:5060
listen=tls:{address}:5061
tcp_children=1
tcp_max_connections=20000
tls_max_connections=20000
tcp_connection_lifetime=7200
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "nathelper.so"
loadmodule "tls.so"
modparam("usrloc", "db_mode", 0)
modparam("usrloc", "hash_size", 14)
modparam("registrar", "default_expires", 3600)
modparam("registrar|nathelper", "received_avp", "$avp(received)")
modparam("tls", "certificate", "{certificate}")
modparam("tls", "private_key", "{key}")
modparam("tls", "tls_method", "TLSv1.2+")

request_route {{
	if (!is_method("REGISTER")) {{
		sl_send_reply("405", "Not here");
		exit;
	}}
	fix_nated_register();
	save("location");
}}
"""


def modules():
    return glob.glob("/usr/lib/*/kamailio/modules")[0] + "/"


class Kamailio(bench.Process):
    """`work` is CALLS or REGISTRAR."""

    def __init__(self, place, work, peer=""):
        certificate, key = place.certificate()
        file = place.write("kamailio.cfg", work.format(
            modules=modules(), address=bench.THEIRS, media=bench.THEIRS_MEDIA, peer=peer, certificate=certificate,
            key=key))
        super().__init__(place, "kamailio", [bench.need("kamailio"), "-f", file, "-DD", "-E", "-m", "2048", "-M", "16",
                                             "-x", ALLOCATOR,
                                             "-Y", place.directory, "-w", place.directory])
        bench.wait_for("kamailio to listen", lambda: bench.listens_udp(bench.THEIRS, 5060))
        if not self.running():
            raise SystemExit("kamailio ended: " + self.tail())


class Rtpengine(bench.Process):
    """In user space. Sessions are deleted when asked, not half a minute later, so that ports suffice."""

    def __init__(self, place):
        super().__init__(place, "rtpengine", [
            bench.need("rtpengine"), "--config-file=none", "--table=-1", "--interface=" + bench.THEIRS_MEDIA,
            "--listen-ng=%s:2223" % bench.THEIRS_MEDIA, "--port-min=10000", "--port-max=59999", "--delete-delay=0",
            "--num-threads=%d" % os.cpu_count(), "--foreground", "--log-stderr", "--log-level=3",
            "--pidfile=" + place.path("rtpengine.pid")])
        bench.wait_for("rtpengine to listen", lambda: bench.listens_udp(bench.THEIRS_MEDIA, 2223))
