/* SPDX-License-Identifier: Apache-2.0
 * Drives the shield by lines, for the end-to-end tests: loads the program onto the interfaces that have the addresses named, and does
 * what the lines say, each answered by one that begins with "ok" or "error".
 *   shield_drive auto|nftables ADDRESS… */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bpf/datapath.h"
#include "shield/shield.h"

#define WORDS 8
#define RULES 64

static struct {
	struct bpf_datapath datapath;
	struct shield *shield;
	struct bpf_shield_listener listeners[RULES];
	struct bpf_shield_peer peers[RULES];
	struct bpf_shield_range ranges[RULES];
	struct bpf_shield_rules rules;
	uint64_t heard;
} drive;

static uint64_t now_us(void)
{
	return clock_monotonic_us();
}

static struct shield_prefix prefix_from(const char *text)
{
	struct shield_prefix prefix = {0};
	char ip[64];
	const char *slash = strchr(text, '/');

	snprintf(ip, sizeof(ip), "%.*s", (int)(slash ? slash - text : (ptrdiff_t)strlen(text)), text);
	if (address_parse_ip(span_from(ip), &prefix.address))
		return prefix;
	prefix.bits = slash ? (uint8_t)atoi(slash + 1) : prefix.address.family == ADDRESS_IPV4 ? 32 : 128;
	return prefix;
}

static struct address address_from(const char *text)
{
	struct address address = {0};

	(void)address_parse(span_from(text), &address);
	return address;
}

static void on_hit(void *context, const struct shield_entry *entry, uint64_t packets)
{
	(void)context;
	(void)entry;
	drive.heard += packets;
}

/* ---- Commands ---- */

static int block(char **words)
{
	const struct shield_prefix prefix = prefix_from(words[1]);
	int error = shield_add(drive.shield, &prefix, SHIELD_BY_HAND, now_us() + (uint64_t)(atof(words[2]) * 1e6),
			       SPAN("driven"), now_us(), NULL);

	return error ? error : shield_flush(drive.shield, now_us());
}

static int unblock(char **words)
{
	const struct shield_prefix prefix = prefix_from(words[1]);
	int error = shield_remove(drive.shield, &prefix, now_us());

	return error ? error : shield_flush(drive.shield, now_us());
}

/* Without the back end: what ends there by itself is to be seen. */
static int expire(char **words)
{
	(void)words;
	printf("%" PRIu32 " ", shield_expire(drive.shield, now_us()));
	return shield_flush(drive.shield, now_us());
}

static int harvest(char **words)
{
	int more;

	(void)words;
	drive.heard = 0;
	while ((more = shield_harvest(drive.shield, now_us())) > 0)
		;
	printf("%" PRIu64 " ", drive.heard);
	return more;
}

/* listener udp|tcp PLACE open|peers ZONE */
static int listener(char **words)
{
	drive.listeners[drive.rules.listener_count++] = (struct bpf_shield_listener){
		.local = address_from(words[2]),
		.zone = (uint8_t)atoi(words[4]),
		.tcp = strcmp(words[1], "tcp") == 0,
		.peers_only = strcmp(words[3], "peers") == 0,
		.sip = true,
	};
	return 0;
}

static int peer(char **words)
{
	const struct shield_prefix prefix = prefix_from(words[1]);

	drive.peers[drive.rules.peer_count++] =
		(struct bpf_shield_peer){prefix.address, prefix.bits, (uint8_t)atoi(words[2])};
	return 0;
}

static int range(char **words)
{
	drive.ranges[drive.rules.range_count++] =
		(struct bpf_shield_range){address_from(words[1]), (uint16_t)atoi(words[2]), (uint16_t)atoi(words[3])};
	return 0;
}

/* rate KIND PER_SECOND BURST */
static int rate(char **words)
{
	drive.rules.rates[atoi(words[1]) % SHIELD_RATES] =
		(struct bpf_shield_rate){(uint32_t)atoi(words[2]), (uint32_t)atoi(words[3])};
	return 0;
}

