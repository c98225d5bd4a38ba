/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compiler.h - the compiler's working state, for the compile*.c files only. Made by one compilation, and kept
 * for the small changes of its model that compile_follow.c can follow.
 *
 * The order of work is that of this file: namespaces and policies -> subjects (one per namespace,
 * direction and list of policies) -> groups (peer lists) -> classes (addresses) and CIDR tables -> port
 * spans -> matrices -> the plan. docs/compiler.md tells the same as a story.
 *
 * Every step returns 0, -ENOMEM, or -E2BIG: a policy was refused, begin again without it.
 */
#ifndef BERM_COMPILER_H
#define BERM_COMPILER_H

#include "array.h"
#include "cleanup.h"
#include "compile.h"
#include "digest.h"
#include "frontend.h"
#include "intern.h"
#include "model.h"
#include "plan.h"

#define NONE UINT32_MAX

/* ---- namespaces and policies ------------------------------------------------------------------------ */

struct compile_ns {
	const char *name;
	const struct berm_labels *labels;
	struct berm_labels own; /* of a namespace that is only mentioned: its name */
	struct berm_label own_label;
	bool default_deny;
	struct berm_numbers policy; /* whose documents are in it, the cluster-wide ones left out */
	struct berm_numbers broad;  /* terms about its pods that demand no label */
};

/* Where a rule stands in the walk of design/policy.md, "Evaluation". */
enum compile_stage {
	STAGE_EMERGENCY = 1,
	STAGE_ADMIN,
	STAGE_APPLICATION,
	STAGE_NETWORKPOLICY,
	STAGE_ISOLATION,
	STAGE_BASELINE,
	STAGE_DEFAULT
};

struct compile_policy {
	uint32_t ns;
	uint8_t isolate; /* 1 << dir; of a refused one also the directions of its rules */
	uint8_t essentials;
	bool used;		   /* selects a local endpoint */
	uint32_t rule, rule_count; /* in compiler.rule, once used */
};

struct compile_span { /* ports of all planes in one line: plane << 16 | index */
	uint32_t first, last;
};
#define SPAN_END ((uint32_t)BERM_PLANE_COUNT << 16)

struct compile_rule {
	const struct berm_policy *policy;
	const struct berm_policy_rule *rule;
	uint32_t policy_index;
	uint32_t group; /* GROUP_ANY: everyone */
	uint8_t stage;
	uint8_t action;	     /* enum berm_rule_action, after "fail closed" */
	uint32_t precedence; /* lower first; of the document's content only */
	uint32_t rank;	     /* order among all rules of this compilation */
	bool is_audit;	     /* counts only where s->would */
	bool all_ports;
	uint32_t span, span_count; /* in compiler.span: sorted, merged */
	uint32_t name, name_count; /* in compiler.rule_name */
};
#define GROUP_ANY (NONE - 1)

/* A flow with its local end at a pod of this node; sorted: dir, local, and so on down to index. */
struct compile_flow {
	struct berm_addr local, peer;
	uint16_t local_port, peer_port;
	uint8_t plane, dir, stage;
	const struct berm_policy *policy;
	const struct berm_policy_flow *flow;
	uint32_t policy_index;
	uint32_t precedence;
	uint32_t name; /* the first of the policy, direction, action and name */
};

/* One direction of what is, or of what would be if the audit members counted. */
struct compile_view {
	uint8_t dir;
	bool would;
};

struct compile_range { /* in compiler.flow: of one local address */
	uint32_t first, count;
};

struct compile_decided { /* a connection whose flow decides */
	uint32_t flow, verdict;
};

/* ---- subjects --------------------------------------------------------------------------------------- */

struct compile_resolved { /* a named port and one of the numbers it stands for */
	uint32_t name;
	uint32_t at; /* plane << 16 | port */
};

/* Decides one direction of all endpoints of a namespace that have the same policies. */
struct compile_subject {
	uint32_t ns; /* NONE: of any, only cluster-wide policies decide */
	uint8_t dir;
	bool default_deny;
	bool isolated;		/* by a policy */
	bool grants_dns;	/* where it would deny implicitly */
	bool grants_apiserver;	/* likewise */
	bool rejects;		/* where it denies implicitly */
	uint8_t on_change;	/* enum berm_policy_change */
	bool would;		/* what would be, with the audit members: decides nothing */
	bool is_essentials;	/* BERM_SET_ESSENTIALS: no policies */
	const uint32_t *policy; /* isolating or with rules in dir */
	size_t policy_count;
	const struct compile_resolved *port; /* ingress: the endpoint's own named ports */
	size_t port_count;
	const struct compile_range *flow; /* the endpoint's own, of these policies and of others */
	size_t flow_count;
	struct berm_numbers rule;  /* in compiler.rule, in order of evaluation */
	struct berm_numbers start; /* first port of each elementary span, ascending */
	uint32_t table;		   /* in compiler.table, NONE */
	uint32_t implicit;	   /* verdict where nothing decides */
	/* the matrix */
	struct berm_numbers cell; /* verdicts, [row][span] */
	uint32_t nrows, ncols;
	uint8_t *col;  /* [start.count] */
	uint16_t *row; /* [class count], only of classes it can meet */
	uint32_t default_row;
	BERM_ARRAY(struct compile_decided) decided;
	struct berm_digest id;
};

