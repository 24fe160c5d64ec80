/* SPDX-License-Identifier: Apache-2.0
 * What a configuration says of the world: files that must be there and secret, names that must be found, who may speak. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"

static char directory[64];
static struct config_errors *errors;

static const char *path_of(const char *name)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	int descriptor = open(path_of(name), O_CREAT | O_TRUNC | O_WRONLY, 0600);

	assert_true(descriptor >= 0);
	assert_int_equal(write(descriptor, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(descriptor, mode), 0);
	close(descriptor);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/ringwall-config-XXXXXX");
	errors = config_errors_new();
	return errors && mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"crt", "key", "ca", "secret", "fifo", "tls/certificate.pem", "tls/key.pem"};

	(void)state;
	config_errors_free(errors);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlink(path_of(names[i]));
	rmdir(path_of("tls"));
	return rmdir(directory);
}

/* Lines: 1 site, 2 state directory, 3 what is given, 4 zones, 5 the trunk with its password file. */
static struct config *read_with(const char *tls, const char *secret)
{
	char text[2048];

	snprintf(text, sizeof(text),
		 "site: {domain: a.example}\n"
		 "state_directory: %s\n"
		 "%s\n"
		 "zones:\n"
		 "  - {name: line, kind: trunk, listen: [\"tls:127.0.0.1:5061\"], peers: [\"sips:192.0.2.9\"],\n"
		 "     media: {ports: \"20000-29999\"},\n"
		 "     register: {user: a, password_file: %s/%s}}\n",
		 directory, tls, directory, secret);
	return config_parse(span_from(text), "x.yaml", true, errors);
}

static struct config *read_pair(const char *certificate, const char *key)
{
	char tls[512];

	snprintf(tls, sizeof(tls), "tls: {certificate: %s/%s, key: %s/%s, authorities: %s/ca}", directory, certificate,
		 directory, key, directory);
	return read_with(tls, "secret");
}

static void assert_error(uint32_t index, const char *begins, const char *contains)
{
	const char *text = config_errors_text(errors, index);

	if (strncmp(text, begins, strlen(begins)) != 0 || !strstr(text, contains))
		fail_msg("error is \"%s\", not \"%s…%s\"", text, begins, contains);
}

static void write_good(void)
{
	write_file("crt", "certificate", 0644);
	write_file("ca", "authorities", 0644);
	write_file("key", "key", 0600);
	write_file("secret", "password", 0400);
}

static void good_files_are_accepted(void **state)
{
	struct config *config;

	(void)state;
	write_good();
	config = read_pair("crt", "key");
	assert_non_null(config);
	assert_false(config->tls.generate);
	config_free(config);
}

static void missing_files_are_named_all(void **state)
{
	(void)state;
	assert_null(read_pair("crt", "key"));
	assert_int_equal(config_errors_count(errors), 4);
	assert_error(0, "x.yaml:3: tls.certificate: /tmp/", "/crt cannot be read (No such file or directory)");
	assert_error(1, "x.yaml:3: tls.key: /tmp/", "/key cannot be read");
	assert_error(2, "x.yaml:3: tls.authorities: /tmp/", "/ca cannot be read");
	assert_error(3, "x.yaml:7: zones.register.password_file: /tmp/", "/secret cannot be read");
}

static void secrets_open_to_others_are_named_with_the_remedy(void **state)
{
	(void)state;
	write_good();
	write_file("key", "key", 0640);
	write_file("secret", "password", 0604);
	assert_null(read_pair("crt", "key"));
	assert_int_equal(config_errors_count(errors), 2);
	assert_error(0, "x.yaml:3: tls.key: /tmp/", "(mode 640); run: chmod 600 /tmp/");
	assert_error(1, "x.yaml:7: zones.register.password_file: /tmp/", "(mode 604); run: chmod 600 /tmp/");
}

static void what_is_no_file_is_refused(void **state)
{
	(void)state;
	write_good();
	write_file("crt", "", 0644);
	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0); /* opening it must not wait */
	assert_null(read_pair("crt", "fifo"));
	assert_error(0, "x.yaml:3: tls.certificate: /tmp/", "/crt is empty");
	assert_error(1, "x.yaml:3: tls.key: /tmp/", "/fifo is not a regular file");
	assert_null(read_pair(".", "key"));
}

