/* SPDX-License-Identifier: Apache-2.0
 * nftables: a table of our own. Each length of a prefix has a set, of addresses whose bits behind it are zero, so that blocks may lie
 * within one another; each set is made when the first block of its length comes. Elements end by themselves. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/memory.h"
#include "shield/nft.h"

#define TABLE "\"family\":\"inet\",\"table\":\"ringwall\""
#define WHOLE "{\"table\":{\"family\":\"inet\",\"name\":\"ringwall\"}}"
#define INPUT_BYTES (1u << 20) /* of the longest batch: 4,096 peers in two sets */
#define LISTING_FIRST (1u << 18)
#define LISTING_MAXIMUM (1u << 28)
#define US_PER_S 1000000u
#define ELEMENTS_MAXIMUM "1048576"

struct nft {
	struct shield_nft command;
	struct buffer input;
	bool has_set[2][129]; /* IPv4, IPv6 */
	size_t listing_bytes;
};

/* ---- Text ---- */

static void command_begin(struct nft *nft)
{
	nft->input.length = 0;
	nft->input.overflow = false;
	buffer_put_text(&nft->input, "{\"nftables\":[");
}

/* Each piece ends with a comma; the last of all becomes the end. */
static int command_run(struct nft *nft, struct buffer *output)
{
	if (nft->input.length && nft->input.data[nft->input.length - 1] == ',')
		nft->input.length--;
	buffer_put_text(&nft->input, "]}");
	return nft->input.overflow ? -E2BIG : nft->command.run(nft->command.context, buffer_span(&nft->input), output);
}

static char family_of(const struct address *address)
{
	return address->family == ADDRESS_IPV6 ? '6' : '4';
}

static const char *protocol_of(char family)
{
	return family == '6' ? "ip6" : "ip";
}

static void mask_write(struct buffer *out, char family, uint8_t bits)
{
	struct shield_prefix all = {.address.family = family == '6' ? ADDRESS_IPV6 : ADDRESS_IPV4, .bits = bits};

	memset(all.address.ip, 0xff, family == '6' ? 16 : 4);
	(void)prefix_clean(&all, &all);
	address_write_ip(out, &all.address, false);
}

static void set_add(struct buffer *out, const char *name, char family, const char *more)
{
	buffer_printf(out, "{\"add\":{\"set\":{" TABLE ",\"name\":\"%s\",\"type\":\"ipv%c_addr\",%s}}},", name, family,
		      more);
}

static void chain_add(struct buffer *out, const char *name, const char *more)
{
	buffer_printf(out, "{\"add\":{\"chain\":{" TABLE ",\"name\":\"%s\"%s}}},", name, more);
}

static void rule_begin(struct buffer *out, const char *chain)
{
	buffer_printf(out, "{\"add\":{\"rule\":{" TABLE ",\"chain\":\"%s\",\"expr\":[", chain);
}

static void rule_end(struct buffer *out, const char *action)
{
	buffer_printf(out, "%s]}}},", action);
}

#define DROP "{\"drop\":null}"

/* ---- The table ---- */

/* Peers pass by the blocks, and listeners are looked at after them. */
static int table_make(struct nft *nft)
{
	struct buffer *out = &nft->input;

	command_begin(nft);
	buffer_put_text(out, "{\"add\":" WHOLE "},{\"delete\":" WHOLE "},{\"add\":" WHOLE "},");
	set_add(out, "peers4", '4', "\"flags\":[\"interval\"]");
	set_add(out, "peers6", '6', "\"flags\":[\"interval\"]");
	chain_add(out, "blocks", "");
	chain_add(out, "listeners", "");
	chain_add(out, "input", ",\"type\":\"filter\",\"hook\":\"prerouting\",\"prio\":-300,\"policy\":\"accept\"");
	for (const char *family = "46"; *family; family++) {
		rule_begin(out, "input");
		buffer_printf(out,
			      "{\"match\":{\"op\":\"!=\",\"left\":{\"payload\":{\"protocol\":\"%s\",\"field\":"
			      "\"saddr\"}},\"right\":\"@peers%c\"}},",
			      protocol_of(*family), *family);
		rule_end(out, "{\"jump\":{\"target\":\"blocks\"}}");
	}
	rule_begin(out, "input");
	rule_end(out, "{\"jump\":{\"target\":\"listeners\"}}");
	return command_run(nft, NULL);
}

static void blocks_set_make(struct nft *nft, const struct shield_prefix *prefix)
{
	char family = family_of(&prefix->address), name[16];
	bool *has = &nft->has_set[family == '6'][prefix->bits];
	struct buffer *out = &nft->input, text = BUFFER_OVER(name);

	if (*has)
		return;
	*has = true;
	buffer_printf(&text, "b%c_%u", family, prefix->bits);
	set_add(out, buffer_text(&text), family,
		"\"flags\":[\"timeout\"],\"size\":" ELEMENTS_MAXIMUM ",\"stmt\":[{\"counter\":null}]");
	rule_begin(out, "blocks");
	buffer_printf(out,
		      "{\"match\":{\"op\":\"==\",\"left\":{\"&\":[{\"payload\":{\"protocol\":\"%s\",\"field\":"
		      "\"saddr\"}},\"",
		      protocol_of(family));
	mask_write(out, family, prefix->bits);
	buffer_printf(out, "\"]},\"right\":\"@%s\"}},", name);
	rule_end(out, DROP);
}

