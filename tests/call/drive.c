/* SPDX-License-Identifier: Apache-2.0
 * See drive.h. */
#include "drive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint32_t chance(struct drive *drive, uint32_t below)
{
	if (drive->bytes) {
		uint32_t value = drive->length ? *drive->bytes : 0;

		drive->bytes += drive->length > 0;
		drive->length -= drive->length > 0;
		return value % below;
	}
	drive->seed ^= drive->seed << 13;
	drive->seed ^= drive->seed >> 7;
	drive->seed ^= drive->seed << 17;
	return (uint32_t)(drive->seed >> 32) % below;
}

static struct peer *peer_of(struct drive *drive, uint32_t index)
{
	struct kit *kit = &drive->kit;

	return index == 0 ? &kit->phone : index == 1 ? &kit->pbx : &kit->stranger;
}

/* ---- What stands in messages ---- */

static const char *any_description(struct drive *drive)
{
	static const char head[] = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n";
	static const char *const streams[] = {
		"m=audio 4100 RTP/AVP 0\nm=video 4102 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
		"m=audio 0 RTP/AVP 0\n",
		("m=audio 4100 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 "
		 "inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw\n"),
		"m=image 4104 udptl t38\n",
		"m=audio 4100 RTP/AVP 0\nc=IN IP4 0.0.0.0\n",
		"m=audio 4100 UDP/TLS/RTP/SAVPF 0\n",
		"m=message 9 TCP/MSRP *\nm=audio 4100 RTP/AVPF 8\n",
		"m=audio 4100 RTP/AVP 0\nm=audio 4102 RTP/AVP 8\nm=audio 4104 RTP/AVP 3\n",
		"",
		"m=audio 99999 RTP/AVP 0\n",
	};
	static const char *const directions[] = {"sendrecv", "sendonly", "recvonly", "inactive"};
	static char text[1024];
	uint32_t kind = chance(drive, 48);

	if (kind < 6)
		return "";
	if (kind < 38)
		return sdp_plain((uint16_t)(4000 + 2 * chance(drive, 4)), directions[chance(drive, 8) % 4]);
	snprintf(text, sizeof(text), "%s%s", head, streams[kind - 38]);
	return text;
}

/* One of them, or a multipart with one in it; one as it should not be, at times. */
static const char *any_body(struct drive *drive)
{
	static const char *const forms[] = {
		"--mixed\nContent-Type: application/sdp\n\n%s\n--mixed--\n",
		("--mixed\nContent-Type: application/isup;version=x\nContent-Disposition: signal;handling=optional\n\n"
		 "\x01\x02\n--mixed\nContent-Type: application/sdp\n\n%s\n--mixed--\n"),
		("--alternative\nContent-Type: application/sdp\n\nv=0\n\n--alternative\nContent-Type: "
		 "application/sdp\n\n%s\n"
		 "--alternative--\n"),
		("--mixed\nContent-Type: multipart/alternative;boundary=in\n\n--in\nContent-Type: "
		 "application/sdp\n\n%s\n"
		 "--in--\n\n--mixed--\n"),
		("--mixed\nContent-Type: application/x\nContent-Disposition: x;handling=required\n\n%s\n--mixed\n"
		 "Content-Type: application/sdp\n\nv=0\n--mixed--\n"),
		"--mixed\nContent-Type: application/sdp\n\n%s\n--mixed\n",
		"--related\n\n%s\n--related--\n",
	};
	static char text[2048], marked[1100];
	const char *description = any_description(drive);

	if (!*description || chance(drive, 6))
		return description;
	snprintf(marked, sizeof(marked), "%sa=ptime:60\n", description); /* to know it again by */
	snprintf(text, sizeof(text), forms[chance(drive, COUNT(forms))], marked);
	return text;
}

