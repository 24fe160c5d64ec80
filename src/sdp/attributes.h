/* SPDX-License-Identifier: Apache-2.0
 * The attributes (a=) the module knows: which it reads, and which may cross to the other zone. Private to sdp/. */
#ifndef RINGWALL_SDP_ATTRIBUTES_H
#define RINGWALL_SDP_ATTRIBUTES_H

#include "sdp/sdp.h"

/* Every row is X(enum, name, streams it may cross with, form its value must have, why).
 * A row with CROSS_NEVER is read by the parser and written, if at all, from the model.
 * What has no row never crosses; left out on purpose, because it speaks of the sender's own transport, which ends at the
 * gateway, or tells who made the phone: candidate (a lite agent answers checks and makes none), remote-candidates, ice-options,
 * end-of-candidates, connection, rtcp-mux-only, rtcp-rsize (the relay wants compound RTCP), extmap (header extensions need the other side's ids),
 * ssrc, ssrc-group (a cname may start with a slash, which PJSIP refuses), msid, mid and group (no BUNDLE here), rid,
 * simulcast, identity, zrtp-hash, key-mgmt, label and floorctrl (no BFCP here), path and accept-types (MSRP names
 * hosts), rtcp-xr (may name hosts), T38VendorInfo, tool, cat, keywds, lang, x-*. */
/* clang-format off */
#define SDP_ATTRIBUTES(X) \
	X(ROW_UNKNOWN,   "",          CROSS_NEVER, FORM_ANY,      "no row: never crosses") \
	X(ROW_SENDRECV,  "sendrecv",  CROSS_NEVER, FORM_FLAG,     "RFC 8866 6.7: written from the model") \
	X(ROW_SENDONLY,  "sendonly",  CROSS_NEVER, FORM_FLAG,     "the same") \
	X(ROW_RECVONLY,  "recvonly",  CROSS_NEVER, FORM_FLAG,     "the same") \
	X(ROW_INACTIVE,  "inactive",  CROSS_NEVER, FORM_FLAG,     "the same") \
	X(ROW_CRYPTO,    "crypto",    CROSS_NEVER, FORM_ANY,      "RFC 4568: keys end at the gateway; ours are written") \
	X(ROW_RTCP,      "rtcp",      CROSS_NEVER, FORM_ANY,      "RFC 3605: an address of the sender") \
	X(ROW_RTCP_MUX,  "rtcp-mux",  CROSS_NEVER, FORM_FLAG,     "RFC 5761: per leg; the gateway uses two ports") \
	X(ROW_FINGERPRINT, "fingerprint", CROSS_NEVER, FORM_ANY,  "RFC 8122: the gateway shows its own certificate") \
	X(ROW_SETUP,     "setup",     CROSS_NEVER, FORM_ANY,      "RFC 4145: per leg") \
	X(ROW_TLS_ID,    "tls-id",    CROSS_NEVER, FORM_ANY,      "RFC 8842: the same") \
	X(ROW_ICE_UFRAG, "ice-ufrag", CROSS_NEVER, FORM_ANY,      "RFC 8839: the same") \
	X(ROW_ICE_PWD,   "ice-pwd",   CROSS_NEVER, FORM_ANY,      "the same") \
	X(ROW_ICE_LITE,  "ice-lite",  CROSS_NEVER, FORM_FLAG,     "the same") \
	X(ROW_RTPMAP,    "rtpmap",    CROSS_RTP,   FORM_RTPMAP,   "RFC 8866 6.6: names the codec") \
	X(ROW_FMTP,      "fmtp",      CROSS_RTP,   FORM_FORMAT,   "RFC 8866 6.15: its parameters") \
	X(ROW_PTIME,     "ptime",     CROSS_RTP,   FORM_TIME,     "RFC 8866 6.4: packet size wanted") \
	X(ROW_MAXPTIME,  "maxptime",  CROSS_RTP,   FORM_TIME,     "RFC 8866 6.5: packet size borne") \
	X(ROW_FRAMERATE, "framerate", CROSS_RTP,   FORM_NUMBER,   "RFC 8866 6.13: what a video phone can show") \
	X(ROW_IMAGEATTR, "imageattr", CROSS_RTP,   FORM_FORMAT,   "RFC 6236: picture sizes") \
	X(ROW_RTCP_FB,   "rtcp-fb",   CROSS_RTP,   FORM_FEEDBACK, "RFC 4585, 5104: without it video never mends a lost picture") \
	X(ROW_CONTENT,   "content",   CROSS_RTP,   FORM_WORDS,    "RFC 4796: slides beside the speaker") \
	X(ROW_SILENCE,   "silenceSupp", CROSS_RTP, FORM_WORDS,    "RFC 3108: switches silence suppression off for fax tones") \
	X(ROW_T38_VERSION, "T38FaxVersion",          CROSS_T38, FORM_NUMBER,    "T.38 D.2: the fax engine's limits") \
	X(ROW_T38_RATE,    "T38MaxBitRate",          CROSS_T38, FORM_NUMBER,    "the same") \
	X(ROW_T38_FILL,    "T38FaxFillBitRemoval",   CROSS_T38, FORM_FLAG_OR_NUMBER, "the same; a flag, by old phones 0 or 1") \
	X(ROW_T38_MMR,     "T38FaxTranscodingMMR",   CROSS_T38, FORM_FLAG_OR_NUMBER, "the same") \
	X(ROW_T38_JBIG,    "T38FaxTranscodingJBIG",  CROSS_T38, FORM_FLAG_OR_NUMBER, "the same") \
	X(ROW_T38_MANAGE,  "T38FaxRateManagement",   CROSS_T38, FORM_WORDS,     "the same") \
	X(ROW_T38_BUFFER,  "T38FaxMaxBuffer",        CROSS_T38, FORM_NUMBER,    "the same") \
	X(ROW_T38_DATAGRAM, "T38FaxMaxDatagram",     CROSS_T38, FORM_NUMBER,    "the same") \
	X(ROW_T38_IFP,     "T38FaxMaxIFP",           CROSS_T38, FORM_NUMBER,    "the same") \
	X(ROW_T38_EC,      "T38FaxUdpEC",            CROSS_T38, FORM_WORDS,     "the same") \
	X(ROW_T38_SPAN,    "T38FaxUdpFECMaxSpan",    CROSS_T38, FORM_NUMBER,    "the same") \
	X(ROW_T38_MODEM,   "T38ModemType",           CROSS_T38, FORM_WORDS,     "the same")
