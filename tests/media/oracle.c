/* SPDX-License-Identifier: Apache-2.0
 * libsrtp2, loaded at run time. */
#include "oracle.h"

#include <dlfcn.h>
#include <srtp2/srtp.h>
#include <stdlib.h>
#include <string.h>

typedef srtp_err_status_t work_function(srtp_t session, void *packet, int *length);
typedef void policy_function(srtp_crypto_policy_t *policy);

/* X(member, symbol, type) */
#define SYMBOLS(X) \
	X(init, "srtp_init", srtp_err_status_t (*)(void)) \
	X(create, "srtp_create", srtp_err_status_t (*)(srtp_t *, const srtp_policy_t *)) \
	X(dealloc, "srtp_dealloc", srtp_err_status_t (*)(srtp_t)) \
	X(work[0][0], "srtp_protect", work_function *) \
	X(work[0][1], "srtp_protect_rtcp", work_function *) \
	X(work[1][0], "srtp_unprotect", work_function *) \
	X(work[1][1], "srtp_unprotect_rtcp", work_function *)

static struct {
	srtp_err_status_t (*init)(void);
	srtp_err_status_t (*create)(srtp_t *session, const srtp_policy_t *policy);
	srtp_err_status_t (*dealloc)(srtp_t session);
	work_function *work[2][2]; /* [unprotect][rtcp] */
	void *handle;
} srtp2;

/* The policies of RTP and RTCP, in the order of enum srtp_suite. */
static const char *const policies[][2] = {
	{NULL, NULL},
	{"srtp_crypto_policy_set_rtp_default", "srtp_crypto_policy_set_rtcp_default"},
	{"srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32", "srtp_crypto_policy_set_rtcp_default"},
	{"srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80", "srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80"},
	{"srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32", "srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80"},
	{"srtp_crypto_policy_set_aes_gcm_128_16_auth", "srtp_crypto_policy_set_aes_gcm_128_16_auth"},
	{"srtp_crypto_policy_set_aes_gcm_256_16_auth", "srtp_crypto_policy_set_aes_gcm_256_16_auth"},
};

struct oracle {
	srtp_t session;
};

bool oracle_load(void)
{
	srtp2.handle = dlopen("libsrtp2.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!srtp2.handle)
		return false;
#define X(member, symbol, type) \
	srtp2.member = (type)dlsym(srtp2.handle, symbol); \
	if (!srtp2.member) \
		return false;
	SYMBOLS(X)
#undef X
	return srtp2.init() == srtp_err_status_ok;
}

struct oracle *oracle_new(int suite, const uint8_t *key, bool receives)
{
	srtp_policy_t policy;
	memset(&policy, 0, sizeof(policy));
	policy_function *rtp = (policy_function *)dlsym(srtp2.handle, policies[suite][0]);
	policy_function *rtcp = (policy_function *)dlsym(srtp2.handle, policies[suite][1]);
	struct oracle *oracle = calloc(1, sizeof(*oracle));
	if (!rtp || !rtcp || !oracle)
		goto fail;
	rtp(&policy.rtp);
	rtcp(&policy.rtcp);
	policy.ssrc.type = receives ? ssrc_any_inbound : ssrc_any_outbound;
	policy.key = (unsigned char *)key;
	policy.window_size = 128;
	if (srtp2.create(&oracle->session, &policy) == srtp_err_status_ok)
		return oracle;
fail:
	free(oracle);
	return NULL;
}

void oracle_free(struct oracle *oracle)
{
	if (oracle)
		srtp2.dealloc(oracle->session);
	free(oracle);
}

static enum oracle_verdict work(struct oracle *oracle, int unprotect, bool rtcp, uint8_t *packet, size_t *length)
{
	int now = (int)*length;
	srtp_err_status_t status = srtp2.work[unprotect][rtcp](oracle->session, packet, &now);
	*length = (size_t)now;
	switch (status) {
	case srtp_err_status_ok: return ORACLE_OK;
	case srtp_err_status_replay_fail:
	case srtp_err_status_replay_old: return ORACLE_REPLAYED;
	case srtp_err_status_auth_fail: return ORACLE_FORGED;
	default: return ORACLE_OTHER;
	}
}

enum oracle_verdict oracle_protect(struct oracle *oracle, bool rtcp, uint8_t *packet, size_t *length)
{
	return work(oracle, 0, rtcp, packet, length);
}

enum oracle_verdict oracle_unprotect(struct oracle *oracle, bool rtcp, uint8_t *packet, size_t *length)
{
	return work(oracle, 1, rtcp, packet, length);
}
