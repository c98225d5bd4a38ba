// SPDX-License-Identifier: Apache-2.0
/*
 * test_oracle.c - the documents that cases.py makes up, through the agent's own intake, compiler and apply into the
 * kernel, and its questions as packets through the programs there. cases.py says what must become of each. What comes in
 * goes through the block list's XDP program, too: it must drop nothing that a wall would let in.
 * A failure is cut down by shrink.py to a few documents that show it, which are kept in regressions/ and asked first from then on.
 * timeout: 1800
 * BERM_SEED replays, BERM_CASES says how many, BERM_LONG=1 that there are many more, BERM_REGRESSIONS where failures are kept.
 */
#include <bpf/bpf.h>
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apply.h"
#include "blocklist.h"
#include "datapath.h"
#include "engine.h"
#include "explain.h"
#include "intake.h"
#include "log.h"
#include "onnode.h"

#include "uplink.skel.h" /* wants abi.h before it */

#define MANY	     50000
#define VERY_MANY    1000000
#define MAX_FAILURES 3 /* each is shrunk */
#define MAX_SOURCES  128
#define MAX_LABEL    1024
#define FIRST_PORT   1024
#define FIRST_ASKED  40000 /* source ports that flows speak of: below, nobody does */

struct oracle {
	struct datapath *dp;
	struct berm_explain *explain;
	struct uplink_bpf *uplink;
	struct berm_lastgood *store;
	struct berm_engine engine;
	struct berm_intake intake;
	struct berm_source source[MAX_SOURCES];
	char *source_name[MAX_SOURCES];
	size_t source_count;
	bool is_stale;
	char world[64]; /* its seed, or the name of a regression */
	struct {
		char **item;
		size_t count;
	} said;		   /* of this world so far, to tell it again */
	bool has_failed;   /* this world: nothing more is asked of it */
	bool is_shrinking; /* documents need not be good any more */
	bool is_invalid;   /* and one is not */
	uint16_t port;
	unsigned int asked, denied, rejected, by_rule, by_flow, would, logged, wrong, blocked;
	unsigned int reason[BERM_REASON_COUNT]; /* that were wanted */
};

static const char *text_at(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	ASSERT_TRUE(cJSON_IsString(item));
	return item->valuestring;
}

static unsigned int number_at(const cJSON *object, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	ASSERT_TRUE(cJSON_IsNumber(item));
	return (unsigned int)item->valuedouble;
}

static struct berm_addr addr_of(const char *text)
{
	struct berm_addr addr;

	ASSERT_EQ(berm_addr_parse(text, &addr), 0);
	return addr;
}

/* ---- documents ------------------------------------------------------------------------------------------- */

static struct berm_source *source_of(struct oracle *o, const char *name)
{
	size_t i = 0;

	while (i < o->source_count && strcmp(o->source_name[i], name) != 0)
		i++;
	if (i < o->source_count)
		return &o->source[i];
	ASSERT_TRUE(i < MAX_SOURCES);
	o->source_name[i] = strdup(name);
	o->source[i] = (struct berm_source){ .name = o->source_name[i] };
	o->source_count++;
	return &o->source[i];
}

/* What a generator takes for good must be good. */
static void load(struct oracle *o, const cJSON *line)
{
	struct berm_source *source = source_of(o, text_at(line, "load"));
	const char *text = text_at(line, "text");
	struct berm_err err = { 0 };
	char problem[1024];

	ASSERT_OK(berm_intake_load(&o->intake, source, text, strlen(text), &err), &err);
	for (size_t i = 0; i < source->problems.count; i++) {
		if (source->problems.item[i].severity != BERM_ERROR)
			continue;
		o->is_invalid = true;
		if (o->is_shrinking)
			continue;
		(void)berm_problem_format(&source->problems.item[i], problem, sizeof(problem));
		test_failed(__FILE__, __LINE__, "%s: %s", problem, text);
	}
	o->is_stale = true;
}

/* ---- the block list ----------------------------------------------------------------------------------------- */