/* RFC 4028: who asks for what, agreeable and not. */
static const char *any_timer(struct drive *drive)
{
	static const char *const timers[] = {
		"Supported: timer\nSession-Expires: 90;refresher=uac\nMin-SE: 90\n",
		"Supported: timer\nSession-Expires: 90;refresher=uas\n",
		"Supported: timer\nSession-Expires: 120\n",
		"Require: timer\nSession-Expires: 100;refresher=uac\n",
		"Session-Expires: 90\n",
		"Supported: timer\nSession-Expires: 1;refresher=uas\n",
		"Supported: timer\nMin-SE: 4000\n",
		"Supported: timer\nSession-Expires: 4294967295;refresher=nobody\nMin-SE: 99999999999\n",
	};

	return timers[chance(drive, 3) ? chance(drive, 4) : chance(drive, COUNT(timers))];
}

static const char *any_extra(struct drive *drive)
{
	static const char *const extras[] = {
		"Require: 100rel\nRSeq: 1\n",
		"Require: 100rel\nRSeq: 2\n",
		"Record-Route: <sip:10.1.1.1;lr>, <sip:10.1.1.2;lr>\n",
		"Reason: Q.850;cause=16;text=\"pbx.inner 10.0.0.1\"\n",
		"WWW-Authenticate: Digest realm=\"voip.example.org\", nonce=\"abc\", domain=\"sip:10.0.0.1\"\n",
		"Proxy-Authenticate: Digest realm=\"voip.example.org\", nonce=\"abc\"\n",
		"Supported: 100rel, timer, replaces, 100rel\n",
		"Require: histinfo\nAllow: INVITE\n",
		"Require: nothing-known\n",
		"Max-Forwards: 0\n",
		"Expires: 0\n",
		"P-Asserted-Identity: <tel:#31#>, <sip:10.0.0.1>, \"Boss\" <sip:boss@10.0.0.1>\n",
		"Content-Encoding: gzip\n",
		"RAck: 1 1 INVITE\n",
		"RAck: 2  2 INVITE\n",
		"Retry-After: 5 (10.0.0.1)\n",
		"Refer-To: <sip:2@10.0.0.1?Replaces=a%40b%3Bto-tag%3Dc%3Bfrom-tag%3Dd>\nReferred-By: <sip:a@b.c>\n",
		"Replaces: a@b;to-tag=c;from-tag=d\n",
		"Refer-Sub: false\n",
	};
	uint32_t kind = chance(drive, 2 * COUNT(extras));

	if (!chance(drive, 6))
		return any_timer(drive);
	return kind < COUNT(extras) ? extras[kind] : "";
}

/* ---- What peers do ---- */

static void new_invite(struct drive *drive, struct peer *peer)
{
	static const char *const users[] = {"600", "1001", "1002", "%31001", "nobody", "a;b=c"};
	static const char *const contacts[] = {"<sip:me@127.0.0.1>", "<sips:me@127.0.0.1>", "<tel:+491>",
					       "<mailto:me@127.0.0.1>", "<sip:me@127.0.0.1?Subject=x>"};
	const char *description = any_body(drive);
	const char *user = users[chance(drive, COUNT(users))];
	char token[32] = "";
	const char *contact = contacts[chance(drive, 16) < 12 ? 0 : chance(drive, COUNT(contacts))];

	/* Who was sent somewhere may go there. */
	if (!strncmp(peer->text, "REFER ", 6) && has_header(peer, "Refer-To") &&
	    sscanf(header(peer, "Refer-To"), "<sip:%31[a-z0-9]@", token) == 1 && chance(drive, 4))
		user = token;
	drive->count++;
	peer_send(&drive->kit, peer,
		  "INVITE %s:%s%s SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKi%u;rport\n"
		  "From: \"A <b>\" <sip:%s@127.0.0.1>;tag=f%u\nTo: <sip:x@voip.example.org>\nCall-ID: c%u\nCSeq: 1 "
		  "INVITE\nContact: %s\n%s%sContent-Length: %%LENGTH%%\n\n%s",
		  chance(drive, 8) ? "sip" : "tel", user, "@voip.example.org", peer->address.port, drive->count,
		  chance(drive, 2) ? "1001" : "1002", drive->count, drive->count, contact, any_extra(drive),
		  kit_type(description), description);
}

