/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * abi.h - everything the kernel side and user space must agree on.
 *
 * Rules for this file:
 *   - fixed-width types only: no pointers, no bool, no enum-typed fields;
 *   - every hole is a named pad field, and writers zero it;
 *   - every struct that crosses the border carries a size assertion;
 *   - changing a struct or the meaning of a field means bumping BERM_ABI_VERSION;
 *   - zero never means "allow": a cell, a rule or an endpoint that nobody wrote denies.
 *
 * Byte order: ports and addresses are in network order (__be16, __be32), everything else in host order.
 * Time: "jiffies" is the low 32 bits of bpf_jiffies64(); compare by signed difference.
 */
#ifndef BERM_ABI_H
#define BERM_ABI_H

#include <linux/types.h>
#include <linux/bpf.h> /* struct bpf_spin_lock: the verifier wants this very type */

#define BERM_ABI_VERSION 5

/* The pod's point of view: ingress enters the pod (program to_pod), egress leaves it (from_pod). */
enum berm_dir { BERM_INGRESS, BERM_EGRESS, BERM_DIR_COUNT };

/* What a rule does. 0 is a hole that nobody filled: it denies (BERM_REASON_NO_RULE). A rejection is a denial that
 * the sender hears of; whatever is not ALLOW does not pass. */
enum berm_action { BERM_ACTION_NONE, BERM_ACTION_ALLOW, BERM_ACTION_DENY, BERM_ACTION_REJECT };

/*
 * Why a packet got its verdict. One line per reason; the enum, the names in flows and metrics and
 * docs/reasons.md come from this list. Numbers are ABI: append, never renumber.
 * A verdict that no rule of a document decided carries the reason's number as its rule id.
 */
/* clang-format off */
#define BERM_REASONS(X)                                                                        \
	X(NONE, 0, "none", "not decided yet")                                                  \
	X(SESSION, 1, "session", "belongs to a session that a rule allowed")                   \
	X(POLICY_ALLOW, 2, "policy-allow", "a rule allows it")                                 \
	X(POLICY_DENY, 3, "policy-deny", "a rule denies it")                                   \
	X(DEFAULT_DENY, 4, "default-deny", "the pod is isolated and no rule matches")          \
	X(NOT_ISOLATED, 5, "not-isolated", "no policy isolates the pod in this direction")     \
	X(HOST, 6, "host", "the node's own traffic to its pod")                                \
	X(OWN_ADDRESS, 7, "own-address", "the pod talks to its own address")                   \
	X(LINK_LOCAL, 8, "link-local", "ARP, neighbour discovery, MLD, IGMP or DHCP")                \
	X(ESSENTIAL, 9, "essential", "DNS, API server or own node, granted to isolated pods")  \
	X(FALLBACK, 10, "fallback", "the agent has not judged this pod yet")                   \
	X(MISSING_STATE, 11, "missing-state", "the interface has no endpoint entry")           \
	X(NO_RULE, 12, "no-rule", "the decision matrix has a hole: please report")             \
	X(MALFORMED, 13, "malformed", "headers do not parse or contradict each other")         \
	X(SPOOFED_SOURCE, 14, "spoofed-source", "the pod does not own the source address")     \
	X(NOT_FOR_POD, 15, "not-for-pod", "unicast to an address that is not the pod's")       \
	X(ARP_SPOOF, 16, "arp-spoof", "ARP with another's MAC or IP as sender")                \
	X(ND_SPOOF, 17, "nd-spoof", "neighbour advertisement for another's address")           \
	X(ROGUE_RA, 18, "rogue-ra", "router advertisement or redirect from a pod")             \
	X(FOREIGN_ETHERTYPE, 19, "foreign-ethertype", "neither IP nor ARP")                    \
	X(FRAGMENT, 20, "fragment", "a later fragment without an allowed first one")              \
	X(TABLE_FULL, 21, "table-full", "allowed, but the session table had no room")          \
	X(LOOPBACK_SOURCE, 22, "loopback-source", "a loopback address on the wire")            \
	X(SERVICE_MIXED, 23, "service-mixed", "some backends of the Service are not allowed")  \
	X(SERVICE_UNKNOWN, 24, "service-unknown", "no backend is known behind this address")   \
	X(HAIRPIN, 25, "hairpin", "the pod has reached itself through a Service")              \
	X(RELATED, 26, "related", "an ICMP error about a session that a rule allowed")         \
	X(REJECTION, 27, "rejection", "our own answer to a packet that was rejected")
