/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * session.h - the session table seen by a packet: does it ride on a session, is it remembered as a new
 * one, is a session refreshed after the policy has changed. Knows sessions, no policy: what is allowed
 * was decided before. docs/session-table.md has the reasons.
 *
 * Reading takes no lock. Writing takes the lock of one bucket and looks at the key again under it. No
 * helper may be called under a lock, so counters and the other bucket's spill are adjusted afterwards.
 */
#ifndef BERM_BPF_SESSION_H
#define BERM_BPF_SESSION_H

/* ---- how long ---------------------------------------------------------------------------------------- */

#define ONE_WAY_PACKETS                                                                            \
	16	    /* a flow that is never answered is established after so many packets... */
#define ONE_WAY_S 1 /* ...over at least this time */

static __always_inline __u32 bit_of(__u32 state, __u32 bit)
{
	return state / bit & 1;
}

/* {half-open, tcp, half-closed, closing, reset, udp, other}, without a branch: each would double what old
 * verifiers go through from there on. */
static __always_inline __u32 timeout_of(__u32 state, __u8 proto)
{
	__u32 no_tcp = ((proto ^ IPPROTO_TCP) + 0xffu) >> 8;
	__u32 no_udp = ((proto ^ IPPROTO_UDP) + 0xffu) >> 8;
	__u32 fins =
		bit_of(state, BERM_SESSION_OPENER_FIN) + bit_of(state, BERM_SESSION_ANSWERER_FIN);
	__u32 plain = BERM_TIMEOUT_UDP - BERM_TIMEOUT_TCP + no_udp; /* if it is no TCP */
	__u32 closing = BERM_TIMEOUT_CLOSING - BERM_TIMEOUT_TCP;    /* SCTP: one side closes both */
	__u32 which = BERM_TIMEOUT_TCP + (1 - no_tcp) * fins +
		      no_tcp * (plain + (fins + 1) / 2 * (closing - plain));

	which *= bit_of(state, BERM_SESSION_ESTABLISHED);
	return which;
}
_Static_assert(BERM_TIMEOUT_HALF_OPEN == 0 && BERM_TIMEOUT_HALF_CLOSED == BERM_TIMEOUT_TCP + 1 &&
		       BERM_TIMEOUT_CLOSING == BERM_TIMEOUT_TCP + 2 &&
		       BERM_TIMEOUT_OTHER == BERM_TIMEOUT_UDP + 1,
	       "timeout_of() counts on their order");

static __always_inline __u32 timeout_ticks(__u32 which)
{
	barrier_var(which);
	return cfg_timeout_s[which % BERM_TIMEOUT_ROOM] * cfg_hz;
}

static __always_inline __u32 session_timeout(__u32 state, __u8 proto)
{
	__u32 reset = bit_of(state, BERM_SESSION_RESET), which = timeout_of(state, proto);

	return timeout_ticks(which + reset * (BERM_TIMEOUT_RESET - which));
}

static __always_inline __u32 half_open_timeout(void)
{
	return cfg_timeout_s[BERM_TIMEOUT_HALF_OPEN] * cfg_hz;
}

/* An unanswered flow keeps the deadline of its first packet: a flood dies whatever it repeats, and the
 * deadline tells how old the flow is. */
static __always_inline bool session_is_prolonged(__u32 state)
{
	return state & (BERM_SESSION_ANSWERED | BERM_SESSION_ESTABLISHED);
}

/* ---- riding ------------------------------------------------------------------------------------------- */

static __always_inline struct berm_bucket *bucket_at(__u32 index)
{
	return bpf_map_lookup_elem(&berm_sessions, &index);
}

static __always_inline bool is_from_opener(__u32 state, enum berm_dir dir)
{
	return (dir == BERM_EGRESS) == !!(state & BERM_SESSION_FROM_POD);
}

/* Progress and origin in one. */
static __always_inline __u32 session_state(const struct berm_session *s)
{
	return READ(s->state) | (READ(s->slot) & BERM_SESSION_ORIGIN);
}