static void new_register(struct drive *drive, struct peer *peer)
{
	static const char *const contacts[] = {"<sip:%s@127.0.0.1:%u>",
					       "<sip:%s@127.0.0.1:%u>;expires=0",
					       "<sip:%s@127.0.0.1:%u>;expires=99999999999, <sip:b%s@127.0.0.1>;q=0.5",
					       "*",
					       "<sip:%s@127.0.0.1:%u?a=b>",
					       "<tel:1>"};
	const char *user = peer == &drive->kit.phone ? "1001" : chance(drive, 8) ? "1002" : "%3e%3ba=b";
	uint32_t kind = chance(drive, 12);
	char contact[256];

	drive->count++;
	snprintf(contact, sizeof(contact), contacts[kind < COUNT(contacts) ? kind : 0], user, peer->address.port, "x");
	peer_send(&drive->kit, peer,
		  "REGISTER sip:voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKr%u;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:%s@voip.example.org>;tag=r\nTo: <sip:%s@voip.example.org>\n"
		  "Call-ID: reg-%s\nCSeq: %u REGISTER\n%s%s%s%sContent-Length: 0\n\n",
		  peer->address.port, drive->count, user, user, user, drive->count,
		  chance(drive, 8) ? "Contact: " : "X: ", contact, "\n", any_extra(drive));
}

static const char *any_event(struct drive *drive)
{
	static const char *const events[] = {
		"Event: presence\nSubscription-State: active;expires=60\nExpires: 600\n",
		"Event: presence\nSubscription-State: active\n",
		"Event: presence\nSubscription-State: pending\n",
		"Event: presence\nSubscription-State: terminated;reason=timeout\nExpires: 0\n",
		"Event: presence\nExpires: 4294967295\n",
		"Event: dialog;id=1\nSubscription-State: active\n",
		"Event: message-summary\nSubscription-State: active\n",
		"Event: check-sync\n",
		"Event: nonsense\n",
		"",
	};

	return events[chance(drive, 3) ? chance(drive, 4) : chance(drive, COUNT(events))];
}

static const char *any_document(struct drive *drive)
{
	static const char *const documents[] = {
		"Content-Type: application/pidf+xml\nContent-Length: 42\n\n<presence "
		"entity=\"sip:a@10.0.0.1\"></presence",
		"Content-Type: application/pidf+xml\nContent-Length: 41\n\n<presence "
		"entity=\"sip:a@10.0.0.1:5060\"/>\n",
		"Content-Type: application/sdp\nContent-Length: 2\n\nv=",
		("Content-Type: multipart/related;type=\"application/rlmi+xml\";boundary=b\nContent-Length: "
		 "%LENGTH%\n\n--b\n"
		 "Content-Type: application/rlmi+xml\nContent-ID: <l@10.0.0.1>\n\n<list uri=\"sip:l@10.0.0.1\"/>\n--b\n"
		 "Content-Type: application/pidf+xml\n\n<presence entity=\"sip:a@10.0.0.1\"/>\n--b--\n"),
		("Content-Type: multipart/related;boundary=b\nContent-Length: %LENGTH%\n\n--b\nContent-Type: "
		 "application/pidf+xml\n\n<presence"),
		"Content-Length: 0\n\n",
		"Content-Length: 0\n\n",
	};

	return documents[chance(drive, COUNT(documents))];
}

static void new_subscribe(struct drive *drive, struct peer *peer)
{
	static const char *const methods[] = {"SUBSCRIBE", "SUBSCRIBE", "SUBSCRIBE", "NOTIFY", "PUBLISH"};
	const char *method = methods[chance(drive, COUNT(methods))];

	drive->count++;
	peer_send(&drive->kit, peer,
		  "%s sip:%s@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKs%u;rport\n"
		  "From: <sip:1001@voip.example.org>;tag=s%u\nTo: <sip:1002@voip.example.org>\nCall-ID: s%u\n"
		  "CSeq: 1 %s\nContact: <sip:me@127.0.0.1:%u>\n%s%s%s",
		  method, chance(drive, 2) ? "1001" : "600", peer->address.port, drive->count, drive->count,
		  drive->count, method, peer->address.port, any_extra(drive), any_event(drive), any_document(drive));
}