/* clang-format on */

enum berm_reason {
#define X(id, num, name, help) BERM_REASON_##id = num,
	BERM_REASONS(X)
#undef X
		BERM_REASON_COUNT
};
#define BERM_REASON_MAX 64	   /* room in the counters; never shrinks */
#define BERM_RULE_FIRST 1024	   /* rule ids below are reasons */
#define BERM_RULE_ID	0x0fffffff /* no rule id is larger; a session keeps its application above it */

/*
 * What a session carries, as the first bytes of its payload say (cfg_apps): id, number, name, help. 0 to 3: not known
 * yet, and so many packets with payload have not told. The fourth that does not makes it UNKNOWN for good.
 */
/* clang-format off */
#define BERM_APPS(X)                                                                           \
	X(UNKNOWN, 4, "unknown", "none of the others, or its beginning was not seen")          \
	X(HTTP, 5, "http", "HTTP/1: a request line")                                           \
	X(TLS, 6, "tls", "TLS: a ClientHello")                                                 \
	X(H2, 7, "h2", "HTTP/2 without TLS: its preface")                                      \
	X(DNS, 8, "dns", "DNS: a query, over UDP or TCP")                                      \
	X(SSH, 9, "ssh", "SSH: the first line of either side")
/* clang-format on */

enum berm_app {
#define X(id, num, name, help) BERM_APP_##id = num,
	BERM_APPS(X)
#undef X
};
#define BERM_APP_NONE	  14 /* of a protocol whose payload nobody looks at */
#define BERM_APP_SHIFT	  28
#define BERM_APP_OF(rule) ((rule) >> BERM_APP_SHIFT) /* of berm_session.rule */

/* IPv4 is stored v4-mapped (::ffff:a.b.c.d), so one code path serves both families. */
struct berm_addr {
	__be32 w[4];
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct berm_addr) == 16, "berm_addr is ABI");

/* ---- limits ---------------------------------------------------------------------------------- */

#define BERM_MAX_ENDPOINTS    4096 /* slots; slot 0 is never used */
#define BERM_MAX_ADDRS	      4	   /* own addresses of one pod */
#define BERM_MAX_PEERS	      400000
#define BERM_MAX_FRONTENDS    65536
#define BERM_MAX_CIDRS	      131072
#define BERM_MAX_ROWS	      262144
#define BERM_MAX_SETS	      4096
#define BERM_MAX_RULES	      131072
#define BERM_MAX_CELLS	      524288 /* twice the documented limit: old and new blocks live side by side */
#define BERM_MAX_COLS	      1048576 /* bytes of column tables, all sets */
#define BERM_MAX_PORT_CLASSES 4096
#define BERM_MAX_LOCAL	      1024 /* node addresses */
#define BERM_MAX_NAMESPACES   16384
#define BERM_MAX_FRAGMENTS    16384 /* datagrams in pieces, under way */

/* ---- session table: set-associative buckets in an array map ---------------------------------- */

#define BERM_WAYS	     7
#define BERM_BUCKETS_DEFAULT 37450 /* 262,150 sessions, 19 MB */

/*
 * How far a session has come (slot and header carry the same byte). Bits are only added, so that CPUs that
 * race cannot move it back; RESET alone is taken away again, by the next segment that is no RST.
 */