struct compile_endpoint {
	const struct berm_pod *pod;
	uint32_t subject[BERM_DIR_COUNT]; /* NONE: open */
	uint32_t would[BERM_DIR_COUNT];	  /* NONE: no audit members */
	uint32_t allowed;		  /* table of further source addresses, NONE */
};

/* ---- groups: the peer list of a rule ----------------------------------------------------------------- */

struct compile_term {
	const struct berm_peer_term *peer;
	uint32_t ns;	      /* of pods; NONE: ns_selector, or any */
	uint32_t ns_selector; /* NONE: any */
	struct berm_digest id;
	struct berm_numbers group; /* that contain it */
};

struct compile_group {
	const uint32_t *term;
	size_t term_count;
	bool has_blocks;
	struct berm_digest id;
	struct berm_numbers cls; /* classes that it matches */
};

/* ---- classes ------------------------------------------------------------------------------------------ */

#define MARK_OWN_NODE 0x1
#define MARK_DNS      0x2
#define MARK_VIP      0x4 /* of a Service: on the way out only rules about everyone mean it */
#define CLASS_WORLD4  0
#define CLASS_WORLD6  1

struct compile_backend {
	uint32_t cls, at;
};

struct compile_class {
	uint32_t mark;
	uint32_t ports; /* in compiler.ports: what the named ports in use stand for there; 0 nothing */
	const uint32_t *group;
	size_t group_count;
	bool is_peer;	 /* some address has it whatever the table */
	uint32_t peers;	 /* how many */
	bool is_backend; /* or some backend of a frontend has it */
	bool is_front;	 /* of frontends at this place with these backends: no address has it */
	uint32_t front_at;
	const struct compile_backend *backend;
	size_t backend_count;
	struct berm_digest id;
};

struct compile_prefix {
	struct berm_addr addr;
	uint32_t bits, cls;
};

struct compile_table {
	const struct compile_prefix *prefix; /* as in struct berm_plan_table */
	size_t prefix_count;
	struct berm_digest id;
	struct berm_numbers cls; /* classes in it */
};

struct compile_peer {
	struct berm_addr addr;
	uint32_t cls;
	uint32_t flags;
};

enum compile_claim_kind {	 /* the lower one wins */
			  CLAIM_CLUSTER, /* a ClusterIP */
			  CLAIM_NODE,
			  CLAIM_NEWCOMER, /* an endpoint whose pod is not known yet: nobody else has its address */
			  CLAIM_ENDPOINT,
			  CLAIM_LEAVER, /* an endpoint whose pod has finished */
			  CLAIM_POD,
			  CLAIM_VIP, /* another address of a Service, if it is nobody's own */
			  CLAIM_BACKEND, /* behind a Service, and not known otherwise */
};

struct compile_claim {
	struct berm_addr addr;
	uint8_t kind;
	bool is_contested; /* another claim has lost */
	int64_t created;
	uint32_t pod; /* in the model; NONE: the node, or a pod that is not known yet */
};

struct compile_claims {
	struct compile_claim *item;
	size_t count, room;
};

/* A few addresses among many. */
struct compile_few {
	struct berm_addr *item; /* sorted, each once */
	size_t count, room;
	uint64_t hint[64]; /* of the others most have no bit here */
};

/* Who an address belongs to, and what was seen of it: for the next compilation (compile_inherit.c). */
struct compile_owner {
	struct berm_addr addr;
	const struct berm_pod *pod; /* whose labels and ports it has; NULL: nobody's */
	uint32_t set;		    /* groups of that pod */
	uint32_t cls;		    /* NONE: none is known */
	uint8_t kind;		    /* enum compile_claim_kind */
	uint8_t flags;		    /* enum berm_peer flags >> OWNER_FLAGS */
	bool is_a_pods;		    /* of a pod elsewhere, and nobody else says that it is his */
	bool always;		    /* it has an entry of its own even if no selector means it */
	bool is_backend;
};
#define OWNER_FLAGS 24