static void new_outside(struct drive *drive, struct peer *peer)
{
	static const char *const methods[] = {"MESSAGE", "OPTIONS", "SUBSCRIBE", "REFER",
					      "BYE",     "UPDATE",  "PUBLISH",   "FROB"};
	const char *method = methods[chance(drive, COUNT(methods))];

	drive->count++;
	peer_send(&drive->kit, peer,
		  "%s sip:%s@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKo%u;rport\n"
		  "From: <sip:1001@voip.example.org>;tag=o\nTo: <sip:1002@voip.example.org>\nCall-ID: o%u\n"
		  "CSeq: 1 %s\n%sContent-Type: text/plain\nContent-Length: 2\n\nhi",
		  method, chance(drive, 2) ? "1001" : "600", peer->address.port, drive->count, drive->count, method,
		  any_extra(drive));
}

static void answer(struct drive *drive, struct peer *peer)
{
	static const char *const statuses[] = {"100 T",  "180 R", "183 P", "183 P", "199 E", "200 OK", "200 OK",
					       "200 OK", "202 A", "302 M", "401 U", "407 P", "408 T",  "480 T",
					       "481 N",  "487 T", "488 N", "491 P", "500 S", "603 D"};
	static const char *const tags[] = {"", "t1", "t1", "t2", "t3"};
	const char *status = statuses[chance(drive, COUNT(statuses))];
	char extra[2000] = "";

	if (!strncmp(peer->text, "REGISTER", 8) && has_header(peer, "Contact") && chance(drive, 4)) {
		if (header(peer, "Contact")[0] != '*')
			snprintf(extra, sizeof(extra), "Contact: %s\n", header(peer, "Contact"));
		peer_answer(&drive->kit, peer, "200 OK", "r", extra, "");
		return;
	}
	peer_answer(&drive->kit, peer, status, tags[chance(drive, COUNT(tags))], any_extra(drive), any_body(drive));
}

/* What a transfer is made of: its target and what is told of it. */
static const char *transfer_extra(struct drive *drive, const struct peer *peer, const char *method)
{
	static const char *const targets[] = {"<sip:600@10.0.0.1>", "<sip:1002@voip.example.org>", "<tel:+491>",
					      "<sip:10.0.0.1>", "<sip:1001@x.example;method=BYE>"};
	static char text[1000];
	uint32_t kind = chance(drive, 8);

	if (strcmp(method, "REFER") != 0) {
		snprintf(text, sizeof(text), "Event: refer%s\nSubscription-State: %s\n%s", kind ? "" : ";id=1",
			 kind < 3 ? "terminated;reason=noresource" : "active;expires=60",
			 kind % 2 ? "Content-Type: message/sipfrag\n" : "");
		return text;
	}
	if (kind < 6 || !strstr(header(peer, "To"), ";tag=") || !strstr(header(peer, "From"), ";tag=")) {
		snprintf(text, sizeof(text), "Refer-To: %s\n%s", targets[chance(drive, COUNT(targets))],
			 kind ? "" : "Refer-Sub: false\n");
		return text;
	}
	snprintf(text, sizeof(text), "Refer-To: <sip:600@10.0.0.1?Replaces=%s%%3Bto-tag%%3D%s%%3Bfrom-tag%%3D%s>\n",
		 header(peer, "Call-ID"), tag(peer, kind == 6 ? "To" : "From"), tag(peer, kind == 6 ? "From" : "To"));
	return text;
}