#define BERM_SESSION_OPEN	    0x01 /* the opener has spoken */
#define BERM_SESSION_ANSWERED	    0x02 /* the other side has answered */
#define BERM_SESSION_OPENER_FIN	    0x04 /* TCP, SCTP: the opener has said that it will send no more */
#define BERM_SESSION_ANSWERER_FIN   0x08 /* TCP, SCTP: the other side has */
#define BERM_SESSION_OPENER_ACKED   0x10 /* TCP: the opener's FIN has been acknowledged */
#define BERM_SESSION_ANSWERER_ACKED 0x20 /* TCP: the other side's has */
#define BERM_SESSION_RESET                                                                         \
	0x40 /* TCP: RST seen, SCTP: ABORT or SHUTDOWN COMPLETE, and nothing since */
#define BERM_SESSION_ESTABLISHED 0x80 /* decides the replacement class */
#define BERM_SESSION_PROGRESS	 0xff

/* What a session is, from its first packet on: the upper bits of berm_session.slot. */
#define BERM_SESSION_HOST     0x1000 /* opened by the node itself: needs no policy */
#define BERM_SESSION_FROM_POD 0x2000 /* opener is the pod: judged as egress; else as ingress */
#define BERM_SESSION_ADOPTED  0x4000 /* picked up in the middle of a flow */
#define BERM_SESSION_SPILLED  0x8000 /* stands in its second bucket */
#define BERM_SESSION_ORIGIN   0xf000
#define BERM_SESSION_SLOT     0x0fff
_Static_assert(BERM_SESSION_SLOT == BERM_MAX_ENDPOINTS - 1, "a slot leaves four bits");

/*
 * How long a session lives without a packet: id, name of the setting, default, least, most (seconds), what it
 * is for. The agent's options and docs come from this list; at most BERM_TIMEOUT_ROOM.
 */
/* clang-format off */
#define BERM_TIMEOUTS(X)                                                                       \
	X(HALF_OPEN, "half-open", 30, 5, 600, "not established yet, from the first packet")    \
	X(TCP, "tcp", 10800, 300, 604800, "established TCP")                                   \
	X(HALF_CLOSED, "half-closed", 3600, 30, 604800, "TCP of which one side has sent FIN")  \
	X(CLOSING, "closing", 120, 5, 3600, "TCP of which both sides have sent FIN, SCTP that shuts down")           \
	X(RESET, "reset", 10, 1, 600, "TCP after an RST, SCTP after ABORT")                                      \
	X(UDP, "udp", 180, 10, 604800, "established UDP")                                      \
	X(OTHER, "other", 180, 10, 604800, "established flows of other protocols")
/* clang-format on */

enum berm_timeout {
#define X(id, name, seconds, least, most, help) BERM_TIMEOUT_##id,
	BERM_TIMEOUTS(X)
#undef X
		BERM_TIMEOUT_COUNT
};
#define BERM_TIMEOUT_ROOM 16

/* One way, one cache line. Keyed from the pod's point of view, so both directions find it. */
struct berm_session {
	struct berm_addr peer;
	__u64 word; /* epoch << 32 | signature of the whole key (stands for the local address):
			    * ONE word, so an epoch is never read with another session's key */
	__be16 local_port; /* ICMP echo: see datapath.md */
	__be16 peer_port;
	__u32 iface; /* ifindex << 8 | IP protocol */
	__u32 rule;  /* id of the rule that allowed it | application << BERM_APP_SHIFT */
	__u16 slot;  /* endpoint slot = index of the epoch | BERM_SESSION_ORIGIN bits */
	__u8 seen;   /* jiffies >> 6 of the last packet */
	__u8 state;  /* BERM_SESSION_PROGRESS bits */
	__u32 packets[BERM_DIR_COUNT];
	__u64 bytes[BERM_DIR_COUNT];
};
_Static_assert(sizeof(struct berm_session) == 64, "berm_session is one cache line");

struct berm_bucket {
	struct bpf_spin_lock lock; /* writers only */
	__u32 spill;		   /* entries of this home that stand in their other bucket */
	__u32 deadline[BERM_WAYS]; /* jiffies */
	__u16 tag[BERM_WAYS];	   /* 0: free */
	__u8 state[BERM_WAYS];
	__u8 owner[BERM_WAYS]; /* low byte of the endpoint slot */
	struct berm_session way[BERM_WAYS];
};
_Static_assert(sizeof(struct berm_bucket) == 512, "berm_bucket is ABI");

