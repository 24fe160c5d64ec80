/* SPDX-License-Identifier: Apache-2.0
 * One line of the control protocol. */
#ifndef RINGWALL_CONTROL_LINE_H
#define RINGWALL_CONTROL_LINE_H

#include "control/control.h"

/* Reads a request: an object with a text member "command". Returns a new reference and points *command into it;
 * or NULL with what is wrong, in words, in *error. */
json_t *control_line_parse(struct span line, const char **command, const char **error);

#endif
