/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_stress.c - everything at once, for a minute (BERM_STRESS_S): two CPUs send packets of the same flows
 * through the pinned programs, and real frames cross a veth, while generations are applied, epochs bumped, sessions
 * swept, an interface changes hands, the programs are replaced and the agent's picture of the maps is read anew.
 * What must hold is checked on every packet and, whenever everybody rests, on the books. timeout: 600
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "apply.h"
#include "link.h"
#include "loader.h"
#include "paths.h"
#include "wall.h"

#include "stress.skel.h" /* wants abi.h before it */

#define BUCKETS                                                                                    \
	8 /* 56 ways for some 1,500 flows: what is looked at becomes another's all the time */
#define PODS	 3
#define TALKER	 2 /* pod, and device, that real frames cross */
#define HEIR	 3 /* interface that changes hands */
#define FRIENDS	 4 /* peers that policy allows something, and */
#define PEERS	 6 /* all of them */
#define SHOOTERS 2
#define REST_S	 5

/* Ports of a policy: what version n says of friends. Everything else is denied, foes are denied everything. */
enum port { PORT_ALWAYS = 80, PORT_ODD, PORT_EVEN, PORT_NEVER, PORT_COUNT = 4 };

/* ---- what everybody sees ---------------------------------------------------------------------------------- */

/* Who holds HEIR: a number that counts up, and */
enum hands { BETWEEN, OPEN_POD, NOBODY, CLOSED_POD };

struct stress {
	struct datapath *dp;
	pthread_rwlock_t awake; /* held for reading by whoever works */
	atomic_bool stop;
	atomic_uint policy; /* version << 1 | being applied */
	atomic_uint hands;  /* count << 2 | enum hands */
	atomic_int prog[BERM_DIR_COUNT];
	struct stress_bpf *skel;
	atomic_int variant[2][BERM_DIR_COUNT]; /* the programs, and those they replaced */
	uint32_t seed;

	/* how often what was done; each written by one thread */
	atomic_ulong applied, bumped, reopened, tables_read, swept, freed, heirs, reloaded, swapped,
		failed;
	int64_t duplicates;  /* most at any rest */
	struct berm_err why; /* of the first failure */
};

static const uint32_t timeouts[BERM_TIMEOUT_COUNT] = {
	[BERM_TIMEOUT_HALF_OPEN] = 5, [BERM_TIMEOUT_HALF_CLOSED] = 30, [BERM_TIMEOUT_CLOSING] = 5,
	[BERM_TIMEOUT_RESET] = 1,     [BERM_TIMEOUT_UDP] = 10,
};

static void failed(struct stress *st, const struct berm_err *err)
{
	if (!atomic_fetch_add(&st->failed, 1))
		st->why = *err;
}

static uint32_t below(uint32_t *random, uint32_t limit)
{
	*random ^= *random << 13;
	*random ^= *random >> 17;
	*random ^= *random << 5;
	return (uint32_t)((uint64_t)*random * limit >> 32);
}

static void nap_ms(long ms)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL); /* a pace, no wait */
}

static bool works_on(struct stress *st)
{
	return !atomic_load_explicit(&st->stop, memory_order_relaxed);
}

/* ---- the policy ----------------------------------------------------------------------------------------------- */

enum { CLASS_FRIEND = 2, CLASS_TWIN, CLASS_FOE, CLASSES }; /* 0 and 1 are the worlds */

static void add_intervals(struct berm_plan *plan)
{
	for (int plane = 0; plane < BERM_PLANE_COUNT; plane++) {
		uint16_t first = 0;

		for (uint16_t port = PORT_ALWAYS - 1; plane <= BERM_PLANE_UDP && port <= PORT_NEVER;
		     first = ++port)
			plan->interval[plan->interval_count++] =
				(struct berm_plan_interval){ (uint8_t)plane, first, port };
		plan->interval[plan->interval_count++] =
			(struct berm_plan_interval){ (uint8_t)plane, first, 0xffff };
	}
}

/* Friends change between two classes of which policy says the same. */
static void add_peers(struct berm_plan *plan, uint32_t n)
{
	for (uint32_t i = 0; i < 2 * PEERS; i++) {
		uint32_t peer = i % PEERS, at = htonl(i < PEERS ? 0xfd200000 : 0x0a140000);
		struct berm_plan_peer *p = &plan->peer[plan->peer_count++];

		p->addr = i < PEERS ? (struct berm_addr){ { at, 0, 0, htonl(peer + 1) } }
				    : (struct berm_addr){ { 0, 0, htonl(0xffff),
							    at + htonl(peer + 1) } };
		p->cls = peer >= FRIENDS     ? CLASS_FOE
			 : peer % 4 == n % 4 ? CLASS_TWIN
					     : CLASS_FRIEND;
	}
}

static int by_address(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct berm_addr));
}

