/* SPDX-License-Identifier: Apache-2.0
 * `account`: the gateway's own accounts, through the running gateway or, when none runs, in its database. Passwords are
 * hashed here; they never go further. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "sip/sip.h"
#include "store/store.h"

/* Asks the gateway, or does it to the database when none runs. Returns an exit code. `answer` may be NULL. */
static int ask_or(const struct config *config, json_t *request, int (*offline)(struct offline *offline, void *context),
		  void *context, json_t **answer)
{
	json_t *ignored = NULL;
	struct offline store;
	char error[512] = "";
	int result = gateway_ask(config->state_directory, request, true, answer ? answer : &ignored);

	json_decref(ignored);
	if (result != -ENOENT && result != -ECONNREFUSED)
		return result ? EXIT_FAILED : EXIT_GOOD;
	if (offline_open(&store, config, error, sizeof(error)))
		return complain(EXIT_FAILED, "%.*s", (int)strcspn(error, "\n"), error);
	result = offline(&store, context);
	offline_close(&store);
	return result;
}

/* ---- list ---- */

static bool account_append(void *context, const struct ipc_account *account)
{
	json_array_append_new(context,
			      json_pack("{s:s, s:s, s:b, s:b, s:I}", "user", account->user, "realm", account->realm,
					"md5", *account->ha1_md5 != 0, "sha256", *account->ha1_sha256 != 0,
					"created_at_s", (json_int_t)account->created_at_s));
	return true;
}

static int list_offline(struct offline *offline, void *context)
{
	json_t **answer = context, *rows = json_array();
	int error = store_accounts_each(offline->store, account_append, rows);

	*answer = json_pack("{s:o}", "accounts", rows);
	return error ? complain(EXIT_FAILED, "the database cannot be read: %s", strerror(-error)) : EXIT_GOOD;
}

static void list_print(const json_t *answer)
{
	static const char *const headline[] = {"USER", "REALM", "HASHES", "MADE"};
	struct text_table *table = text_table_new(headline, 4);
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(answer, "accounts"), i, row)
	{
		time_t made = (time_t)json_integer_value(json_object_get(row, "created_at_s"));
		char day[32] = "";
		struct tm parts;

		if (localtime_r(&made, &parts))
			strftime(day, sizeof(day), "%Y-%m-%d %H:%M", &parts);
		text_table_cell(table, "%s", json_string_value(json_object_get(row, "user")));
		text_table_cell(table, "%s", json_string_value(json_object_get(row, "realm")));
		text_table_cell(table, "%s", json_is_true(json_object_get(row, "md5")) ? "SHA-256, MD5" : "SHA-256");
		text_table_cell(table, "%s", day);
	}
	text_table_print(table, "No accounts. To make one: ringwall account add USER");
}

static int row_compare(const void *left, const void *right)
{
	const json_t *const *a = left, *const *b = right;

	return strcmp(json_string_value(json_object_get(*a, "user")), json_string_value(json_object_get(*b, "user")));
}

/* By user; the gateway keeps them by hash. */
static void list_sort(json_t *answer)
{
	json_t *accounts = json_object_get(answer, "accounts"), **rows;
	size_t count = json_array_size(accounts), i;
	json_t *row;

	rows = count ? memory_alloc(count * sizeof(json_t *)) : NULL;
	if (!rows)
		return;
	json_array_foreach(accounts, i, row) rows[i] = json_incref(row);
	qsort(rows, count, sizeof(json_t *), row_compare);
	for (i = 0; i < count; i++)
		json_array_set_new(accounts, i, rows[i]);
	memory_free(rows);
}

static int list(const struct arguments *arguments, const struct config *config)
{
	json_t *answer = NULL;
	int code;

	if (arguments->word_count > 1)
		return complain(EXIT_USAGE, "account list: %s is too much", arguments->words[1]);
	code = ask_or(config, json_pack("{s:s}", "command", "account_list"), list_offline, &answer, &answer);
	list_sort(answer);
	if (code == EXIT_GOOD && arguments->json)
		json_print(answer);
	else if (code == EXIT_GOOD)
		list_print(answer);
	json_decref(answer);
	return code;
}

/* ---- add, password, remove ---- */

struct change {
	struct ipc_account account;
	bool is_new, is_found;
};

static bool account_look(void *context, const struct ipc_account *account)
{
	struct change *change = context;

	if (strcmp(account->user, change->account.user) != 0)
		return true;
	change->is_found = true;
	if (!change->is_new)
		change->account.created_at_s = account->created_at_s;
	return false;
}

static int store_failed(int error)
{
	return complain(EXIT_FAILED, "the database cannot be written: %s", strerror(-error));
}

static int save_offline(struct offline *offline, void *context)
{
	struct change *change = context;
	int error = store_accounts_each(offline->store, account_look, change);

	if (!error && change->is_found == change->is_new)
		return complain(
			EXIT_FAILED,
			change->is_new
				? "account %s exists already; to change its password: ringwall account password %s"
				: "there is no account %s; to make it: ringwall account add %s",
			change->account.user, change->account.user);
	if (!error)
		error = store_account_save(offline->store, &change->account);
	if (!error)
		error = store_commit(offline->store);
	return error ? store_failed(error) : EXIT_GOOD;
}

