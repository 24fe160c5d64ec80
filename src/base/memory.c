/* SPDX-License-Identifier: Apache-2.0
 * Memory: the doors to the heap, arenas and pools. */
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif

/* Tells AddressSanitizer which objects of a pool are free, so that a use after pool_give is found. */
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#define pool_hide(block, size) __asan_poison_memory_region(block, size)
#define pool_show(block, size) __asan_unpoison_memory_region(block, size)
#else
#define pool_hide(block, size) ((void)(block), (void)(size))
#define pool_show(block, size) ((void)(block), (void)(size))
#endif

#define ALIGNMENT _Alignof(max_align_t)
#define POOL_CHUNK_BYTES 16384U

/* The one exception to "no mutable state": the switch of memory_fail_after. Negative: off. */
static long fail_countdown = -1;

static bool allowed(void)
{
	long left = __atomic_load_n(&fail_countdown, __ATOMIC_RELAXED);

	if (left < 0)
		return true;
	__atomic_store_n(&fail_countdown, left - 1, __ATOMIC_RELAXED);
	return left > 0;
}

void memory_fail_after(long count)
{
	__atomic_store_n(&fail_countdown, count, __ATOMIC_RELAXED);
}

/* calloc passes over the thread's own list of free blocks, which costs far more than zeroing one of them. A large block may come
 * zeroed from the kernel, which calloc knows. */
#define SMALL_BYTES 1024U

void *memory_alloc(size_t size_bytes)
{
	void *block;

	if (!allowed())
		return NULL;
	if (size_bytes > SMALL_BYTES)
		return calloc(1, size_bytes);
	block = malloc(size_bytes ? size_bytes : 1);
	if (block)
		memset(block, 0, size_bytes);
	return block;
}

void *memory_realloc(void *block, size_t size_bytes)
{
	/* realloc(block, 0) may free the block and return NULL: indistinguishable from a failure. */
	return allowed() ? realloc(block, size_bytes ? size_bytes : 1) : NULL;
}

void memory_free(void *block)
{
	free(block);
}

char *memory_copy_text(struct span span)
{
	char *copy = span.length < SIZE_MAX ? memory_alloc(span.length + 1) : NULL;

	if (copy && span.length)
		memcpy(copy, span.data, span.length);
	return copy;
}

void memory_wipe(void *block, size_t size_bytes)
{
	if (size_bytes)
		explicit_bzero(block, size_bytes);
}

void memory_free_secret(void *block, size_t size_bytes)
{
	if (block)
		memory_wipe(block, size_bytes);
	memory_free(block);
}

/* The next `size_bytes` of the arena at the given alignment, not zeroed; or NULL. */
static char *arena_take(struct arena *arena, size_t size_bytes, size_t alignment)
{
	size_t padding = -((uintptr_t)arena->data + arena->used) & (alignment - 1);
	size_t room = arena->capacity - arena->used;
	char *at;

	if (padding > room || size_bytes > room - padding)
		return NULL;
	at = arena->data + arena->used + padding;
	arena->used += padding + size_bytes;
	return at;
}

void *arena_alloc(struct arena *arena, size_t size_bytes)
{
	char *at = arena_take(arena, size_bytes, ALIGNMENT);

	if (at && size_bytes)
		memset(at, 0, size_bytes);
	return at;
}

struct span arena_copy(struct arena *arena, struct span span, bool *failed)
{
	char *at;

	if (span.length == 0)
		return (struct span){span.data ? "" : NULL, 0};
	at = arena_take(arena, span.length, 1);
	if (!at) {
		if (failed)
			*failed = true;
		return SPAN_EMPTY;
	}
	memcpy(at, span.data, span.length);
	return (struct span){at, span.length};
}

struct pool_chunk {
	struct pool_chunk *next;
	_Alignas(max_align_t) char objects[];
};

/* A free object. All its other bytes are zero, so that taking it costs no memset. */
struct pool_free_object {
	struct pool_free_object *next;
};

struct pool {
	size_t object_size_bytes;
	uint32_t alive, maximum;
	uint32_t objects_per_chunk;
	uint32_t fresh_left; /* objects of the newest chunk never taken yet */
	char *fresh;
	struct pool_free_object *free;
	struct pool_chunk *chunks;
};

struct pool *pool_new(size_t object_size_bytes, uint32_t maximum)
{
	struct pool *pool;
	size_t count;

	if (object_size_bytes < sizeof(struct pool_free_object))
		object_size_bytes = sizeof(struct pool_free_object);
	if (object_size_bytes > SIZE_MAX / 64)
		return NULL;
	pool = memory_alloc(sizeof(*pool));
	if (!pool)
		return NULL;
	pool->object_size_bytes = (object_size_bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	pool->maximum = maximum;
	count = POOL_CHUNK_BYTES / pool->object_size_bytes;
	if (count < 8)
		count = 8;
	if (maximum && count > maximum)
		count = maximum;
	pool->objects_per_chunk = (uint32_t)count;
	return pool;
}

void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	while (pool->chunks) {
		struct pool_chunk *chunk = pool->chunks;

		pool->chunks = chunk->next;
		pool_show(chunk->objects, pool->objects_per_chunk * pool->object_size_bytes);
		/* Objects still alive may hold secrets. */
		memory_free_secret(chunk, sizeof(*chunk) + pool->objects_per_chunk * pool->object_size_bytes);
	}
	memory_free(pool);
}

static bool pool_grow(struct pool *pool)
{
	struct pool_chunk *chunk = memory_alloc(sizeof(*chunk) + pool->objects_per_chunk * pool->object_size_bytes);

	if (!chunk)
		return false;
	chunk->next = pool->chunks;
	pool->chunks = chunk;
	pool->fresh = chunk->objects;
	pool->fresh_left = pool->objects_per_chunk;
	pool_hide(chunk->objects, pool->objects_per_chunk * pool->object_size_bytes);
	return true;
}

void *pool_take(struct pool *pool)
{
	void *object;

	if (pool->maximum ? pool->alive >= pool->maximum : pool->alive == UINT32_MAX)
		return NULL;
	if (pool->free) {
		struct pool_free_object *first = pool->free;

		pool_show(first, pool->object_size_bytes);
		pool->free = first->next;
		first->next = NULL;
		object = first;
	} else {
		if (pool->fresh_left == 0 && !pool_grow(pool))
			return NULL;
		object = pool->fresh;
		pool->fresh += pool->object_size_bytes;
		pool->fresh_left--;
		pool_show(object, pool->object_size_bytes);
	}
	pool->alive++;
	return object;
}

void pool_give(struct pool *pool, void *object)
{
	struct pool_free_object *freed = object;

	if (!object)
		return;
	if (pool->alive == 0) /* given twice */
		abort();
	memory_wipe(object, pool->object_size_bytes);
	freed->next = pool->free;
	pool->free = freed;
	pool->alive--;
	pool_hide(object, pool->object_size_bytes);
}

uint32_t pool_alive(const struct pool *pool)
{
	return pool->alive;
}

uint32_t pool_maximum(const struct pool *pool)
{
	return pool->maximum;
}