/* Can this packet change nothing? True of nearly every one. */
static __always_inline bool session_is_settled(const struct pkt *p, __u32 state)
{
	return p->proto == IPPROTO_TCP ? tcp_is_settled(p->tcp_flags, state)
				       : sctp_is_settled(p->tcp_flags, state);
}

/* What a packet makes of a state, | TCP_ILLEGAL. Global on purpose: the verifier proves it once by itself. */
__noinline int flow_next(__u32 state, __u32 proto, __u32 flags, __u32 opener)
{
	if (proto == IPPROTO_TCP)
		return tcp_next(state, flags, opener);
	if (flags)
		return sctp_next(state, flags, opener);
	state &= ~BERM_SESSION_RESET;
	if (!opener)
		return state | BERM_SESSION_ANSWERED;
	return state & BERM_SESSION_ANSWERED ? state | BERM_SESSION_ESTABLISHED : state;
}

static __always_inline bool is_one_way_flow(const struct pkt *p, const struct berm_bucket *b,
					    __u32 way, __u32 state, enum berm_dir dir)
{
	__u32 made;

	if (p->proto == IPPROTO_TCP || p->tcp_flags || !is_from_opener(state, dir) ||
	    session_is_prolonged(state) || READ(b->way[way].packets[dir]) < ONE_WAY_PACKETS)
		return false;
	made = READ(b->deadline[way]) - half_open_timeout();
	return clock_is_past(p->now, made + ONE_WAY_S * cfg_hz);
}

/* Until when does it live in its new state? An RST never prolongs; what has no answer, nothing does. */
static __always_inline __u32 deadline_after(__u32 deadline, __u32 state, __u32 now, __u32 timeout)
{
	__u32 next = now + timeout;
	__u32 reset = bit_of(state, BERM_SESSION_RESET), answered, sooner, take;

	answered = bit_of(state, BERM_SESSION_ANSWERED) | bit_of(state, BERM_SESSION_ESTABLISHED);
	sooner = (next - deadline) >> 31;
	take = (answered & ~reset) | (reset & sooner);
	barrier_var(take);
	return deadline + take * (next - deadline);
}

/* A new state is written under the lock, and only if the way still carries this key. */
static __noinline int session_move(struct pkt *p, __u32 state)
{
	struct berm_bucket *b = p->bucket;
	__u32 way = p->way, timeout = session_timeout(state, p->proto);
	__u8 before = 0, owner = 0;
	bool moved = false;

	barrier_var(way);
	if (!b || way >= BERM_WAYS)
		return 0;
	bpf_spin_lock(&b->lock);
	if (b->tag[way] == hash_tag(p->hash) && session_is(&b->way[way], &p->flow, p->hash)) {
		before = b->state[way];
		owner = b->owner[way];
		state |= before & ~BERM_SESSION_RESET;
		b->state[way] = state;
		WRITE(b->way[way].state, state);
		b->deadline[way] = deadline_after(b->deadline[way], state, p->now, timeout);
		moved = true;
	}
	bpf_spin_unlock(&b->lock);

	if (moved && state & ~before & BERM_SESSION_ESTABLISHED) {
		ADD(berm_node.held[0][owner], -1);
		ADD(berm_node.held[1][owner], 1);
		account_stat(BERM_STAT_SESSION_PROMOTED);
	}
	return 0;
}

/* Once a tick, and only then is the header's line read. */
static __always_inline void session_prolong(const struct pkt *p, struct berm_bucket *b, __u32 way,
					    __u32 state)
{
	__u8 tick = clock_tick(p->now);

	if (b->way[way].seen == tick)
		return;
	b->way[way].seen = tick;
	if (session_is_prolonged(state) && !(state & BERM_SESSION_RESET))
		WRITE(b->deadline[way], p->now + session_timeout(state, p->proto));
}

static __always_inline void session_count(const struct pkt *p, struct berm_session *s,
					  enum berm_dir dir)
{
	ADD(s->packets[dir], 1);
	ADD(s->bytes[dir], p->skb->len);
}

static __always_inline void session_found(struct pkt *p, struct berm_bucket *b, __u32 way,
					  enum pkt_session found)
{
	p->found = found;
	p->bucket = b;
	p->way = way;
}

