/* SPDX-License-Identifier: Apache-2.0
 * The configuration that a newcomer starts with: `make run`, and what a first file of one's own is copied from. */
#include <string.h>

#include "config/config.h"

/* @A address, @H address as a host in a URI, @M the media addresses, @S state directory; a line with @6 stands only where there is
 * IPv6 beside, whose address is written there. */
/* clang-format off */
static const char embedded_text[] =
	"# Ringwall on one machine: phones outside, the built-in test PBX behind.\n"
	"#\n"
	"# This is a whole configuration. To make it your own, save it as /etc/ringwall/ringwall.yaml, change the\n"
	"# lines marked (*), and run `ringwall check`. Whatever is not written here has a safe default; `ringwall\n"
	"# check --explain KEY` tells which, and docs/configuration.md lists them all.\n"
	"\n"
	"site:\n"
	"  # (*) What phones are told. The certificate holds this name.\n"
	"  domain: \"@H\"\n"
	"  # Numbers of emergency services.\n"
	"  emergency: [\"112\", \"911\"]\n"
	"\n"
	"# The database, the self-made certificate and the control socket.\n"
	"state_directory: \"@S\"\n"
	"\n"
	"zones:\n"
	"  # Phones and softphones. Anybody can send here, so everything is checked.\n"
	"  - name: phones\n"
	"    kind: access\n"
	"    # (*) The address that phones reach.\n"
	"    listen:\n"
	"      - \"tls:@H:5061\"\n"
	"      - \"tcp:@H:5060\"\n"
	"      - \"udp:@H:5060\"\n"
	"      - \"tls:@6:5061\"\n"
	"      - \"tcp:@6:5060\"\n"
	"      - \"udp:@6:5060\"\n"
	"    # The PBX asks for passwords. Or `local`: the gateway does, see `ringwall account`.\n"
	"    authentication: relay\n"
	"    media:\n"
	"      # (*) The same address, for voice and video.\n"
	"      address: @M\n"
	"      ports: \"20000-29999\"\n"
	"      # SRTP, or the call is refused. Keys travel only over TLS.\n"
	"      encryption: required\n"
	"\n"
	"  # The PBX. Only the peers named here may speak.\n"
	"  - name: pbx\n"
	"    kind: core\n"
	"    listen: [\"udp:127.0.0.1:5080\"]\n"
	"    # (*) Your PBX; this one is `ringwall testpbx`.\n"
	"    peers: [\"sip:127.0.0.1:5070;transport=udp\"]\n"
	"    media:\n"
	"      address: \"127.0.0.1\"\n"
	"      ports: \"10000-19999\"\n"
	"      # Plain RTP: it does not leave this machine.\n"
	"      encryption: none\n"
	"\n"
	"# Which zone's calls go where. The first that matches wins.\n"
	"media: {datapath: sockets}\n"
	"routes:\n"
	"  - {from: phones, to: pbx}\n"
	"  # Only if the called user is registered through this gateway.\n"
	"  - {from: pbx, to: phones, when: registered}\n";
/* clang-format on */

/* Inside double quotes of YAML, `"` and `\` need a backslash; what is no text has no place in a path and is left out. */
static void put_quoted(struct buffer *out, const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			continue;
		if (*text == '"' || *text == '\\')
			buffer_put_byte(out, '\\');
		buffer_put_byte(out, *text);
	}
}

static void put_media(struct buffer *out, const struct address *address, const struct address *beside)
{
	buffer_put_text(out, beside ? "[\"" : "\"");
	address_write_ip(out, address, false);
	if (beside) {
		buffer_put_text(out, "\", \"");
		address_write_ip(out, beside, false);
	}
	buffer_put_text(out, beside ? "\"]" : "\"");
}

static bool line_is_left_out(const char *line, const struct address *beside)
{
	const char *mark = strstr(line, "@6");

	return !beside && mark && mark < strchr(line, '\n');
}

void config_embedded(struct buffer *out, const struct address *address, const struct address *beside,
		     const char *state_directory)
{
	for (const char *at = embedded_text; *at; at++) {
		while ((at == embedded_text || at[-1] == '\n') && line_is_left_out(at, beside))
			at = strchr(at, '\n') + 1;
		if (*at != '@') {
			buffer_put_byte(out, *at);
			continue;
		}
		switch (*++at) {
		case 'A': address_write_ip(out, address, false); break;
		case 'H': address_write_ip(out, address, true); break;
		case '6': address_write_ip(out, beside, true); break;
		case 'M': put_media(out, address, beside); break;
		default: put_quoted(out, state_directory); break;
		}
	}
}