static void empty(int map, void *key)
{
	while (!bpf_map_get_next_key(map, NULL, key))
		ASSERT_EQ(bpf_map_delete_elem(map, key), 0);
}

static void block(struct oracle *o, const struct berm_block_of *of)
{
	struct berm_block value = { .flags = of->all ? BERM_BLOCK_ALL : 0, .hit = BERM_RULE_FIRST };
	struct berm_cidr_key key = { .prefixlen = 32u + of->cidr.bits };

	key.table = htonl(of->cidr.v4 ? BERM_BLOCKS_V4 : BERM_BLOCKS_V6);
	memcpy(key.addr, &of->cidr.addr, sizeof(key.addr));
	ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(o->uplink->maps.berm_blocks), &key, &value,
				      BPF_ANY),
		  0);
}

static void fill_uplink(struct oracle *o)
{
	int pods = bpf_map__fd(o->uplink->maps.berm_shielded);
	const struct berm_model *m = &o->engine.model;
	struct berm_blocklist list = { 0 };
	struct berm_cidr_key key;
	struct berm_addr addr;
	uint32_t one = 1;

	empty(bpf_map__fd(o->uplink->maps.berm_blocks), &key);
	empty(pods, &addr);
	ASSERT_EQ(berm_blocklist_make(m, &o->engine.problems, &list), 0);
	for (size_t i = 0; i < list.count; i++)
		block(o, &list.item[i]);
	for (size_t i = 0; i < m->endpoint_count; i++)
		for (size_t a = 0; a < m->endpoints[i].addr_count; a++)
			ASSERT_EQ(bpf_map_update_elem(pods, &m->endpoints[i].addr[a], &one,
						      BPF_ANY),
				  0);
	berm_blocklist_clear(&list);
}

static bool is_blocked(const struct oracle *o, const void *frame, size_t len)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (__u32)len,
		    .repeat = 1);

	ASSERT_EQ(bpf_prog_test_run_opts(bpf_program__fd(o->uplink->progs.berm_uplink), &opts), 0);
	return opts.retval == XDP_DROP;
}

static void judge(struct oracle *o)
{
	struct berm_err err = { 0 };

	if (!o->is_stale)
		return;
	ASSERT_OK(berm_engine_judge(&o->engine, &err), &err);
	EXPECT_STR_EQ(o->engine.last.warning, "");
	fill_uplink(o);
	o->is_stale = false;
}

/* ---- the node ---------------------------------------------------------------------------------------------- */

static void drop_everything(struct oracle *o)
{
	for (size_t i = 0; i < o->source_count; i++) {
		berm_intake_drop(&o->intake, &o->source[i]);
		berm_source_clear(&o->source[i]);
		free(o->source_name[i]);
	}
	o->source_count = 0;
	onnode_detach(o->dp, &o->engine.model);
	while (o->engine.model.endpoint_count)
		ASSERT_EQ(berm_model_remove_endpoint(&o->engine.model,
						     o->engine.model.endpoints[0].slot),
			  0);
}

static void add_endpoint(struct oracle *o, const cJSON *item, uint32_t slot)
{
	struct berm_local_endpoint ep = { .slot = slot };
	const cJSON *addr;

	snprintf(ep.ns, sizeof(ep.ns), "%s", text_at(item, "namespace"));
	snprintf(ep.pod, sizeof(ep.pod), "%s", text_at(item, "pod"));
	snprintf(ep.uid, sizeof(ep.uid), "%s", text_at(item, "uid"));
	cJSON_ArrayForEach(addr, cJSON_GetObjectItemCaseSensitive(item, "addresses"))
		ep.addr[ep.addr_count++] = addr_of(addr->valuestring);
	ASSERT_EQ(berm_model_put_endpoint(&o->engine.model, &ep), 0);
}