static void fill_set(struct berm_plan *plan, struct berm_plan_set *s, uint8_t dir, uint32_t n)
{
	*s = (struct berm_plan_set){ .id = { { n, dir } },
				     .dir = dir,
				     .table = UINT32_MAX,
				     .nrows = 2,
				     .ncols = 1 + PORT_COUNT };
	s->col = calloc(plan->interval_count, 1);
	s->cell = calloc(2 * (1 + PORT_COUNT), sizeof(*s->cell));
	s->row = calloc(CLASSES, sizeof(*s->row));
	ASSERT_TRUE(s->col && s->cell && s->row);
	for (size_t i = 0; i < plan->interval_count; i++)
		if (plan->interval[i].first == plan->interval[i].last)
			s->col[i] = (uint8_t)(1 + plan->interval[i].first - PORT_ALWAYS);
	s->row[CLASS_FRIEND] = s->row[CLASS_TWIN] = 1;
	s->cell[1 + PORT_COUNT + 1] = 1;
	s->cell[1 + PORT_COUNT + 2] = n % 2;
	s->cell[1 + PORT_COUNT + 3] = !(n % 2);
}

static struct berm_plan *version(uint32_t n)
{
	struct berm_plan *plan = calloc(1, sizeof(*plan));

	ASSERT_TRUE(plan);
	plan->cls = calloc(CLASSES, sizeof(*plan->cls));
	plan->peer = calloc((size_t)2 * PEERS, sizeof(*plan->peer));
	plan->interval = calloc(32, sizeof(*plan->interval));
	plan->rule = calloc(2, sizeof(*plan->rule));
	plan->set = calloc(BERM_DIR_COUNT, sizeof(*plan->set));
	plan->endpoint = calloc(PODS, sizeof(*plan->endpoint));
	ASSERT_TRUE(plan->cls && plan->peer && plan->interval && plan->rule && plan->set &&
		    plan->endpoint);
	for (uint32_t i = 0; i < CLASSES; i++)
		plan->cls[i].id = (struct berm_digest){ { i, i == CLASS_TWIN ? 1000 + n : 0 } };
	plan->class_count = CLASSES;
	add_intervals(plan);
	add_peers(plan, n);
	qsort(plan->peer, plan->peer_count, sizeof(*plan->peer), by_address);
	for (uint32_t i = 0; i < 2; i++)
		plan->rule[plan->rule_count++].name = (struct berm_rule_name){
			.id = 3000 + i + n % 3 * 10,
			.precedence = i,
			.action = i ? BERM_ACTION_ALLOW : BERM_ACTION_DENY,
			.reason = i ? BERM_REASON_POLICY_ALLOW : BERM_REASON_POLICY_DENY,
		};
	for (int dir = 0; dir < BERM_DIR_COUNT; dir++)
		fill_set(plan, &plan->set[plan->set_count++], (uint8_t)dir, n);
	plan->essentials = UINT32_MAX;
	for (uint32_t pod = 1; pod < HEIR; pod++)
		plan->endpoint[plan->endpoint_count++] =
			(struct berm_plan_endpoint){ .slot = pod,
						     .ifindex = pod,
						     .set = { 0, 1 },
						     .would = { UINT32_MAX, UINT32_MAX },
						     .allowed_table = UINT32_MAX,
						     .judged = 1,
						     .flags = BERM_EP_ISOLATED_IN |
							      BERM_EP_ISOLATED_OUT };
	return plan;
}

/* ---- packets ------------------------------------------------------------------------------------------------------ */

/* What must become of a packet, whoever sends it when. */
enum want { ALWAYS, NEVER, IF_ODD, IF_EVEN, UNSAID };

struct shot {
	uint8_t len, dir, pod;
	bool is_answer; /* rides on a session, if there still is one */
	enum want want;
	uint32_t first; /* of its flow */
	_Alignas(8) char frame[96];
};

static struct shot *shots;
static uint32_t shot_count, first_shot;

struct flow {
	uint32_t pod, peer, port, sport;
	uint8_t proto;
	bool is_v6, from_pod;
};

static enum want wanted_of(const struct flow *f)
{
	static const enum want by_port[PORT_COUNT] = { ALWAYS, IF_ODD, IF_EVEN, NEVER };

	return f->peer >= FRIENDS ? NEVER : by_port[f->port];
}

static void add_shot(const struct flow *f, uint8_t flags, bool is_answer)
{
	struct shot *s = &shots[shot_count++];
	char pod[32], peer[32], frame[PACKET_MAX];
	bool leaves = f->from_pod != is_answer;
	uint16_t to = (uint16_t)(PORT_ALWAYS + f->port), from = (uint16_t)f->sport;
	struct packet p = { .src = leaves ? pod : peer,
			    .dst = leaves ? peer : pod,
			    .proto = f->proto,
			    .sport = is_answer ? to : from,
			    .dport = is_answer ? from : to,
			    .flags = flags };

	snprintf(pod, sizeof(pod), f->is_v6 ? "fd09::%u" : "10.9.0.%u", f->pod);
	snprintf(peer, sizeof(peer), f->is_v6 ? "fd20::%u" : "10.20.0.%u", f->peer + 1);
	*s = (struct shot){ .len = (uint8_t)packet_build(&p, frame),
			    .dir = leaves ? BERM_EGRESS : BERM_INGRESS,
			    .pod = (uint8_t)f->pod,
			    .is_answer = is_answer,
			    .want = wanted_of(f),
			    .first = first_shot };
	ASSERT_TRUE(s->len <= sizeof(s->frame));
	memcpy(s->frame, frame, s->len);
}