/* A request in the dialog of the message that the peer has before it, were it one of a subscription. */
static void in_subscription(struct drive *drive, struct peer *peer)
{
	bool caller = !strncmp(peer->text, "SIP/2.0", 7);
	const char *method = chance(drive, 6) ? (caller ? "SUBSCRIBE" : "NOTIFY") : caller ? "NOTIFY" : "SUBSCRIBE";
	char from[1100];

	snprintf(from, sizeof(from), "%s%s", header(peer, caller ? "From" : "To"),
		 strstr(header(peer, caller ? "From" : "To"), ";tag=") ? "" : ";tag=t1");
	drive->count++;
	peer_send(&drive->kit, peer,
		  "%s sip:gw@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKn%u;rport\n"
		  "From: %s\nTo: %s\nCall-ID: %s\nCSeq: %u %s\nContact: <sip:me@127.0.0.1:%u>\n%s%s",
		  method, peer->address.port, drive->count, from, header(peer, caller ? "To" : "From"),
		  header(peer, "Call-ID"), (unsigned)strtoul(header(peer, "CSeq"), NULL, 10) + chance(drive, 5), method,
		  peer->address.port, any_event(drive), any_document(drive));
}

/* A request in the dialog of the message that the peer has before it: as the caller or as the callee. */
static void in_dialog(struct drive *drive, struct peer *peer)
{
	static const char *const methods[] = {"ACK",    "ACK",   "BYE",    "INVITE",  "INVITE",
					      "UPDATE", "PRACK", "INFO",   "OPTIONS", "MESSAGE",
					      "REFER",  "REFER", "NOTIFY", "NOTIFY",  "SUBSCRIBE"};
	bool caller = !strncmp(peer->text, "SIP/2.0", 7);
	const char *method = methods[chance(drive, COUNT(methods))];
	bool transfers = !strcmp(method, "REFER") || !strcmp(method, "NOTIFY") || !strcmp(method, "SUBSCRIBE");
	const char *extra = transfers && chance(drive, 8) ? transfer_extra(drive, peer, method) : any_extra(drive);
	const char *description = !strstr(extra, "sipfrag") ? any_body(drive) : "SIP/2.0 200 OK\nContact: <x>\n";
	char from[1100], rack[64] = "";
	unsigned cseq = (unsigned)strtoul(header(peer, "CSeq"), NULL, 10);

	if (!chance(drive, 6)) { /* a refresh of the session (RFC 4028 section 7.4) */
		method = chance(drive, 2) ? "UPDATE" : "INVITE";
		extra = any_timer(drive);
		description = *method == 'U' ? "" : sdp_plain(4000, "sendrecv");
	}
	snprintf(from, sizeof(from), "%s%s", header(peer, caller ? "From" : "To"),
		 strstr(header(peer, caller ? "From" : "To"), ";tag=") ? "" : ";tag=t1");
	if (!strcmp(method, "PRACK") && chance(drive, 4))
		snprintf(rack, sizeof(rack), "RAck: %u %u INVITE\n", chance(drive, 2) + 1, cseq);
	if (strcmp(method, "ACK") || !chance(drive, 4))
		cseq += chance(drive, 5);
	drive->count++;
	peer_send(&drive->kit, peer,
		  "%s sip:gw@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKd%u;rport\n"
		  "From: %s\nTo: %s\nCall-ID: %s\nCSeq: %u %s\nContact: <sip:me@127.0.0.1:%u>\n%s%s%sContent-Length: "
		  "%%LENGTH%%\n\n%s",
		  method, peer->address.port, drive->count, from, header(peer, caller ? "To" : "From"),
		  header(peer, "Call-ID"), cseq, method, peer->address.port, rack, extra,
		  strstr(extra, "sipfrag") ? "" : kit_type(description), description);
}

static void cancel(struct drive *drive, struct peer *peer)
{
	char to[1100];

	snprintf(to, sizeof(to), "%s", header(peer, "To"));
	to[strcspn(to, ";")] = 0;
	peer_send(&drive->kit, peer,
		  "CANCEL sip:600@voip.example.org SIP/2.0\nVia: %s\nFrom: %s\nTo: %s\nCall-ID: %s\nCSeq: %lu "
		  "CANCEL\nContent-Length: 0\n\n",
		  header(peer, "Via"), header(peer, "From"), to, header(peer, "Call-ID"),
		  strtoul(header(peer, "CSeq"), NULL, 10));
}

