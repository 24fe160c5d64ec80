/* SPDX-License-Identifier: Apache-2.0
 * Passwords: made by us unless the owner brings one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "cli/cli.h"

#define GENERATED_LENGTH 20 /* of [a-z0-9]: 103 bits */

/* One line without its end. False at the end of the file, when it is empty or too long. */
static bool line_read(FILE *file, char out[PASSWORD_CAPACITY])
{
	size_t length;

	if (!fgets(out, PASSWORD_CAPACITY, file))
		return false;
	length = strcspn(out, "\r\n");
	if (length == PASSWORD_CAPACITY - 1)
		return false;
	out[length] = 0;
	return length > 0;
}

static int file_read(const char *path, char out[PASSWORD_CAPACITY])
{
	bool is_input = strcmp(path, "-") == 0;
	FILE *file = is_input ? stdin : fopen(path, "re");
	bool good;

	if (!file)
		return complain(EXIT_FAILED, "%s cannot be read: %s", path, strerror(errno));
	setvbuf(file, NULL, _IONBF, 0); /* no copy stays in the library's buffer */
	good = line_read(file, out);
	if (!is_input)
		fclose(file);
	return good ? 0
		    : complain(EXIT_FAILED, "%s: its first line is no password of 1 to %d characters", path,
			       PASSWORD_CAPACITY - 2);
}

static bool ask_unseen(const char *question, char out[PASSWORD_CAPACITY])
{
	struct termios before, unseen;
	bool is_terminal = tcgetattr(STDIN_FILENO, &before) == 0, good;

	fputs(question, stderr);
	if (is_terminal) {
		unseen = before;
		unseen.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen);
	}
	setvbuf(stdin, NULL, _IONBF, 0);
	good = line_read(stdin, out);
	if (is_terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
		fputc('\n', stderr);
	}
	return good;
}

static int prompt(char out[PASSWORD_CAPACITY])
{
	char again[PASSWORD_CAPACITY];
	bool same;

	if (!ask_unseen("Password: ", out) || !ask_unseen("Again: ", again))
		return complain(EXIT_FAILED, "no password was typed");
	same = strcmp(out, again) == 0;
	memory_wipe(again, sizeof(again));
	return same ? 0 : complain(EXIT_FAILED, "the two passwords differ");
}

int password_obtain(const struct arguments *arguments, bool may_generate, char out[PASSWORD_CAPACITY], bool *generated)
{
	*generated = false;
	if (arguments->password_file)
		return file_read(arguments->password_file, out);
	if (arguments->prompt)
		return prompt(out);
	if (arguments->password) {
		if (span_copy(span_from(arguments->password), out, PASSWORD_CAPACITY))
			return complain(EXIT_USAGE, "the password is too long");
		return 0;
	}
	if (!may_generate)
		return complain(EXIT_USAGE, "%s: --password-file is missing", arguments->command);
	random_token(random_system(), out, GENERATED_LENGTH);
	*generated = true;
	return 0;
}