/*
 * On a session that is over a SYN opens a new one. From the other side of a living one it is judged by
 * itself; if it is allowed while the answer is awaited, both have opened at once.
 */
static __always_inline bool syn_rides(struct pkt *p, struct berm_bucket *b, __u32 way, __u32 state,
				      enum berm_dir dir)
{
	if (tcp_is_over(state) || clock_is_past(p->now, READ(b->deadline[way]))) {
		session_found(p, b, way, SESSION_REPLACE);
		return false;
	}
	if (is_from_opener(state, dir))
		return true;
	p->flags &= ~PKT_OPENS;
	if (!(state & BERM_SESSION_ANSWERED))
		session_found(p, b, way, SESSION_CROSSED);
	return false;
}

/* The entry found follows a packet that may change it. What is illegal, or one more RST, prolongs nothing. A
 * function, so that nearly all packets do without its registers. */
static __noinline int session_follow(struct pkt *p, __u32 state, __u32 dir)
{
	__u32 opener = bit_of(state, BERM_SESSION_FROM_POD) ^ (dir == BERM_INGRESS);
	__u32 next = flow_next(state, p->proto, p->tcp_flags, opener);
	struct berm_bucket *b = p->bucket;
	__u32 way = p->way, mark = READ(berm_node.mark);

	barrier_var(way);
	if (!b || way >= BERM_WAYS)
		return 0;
	if (p->skb->mark == mark)
		p->skb->mark =
			0; /* an RST of our other hook (reject.h): nobody else shall see the mark */
	if (next & TCP_ILLEGAL) {
		account_stat(BERM_STAT_TCP_ILLEGAL);
		return 0;
	}
	if (is_one_way_flow(p, b, way, state, dir & 1))
		next |= BERM_SESSION_ESTABLISHED;
	if (next == state)
		session_prolong(p, b, way, state);
	else
		(void)session_move(p, next);
	return 0;
}

#define RULE_PROVISIONAL ((__u32)BERM_APP_PROVISIONAL << BERM_APP_SHIFT)

/*
 * It is not known yet what the session found carries: does this packet tell? False: a provisional one is not that any
 * more, and must be judged again.
 */
static __noinline int app_found(struct pkt *p, __u32 rule, __u32 dir)
{
	p->epoch = READ(berm_node.epoch[p->slot % BERM_MAX_ENDPOINTS]);
	p->rule = rule;
	(void)app_meet(p, p->opener != dir);
	if (!(rule & RULE_PROVISIONAL) || app_is_open(p->rule))
		return true;
	p->app = BERM_APP_OF(p->rule);
	return false;
}

/* The entry with our key: does the packet ride on it? If not, p->found says what is to be done with it. */
static __always_inline bool session_rides(struct pkt *p, struct berm_bucket *b, __u32 way,
					  enum berm_dir dir)
{
	__u32 slot, state, rule;
	struct berm_session *s;
	__u64 word;

	barrier_var(way);
	if (way >= BERM_WAYS)
		return false;
	s = &b->way[way];
	slot = READ(s->slot);
	state = READ(s->state) | (slot & BERM_SESSION_ORIGIN);
	slot %= BERM_MAX_ENDPOINTS;
	word = READ(s->word);
	if ((__u32)word != hash_signature(p->hash))
		return false; /* another's by now, and slot and state may be that one's: a miss */
	if (tcp_is_syn(p) && !syn_rides(p, b, way, state, dir))
		return false;
	rule = READ(s->rule);
	if (cfg_apps && app_is_open(rule)) {
		session_found(p, b, way, SESSION_STALE);
		p->slot = slot;
		p->opener = is_from_opener(state, dir) ? dir : !dir;
		if (!app_found(p, rule, dir))
			return false;
		p->found = SESSION_NONE;
		rule = p->rule;
	}
	if (word != session_word(p->hash, READ(berm_node.epoch[slot]))) {
		session_found(p, b, way, SESSION_STALE);
		if (cfg_apps)
			p->app = BERM_APP_OF(rule);
		return false;
	}
	if (s->seen != clock_tick(p->now) && clock_is_past(p->now, READ(b->deadline[way]))) {
		session_found(p, b, way, SESSION_REPLACE);
		return false;
	}

