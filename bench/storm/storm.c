/* SPDX-License-Identifier: Apache-2.0
 * Phones that all come back at once: each a UDP socket and an account of its own; registers with digest (MD5, RFC 2617), obeys
 * 503 with Retry-After, sends again as RFC 3261 timer E says. For every line on standard input all register anew, as
 * after a power cut, with another Call-ID; when all are registered it prints one line of JSON.
 *
 *   storm ADDRESS PORT COUNT PASSWORD SOURCE... */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define TIMER_FIRST_MS 500
#define TIMER_LONGEST_MS 4000
#define TRANSACTION_MS 32000
#define GIVE_UP_MS 600000

struct phone {
	int socket;
	char local[32]; /* address:port */
	unsigned number, cseq, attempt;
	bool registered;
	char nonce[128];
	uint64_t begun_ms, next_ms; /* of the transaction; when something is due */
	unsigned wait_ms;           /* between two sendings */
};

static struct {
	const char *host, *password;
	unsigned port, count, registered, round;
	uint64_t begun_ms;
	unsigned long sent, again, deferred, challenged, failed, longest_retry_s;
	uint32_t *done_ms;
	struct phone *phones;
} storm;

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void md5_hex(const char *text, char out[33])
{
	unsigned char digest[EVP_MAX_MD_SIZE];

	EVP_Digest(text, strlen(text), digest, NULL, EVP_md5(), NULL);
	for (int i = 0; i < 16; i++)
		sprintf(out + 2 * i, "%02x", digest[i]);
}

static void authorization(const struct phone *phone, char *out, size_t capacity)
{
	char text[512], first[33], second[33], answer[33];

	*out = 0;
	if (!*phone->nonce)
		return;
	snprintf(text, sizeof(text), "%u:%s:%s", phone->number, storm.host, storm.password);
	md5_hex(text, first);
	snprintf(text, sizeof(text), "REGISTER:sip:%s", storm.host);
	md5_hex(text, second);
	snprintf(text, sizeof(text), "%s:%s:%s", first, phone->nonce, second);
	md5_hex(text, answer);
	snprintf(out, capacity,
		 "Authorization: Digest username=\"%u\", realm=\"%s\", nonce=\"%s\", uri=\"sip:%s\", "
		 "response=\"%s\"\r\n",
		 phone->number, storm.host, phone->nonce, storm.host, answer);
}

static void phone_send(struct phone *phone)
{
	char text[1500], credentials[500];
	int length;

	authorization(phone, credentials, sizeof(credentials));
	length = snprintf(text, sizeof(text),
			  "REGISTER sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%u-%u-%u;rport\r\n"
			  "Max-Forwards: 70\r\nFrom: <sip:%u@%s>;tag=f%u\r\nTo: <sip:%u@%s>\r\nCall-ID: %u-%u@phone\r\n"
			  "CSeq: %u REGISTER\r\nContact: <sip:%u@%s>;expires=600\r\n%sUser-Agent: Storm/1.0\r\n"
			  "Content-Length: 0\r\n\r\n",
			  storm.host, phone->local, phone->number, storm.round, phone->cseq, phone->number, storm.host,
			  storm.round, phone->number, storm.host, phone->number, storm.round, phone->cseq,
			  phone->number, phone->local, credentials);
	if (send(phone->socket, text, (size_t)length, 0) == length)
		storm.sent++;
}

static void transaction_begin(struct phone *phone, uint64_t now)
{
	phone->cseq++;
	phone->begun_ms = now;
	phone->wait_ms = TIMER_FIRST_MS;
	phone->next_ms = now + phone->wait_ms;
	phone_send(phone);
}

static void timer_fired(struct phone *phone, uint64_t now)
{
	if (!phone->wait_ms || now - phone->begun_ms >= TRANSACTION_MS) {
		storm.failed += phone->wait_ms != 0; /* no answer at all */
		transaction_begin(phone, now);
		return;
	}
	phone->wait_ms = phone->wait_ms * 2 < TIMER_LONGEST_MS ? phone->wait_ms * 2 : TIMER_LONGEST_MS;
	phone->next_ms = now + phone->wait_ms;
	storm.again++;
	phone_send(phone);
}

static void come_later(struct phone *phone, const char *text, uint64_t now)
{
	const char *header = strstr(text, "\r\nRetry-After:");
	unsigned long seconds = header ? strtoul(header + 14, NULL, 10) : 30;

	storm.deferred++;
	if (seconds > storm.longest_retry_s)
		storm.longest_retry_s = seconds;
	*phone->nonce = 0;
	phone->wait_ms = 0;
	/* As phones do: not all at the same instant of that second. */
	phone->next_ms = now + seconds * 1000 + (unsigned)rand() % 500;
}