static void add_flow(const struct flow *f)
{
	first_shot = shot_count;
	add_shot(f, TCP_SYN, false);
	add_shot(f, TCP_SYN | TCP_ACK, true);
	add_shot(f, TCP_ACK, false);
	if (f->proto != IPPROTO_TCP)
		return;
	add_shot(f, TCP_ACK, true);
	add_shot(f, TCP_FIN | TCP_ACK, false);
	add_shot(f, TCP_FIN | TCP_ACK, true);
	add_shot(f, TCP_RST, false);
}

#define SPORTS 4

static void make_shots(void)
{
	uint32_t flows = PODS * PEERS * PORT_COUNT * SPORTS * 8;
	struct flow f;

	shots = calloc((size_t)flows * 7, sizeof(*shots));
	ASSERT_TRUE(shots);
	for (uint32_t i = 0; i < flows; i++) {
		f = (struct flow){ .is_v6 = i & 1,
				   .from_pod = i >> 1 & 1,
				   .proto = i >> 2 & 1 ? IPPROTO_UDP : IPPROTO_TCP,
				   .pod = 1 + i / 8 % PODS,
				   .peer = i / 8 / PODS % PEERS,
				   .port = i / 8 / PODS / PEERS % PORT_COUNT };
		f.sport = (f.from_pod ? 41000 : 40000) + i / 8 / PODS / PEERS / PORT_COUNT;
		add_flow(&f);
	}
}

/* ---- those who send ------------------------------------------------------------------------------------------------- */

struct shooter {
	struct stress *st;
	pthread_t thread;
	int cpu, rc;
	uint32_t random;
	uint64_t sent[BERM_DIR_COUNT], bytes[BERM_DIR_COUNT], denied;
	uint64_t leaks, drops; /* must stay 0 */
	uint64_t volleys;
	uint64_t checked, unsaid; /* packets that had to be something; while something changed */
	uint64_t answers, answers_lost; /* of flows always allowed: the session may be gone */
	const struct shot *first_wrong;
};

struct moment {
	uint32_t policy, hands;
};

static struct moment look(struct stress *st)
{
	return (struct moment){ atomic_load(&st->policy), atomic_load(&st->hands) };
}

/* What must become of a packet that was sent between two moments? */
static enum want wanted(const struct shot *s, struct moment before, struct moment after)
{
	if (s->pod == HEIR) {
		if (before.hands != after.hands || before.hands % 4 == BETWEEN)
			return UNSAID;
		return before.hands % 4 == OPEN_POD ? ALWAYS : NEVER;
	}
	if (s->want == ALWAYS || s->want == NEVER)
		return s->want;
	if (before.policy != after.policy || before.policy & 1)
		return UNSAID;
	return (before.policy >> 1 & 1) == (s->want == IF_ODD) ? ALWAYS : NEVER;
}

static void check(struct shooter *w, const struct shot *s, enum want want, int retval)
{
	bool allowed = retval == ALLOWED, wrong;

	w->denied += retval == DROPPED;
	if (want == UNSAID) {
		w->unsaid++;
		return;
	}
	if (want == ALWAYS && s->is_answer && s->pod != HEIR) {
		w->answers++;
		w->answers_lost += !allowed;
		return;
	}
	w->checked++;
	wrong = allowed != (want == ALWAYS);
	w->leaks += wrong && allowed;
	w->drops += wrong && !allowed;
	if (wrong && !w->first_wrong)
		w->first_wrong = s;
}

static void fire(struct shooter *w, const struct shot *s)
{
	struct __sk_buff ctx = { .ifindex = s->pod };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = s->frame, .data_size_in = s->len,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = 1);
	struct moment before = look(w->st);

	ctx.ingress_ifindex = s->dir == BERM_EGRESS ? ctx.ifindex : WALL_OUTSIDE;
	w->rc = bpf_prog_test_run_opts(atomic_load(&w->st->prog[s->dir]), &opts);
	if (w->rc)
		return;
	w->sent[s->dir]++;
	w->bytes[s->dir] += s->len;
	check(w, s, wanted(s, before, look(w->st)), (int)opts.retval);
}

#define VOLLEY 5000

