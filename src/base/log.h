/* SPDX-License-Identifier: Apache-2.0
 * The log: one line an event on standard error, `time level role area: text key=value …`.
 * Bytes that are not printable ASCII are escaped as \xNN, and `\` is doubled, so that nothing from outside can forge a line
 * or speak to a terminal. Secrets and whole messages are never given to it. */
#ifndef RINGWALL_BASE_LOG_H
#define RINGWALL_BASE_LOG_H

#include "base/span.h"

enum log_level {
	LOG_ERROR,   /* something must be done by the operator */
	LOG_WARNING, /* something is not as it should be, and was handled */
	LOG_NOTICE,  /* start, stop, reload, blocks */
	LOG_INFO,    /* calls and registrations */
	LOG_DEBUG,   /* for developers; may slow things */
};

/* Once, at the start of a process. `role` must outlive it. */
void log_setup(const char *role, enum log_level level);

/* "error" to "debug". Returns 0 or -EINVAL. */
int log_level_parse(struct span text, enum log_level *level);

bool log_wants(enum log_level level);

/* One line; cut at 1,000 bytes. `area` is the module's name. Any thread. */
void log_write(enum log_level level, const char *area, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* As log_write, but at most `LOG_BURST` lines a minute for the same call site (the static counter
 * the macro makes); the next line that passes says how many were left out. For what strangers
 * can cause. */
#define LOG_BURST 10
struct log_limit {
	uint64_t window_start_us;
	uint32_t written, left_out;
};
bool log_limit_pass(struct log_limit *limit, uint32_t *left_out);

#define log_limited(limit, level, area, ...) \
	do { \
		uint32_t left_out_; \
		if (log_wants(level) && log_limit_pass((limit), &left_out_)) { \
			if (left_out_) \
				log_write(level, area, "%u lines like the next were left out", left_out_); \
			log_write(level, area, __VA_ARGS__); \
		} \
	} while (0)

#endif
