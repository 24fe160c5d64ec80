/* SPDX-License-Identifier: Apache-2.0
 * Prints the reference: docs/configuration.md is this, and test_reference holds it to that. */
#include <stdio.h>

#include "config/config.h"

int main(void)
{
	static char page[CONFIG_REFERENCE_BYTES];
	struct buffer out = BUFFER_OVER(page);

	config_reference(&out);
	return out.overflow || fputs(buffer_text(&out), stdout) == EOF;
}
