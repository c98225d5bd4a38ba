// SPDX-License-Identifier: Apache-2.0
/*
 * compile_follow.c - pods come, go and change their labels all the time, and mostly an address only moves from one
 * class to another. Then the plan is mended instead of made anew. Knows when that is exact, and says so if it
 * is not: no class may appear or disappear, nobody may dispute an address, and no pod of this node take part.
 */
#include "compiler.h"

struct follower {
	struct compiler *c;
	struct berm_plan *plan;
	const struct berm_model_changes *changes;
	BERM_ARRAY(struct compile_hit) hit; /* addresses that have or get an owner */
	BERM_ARRAY(struct compile_about) about;
	struct berm_numbers touched; /* classes */
};

static int cmp_addr(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct berm_addr));
}

/* Where it is in an array sorted by address, or would stand. The address is the first member. */
static bool find_addr(const void *item, size_t count, size_t size, const struct berm_addr *addr,
		      size_t *ret)
{
	const uint8_t *first = item;
	size_t low = 0, high = count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int rc = cmp_addr(first + mid * size, addr);

		if (!rc) {
			*ret = mid;
			return true;
		}
		if (rc < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*ret = low;
	return false;
}

#define FIND(a, addr, ret) find_addr((a)->item, (a)->count, sizeof(*(a)->item), addr, ret)

#define INSERT(a, at, value)                                                                       \
	({                                                                                         \
		int failed_ = array_push(a, value);                                                \
		if (!failed_) {                                                                    \
			memmove((a)->item + (at) + 1, (a)->item + (at),                            \
				((a)->count - 1 - (at)) * sizeof(*(a)->item));                     \
			(a)->item[at] = value;                                                     \
		}                                                                                  \
		failed_;                                                                           \
	})

#define REMOVE(a, at)                                                                              \
	({                                                                                         \
		(a)->count--;                                                                      \
		memmove((a)->item + (at), (a)->item + (at) + 1,                                    \
			((a)->count - (at)) * sizeof(*(a)->item));                                 \
	})

/* ---- may it be followed at all ------------------------------------------------------------------------------ */

static bool is_local(const struct berm_model *m, const struct berm_pod_change *change)
{
	for (size_t i = 0; i < m->endpoint_count; i++)
		if (!strcmp(m->endpoints[i].pod, change->name) &&
		    !strcmp(m->endpoints[i].ns, change->ns))
			return true;
	return false;
}

/* A namespace that only pods mention comes and goes with them. */
static bool is_simple(const struct follower *f)
{
	for (size_t i = 0; i < f->changes->pod_count; i++)
		if (is_local(f->c->model, &f->changes->pod[i]) ||
		    !berm_model_namespace(f->c->model, f->changes->pod[i].ns))
			return false;
	return true;
}

/* ---- who owns an address ---------------------------------------------------------------------------------------- */

static int note_address(struct follower *f, const struct berm_addr *addr,
			const struct compile_about *about)
{
	struct compile_hit hit = { .addr = *addr };

	/* A Service's, or a backend's: frontends would have to be looked at again. The other end of a flow: what
	 * comes before the flow may be about him now. */
	if (berm_compile_is_backend(f->c, addr) || berm_compile_is_flow_peer(f->c, addr))
		return -EAGAIN;
	return array_push(&f->hit, hit) || array_push(&f->about, *about) ? -ENOMEM : 0;
}

static int leave_addresses(struct follower *f, const struct berm_pod *pod)
{
	size_t at;

	for (size_t i = 0; i < pod->addr_count && i < BERM_MAX_ADDRS; i++) {
		if (!FIND(&f->c->owner, &pod->addr[i], &at) || !f->c->owner.item[at].is_a_pods)
			return -EAGAIN;
		REMOVE(&f->c->owner, at);
	}
	return 0;
}

static int take_addresses(struct follower *f, const struct berm_pod *pod)
{
	struct compile_owner owner = { .pod = pod, .cls = NONE, .kind = CLAIM_POD, .is_a_pods = true };
	struct compile_about about;
	size_t at;
	int rc = berm_compile_about(f->c, pod, &about);

	for (size_t i = 0; !rc && i < pod->addr_count && i < BERM_MAX_ADDRS; i++) {
		owner.addr = pod->addr[i];
		if (FIND(&f->c->owner, &owner.addr, &at))
			return -EAGAIN;
		rc = INSERT(&f->c->owner, at, owner);
		if (!rc)
			rc = note_address(f, &owner.addr, &about);
	}
	return rc;
}

static int note_free_addresses(struct follower *f, const struct berm_pod *pod)
{
	static const struct compile_about nobody = { .is_nobody = true };
	size_t at;
	int rc = 0;

	for (size_t i = 0; !rc && i < pod->addr_count && i < BERM_MAX_ADDRS; i++)
		if (!FIND(&f->c->owner, &pod->addr[i], &at))
			rc = note_address(f, &pod->addr[i], &nobody);
	return rc;
}

static const struct berm_pod *pod_before(const struct berm_pod_change *change)
{
	return change->before && berm_compile_owns_addresses(change->before) ? change->before
									     : NULL;
}

static int move_addresses(struct follower *f)
{
	const struct berm_pod *pod;
	int rc = 0;

	for (size_t i = 0; !rc && i < f->changes->pod_count; i++) {
		pod = pod_before(&f->changes->pod[i]);
		if (pod)
			rc = leave_addresses(f, pod);
	}
	for (size_t i = 0; !rc && i < f->changes->pod_count; i++) {
		pod = berm_model_pod(f->c->model, f->changes->pod[i].ns, f->changes->pod[i].name);
		if (pod && berm_compile_owns_addresses(pod))
			rc = take_addresses(f, pod);
	}
	for (size_t i = 0; !rc && i < f->changes->pod_count; i++) {
		pod = pod_before(&f->changes->pod[i]);
		if (pod)
			rc = note_free_addresses(f, pod);
	}
	return rc;
}

/* ---- address to class ------------------------------------------------------------------------------------------- */

/* The plan's peers are the compiler's, one for one. */
static int put_peer(struct follower *f, size_t at, bool is_there, const struct compile_peer *peer)
{
	struct berm_plan_peer planned = { peer->addr, f->c->plan_class[peer->cls], peer->flags };
	struct berm_plan_peer *grown;

	if (!is_there) {
		grown = reallocarray(f->plan->peer, f->plan->peer_count + 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		f->plan->peer = grown;
		memmove(grown + at + 1, grown + at, (f->plan->peer_count++ - at) * sizeof(*grown));
		if (INSERT(&f->c->peer, at, *peer))
			return -ENOMEM;
	}
	f->c->peer.item[at] = *peer;
	f->plan->peer[at] = planned;
	return 0;
}

static void drop_peer(struct follower *f, size_t at)
{
	REMOVE(&f->c->peer, at);
	f->plan->peer_count--;
	memmove(f->plan->peer + at, f->plan->peer + at + 1,
		(f->plan->peer_count - at) * sizeof(*f->plan->peer));
}

static int count_class(struct follower *f, uint32_t cls, int by)
{
	f->c->cls.item[cls].peers += (uint32_t)by;
	return array_push(&f->touched, cls);
}

/* What is known of an address that is no backend is its entry, if it has one. */
static int put_known(struct follower *f, const struct compile_seen *seen)
{
	const struct compile_peer *peer = &seen->peer;
	size_t at;
	bool is_there = FIND(&f->c->known, &peer->addr, &at);

	if (is_there && !seen->has_entry)
		REMOVE(&f->c->known, at);
	else if (is_there)
		f->c->known.item[at] = *peer;
	else if (seen->has_entry)
		return INSERT(&f->c->known, at, *peer);
	return 0;
}

static int put_address(struct follower *f, const struct compile_seen *seen)
{
	size_t at;
	bool is_there = FIND(&f->c->peer, &seen->peer.addr, &at);

	if (is_there && count_class(f, f->c->peer.item[at].cls, -1))
		return -ENOMEM;
	if (put_known(f, seen))
		return -ENOMEM;
	if (seen->has_entry)
		return count_class(f, seen->peer.cls, 1) || put_peer(f, at, is_there, &seen->peer)
			       ? -ENOMEM
			       : 0;
	if (is_there)
		drop_peer(f, at);
	return 0;
}

static void remember(struct follower *f, const struct compile_about *about,
		     const struct compile_seen *seen)
{
	size_t at;

	if (!about->is_nobody && FIND(&f->c->owner, &seen->peer.addr, &at))
		berm_compile_remember(&f->c->owner.item[at], about, seen);
}

static int classify(struct follower *f, struct berm_numbers *groups)
{
	int rc = f->hit.count ? berm_compile_blocks(f->c, f->hit.item, f->hit.count) : 0;

	for (size_t i = 0; !rc && i < f->hit.count; i++) {
		struct compile_seen seen;
		bool v4 = berm_compile_is_v4(&f->hit.item[i].addr);

		rc = berm_compile_see(f->c, &f->about.item[i], &f->hit.item[i], groups, &seen);
		if (rc)
			return rc;
		seen.has_entry &= !f->about.item[i].is_nobody;
		rc = berm_compile_class_find(f->c, &seen.cls, v4, &seen.peer.cls);
		if (rc != 1 && seen.has_entry)
			return rc < 0 ? rc : -EAGAIN; /* a new class */
		rc = put_address(f, &seen);
		remember(f, &f->about.item[i], &seen);
	}
	return rc;
}

/* A class that the first address gets or the last one leaves has another place in the matrices, or none. */
static bool are_classes_the_same(const struct follower *f)
{
	for (size_t i = 0; i < f->touched.count; i++) {
		const struct compile_class *cls = &f->c->cls.item[f->touched.item[i]];

		if (f->touched.item[i] > CLASS_WORLD6 && cls->is_peer != (cls->peers > 0))
			return false;
	}
	return true;
}

static int follow(struct follower *f)
{
	struct berm_numbers groups = { 0 };
	int rc = move_addresses(f);

	if (!rc)
		rc = classify(f, &groups);
	if (!rc && !are_classes_the_same(f))
		rc = -EAGAIN;
	array_free(&groups);
	return rc;
}

int berm_compiled_follow(struct berm_compiled *kept, const struct berm_model_changes *changes)
{
	struct follower f = { .c = &kept->compiler, .plan = kept->plan, .changes = changes };
	int rc;

	if (changes->all || changes->rest || kept->has_refused || !is_simple(&f))
		return -EAGAIN;
	rc = follow(&f);
	array_free(&f.hit);
	array_free(&f.about);
	array_free(&f.touched);
	return rc;
}