static void begin_world(struct oracle *o, const cJSON *line)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(line, "endpoints"), *item;
	struct berm_addr node[8];
	size_t count = 0;
	uint32_t slot = 1;

	drop_everything(o);
	o->has_failed = o->is_invalid = false;
	snprintf(o->world, sizeof(o->world), "%s", text_at(line, "world"));
	cJSON_ArrayForEach(item, list)
		add_endpoint(o, item, slot++);
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(line, "node_addresses"))
		node[count++] = addr_of(item->valuestring);
	ASSERT_EQ(berm_model_set_node_addrs(&o->engine.model, node, count), 0);
	ASSERT_EQ(berm_model_set_node(&o->engine.model, "here"), 0);
	onnode_attach(o->dp, &o->engine.model);
	o->is_stale = true;
}

/* ---- questions --------------------------------------------------------------------------------------------- */

static const struct berm_local_endpoint *endpoint_of(struct oracle *o, const cJSON *ask)
{
	const struct berm_model *m = &o->engine.model;

	for (size_t i = 0; i < m->endpoint_count; i++)
		if (!strcmp(m->endpoints[i].ns, text_at(ask, "namespace")) &&
		    !strcmp(m->endpoints[i].pod, text_at(ask, "pod")))
			return &m->endpoints[i];
	test_failed(__FILE__, __LINE__, "no endpoint %s", text_at(ask, "pod"));
	test_stop();
}