	allow(p, BERM_REASON_SESSION);
	p->rule = rule;
	if (cfg_explain)
		return true;
	session_count(p, s, dir);
	if (session_is_settled(p, state)) {
		session_prolong(p, b, way, state);
		return true;
	}
	session_found(p, b, way, SESSION_NONE);
	(void)session_follow(p, state, dir);
	return true;
}

/* True when a session admits the packet. */
static __always_inline bool session_admits(struct pkt *p, enum berm_dir dir)
{
	struct berm_bucket *b;
	__u32 index, way;

	if (!(p->flags & PKT_RIDES) ||
	    (cfg_explain && p->skb->cb[BERM_CB_FLAGS] & BERM_EXPLAIN_NEW))
		return false;
	p->hash = flow_hash(&p->flow);
	index = hash_bucket(p->hash);
	b = bucket_at(index);
	if (!b)
		return false;
	way = hash_way(p->hash);
	if (way < BERM_WAYS && !session_is(&b->way[way], &p->flow, p->hash)) {
		way = bucket_find(b, &p->flow, p->hash);
		if (way == WAY_NONE && READ(b->spill)) {
			b = bucket_at(bucket_other(index, hash_tag(p->hash)));
			if (!b)
				return false;
			way = bucket_find(b, &p->flow, p->hash);
		}
		way = unknown(way); /* 14 constants, one path */
	}
	return session_rides(p, b, way, dir);
}

/* What a living session of the current epoch says, to whoever is not a packet of it. */
struct session_view {
	__u32 rule; /* id */
	__u32 slot;
	__u32 epoch;
};

/* Does this flow have one? Only looks: nothing is counted, prolonged or moved on. */
static __always_inline bool session_peek(const union flow *flow, __u32 now,
					 struct session_view *ret_view)
{
	__u64 hash = flow_hash(flow), word;
	__u32 index = hash_bucket(hash), way;
	struct berm_bucket *b = bucket_at(index);

	if (!b)
		return false;
	way = bucket_find(b, flow, hash);
	if (way == WAY_NONE && READ(b->spill)) {
		b = bucket_at(bucket_other(index, hash_tag(hash)));
		if (!b)
			return false;
		way = bucket_find(b, flow, hash);
	}
	way = unknown(way);
	barrier_var(way);
	if (way >= BERM_WAYS || clock_is_past(now, READ(b->deadline[way])))
		return false;
	ret_view->slot = READ(b->way[way].slot) % BERM_MAX_ENDPOINTS;
	ret_view->epoch = READ(berm_node.epoch[ret_view->slot]);
	ret_view->rule = READ(b->way[way].rule) & BERM_RULE_ID;
	word = READ(b->way[way].word);
	return word == session_word(hash, ret_view->epoch);
}

/* ---- after the endpoint is known ------------------------------------------------------------------------ */

/* An entry of an older epoch: the pod's own flow, or a stranger's that had the interface before? */
static __always_inline void session_inspect(struct pkt *p, enum berm_dir dir)
{
	struct berm_session *s;
	__u32 way = p->way, epoch;

	p->opener = dir;
	barrier_var(way);
	if (p->found != SESSION_STALE || !p->bucket || way >= BERM_WAYS)
		return;
	s = &p->bucket->way[way];
	epoch = READ(s->word) >> 32;
	if (READ(s->slot) % BERM_MAX_ENDPOINTS != p->slot || (__s32)(epoch - p->ep->born) < 0 ||
	    clock_is_past(p->now, READ(p->bucket->deadline[way]))) {
		p->found = SESSION_REPLACE;
		return;
	}
	p->state = session_state(s);
	p->opener = p->state & BERM_SESSION_FROM_POD ? BERM_EGRESS : BERM_INGRESS;
}

/* ---- recording --------------------------------------------------------------------------------------------- */