struct compile_about { /* what can be told about an owner */
	uint32_t set, ports, mark;
	bool is_nobody; /* only an endpoint of a Service */
};

/* Who is behind the Services that isolated pods may reach all the same. In a class such a place is a named port
 * with a name that no container can have. */
enum compile_essential_kind { ESSENTIAL_DNS, ESSENTIAL_APISERVER, ESSENTIAL_COUNT };

struct compile_essential {
	struct berm_addr addr;
	struct compile_resolved port;
};

/* ---- verdicts ------------------------------------------------------------------------------------------- */

enum compile_verdict_kind {
	VERDICT_RULE,	      /* a: rule */
	VERDICT_IMPLICIT,     /* a: dir, then the isolating policies */
	VERDICT_NAMESPACE,    /* a: dir, b: namespace with default deny */
	VERDICT_ESSENTIAL,    /* a: dir */
	VERDICT_NOT_ISOLATED, /* a: dir */
	VERDICT_FALLBACK,     /* a: dir */
	VERDICT_MIXED,	      /* some backends are allowed and some are not */
	VERDICT_LOGGED,	      /* a: verdict, b: Log rule that was met before it */
	VERDICT_FLOW,	      /* a: flow */
	VERDICT_UNKNOWN,      /* a Service's address without backends, denied implicitly */
};

/* ---- all of it ------------------------------------------------------------------------------------------- */

struct compiler {
	const struct berm_model *model;
	const bool *refused; /* [model->policy_count] */
	bool *refuse;	     /* the same, to add to */
	struct berm_problems *problems;
	unsigned int attempt;
	const struct compiler *from; /* the compilation before this one; NULL: there is none */
	const struct berm_model_changes *changes; /* since then */

	struct berm_intern ns_name;
	BERM_ARRAY(struct compile_ns) ns;
	struct compile_policy *policy;	  /* [model->policy_count] */
	struct berm_numbers cluster_wide; /* policies */
	BERM_ARRAY(struct compile_rule) rule;
	BERM_ARRAY(struct compile_span) span;
	struct berm_numbers rule_name;	   /* named ports of rules */
	struct berm_intern port_name;	   /* plane, name */
	BERM_ARRAY(bool) port_name_sought; /* in a rule about other pods */

	BERM_ARRAY(struct compile_flow) flow;
	BERM_ARRAY(struct berm_addr) flow_peer; /* sorted, each once */

	struct compile_endpoint *endpoint; /* [endpoint_count], as the model's */
	size_t endpoint_count;
	struct berm_intern subject_key;
	BERM_ARRAY(struct compile_subject) subject; /* 0: the essentials */

	struct berm_intern ns_selector; /* by content */
	BERM_ARRAY(const struct berm_selector *) ns_selector_of;
	BERM_ARRAY(uint8_t *) ns_selected; /* [ns_selector][ns]: does it select it */
	struct berm_intern label;	   /* namespace or NONE, key, value */
	BERM_ARRAY(struct berm_numbers) label_terms;
	struct berm_numbers broad; /* terms about pods anywhere that demand no label */
	struct berm_bytes scratch;
	struct berm_intern term_key;
	BERM_ARRAY(struct compile_term) term;
	struct berm_intern group_key;
	BERM_ARRAY(struct compile_group) group;

	struct berm_intern sets;  /* sorted lists of groups; 0 is the empty one */
	struct berm_intern ports; /* lists of struct compile_resolved; 0 is the empty one */
	struct berm_intern class_key;
	BERM_ARRAY(struct compile_class) cls;
	uint32_t *plan_class;				/* its number in the plan */
	BERM_ARRAY(struct compile_owner) owner;		/* by address */
	BERM_ARRAY(struct compile_peer) peer;		/* by address */
	BERM_ARRAY(struct compile_essential) essential; /* by address */
	uint32_t essential_name[ESSENTIAL_COUNT];
	struct berm_frontends front;
	struct berm_numbers front_cls;			       /* [front.item] */
	BERM_ARRAY(struct berm_addr) front_addr, backend_addr; /* sorted; of node frontends none */
	BERM_ARRAY(struct compile_peer)
	known; /* classes of addresses, also of backends that need no entry */
	struct berm_intern table_groups; /* list of groups -> the table that is made of it */
	struct berm_numbers table_of_groups;
	struct berm_intern table_key;
	BERM_ARRAY(struct compile_table) table;

	struct berm_intern verdict;
};

struct berm_compiled { /* compile.c */
	struct compiler compiler;
	struct berm_plan *plan;
	bool has_refused; /* documents over a limit */
};