static void garble(struct drive *drive, struct peer *peer)
{
	static char bytes[KIT_MESSAGE];
	struct kit *kit = &drive->kit;
	size_t length = kit->sent_length;

	memcpy(bytes, kit->sent, length);
	for (uint32_t i = chance(drive, 4); i && length; i--)
		bytes[(chance(drive, 256) << 8 | chance(drive, 256)) % length] = (char)chance(drive, 256);
	if (length)
		peer_send_bytes(kit, peer, bytes, length);
}

/* Before the gateway that counted them is gone. */
static void calls_count(struct drive *drive)
{
	struct gateway_status status;

	gateway_status_get(drive->kit.gateway, &status);
	drive->answered += status.counters.calls_answered;
	drive->subscribed += status.counters.subscriptions_started;
	drive->expired += status.counters.calls_expired;
}

static void gateway_hears(struct drive *drive)
{
	struct kit *kit = &drive->kit;
	struct media_event event = {.session = kit->streams[0].session, .kind = MEDIA_SILENCE};

	switch (chance(drive, 4)) {
	case 0: gateway_media_event(kit->gateway, &event); return;
	case 1: gateway_media_back(kit->gateway); return;
	case 2: gateway_hangup(kit->gateway, kit->streams[0].session); return;
	default:
		memory_fail_after(-1); /* the kit's own configuration would not come about */
		if (drive->keeps && chance(drive, 3)) {
			calls_count(drive);
			kit_kill(kit);
			drive->deaths++;
		} else {
			kit_reload(kit);
		}
		return;
	}
}

/* ---- Receiving ---- */

/* What the gateway asks within a dialog and says the time of, it asks of itself: timers do not cross. */
static bool is_refresh(const struct peer *peer)
{
	return (!strncmp(peer->text, "UPDATE ", 7) || !strncmp(peer->text, "INVITE ", 7)) &&
	       has_header(peer, "Session-Expires") && strstr(header(peer, "To"), ";tag=");
}

/* Of a multipart body the description alone crosses. */
static bool is_unwrapped(const struct peer *peer)
{
	const char *cseq = header(peer, "CSeq");

	if (!strstr(cseq, "INVITE") && !strstr(cseq, "ACK") && !strstr(cseq, "UPDATE"))
		return false;
	if (has_header(peer, "Content-Type") && strstr(header(peer, "Content-Type"), "multipart"))
		fail_msg("a multipart crossed:\n%s", peer->text);
	return strstr(peer->text, "a=ptime:60");
}

static void listen_all(struct drive *drive)
{
	for (uint32_t i = 0; i < 3; i++) {
		struct peer *peer = peer_of(drive, i);

		while (peer_receive(&drive->kit, peer, 0)) {
			drive->received++;
			drive->responses += !strncmp(peer->text, "SIP/2.0 2", 9);
			drive->requests += !!strncmp(peer->text, "SIP/2.0", 7);
			drive->refreshed += is_refresh(peer);
			drive->unwrapped += is_unwrapped(peer);
			if (strlen(peer->text) < sizeof(drive->memory[i].texts[0]))
				strcpy(drive->memory[i].texts[drive->memory[i].next++ % DRIVE_REMEMBERED], peer->text);
		}
	}
}

/* Puts one of the last messages before the peer; most often the very last. */
static bool remember(struct drive *drive, uint32_t index)
{
	uint32_t back = chance(drive, 4) ? 1 : 1 + chance(drive, DRIVE_REMEMBERED);
	const char *text = drive->memory[index].texts[(drive->memory[index].next - back) % DRIVE_REMEMBERED];

	if (*text)
		strcpy(peer_of(drive, index)->text, text);
	return *text;
}

