/* SPDX-License-Identifier: Apache-2.0
 * See sources.h. */
#include "transport/sources.h"

#include <string.h>

#include "base/memory.h"
#include "base/table.h"

#define WAYS 4
#define SOURCE_SETS 4096u
#define PROOF_WAYS 5     /* a set is a line of the cache */
#define CHUNK_SETS 1024u /* proofs take memory in pieces of this size */
#define CHUNKS_MAXIMUM 256u

struct source {
	uint64_t hash;
	uint32_t credit, overdrawn;         /* bytes */
	uint32_t heard_s, overdraft_from_s; /* heard_s 0: nobody's place */
};

struct proof_set {
	uint64_t hash[PROOF_WAYS];
	uint32_t until_s[PROOF_WAYS]; /* 0: nobody's place */
};

struct sources {
	uint8_t key[HASH_KEY_BYTES];
	uint32_t overdrawn; /* by all, in the second overdraft_s */
	uint64_t overdraft_s;
	uint32_t proof_count;                 /* places that were taken */
	uint32_t sets, sets_maximum, doubled; /* of proofs; doubled: the power of two that `sets` grows to */
	struct proof_set *chunks[CHUNKS_MAXIMUM];
	struct source sources[SOURCE_SETS][WAYS];
};

/* Never 0, so that no place is taken for one that begins at time 0. */
static uint64_t seconds(uint64_t now_ms)
{
	return now_ms / 1000 + 1;
}

static struct proof_set *chunk_new(void)
{
	return memory_alloc(CHUNK_SETS * sizeof(struct proof_set));
}

struct sources *sources_new(uint32_t proofs, struct random_source random)
{
	struct sources *sources = memory_alloc(sizeof(*sources));

	if (!sources)
		return NULL;
	sources->chunks[0] = chunk_new();
	if (!sources->chunks[0]) {
		memory_free(sources);
		return NULL;
	}
	sources->sets = sources->doubled = sources->sets_maximum = CHUNK_SETS;
	while (2 * sources->sets_maximum < proofs && sources->sets_maximum < CHUNKS_MAXIMUM * CHUNK_SETS)
		sources->sets_maximum *= 2;
	random_fill(random, sources->key, sizeof(sources->key));
	return sources;
}

void sources_free(struct sources *sources)
{
	for (uint32_t i = 0; sources && i < CHUNKS_MAXIMUM; i++)
		memory_free(sources->chunks[i]);
	memory_free(sources);
}

/* ---- What was sent and may be answered ---- */

static uint64_t source_hash(const struct sources *sources, const struct address *remote)
{
	return hash_bytes(sources->key, remote->ip, remote->family == ADDRESS_IPV6 ? 8 : 4) ^ remote->family;
}

static struct source *source_find(const struct sources *sources, uint64_t hash)
{
	struct source *set = (struct source *)(uintptr_t)sources->sources[hash % SOURCE_SETS];

	for (int i = 0; i < WAYS; i++)
		if (set[i].heard_s && set[i].hash == hash)
			return &set[i];
	return NULL;
}

/* Its place, or that of the source that was silent for longest. */
static struct source *source_get(struct sources *sources, const struct address *remote, uint64_t now_ms)
{
	uint64_t hash = source_hash(sources, remote);
	struct source *source = source_find(sources, hash), *set = sources->sources[hash % SOURCE_SETS];
	uint32_t now_s = (uint32_t)seconds(now_ms);

	if (!source) {
		source = &set[0];
		for (int i = 1; i < WAYS; i++)
			if (set[i].heard_s < source->heard_s)
				source = &set[i];
		*source = (struct source){.hash = hash, .overdraft_from_s = now_s};
	}
	source->heard_s = now_s;
	if (now_s - source->overdraft_from_s >= SOURCE_OVERDRAFT_S) {
		source->overdraft_from_s = now_s;
		source->overdrawn = 0;
	}
	return source;
}

void sources_heard(struct sources *sources, const struct address *remote, size_t bytes, uint64_t now_ms)
{
	struct source *source = source_get(sources, remote, now_ms);
	size_t credit = source->credit + bytes;

	source->credit = (uint32_t)(credit < SOURCE_CREDIT_BYTES ? credit : SOURCE_CREDIT_BYTES);
}