static int apply(char **words)
{
	(void)words;
	drive.rules.listeners = drive.listeners;
	drive.rules.peers = drive.peers;
	drive.rules.ranges = drive.ranges;
	drive.rules.key = 0x0123456789abcdefull;
	return shield_rules_set(drive.shield, &drive.rules);
}

static int clear(char **words)
{
	(void)words;
	memset(&drive.rules, 0, sizeof(drive.rules));
	return 0;
}

static int prove(char **words)
{
	const struct address source = address_from(words[1]);

	return bpf_shield_prove(&drive.datapath.shield, &source, now_us() + (uint64_t)(atof(words[2]) * 1e6));
}

static int counters(char **words)
{
	uint64_t counted[SHIELD_REASON_COUNT];
	int error = bpf_shield_counters(&drive.datapath.shield, counted);

	(void)words;
	for (uint32_t i = 0; i < SHIELD_REASON_COUNT && !error; i++)
		printf("%s=%" PRIu64 " ", bpf_shield_reason_name(i), counted[i]);
	return error;
}

static int save(char **words)
{
	(void)words;
	return shield_save(drive.shield, AT_FDCWD, now_us(), clock_wall_s());
}

static int load(char **words)
{
	int error = shield_load(drive.shield, AT_FDCWD, now_us(), clock_wall_s());

	(void)words;
	if (!error)
		error = shield_flush(drive.shield, now_us());
	return error ? error : shield_tidy(drive.shield);
}

static const struct {
	const char *name;
	int words;
	int (*run)(char **words);
} commands[] = {
	{"block", 3, block},       {"unblock", 2, unblock}, {"expire", 1, expire}, {"harvest", 1, harvest},
	{"listener", 5, listener}, {"peer", 3, peer},       {"range", 4, range},   {"rate", 4, rate},
	{"apply", 1, apply},       {"clear", 1, clear},     {"prove", 3, prove},   {"counters", 1, counters},
	{"save", 1, save},         {"load", 1, load},
};

static void line_run(char *line)
{
	char *words[WORDS + 1] = {NULL}, *rest = NULL;
	int count = 0, error = -EINVAL;

	for (char *word = strtok_r(line, " \n", &rest); word && count < WORDS; word = strtok_r(NULL, " \n", &rest))
		words[count++] = word;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]) && count; i++)
		if (strcmp(commands[i].name, words[0]) == 0 && commands[i].words == count)
			error = commands[i].run(words);
	if (error)
		printf("error %s\n", strerror(-error));
	else
		printf("ok\n");
	fflush(stdout);
}

static int start(int count, char **arguments)
{
	static const struct shield_nft nft = {shield_nft_command, NULL};
	const struct shield_options options = {1u << 16, random_system(), on_hit, NULL};
	struct address addresses[RULES];
	char reason[512] = "", guard_reason[512] = "", why[512] = "";
	struct datapath_sites none = {0};
	struct bpf_guard guard = {addresses, 0, guard_reason, sizeof(guard_reason)};
	bool wants_xdp = strcmp(arguments[1], "nftables") != 0;
	struct shield_backend backend;
	int error;

	for (int i = 2; i < count && guard.count < RULES; i++)
		addresses[guard.count++] = address_from(arguments[i]);
	drive.datapath = BPF_DATAPATH_NONE;
	error = wants_xdp ? bpf_datapath_open(&drive.datapath, &none, &guard, reason, sizeof(reason)) : 0;
	if (error && !*guard_reason)
		snprintf(guard_reason, sizeof(guard_reason), "%s", strerror(-error));
	bpf_shield_prepare();
	error = shield_backend_choose(&drive.datapath.shield, guard_reason, &nft, &backend, why, sizeof(why));
	if (error)
		return error;
	drive.shield = shield_new(&options, &backend);
	if (!drive.shield)
		return -ENOMEM;
	printf("ready %s %s\n", shield_backend_name(drive.shield), why);
	fflush(stdout);
	return 0;
}

int main(int count, char **arguments)
{
	char line[512];

	if (count < 3 || start(count, arguments))
		return 1;
	while (fgets(line, sizeof(line), stdin))
		line_run(line);
	shield_free(drive.shield, true);
	bpf_datapath_close(&drive.datapath);
	return 0;
}