/* compile_subject.c */
int berm_compile_namespaces(struct compiler *c);
int berm_compile_subjects(struct compiler *c);
int berm_compile_isolation(struct compiler *c, struct berm_plan *plan);
/* The number of a namespace by name; one that no object describes has only its name as label. */
int berm_compile_ns(struct compiler *c, const char *name, uint32_t *ret);

/* compile_rule.c */
int berm_compile_policy(struct compiler *c, uint32_t policy);
int berm_compile_order(struct compiler *c);
int berm_compile_verdict(struct compiler *c, const uint32_t *key, size_t count, uint32_t *ret);
/* The same verdict without the Log that was met before it, which is a rule or NONE. */
uint32_t berm_compile_unlogged(const struct compiler *c, uint32_t verdict, uint32_t *ret_log);
/* And back: the same verdict, and that this Log, unless it is NONE, was met before it. */
int berm_compile_logged(struct compiler *c, uint32_t log, uint32_t *verdict);
int berm_compile_names(struct compiler *c, struct berm_plan *plan, uint32_t *rule_of_verdict);

/* In compiler.rule, at equal priority: flows (Deny and Reject, Allow), Deny and Reject, Allow, Log, Pass. */
uint32_t berm_compile_precedence(const struct berm_policy *policy, uint8_t stage, uint8_t action,
				 bool is_flow);
uint8_t berm_compile_stage(const struct berm_policy *policy);

/* compile_flow.c */
int berm_compile_flows(struct compiler *c);
/* What the endpoint has of its own, of these policies. */
struct compile_own_flows {
	struct berm_numbers range;  /* of compile_flow: first, count, first, count ... */
	struct berm_numbers policy; /* that they are of */
};
int berm_compile_own_flows(const struct compiler *c, const struct berm_local_endpoint *ep,
			   const struct berm_numbers *policies, struct compile_view v,
			   struct compile_own_flows *ret);
int berm_compile_limit_flows(struct compiler *c);
bool berm_compile_is_flow_peer(const struct compiler *c, const struct berm_addr *addr);
bool berm_compile_same_flow(const struct compile_flow *a, const struct compile_flow *b);

/* compile_group.c */
int berm_compile_group(struct compiler *c, const struct compile_rule *rule, uint32_t *ret);
int berm_compile_selectors(struct compiler *c);
int berm_compile_pod_groups(struct compiler *c, const struct berm_pod *pod, uint32_t *ret_set);
bool berm_compile_term_matches(const struct compiler *c, const struct compile_term *t,
			       const struct berm_pod *pod, uint32_t ns);
/* Numbers of sorted lists of groups. */
int berm_compile_set(struct compiler *c, const struct berm_numbers *groups, uint32_t *ret);

/* compile_cidr.c */
struct compile_hit { /* an address and the CIDR groups it lies in */
	struct berm_addr addr;
	uint32_t set;
	bool in_service_cidr;
};
int berm_compile_blocks(struct compiler *c, struct compile_hit *hit, size_t count);
int berm_compile_tables(struct compiler *c);
/* A table of blocks alone: may this address be a source? */
int berm_compile_allowed(struct compiler *c, const struct berm_cidr *cidr, size_t count,
			 uint32_t *ret);
bool berm_compile_is_v4(const struct berm_addr *addr);

/* compile_owner.c: who an address belongs to */
/* Sorted by address, each once; only: NULL all. */
int berm_compile_claims(const struct compiler *c, const struct compile_few *only,
			struct compile_claims *out);
struct compile_owner berm_compile_owner(const struct compiler *c,
					const struct compile_claim *claim);
bool berm_compile_owns_addresses(const struct berm_pod *pod);
int berm_compile_few_add(struct compile_few *few, const struct berm_addr *addr, size_t count);
void berm_compile_few_sort(struct compile_few *few);
bool berm_compile_few_has(const struct compile_few *few, const struct berm_addr *addr);

/* compile_inherit.c: 1: classes, addresses and owners are those of the compilation before, but for what has changed; 0: that
 * is not worth while; -ENOMEM. */
int berm_compile_inherit(struct compiler *c);

/* compile_class.c */
int berm_compile_classes(struct compiler *c);
struct compile_batch { /* addresses to be looked at, in order */
	BERM_ARRAY(struct compile_about) about;
	BERM_ARRAY(struct compile_hit) hit;
	struct berm_numbers owner; /* in compiler.owner */
};
/* The last owner, if there is something to be seen of him. */
int berm_compile_batch_add(struct compiler *c, struct compile_batch *b,
			   const struct compile_about *about);
/* One of them, once all have found their blocks. groups: for use meanwhile. */
int berm_compile_batch_place(struct compiler *c, const struct compile_batch *b, size_t i,
			     struct berm_numbers *groups);
