/* SPDX-License-Identifier: Apache-2.0
 * See sources.h. */
#include "transport/sources.h"

#include <string.h>

#include "base/memory.h"
#include "base/table.h"

#define WAYS 4
#define SOURCE_SETS 4096u
#define PROOF_SETS_MAXIMUM (1u << 18)

struct source {
	uint64_t hash;
	uint32_t credit, overdrawn;         /* bytes */
	uint32_t heard_s, overdraft_from_s; /* heard_s 0: nobody's place */
};

struct proof {
	uint64_t hash;
	uint64_t until_s; /* 0: nobody's place */
};

struct sources {
	uint8_t key[HASH_KEY_BYTES];
	uint32_t overdrawn; /* by all, in the second overdraft_s */
	uint64_t overdraft_s;
	uint64_t proof_mask; /* sets less one */
	struct proof (*proofs)[WAYS];
	struct source sources[SOURCE_SETS][WAYS];
};

/* Never 0, so that no place is taken for one that begins at time 0. */
static uint64_t seconds(uint64_t now_ms)
{
	return now_ms / 1000 + 1;
}

struct sources *sources_new(uint32_t proofs, struct random_source random)
{
	struct sources *sources = memory_alloc(sizeof(*sources));
	uint64_t sets = 16;

	while (sets * WAYS / 2 < proofs && sets < PROOF_SETS_MAXIMUM)
		sets *= 2;
	if (!sources)
		return NULL;
	sources->proofs = memory_alloc(sets * sizeof(*sources->proofs));
	if (!sources->proofs) {
		memory_free(sources);
		return NULL;
	}
	sources->proof_mask = sets - 1;
	random_fill(random, sources->key, sizeof(sources->key));
	return sources;
}

void sources_free(struct sources *sources)
{
	if (sources)
		memory_free(sources->proofs);
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

static struct proof *proof_set(const struct sources *sources, const struct address *remote, uint64_t *hash)
{
	*hash = hash_bytes(sources->key, remote, sizeof(*remote));
	return sources->proofs[*hash & sources->proof_mask];
}

/* What a full set forgets is the proof that ends first. */
void sources_prove(struct sources *sources, const struct address *remote, uint32_t lifetime_s, uint64_t now_ms)
{
	uint64_t hash, until_s = seconds(now_ms) + lifetime_s;
	struct proof *set = proof_set(sources, remote, &hash), *proof = &set[0];

	for (int i = 0; i < WAYS; i++) {
		if (set[i].hash == hash && set[i].until_s) {
			set[i].until_s = set[i].until_s > until_s ? set[i].until_s : until_s;
			return;
		}
		if (set[i].until_s < proof->until_s)
			proof = &set[i];
	}
	*proof = (struct proof){hash, until_s};
}

bool sources_proven(const struct sources *sources, const struct address *remote, uint64_t now_ms)
{
	uint64_t hash;
	const struct proof *set = proof_set(sources, remote, &hash);

	for (int i = 0; i < WAYS; i++)
		if (set[i].hash == hash && set[i].until_s >= seconds(now_ms))
			return true;
	return false;
}
