/* SPDX-License-Identifier: Apache-2.0
 * Changes of bindings that may not be on the disk yet; see journal.h. */
#include "roles/journal.h"

#include <errno.h>
#include <string.h>

#include "base/list.h"
#include "base/memory.h"

struct entry {
	struct list link;
	uint64_t added_us;
	size_t length;
	uint8_t bytes[];
};

struct journal {
	struct list entries; /* oldest first */
	size_t bytes;
	uint32_t count, dropped;
};

struct journal *journal_new(void)
{
	struct journal *journal = memory_alloc(sizeof(*journal));

	if (journal)
		list_init(&journal->entries);
	return journal;
}

static void entry_drop(struct journal *journal, struct list *link)
{
	struct entry *entry = list_object(link, struct entry, link);

	list_remove(link);
	journal->bytes -= sizeof(*entry) + entry->length;
	journal->count--;
	memory_free(entry);
}

void journal_free(struct journal *journal)
{
	if (!journal)
		return;
	list_each(link, &journal->entries)
		entry_drop(journal, link);
	memory_free(journal);
}

int journal_add(struct journal *journal, const struct ipc_message *message, uint64_t now_us)
{
	uint8_t bytes[IPC_MESSAGE_MAXIMUM];
	ptrdiff_t length = ipc_encode(message, bytes, sizeof(bytes));
	struct entry *entry;

	if (length < 0)
		return -EINVAL;
	while (journal->count && journal->bytes + sizeof(*entry) + (size_t)length > JOURNAL_MAXIMUM_BYTES) {
		entry_drop(journal, journal->entries.next);
		journal->dropped++;
	}
	entry = memory_alloc(sizeof(*entry) + (size_t)length);
	if (!entry)
		return -ENOMEM;
	entry->added_us = now_us;
	entry->length = (size_t)length;
	memcpy(entry->bytes, bytes, (size_t)length);
	list_append(&journal->entries, &entry->link);
	journal->bytes += sizeof(*entry) + entry->length;
	journal->count++;
	return 0;
}

void journal_trim(struct journal *journal, uint64_t now_us)
{
	list_each(link, &journal->entries) {
		if (now_us - list_object(link, struct entry, link)->added_us < JOURNAL_AGE_US)
			return;
		entry_drop(journal, link);
	}
}

void journal_each(const struct journal *journal, enum ipc_role sender,
		  void (*visit)(void *context, const struct ipc_message *message), void *context)
{
	list_each(link, &journal->entries) {
		const struct entry *entry = list_object(link, struct entry, link);
		struct ipc_message message;

		if (ipc_decode(entry->bytes, entry->length, sender, &message) == 0)
			visit(context, &message);
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
