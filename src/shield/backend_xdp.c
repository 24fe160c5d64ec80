/* SPDX-License-Identifier: Apache-2.0
 * The back ends without a program of others: the maps of our own in the kernel; and nobody. */
#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "shield/private.h"

#define ROUND_READS 4 /* so that a round among many blocks keeps nobody waiting */

struct xdp {
	struct bpf_shield maps; /* the caller's */
	struct bpf_shield_cursor cursor;
};

static int change_apply(const struct xdp *xdp, const struct shield_change *change)
{
	const struct shield_prefix *prefix = &change->prefix;
	int error;

	if (change->until_us)
		return bpf_shield_block(&xdp->maps, &prefix->address, prefix->bits, change->until_us);
	error = bpf_shield_unblock(&xdp->maps, &prefix->address, prefix->bits);
	return error == -ENOENT ? 0 : error;
}

static int xdp_apply(void *context, const struct shield_change *changes, uint32_t count, uint64_t now_us)
{
	int first = 0;

	(void)now_us;
	for (uint32_t i = 0; i < count; i++) {
		int error = change_apply(context, &changes[i]);

		first = first ? first : error;
	}
	return first;
}

static int xdp_rules(void *context, const struct bpf_shield_rules *rules)
{
	const struct xdp *xdp = context;

	return bpf_shield_rules_set(&xdp->maps, rules);
}

static int xdp_harvest(void *context, void (*found)(void *context, const struct shield_prefix *prefix, uint64_t hits),
		       void *found_context)
{
	struct bpf_shield_block blocks[BPF_SHIELD_READ_MAXIMUM];
	struct xdp *xdp = context;
	int more = 1;

	for (int i = 0; i < ROUND_READS && more > 0; i++) {
		uint32_t count = BPF_SHIELD_READ_MAXIMUM;

		more = bpf_shield_blocks_read(&xdp->maps, &xdp->cursor, blocks, &count);
		for (uint32_t k = 0; k < count; k++) {
			const struct shield_prefix prefix = {blocks[k].address, blocks[k].bits};

			found(found_context, &prefix, blocks[k].hits);
		}
	}
	return more;
}

static int xdp_tidy(void *context, bool (*keep)(void *context, const struct address *address, uint8_t bits),
		    void *keep_context)
{
	const struct xdp *xdp = context;

	return bpf_shield_blocks_filter(&xdp->maps, keep, keep_context);
}

static void xdp_close(void *context, bool remove)
{
	struct xdp *xdp = context;

	if (remove)
		(void)bpf_shield_blocks_filter(&xdp->maps, NULL, NULL);
	memory_free(xdp);
}

int shield_backend_xdp(const struct bpf_shield *maps, struct shield_backend *out)
{
	struct xdp *xdp = memory_alloc(sizeof(*xdp));

	if (!xdp)
		return -ENOMEM;
	xdp->maps = *maps;
	*out = (struct shield_backend){.name = "xdp",
				       .context = xdp,
				       .apply = xdp_apply,
				       .rules = xdp_rules,
				       .harvest = xdp_harvest,
				       .tidy = xdp_tidy,
				       .close = xdp_close};
	return 0;
}

static int none_apply(void *context, const struct shield_change *changes, uint32_t count, uint64_t now_us)
{
	(void)context;
	(void)changes;
	(void)count;
	(void)now_us;
	return 0;
}

void shield_backend_none(struct shield_backend *out)
{
	*out = (struct shield_backend){.name = "none", .apply = none_apply};
}

/* ---- Which ---- */

static const char *nft_reason(int error)
{
	switch (error) {
	case -ENOENT: return "nft is not installed";
	case -EPERM: return "no right to use nftables, or the kernel has none";
	default: return strerror(-error);
	}
}

int shield_backend_choose(const struct bpf_shield *maps, const char *xdp_reason, const struct shield_nft *nft,
			  struct shield_backend *out, char *reason, size_t reason_capacity)
{
	struct buffer text = buffer_over(reason, reason_capacity);
	int error;

	if (!xdp_reason)
		xdp_reason = "";
	if (maps && maps->maps[BPF_SHIELD_BLOCKS] >= 0 && !*xdp_reason) {
		buffer_text(&text);
		return shield_backend_xdp(maps, out);
	}
	buffer_printf(&text, "no XDP: %s", *xdp_reason ? xdp_reason : "the program is not loaded");
	error = nft ? shield_backend_nft(nft, out) : -ENOENT;
	if (error && error != -ENOMEM) {
		buffer_printf(&text, "; no nftables: %s", nft ? nft_reason(error) : "not wanted");
		shield_backend_none(out);
		error = 0;
	}
	buffer_text(&text);
	return error;
}