/* ---- node: one page-aligned block that programs and user space share (mmap) ------------------- */

#define BERM_NODE_MISSING_DENY 0x1 /* interface without endpoint entry: drop instead of pass */
#define BERM_NODE_EVENTS       0x2 /* somebody reads the ring buffer */
#define BERM_NODE_EVENTS_ALLOW 0x4 /* new allowed sessions make events too */

struct berm_node {
	__u32 abi;	  /* BERM_ABI_VERSION of whoever made the maps */
	__u32 flags;	  /* BERM_NODE_* */
	__u64 generation; /* last generation that is completely in force; 0 = agent has never judged */
	__u32 hash_seed[10]; /* random per boot, never 0 */
	__u32 applying;	  /* a generation is being brought in: who finds it set after a crash of the
			      * agent re-judges every session */
	__u32 essentials; /* set that slots taken with BERM_SET_ESSENTIALS really get; 0 = none yet */
	__u32 cidr_version; /* goes up after every write to berm_cidrs: what berm_cidr_hot says is old */
	__u32 mark; /* skb->mark of our own answers between the two hooks of a device; random, never 0 */
	__u64 zero; /* always 0, which the verifier does not know (bpf/bucket.h, unknown()) */
	__s32 held[2][256];		 /* ways by [established][owner] */
	__u32 epoch[BERM_MAX_ENDPOINTS]; /* by slot; starts random, only ever incremented */
};

/* ---- endpoints -------------------------------------------------------------------------------- */

#define BERM_EP_FALLBACK      0x01 /* the agent has not judged it yet: verdicts say so */
#define BERM_EP_ALLOW_SPOOF   0x02 /* no source check (annotation) */
#define BERM_EP_ANY_ETHERTYPE 0x04
#define BERM_EP_DHCP	      0x08 /* may send DHCP from 0.0.0.0 */
#define BERM_EP_ISOLATED_IN   0x10 /* some policy isolates it (also for fragments, ethertypes) */
#define BERM_EP_ISOLATED_OUT  0x20
/* What becomes of sessions of a direction that are judged again and denied; neither: they stop. */
#define BERM_EP_KEEP_IN	  0x40
#define BERM_EP_KEEP_OUT  0x80
#define BERM_EP_RESET_IN  0x100
#define BERM_EP_RESET_OUT 0x200

/* ARRAY by slot, mmap-able: the two set ids are switched by one aligned 8-byte store. */
struct berm_endpoint {
	__u32 set[BERM_DIR_COUNT] __attribute__((aligned(8)));
	__u32 would[BERM_DIR_COUNT]; /* sets with the audit members in them: say what would be; 0 = no such members */
	__u32 ifindex;	     /* host veth; 0 = slot is free */
	__u32 flags;	     /* BERM_EP_* */
	__u32 born;	     /* epoch when the slot was taken: older sessions are a stranger's */
	__u32 adopt_until;   /* jiffies; 0 = never adopt */
	__u32 allowed_table; /* CIDR table of further source addresses; 0 = none */
	__u8 mac[6];	     /* of the pod's interface */
	__u8 addr_count;
	__u8 pad[5];
	struct berm_addr addr[BERM_MAX_ADDRS];
};
_Static_assert(sizeof(struct berm_endpoint) == 112, "berm_endpoint is ABI");

/* ---- who and what ------------------------------------------------------------------------------ */

/* Value of berm_peers and berm_frontends. Always updated in place (BPF_F_LOCK): a replaced hash element could be handed
 * to another address while a packet still reads it. */
struct berm_peer {
	struct bpf_spin_lock lock;
	__u32 cls; /* | BERM_PEER_* */
};
_Static_assert(sizeof(struct berm_peer) == 8, "berm_peer is ABI");

/* Where to ask berm_frontends before the class is believed; on the way out only. */
#define BERM_PEER_FRONTENDS	 0x80000000u /* under this very address */
#define BERM_PEER_NODE_FRONTENDS 0x40000000u /* under ::, of IPv4 ::ffff:0.0.0.0: any own address */
#define BERM_PEER_CLASS		 0x3fffffffu