/* The books after an entry has left bucket `index`: its owner's count, its home's spill. */
static __always_inline void session_left(__u32 index, __u32 left)
{
	struct berm_bucket *home;

	if (!left)
		return;
	ADD(berm_node.held[!!(left & LEFT_ESTABLISHED)][LEFT_OWNER(left)], -1);
	if (!(left & LEFT_SPILLED))
		return;
	home = bucket_at(bucket_other(index, LEFT_TAG(left)));
	if (home)
		ADD(home->spill, -1);
}

enum put_result { PUT_NEW, PUT_KNOWN, PUT_FULL };

struct put {
	struct berm_session value; /* with cfg_ended, once it is written: what stood there before */
	__u32 index;		   /* bucket */
	__u32 forced;		   /* way that must be taken, WAY_NONE = choose */
	__u32 limit;		   /* displace_limit() */
	__u64 hint;		   /* score of the victim, seen without the lock; 0 = none */
};

/* The way to take, or WAY_NONE. Under the lock. */
static __always_inline __u32 put_choose(const struct berm_bucket *b, const struct pkt *p,
					const struct put *put, __u32 *cls)
{
	__u64 score = bucket_choose(b, p->hash, p->now, put->hint);
	__u32 way = SCORE_WAY(score);

	barrier_var(way);
	*cls = SCORE_CLASS(score);
	if (way >= BERM_WAYS) /* never; for the verifier */
		return WAY_NONE;
	if (*cls == CLASS_ESTABLISHED && !may_displace(b->owner[way], put->value.slot, put->limit))
		return WAY_NONE;
	return way;
}

static __always_inline enum put_result put_locked(struct berm_bucket *b, const struct pkt *p,
						  struct put *put, __u32 *left, __u32 *cls,
						  bool tells)
{
	__u32 known = bucket_find(b, &p->flow, p->hash);
	__u32 way = put->forced;

	*cls = CLASS_DEAD;
	if (way == WAY_NONE) {
		if (known != WAY_NONE)
			return PUT_KNOWN; /* another CPU was faster */
		way = put_choose(b, p, put, cls);
	} else if (known != way) {
		return PUT_KNOWN; /* it has gone meanwhile */
	}
	barrier_var(way);
	if (way >= BERM_WAYS)
		return PUT_FULL;
	*left = way_leaving(b, way);
	if (tells)
		way_swap(b, way, &put->value, hash_tag(p->hash), p->now + half_open_timeout());
	else
		way_write(b, way, &put->value, hash_tag(p->hash), p->now + half_open_timeout());
	return PUT_NEW;
}

/* `tells`: of the session whose way is taken. A constant, so that nothing of it is left where nobody asks. */
static __always_inline int put_way(struct pkt *p, struct put *put, bool tells)
{
	struct berm_bucket *b = bucket_at(put->index);
	__u32 left = 0, cls = CLASS_DEAD;
	enum put_result result;
	__u8 owner = tells ? put->value.slot : 0;

	if (!b)
		return PUT_FULL;
	bpf_spin_lock(&b->lock);
	result = put_locked(b, p, put, &left, &cls, tells);
	bpf_spin_unlock(&b->lock);

	if (result != PUT_NEW)
		return result;
	ADD(berm_node.held[0][tells ? owner : put->value.slot & 0xff], 1);
	session_left(put->index, left);
	if (left && put->forced == WAY_NONE)
		account_stat(cls == CLASS_DEAD	      ? BERM_STAT_REPLACED_DEAD
			     : cls == CLASS_HALF_OPEN ? BERM_STAT_REPLACED_HALF_OPEN
						      : BERM_STAT_REPLACED_ESTABLISHED);
	if (tells && left)
		ended(&put->value, cls == CLASS_DEAD ? BERM_ENDED_EXPIRED : BERM_ENDED_REPLACED);
	return PUT_NEW;
}

static __noinline int put_silently(struct pkt *p, struct put *put)
{
	return put_way(p, put, false);
}

static __noinline int put_telling(struct pkt *p, struct put *put)
{
	return put_way(p, put, true);
}

static __always_inline int session_put(struct pkt *p, struct put *put)
{
	return cfg_ended ? put_telling(p, put) : put_silently(p, put);
}