static void phone_received(struct phone *phone, const char *text, uint64_t now)
{
	const char *nonce = strstr(text, "nonce=\""), *cseq = strstr(text, "CSeq: ");
	int status = strncmp(text, "SIP/2.0 ", 8) ? 0 : atoi(text + 8);

	if (phone->registered || status < 200 || !cseq || strtoul(cseq + 6, NULL, 10) != phone->cseq)
		return;
	if (status == 200) {
		phone->registered = true;
		phone->next_ms = UINT64_MAX;
		storm.done_ms[storm.registered++] = (uint32_t)(now - storm.begun_ms);
	} else if (status == 401 && nonce) {
		storm.challenged++;
		snprintf(phone->nonce, sizeof(phone->nonce), "%.*s", (int)strcspn(nonce + 7, "\""), nonce + 7);
		transaction_begin(phone, now);
	} else {
		storm.failed += status != 503;
		come_later(phone, text, now);
	}
}

static void round_run(int epoll)
{
	struct epoll_event events[256];
	uint64_t now = now_ms();
	char text[4000];

	storm.registered = 0;
	storm.sent = storm.again = storm.deferred = storm.challenged = storm.failed = storm.longest_retry_s = 0;
	storm.round++;
	storm.begun_ms = now;
	for (unsigned i = 0; i < storm.count; i++) {
		struct phone *phone = &storm.phones[i];

		phone->registered = false;
		phone->cseq = 0;
		*phone->nonce = 0;
		transaction_begin(phone, now);
	}
	while (storm.registered < storm.count && now - storm.begun_ms < GIVE_UP_MS) {
		int count = epoll_wait(epoll, events, 256, 20);

		now = now_ms();
		for (int i = 0; i < count; i++) {
			struct phone *phone = events[i].data.ptr;
			ssize_t length;

			while ((length = recv(phone->socket, text, sizeof(text) - 1, MSG_DONTWAIT)) > 0) {
				text[length] = 0;
				phone_received(phone, text, now);
			}
		}
		for (unsigned i = 0; i < storm.count; i++)
			if (storm.phones[i].next_ms <= now)
				timer_fired(&storm.phones[i], now);
	}
}

static void result_print(void)
{
	unsigned n = storm.registered;

	printf("{\"phones\": %u, \"registered\": %u, \"all_s\": %.1f, \"half_s\": %.1f, \"p99_s\": %.1f, \"sent\": "
	       "%lu, "
	       "\"sent_again\": %lu, \"deferred\": %lu, \"challenged\": %lu, \"failed\": %lu, "
	       "\"longest_retry_after_s\": "
	       "%lu}\n",
	       storm.count, n, n ? storm.done_ms[n - 1] / 1000.0 : 0.0, n ? storm.done_ms[n / 2] / 1000.0 : 0.0,
	       n ? storm.done_ms[n - 1 - n / 100] / 1000.0 : 0.0, storm.sent, storm.again, storm.deferred,
	       storm.challenged, storm.failed, storm.longest_retry_s);
	fflush(stdout);
}

static bool phone_open(struct phone *phone, unsigned number, const char *source, int epoll)
{
	struct sockaddr_in local = {.sin_family = AF_INET}, remote = {.sin_family = AF_INET};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = phone};
	socklen_t length = sizeof(local);

	remote.sin_port = htons((uint16_t)storm.port);
	inet_pton(AF_INET, storm.host, &remote.sin_addr);
	inet_pton(AF_INET, source, &local.sin_addr);
	phone->number = number;
	phone->next_ms = UINT64_MAX;
	phone->socket = socket(AF_INET, SOCK_DGRAM, 0);
	if (phone->socket < 0 || bind(phone->socket, (struct sockaddr *)&local, sizeof(local)) ||
	    connect(phone->socket, (struct sockaddr *)&remote, sizeof(remote)) ||
	    getsockname(phone->socket, (struct sockaddr *)&local, &length))
		return false;
	snprintf(phone->local, sizeof(phone->local), "%s:%u", source, ntohs(local.sin_port));
	return epoll_ctl(epoll, EPOLL_CTL_ADD, phone->socket, &event) == 0;
}

int main(int argument_count, char **arguments)
{
	struct rlimit limit;
	int epoll = epoll_create1(0);
	char line[64];

	if (argument_count < 6) {
		fprintf(stderr, "usage: storm ADDRESS PORT COUNT PASSWORD SOURCE...\n");
		return 2;
	}
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	storm.host = arguments[1];
	storm.port = (unsigned)atoi(arguments[2]);
	storm.count = (unsigned)atoi(arguments[3]);
	storm.password = arguments[4];
	storm.round = (unsigned)time(NULL) % 100000 * 10;
	storm.phones = calloc(storm.count, sizeof(*storm.phones));
	storm.done_ms = calloc(storm.count, sizeof(*storm.done_ms));
	for (unsigned i = 0; i < storm.count; i++)
		if (!phone_open(&storm.phones[i], 100000 + i, arguments[5 + i % (unsigned)(argument_count - 5)],
				epoll)) {
			fprintf(stderr, "a phone has no socket: %s\n", strerror(errno));
			return 1;
		}
	while (fgets(line, sizeof(line), stdin)) {
		round_run(epoll);
		result_print();
	}
	return 0;
}