static void grant(struct drive *drive, struct peer *peer)
{
	char extra[1100] = "";

	if (!strncmp(peer->text, "REGISTER", 8) && has_header(peer, "Contact") && header(peer, "Contact")[0] != '*')
		snprintf(extra, sizeof(extra), "Contact: %s\n", header(peer, "Contact"));
	else if (has_header(peer, "Session-Expires") && chance(drive, 2))
		snprintf(extra, sizeof(extra), "%s", any_timer(drive));
	peer_answer(&drive->kit, peer, "200 OK", "t1", extra,
		    !strncmp(peer->text, "INVITE", 6) || *body(peer) ? sdp_plain(4000, "sendrecv") : "");
}

/* What an honest peer does next. False: there is nothing to be done. */
static bool cooperate(struct drive *drive, struct peer *peer)
{
	bool is_response = !strncmp(peer->text, "SIP/2.0", 7);
	struct side side;

	if (!is_response && strncmp(peer->text, "ACK", 3)) {
		grant(drive, peer);
		return true;
	}
	if (!is_response || strncmp(peer->text, "SIP/2.0 200", 11) || !strstr(header(peer, "CSeq"), "INVITE"))
		return false;
	side_of_caller(&side, peer);
	side_sends(&drive->kit, &side, "ACK", "", chance(drive, 4) ? "" : sdp_plain(4000, "sendrecv"));
	return true;
}

static void act(struct drive *drive, uint32_t index)
{
	struct peer *peer = peer_of(drive, index);
	uint32_t what = chance(drive, 32);

	if (chance(drive, 2) && remember(drive, index) && cooperate(drive, peer))
		return;

	if (what < 20 && remember(drive, index)) {
		bool is_response = !strncmp(peer->text, "SIP/2.0", 7);

		if (!is_response && strncmp(peer->text, "ACK", 3) && what < 14)
			answer(drive, peer);
		else if (is_response && what < 3)
			cancel(drive, peer);
		else
			(strstr(header(peer, "CSeq"), "SUBSCRIBE") ? in_subscription : in_dialog)(drive, peer);
	} else if (what < 25) {
		(chance(drive, 3) ? new_invite : new_subscribe)(drive, peer);
	} else if (what < 28) {
		new_register(drive, peer);
	} else if (what < 29) {
		new_outside(drive, peer);
	} else {
		garble(drive, peer);
	}
}

void drive_start(struct drive *drive, const char *zone_extra, const char *encryption)
{
	static const char *const sessions[] = {"", "calls: {session_expires: 90}\n", "calls: {session_expires: 120}\n",
					       "calls: {session_expires: 0}\n"};

	memset(drive->memory, 0, sizeof(drive->memory));
	drive->count = 0;
	kit_start_limited(&drive->kit, zone_extra, encryption, sessions[chance(drive, COUNT(sessions))]);
	drive->kit.hasty = true;
	if (drive->keeps)
		kit_keep(&drive->kit);
}

bool drive_step(struct drive *drive)
{
	static const uint32_t waits_ms[] = {1, 100, 300, 1000, 5000, 40000, 50000};
	uint32_t what = chance(drive, 64);

	if (drive->bytes && !drive->length)
		return false;
	if (what == 0)
		gateway_hears(drive);
	else if (what == 6) /* memory is short: one of the next allocations fails */
		memory_fail_after((long)chance(drive, 100));
	else if (what < 6)
		kit_skip(&drive->kit, waits_ms[chance(drive, COUNT(waits_ms))]);
	else
		act(drive, what % 3);
	listen_all(drive);
	return true;
}

static void hang_up(void *context, const struct gateway_call_view *view)
{
	((uint64_t *)context)[0] = view->id;
}

void drive_stop(struct drive *drive)
{
	struct kit *kit = &drive->kit;
	uint64_t call;

	calls_count(drive);
	drive->registered += kit->bindings_saved;
	memory_fail_after(-1);
	do {
		call = 0;
		gateway_calls_each(kit->gateway, hang_up, &call);
	} while (call && !gateway_hangup(kit->gateway, call));
	kit_skip(kit, 86400000); /* subscriptions last a day at most */
	for (int i = 0; i < 70; i++) {
		kit_skip(kit, 4000);
		listen_all(drive);
	}
	kit_expect_nothing_left(kit);
	kit_stop(kit);
}
