/* SPDX-License-Identifier: Apache-2.0
 * Private: how the configuration's readers report errors and notes. */
#ifndef RINGWALL_CONFIG_ERRORS_H
#define RINGWALL_CONFIG_ERRORS_H

#include <stdarg.h>

#include "config/config.h"

#define ERRORS_KEPT_MAXIMUM 256 /* of errors, and of notes; what comes after is only counted */
#define ERRORS_TEXT_BYTES 640   /* of one message; longer ones are cut */

enum error_weight { WEIGHT_ERROR, WEIGHT_NOTE };

/* Adds "file:line: key: text". Line 0 leaves the line out. Never fails: when memory is short the count
 * of errors says so all the same. */
void errors_add(struct config_errors *errors, enum error_weight weight, const char *file, uint32_t line,
		const char *key, const char *format, ...) __attribute__((format(printf, 6, 7)));
void errors_add_list(struct config_errors *errors, enum error_weight weight, const char *file, uint32_t line,
		     const char *key, const char *format, va_list arguments);

/* Memory was short: an error of its own, once. */
void errors_out_of_memory(struct config_errors *errors);

/* By line, in the order added within one. */
void errors_sort(struct config_errors *errors);

#endif