/* clang-format on */

enum sdp_attribute_row {
#define X(row, name, cross, form, why) row,
	SDP_ATTRIBUTES(X)
#undef X
		ROW_COUNT,
};

/* The row of a name (case counts, RFC 8866 section 5.13); ROW_UNKNOWN when there is none. */
enum sdp_attribute_row sdp_attribute_find(struct span name);

/* Writes the attribute as an a= line if its row, its value and the stream let it cross; otherwise writes nothing. */
void sdp_attribute_write(struct buffer *out, const struct sdp_stream *stream, const struct sdp_attribute *attribute);

/* As it stands in m=; "" for SDP_PROTOCOL_OTHER. */
const char *sdp_protocol_text(enum sdp_protocol protocol);

/* Cuts the next word off `rest`; words are parted by one or more SP. Empty at the end. */
struct span sdp_word(struct span *rest);

/* A payload type: 0 to 127 without leading zeros. Returns it, or -EINVAL. */
int sdp_payload_type(struct span text);

/* A token of RFC 8866 section 9: visible ASCII but "(),/:;<=>?@[\] and DEL; `extra` lists characters allowed beside. */
bool sdp_is_token(struct span text, const char *extra);

/* A whole number or a decimal fraction above zero, below `maximum`, rounded up. Returns 0 or -EINVAL. */
int sdp_real(struct span text, uint32_t maximum, uint32_t *value);
#define SDP_PTIME_MAXIMUM_MS 2000

/* One a=crypto value (RFC 4568 section 9.1). Returns 0 and fills *crypto; 1 for a line in order that is not for us
 * (suite unknown, MKI, session parameters, several keys); -EINVAL for one that is no crypto line. */
int sdp_crypto_parse(struct span value, struct sdp_crypto *crypto);

/* fingerprint.c: one value of a=setup; SDP_SETUP_NONE for what is none. */
enum sdp_setup sdp_setup_parse(struct span value);
/* One value of a=ice-ufrag or a=ice-pwd (RFC 8839 section 5.4): ice-chars, of 4 or 22 and at most 256. */
bool sdp_is_ice_text(struct span value, size_t minimum);
/* Writes a=fingerprint, a=setup and a=tls-id; a=ice-ufrag, a=ice-pwd and the candidates. */
void sdp_dtls_write(struct buffer *out, const struct sdp_local_stream *local);
void sdp_ice_write(struct buffer *out, const struct sdp_local_stream *local, const struct address *address);

/* Writes the line, with padded base64. */
void sdp_crypto_write(struct buffer *out, const struct sdp_crypto *crypto);

#endif
