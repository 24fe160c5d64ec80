/* SPDX-License-Identifier: Apache-2.0
 * See ice.h. */
#include "media/ice.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/stun.h"

#define CHECKS_PER_S 100 /* a browser sends some ten while it looks for a way, and then one in two or three seconds */

static bool sign(const void *context, struct span bytes, uint8_t integrity[STUN_INTEGRITY_BYTES])
{
	const struct media_ice *ours = context;
	unsigned length = STUN_INTEGRITY_BYTES;
	return HMAC(EVP_sha1(), ours->password, (int)strlen(ours->password), (const uint8_t *)bytes.data, bytes.length,
		    integrity, &length) != NULL;
}

void ice_set(struct ice *ice, const struct media_ice *ours)
{
	static const struct media_budget checks = {.packets_per_s = CHECKS_PER_S};
	if (strcmp(ice->ours.ufrag, ours->ufrag) == 0 && strcmp(ice->ours.password, ours->password) == 0)
		return;
	ice->before = ice->ours;
	ice->ours = *ours;
	ice->is_nominated = false;
	budget_set(&ice->budget, &checks);
}

static struct ice_way *way_find(const struct ice *ice, const struct address *address)
{
	for (int i = 0; i < ICE_WAYS; i++)
		if (address_equal(&ice->ways[i].address, address))
			return (struct ice_way *)&ice->ways[i];
	return NULL;
}

bool ice_knows(const struct ice *ice, const struct address *address)
{
	return way_find(ice, address) != NULL;
}

static void way_keep(struct ice *ice, const struct address *address, uint64_t now_us)
{
	struct ice_way *way = way_find(ice, address);
	for (int i = 0; i < ICE_WAYS && !way; i++)
		if (ice->ways[i].address.family == ADDRESS_NONE)
			way = &ice->ways[i];
	if (!way) {
		way = &ice->ways[0];
		for (int i = 1; i < ICE_WAYS; i++)
			if (ice->ways[i].checked_us < way->checked_us)
				way = &ice->ways[i];
	}
	*way = (struct ice_way){*address, now_us};
}

static enum stun_result answer(const struct media_ice *ours, struct span message, const struct address *source,
			       struct buffer *out, bool *nominates)
{
	const struct stun_agent agent = {span_from(ours->ufrag), sign, ours};
	return stun_check(&agent, message, source, out, nominates);
}

/* The budget is of those who know a password: whoever does not cannot use it up for the peer, and costs a comparison of names. */
enum ice_result ice_check(struct ice *ice, struct span message, const struct address *source, uint64_t now_us,
			  struct buffer *out)
{
	bool nominates = false;
	enum stun_result result = answer(&ice->ours, message, source, out, &nominates);
	if (result == STUN_FORGED && ice->before.ufrag[0])
		result = answer(&ice->before, message, source, out, &nominates);
	if (result == STUN_SILENCE)
		return ICE_SILENCE;
	if ((result != STUN_ANSWER && result != STUN_REFUSAL) ||
	    budget_take(&ice->budget, message.length, now_us) != MEDIA_DROP_COUNT)
		return ICE_DROPPED;
	if (result == STUN_REFUSAL)
		return ICE_REFUSED;
	way_keep(ice, source, now_us);
	ice->is_nominated |= nominates;
	return nominates ? ICE_NOMINATED : ICE_CHECKED;
}