/* The other bucket, if the home is crowded and the other has the better victim. */
static __always_inline bool put_spills(const struct pkt *p, struct berm_bucket *home,
				       struct put *put)
{
	__u32 index = bucket_other(put->index, hash_tag(p->hash));
	struct berm_bucket *other;
	__u64 there;

	if (bucket_live(home, p->now) < BUCKET_CROWDED || index == put->index)
		return false;
	put->hint = bucket_victim(home, p->now);
	if (is_of_flood(put->hint))
		return false;
	other = bucket_at(index);
	if (!other)
		return false;
	there = bucket_victim(other, p->now);
	if (!bucket_is_better(home, put->hint, other, there, p->now))
		return false;
	put->hint = there;
	put->index = index;
	put->value.slot |= BERM_SESSION_SPILLED;
	return true;
}

/* The home's spill is raised before the entry can be seen: no reader misses it. */
static __always_inline enum put_result put_new(struct pkt *p, struct put *put)
{
	struct berm_bucket *home = bucket_at(put->index);
	enum put_result result;

	if (!home)
		return PUT_FULL;
	if (!put_spills(p, home, put))
		return session_put(p, put);
	ADD(home->spill, 1);
	result = session_put(p, put);
	if (result != PUT_NEW)
		ADD(home->spill, -1);
	return result;
}

/* A session that is over gives its way to the new one of the same key, in the bucket where it stands. */
static __always_inline enum put_result put_again(struct pkt *p, struct put *put)
{
	struct berm_bucket *home;
	enum put_result result;
	__u32 way = p->way, spilled;

	barrier_var(way);
	if (!p->bucket || way >= BERM_WAYS)
		return PUT_FULL;
	spilled = READ(p->bucket->way[way].slot) & BERM_SESSION_SPILLED;
	put->forced = way;
	if (!spilled)
		return session_put(p, put);
	home = bucket_at(put->index);
	if (!home)
		return PUT_FULL;
	put->index = bucket_other(put->index, hash_tag(p->hash));
	put->value.slot |= BERM_SESSION_SPILLED;
	ADD(home->spill, 1); /* session_left takes the old one's away */
	result = session_put(p, put);
	if (result != PUT_NEW)
		ADD(home->spill, -1);
	return result;
}

static __always_inline void session_record(struct pkt *p, enum berm_dir dir)
{
	struct put put = { .index = hash_bucket(p->hash), .forced = WAY_NONE };
	enum put_result result;

	put.limit = unknown(displace_limit(p->slot));
	put.value.peer = p->flow.peer;
	put.value.word = session_word(p->hash, p->epoch);
	put.value.local_port = p->flow.local_port;
	put.value.peer_port = p->flow.peer_port;
	put.value.iface = p->flow.iface;
	put.value.rule = p->rule;
	if (cfg_apps)
		put.value.rule |= p->app << BERM_APP_SHIFT;
	p->rule = put.value.rule;
	put.value.slot = unknown(p->slot | (p->state & BERM_SESSION_ORIGIN));
	put.value.seen = clock_tick(p->now);
	put.value.state = p->state | BERM_SESSION_OPEN;
	put.value.packets[dir] = 1;
	put.value.bytes[dir] = p->skb->len;

	result = p->found == SESSION_REPLACE ? put_again(p, &put) : put_new(p, &put);
	p->is_new = result == PUT_NEW;
	if (result == PUT_FULL) {
		p->reason = BERM_REASON_TABLE_FULL;
		account_stat(BERM_STAT_SESSION_FULL);
	} else if (result == PUT_NEW) {
		account_stat(BERM_STAT_SESSION_NEW);
		if (p->state & BERM_SESSION_ADOPTED)
			account_stat(BERM_STAT_SESSION_ADOPTED);
	}
}

/* The rule of a session that is judged again keeps what it carries. False: another packet has told that meanwhile, and
 * that has not been judged. */
static __always_inline bool rule_refresh(struct berm_session *s, const struct pkt *p)
{
	__u32 app = s->rule & ~BERM_RULE_ID;

	if (cfg_apps && app_is_open(app)) {
		app = (app & ~RULE_PROVISIONAL) | (p->app << BERM_APP_SHIFT & RULE_PROVISIONAL);
	} else if (cfg_apps && app != p->app << BERM_APP_SHIFT) {
		return false;
	}
	s->rule = app | p->rule;
	return true;
}

