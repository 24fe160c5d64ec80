/* SPDX-License-Identifier: Apache-2.0
 * Any bytes as a configuration: either a snapshot or errors, and never both or neither. */
#include <stdlib.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_errors *errors = config_errors_new();
	struct config *config = config_parse((struct span){(const char *)data, size}, "fuzz", false, errors);

	if ((config == NULL) != (config_errors_count(errors) > 0))
		abort();
	if (config && (!config->zone_count || !config->site.domain || !config->state_directory))
		abort();
	for (uint8_t i = 0; config && i < config->zone_count; i++)
		if (!config->zones[i].listener_count || !config->zones[i].name || !config->zones[i].domain ||
		    !config->zones[i].media.port_high || !config->zones[i].media.suite_count)
			abort();
	config_free(config);
	config_errors_free(errors);
	return 0;
}