static void a_pair_of_our_own_is_made_once(void **state)
{
	struct config *config;

	(void)state;
	write_good();
	config = read_with("", "secret");
	assert_non_null(config);
	assert_true(config->tls.generate);
	assert_string_equal(config->tls.key, path_of("tls/key.pem"));
	config_free(config);

	assert_int_equal(mkdir(path_of("tls"), 0700), 0);
	write_file("tls/certificate.pem", "certificate", 0644);
	assert_null(read_with("", "secret"));
	assert_error(0, "x.yaml:1: tls.key: /tmp/", "/tls/key.pem cannot be read");

	write_file("tls/key.pem", "key", 0600);
	config_errors_free(errors);
	errors = config_errors_new();
	config = read_with("", "secret");
	assert_non_null(config);
	assert_false(config->tls.generate);
	config_free(config);
}

static void unchecked_files_are_not_looked_for(void **state)
{
	static const char text[] =
		"site: {domain: a}\ntls: {certificate: /nowhere/crt, key: /nowhere/key}\nzones: [{name: a, kind: "
		"access, listen: [\"tls:127.0.0.1:5061\"], media: {ports: \"20000-29999\"}}]\n";
	struct config *config = config_parse(span_from(text), "x.yaml", false, errors);

	(void)state;
	assert_non_null(config);
	config_free(config);
	assert_null(config_parse(span_from(text), "x.yaml", true, errors));
}

static bool seen_good[3];

static void complain_of_all(const struct config *config, struct config_check *check)
{
	seen_good[0] = config_file_is_good(check, config->tls.certificate);
	seen_good[1] = config_file_is_good(check, config->tls.key);
	seen_good[2] = config_file_is_good(check, config->zones[0].authorities);
	config_complain(check, true, CONFIG_NO_ZONE, "tls.key", "%s is of another certificate", "key");
	config_complain(check, true, 0, "authorities", "hold nothing");
	config_complain(check, false, CONFIG_NO_ZONE, "tls.certificate", "is old");
}

/* What others find in the files is said together with what is wrong otherwise, each at its line. */
static void who_understands_files_is_heard(void **state)
{
	char text[1024];

	(void)state;
	write_file("crt", "certificate", 0644);
	write_file("key", "key", 0600);
	snprintf(text, sizeof(text),
		 "site: {domain: a.example}\n"
		 "tls:\n"
		 "  certificate: %s/crt\n"
		 "  key: %s/key\n"
		 "zones:\n"
		 "  - name: line\n"
		 "    kind: trunk\n"
		 "    listen: [\"tls:127.0.0.1:5061\"]\n"
		 "    peers: [\"sips:192.0.2.9\"]\n"
		 "    authorities: %s/nowhere\n"
		 "    media: {ports: \"20000-29999\"}\n"
		 "colour: blue\n",
		 directory, directory, directory);
	assert_null(config_parse_inspected(span_from(text), "x.yaml", complain_of_all, errors));
	assert_true(seen_good[0] && seen_good[1] && !seen_good[2]);
	assert_int_equal(config_errors_count(errors), 4);
	assert_error(0, "x.yaml:4: tls.key: key is of another", "");
	assert_error(1, "x.yaml:10: zones.authorities: /tmp/", "/nowhere cannot be read (No such file");
	assert_error(2, "x.yaml:10: zones.authorities: hold nothing", "");
	assert_error(3, "x.yaml:12: colour", "");
	assert_int_equal(config_notes_count(errors), 2); /* the first is that there are no routes */
	assert_string_equal(config_notes_text(errors, 1), "x.yaml:3: tls.certificate: is old");
}

static void who_may_not_look_is_told_so(void **state)
{
	uid_t before = geteuid();

	(void)state;
	write_good();
	assert_int_equal(chmod(path_of("crt"), 0), 0);
	if (!before) /* root may read everything */
		assert_int_equal(chown(directory, 65534, 65534) || seteuid(65534), 0);
	read_pair("crt", "key");
	assert_int_equal(seteuid(before), 0);
	assert_error(0, "x.yaml:3: tls.certificate: /tmp/", "/crt cannot be read by user ");
	assert_error(0, "x.yaml:3: tls.certificate: /tmp/", "check as the user who starts the gateway");
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIRECTORY(good_files_are_accepted),
		IN_DIRECTORY(missing_files_are_named_all),
		IN_DIRECTORY(secrets_open_to_others_are_named_with_the_remedy),
		IN_DIRECTORY(what_is_no_file_is_refused),
		IN_DIRECTORY(a_pair_of_our_own_is_made_once),
		IN_DIRECTORY(unchecked_files_are_not_looked_for),
		IN_DIRECTORY(who_understands_files_is_heard),
		IN_DIRECTORY(who_may_not_look_is_told_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
