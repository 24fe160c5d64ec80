/* SPDX-License-Identifier: Apache-2.0
 * Reads messages written in the notation of RFC 4475 section 2.1 (rfc4475.txt, rfc5118.txt). */
#ifndef RINGWALL_TESTS_TORTURE_NOTATION_H
#define RINGWALL_TESTS_TORTURE_NOTATION_H

#include <stddef.h>

#define NOTATION_MESSAGES 80
#define NOTATION_BYTES 8192

struct notation_message {
	char name[40], section[16];
	char bytes[NOTATION_BYTES];
	size_t length;
};

struct notation {
	struct notation_message messages[NOTATION_MESSAGES];
	size_t count;
};

/* Adds the messages of a file. Returns 0, or -1 when it cannot be read or is not in the notation. */
int notation_read(const char *path, struct notation *out);
const struct notation_message *notation_find(const struct notation *all, const char *name);

#endif