/* ---- Blocks ---- */

static void element_write(struct buffer *out, const char *verb, const struct shield_prefix *prefix, uint64_t timeout_s)
{
	buffer_printf(out, "{\"%s\":{\"element\":{" TABLE ",\"name\":\"b%c_%u\",\"elem\":[{\"elem\":{\"val\":\"", verb,
		      family_of(&prefix->address), prefix->bits);
	address_write_ip(out, &prefix->address, false);
	buffer_put_text(out, "\"");
	if (timeout_s)
		buffer_printf(out, ",\"timeout\":%llu", (unsigned long long)timeout_s);
	buffer_put_text(out, "}}]}}},");
}

/* Adding what is there changes nothing, and deleting what is not there is an error: so it is added before it is deleted, and deleted before
 * it is added with another end. All of a batch happens at once. */
static void change_write(struct nft *nft, const struct shield_change *change, uint64_t now_us)
{
	struct buffer *out = &nft->input;

	blocks_set_make(nft, &change->prefix);
	element_write(out, "add", &change->prefix, 1);
	element_write(out, "delete", &change->prefix, 0);
	if (change->until_us <= now_us)
		return;
	element_write(out, "add", &change->prefix,
		      change->until_us == SHIELD_FOR_GOOD ? 0 : (change->until_us - now_us) / US_PER_S + 1);
}

static int nft_apply(void *context, const struct shield_change *changes, uint32_t count, uint64_t now_us)
{
	struct nft *nft = context;
	bool before[2][129];
	int error;

	memcpy(before, nft->has_set, sizeof(before));
	command_begin(nft);
	for (uint32_t i = 0; i < count; i++)
		change_write(nft, &changes[i], now_us);
	error = command_run(nft, NULL);
	if (error)
		memcpy(nft->has_set, before, sizeof(before));
	return error;
}

/* As large as it was the last time, and larger until it fits. */
static int nft_list(struct nft *nft, struct buffer *output)
{
	int error;

	for (;; nft->listing_bytes *= 2) {
		char *bytes = memory_alloc(nft->listing_bytes);

		*output = buffer_over(bytes, bytes ? nft->listing_bytes : 0);
		command_begin(nft);
		buffer_put_text(&nft->input, "{\"list\":" WHOLE "},");
		error = bytes ? command_run(nft, output) : -ENOMEM;
		if (!error && !output->overflow)
			return 0;
		memory_free(bytes);
		output->data = NULL;
		if (error || nft->listing_bytes >= LISTING_MAXIMUM)
			return error ? error : -E2BIG;
	}
}

static int nft_harvest(void *context, void (*found)(void *context, const struct shield_prefix *prefix, uint64_t hits),
		       void *found_context)
{
	struct buffer listing;
	int error = nft_list(context, &listing);

	if (!error)
		error = nft_hits_read(buffer_span(&listing), found, found_context);
	memory_free(listing.data);
	return error;
}

/* ---- Listeners ---- */

static bool peer_is_first(const struct bpf_shield_rules *rules, uint32_t number, bool in_zone)
{
	const struct bpf_shield_peer *peer = &rules->peers[number];
	const struct shield_prefix own = {peer->address, peer->bits};

	for (uint32_t i = 0; i < rules->peer_count; i++) {
		const struct bpf_shield_peer *each = &rules->peers[i];
		const struct shield_prefix other = {each->address, each->bits};

		if (i != number && (!in_zone || each->zone == peer->zone) && prefixes_meet(&own, &other) &&
		    (other.bits < own.bits || (other.bits == own.bits && i < number)))
			return false;
	}
	return true;
}

static void peer_write(struct buffer *out, const char *set, const struct bpf_shield_peer *peer)
{
	struct shield_prefix prefix = {peer->address, peer->bits};

	(void)prefix_clean(&prefix, &prefix);
	buffer_printf(out, "{\"add\":{\"element\":{" TABLE ",\"name\":\"%s\",\"elem\":[{\"prefix\":{\"addr\":\"", set);
	address_write_ip(out, &prefix.address, false);
	buffer_printf(out, "\",\"len\":%u}}]}}},", prefix.bits);
}