struct berm_frontend_key { /* where a connection is led elsewhere after it has left the pod */
	struct berm_addr addr;
	__u32 at; /* plane << 16 | port */
	__u32 pad;
};
_Static_assert(sizeof(struct berm_frontend_key) == 24, "berm_frontend_key is ABI");

struct berm_cidr_key { /* LPM: prefixlen counts the 32 bits of table too */
	__u32 prefixlen;
	__be32 table;
	__u8 addr[16]; /* v4-mapped */
};
_Static_assert(sizeof(struct berm_cidr_key) == 24, "berm_cidr_key is ABI");

/*
 * What a look-up in berm_cidrs has found: a trie of many prefixes costs more than all the rest, and who is denied
 * comes again. PERCPU_ARRAY, direct-mapped by address and table; written by the programs only.
 */
#define BERM_CIDR_HOT 1024
struct berm_cidr_hot {
	__u64 addr[2];
	__u64 of; /* table << 32 | node->cidr_version as it was before */
	__u32 cls;
	__u32 check; /* of all the above: an element that was half overwritten says nothing */
};
_Static_assert(sizeof(struct berm_cidr_hot) == 32, "berm_cidr_hot is ABI");

#define BERM_CLASS_NONE	  0 /* never in a map */
#define BERM_CLASS_WORLD4 1 /* addresses that nothing names */
#define BERM_CLASS_WORLD6 2
#define BERM_CLASS_FIRST  16

/* Planes of the port table. Index inside: port; ICMP type << 8 | code; IP protocol number. */
enum berm_plane {
	BERM_PLANE_TCP,
	BERM_PLANE_UDP,
	BERM_PLANE_SCTP,
	BERM_PLANE_ICMP,
	BERM_PLANE_ICMPV6,
	BERM_PLANE_OTHER,
	BERM_PLANE_COUNT
};

/* Array elements take at least 8 bytes, so small things are packed 64 bytes to an element. */
#define BERM_PORTS_PER_BLOCK 32
#define BERM_COLS_PER_BLOCK  64
#define BERM_CELLS_PER_BLOCK 16
struct berm_port_block { /* element: (plane << 16 | index) / 32 */
	__u16 port_class[BERM_PORTS_PER_BLOCK];
};
struct berm_col_block {
	__u8 col[BERM_COLS_PER_BLOCK];
};
struct berm_cell_block {
	__u32 rule[BERM_CELLS_PER_BLOCK]; /* rule index; 0 = hole = deny */
};
_Static_assert(sizeof(struct berm_port_block) == 64, "packed block");
_Static_assert(sizeof(struct berm_col_block) == 64, "packed block");
_Static_assert(sizeof(struct berm_cell_block) == 64, "packed block");

#define BERM_PORT_ENTRIES (BERM_PLANE_COUNT * 65536 / BERM_PORTS_PER_BLOCK)

/* ---- policy sets: immutable decision matrices -------------------------------------------------- */

#define BERM_SET_OPEN 0 /* not isolated: allowed without a matrix */
#define BERM_SET_DENY 1 /* denies everything, reason fallback: no matrix either */
#define BERM_SET_ESSENTIALS                                                                        \
	2 /* fallback isolate-namespace: whoever takes a slot with it gets
			       * node->essentials, a set like any other that the agent keeps;
			       * until there is one, the same as BERM_SET_DENY */
#define BERM_SET_FIRST 16

struct berm_set {
	__u32 base;	   /* first cell: cells[base + row * ncols + col] */
	__u32 cols;	   /* first column byte: cols[cols + port class] */
	__u16 ncols;	   /* 0 = no matrix: every packet is denied */
	__u16 default_row; /* of classes without a row entry */
	__u32 table;	   /* CIDR table; 0 = none */
};
_Static_assert(sizeof(struct berm_set) == 16, "berm_set is ABI");

struct berm_row_key {
	__u32 set;
	__u32 cls;
};

