/* SPDX-License-Identifier: Apache-2.0
 * Messages between roles: the first byte chooses the sender, the rest is the message. What decodes must
 * encode to the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "ipc/ipc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ipc_message message;
	uint8_t again[IPC_MESSAGE_MAXIMUM];

	if (size < 1 || size - 1 > sizeof(again))
		return 0;
	if (ipc_decode(data + 1, size - 1, data[0] % IPC_ROLE_COUNT, &message))
		return 0;
	if (ipc_encode(&message, again, sizeof(again)) != (ptrdiff_t)(size - 1) || memcmp(again, data + 1, size - 1))
		abort();
	return 0;
}