void berm_compile_batch_free(struct compile_batch *b);
int berm_compile_about_claim(struct compiler *c, uint8_t kind, const struct berm_pod *pod,
			     struct compile_about *ret);
bool berm_compile_has_services(const struct compiler *c);
/* The address is known to be of this class, and has an entry or not. */
int berm_compile_know(struct compiler *c, const struct compile_peer *peer, bool has_entry);
int berm_compile_class(struct compiler *c, const struct compile_class *want, bool v4,
		       uint32_t *ret);
int berm_compile_class_index(struct compiler *c);
int berm_compile_about(struct compiler *c, const struct berm_pod *pod, struct compile_about *ret);

struct compile_seen {		  /* an address as the rules see it */
	struct compile_class cls; /* its groups are in an array of the caller's */
	struct compile_peer peer; /* cls is not filled in */
	bool has_entry;		  /* of its own: where the tables do not say the same */
	bool always;		  /* not only for the groups that its pod is in */
	bool is_backend;	  /* it is behind a Service: it is known at least */
};
int berm_compile_see(struct compiler *c, const struct compile_about *about,
		     const struct compile_hit *hit, struct berm_numbers *groups,
		     struct compile_seen *ret);
void berm_compile_remember(struct compile_owner *owner, const struct compile_about *about,
			   const struct compile_seen *seen);
/* The class with these marks, ports and groups if there is one: 1, 0, -ENOMEM. */
int berm_compile_class_find(struct compiler *c, const struct compile_class *want, bool v4,
			    uint32_t *ret);

/* compile_frontend.c */
int berm_compile_frontends(struct compiler *c); /* before the classes: which matter */
uint32_t berm_compile_front_flags(const struct compiler *c, const struct berm_addr *addr,
				  bool is_own_node);
bool berm_compile_is_backend(const struct compiler *c, const struct berm_addr *addr);
bool berm_compile_has_node_places(const struct compiler *c, bool v4);
/* The ports of a class, and with them those of the essential Services at this address. */
int berm_compile_essential_ports(struct compiler *c, const struct berm_addr *addr, uint32_t *ports);
int berm_compile_front_classes(struct compiler *c); /* after them */

/* compile_port.c */
int berm_compile_rule_ports(struct compiler *c, struct compile_rule *rule);
int berm_compile_port_name(struct compiler *c, uint8_t plane, const char *name, uint32_t *ret);
int berm_compile_spans(struct compiler *c);
/* Does it pass on the way out, where the subject would deny implicitly and all who isolate it grant that. */
bool berm_compile_sees(const struct compile_subject *s, enum compile_essential_kind what);
size_t berm_compile_span_find(const struct compile_subject *s, uint32_t at);

/* compile_matrix.c */
int berm_compile_matrices(struct compiler *c);
/* Does the subject's matrix fit with these rules alone? 0, -E2BIG, -ENOMEM; s is left without a matrix. */
int berm_compile_try(struct compiler *c, const struct compile_subject *s,
		     const struct berm_numbers *rules);

/* compile_limit.c: what one document may cost (design: "Limits"). A document over a limit is refused: noted
 * in refuse and problems, and -E2BIG returned, so that the compilation begins again without it. */
#define BERM_LIMIT_PREFIXES	 16384 /* per namespace */
#define BERM_LIMIT_BOUNDS	 2048 /* per namespace: a thousand scattered ports in one rule are 2,000 */
#define BERM_LIMIT_ROWS		 256 /* per set */
#define BERM_LIMIT_COLS		 256
#define BERM_LIMIT_CELLS	 16384
#define BERM_LIMIT_NODE_PREFIXES 65536
#define BERM_LIMIT_NODE_CLASSES	 65536
#define BERM_LIMIT_NODE_SPANS	 4096
#define BERM_LIMIT_NODE_CELLS	 262144
#define BERM_LIMIT_NODE_ROWS	 65536
#define BERM_LIMIT_NODE_FLOWS	 100000
#define BERM_LIMIT_NODE_NAMES	 16384 /* of flows */
int berm_compile_limit_documents(struct compiler *c);
int berm_compile_refuse_policy(struct compiler *c, uint32_t policy, const char *what);
int berm_compile_refuse(struct compiler *c, const struct compile_subject *s, const char *what);
int berm_compile_limit_node(struct compiler *c, const struct berm_plan *plan);
#define BERM_LIMIT_ATTEMPTS 32

/* compile_plan.c */
int berm_compile_plan(struct compiler *c, struct berm_plan *plan);

#endif /* BERM_COMPILER_H */
