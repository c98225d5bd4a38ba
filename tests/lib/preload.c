/* SPDX-License-Identifier: Apache-2.0 */
/* preload.c - programs loaded before the tests fork, and their maps made empty again. Knows no test. */
#include "preload.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi.h"
#include "jiffies.h"
#include "test.h"

#include "berm.skel.h" /* wants abi.h before it */

static struct berm_bpf *loaded;
static struct berm_node node_at_first;

/* Before main(), so that the tests, which are processes of their own, inherit it. */
__attribute__((constructor)) static void preload(void)
{
	const char *wish = getenv("BERM_TEST_SHARED");
	struct berm_err err = { 0 };
	struct berm_bpf *skel;
	uint32_t now, hz;

	if (!wish || !*wish || berm_jiffies_read(&now, &hz, &err))
		return;
	skel = berm_bpf__open();
	if (!skel)
		return;
	skel->rodata->cfg_buckets = PRELOAD_BUCKETS;
	skel->rodata->cfg_hz = hz;
	skel->rodata->cfg_event_ms = 0;
	if (bpf_map__set_max_entries(skel->maps.berm_sessions, PRELOAD_BUCKETS) ||
	    berm_bpf__load(skel)) {
		printf("# does not load beforehand; each test says why\n");
		berm_bpf__destroy(skel);
		return;
	}
	node_at_first = skel->data_node->berm_node;
	loaded = skel;
}

static void array_clear(struct bpf_map *map)
{
	uint32_t count = bpf_map__max_entries(map);
	uint32_t *key = calloc(count, sizeof(*key));
	void *value = calloc(count, (bpf_map__value_size(map) + 7) / 8 * 8);

	ASSERT_TRUE(key && value);
	for (uint32_t i = 0; i < count; i++)
		key[i] = i;
	ASSERT_EQ(bpf_map_update_batch(bpf_map__fd(map), key, value, &count, NULL), 0);
	free(key);
	free(value);
}

static void percpu_clear(struct bpf_map *map)
{
	size_t size = (bpf_map__value_size(map) + 7) / 8 * 8;
	void *value = calloc((size_t)libbpf_num_possible_cpus(), size);

	ASSERT_TRUE(value);
	for (uint32_t i = 0; i < bpf_map__max_entries(map); i++)
		ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(map), &i, value, BPF_ANY), 0);
	free(value);
}

static void keys_clear(struct bpf_map *map)
{
	int fd = bpf_map__fd(map);
	char key[256];

	ASSERT_TRUE(bpf_map__key_size(map) <= sizeof(key));
	while (!bpf_map_get_next_key(fd, NULL, key))
		ASSERT_EQ(bpf_map_delete_elem(fd, key), 0);
}

static int forget(void *ctx, void *data, size_t size)
{
	(void)ctx, (void)data, (void)size;
	return 0;
}

static void ring_clear(struct bpf_map *map)
{
	struct ring_buffer *ring = ring_buffer__new(bpf_map__fd(map), forget, NULL, NULL);

	ASSERT_TRUE(ring);
	ring_buffer__consume(ring);
	ring_buffer__free(ring);
}

static void map_clear(struct bpf_map *map)
{
	if (map == loaded->maps.rodata || map == loaded->maps.data_node)
		return;
	switch (bpf_map__type(map)) {
	case BPF_MAP_TYPE_ARRAY:
		array_clear(map);
		break;
	case BPF_MAP_TYPE_PERCPU_ARRAY:
		percpu_clear(map);
		break;
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_LRU_HASH:
	case BPF_MAP_TYPE_LPM_TRIE:
		keys_clear(map);
		break;
	case BPF_MAP_TYPE_RINGBUF:
		ring_clear(map);
		break;
	default:
		test_failed(__FILE__, __LINE__, "%s: of a type that nothing here clears",
			    bpf_map__name(map));
		test_stop();
	}
}

struct berm_bpf *preload_take(void)
{
	struct bpf_map *map;

	if (!loaded)
		return NULL;
	bpf_object__for_each_map(map, loaded->obj)
		map_clear(map);
	loaded->data_node->berm_node = node_at_first;
	return loaded;
}