/* Thousands without a way back to user space in between: only so do two CPUs really meet. */
static void fire_volley(struct shooter *w)
{
	static const struct packet ask = { .src = "10.20.0.1", .dst = "10.9.0.1" };
	static const struct packet answer = { .src = "10.9.0.1", .dst = "10.20.0.1" };
	bool leaves = below(&w->random, 3) == 0;
	const struct bpf_program *prog = leaves ? w->st->skel->progs.stress_from_pod
						: w->st->skel->progs.stress_to_pod;
	struct __sk_buff ctx = { .ifindex = 1, .ingress_ifindex = leaves ? 1 : WALL_OUTSIDE };
	char frame[PACKET_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = VOLLEY);

	opts.data_size_in = (__u32)packet_build(leaves ? &answer : &ask, frame);
	w->rc = bpf_prog_test_run_opts(bpf_program__fd(prog), &opts);
	w->sent[leaves ? BERM_EGRESS : BERM_INGRESS] += VOLLEY;
	w->bytes[leaves ? BERM_EGRESS : BERM_INGRESS] += VOLLEY * opts.data_size_in;
	w->volleys++;
}

/* A flow from its beginning; else nearly all would be displaced before they are answered. */
static void fire_exchange(struct shooter *w, uint32_t i)
{
	while (i && shots[i].first != i)
		i--;
	for (uint32_t n = 0; n < 3 && !w->rc; n++)
		fire(w, &shots[i + n]);
}

/* Half of all packets are of a few flows, the same ones for both CPUs. */
static void *shoot(void *arg)
{
	struct shooter *w = arg;
	uint32_t hot = 97, any;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(w->cpu, &set);
	w->rc = sched_setaffinity(0, sizeof(set), &set);
	while (!w->rc && works_on(w->st)) {
		pthread_rwlock_rdlock(&w->st->awake);
		for (int i = 0; i < 256 && !w->rc; i++) {
			any = below(&w->random, shot_count);
			if (i % 2)
				any = any / hot % 256 * 41 % shot_count;
			if (i % 8)
				fire(w, &shots[any]);
			else
				fire_exchange(w, any);
		}
		if (!w->rc)
			fire_volley(w);
		pthread_rwlock_unlock(&w->st->awake);
	}
	return NULL;
}

/* ---- one who sends real frames across the veth ------------------------------------------------------------------------- */

#define BURST 64

struct talker {
	struct stress *st;
	pthread_t thread;
	int out, in; /* packet sockets on both ends */
	uint64_t sent, bytes, allowed, denied, arrived, leaked, rc;
};

