/* SPDX-License-Identifier: Apache-2.0
 * The test PBX between two phones that the test plays itself, message by message. */
#include "agent_fixture.h"

#define PATIENCE_MS 5000

/* One phone: a UDP socket, and the last message that it got. */
struct phone {
	int descriptor;
	uint16_t port;
	const char *user;
	char bytes[8192], arena[16384];
	struct sip_message message;
};

struct fixture {
	struct pbx_process pbx;
	struct phone alice, bob;
};

static void phone_open(struct phone *phone, const char *user, uint16_t pbx_port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(pbx_port)};

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	phone->user = user;
	phone->descriptor = socket_open(SOCK_DGRAM, &phone->port);
	assert_int_equal(connect(phone->descriptor, (struct sockaddr *)&to, sizeof(to)), 0);
}

/* The next message; fails when none comes. */
static const struct sip_message *hear(struct phone *phone)
{
	struct pollfd wait = {phone->descriptor, POLLIN, 0};
	struct arena arena = arena_over(phone->arena, sizeof(phone->arena));
	ssize_t length;
	size_t consumed;

	if (poll(&wait, 1, PATIENCE_MS) != 1)
		fail_msg("%s heard nothing", phone->user);
	length = recv(phone->descriptor, phone->bytes, sizeof(phone->bytes), 0);
	assert_true(length > 0);
	assert_int_equal(sip_message_parse((struct span){phone->bytes, (size_t)length}, false, &sip_limits_default,
					   &arena, &phone->message, &consumed),
			 SIP_OK);
	return &phone->message;
}

static void hear_status(struct phone *phone, uint16_t status)
{
	const struct sip_message *message;

	do /* 100 may stand before */
		message = hear(phone);
	while (!message->is_request && message->status == 100 && status != 100);
	assert_false(message->is_request);
	assert_int_equal(message->status, status);
}

static void hear_request(struct phone *phone, enum sip_method method)
{
	const struct sip_message *message = hear(phone);

	assert_true(message->is_request);
	assert_string_equal(sip_method_name(message->method), sip_method_name(method));
}

static void hear_nothing(struct phone *phone)
{
	struct pollfd wait = {phone->descriptor, POLLIN, 0};

	assert_int_equal(poll(&wait, 1, 300), 0);
}

/* Answers the last request. */
static void answer(struct phone *phone, uint16_t status, const char *body)
{
	char text[4096], contact[64];
	struct buffer out = BUFFER_OVER(text);

	snprintf(contact, sizeof(contact), "<sip:%s@127.0.0.1:%u>", phone->user, phone->port);
	sip_write_response_start(&out, &phone->message, status, SPAN_EMPTY, span_from(phone->user), NULL);
	sip_write_header(&out, SIP_HEADER_CONTACT, span_from(contact));
	sip_write_body(&out, *body ? SPAN("application/sdp") : SPAN_EMPTY, span_from(body));
	assert_false(out.overflow);
	assert_true(send(phone->descriptor, text, out.length, 0) > 0);
}

/* A request. `to` is the called user; `tag` ";tag=…" inside a dialog. */
static void say(struct phone *phone, const char *method, int cseq, const char *to, const char *tag, const char *call,
		const char *more, const char *body)
{
	char text[4096];
	const char *number = strcmp(method, "ACK") && strcmp(method, "CANCEL") ? method : "INVITE";
	int length = snprintf(
		text, sizeof(text),
		"%s sip:%s@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%u;rport;branch=z9hG4bK%s%s%d\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:%s@127.0.0.1>;tag=%s\r\nTo: <sip:%s@127.0.0.1>%s\r\n"
		"Call-ID: %s\r\nCSeq: %d %s\r\nContact: <sip:%s@127.0.0.1:%u>\r\n%s%sContent-Length: %zu\r\n"
		"\r\n%s",
		method, to, phone->port, number, call, cseq, phone->user, phone->user, to, tag, call, cseq, method,
		phone->user, phone->port, more, *body ? "Content-Type: application/sdp\r\n" : "", strlen(body), body);

	assert_true(send(phone->descriptor, text, (size_t)length, 0) > 0);
}

