/* SPDX-License-Identifier: Apache-2.0
 * Lines of the control protocol. */
#include <stdint.h>
#include <stdlib.h>

#include "control/line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *command, *error = NULL;
	json_t *request = control_line_parse((struct span){(const char *)data, size}, &command, &error);

	if (!request && !error)
		abort();
	json_decref(request);
	return 0;
}
