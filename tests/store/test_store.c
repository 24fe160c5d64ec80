/* SPDX-License-Identifier: Apache-2.0
 * The database: what is saved comes back, what cannot be saved is said, and a killed writer loses nothing confirmed. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "store/store.h"

struct fixture {
	char directory[64], path[96];
	char error[512];
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	strcpy(fixture->directory, "/tmp/ringwall-store-XXXXXX");
	if (!mkdtemp(fixture->directory))
		return -1;
	snprintf(fixture->path, sizeof(fixture->path), "%s/ringwall.db", fixture->directory);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < 4; i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s%s", fixture->path, suffixes[i]);
		unlink(path);
	}
	rmdir(fixture->directory);
	free(fixture);
	return 0;
}

static struct store *store_open_well(struct fixture *fixture)
{
	struct store *store = store_open(fixture->path, fixture->error, sizeof(fixture->error));

	if (!store)
		fail_msg("%s", fixture->error);
	return store;
}

static struct ipc_binding binding_make(unsigned number)
{
	struct ipc_binding binding = {.cseq = number, .transport = 2, .expires_at_s = 1000 + number};

	snprintf(binding.token, sizeof(binding.token), "token%06u", number);
	strcpy(binding.zone, "phones");
	snprintf(binding.account, sizeof(binding.account), "%u", number);
	snprintf(binding.contact, sizeof(binding.contact), "sip:%u@192.0.2.1:5062;transport=tls", number);
	memset(binding.call_id, 'c', sizeof(binding.call_id) - 1);
	assert_int_equal(address_parse(SPAN("[2001:db8::1]:5061"), &binding.local), 0);
	assert_int_equal(address_parse(SPAN("192.0.2.1:40000"), &binding.remote), 0);
	binding.registrar_expires_at_s = 1ull << 40;
	strcpy(binding.user_agent, "it's a \"phone\"; DROP TABLE binding");
	snprintf(binding.instance, sizeof(binding.instance), "<urn:uuid:00000000-0000-1000-8000-%012u>", number);
	binding.reg_id = number % 3;
	strcpy(binding.path, "<sip:edge.example.net;lr;ob>");
	strcpy(binding.service_route, "<sip:home@192.0.2.9;lr>");
	strcpy(binding.gruu, "sip:1001@pbx.example.org;gr=urn:uuid:1");
	return binding;
}

struct seen {
	struct ipc_binding bindings[8];
	struct ipc_account accounts[4];
	unsigned count, stop_after;
};

static bool see_binding(void *context, const struct ipc_binding *binding)
{
	struct seen *seen = context;

	if (seen->count < 8)
		seen->bindings[seen->count] = *binding;
	return ++seen->count != seen->stop_after;
}

static bool see_account(void *context, const struct ipc_account *account)
{
	struct seen *seen = context;

	if (seen->count < 4)
		seen->accounts[seen->count] = *account;
	return ++seen->count != seen->stop_after;
}

static void bindings_come_back_after_reopening(void **state)
{
	struct fixture *fixture = *state;
	struct store *store = store_open_well(fixture);
	struct ipc_binding one = binding_make(1), two = binding_make(2);
	struct seen seen = {0};

	assert_false(store_is_dirty(store));
	assert_int_equal(store_binding_save(store, &one), 0);
	assert_int_equal(store_binding_save(store, &two), 0);
	one.cseq = 77; /* saved again: replaced */
	assert_int_equal(store_binding_save(store, &one), 0);
	assert_true(store_is_dirty(store));
	assert_int_equal(store_commit(store), 0);
	assert_false(store_is_dirty(store));
	assert_int_equal(store_commit(store), 0);
	store_close(store);

	store = store_open_well(fixture);
	assert_int_equal(store_bindings_each(store, 0, see_binding, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_memory_equal(&seen.bindings[0], &one, sizeof(one));
	assert_memory_equal(&seen.bindings[1], &two, sizeof(two));

	seen = (struct seen){.stop_after = 1};
	assert_int_equal(store_bindings_each(store, 0, see_binding, &seen), 0);
	assert_int_equal(seen.count, 1);

	assert_int_equal(store_binding_remove(store, one.token), 0);
	assert_int_equal(store_binding_remove(store, one.token), -ENOENT);
	seen = (struct seen){0};
	assert_int_equal(store_bindings_each(store, 0, see_binding, &seen), 0);
	assert_int_equal(seen.count, 1);
	store_close(store);
}

static void expired_bindings_go(void **state)
{
	struct fixture *fixture = *state;
	struct store *store = store_open_well(fixture);
	struct seen seen = {0};

	for (unsigned i = 0; i < 5; i++) {
		struct ipc_binding binding = binding_make(i);

		assert_int_equal(store_binding_save(store, &binding), 0);
	}
	assert_int_equal(store_bindings_each(store, 1002, see_binding, &seen), 0); /* 1000 to 1002 are over */
	assert_int_equal(seen.count, 2);
	assert_true(store_is_dirty(store));
	store_close(store); /* commits */

	store = store_open_well(fixture);
	seen = (struct seen){0};
	assert_int_equal(store_bindings_each(store, 0, see_binding, &seen), 0);
	assert_int_equal(seen.count, 2);
	store_close(store);
	store_close(NULL);
}

/* The first release's database, as it made it. */
static const char version_1[] =
	"CREATE TABLE binding (token TEXT PRIMARY KEY, zone TEXT NOT NULL, account TEXT NOT NULL, contact TEXT NOT "
	"NULL,"
	" call_id TEXT NOT NULL, cseq INTEGER NOT NULL, registrar_contact TEXT NOT NULL, transport INTEGER NOT NULL,"
	" local TEXT NOT NULL, remote TEXT NOT NULL, expires_at_s INTEGER NOT NULL, registrar_expires_at_s INTEGER NOT "
	"NULL,"
	" user_agent TEXT NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE INDEX binding_expires ON binding(expires_at_s);"
	"CREATE TABLE account (user TEXT PRIMARY KEY, realm TEXT NOT NULL, ha1_md5 TEXT NOT NULL, ha1_sha256 TEXT NOT "
	"NULL,"
	" created_at_s INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"INSERT INTO binding VALUES('abcdefghijklmnopqrst', 'phones', '1001', 'sip:1001@192.0.2.1', 'c', 7, '', 0,"
	" '192.0.2.9:5060', '192.0.2.1:5060', 2000, 3000, 'Phone/1.0');"
	"PRAGMA user_version = 1;";

static void a_database_of_the_first_release_is_brought_up_to_date(void **state)
{
	struct fixture *fixture = *state;
	struct ipc_binding binding = binding_make(3);
	struct seen seen = {0};
	struct store *store;
	sqlite3 *database;

	assert_int_equal(sqlite3_open(fixture->path, &database), SQLITE_OK);
	assert_int_equal(sqlite3_exec(database, version_1, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(database);
	store = store_open_well(fixture);
	assert_int_equal(store_binding_save(store, &binding), 0);
	store_close(store);

	store = store_open_well(fixture);
	assert_int_equal(store_bindings_each(store, 0, see_binding, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_string_equal(seen.bindings[0].account, "1001");
	assert_int_equal(seen.bindings[0].cseq, 7);
	assert_string_equal(seen.bindings[0].instance, "");
	assert_int_equal(seen.bindings[0].reg_id, 0);
	assert_memory_equal(&seen.bindings[1], &binding, sizeof(binding));
	store_close(store);
}

static void accounts_come_back(void **state)
{
	struct fixture *fixture = *state;
	struct store *store = store_open_well(fixture);
	struct ipc_account account = {.user = "1001", .realm = "voip.example.org", .created_at_s = 1234567890};
	struct seen seen = {0};

	memset(account.ha1_md5, 'a', 32);
	memset(account.ha1_sha256, 'b', 64);
	assert_int_equal(store_account_save(store, &account), 0);
	strcpy(account.user, "1000");
	assert_int_equal(store_account_save(store, &account), 0);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(store_accounts_each(store, see_account, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_memory_equal(&seen.accounts[0], &account, sizeof(account));
	assert_string_equal(seen.accounts[1].user, "1001");
	assert_int_equal(store_account_remove(store, "1000"), 0);
	assert_int_equal(store_account_remove(store, "1000"), -ENOENT);
	memset(account.user, 'x', sizeof(account.user)); /* no NUL */
	assert_int_equal(store_account_save(store, &account), -EINVAL);
	assert_int_equal(store_commit(store), 0);
	seen = (struct seen){0};
	assert_int_equal(store_accounts_each(store, see_account, &seen), 0);
	assert_int_equal(seen.count, 1);
	store_close(store);
}

static void only_the_owner_may_read(void **state)
{
	struct fixture *fixture = *state;
	struct ipc_binding binding = binding_make(1);
	struct store *store;
	struct stat status;
	char wal[128];

	close(open(fixture->path, O_CREAT | O_WRONLY, 0644)); /* left by somebody careless */
	store = store_open_well(fixture);
	assert_int_equal(store_binding_save(store, &binding), 0);
	assert_int_equal(store_commit(store), 0);
	assert_int_equal(stat(fixture->path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	snprintf(wal, sizeof(wal), "%s-wal", fixture->path);
	assert_int_equal(stat(wal, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	store_close(store);
}

static void foreign_rows_are_left_out(void **state)
{
	struct fixture *fixture = *state;
	struct store *store = store_open_well(fixture);
	struct ipc_account account = {.user = "1001", .realm = "r"};
	struct seen seen = {0};
	sqlite3 *database;

	assert_int_equal(store_account_save(store, &account), 0);
	store_close(store);
	assert_int_equal(sqlite3_open(fixture->path, &database), SQLITE_OK);
	assert_int_equal(sqlite3_exec(database,
				      "INSERT INTO account VALUES('long', 'r', hex(zeroblob(65)), '', 1);"
				      "INSERT INTO account VALUES('negative', 'r', '', '', -1);",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(database);

	store = store_open_well(fixture);
	assert_int_equal(store_accounts_each(store, see_account, &seen), 0);
	assert_int_equal(seen.count, 1);
	store_close(store);
}

static void expect_refused(struct fixture *fixture, const char *reason)
{
	struct store *store = store_open(fixture->path, fixture->error, sizeof(fixture->error));

	assert_null(store);
	if (!strstr(fixture->error, reason) || !strstr(fixture->error, fixture->path))
		fail_msg("the error does not name the reason: %s", fixture->error);
}

static void what_cannot_be_used_is_named(void **state)
{
	struct fixture *fixture = *state;
	int descriptor = open(fixture->path, O_CREAT | O_WRONLY, 0600);
	char garbage[4096];
	sqlite3 *database;

	memset(garbage, 'g', sizeof(garbage));
	assert_int_equal(write(descriptor, garbage, sizeof(garbage)), sizeof(garbage));
	close(descriptor);
	expect_refused(fixture, "not a database");
	unlink(fixture->path);

	assert_int_equal(symlink("/tmp/elsewhere", fixture->path), 0);
	expect_refused(fixture, "symbolic link");
	unlink(fixture->path);

	store_close(store_open_well(fixture));
	assert_int_equal(sqlite3_open(fixture->path, &database), SQLITE_OK);
	assert_int_equal(sqlite3_exec(database, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(database);
	expect_refused(fixture, "newer ringwall");

	snprintf(fixture->path, sizeof(fixture->path), "%s/none/ringwall.db", fixture->directory);
	expect_refused(fixture, "No such file");

	memory_fail_after(0);
	expect_refused(fixture, "no memory");
	memory_fail_after(-1);
}

/* A database whose pages were overwritten after an unclean end is refused, not half used. */
static void damage_after_an_unclean_end_is_found(void **state)
{
	struct fixture *fixture = *state;
	struct store *store = store_open_well(fixture);
	char zeros[4096] = {0};
	pid_t child;
	int status, descriptor;

	for (unsigned i = 0; i < 200; i++) {
		struct ipc_binding binding = binding_make(i);

		assert_int_equal(store_binding_save(store, &binding), 0);
	}
	store_close(store);
	child = fork();
	if (child == 0) { /* leaves a log behind */
		struct ipc_account account = {.user = "1001"};

		store = store_open(fixture->path, fixture->error, sizeof(fixture->error));
		_exit(!store || store_account_save(store, &account) || store_commit(store));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	descriptor = open(fixture->path, O_WRONLY);
	for (off_t page = 3; page < 30; page++)
		assert_int_equal(pwrite(descriptor, zeros, sizeof(zeros), page * 4096), sizeof(zeros));
	close(descriptor);
	expect_refused(fixture, "is damaged");
}

/* Writes for ever, and says through the pipe what is confirmed. */
static void writer(const char *path, int confirm, unsigned from)
{
	char error[512];
	struct store *store = store_open(path, error, sizeof(error));

	for (unsigned number = from; store; number++) {
		struct ipc_binding binding = binding_make(number);

		if (store_binding_save(store, &binding) || store_commit(store) ||
		    write(confirm, &number, sizeof(number)) != sizeof(number))
			break;
	}
	_exit(1);
}

static bool see_numbered(void *context, const struct ipc_binding *binding)
{
	unsigned *count = context;
	struct ipc_binding expected = binding_make(*count);

	assert_memory_equal(binding, &expected, sizeof(expected));
	(*count)++;
	return true;
}

/* SQLite's calls come here: an executable's symbols go before those of the C library. */
static unsigned syncs;

int fdatasync(int descriptor)
{
	syncs++;
	return (int)syscall(SYS_fdatasync, descriptor);
}

int fsync(int descriptor)
{
	syncs++;
	return (int)syscall(SYS_fsync, descriptor);
}

/* A2: what is committed is on the disk, not only with the kernel. In WAL mode only synchronous = FULL or EXTRA syncs the log at
 * each commit (EXTRA differs for rollback journals alone); with NORMAL a power cut takes the last ones. */
static void every_commit_is_synced_to_the_disk(void **state)
{
	struct store *store = store_open_well(*state);

	for (unsigned i = 0; i < 20; i++) {
		struct ipc_binding binding = binding_make(i);
		unsigned before = syncs;

		assert_int_equal(store_binding_save(store, &binding), 0);
		assert_int_equal(store_commit(store), 0);
		assert_true(syncs > before);
	}
	store_close(store);
}

static void a_killed_writer_loses_nothing_confirmed(void **state)
{
	struct fixture *fixture = *state;
	unsigned confirmed = 0, count = 0;

	srand(1);
	for (int round = 0; round < 15; round++) {
		struct store *store;
		int pipes[2], status;
		unsigned number;
		pid_t child;

		assert_int_equal(pipe(pipes), 0);
		child = fork();
		if (child == 0) {
			close(pipes[0]);
			writer(fixture->path, pipes[1], count);
		}
		close(pipes[1]);
		assert_int_equal(read(pipes[0], &number, sizeof(number)), sizeof(number));
		usleep((unsigned)rand() % 20000);
		kill(child, SIGKILL);
		do {
			confirmed = number + 1;
		} while (read(pipes[0], &number, sizeof(number)) == sizeof(number));
		close(pipes[0]);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));

		store = store_open_well(fixture);
		count = 0;
		assert_int_equal(store_bindings_each(store, 0, see_numbered, &count), 0);
		assert_in_range(count, confirmed, confirmed + 1); /* the last may be stored and not yet confirmed */
		store_close(store);
	}
	assert_true(confirmed >= 15);
}

/* Saves until it fails. Returns how many are confirmed; *error is what came. */
static unsigned save_until_refused(struct store *store, int *error)
{
	unsigned confirmed = 0;

	for (*error = 0; confirmed < 100000; confirmed++) {
		struct ipc_binding binding = binding_make(confirmed);

		*error = store_binding_save(store, &binding);
		if (!*error)
			*error = store_commit(store);
		if (*error)
			break;
	}
	return confirmed;
}

/* In a child with a mount namespace of its own: a file system of 256 KiB, full, then read-only.
 * Exits 0 when all is as it should be, 77 when the kernel does not allow this, else the line. */
#define CHECK(condition) \
	do { \
		if (!(condition)) \
			_exit(__LINE__ % 200 + 1 == 77 ? 78 : __LINE__ % 200 + 1); \
	} while (0)
static void on_a_small_disk(struct fixture *fixture)
{
	struct ipc_account account = {.user = "1001"};
	struct store *store;
	unsigned confirmed, count = 0;
	int error;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", fixture->directory, "tmpfs", 0, "size=256k"))
		_exit(77);
	store = store_open(fixture->path, fixture->error, sizeof(fixture->error));
	CHECK(store);
	confirmed = save_until_refused(store, &error);
	CHECK(error == -ENOSPC);
	CHECK(confirmed > 10 && confirmed < 1000);
	CHECK(!store_is_dirty(store));
	CHECK(store_bindings_each(store, 0, see_numbered, &count) == 0 || count == 0);
	store_close(store);

	store = store_open(fixture->path, fixture->error, sizeof(fixture->error));
	CHECK(store);
	count = 0;
	CHECK(store_bindings_each(store, 0, see_numbered, &count) == 0);
	CHECK(count == confirmed);
	store_close(store);

	CHECK(mount(NULL, fixture->directory, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
	store = store_open(fixture->path, fixture->error, sizeof(fixture->error));
	CHECK(!store && strstr(fixture->error, "Read-only"));
	CHECK(mount(NULL, fixture->directory, NULL, MS_REMOUNT, "size=4m") == 0);
	store = store_open(fixture->path, fixture->error, sizeof(fixture->error));
	CHECK(store && store_account_save(store, &account) == 0 && store_commit(store) == 0);
	store_close(store);
	_exit(0);
}

static int child_status(void (*work)(struct fixture *fixture), struct fixture *fixture)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		work(fixture);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_full_and_a_read_only_disk_are_said(void **state)
{
	int status = child_status(on_a_small_disk, *state);

	if (status == 77)
		skip(); /* needs root */
	assert_int_equal(status, 0);
}

/* Without privilege: files may not grow beyond 300 KiB. */
static void with_small_files(struct fixture *fixture)
{
	struct rlimit limit = {300 << 10, 300 << 10};
	struct store *store = store_open(fixture->path, fixture->error, sizeof(fixture->error));
	unsigned confirmed, count = 0;
	int error;

	signal(SIGXFSZ, SIG_IGN);
	CHECK(store && setrlimit(RLIMIT_FSIZE, &limit) == 0);
	confirmed = save_until_refused(store, &error);
	CHECK(error == -EIO || error == -ENOSPC);
	CHECK(!store_is_dirty(store));
	store_close(store);
	store = store_open(fixture->path, fixture->error, sizeof(fixture->error));
	CHECK(store);
	CHECK(store_bindings_each(store, 0, see_numbered, &count) == 0);
	CHECK(count == confirmed);
	_exit(0);
}

static void writes_that_fail_undo_their_change(void **state)
{
	assert_int_equal(child_status(with_small_files, *state), 0);
}

/* As the store role: nobody, in a directory of its own below one that nobody may pass. */
static void below_a_closed_directory(struct fixture *fixture)
{
	char closed[96], own[128];
	struct store *store;
	struct ipc_account account = {.user = "1001"};

	if (geteuid() != 0)
		_exit(77);
	snprintf(closed, sizeof(closed), "%s/closed", fixture->directory);
	snprintf(own, sizeof(own), "%s/own", closed);
	CHECK(mkdir(closed, 0700) == 0 && mkdir(own, 0700) == 0 && chown(own, 65534, 65534) == 0 && chdir(own) == 0);
	CHECK(setgid(65534) == 0 && setuid(65534) == 0);
	for (int round = 0; round < 2; round++) {
		store = store_open("ringwall.db", fixture->error, sizeof(fixture->error));
		CHECK(store);
		CHECK(store_account_save(store, &account) == 0 && store_commit(store) == 0);
		store_close(store);
	}
	CHECK(unlink("ringwall.db") == 0);
	_exit(0);
}

static void directories_above_need_not_be_open(void **state)
{
	struct fixture *fixture = *state;
	int status = child_status(below_a_closed_directory, fixture);
	char path[128];

	snprintf(path, sizeof(path), "%s/closed/own", fixture->directory);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/closed", fixture->directory);
	rmdir(path);
	if (status == 77)
		skip(); /* needs root */
	assert_int_equal(status, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(bindings_come_back_after_reopening),
		TEST(expired_bindings_go),
		TEST(a_database_of_the_first_release_is_brought_up_to_date),
		TEST(accounts_come_back),
		TEST(only_the_owner_may_read),
		TEST(foreign_rows_are_left_out),
		TEST(what_cannot_be_used_is_named),
		TEST(damage_after_an_unclean_end_is_found),
		TEST(every_commit_is_synced_to_the_disk),
		TEST(a_killed_writer_loses_nothing_confirmed),
		TEST(a_full_and_a_read_only_disk_are_said),
		TEST(writes_that_fail_undo_their_change),
		TEST(directories_above_need_not_be_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