static void register_phone(struct phone *phone)
{
	say(phone, "REGISTER", 1, phone->user, "", phone->user, "Expires: 60\r\n", "");
	hear_status(phone, 200);
	assert_non_null(sip_message_header(&phone->message, SIP_HEADER_CONTACT));
}

static int start(void **state)
{
	struct fixture *fixture = test_calloc(1, sizeof(*fixture));

	fixture->pbx = pbx_start(NULL, NULL, NULL);
	phone_open(&fixture->alice, "alice", fixture->pbx.port);
	phone_open(&fixture->bob, "bob", fixture->pbx.port);
	register_phone(&fixture->bob);
	*state = fixture;
	return 0;
}

static int stop(void **state)
{
	struct fixture *fixture = *state;

	pbx_stop(&fixture->pbx);
	close(fixture->alice.descriptor);
	close(fixture->bob.descriptor);
	test_free(fixture);
	return 0;
}

static void save_tag(const struct phone *phone, char tag[100])
{
	snprintf(tag, 100, ";tag=%.*s", SPAN_PRINT(phone->message.to.tag));
}

static void whole_call_is_bridged(void **state)
{
	struct fixture *f = *state;
	char tag[100];

	say(&f->alice, "INVITE", 1, "bob", "", "c1", "", "offer");
	hear_request(&f->bob, SIP_INVITE);
	assert_true(span_is(f->bob.message.body, "offer"));
	assert_true(span_is(f->bob.message.content_type, "application/sdp"));
	assert_true(span_is(f->bob.message.from.uri.user, "alice"));
	assert_false(span_is(f->bob.message.call_id, "c1")); /* two dialogs */
	answer(&f->bob, 180, "");
	hear_status(&f->alice, 180);
	answer(&f->bob, 200, "answer");
	hear_status(&f->alice, 200);
	assert_true(span_is(f->alice.message.body, "answer"));
	save_tag(&f->alice, tag);
	say(&f->alice, "ACK", 1, "bob", tag, "c1own", "", "");
	hear_nothing(&f->bob); /* another call's ACK */
	say(&f->alice, "ACK", 1, "bob", tag, "c1", "", "");
	hear_request(&f->bob, SIP_ACK);

	say(&f->alice, "INVITE", 2, "bob", tag, "c1", "", "hold");
	hear_request(&f->bob, SIP_INVITE);
	assert_true(span_is(f->bob.message.body, "hold"));
	answer(&f->bob, 200, "held");
	hear_status(&f->alice, 200);
	assert_true(span_is(f->alice.message.body, "held"));
	say(&f->alice, "ACK", 2, "bob", tag, "c1", "", "");
	hear_request(&f->bob, SIP_ACK);

	say(&f->alice, "INFO", 3, "bob", tag, "c1", "", "digit");
	hear_request(&f->bob, SIP_INFO);
	answer(&f->bob, 200, "");
	hear_status(&f->alice, 200);
	say(&f->alice, "BYE", 4, "bob", tag, "c1", "", "");
	hear_status(&f->alice, 200);
	hear_request(&f->bob, SIP_BYE);
	answer(&f->bob, 200, "");
	say(&f->alice, "INFO", 5, "bob", tag, "c1", "", "");
	hear_status(&f->alice, 481);
}

/* RFC 3261 section 13.2.1: the offer may come in the 200 and the answer in the ACK. */
static void late_offer_crosses(void **state)
{
	struct fixture *f = *state;
	char tag[100];

	say(&f->alice, "INVITE", 1, "bob", "", "c2", "", "");
	hear_request(&f->bob, SIP_INVITE);
	assert_int_equal(f->bob.message.body.length, 0);
	answer(&f->bob, 200, "offer");
	hear_status(&f->alice, 200);
	assert_true(span_is(f->alice.message.body, "offer"));
	save_tag(&f->alice, tag);
	say(&f->alice, "ACK", 1, "bob", tag, "c2", "", "answer");
	hear_request(&f->bob, SIP_ACK);
	assert_true(span_is(f->bob.message.body, "answer"));
}