/* Judged again and still allowed: the new epoch and rule, in place. */
static __always_inline void session_refresh(struct pkt *p, enum berm_dir dir)
{
	struct berm_bucket *b = p->bucket;
	__u32 way = p->way;

	barrier_var(way);
	if (!b || way >= BERM_WAYS)
		return;
	bpf_spin_lock(&b->lock);
	if (b->tag[way] == hash_tag(p->hash) && session_is(&b->way[way], &p->flow, p->hash) &&
	    rule_refresh(&b->way[way], p)) {
		WRITE(b->way[way].word, session_word(p->hash, p->epoch));
	}
	bpf_spin_unlock(&b->lock);
	session_count(p, &b->way[way], dir);
	account_stat(BERM_STAT_SESSION_REJUDGED);
	(void)session_follow(p, p->state, dir);
}

/* A session that is denied now has the epoch in which its endpoint was born, which no other session has
 * (lib/slot.c): it is judged again, and not kept if its policies say Keep later. */
static __always_inline void session_revoke(struct pkt *p)
{
	struct berm_bucket *b = p->bucket;
	__u32 way = p->way;
	__u64 revoked;

	account_stat(BERM_STAT_SESSION_REVOKED);
	barrier_var(way);
	if (!b || way >= BERM_WAYS || !p->ep)
		return;
	revoked = session_word(p->hash, p->ep->born);
	if (READ(b->way[way].word) == revoked)
		return;
	bpf_spin_lock(&b->lock);
	if (b->tag[way] == hash_tag(p->hash) && session_is(&b->way[way], &p->flow, p->hash))
		WRITE(b->way[way].word, revoked);
	bpf_spin_unlock(&b->lock);
}

/* Judged again and denied: what do the policies of the direction that has opened it want? A function, for few
 * packets come here. */
static __noinline int session_denied(struct pkt *p)
{
	bool is_egress = p->opener == BERM_EGRESS;
	struct berm_bucket *b = p->bucket;
	__u32 way = p->way, flags;

	barrier_var(way);
	if (!b || way >= BERM_WAYS || !p->ep)
		return 0;
	flags = p->ep->flags;
	if (flags & (is_egress ? BERM_EP_KEEP_OUT : BERM_EP_KEEP_IN) && !p->is_new &&
	    READ(b->way[way].word) != session_word(p->hash, p->ep->born)) {
		allow(p, BERM_REASON_SESSION);
		p->rule = READ(b->way[way].rule);
		p->hit = 0;
		if (!cfg_explain)
			account_stat(BERM_STAT_SESSION_KEPT);
	} else if (flags & (is_egress ? BERM_EP_RESET_OUT : BERM_EP_RESET_IN) &&
		   p->proto == IPPROTO_TCP && !(p->tcp_flags & TCP_RST)) {
		p->action = BERM_ACTION_REJECT;
		p->flags |= PKT_RESETS;
	}
	return 0;
}

/* Keep what was decided. A denied flow keeps nothing; a denied session stays and is judged again. */
static __always_inline void session_remember(struct pkt *p, enum berm_dir dir)
{
	if (cfg_explain)
		return;
	if (p->found == SESSION_STALE) {
		if (is_allowed(p))
			session_refresh(p, dir);
		else
			session_revoke(p);
		return;
	}
	if (!is_allowed(p))
		return;
	if (p->found == SESSION_CROSSED)
		(void)session_move(p, BERM_SESSION_OPEN | BERM_SESSION_ANSWERED);
	if (!(p->flags & PKT_OPENS) || (cfg_strict_tcp && tcp_is_middle(p)))
		return;
	if (p->opener == BERM_EGRESS)
		p->state |= BERM_SESSION_FROM_POD;
	if (tcp_is_middle(p))
		p->state |= BERM_SESSION_ADOPTED;
	pkt_forget(p);
	session_record(p, dir);
}

#endif /* BERM_BPF_SESSION_H */