struct berm_rule {
	__u32 id; /* stable; names in the rule-name file (lib/names.h) */
	__u32 precedence;
	__u8 action; /* enum berm_action */
	__u8 reason; /* enum berm_reason */
	__u8 pad[6];
};
_Static_assert(sizeof(struct berm_rule) == 16, "berm_rule is ABI");

/* ---- what happened ------------------------------------------------------------------------------ */

/* Session table statistics. */
/* clang-format off */
#define BERM_STATS(X)                                                                          \
	X(SESSION_NEW, "session_new")                                                          \
	X(SESSION_PROMOTED, "session_promoted")                                                \
	X(SESSION_REJUDGED, "session_rejudged")                                                \
	X(SESSION_REVOKED, "session_revoked")                                                  \
	X(SESSION_ADOPTED, "session_adopted")                                                  \
	X(SESSION_FULL, "session_full")                                                        \
	X(REPLACED_DEAD, "replaced_dead")                                                      \
	X(REPLACED_HALF_OPEN, "replaced_half_open")                                            \
	X(REPLACED_ESTABLISHED, "replaced_established")                                        \
	X(EVENT_SENT, "event_sent")                                                            \
	X(EVENT_LOST, "event_lost")                                                            \
	X(EVENT_SUPPRESSED, "event_suppressed")                                                \
	X(EVENT_LOST_TOLD, "event_lost_told") /* of event_lost: what events have reported */   \
	X(FRAGMENT_LOST, "fragment_lost") /* an allowed first one could not be written down */ \
	X(TCP_ILLEGAL, "tcp_illegal") /* segments that no TCP would have sent there (bpf/tcp.h) */ \
	X(ENDED_SENT, "ended_sent") /* sessions that have left: told of (struct berm_ended)... */ \
	X(ENDED_LOST, "ended_lost") /* ...or not, the ring was full: together, all of them */   \
	X(ENDED_LOST_TOLD, "ended_lost_told") /* of ended_lost: what later ones have reported */ \
	X(REJECT_SENT, "reject_sent") /* answers to rejected packets */                        \
	X(REJECT_SILENT, "reject_silent") /* rejected, but nobody is answered (bpf/reject.h) */ \
	X(REJECT_LIMITED, "reject_limited") /* likewise, because too many were answered */     \
	X(SESSION_KEPT, "session_kept") /* denied now, and kept as its policies want */        \
	X(SESSION_RESET, "session_reset") /* packets for which both ends were reset */          \
	X(AUDIT_DENIED, "audit_denied") /* new flows that passed, and would not (audit) */      \
	X(AUDIT_ALLOWED, "audit_allowed") /* those that did not, and would */
/* clang-format on */

enum berm_stat {
#define X(id, name) BERM_STAT_##id,
	BERM_STATS(X)
#undef X
		BERM_STAT_COUNT
};
#define BERM_STAT_MAX 32

struct berm_counters { /* PERCPU_ARRAY of one element */
	__u64 packets[BERM_DIR_COUNT][BERM_REASON_MAX];
	__u64 bytes[BERM_DIR_COUNT][BERM_REASON_MAX];
	__u64 stat[BERM_STAT_MAX];
};

/* sent + lost + suppressed = verdicts that wanted an event: exact. */
struct berm_event {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	struct berm_addr local;
	struct berm_addr peer;
	__be16 local_port;
	__be16 peer_port;
	__u32 ifindex;
	__u32 rule; /* id */
	__u32 cls;  /* peer class */
	__u32 epoch;
	__u32 len;	  /* of this packet, with Ethernet header */
	__u32 suppressed; /* verdicts of the same (endpoint, class, port, reason) since its last event */
	__u32 lost;	  /* events this CPU could not send since the last one it could */
	__u16 slot;
	__u8 proto;
	__u8 dir;    /* enum berm_dir: direction of this packet */
	__u8 action; /* enum berm_action */
	__u8 reason; /* enum berm_reason */
	__u8 tcp_flags;
	__u8 is_reply;
	__u8 app; /* enum berm_app; less than the first of them: not known (yet) */
	__u8 would_action; /* what audit policies would make of it, if that is not `action`... */
	__u8 would_reason; /* ...and why; 0: they would make no difference */
	__u8 pad;
	__u32 would_rule; /* id; 0: no difference */
};
_Static_assert(sizeof(struct berm_event) == 88, "berm_event is ABI");