static void cancel_reaches_the_phone(void **state)
{
	struct fixture *f = *state;

	say(&f->alice, "INVITE", 1, "bob", "", "c3", "", "offer");
	hear_request(&f->bob, SIP_INVITE);
	answer(&f->bob, 180, "");
	hear_status(&f->alice, 180);
	say(&f->alice, "CANCEL", 1, "bob", "", "c3", "", "");
	hear_status(&f->alice, 200);
	hear_status(&f->alice, 487);
	say(&f->alice, "ACK", 1, "bob", "", "c3", "", "");
	hear_request(&f->bob, SIP_CANCEL);
	answer(&f->bob, 200, "");
}

/* The phone was faster than the CANCEL: it gets ACK and BYE, the caller keeps his 487. */
static void answer_that_crosses_the_cancel_is_hung_up(void **state)
{
	struct fixture *f = *state;
	struct sip_message invite;
	char bytes[8192], arena_bytes[16384];
	struct arena arena = arena_over(arena_bytes, sizeof(arena_bytes));
	size_t consumed;

	say(&f->alice, "INVITE", 1, "bob", "", "c4", "", "offer");
	hear_request(&f->bob, SIP_INVITE);
	answer(&f->bob, 180, "");
	memcpy(bytes, f->bob.bytes, sizeof(bytes));
	assert_int_equal(sip_message_parse((struct span){bytes, f->bob.message.bytes.length}, false,
					   &sip_limits_default, &arena, &invite, &consumed),
			 SIP_OK);
	hear_status(&f->alice, 180);
	say(&f->alice, "CANCEL", 1, "bob", "", "c4", "", "");
	hear_status(&f->alice, 200);
	hear_status(&f->alice, 487);
	hear_request(&f->bob, SIP_CANCEL);
	answer(&f->bob, 200, "");
	f->bob.message = invite;
	answer(&f->bob, 200, "answer");
	hear_request(&f->bob, SIP_ACK);
	hear_request(&f->bob, SIP_BYE);
	answer(&f->bob, 200, "");
}

static void refusal_is_passed_on_without_the_phones_challenge(void **state)
{
	struct fixture *f = *state;

	say(&f->alice, "INVITE", 1, "bob", "", "c5", "", "offer");
	hear_request(&f->bob, SIP_INVITE);
	answer(&f->bob, 486, "");
	hear_request(&f->bob, SIP_ACK);
	hear_status(&f->alice, 486);
	say(&f->alice, "ACK", 1, "bob", "", "c5", "", "");
	say(&f->alice, "INVITE", 1, "bob", "", "c6", "", "offer");
	hear_request(&f->bob, SIP_INVITE);
	answer(&f->bob, 401, "");
	hear_request(&f->bob, SIP_ACK);
	hear_status(&f->alice, 403);
}

/* Alice in a call with Bob; `tag` is of hers with the PBX. */
static void talk(struct fixture *f, const char *call, char tag[100])
{
	say(&f->alice, "INVITE", 1, "bob", "", call, "", "offer");
	hear_request(&f->bob, SIP_INVITE);
	answer(&f->bob, 200, "answer");
	hear_status(&f->alice, 200);
	save_tag(&f->alice, tag);
	say(&f->alice, "ACK", 1, "bob", tag, call, "", "");
	hear_request(&f->bob, SIP_ACK);
}

static void hear_result(struct phone *phone, const char *line)
{
	hear_request(phone, SIP_NOTIFY);
	assert_true(span_starts_with(phone->message.content_type, SPAN("message/sipfrag")));
	assert_true(span_starts_with(phone->message.body, span_from(line)));
	answer(phone, 200, "");
}

/* RFC 3725 section 4.1: the target's offer goes to who is transferred, his answer to the target. */
static void transfer_joins_the_two(void **state)
{
	struct fixture *f = *state;
	struct phone *carol = test_calloc(1, sizeof(*carol));
	char tag[100];

	phone_open(carol, "carol", f->pbx.port);
	register_phone(carol);
	talk(f, "t1", tag);
	say(&f->alice, "REFER", 2, "bob", tag, "t1", "Refer-To: <sip:carol@127.0.0.1>\r\n", "");
	hear_status(&f->alice, 202);
	hear_result(&f->alice, "SIP/2.0 100");
	hear_request(carol, SIP_INVITE);
	assert_int_equal(carol->message.body.length, 0);
	answer(carol, 180, "");
	hear_result(&f->alice, "SIP/2.0 180");
	answer(carol, 200, "carols offer");
	hear_request(&f->bob, SIP_INVITE);
	assert_true(span_is(f->bob.message.body, "carols offer"));
	answer(&f->bob, 200, "bobs answer");
	hear_request(&f->bob, SIP_ACK);
	hear_request(carol, SIP_ACK);
	assert_true(span_is(carol->message.body, "bobs answer"));
	hear_result(&f->alice, "SIP/2.0 200");
	say(&f->alice, "BYE", 3, "bob", tag, "t1", "", "");
	hear_status(&f->alice, 200);
	hear_nothing(&f->bob);
	close(carol->descriptor);
	test_free(carol);
}

