/* SPDX-License-Identifier: Apache-2.0
 * Messages of call flows and deployed systems, and torture messages as others have archived them, read from RINGWALL_VECTORS or
 * beside the source tree; without them the tests are skipped. */
#include "../sip/message_fixture.h"

#include <dirent.h>

static const char *folder(const char *name, char out[1024])
{
	const char *vectors = getenv("RINGWALL_VECTORS");

	snprintf(out, 1024, "%s/%s", vectors ? vectors : SOURCE_ROOT "/../shared/vectors", name);
	return out;
}

static struct span file_read(const char *directory, const char *name, char *out, size_t capacity)
{
	char path[2048];
	size_t length = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "rb");
	if (file) {
		length = fread(out, 1, capacity, file);
		fclose(file);
	}
	return (struct span){out, length};
}

/* In pieces, cut and turned, whatever they are; and as a stream each piece of a sound one asks for more. */
static void sweep(struct span text)
{
	struct parsed whole = parse(text, true), parsed;
	char *copy = malloc(text.length);

	assert_non_null(copy);
	for (size_t cut = 0; cut < text.length; cut++) {
		parsed = parse((struct span){text.data, cut}, true);
		if (whole.reject == SIP_OK && cut < whole.consumed)
			assert_int_equal(parsed.reject, SIP_NEED_MORE);
		check_sound(&parsed, cut);
		parsed_free(&parsed);
		parsed = parse((struct span){text.data, cut}, false);
		check_sound(&parsed, cut);
		parsed_free(&parsed);

		memcpy(copy, text.data, text.length);
		copy[cut] ^= (char)(1 << (cut % 8));
		parsed = parse((struct span){copy, text.length}, false);
		check_sound(&parsed, text.length);
		parsed_free(&parsed);
	}
	free(copy);
	parsed_free(&whole);
}

static void check_folder(const char *name, size_t *count, size_t *sound, size_t *swept)
{
	char directory[1024];
	static char bytes[70000];
	DIR *listing = opendir(folder(name, directory));
	struct dirent *entry;

	while (listing && (entry = readdir(listing))) {
		struct span text;
		struct parsed parsed;

		if (!strstr(entry->d_name, ".sip") && !strstr(entry->d_name, ".dat"))
			continue;
		text = file_read(directory, entry->d_name, bytes, sizeof(bytes));
		parsed = parse(text, false);
		check_sound(&parsed, text.length);
		*sound += parsed.reject == SIP_OK;
		parsed_free(&parsed);
		if (text.length && *swept) {
			sweep(text);
			--*swept;
		}
		++*count;
	}
	if (listing)
		closedir(listing);
}

static void test_messages_of_call_flows(void **state)
{
	size_t count = 0, sound = 0, swept = 30;

	(void)state;
	check_folder("callflows", &count, &sound, &swept);
	if (!count)
		skip();
	/* Two have "(whatever URI)" in Refer-To, some are printed without headers that are mandatory. */
	assert_true(sound * 100 >= count * 94);
}

static void test_messages_of_deployed_systems(void **state)
{
	size_t count = 0, sound = 0, swept = 30;

	(void)state;
	check_folder("real", &count, &sound, &swept);
	check_folder("torture", &count, &sound, &swept);
	if (!count)
		skip();
	assert_true(sound > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_of_call_flows),
		cmocka_unit_test(test_messages_of_deployed_systems),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
