/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"

const uint8_t kit_key[HASH_KEY_BYTES] = "key of the tests";

static void told(void *context, const struct detect_verdict *verdict)
{
	struct kit *kit = context;

	if (kit->count < VERDICTS_MAXIMUM)
		kit->verdicts[kit->count] = *verdict;
	kit->count++;
	kit->trace ^= hash_bytes(kit_key, verdict, sizeof(*verdict)) * (2 * kit->trace + 1);
}

static void ended(void *context, const struct detect_verdict *verdict, enum detect_end why)
{
	struct kit *kit = context;

	kit->ended[why]++;
	kit->trace ^= hash_bytes(kit_key, verdict, sizeof(*verdict)) * (2 * kit->trace + 3 + (uint64_t)why);
}

void kit_init(struct kit *kit)
{
	memset(kit, 0, sizeof(*kit));
	protection_default(&kit->policy);
	kit->policy.subjects = 4096;
	kit->policy.verdicts = 256;
	kit->now_us = 1000 * SECOND;
}

void kit_start(struct kit *kit)
{
	kit->detect = detect_new(&kit->policy, kit_key, &(struct detect_user){kit, told, ended});
	assert_non_null(kit->detect);
}

void kit_stop(struct kit *kit)
{
	detect_free(kit->detect);
	kit->detect = NULL;
}

void kit_forget_told(struct kit *kit)
{
	kit->count = 0;
	memset(kit->ended, 0, sizeof(kit->ended));
}

void kit_wait(struct kit *kit, uint64_t us)
{
	uint64_t until_us = kit->now_us + us, step_us = us > 1000 * SECOND ? us / 1000 : SECOND;

	while (kit->now_us < until_us) {
		kit->now_us = kit->now_us + step_us < until_us ? kit->now_us + step_us : until_us;
		detect_tick(kit->detect, kit->now_us);
	}
}

struct address kit_address(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(span_from(text), &address), 0);
	return address;
}

uint64_t kit_name(const char *zone, uint32_t number)
{
	char user[16];
	struct buffer out = BUFFER_OVER(user);

	buffer_put_uint(&out, number);
	return evidence_hash(kit_key, span_from(zone), buffer_span(&out));
}

struct evidence kit_finding(const struct kit *kit, enum evidence_kind kind, const struct address *source,
			    uint64_t account, uint64_t target)
{
	return (struct evidence){.kind = kind,
				 .count = 1,
				 .proven = true,
				 .source = *source,
				 .account = account,
				 .target = target,
				 .time_us = kit->now_us};
}

void kit_put(struct kit *kit, enum evidence_kind kind, const struct address *source, uint64_t account, uint64_t target)
{
	struct evidence evidence = kit_finding(kit, kind, source, account, target);

	detect_put(kit->detect, &evidence);
}

uint32_t kit_put_until(struct kit *kit, struct evidence evidence, uint32_t most)
{
	uint32_t before = kit->count;

	for (uint32_t i = 1; i <= most; i++) {
		evidence.time_us = kit->now_us;
		detect_put(kit->detect, &evidence);
		if (kit->count != before)
			return i;
	}
	return 0;
}

const struct detect_verdict *kit_expect(const struct kit *kit, enum protection_control control,
					enum evidence_subject subject, enum protection_action action)
{
	const struct detect_verdict *verdict = &kit->verdicts[kit->count - 1];

	assert_true(kit->count && kit->count <= VERDICTS_MAXIMUM);
	assert_string_equal(protection_control_name(verdict->control), protection_control_name(control));
	assert_string_equal(evidence_subject_name((enum evidence_subject)verdict->subject.kind),
			    evidence_subject_name(subject));
	assert_string_equal(protection_action_name(verdict->action), protection_action_name(action));
	return verdict;
}

bool kit_is_let_in(const struct kit *kit, const struct address *source, uint64_t account)
{
	struct detect_question question = {.source = *source, .account = account, .proven = true};
	struct detect_verdict verdict;

	return !detect_find(kit->detect, &question, kit->now_us, &verdict);
}
