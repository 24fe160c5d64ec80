/* SPDX-License-Identifier: Apache-2.0
 * Changes of bindings that may not be on the disk yet; see journal.h. */
#include "roles/journal.h"

#include <errno.h>
#include <string.h>

#include "base/list.h"
#include "base/memory.h"
#include "base/table.h"

struct entry {
	struct list link;
	struct table_link by_token;
	uint64_t number; /* of the change, as the store counts; 0: not told yet */
	char token[sizeof(((struct ipc_binding *)0)->token)];
	size_t length;
	uint8_t bytes[];
};

struct journal {
	struct list told, waiting; /* oldest first */
	struct table *tokens;
	uint64_t numbers; /* told since journal_again */
	size_t bytes, told_bytes;
	uint32_t count, dropped;
};

static bool token_equal(const struct table_link *link, const void *key)
{
	return strcmp(table_object(link, struct entry, by_token)->token, key) == 0;
}

struct journal *journal_new(struct random_source random)
{
	struct journal *journal = memory_alloc(sizeof(*journal));

	if (!journal)
		return NULL;
	list_init(&journal->told);
	list_init(&journal->waiting);
	journal->tokens = table_new(token_equal, random);
	if (journal->tokens)
		return journal;
	memory_free(journal);
	return NULL;
}

static size_t entry_bytes(const struct entry *entry)
{
	return sizeof(*entry) + entry->length;
}

static void entry_drop(struct journal *journal, struct entry *entry)
{
	list_remove(&entry->link);
	table_remove(journal->tokens, &entry->by_token);
	journal->bytes -= entry_bytes(entry);
	if (entry->number)
		journal->told_bytes -= entry_bytes(entry);
	journal->count--;
	memory_free(entry);
}

static void entries_drop(struct journal *journal, struct list *entries)
{
	list_each(link, entries)
		entry_drop(journal, list_object(link, struct entry, link));
}

void journal_free(struct journal *journal)
{
	if (!journal)
		return;
	entries_drop(journal, &journal->told);
	entries_drop(journal, &journal->waiting);
	table_free(journal->tokens);
	memory_free(journal);
}

static void oldest_drop(struct journal *journal)
{
	const struct list *entries = list_is_empty(&journal->told) ? &journal->waiting : &journal->told;

	entry_drop(journal, list_object(entries->next, struct entry, link));
	journal->dropped++;
}

static const char *token_of(const struct ipc_message *message)
{
	return message->type == IPC_BINDING          ? message->binding.token
	       : message->type == IPC_BINDING_REMOVE ? message->binding_remove.token
						     : NULL;
}

int journal_add(struct journal *journal, const struct ipc_message *message)
{
	uint8_t bytes[IPC_MESSAGE_MAXIMUM];
	ptrdiff_t length = ipc_encode(message, bytes, sizeof(bytes));
	const char *token = token_of(message);
	struct table_link *earlier;
	struct entry *entry;
	uint64_t hash;

	if (length < 0 || !token)
		return -EINVAL;
	hash = table_hash(journal->tokens, token, strlen(token));
	entry = memory_alloc(sizeof(*entry) + (size_t)length);
	if (!entry)
		return -ENOMEM;
	earlier = table_find(journal->tokens, hash, token);
	if (earlier)
		entry_drop(journal, table_object(earlier, struct entry, by_token));
	entry->length = (size_t)length;
	memcpy(entry->bytes, bytes, (size_t)length);
	span_copy(span_from(token), entry->token, sizeof(entry->token));
	while (journal->count && journal->bytes + entry_bytes(entry) > JOURNAL_MAXIMUM_BYTES)
		oldest_drop(journal);
	list_append(&journal->waiting, &entry->link);
	table_add(journal->tokens, &entry->by_token, hash);
	journal->bytes += entry_bytes(entry);
	journal->count++;
	return 0;
}

void journal_again(struct journal *journal)
{
	struct list rest;

	/* What was told is older than what was not. */
	list_init(&rest);
	list_each(link, &journal->waiting) {
		list_remove(link);
		list_append(&rest, link);
	}
	list_each(link, &journal->told) {
		list_object(link, struct entry, link)->number = 0;
		list_remove(link);
		list_append(&journal->waiting, link);
	}
	list_each(link, &rest) {
		list_remove(link);
		list_append(&journal->waiting, link);
	}
	journal->numbers = 0;
	journal->told_bytes = 0;
}

void journal_tell(struct journal *journal, void (*visit)(void *context, const struct ipc_message *message),
		  void *context)
{
	list_each(link, &journal->waiting) {
		struct entry *entry = list_object(link, struct entry, link);
		struct ipc_message message;

		if (journal->told_bytes + entry_bytes(entry) > JOURNAL_WINDOW_BYTES)
			return;
		entry->number = ++journal->numbers;
		journal->told_bytes += entry_bytes(entry);
		list_remove(link);
		list_append(&journal->told, link);
		if (ipc_decode(entry->bytes, entry->length, IPC_ROLE_GATE, &message) == 0)
			visit(context, &message);
	}
}

void journal_stored(struct journal *journal, uint64_t count)
{
	list_each(link, &journal->told) {
		struct entry *entry = list_object(link, struct entry, link);

		if (entry->number > count)
			return;
		entry_drop(journal, entry);
	}
}

uint32_t journal_count(const struct journal *journal)
{
	return journal->count;
}

uint32_t journal_dropped(struct journal *journal)
{
	uint32_t dropped = journal->dropped;

	journal->dropped = 0;
	return dropped;
}
