/* SPDX-License-Identifier: Apache-2.0
 * What a finding costs the detector, by what it is and how many send it; and what it costs to ask about a request. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "detect/detect.h"

#define FINDINGS 1000000u

static void told(void *context, const struct detect_verdict *verdict)
{
	(void)verdict;
	++*(uint32_t *)context;
}

static double cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void source_set(struct address *source, uint64_t *account, uint32_t number)
{
	uint32_t ip = number * 2654435761u;

	source->family = ADDRESS_IPV4;
	memcpy(source->ip, &ip, sizeof(ip));
	source->port = (uint16_t)(ip >> 8 | 1);
	*account = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static void measure(struct detect *detect, enum evidence_kind kind, bool proven, uint32_t sources)
{
	struct evidence evidence = {.kind = kind, .count = 1, .proven = proven};
	struct detect_question question = {.proven = true};
	struct detect_verdict verdict;
	uint32_t touched = 0;
	double begun = cpu_ns(), between;

	for (uint32_t i = 0; i < FINDINGS; i++) {
		source_set(&evidence.source, &evidence.account, i % sources);
		evidence.time_us = i * UINT64_C(1000);
		detect_put(detect, &evidence);
	}
	between = cpu_ns();
	for (uint32_t i = 0; i < FINDINGS; i++) {
		source_set(&question.source, &question.account, i % sources);
		touched += detect_find(detect, &question, 0, &verdict);
	}
	printf("%-18s %-9s %7u sources: %4.0f ns a finding, %4.0f ns a question (%u %% touched)\n",
	       evidence_row(kind)->name, proven ? "proven" : "unproven", sources, (between - begun) / FINDINGS,
	       (cpu_ns() - between) / FINDINGS, touched / (FINDINGS / 100));
}

int main(void)
{
	static const struct {
		enum evidence_kind kind;
		uint32_t sources;
		bool proven;
	} rows[] = {
		{EVIDENCE_CALL_PASSWORD, 1, true},         {EVIDENCE_CALL_PASSWORD, 100000, true},
		{EVIDENCE_SIP_MALFORMED, 100000, true},    {EVIDENCE_NET_HANDSHAKE, 100000, true},
		{EVIDENCE_GOOD_REGISTRATION, 10000, true}, {EVIDENCE_SIP_MALFORMED, 1000000, false},
	};
	static const uint8_t key[HASH_KEY_BYTES] = {1};
	uint32_t verdicts = 0;
	struct detect_user user = {.context = &verdicts, .verdict = told};
	struct protection policy;

	protection_default(&policy);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct detect *detect = detect_new(&policy, key, &user);

		if (!detect)
			return 1;
		measure(detect, rows[i].kind, rows[i].proven, rows[i].sources);
		detect_free(detect);
	}
	return 0;
}
