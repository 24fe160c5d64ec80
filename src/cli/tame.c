/* SPDX-License-Identifier: Apache-2.0
 * Texts that came from elsewhere, made fit for a terminal. */
#include "cli/cli.h"

char *text_tame(char *text)
{
	for (unsigned char *at = (unsigned char *)text; *at; at++) {
		bool is_c1 = at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0; /* U+0080 to U+009F, CSI among them */

		if (is_c1)
			*at++ = '?';
		if (is_c1 || (*at < 0x20 && *at != '\n') || *at == 0x7f)
			*at = '?';
	}
	return text;
}