/* Intervals of a set may not overlap: what a wider one has is left out. */
static void peers_write(struct buffer *out, const struct bpf_shield_rules *rules)
{
	char name[16];

	for (uint32_t i = 0; i < rules->peer_count; i++) {
		const struct bpf_shield_peer *peer = &rules->peers[i];
		struct buffer text = BUFFER_OVER(name);

		buffer_printf(&text, "peers%c", family_of(&peer->address));
		if (peer_is_first(rules, i, false))
			peer_write(out, buffer_text(&text), peer);
		text = BUFFER_OVER(name);
		buffer_printf(&text, "zone%u_%c", peer->zone, family_of(&peer->address));
		if (peer_is_first(rules, i, true))
			peer_write(out, buffer_text(&text), peer);
	}
}

static void sets_clear(struct buffer *out, const struct bpf_shield_rules *rules)
{
	uint64_t zones = 0;

	for (uint32_t i = 0; i < rules->peer_count; i++)
		zones |= 1ull << (rules->peers[i].zone & 63);
	for (uint32_t i = 0; i < rules->listener_count; i++)
		zones |= 1ull << (rules->listeners[i].zone & 63);
	for (const char *family = "46"; *family; family++) {
		buffer_printf(out, "{\"flush\":{\"set\":{" TABLE ",\"name\":\"peers%c\"}}},", *family);
		for (unsigned zone = 0; zone < 64; zone++) {
			char name[16];
			struct buffer text = BUFFER_OVER(name);

			if (!(zones >> zone & 1))
				continue;
			buffer_printf(&text, "zone%u_%c", zone, *family);
			set_add(out, buffer_text(&text), *family, "\"flags\":[\"interval\"]");
			buffer_printf(out, "{\"flush\":{\"set\":{" TABLE ",\"name\":\"%s\"}}},", name);
		}
	}
}

/* One place of two zones has peers of both: then the gate alone refuses others. */
static bool listener_is_alone(const struct bpf_shield_rules *rules, uint32_t number)
{
	const struct bpf_shield_listener *own = &rules->listeners[number];

	for (uint32_t i = 0; i < rules->listener_count; i++)
		if (i != number && rules->listeners[i].tcp == own->tcp &&
		    address_equal(&rules->listeners[i].local, &own->local))
			return false;
	return true;
}

static void listener_write(struct buffer *out, const struct bpf_shield_listener *listener)
{
	char family = family_of(&listener->local);
	const char *protocol = protocol_of(family);

	rule_begin(out, "listeners");
	if (!address_is_any(&listener->local)) {
		buffer_printf(out,
			      "{\"match\":{\"op\":\"==\",\"left\":{\"payload\":{\"protocol\":\"%s\",\"field\":"
			      "\"daddr\"}},\"right\":\"",
			      protocol);
		address_write_ip(out, &listener->local, false);
		buffer_put_text(out, "\"}},");
	}
	buffer_printf(out,
		      "{\"match\":{\"op\":\"==\",\"left\":{\"payload\":{\"protocol\":\"%s\",\"field\":\"dport\"}},"
		      "\"right\":%u}},{\"match\":{\"op\":\"!=\",\"left\":{\"payload\":{\"protocol\":\"%s\",\"field\":"
		      "\"saddr\"}},\"right\":\"@zone%u_%c\"}},",
		      listener->tcp ? "tcp" : "udp", listener->local.port, protocol, listener->zone, family);
	rule_end(out, DROP);
}

static int nft_rules(void *context, const struct bpf_shield_rules *rules)
{
	struct nft *nft = context;
	struct buffer *out = &nft->input;

	command_begin(nft);
	buffer_put_text(out, "{\"flush\":{\"chain\":{" TABLE ",\"name\":\"listeners\"}}},");
	sets_clear(out, rules);
	peers_write(out, rules);
	for (uint32_t i = 0; i < rules->listener_count; i++)
		if (rules->listeners[i].peers_only && listener_is_alone(rules, i))
			listener_write(out, &rules->listeners[i]);
	return command_run(nft, NULL);
}

/* ---- The beginning and the end ---- */

static void nft_close(void *context, bool remove)
{
	struct nft *nft = context;

	if (remove) {
		command_begin(nft);
		buffer_put_text(&nft->input, "{\"add\":" WHOLE "},{\"delete\":" WHOLE "},");
		(void)command_run(nft, NULL);
	}
	memory_free(nft->input.data);
	memory_free(nft);
}

int shield_backend_nft(const struct shield_nft *command, struct shield_backend *out)
{
	struct nft *nft = memory_alloc(sizeof(*nft));
	char *input = memory_alloc(INPUT_BYTES);
	int error = nft && input ? 0 : -ENOMEM;

	if (!error) {
		*nft = (struct nft){
			.command = *command, .input = buffer_over(input, INPUT_BYTES), .listing_bytes = LISTING_FIRST};
		error = table_make(nft);
	}
	if (error) {
		memory_free(input);
		memory_free(nft);
		return error;
	}
	*out = (struct shield_backend){.name = "nftables",
				       .context = nft,
				       .apply = nft_apply,
				       .rules = nft_rules,
				       .harvest = nft_harvest,
				       .close = nft_close};
	return 0;
}
