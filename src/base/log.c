/* SPDX-License-Identifier: Apache-2.0
 * The log: one write of one line, so that lines of several threads and processes do not mix. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"

#define LINE_BYTES 1000
#define WINDOW_US UINT64_C(60000000)

/* Set once by log_setup before there are threads; what is logged does not change what is done. */
static const char *log_role = "ringwall";
static enum log_level log_maximum = LOG_NOTICE;

static const char *const level_names[] = {
	[LOG_ERROR] = "error", [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
	[LOG_INFO] = "info",   [LOG_DEBUG] = "debug",
};

#define LEVELS (sizeof(level_names) / sizeof(level_names[0]))

void log_setup(const char *role, enum log_level level)
{
	log_role = role;
	log_maximum = level;
}

int log_level_parse(struct span text, enum log_level *level)
{
	for (size_t i = 0; i < LEVELS; i++) {
		if (span_equal(text, span_from(level_names[i]))) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

bool log_wants(enum log_level level)
{
	return level <= log_maximum;
}

/* 2025-11-22T07:14:05.123Z */
static void put_time(struct buffer *line)
{
	struct timespec now;
	struct tm parts;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &parts);
	buffer_printf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ ", parts.tm_year + 1900, parts.tm_mon + 1,
		      parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, (int)(now.tv_nsec / 1000000));
}

/* `\` is doubled, so that an escape cannot be mistaken for text. */
static void put_escaped(struct buffer *line, struct span text)
{
	for (size_t i = 0; i < text.length && !line->overflow; i++) {
		unsigned char byte = (unsigned char)text.data[i];
		char escape[4] = {'\\', 'x', 0, 0};
		struct buffer hex = buffer_over(escape + 2, 2);

		if (byte >= 0x20 && byte < 0x7f && byte != '\\') {
			buffer_put_byte(line, text.data[i]);
		} else if (byte == '\\') {
			buffer_put(line, "\\\\", 2);
		} else {
			buffer_put_hex(&hex, &byte, 1);
			buffer_put(line, escape, sizeof(escape));
		}
	}
}

static void write_all(const char *bytes, size_t length)
{
	while (length) {
		ssize_t written = write(STDERR_FILENO, bytes, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0) /* nobody to tell */
			return;
		bytes += written;
		length -= (size_t)written;
	}
}

void log_write(enum log_level level, const char *area, const char *format, ...)
{
	int saved_errno = errno;
	char text[LINE_BYTES], line_bytes[LINE_BYTES];
	struct buffer line = buffer_over(line_bytes, sizeof(line_bytes) - 1); /* the last is the newline's */
	va_list list;
	int length;

	if (!log_wants(level) || (size_t)level >= LEVELS)
		return;
	va_start(list, format);
	length = vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	if (length >= 0) {
		put_time(&line);
		buffer_printf(&line, "%s %s %s: ", level_names[level], log_role, area);
		put_escaped(&line, span_slice(span_from(text), 0, sizeof(text)));
		line_bytes[line.length++] = '\n';
		write_all(line_bytes, line.length);
	}
	errno = saved_errno;
}

bool log_limit_pass(struct log_limit *limit, uint32_t *left_out)
{
	uint64_t now_us = clock_monotonic_us();
	uint64_t start_us = __atomic_load_n(&limit->window_start_us, __ATOMIC_RELAXED);

	*left_out = 0;
	if (start_us == 0 || now_us - start_us >= WINDOW_US) {
		__atomic_store_n(&limit->window_start_us, now_us, __ATOMIC_RELAXED);
		__atomic_store_n(&limit->written, 0, __ATOMIC_RELAXED);
	}
	if (__atomic_fetch_add(&limit->written, 1, __ATOMIC_RELAXED) < LOG_BURST) {
		*left_out = __atomic_exchange_n(&limit->left_out, 0, __ATOMIC_RELAXED);
		return true;
	}
	__atomic_fetch_add(&limit->left_out, 1, __ATOMIC_RELAXED);
	return false;
}
