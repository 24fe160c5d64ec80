/* SPDX-License-Identifier: Apache-2.0
 * Memory: the only doors to the heap, so that tests can make any allocation fail;
 * arenas for what lives as long as a message; pools for what comes and goes. */
#ifndef RINGWALL_BASE_MEMORY_H
#define RINGWALL_BASE_MEMORY_H

#include "base/span.h"

/* Zeroed memory, or NULL. Freed with memory_free. Any thread. */
void *memory_alloc(size_t size_bytes);

/* As realloc; grown bytes are not zeroed. NULL on failure, the old block then still valid. */
void *memory_realloc(void *block, size_t size_bytes);

/* NULL is allowed. */
void memory_free(void *block);

/* A NUL-terminated copy, or NULL. Freed with memory_free. */
char *memory_copy_text(struct span span);

/* Wipes before freeing; for keys and passwords. NULL is allowed. */
void memory_free_secret(void *block, size_t size_bytes);

/* Overwrites in a way the compiler cannot leave out. */
void memory_wipe(void *block, size_t size_bytes);

/* For tests: the allocation after `count` more successful ones fails, once; a negative count
 * turns it off. Process-wide, for single-threaded tests. */
void memory_fail_after(long count);

/* Arena: bump allocation over one block of the caller's or the heap's; freed all at once.
 * Bounded: an arena never grows. */
struct arena {
	char *data;
	size_t used;
	size_t capacity;
};

static inline struct arena arena_over(void *data, size_t capacity)
{
	return (struct arena){data, 0, capacity};
}

/* `size_bytes` of zeroed memory aligned for any object, or NULL when the arena is full. */
void *arena_alloc(struct arena *arena, size_t size_bytes);

/* A copy inside the arena. On a full arena the result is empty and *failed (if not NULL) is set. */
struct span arena_copy(struct arena *arena, struct span span, bool *failed);

/* Forgets everything allocated. */
static inline void arena_reset(struct arena *arena)
{
	arena->used = 0;
}

/* Pool: objects of one size, at most `maximum` of them alive, chunks taken from the heap as needed
 * and kept. Not thread-safe. */
struct pool;

/* NULL when memory is short. `maximum` 0 means unbounded. */
struct pool *pool_new(size_t object_size_bytes, uint32_t maximum);

/* Frees the pool and all objects still alive in it. NULL is allowed. */
void pool_free(struct pool *pool);

/* A zeroed object; or NULL when `maximum` are alive or memory is short. */
void *pool_take(struct pool *pool);

/* Gives an object back; its bytes are wiped. NULL is allowed. */
void pool_give(struct pool *pool, void *object);

uint32_t pool_alive(const struct pool *pool);
uint32_t pool_maximum(const struct pool *pool);

#endif