/* The event of a session that has been found to carry TLS or HTTP, with the payload that said so. Told from
 * the others by its size. */
#define BERM_SAMPLE_MAX 1024
struct berm_sample {
	struct berm_event event;
	__u32 len; /* of data */
	__u32 pad;
	__u8 data[BERM_SAMPLE_MAX];
};
_Static_assert(sizeof(struct berm_sample) == 1120, "berm_sample is ABI");

/* How a session has left the table. What it was doing then its state says. */
enum berm_ended_cause {
	BERM_ENDED_EXPIRED,  /* past its deadline: swept, or its way was given to another */
	BERM_ENDED_REPLACED, /* alive, but another had to have its way */
	BERM_ENDED_DELETED,  /* its interface was given up */
	BERM_ENDED_CAUSE_COUNT
};

/* The final counts of a session: in the ring buffer berm_ended, if cfg_ended and BERM_NODE_EVENTS say that somebody
 * wants to know. ended_sent + ended_lost = sessions that have left meanwhile: exact. */
struct berm_ended {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	struct berm_addr peer;
	__be16 local_port; /* the local address is not kept: the pod's own */
	__be16 peer_port;
	__u32 iface; /* ifindex << 8 | IP protocol */
	__u32 rule;  /* id */
	__u32 packets[BERM_DIR_COUNT];
	__u32 lost; /* of such events this CPU could not send since the last one it could */
	__u64 bytes[BERM_DIR_COUNT];
	__u16 slot; /* | BERM_SESSION_ORIGIN bits */
	__u8 state; /* BERM_SESSION_PROGRESS bits */
	__u8 cause; /* enum berm_ended_cause */
	__u8 is_stale; /* no packet of it has passed under the policy in force: it may have been revoked */
	__u8 pad[3];
};
_Static_assert(sizeof(struct berm_ended) == 72, "berm_ended is ABI");

/* ---- fragments ----------------------------------------------------------------------------------- */

/* A datagram in pieces whose first one was allowed. LRU_HASH; written by the programs only. */
struct berm_fragment_key {
	struct berm_addr peer;
	struct berm_addr local;
	__u32 id; /* as it lies in the header; of IPv4 16 bits */
	__u32 iface; /* ifindex << 8 | protocol; of IPv6 0, its reassembly does not ask (RFC 8200, 4.5) */
	__u32 dir; /* enum berm_dir */
	__u32 pad;
};
_Static_assert(sizeof(struct berm_fragment_key) == 48, "berm_fragment_key is ABI");

struct berm_fragment {
	__u64 word;	/* epoch << 32 | id: an element may become another's while it is read */
	__u32 deadline; /* jiffies */
	__u32 rule;	/* id; of the first fragment, as the reason */
	__u16 slot;
	__u16 judged; /* bytes of the datagram that the verdict rests upon */
	__u8 reason;
	__u8 pad[3];
};
_Static_assert(sizeof(struct berm_fragment) == 24, "berm_fragment is ABI");

/* ---- the block list at the uplink: maps of uplink.bpf.c, made and filled by the agent alone --------------- */

#define BERM_MAX_BLOCKS 65536

/* berm_blocks: LPM_TRIE struct berm_cidr_key -> struct berm_block. The table of a key is its family. */
#define BERM_BLOCKS_V4 4
#define BERM_BLOCKS_V6 6

#define BERM_BLOCK_ALL                                                                             \
	0x1 /* the pods may not ask there either: no packet from there can be an answer */
struct berm_block {
	__u32 flags; /* BERM_BLOCK_* */
	__u32 hit;   /* index of the rule in berm_hits */
};
_Static_assert(sizeof(struct berm_block) == 8, "berm_block is ABI");

/* berm_shielded: HASH berm_addr -> u32 1: pods of this node that the emergency rules are in force for */