size_t sources_credit(const struct sources *sources, const struct address *remote)
{
	const struct source *source = source_find(sources, source_hash(sources, remote));

	return source ? source->credit : 0;
}

bool sources_grant(struct sources *sources, const struct address *remote, size_t bytes, bool overdraw, uint64_t now_ms)
{
	struct source *source = source_get(sources, remote, now_ms);
	size_t more = bytes > source->credit ? bytes - source->credit : 0;

	if (sources->overdraft_s != seconds(now_ms)) {
		sources->overdraft_s = seconds(now_ms);
		sources->overdrawn = 0;
	}
	if (more && (!overdraw || source->overdrawn + more > SOURCE_OVERDRAFT_BYTES ||
		     sources->overdrawn + more > SOURCES_OVERDRAFT_BYTES))
		return false;
	source->credit -= (uint32_t)(bytes - more);
	source->overdrawn += (uint32_t)more;
	sources->overdrawn += (uint32_t)more;
	return true;
}

/* ---- Who is proven ---- */

static struct proof_set *set_at(const struct sources *sources, uint32_t set)
{
	return &sources->chunks[set / CHUNK_SETS][set % CHUNK_SETS];
}

static struct proof_set *proof_set(const struct sources *sources, const struct address *remote, uint64_t *hash)
{
	uint32_t set;

	*hash = hash_bytes(sources->key, remote, sizeof(*remote));
	set = (uint32_t)*hash & (sources->doubled - 1);
	return set_at(sources, set < sources->sets ? set : set - sources->doubled / 2);
}

/* Those of `from` that have ended are forgotten, those that belong into the set `added` are put there. */
static void proofs_part(struct sources *sources, struct proof_set *from, uint32_t added, uint32_t now_s)
{
	struct proof_set *to = set_at(sources, added);

	for (int i = 0; i < PROOF_WAYS; i++) {
		if (!from->until_s[i])
			continue;
		if (from->until_s[i] < now_s) {
			from->until_s[i] = 0;
			sources->proof_count--;
		} else if (((uint32_t)from->hash[i] & (sources->doubled - 1)) == added) {
			to->hash[i] = from->hash[i];
			to->until_s[i] = from->until_s[i];
			from->until_s[i] = 0;
		}
	}
}

/* Linear hashing (Litwin, 1980): one more set takes its part of the one that stood for both, so that no growth is slow. */
static void proofs_grow(struct sources *sources, uint32_t now_s)
{
	uint32_t added = sources->sets;
	struct proof_set **chunk = &sources->chunks[added / CHUNK_SETS];

	if (!*chunk)
		*chunk = chunk_new();
	if (!*chunk)
		return;
	if (added == sources->doubled)
		sources->doubled *= 2;
	sources->sets++;
	proofs_part(sources, set_at(sources, added - sources->doubled / 2), added, now_s);
}

/* What a full set forgets is the proof that ends first. */
void sources_prove(struct sources *sources, const struct address *remote, uint32_t lifetime_s, uint64_t now_ms)
{
	uint32_t now_s = (uint32_t)seconds(now_ms), until_s = now_s + lifetime_s;
	uint64_t hash;
	struct proof_set *set;
	int place = 0;

	if (sources->proof_count > sources->sets && sources->sets < sources->sets_maximum)
		proofs_grow(sources, now_s);
	set = proof_set(sources, remote, &hash);
	for (int i = 0; i < PROOF_WAYS; i++) {
		if (set->hash[i] == hash && set->until_s[i]) {
			set->until_s[i] = set->until_s[i] > until_s ? set->until_s[i] : until_s;
			return;
		}
		if (set->until_s[i] < set->until_s[place])
			place = i;
	}
	sources->proof_count += !set->until_s[place];
	set->hash[place] = hash;
	set->until_s[place] = until_s;
}

bool sources_proven(const struct sources *sources, const struct address *remote, uint64_t now_ms)
{
	uint64_t hash;
	const struct proof_set *set = proof_set(sources, remote, &hash);

	for (int i = 0; i < PROOF_WAYS; i++)
		if (set->hash[i] == hash && set->until_s[i] >= seconds(now_ms))
			return true;
	return false;
}