static uint8_t proto_of(const cJSON *ask)
{
	static const struct {
		const char *plane;
		uint8_t proto;
	} known[] = {
		{ "TCP", IPPROTO_TCP },	  { "UDP", IPPROTO_UDP },	{ "SCTP", IPPROTO_SCTP },
		{ "ICMP", IPPROTO_ICMP }, { "ICMPv6", IPPROTO_ICMPV6 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(known[i].plane, text_at(ask, "plane")))
			return known[i].proto;
	return (uint8_t)number_at(ask, "port");
}

/* What became of a flow. */
struct outcome {
	struct verdict is;
	bool has_event; /* else nobody knows what would have been logged */
	bool is_blocked;
	uint8_t would_action, would_reason; /* action 0: nothing else would become of it */
	uint32_t would_rule;		    /* without would_action: the Log that it met */
};

static void explain(const struct oracle *o, const struct berm_explain_question *q,
		    struct outcome *out)
{
	struct berm_explain_verdict said;
	struct berm_err err = { 0 };

	ASSERT_OK(berm_explain_ask(o->explain, q, &said, &err), &err);
	out->is.rule = said.rule;
	out->would_action = said.would_action;
	out->would_reason = said.would_reason;
	out->would_rule = said.would_rule;
}

static void send_frame(struct oracle *o, int dir, uint32_t ifindex, const uint8_t *frame,
		       size_t len, struct outcome *out)
{
	const struct berm_event *e = &o->dp->event;
	uint32_t events = o->dp->events;
	struct berm_explain_question q = {
		.dir = dir,
		.ifindex = ifindex,
		.in_ifindex = dir == BERM_INGRESS ? o->dp->ingress_ifindex : ifindex,
		.from_node = true, /* a test run always has a socket */
		.as_new = true,
		.frame = frame,
		.size = len,
	};

	out->is_blocked = dir == BERM_INGRESS && is_blocked(o, frame, len);
	out->is = datapath_send_frame(o->dp, dir, ifindex, frame, len);
	out->has_event = o->dp->events > events;
	if (!out->has_event) { /* what makes no session has none when it is allowed */
		explain(o, &q, out);
		return;
	}
	out->would_action = e->would_action;
	out->would_reason = e->would_reason;
	out->would_rule = e->would_rule;
}

/* A source port that nobody has used and no flow speaks of. */
static uint16_t next_port(struct oracle *o, uint32_t ifindex)
{
	if (++o->port == FIRST_ASKED) {
		o->port = FIRST_PORT;
		(void)datapath_sweep(o->dp, ifindex);
	}
	return o->port;
}

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

/* A flow that nobody knows: what has no ports, or is asked with given ones, would be the same one again. */
static void send_first(struct oracle *o, const struct berm_local_endpoint *ep, const cJSON *ask,
		       struct outcome *out)
{
	bool ingress = !strcmp(text_at(ask, "direction"), "ingress");
	struct berm_addr peer_addr = addr_of(text_at(ask, "peer"));
	uint16_t port = (uint16_t)number_at(ask, "port");
	uint16_t source_port = (uint16_t)number_at(ask, "source_port");
	struct packet p = { .proto = proto_of(ask), .dport = port, .payload_len = 16 };
	char own[BERM_ADDR_STRLEN], peer[BERM_ADDR_STRLEN];
	uint8_t frame[PACKET_MAX];
	size_t i = 0;

	while (berm_addr_is_v4(&ep->addr[i]) != berm_addr_is_v4(&peer_addr))
		i++;
	berm_addr_format(&ep->addr[i], own);
	berm_addr_format(&peer_addr, peer);
	p.src = ingress ? peer : own;
	p.dst = ingress ? own : peer;
	p.icmp_type = (uint8_t)(port >> 8);
	p.icmp_code = (uint8_t)port;
	p.icmp_id = p.sport = source_port ? source_port : next_port(o, ep->ifindex);
	if (!has_ports(p.proto) || source_port)
		(void)datapath_sweep(o->dp, ep->ifindex);
	send_frame(o, ingress ? BERM_INGRESS : BERM_EGRESS, ep->ifindex, frame,
		   packet_build(&p, frame), out);
}

/* As oracle.py names rules. */
static void label_of(const struct oracle *o, uint32_t id, char *out, size_t size)
{
	const struct berm_rule_name *name = berm_names_find(berm_apply_names(o->engine.apply), id);

	*out = '\0';
	if (id < BERM_RULE_FIRST || !name)
		return;
	if (!strcmp(name->tier, "implicit"))
		snprintf(out, size, "%s", name->rule);
	else
		snprintf(out, size, "%s %s%s%s:%s", name->kind, name->ns, *name->ns ? "/" : "",
			 name->policy, name->rule);
}

static enum berm_action action_of(const cJSON *want)
{
	static const char *const name[] = {
		[BERM_ACTION_ALLOW] = "allow", [BERM_ACTION_DENY] = "deny", [BERM_ACTION_REJECT] = "reject"
	};

	for (uint32_t i = 1; i < ARRAY_SIZE(name); i++)
		if (name[i] && !strcmp(name[i], text_at(want, "action")))
			return i;
	test_failed(__FILE__, __LINE__, "no action: %s", text_at(want, "action"));
	test_stop();
}

static bool is_named(const struct oracle *o, uint32_t rule, const char *want)
{
	char label[MAX_LABEL];

	label_of(o, rule, label, sizeof(label));
	return !strcmp(label, want);
}

/* What would be, if that is something else; else the Log that was met. */
static bool is_beside(const struct oracle *o, const cJSON *want, const struct outcome *got)
{
	const cJSON *would = cJSON_GetObjectItemCaseSensitive(want, "would");
	const cJSON *log = cJSON_GetObjectItemCaseSensitive(want, "log");

	if (would)
		return got->would_action == action_of(would) &&
		       !strcmp(datapath_reason(got->would_reason), text_at(would, "reason")) &&
		       is_named(o, got->would_rule, text_at(would, "rule"));
	if (got->would_action)
		return false;
	return !log || !got->has_event || is_named(o, got->would_rule, log->valuestring);
}

static bool is_as_wanted(const struct oracle *o, const cJSON *want, const struct outcome *got)
{
	enum berm_action action = action_of(want);
	bool allow = action == BERM_ACTION_ALLOW;

	return (got->is.retval == ALLOWED) == allow &&
	       (!got->is.action || got->is.action == action) &&
	       (got->is.retval != REJECTED || action == BERM_ACTION_REJECT) &&
	       !strcmp(datapath_reason(got->is.reason), text_at(want, "reason")) &&
	       is_named(o, got->is.rule, text_at(want, "rule")) && !(got->is_blocked && allow) &&
	       is_beside(o, want, got);
}

static void count(struct oracle *o, const cJSON *want, const struct outcome *got)
{
	enum berm_action action = action_of(want);

	o->asked++;
	o->blocked += got->is_blocked;
	o->denied += action != BERM_ACTION_ALLOW;
	o->rejected += action == BERM_ACTION_REJECT;
	o->by_rule += *text_at(want, "rule") != '\0';
	o->by_flow += strstr(text_at(want, "rule"), ":flows") != NULL;
	o->would += got->would_action != 0;
	o->logged += !got->would_action && got->would_rule;
	for (uint32_t r = 0; r < BERM_REASON_COUNT; r++)
		o->reason[r] += !strcmp(datapath_reason(r), text_at(want, "reason"));
}

static void describe(const struct oracle *o, const struct outcome *got, char *out, size_t size)
{
	char label[MAX_LABEL], would[MAX_LABEL];

	label_of(o, got->is.rule, label, sizeof(label));
	label_of(o, got->would_rule, would, sizeof(would));
	snprintf(out, size, "%s, %s, '%s'; would: %u, %s; %s '%s'%s",
		 got->is.retval == ALLOWED ? "allowed" : "dropped", datapath_reason(got->is.reason),
		 label, got->would_action,
		 got->would_action ? datapath_reason(got->would_reason) : "the same",
		 got->would_action ? "by" : "log", would,
		 got->is_blocked ? "; dropped at the uplink" : "");
}

/* Is it as it should be? */
static bool ask(struct oracle *o, const cJSON *line, struct outcome *got)
{
	const cJSON *question = cJSON_GetObjectItemCaseSensitive(line, "ask");
	const cJSON *want = cJSON_GetObjectItemCaseSensitive(line, "want");

	judge(o);
	send_first(o, endpoint_of(o, question), question, got);
	count(o, want, got);
	return is_as_wanted(o, want, got);
}

/* What is no question. */
static void change(struct oracle *o, const cJSON *line)
{
	if (cJSON_HasObjectItem(line, "world")) {
		begin_world(o, line);
	} else if (cJSON_HasObjectItem(line, "judge")) {
		judge(o);
	} else if (cJSON_HasObjectItem(line, "load")) {
		load(o, line);
	} else if (cJSON_HasObjectItem(line, "time")) {
		ASSERT_EQ(berm_model_set_time(&o->engine.model, (int64_t)number_at(line, "time")),
			  0);
		o->is_stale = true;
	} else if (cJSON_HasObjectItem(line, "drop")) {
		berm_intake_drop(&o->intake, source_of(o, text_at(line, "drop")));
		o->is_stale = true;
	} else {
		test_failed(__FILE__, __LINE__, "what is this?");
		test_stop();
	}
}

/* ---- a failure ------------------------------------------------------------------------------------------------ */

/* A question matters to what follows only because everything before it is in force then. */
static void remember(struct oracle *o, const char *text, bool is_question)
{
	static const char judged[] = "{\"judge\":true}\n";
	size_t n = o->said.count;

	if (is_question && n && !strcmp(o->said.item[n - 1], judged))
		return;
	o->said.item = reallocarray(o->said.item, n + 1, sizeof(*o->said.item));
	ASSERT_TRUE(o->said.item);
	o->said.item[n] = strdup(is_question ? judged : text);
	ASSERT_TRUE(o->said.item[n]);
	o->said.count++;
}

static void forget(struct oracle *o)
{
	while (o->said.count)
		free(o->said.item[--o->said.count]);
}

static void write_failure(const struct oracle *o, const char *path, const char *question)
{
	FILE *file = fopen(path, "w");

	ASSERT_TRUE(file);
	for (size_t i = 0; i < o->said.count; i++)
		fputs(o->said.item[i], file);
	fputs(question, file);
	ASSERT_EQ(fclose(file), 0);
}

/* One line of shrink.py's; what asks is answered by one line. */
static void answer(struct oracle *o, const char *text, FILE *to)
{
	cJSON *line = cJSON_Parse(text);
	struct outcome got = { 0 };
	bool is_right;

	ASSERT_TRUE(line);
	if (!cJSON_HasObjectItem(line, "ask")) {
		change(o, line);
	} else if (o->is_invalid) {
		fputs("invalid\n", to);
	} else {
		is_right = ask(o, line, &got);
		fprintf(to, "%s %s\n", is_right ? "right" : "wrong",
			datapath_reason(got.is.reason));
	}
	fflush(to);
	cJSON_Delete(line);
}

static pid_t start_shrinking(const char *path, const char *folder, FILE **from, FILE **to)
{
	int ask[2], reply[2];
	pid_t pid;

	ASSERT_EQ(pipe(ask), 0);
	ASSERT_EQ(pipe(reply), 0);
	pid = fork();
	ASSERT_TRUE(pid >= 0);
	if (!pid) {
		dup2(reply[0], STDIN_FILENO);
		dup2(ask[1], STDOUT_FILENO);
		close(reply[1]);
		close(ask[0]);
		execlp("python3", "python3", "-B", "tests/oracle/shrink.py", path, folder, NULL);
		_exit(127);
	}
	close(ask[1]);
	close(reply[0]);
	*from = fdopen(ask[0], "r");
	*to = fdopen(reply[1], "w");
	ASSERT_TRUE(*from && *to);
	return pid;
}

/* Of the many documents that are tried, most are no good, and the intake says so. */
static int mute(void)
{
	int loud = dup(STDERR_FILENO), nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

	ASSERT_TRUE(loud >= 0 && nowhere >= 0);
	ASSERT_TRUE(dup2(nowhere, STDERR_FILENO) >= 0);
	close(nowhere);
	return loud;
}

static void unmute(int loud)
{
	ASSERT_TRUE(dup2(loud, STDERR_FILENO) >= 0);
	close(loud);
}

static void shrink(struct oracle *o, const char *question, const char *folder)
{
	FILE *from, *to;
	char path[256], *line = NULL;
	size_t size = 0;
	int status, loud;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/failed", test_dir());
	write_failure(o, path, question);
	fflush(stdout);
	pid = start_shrinking(path, folder, &from, &to);
	loud = mute();
	o->is_shrinking = true;
	while (getline(&line, &size, from) > 0)
		answer(o, line, to);
	o->is_shrinking = false;
	unmute(loud);
	free(line);
	fclose(from);
	fclose(to);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
}

static void fail(struct oracle *o, const char *question, const struct outcome *got)
{
	const char *folder = getenv("BERM_REGRESSIONS");
	char said[3 * MAX_LABEL];

	describe(o, got, said, sizeof(said));
	test_failed(__FILE__, __LINE__, "world %s: %.*s; it was %s", o->world,
		    (int)strcspn(question, "\n"), question, said);
	o->wrong++;
	if (!folder)
		folder = "tests/oracle/regressions";
	if (*folder && strncmp(o->world, "regressions/", 12) != 0)
		shrink(o, question, folder);
	o->has_failed = true; /* other worlds have been on the node since */
}

static void read_line(struct oracle *o, const char *text)
{
	cJSON *line = cJSON_Parse(text);
	struct outcome got = { 0 };
	bool is_question;

	ASSERT_TRUE(line);
	is_question = cJSON_HasObjectItem(line, "ask");
	if (cJSON_HasObjectItem(line, "world"))
		forget(o);
	else if (o->has_failed) {
		cJSON_Delete(line);
		return;
	}
	if (!is_question)
		change(o, line);
	else if (!ask(o, line, &got))
		fail(o, text, &got);
	remember(o, text, is_question);
	cJSON_Delete(line);
}

/* ---- ---------------------------------------------------------------------------------------------------------- */

static FILE *start_cases(uint64_t seed, unsigned int count)
{
	char command[512];
	FILE *cases;

	snprintf(command, sizeof(command),
		 "exec python3 -B tests/oracle/cases.py --seed %" PRIu64 " --count %u", seed,
		 count);
	cases = popen(command, "r");
	ASSERT_TRUE(cases);
	return cases;
}

static void open_node(struct oracle *o)
{
	struct berm_problems damage = { 0 };
	struct berm_err err = { 0 };
	char dir[256];

	snprintf(dir, sizeof(dir), "%s/documents", test_dir());
	ASSERT_OK(berm_log_open(&(struct berm_log_opts){ .program = "test",
							 .level = BERM_LOG_ERROR },
				&err),
		  &err); /* warnings about documents are no news here */
	onnode_own_run();
	o->dp = datapath_load(NULL);
	o->port = FIRST_PORT;
	ASSERT_OK(berm_engine_open(&o->engine, &o->dp->maps, &err), &err);
	ASSERT_OK(berm_explain_open(&o->dp->maps, &(struct berm_session_opts){ 0 }, &o->explain,
				    &err),
		  &err);
	o->uplink = uplink_bpf__open_and_load();
	ASSERT_TRUE(o->uplink);
	ASSERT_OK(berm_lastgood_open(dir, &o->store, &damage, &err), &err);
	o->intake = (struct berm_intake){ .model = &o->engine.model, .store = o->store };
}

/* As many as were asked for, of every sort. */
static void expect_enough(const struct oracle *o, unsigned int count)
{
	static const enum berm_reason seen[] = {
		BERM_REASON_POLICY_ALLOW,    BERM_REASON_POLICY_DENY, BERM_REASON_DEFAULT_DENY,
		BERM_REASON_NOT_ISOLATED,    BERM_REASON_ESSENTIAL,   BERM_REASON_SERVICE_MIXED,
		BERM_REASON_SERVICE_UNKNOWN,
	};

	EXPECT_GE(o->asked, count);
	if (count < MANY)
		return; /* too few to expect anything */
	EXPECT_GT(o->blocked, count / 1000);
	EXPECT_GT(o->rejected, count / 200);
	EXPECT_GT(o->by_flow, count / 1000);
	EXPECT_GT(o->logged, count / 1000);
	EXPECT_GT(o->would, count / 1000);
	for (size_t i = 0; i < ARRAY_SIZE(seen); i++)
		EXPECT_GT(o->reason[seen[i]], count / 1000);
}

static void tell(const struct oracle *o)
{
	printf("# %u flows: %u denied, %u of them rejected, %u by a rule with a name, %u by an exact flow; %" PRIu64
	       " generations, %" PRIu64 " followed\n",
	       o->asked, o->denied, o->rejected, o->by_rule, o->by_flow, o->engine.applied,
	       o->engine.followed);
	printf("# %u logged, %u would fare otherwise by what is only tried, %u dropped at the uplink\n",
	       o->logged, o->would, o->blocked);
	for (uint32_t r = 0; r < BERM_REASON_COUNT; r++)
		if (o->reason[r])
			printf("# %s: %u\n", datapath_reason(r), o->reason[r]);
}

static unsigned int how_many(void)
{
	const char *many = getenv("BERM_CASES");

	if (many)
		return (unsigned int)strtoul(many, NULL, 0);
	return getenv("BERM_LONG") ? VERY_MANY : MANY;
}

TEST(oracle,
     "random documents of every kind, and how they change: the programs do what another reading of the documents says, by the rule that it names")
{
	static struct oracle o;
	const char *given = getenv("BERM_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0)
			      : (uint64_t)getpid() * 2654435761u % 1000000007;
	size_t size = 0;
	char *line = NULL;
	FILE *cases;

	printf("# BERM_SEED=%" PRIu64 " runs the same cases again\n", seed);
	open_node(&o);
	cases = start_cases(seed, how_many());
	while (o.wrong < MAX_FAILURES && getline(&line, &size, cases) > 0)
		read_line(&o, line);
	free(line);
	forget(&o);
	free(o.said.item);
	tell(&o);
	if (o.wrong)
		return; /* it has been told */
	EXPECT_EQ(pclose(cases), 0);
	expect_enough(&o, how_many());
}