static int remove_offline(struct offline *offline, void *context)
{
	struct change *change = context;
	int error = store_account_remove(offline->store, change->account.user);

	if (error == -ENOENT)
		return complain(EXIT_FAILED, "there is no account %s", change->account.user);
	if (!error)
		error = store_commit(offline->store);
	return error ? store_failed(error) : EXIT_GOOD;
}

static int user_take(const struct arguments *arguments, struct ipc_account *account)
{
	const char *user = arguments->word_count > 1 ? arguments->words[1] : NULL;

	if (!user)
		return complain(EXIT_USAGE, "account %s: USER is missing", arguments->words[0]);
	if (span_copy(span_from(user), account->user, sizeof(account->user)) || !*user)
		return complain(EXIT_USAGE, "the user is empty or longer than %zu characters",
				sizeof(account->user) - 1);
	if (!account_user_is_plain(user))
		return complain(EXIT_USAGE, "the user may hold letters, digits and -_.!~*'()&=+$,;?/");
	return 0;
}

static int hash(const struct arguments *arguments, const struct config *config, const char *password,
		struct ipc_account *account)
{
	struct span user = span_from(account->user), realm = span_from(config->site.domain);

	_Static_assert(sizeof(account->ha1_sha256) >= SIP_HA1_CAPACITY, "a hash does not fit");
	if (span_copy(realm, account->realm, sizeof(account->realm)))
		return complain(EXIT_FAILED, "site.domain is too long for a realm");
	if (sip_digest_ha1(SIP_DIGEST_SHA256, user, realm, span_from(password), account->ha1_sha256))
		return complain(EXIT_FAILED, "SHA-256 is not to be had from OpenSSL");
	if (!arguments->sha256_only &&
	    sip_digest_ha1(SIP_DIGEST_MD5, user, realm, span_from(password), account->ha1_md5))
		return complain(EXIT_FAILED, "MD5 is not to be had from OpenSSL here; use --sha256-only");
	return 0;
}

static void saved_print(const struct arguments *arguments, const struct ipc_account *account, const char *password)
{
	json_t *answer;

	if (!arguments->json) {
		printf("%s %s.\n", account->user,
		       strcmp(arguments->words[0], "add") == 0 ? "was added" : "has a new password");
		if (password)
			printf("Password: %s\nIt is shown this once. User and password go into the phone; the domain "
			       "is %s.\n",
			       password, account->realm);
		return;
	}
	answer = json_pack("{s:s, s:s, s:s*}", "user", account->user, "realm", account->realm, "password", password);
	json_print(answer);
	json_decref(answer);
}

static int save(const struct arguments *arguments, const struct config *config, bool is_new)
{
	struct change change = {.is_new = is_new};
	char password[PASSWORD_CAPACITY];
	bool generated;
	int code = user_take(arguments, &change.account);

	if (!code)
		code = password_obtain(arguments, true, password, &generated);
	if (code)
		return code;
	code = hash(arguments, config, password, &change.account);
	change.account.created_at_s = (uint64_t)clock_wall_s();
	if (!code)
		code = ask_or(config,
			      json_pack("{s:s, s:s, s:s, s:s, s:s}", "command",
					is_new ? "account_add" : "account_password", "user", change.account.user,
					"realm", change.account.realm, "ha1_md5", change.account.ha1_md5, "ha1_sha256",
					change.account.ha1_sha256),
			      save_offline, &change, NULL);
	if (code == EXIT_GOOD)
		saved_print(arguments, &change.account, generated ? password : NULL);
	memory_wipe(password, sizeof(password));
	memory_wipe(&change, sizeof(change));
	return code;
}

static int add(const struct arguments *arguments, const struct config *config)
{
	return save(arguments, config, true);
}

static int password(const struct arguments *arguments, const struct config *config)
{
	return save(arguments, config, false);
}

static int remove_account(const struct arguments *arguments, const struct config *config)
{
	struct change change = {0};
	int code = user_take(arguments, &change.account);

	if (!code)
		code = ask_or(config, json_pack("{s:s, s:s}", "command", "account_remove", "user", change.account.user),
			      remove_offline, &change, NULL);
	if (code == EXIT_GOOD && !arguments->json)
		printf("%s was removed.\n", change.account.user);
	return code;
}

int account_command(const struct arguments *arguments)
{
	static const struct {
		const char *name;
		int (*run)(const struct arguments *arguments, const struct config *config);
	} actions[] = {{"add", add}, {"list", list}, {"remove", remove_account}, {"password", password}};
	struct configuration configuration;
	int code;

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i].name, arguments->words[0]) != 0)
			continue;
		if (configuration_of(arguments, false, &configuration))
			return EXIT_FAILED;
		code = actions[i].run(arguments, configuration.config);
		configuration_clear(&configuration);
		return code;
	}
	return complain(EXIT_USAGE, "account: %s is none of add, list, remove, password", arguments->words[0]);
}
