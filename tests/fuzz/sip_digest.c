/* SPDX-License-Identifier: Apache-2.0
 * Challenges and credentials, and nonces, as strangers send them. */
#include <stdlib.h>

#include "sip/sip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[16] = "a secret of ours";
	struct flow flow = {.remote = {.family = ADDRESS_IPV4, .ip = {192, 0, 2, 1}}};
	struct span text = {(const char *)data, size};
	char ha1[SIP_HA1_CAPACITY];
	struct sip_digest digest;

	if (sip_digest_parse(text, &digest))
		return 0;
	if (sip_nonce_check(key, &flow, 1800000000, 60, digest.nonce) != SIP_NONCE_FORGED)
		abort();
	if (sip_digest_ha1(digest.algorithm, digest.username, digest.realm, SPAN("password"), ha1))
		abort();
	sip_digest_verify(&digest, ha1, SPAN("REGISTER"));
	return 0;
}