static int packet_socket(int device)
{
	struct timeval patience = { .tv_sec = 5 };
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_IP),
				  .sll_ifindex = device };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	ASSERT_TRUE(fd >= 0);
	ASSERT_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	ASSERT_EQ(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* One that is allowed by every version, or by none. */
static void talk_once(struct talker *t, uint16_t sport, bool allowed)
{
	struct packet p = { .src = "10.20.0.1",
			    .dst = "10.9.0.2",
			    .proto = IPPROTO_UDP,
			    .sport = sport,
			    .dport = allowed ? PORT_ALWAYS : PORT_NEVER,
			    .payload_len = 32 };
	char frame[PACKET_MAX];
	size_t len = packet_build(&p, frame);

	/* A denied one is an error to its sender. */
	if (send(t->out, frame, len, 0) < 0 && errno != ENOBUFS)
		t->rc = (uint64_t)errno;
	t->sent++;
	t->bytes += len;
	t->allowed += allowed;
	t->denied += !allowed;
}

static void listen_once(struct talker *t)
{
	unsigned char frame[PACKET_MAX];
	uint64_t before = t->arrived;

	while (t->arrived - before < BURST / 2) {
		ssize_t n = recv(t->in, frame, sizeof(frame), 0);

		if (n < 42)
			return; /* nothing more will come: counted as lost */
		if ((frame[36] << 8 | frame[37]) == PORT_ALWAYS)
			t->arrived++;
		else
			t->leaked++;
	}
}

static void *talk(void *arg)
{
	struct talker *t = arg;
	uint32_t random = t->st->seed | 1;

	while (works_on(t->st) && t->arrived == t->allowed && !t->rc) {
		pthread_rwlock_rdlock(&t->st->awake);
		for (int i = 0; i < BURST; i++)
			talk_once(t, (uint16_t)(50000 + below(&random, 64)), i % 2);
		listen_once(t);
		pthread_rwlock_unlock(&t->st->awake);
		nap_ms(1);
	}
	return NULL;
}

/* ---- the agent: generations, epochs, a restart now and then ------------------------------------------------------------- */

static void apply_next(struct stress *st, struct berm_apply *apply)
{
	uint32_t n = (atomic_load(&st->policy) >> 1) + 1;
	struct berm_plan *plan = version(n);
	struct berm_apply_result res = { 0 };
	struct berm_err err = { 0 };

	atomic_store(&st->policy, n << 1 | 1);
	if (berm_apply(apply, plan, &res, &err))
		failed(st, &err);
	atomic_store(&st->policy, n << 1);
	berm_plan_free(plan);
	atomic_fetch_add(&st->applied, 1);
}

static void reopen(struct stress *st, struct berm_apply **apply)
{
	struct berm_err err = { 0 };

	berm_apply_close(*apply);
	*apply = NULL;
	if (berm_apply_open(&st->dp->maps, apply, &err))
		failed(st, &err);
	atomic_fetch_add(&st->reopened, 1);
}

static void collect(struct stress *st, struct berm_apply *apply)
{
	uint64_t ticket = berm_apply_garbage(apply);
	struct berm_err err = { 0 };

	if (!ticket)
		return;
	berm_grace_period();
	if (berm_apply_collect(apply, ticket, &err))
		failed(st, &err);
}

static void read_table(struct stress *st)
{
	struct table t = table_read(st->dp);

	table_free(&t);
	atomic_fetch_add(&st->tables_read, 1);
}

static void *rule(void *arg)
{
	struct stress *st = arg;
	uint32_t random = st->seed ^ 0x55555555, dice;
	struct berm_apply *apply = NULL;

	reopen(st, &apply);
	while (works_on(st) && apply) {
		pthread_rwlock_rdlock(&st->awake);
		dice = below(&random, 16);
		if (dice < 6)
			apply_next(st, apply);
		else if (dice < 8)
			collect(st, apply);
		else if (dice < 9)
			reopen(st, &apply);
		else if (dice < 10)
			read_table(st);
		else {
			berm_epoch_bump(&st->dp->maps, 1 + below(&random, HEIR - 1));
			atomic_fetch_add(&st->bumped, 1);
		}
		pthread_rwlock_unlock(&st->awake);
		nap_ms(5);
	}
	berm_apply_close(apply);
	return NULL;
}

/* ---- plugin and reconciliation: sweeps, and an interface that changes hands ------------------------------------------------ */

static void hands_are(struct stress *st, enum hands hands)
{
	atomic_store(&st->hands, (atomic_load(&st->hands) / 4 + 1) * 4 + hands);
}

static int heir_take(struct stress *st, uint32_t set, struct berm_err *err)
{
	struct berm_endpoint ep = { .set = { set, set },
				    .ifindex = HEIR,
				    .flags = BERM_EP_FALLBACK,
				    .addr_count = 2,
				    .mac = { 2, 0, 0, 0, 0, 1 } };
	uint32_t slot;
	int lock = -1, rc = berm_lock_take(5000, &lock, err);

	if (rc)
		return rc;
	if (berm_addr_parse("10.9.0.3", &ep.addr[0]) || berm_addr_parse("fd09::3", &ep.addr[1]))
		rc = berm_fail(err, -EINVAL, "parse an address");
	if (!rc)
		rc = berm_slot_take(&st->dp->maps, &ep, &slot, err);
	close(lock);
	return rc;
}

/* As reconcile.c lets a pod go: the slot first, then its sessions, both under the lock. */
static int heir_leave(struct stress *st, struct berm_err *err)
{
	int lock = -1, rc = berm_lock_take(5000, &lock, err);
	long freed;

	if (rc)
		return rc;
	rc = berm_slot_free(&st->dp->maps, 0, HEIR, err);
	if (!rc)
		hands_are(st, NOBODY); /* from here on nothing passes, swept or not */
	freed = rc ? rc : berm_sweep(&st->dp->maps, HEIR, err);
	close(lock);
	if (freed < 0)
		return (int)freed;
	atomic_fetch_add(&st->freed, (unsigned long)freed);
	return 0;
}

static void succeed(struct stress *st)
{
	static const struct {
		uint32_t set;
		enum hands hands;
	} next[] = { { BERM_SET_OPEN, OPEN_POD }, { BERM_SET_DENY, CLOSED_POD } };
	struct berm_err err = { 0 };
	int turn = atomic_fetch_add(&st->heirs, 1) % 2;

	hands_are(st, BETWEEN);
	if (heir_leave(st, &err)) {
		failed(st, &err);
		return;
	}
	nap_ms(5);
	hands_are(st, BETWEEN);
	if (heir_take(st, next[turn].set, &err))
		failed(st, &err);
	else
		hands_are(st, next[turn].hands);
}

/* The expired ones, and all of an interface that is still in use: nobody may mind. Many times, for it is over
 * in microseconds. */
static void sweep(struct stress *st)
{
	struct berm_err err = { 0 };

	for (uint32_t i = 0; i < 50; i++) {
		long freed = berm_sweep(&st->dp->maps, i % 2, &err);

		if (freed < 0) {
			failed(st, &err);
			return;
		}
		atomic_fetch_add(&st->freed, (unsigned long)freed);
		atomic_fetch_add(&st->swept, 1);
	}
}

static void *keep(void *arg)
{
	struct stress *st = arg;
	uint32_t random = st->seed ^ 0x33333333;

	while (works_on(st)) {
		pthread_rwlock_rdlock(&st->awake);
		if (below(&random, 4))
			sweep(st);
		else
			succeed(st);
		pthread_rwlock_unlock(&st->awake);
		nap_ms(20);
	}
	return NULL;
}

/* ---- upgrades ------------------------------------------------------------------------------------------------------------------ */

static int link_swap(int dir, int prog)
{
	char path[128];
	int fd, rc;

	snprintf(path, sizeof(path), BERM_PIN_LINKS "/%u_%s", TALKER,
		 dir == BERM_INGRESS ? "in" : "out");
	fd = bpf_obj_get(path);
	if (fd < 0)
		return fd;
	rc = bpf_link_update(fd, prog, NULL);
	close(fd);
	return rc;
}

/* The other of the two last programs: on the hook, and for who sends by test runs. */
static void swap(struct stress *st, int which)
{
	struct berm_err err = { 0 };
	int rc = 0;

	for (int dir = 0; !rc && dir < BERM_DIR_COUNT; dir++) {
		rc = link_swap(dir, atomic_load(&st->variant[which][dir]));
		atomic_store(&st->prog[dir], atomic_load(&st->variant[which][dir]));
	}
	if (rc == -ENOENT)
		return; /* clsact: no link to update */
	if (rc)
		failed(st, (berm_fail(&err, rc, "update a link"), &err));
	atomic_fetch_add(&st->swapped, 1);
}

/* Old programs stay open: somebody may be running one. */
static void upgrade(struct stress *st)
{
	uint32_t n = (uint32_t)atomic_fetch_add(&st->reloaded, 1);
	int prog[BERM_DIR_COUNT] = { -1, -1 };
	struct berm_err err = { 0 };
	int rc = wall_reload(6 + n % 2, timeouts, prog, &err);

	if (!rc)
		rc = berm_link_attach(TALKER, BERM_ATTACH_AUTO, NULL, &err);
	if (rc) {
		failed(st, &err);
		return;
	}
	for (int dir = 0; dir < BERM_DIR_COUNT; dir++) {
		atomic_store(&st->variant[n % 2][dir], prog[dir]);
		atomic_store(&st->prog[dir], prog[dir]);
	}
}

static void *renew(void *arg)
{
	struct stress *st = arg;
	uint32_t round = 0;

	while (works_on(st)) {
		pthread_rwlock_rdlock(&st->awake);
		if (round++ % 100)
			swap(st, (int)(round % 2));
		else
			upgrade(st);
		pthread_rwlock_unlock(&st->awake);
		nap_ms(20);
	}
	return NULL;
}

/* ---- rest, and a look at the books ---------------------------------------------------------------------------------------------- */

struct party {
	struct shooter shooter[SHOOTERS];
	struct talker talker;
	pthread_t rule, keep, renew;
};

static uint64_t total(const __u64 per_reason[BERM_REASON_MAX])
{
	uint64_t sum = 0;

	for (int i = 0; i < BERM_REASON_MAX; i++)
		sum += per_reason[i];
	return sum;
}

/* Every packet was counted once, and every denial told, lost or suppressed. */
static void expect_counters(struct stress *st, const struct party *p)
{
	uint64_t denied = p->talker.denied, sent, bytes;
	struct berm_counters c;
	struct berm_err err = { 0 };

	ASSERT_OK(berm_counters_read(&st->dp->maps, &c, &err), &err);
	for (int dir = 0; dir < BERM_DIR_COUNT; dir++) {
		sent = dir == BERM_INGRESS ? p->talker.sent : 0;
		bytes = dir == BERM_INGRESS ? p->talker.bytes : 0;
		for (int i = 0; i < SHOOTERS; i++) {
			sent += p->shooter[i].sent[dir];
			bytes += p->shooter[i].bytes[dir];
		}
		EXPECT_EQ(total(c.packets[dir]), sent);
		EXPECT_EQ(total(c.bytes[dir]), bytes);
	}
	for (int i = 0; i < SHOOTERS; i++)
		denied += p->shooter[i].denied;
	for (size_t i = 0; i < ARRAY_SIZE(st->skel->bss->stress_denied); i++)
		denied += st->skel->bss->stress_denied[i];
	EXPECT_EQ(c.stat[BERM_STAT_EVENT_SENT] + c.stat[BERM_STAT_EVENT_LOST] +
			  c.stat[BERM_STAT_EVENT_SUPPRESSED],
		  denied);
	EXPECT_EQ(c.packets[BERM_INGRESS][BERM_REASON_NO_RULE] +
			  c.packets[BERM_EGRESS][BERM_REASON_NO_RULE],
		  0);
}

/* Nobody's sessions, and none twice but for two CPUs that recorded it at once. */
static void expect_table(struct stress *st)
{
	struct table t = table_read(st->dp);
	struct table_sum s = table_sum(st->dp, &t);
	bool nobody = atomic_load(&st->hands) % 4 == NOBODY;
	uint32_t strangers = 0;

	for (uint32_t i = 0; i < t.buckets * BERM_WAYS; i++) {
		const struct berm_bucket *b = &t.bucket[i / BERM_WAYS];
		uint32_t pod = b->way[i % BERM_WAYS].iface >> 8;

		if (b->tag[i % BERM_WAYS])
			strangers += !pod || pod > PODS || (nobody && pod == HEIR);
	}
	EXPECT_EQ(strangers, 0);
	EXPECT_LE(s.duplicates, BUCKETS * BERM_WAYS / 100);
	if (s.duplicates > st->duplicates)
		st->duplicates = s.duplicates;
	table_free(&t);
	EXPECT_BOOKS(st->dp);
}

static void expect_quiet(struct stress *st, const struct party *p)
{
	uint64_t leaks = p->talker.leaked, drops = p->talker.allowed - p->talker.arrived;

	for (int i = 0; i < SHOOTERS; i++) {
		leaks += p->shooter[i].leaks;
		drops += p->shooter[i].drops;
		EXPECT_EQ(p->shooter[i].rc, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(st->skel->bss->stress_denied); i++) {
		leaks += st->skel->bss->stress_leaks[i];
		drops += st->skel->bss->stress_drops[i];
	}
	EXPECT_EQ(leaks, 0);
	EXPECT_EQ(drops, 0);
	EXPECT_EQ(p->talker.rc, 0);
	expect_counters(st, p);
	expect_table(st);
	if (atomic_load(&st->failed))
		test_failed(__FILE__, __LINE__, "%lu failed; the first: %s",
			    atomic_load(&st->failed), st->why.msg);
}

/* ---- the minute ---------------------------------------------------------------------------------------------------------------------- */

/* The maps are those that are pinned, by name. */
static struct stress_bpf *volley_load(const struct datapath *dp)
{
	struct stress_bpf *skel = stress_bpf__open();
	struct bpf_map *map;

	ASSERT_TRUE(skel);
	skel->rodata->cfg_buckets = dp->maps.buckets;
	skel->rodata->cfg_hz = dp->hz;
	for (int i = 0; i < BERM_TIMEOUT_COUNT; i++)
		if (timeouts[i])
			skel->rodata->cfg_timeout_s[i] = timeouts[i];
	bpf_object__for_each_map(map, skel->obj) {
		int fd = datapath_map(dp, bpf_map__name(map));

		if (fd >= 0)
			ASSERT_EQ(bpf_map__reuse_fd(map, fd), 0);
	}
	ASSERT_EQ(stress_bpf__load(skel), 0);
	return skel;
}

static struct stress *stage(void)
{
	struct stress *st = calloc(1, sizeof(*st));
	pthread_rwlockattr_t attr;
	struct berm_err err = { 0 };
	struct timespec now;
	int prog[BERM_DIR_COUNT];

	ASSERT_TRUE(st);
	clock_gettime(CLOCK_REALTIME, &now);
	st->seed = (uint32_t)now.tv_nsec | 1;
	st->dp = wall_build(BUCKETS, timeouts);
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&st->awake, &attr);
	ASSERT_OK(wall_open_progs(prog, &err), &err);
	for (int dir = 0; dir < BERM_DIR_COUNT; dir++) {
		atomic_store(&st->prog[dir], prog[dir]);
		atomic_store(&st->variant[0][dir], prog[dir]);
		atomic_store(&st->variant[1][dir], prog[dir]);
	}
	for (uint32_t pod = 1; pod < HEIR; pod++) {
		char v4[32], v6[32];

		snprintf(v4, sizeof(v4), "10.9.0.%u", pod);
		snprintf(v6, sizeof(v6), "fd09::%u", pod);
		ASSERT_EQ(datapath_pod(st->dp, &(struct pod){ .ifindex = pod, .addr = { v4, v6 } }),
			  pod);
	}
	ASSERT_OK(heir_take(st, BERM_SET_DENY, &err), &err);
	hands_are(st, CLOSED_POD);
	ASSERT_OK(berm_link_attach(TALKER, BERM_ATTACH_AUTO, NULL, &err), &err);
	st->skel = volley_load(st->dp);
	make_shots();
	return st;
}

/* Version 1, before anybody sends. */
static void first_policy(struct stress *st)
{
	struct berm_apply *apply = NULL;

	reopen(st, &apply);
	ASSERT_TRUE(apply);
	apply_next(st, apply);
	berm_apply_close(apply);
}

static void start(struct stress *st, struct party *p)
{
	cpu_set_t set;
	int cpu = 0;

	ASSERT_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
	for (int i = 0; i < SHOOTERS; i++, cpu++) {
		while (!CPU_ISSET(cpu, &set))
			cpu++;
		p->shooter[i] = (struct shooter){ .st = st,
						  .cpu = cpu,
						  .random = st->seed + 77u * (uint32_t)i };
		ASSERT_EQ(pthread_create(&p->shooter[i].thread, NULL, shoot, &p->shooter[i]), 0);
	}
	p->talker =
		(struct talker){ .st = st, .out = packet_socket(TALKER), .in = packet_socket(12) };
	ASSERT_EQ(pthread_create(&p->talker.thread, NULL, talk, &p->talker), 0);
	ASSERT_EQ(pthread_create(&p->rule, NULL, rule, st), 0);
	ASSERT_EQ(pthread_create(&p->keep, NULL, keep, st), 0);
	ASSERT_EQ(pthread_create(&p->renew, NULL, renew, st), 0);
}

static void finish(struct stress *st, struct party *p)
{
	atomic_store(&st->stop, true);
	for (int i = 0; i < SHOOTERS; i++)
		pthread_join(p->shooter[i].thread, NULL);
	pthread_join(p->talker.thread, NULL);
	pthread_join(p->rule, NULL);
	pthread_join(p->keep, NULL);
	pthread_join(p->renew, NULL);
}

static unsigned long long sum_of(const struct party *p, size_t field)
{
	unsigned long long sum = 0;

	for (int i = 0; i < SHOOTERS; i++)
		sum += *(const uint64_t *)((const char *)&p->shooter[i] + field);
	return sum;
}
#define SUM(p, field) sum_of(p, offsetof(struct shooter, field))

static void tell_wrong(const struct party *p)
{
	for (int i = 0; i < SHOOTERS; i++) {
		const struct shot *s = p->shooter[i].first_wrong;

		if (s)
			printf("# the first wrong one of CPU %d: pod %u, dir %u, want %d%s, %u bytes\n",
			       p->shooter[i].cpu, s->pod, s->dir, s->want,
			       s->is_answer ? ", an answer" : "", s->len);
	}
}

static void tell(struct stress *st, const struct party *p)
{
	printf("# %llu test runs (%llu packets) had to be what they were, %llu while something changed; of %llu "
	       "answers %llu found no session; %llu frames\n",
	       SUM(p, checked), SUM(p, sent[0]) + SUM(p, sent[1]), SUM(p, unsaid), SUM(p, answers),
	       SUM(p, answers_lost), (unsigned long long)p->talker.sent);
	printf("# %lu generations, %lu epochs, %lu agents started, %lu tables read, %lu sweeps and %lu pods that left: %lu "
	       "sessions freed; %lu upgrades, %lu swaps\n",
	       st->applied, st->bumped, st->reopened, st->tables_read, st->swept, st->heirs,
	       st->freed, st->reloaded, st->swapped);
	printf("# sessions: %llu new, %llu promoted, %llu judged again, %llu revoked, replaced %llu dead %llu half-open "
	       "%llu established, %llu found no way; at most %lld stood twice\n",
	       (unsigned long long)datapath_stat(st->dp, BERM_STAT_SESSION_NEW),
	       (unsigned long long)datapath_stat(st->dp, BERM_STAT_SESSION_PROMOTED),
	       (unsigned long long)datapath_stat(st->dp, BERM_STAT_SESSION_REJUDGED),
	       (unsigned long long)datapath_stat(st->dp, BERM_STAT_SESSION_REVOKED),
	       (unsigned long long)datapath_stat(st->dp, BERM_STAT_REPLACED_DEAD),
	       (unsigned long long)datapath_stat(st->dp, BERM_STAT_REPLACED_HALF_OPEN),
	       (unsigned long long)datapath_stat(st->dp, BERM_STAT_REPLACED_ESTABLISHED),
	       (unsigned long long)datapath_stat(st->dp, BERM_STAT_SESSION_FULL),
	       (long long)st->duplicates);
	tell_wrong(p);
}

/* That there was a stress at all. */
static void expect_work(struct stress *st, const struct party *p, int seconds)
{
	EXPECT_GT(SUM(p, checked), (uint64_t)seconds * 1000);
	EXPECT_GT(p->talker.arrived, (uint64_t)seconds * 10);
	EXPECT_GT(st->applied, seconds / 2);
	EXPECT_GT(st->bumped, seconds / 2);
	EXPECT_GT(st->swept, seconds / 2);
	EXPECT_GT(st->heirs, seconds / 4);
	EXPECT_GT(st->freed, seconds / 4);
	EXPECT_GE(st->reloaded, 1);
	EXPECT_GT(datapath_stat(st->dp, BERM_STAT_SESSION_PROMOTED), 100);
	EXPECT_GT(datapath_stat(st->dp, BERM_STAT_SESSION_REJUDGED), 100);
	EXPECT_GT(datapath_stat(st->dp, BERM_STAT_SESSION_REVOKED), 100);
	EXPECT_GT(datapath_stat(st->dp, BERM_STAT_REPLACED_HALF_OPEN), 100);
}

TEST(everything_at_once,
     "two CPUs, generations, epochs, sweeps, upgrades and pods that come and go: no wrong verdict, the books agree "
     "[session.bucket_race] [update.atomic] [upgrade.swap] [ident.ifindex_reuse]")
{
	int seconds = atoi(getenv("BERM_STRESS_S") ?: "60");
	struct stress *st;
	cpu_set_t set;
	struct party p;

	ASSERT_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
	if (CPU_COUNT(&set) < SHOOTERS)
		test_skip("hardware: a race needs two CPUs");
	st = stage();
	first_policy(st);
	start(st, &p);
	for (int t = 0; t < seconds; t += REST_S) {
		sleep((unsigned int)(seconds - t < REST_S ? seconds - t
							  : REST_S)); /* how long it lasts */
		pthread_rwlock_wrlock(&st->awake);
		expect_quiet(st, &p);
		pthread_rwlock_unlock(&st->awake);
	}
	finish(st, &p);
	expect_quiet(st, &p);
	tell(st, &p);
	expect_work(st, &p, seconds);
}
