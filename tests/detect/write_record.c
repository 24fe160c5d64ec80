/* SPDX-License-Identifier: Apache-2.0
 * Writes a record of a small day to the file named: honest phones, one scanner, one guesser. For the tests of `ringwall replay`. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "detect/detect.h"

#define MINUTE UINT64_C(60000000)
#define DAY_BEGINS_US UINT64_C(1700000000000000)

static void put(struct detect_record *record, enum evidence_kind kind, const char *source, uint64_t account,
		uint64_t time_us)
{
	struct evidence evidence = {.kind = kind, .count = 1, .proven = true, .account = account, .time_us = time_us};

	address_parse(span_from(source), &evidence.source);
	detect_record_put(record, &evidence);
}

int main(int count, char **words)
{
	struct detect_record_options options = {.capacity = 10000, .random = random_system(), .wall_us = DAY_BEGINS_US};
	struct detect_record *record;
	int descriptor = count == 2 ? open(words[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1, error;

	if (descriptor < 0 || detect_record_open(descriptor, &options, &record))
		return 1;
	for (uint64_t minute = 0; minute < 600; minute++) {
		put(record, EVIDENCE_GOOD_REGISTRATION, "203.0.113.5:20000", 1 + minute % 5, minute * MINUTE);
		if (minute == 100 || minute == 101)
			put(record, EVIDENCE_SIP_SCANNER, "198.51.100.7:5062", 0, minute * MINUTE);
		if (minute >= 300 && minute < 308)
			put(record, EVIDENCE_CALL_PASSWORD, "192.0.2.9:5060", 77, minute * MINUTE);
	}
	error = detect_record_flush(record);
	detect_record_close(record);
	close(descriptor);
	return error != 0;
}