struct berm_uplink_counters { /* berm_uplink_counters: PERCPU_ARRAY of one element; of what was dropped */
	__u64 packets;
	__u64 bytes;
};
/* ---- rejections ---------------------------------------------------------------------------------- */

/* Answers of one pod in one second. PERCPU_ARRAY by slot; written by the programs only. */
#define BERM_REJECTS_PER_S 1000
struct berm_rejects {
	__u32 since; /* jiffies */
	__u32 count;
};
_Static_assert(sizeof(struct berm_rejects) == 8, "berm_rejects is ABI");

/* ---- names -------------------------------------------------------------------------------------- */

/* Map name = pin name. (node is libbpf's ".data.node"; its pin is "berm_node".) */
/* clang-format off */
#define BERM_MAPS(X)                                                                           \
	X(sessions) X(node) X(ifaces) X(endpoints) X(peers) X(cidrs) X(rows) X(sets) X(ports)  \
	X(cols) X(cells) X(rules) X(hits) X(counters) X(events) X(throttle) X(local)           \
	X(ns_isolation) X(frontends) X(fragments) X(cidr_hot) X(ended) X(rejects)
/* clang-format on */

/* berm_ifaces:       HASH   ifindex u32 -> slot u32 (written at ADD, deleted at DEL, never changed)
 * berm_local:        HASH   berm_addr -> u32 1: addresses of the node itself
 * berm_hits:         ARRAY  rule index -> u64 packets judged (slow path only)
 * berm_ns_isolation: HASH   struct berm_ns -> u32 bit mask 1 << enum berm_dir (user space only) */
struct berm_ns {
	char name[64]; /* zero padded; a Kubernetes namespace has at most 63 bytes (RFC 1123 label) */
};

/*
 * Explain: the programs loaded once more over the same maps with cfg_explain = 1, for BPF_PROG_TEST_RUN
 * only. They judge and leave no trace. The path of the packet goes in through skb->cb, the verdict comes
 * back in it (give ctx_in and ctx_out; retval is -1 or 2 as ever). A packet from outside needs an ingress
 * ifindex, or it looks like the node's own.
 */
#define BERM_EXPLAIN_HOST 0x1 /* cb[0]: the packet has a socket of this node */
#define BERM_EXPLAIN_NEW  0x2 /* cb[0]: as if it had no session */
enum berm_explain_cb {
	BERM_CB_FLAGS,	    /* in: BERM_EXPLAIN_* */
	BERM_CB_IIF,	    /* in: ifindex it came in by, 0 = made on this node */
	BERM_CB_REASON = 2, /* out: enum berm_reason | enum berm_action << 8 */
	BERM_CB_RULE,	    /* out: rule id */
	BERM_CB_CLASS,	    /* out: class of the peer, 0 = not looked up */
	/* out, over what went in: what audit policies would make of it, if they would make a difference */
	BERM_CB_WOULD = BERM_CB_FLAGS,	  /* enum berm_reason | enum berm_action << 8; 0: none */
	BERM_CB_WOULD_RULE = BERM_CB_IIF, /* rule id */
};

/* Parameters of the maintenance program berm_sweep, at the start of the packet given to TEST_RUN
 * behind a 14-byte Ethernet header. Each run walks `count` buckets from `first`. */
struct berm_sweep_args {
	__u32 first;
	__u32 count;   /* at most 256 */
	__u32 ifindex; /* != 0: free the sessions of this interface, else the expired ones */
	__u32 freed;   /* out */
};

/* The same of berm_move, which fills a session table of another size from the one before (berm_sessions_old). */
struct berm_move_args {
	__u32 first;   /* bucket of the old table */
	__u32 count;   /* at most 256 */
	__u32 ifindex; /* != 0: the sessions of this interface, else all */
	__u32 take; /* 0: a copy whose counts begin at 0; 1: they leave the old table, and their counts go along */
	__u32 moved; /* out */
	__u32 lost;  /* out: taken, but no way or no address was found for them */
};

#endif /* BERM_ABI_H */