static void failed_transfer_changes_nothing(void **state)
{
	struct fixture *f = *state;
	char tag[100];

	talk(f, "t2", tag);
	say(&f->alice, "REFER", 2, "bob", tag, "t2", "Refer-To: <sip:nobody@127.0.0.1>\r\n", "");
	hear_status(&f->alice, 202);
	hear_result(&f->alice, "SIP/2.0 100");
	hear_result(&f->alice, "SIP/2.0 404");
	say(&f->alice, "REFER", 3, "bob", tag, "t2",
	    "Refer-To: <sip:x@127.0.0.1?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>\r\n", "");
	hear_status(&f->alice, 404);
	say(&f->alice, "BYE", 4, "bob", tag, "t2", "", "");
	hear_status(&f->alice, 200);
	hear_request(&f->bob, SIP_BYE);
}

/* RFC 3842: told at once, when it changes, and at the end. */
static void mailbox_is_told(void **state)
{
	struct fixture *f = *state;
	char tag[100];

	say(&f->alice, "SUBSCRIBE", 1, "alice", "", "m1", "Event: message-summary\r\nExpires: 60\r\n", "");
	hear_status(&f->alice, 200);
	save_tag(&f->alice, tag);
	hear_request(&f->alice, SIP_NOTIFY);
	assert_true(span_starts_with(f->alice.message.body, SPAN("Messages-Waiting: no")));
	answer(&f->alice, 200, "");
	say(&f->bob, "INVITE", 1, "605", "", "m2", "",
	    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n");
	hear_status(&f->bob, 200);
	hear_request(&f->alice, SIP_NOTIFY);
	assert_true(span_starts_with(f->alice.message.body, SPAN("Messages-Waiting: yes")));
	answer(&f->alice, 200, "");
	say(&f->alice, "SUBSCRIBE", 2, "alice", tag, "m1", "Event: message-summary\r\nExpires: 0\r\n", "");
	hear_status(&f->alice, 200);
	hear_request(&f->alice, SIP_NOTIFY);
	assert_true(span_starts_with(sip_message_header(&f->alice.message, SIP_HEADER_SUBSCRIPTION_STATE)->value,
				     SPAN("terminated")));
}

static void messages_reach_registered_users(void **state)
{
	struct fixture *f = *state;

	say(&f->alice, "MESSAGE", 1, "bob", "", "m1", "", "hello");
	hear_request(&f->bob, SIP_MESSAGE);
	assert_true(span_is(f->bob.message.body, "hello"));
	answer(&f->bob, 202, "");
	hear_status(&f->alice, 202);
	say(&f->alice, "MESSAGE", 1, "carol", "", "m2", "", "hello");
	hear_status(&f->alice, 404);
}

static void registrar_keeps_and_forgets(void **state)
{
	struct fixture *f = *state;
	struct phone *bob = &f->bob;

	say(bob, "REGISTER", 2, "bob", "", "bob", "Expires: 60\r\nContact: <sip:second@127.0.0.1>;expires=7\r\n", "");
	hear_status(bob, 200);
	assert_non_null(strstr(bob->bytes, "sip:second@127.0.0.1>;expires=7"));
	say(bob, "REGISTER", 3, "bob", "", "bob", "Expires: 0\r\n", ""); /* the first one goes, the second stays */
	hear_status(bob, 200);
	assert_true(bob->message.contact.text.length > 0);
	assert_true(span_is(bob->message.contact.uri.user, "second"));
	for (int i = 0; i < 4; i++) {
		char contact[100];

		snprintf(contact, sizeof(contact), "Contact: <sip:more%d@127.0.0.1>\r\n", i);
		say(bob, "REGISTER", 4 + i, "bob", "", "bob", contact, "");
		hear_status(bob, i < 3 ? 200 : 503); /* a user has so many phones and no more */
	}
	say(&f->alice, "INVITE", 1, "carol", "", "c7", "", "offer");
	hear_status(&f->alice, 404);
}

static void small_requests_are_answered(void **state)
{
	struct fixture *f = *state;

	say(&f->alice, "OPTIONS", 1, "bob", "", "o1", "", "");
	hear_status(&f->alice, 200);
	assert_true(sip_message_has_token(&f->alice.message, SIP_HEADER_ALLOW, "INVITE"));
	say(&f->alice, "PUBLISH", 1, "bob", "", "o2", "", "");
	hear_status(&f->alice, 405);
	say(&f->alice, "SUBSCRIBE", 1, "bob", "", "o6", "Event: unheard-of\r\n", "");
	hear_status(&f->alice, 489);
	say(&f->alice, "OPTIONS", 1, "bob", "", "o3", "Require: 100rel\r\n", "");
	hear_status(&f->alice, 420);
	say(&f->alice, "BYE", 1, "bob", ";tag=none", "o4", "", "");
	hear_status(&f->alice, 481);
	say(&f->alice, "INVITE", 1, "600", "", "o5", "", "not sdp");
	hear_status(&f->alice, 488);
}

/* 600 rings through another PBX: the body crosses unchanged, so the sound goes straight to the second one. */
static void test_call_through_two(void **state)
{
	struct fixture *f = *state;
	struct pbx_process second = pbx_start(NULL, NULL, NULL);
	struct testcall_settings settings = {.duration_ms = 400, .timeout_ms = 8000, .encrypt = true};
	struct testcall_result result;
	char target[100], contact[100];
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(f->pbx.port)};
	int descriptor;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	descriptor = socket(AF_INET, SOCK_STREAM, 0); /* registers over TCP and goes: the contact is dialled */
	assert_int_equal(connect(descriptor, (struct sockaddr *)&to, sizeof(to)), 0);
	snprintf(contact, sizeof(contact), "Contact: <sip:600@127.0.0.1:%u>\r\n", second.port);
	close(f->alice.descriptor);
	f->alice.descriptor = descriptor;
	f->alice.user = "dave";
	snprintf(target, sizeof(target), "REGISTER sip:x SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK%d\r\n",
		 second.port);
	{
		char text[1000];
		int length =
			snprintf(text, sizeof(text),
				 "%sFrom: <sip:dave@x>;tag=1\r\nTo: <sip:dave@x>\r\nCall-ID: r\r\nCSeq: 1 REGISTER\r\n"
				 "Max-Forwards: 70\r\n%sContent-Length: 0\r\n\r\n",
				 target, contact);

		assert_true(send(descriptor, text, (size_t)length, 0) > 0);
	}
	hear_status(&f->alice, 200);
	shutdown(descriptor, SHUT_RDWR);
	usleep(100000);

	snprintf(target, sizeof(target), "sip:dave@127.0.0.1:%u", f->pbx.port);
	settings.target = target;
	assert_int_equal(testcall_run(&settings, &result), 0);
	assert_string_equal(result.failure, "");
	assert_true(result.passed && result.encrypted);
	pbx_stop(&second);
}

#define WITH_PBX(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PBX(whole_call_is_bridged),
		WITH_PBX(late_offer_crosses),
		WITH_PBX(cancel_reaches_the_phone),
		WITH_PBX(answer_that_crosses_the_cancel_is_hung_up),
		WITH_PBX(refusal_is_passed_on_without_the_phones_challenge),
		WITH_PBX(transfer_joins_the_two),
		WITH_PBX(failed_transfer_changes_nothing),
		WITH_PBX(mailbox_is_told),
		WITH_PBX(messages_reach_registered_users),
		WITH_PBX(registrar_keeps_and_forgets),
		WITH_PBX(small_requests_are_answered),
		WITH_PBX(test_call_through_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
