# SPDX-License-Identifier: Apache-2.0
"""Kamailio as the registrar and PBX behind the gateway: bindings in memory, digest authentication from a fixed list."""

import kit as library

USERS = {"1001": "Secret-1001", "1002": "Secret-1002", "1003": "Secret-1003"}

CONFIGURATION = """\
debug=2
log_stderror=yes
fork=yes
children=2
auto_aliases=no
enable_tls={tls}
disable_tcp={no_tcp}
server_header="Server: InnerPBX/9.9"
user_agent_header="User-Agent: InnerPBX/9.9"
alias="{domain}"
{listen}

mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
loadmodule "auth.so"
loadmodule "nathelper.so"
{tls_module}{presence_modules}
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_contacts", 10)
modparam("registrar|nathelper", "received_avp", "$avp(received)")
modparam("registrar", "append_branches", 1)
modparam("auth", "nonce_expire", 300)
{algorithm}

request_route {{
	if (!mf_process_maxfwd_header("10")) {{
		sl_send_reply("483", "Too Many Hops");
		exit;
	}}
	xlog("L_NOTICE", "request $rm from=$fU to=$rU source=$si:$sp contact=$ct\\n");
	if (is_method("CANCEL")) {{
		if (t_check_trans())
			t_relay();
		exit;
	}}
	if (has_totag()) {{
{presence_inside}		if (loose_route() || is_method("ACK") && t_check_trans()) {{
			t_relay();
			exit;
		}}
		if (!is_method("ACK"))
			sl_send_reply("404", "No such dialog");
		exit;
	}}
	t_check_trans();
	if (is_method("OPTIONS") && uri==myself && $rU==$null) {{
		sl_send_reply("200", "Keepalive");
		exit;
	}}
	route(AUTHENTICATE);
	if (is_method("REGISTER")) {{
		if (proto == TLS)
			fix_nated_register();
		save("location");
		exit;
	}}
{presence_outside}	if (is_method("INVITE|SUBSCRIBE"))
		record_route();
	$var(found) = 0;
{routes}	if ($var(found) == 0 && !lookup("location")) {{
		t_newtran();
		t_reply("404", "Not Found");
		exit;
	}}
	if (!t_relay())
		sl_reply_error();
}}

route[AUTHENTICATE] {{
	$var(password) = "";
{passwords}
	if ({trusted})
		return;
	if (is_method("REGISTER")) {{
		if ($var(password) == "" || !pv_www_authenticate("{domain}", "$var(password)", "0")) {{
			www_challenge("{domain}", "1");
			exit;
		}}
		if ($au != $tU) {{
			sl_send_reply("403", "Not yours");
			exit;
		}}
		return;
	}}
	if ($var(password) == "" || !pv_proxy_authenticate("{domain}", "$var(password)", "0")) {{
		proxy_challenge("{domain}", "1");
		exit;
	}}
	consume_credentials();
}}
"""

TLS = """\
loadmodule "tls.so"
modparam("tls", "certificate", "{certificate}")
modparam("tls", "private_key", "{key}")
modparam("tls", "tls_method", "TLSv1.2+")
"""


# Presentities and watchers in memory; whoever is authenticated may watch.
PRESENCE_MODULES = """
loadmodule "presence.so"
loadmodule "presence_xml.so"
loadmodule "presence_dialoginfo.so"
loadmodule "presence_mwi.so"
modparam("presence", "publ_cache", 2)
modparam("presence", "subs_db_mode", 0)
modparam("presence", "server_address", "sip:{address}:{port}")
modparam("presence_xml", "force_active", 1)
modparam("presence_xml", "integrated_xcap_server", 1)"""
PRESENCE_INSIDE = """\
		if (is_method("SUBSCRIBE") && uri == myself && t_newtran()) {
			handle_subscribe();
			exit;
		}
"""
PRESENCE_OUTSIDE = """\
	if (is_method("PUBLISH") && t_newtran()) {
		handle_publish();
		exit;
	}
	if (is_method("SUBSCRIBE") && t_newtran()) {
		handle_subscribe();
		exit;
	}
"""


class Kamailio:
    """`routes`: {user: URI} for users that are not registered; `trusted`: a condition under which nobody is asked for
    a password; `algorithm`: "" for MD5 or "SHA-256"; `presence`: it keeps presence, lines and message counts too."""

    def __init__(self, kit, address=library.PBX, port=5060, users=None, routes=None, trusted='$si == "%s"' % library.PBX,
                 algorithm="", tls_port=0, presence=False):
        self.kit, self.address, self.port = kit, address, port
        listen = "listen=udp:%s:%d\nlisten=tcp:%s:%d" % (address, port, address, port)
        tls_module = ""
        if tls_port:
            _, certificate, key = kit.certificates()
            listen += "\nlisten=tls:%s:%d" % (address, tls_port)
            tls_module = TLS.format(certificate=certificate, key=key)
        passwords = "".join('\tif ($au == "%s")\n\t\t$var(password) = "%s";\n' % pair
                            for pair in (users or USERS).items())
        text = CONFIGURATION.format(
            tls="yes" if tls_port else "no", no_tcp="no", domain=library.DOMAIN, listen=listen, tls_module=tls_module,
            passwords=passwords, trusted=trusted,
            presence_modules=PRESENCE_MODULES.format(address=address, port=port) if presence else "",
            presence_inside=PRESENCE_INSIDE if presence else "", presence_outside=PRESENCE_OUTSIDE if presence else "",
            algorithm='modparam("auth", "algorithm", "%s")' % algorithm if algorithm else "",
            routes="".join('\tif ($rU == "%s") {\n\t\t$ru = "%s";\n\t\t$var(found) = 1;\n\t}\n' % pair
                           for pair in (routes or {}).items()))
        self.file = kit.write("kamailio.cfg", text)
        self.start()

    def start(self):
        program = library.need("kamailio")
        self.process = self.kit.start("kamailio", [
            program, "-f", self.file, "-DD", "-E", "-m", "32", "-M", "4", "-Y", self.kit.directory, "-w",
            self.kit.directory])
        self.kit.wait_listening("udp", self.address, self.port)

    def requests(self, method):
        """The requests of a method it has seen, as its log's lines."""
        return [line for line in self.process.output().splitlines() if "request %s " % method in line]
