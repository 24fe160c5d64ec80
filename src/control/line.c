/* SPDX-License-Identifier: Apache-2.0
 * One line of the control protocol: strict JSON, one object. */
#include "control/line.h"

json_t *control_line_parse(struct span line, const char **command, const char **error)
{
	json_error_t where;
	json_t *request = json_loadb(line.data, line.length, JSON_REJECT_DUPLICATES, &where);

	*error = "this is no JSON object";
	if (!request || !json_is_object(request))
		goto failed;
	*error = "the member \"command\" is missing or no text";
	*command = json_string_value(json_object_get(request, "command"));
	if (!*command)
		goto failed;
	return request;
failed:
	json_decref(request);
	return NULL;
}
