/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_memo.c - the one thing that the maps cannot tell a restarted agent: which class id stands for
 * which digest. Only a hint, which spares the first generation after a start all its writes: a set is kept
 * for what its rows and cells say, so a memo that is old or wrong makes work, never a wrong verdict.
 */
#include "applied.h"

#include "cleanup.h"

#define MAGIC 0x0231706d7265420aull

struct memo_head {
	uint64_t magic;
	uint32_t seed[2]; /* of the maps: random per boot */
	uint64_t count;
};

struct memo_entry {
	struct berm_digest id;
	uint64_t cls;
};

int berm_applied_memo_write(const struct berm_apply *a, struct berm_err *err)
{
	const struct berm_node *node = a->store->node;
	auto_free struct memo_head *head =
		calloc(1, sizeof(*head) + a->cls_room * sizeof(struct memo_entry));
	struct memo_entry *entry;

	if (!head)
		return berm_fail(err, -ENOMEM, "remember the classes of addresses");
	entry = (struct memo_entry *)(head + 1);
	*head = (struct memo_head){ MAGIC, { node->hash_seed[0], node->hash_seed[1] }, 0 };
	for (uint32_t cls = BERM_CLASS_FIRST; cls < a->cls_room; cls++)
		if (a->cls[cls].state == CLASS_NAMED)
			entry[head->count++] = (struct memo_entry){ a->cls[cls].id, cls };
	return a->store->ops->write_memo(a->store, head,
					 sizeof(*head) + head->count * sizeof(*entry), err);
}

static bool is_ours(const struct memo_head *head, size_t size, const struct berm_node *node)
{
	return size >= sizeof(*head) && head->magic == MAGIC &&
	       !memcmp(head->seed, node->hash_seed, sizeof(head->seed)) &&
	       head->count == (size - sizeof(*head)) / sizeof(struct memo_entry);
}

/* No memo, or not ours: all classes are nameless, and the next generation makes new ones. */
int berm_applied_memo_read(struct berm_apply *a)
{
	auto_free void *data = NULL;
	const struct memo_entry *entry;
	const struct memo_head *head;
	size_t size = 0;
	int rc = 0;

	if (a->store->ops->read_memo(a->store, &data, &size, NULL) ||
	    !is_ours(data, size, a->store->node))
		return 0;
	head = data;
	entry = (const struct memo_entry *)(head + 1);
	for (uint64_t i = 0; !rc && i < head->count; i++)
		if (entry[i].cls >= BERM_CLASS_FIRST && entry[i].cls < CLASS_LIMIT)
			rc = berm_applied_class_name(a, (uint32_t)entry[i].cls, &entry[i].id);
	return rc;
}
