/* SPDX-License-Identifier: Apache-2.0 */
/*
 * applied.h - what the kernel holds, and one generation in the making; for the apply*.c files only.
 *
 * The order of work is that of docs/updates.md: find out what differs (nothing visible happens, and it
 * may fail), write it beside what is in force (may fail: undone), switch (cannot fail), and later, in
 * steps with a grace period before each, take away what nobody can meet any more.
 */
#ifndef BERM_APPLIED_H
#define BERM_APPLIED_H

#include <stdbool.h>

#include "apply.h"
#include "array.h"
#include "intern.h"
#include "store.h"

#define NONE UINT32_MAX

/* ---- ids: taken lowest first, given back only when no packet can hold them ----------------------------- */

struct id_pool {
	uint64_t *word; /* a bit each, 1 = in use */
	uint32_t limit, used;
	uint32_t hint; /* everything below is in use */
};

int berm_ids_open(struct id_pool *p, uint32_t first, uint32_t limit);
void berm_ids_close(struct id_pool *p);
uint32_t berm_ids_take(struct id_pool *p,
		       uint32_t count); /* the first of count in a row, or NONE */
void berm_ids_mark(struct id_pool *p, uint32_t first, uint32_t count);
void berm_ids_give(struct id_pool *p, uint32_t first, uint32_t count);
uint32_t berm_ids_end(const struct id_pool *p); /* behind the last one that is taken */
bool berm_ids_taken(const struct id_pool *p, uint32_t id);

#define CLASS_LIMIT (2 * 65536u) /* old and new ones live side by side */
#define TABLE_LIMIT 16384u
#define FLOWS_LIMIT (2 * BERM_MAX_SETS)
#define CELL_UNITS  (BERM_MAX_CELLS / BERM_CELLS_PER_BLOCK)
#define COL_UNITS   (BERM_MAX_COLS / BERM_COLS_PER_BLOCK)
#define PORT_SPACE  ((uint32_t)BERM_PLANE_COUNT << 16)

/* ---- what the kernel holds ------------------------------------------------------------------------------ */

enum class_state {
	CLASS_FREE,
	CLASS_NAMED,	/* its digest is known */
	CLASS_NAMELESS, /* passing: of a transition, or found in the maps */
};

struct applied_class {
	struct berm_digest id;
	uint8_t state; /* enum class_state */
};

struct applied_peer {
	struct berm_addr addr;
	uint32_t cls;
	uint32_t flags; /* BERM_PEER_* */
};

struct applied_front {
	struct berm_addr addr;
	uint32_t at;
	uint32_t cls;
};

struct applied_prefix {
	struct berm_addr addr;
	uint32_t bits, cls;
};

/* A CIDR table never changes: another content is another table. */
struct applied_table {
	uint32_t id;
	struct applied_prefix *prefix; /* longest first, then by address */
	size_t count;
	bool keep; /* of this generation */
};

/* Nor does a table of exact flows. */
struct applied_flows {
	uint32_t id;
	struct berm_flow_key *key; /* sorted */
	uint32_t *rule;		   /* index */
	size_t count;
	bool keep; /* of this generation */
};

/* A set never changes what it says of a class and a port; rows and columns only arrive and go. */
struct applied_set {
	uint32_t id;
	struct berm_set value;
	uint32_t cell_units, col_units; /* 64-byte elements from value.base and value.cols on */
	uint32_t nrows;
	uint32_t *cell; /* [nrows * ncols] rule index */
	uint8_t *col;	/* [col_units * 64] by port class */
	uint16_t *row; /* [row_count] by class; beyond it, the default row. In the kernel: what is not
			 * the default row */
	uint32_t row_count;
	struct berm_digest plan_id;   /* of the plan set that it was last */
	struct berm_digest judgement; /* likewise; 0 unknown */
	/* of this generation */
	uint32_t owner;	     /* plan set that it stays for or is made for, NONE */
	uint32_t view;	     /* its table's, see struct move */
	uint16_t *rowmap;    /* owner's row -> row here, for classes that are new */
	bool moves;	     /* it is new, and an address moved to another row of it */
	bool left;	     /* an endpoint goes from here to another set */
	bool differs;	     /* to it, a moved address is in another row */
	bool used;	     /* some endpoint has it */
	uint64_t dirty_cols; /* elements of columns that have changed, by bit */
};

struct applied_span { /* ports of all planes in one line: plane << 16 | index */
	uint32_t first, last;
	uint32_t pc;
};

typedef BERM_ARRAY(struct applied_span) spans_t;
typedef BERM_ARRAY(struct berm_row_key) row_keys_t;

/* What a generation leaves behind. */
struct garbage {
	int stage; /* 0: nothing; 1, 2: a grace period, and then that step */
	uint64_t ticket;
	/* step 1: moved addresses come to rest; what was replaced goes */
	BERM_ARRAY(struct applied_peer) peer;	/* cls NONE: delete */
	BERM_ARRAY(struct applied_front) front; /* likewise */
	spans_t span;				/* how the ports are cut afterwards, if merges */
	bool merges;
	row_keys_t row;
	BERM_ARRAY(struct applied_set *) set;
	BERM_ARRAY(struct applied_table *) table;
	BERM_ARRAY(struct applied_flows *) flows;
	struct berm_numbers cls, rule;
	bool names;	/* drop the names of rules that are gone */
	bool in_flight; /* packets may still hold a set that their endpoint has left, or an address that
			 * was deleted at once: no step, but nothing new before a grace period */
	/* step 2: what packets could still meet until step 1 */
	row_keys_t late_row;
	struct berm_numbers late_cls, late_pc;
};

struct berm_apply {
	struct berm_store *store;
	struct id_pool cls_ids, table_ids, flow_ids, set_ids, pc_ids, rule_ids, cell_units,
		col_units;
	struct applied_class *cls; /* [cls_room] by id */
	uint32_t cls_room;
	struct applied_peer *peer; /* sorted by address */
	size_t peer_count;
	struct applied_front *front; /* sorted by address and port */
	size_t front_count;
	BERM_ARRAY(struct applied_table *) table;
	BERM_ARRAY(struct applied_flows *) flows;
	struct applied_set *set[BERM_MAX_SETS];
	spans_t span;				  /* sorted; no gap */
	BERM_ARRAY(struct berm_rule) rule;	  /* by index */
	BERM_ARRAY(struct berm_plan_ns) ns;	  /* sorted by name */
	struct berm_names names, next_names;	  /* in the file; without the old ones */
	size_t row_count, cidr_count, flow_count; /* elements in the maps */
	struct garbage garbage;
	bool names_stale, memo_stale; /* the file could not be written */
	bool lost;		      /* we do not know what the maps hold: read them */
	bool recover;		      /* a generation was cut off: judge every session again */
};

int berm_applied_read(struct berm_apply *a, struct berm_err *err); /* from the maps, from scratch */
void berm_applied_forget(struct berm_apply *a);
int berm_applied_memo_write(const struct berm_apply *a, struct berm_err *err);
int berm_applied_memo_read(struct berm_apply *a);
int berm_applied_class_name(struct berm_apply *a, uint32_t cls, const struct berm_digest *id);
int berm_applied_class_mark(struct berm_apply *a, uint32_t cls); /* nameless */

/* ---- a generation in the making -------------------------------------------------------------------------- */

/* Addresses that go the same way. Absent from berm_peers, an address has the class of its longest prefix,
 * in each table another: view[] has one per table in play, view 0 is of sets without a table. */
struct move {
	uint32_t from, to;    /* class it is seen as; NONE: see view */
	uint32_t rest;	      /* class it has in the end; NONE: none, it is deleted */
	const uint32_t *view; /* [view_count], where from or to is NONE */
	uint32_t via; /* class they have from before the switch until step 1; NONE: deleted at once */
	uint32_t count;
	bool has_peers; /* not only frontends, for whose sake no session is judged again */
	bool is_shaken; /* a frontend goes, not at once */
};

struct change {
	struct berm_addr addr;
	uint32_t at;		       /* of a frontend; NONE: a peer */
	uint32_t from, to;	       /* NONE: absent */
	uint32_t flags_from, flags_to; /* of a peer */
	uint32_t move;		       /* NONE: deleted at once */
};

/* Elements of one map to write. */
struct batch {
	char *key, *value;
	size_t count, room;
};

struct generation {
	struct berm_apply *a;
	const struct berm_plan *plan;
	struct berm_err *err;
	size_t writes, switched, rejudged;

	uint32_t *cls;	    /* [plan class] -> id */
	uint32_t *plan_cls; /* [class id] -> plan class, NONE */
	uint32_t plan_cls_count;
	bool *is_new_cls;	     /* [plan class] */
	struct berm_numbers new_cls; /* their ids */
	uint32_t *table;	     /* [plan table] -> id, 0 if not wanted or empty */
	uint32_t *flows;	     /* [plan flows] -> id, 0 if not wanted */
	uint32_t *rule;		     /* [plan rule] -> index, 0 if not wanted */
	struct applied_set **set;    /* [plan set]; NULL: nobody needs it */
	bool *wanted;		     /* [plan set] by some endpoint of this node */
	bool *table_wanted, *rule_wanted, *flows_wanted; /* [plan table] and so on by such a set */
	bool *is_made;					 /* [plan set] set[] is being made */
	uint32_t *tried;				 /* [plan set] set id that did not match */
	uint32_t *endpoint;				 /* [slot] -> plan endpoint, NONE */

	spans_t span;	    /* ports cut by the old and the new spans */
	uint32_t *pc_plan;  /* [port class] -> plan interval, NONE */
	uint32_t pc_count;  /* highest port class + 1 */
	uint32_t need_cols; /* sets must be that wide first; 0 = all are */

	BERM_ARRAY(struct change) change;
	struct berm_intern move_key;
	BERM_ARRAY(struct move) move;
	struct berm_numbers view;	   /* table ids; 0 is none */
	struct applied_table **view_table; /* [view.count], NULL: none */
	struct berm_numbers passing;	   /* transition classes */
	size_t arriving, arriving_fronts;  /* that are new in the map */

	struct berm_names names; /* of the plan, with indices, sorted by id */
	struct batch put[BERM_MAP_COUNT];
	struct batch late_set; /* berm_sets: after all else of the sets is there */
	struct batch peer_del, front_del, ns_del;
	char warning[256];
	struct applied_peer *peer; /* what a->peer will be */
	struct applied_front *front;
};

int berm_batch_add(struct batch *b, enum berm_map_id map, const void *key, const void *value);
void berm_batch_clear(struct batch *b);

/* apply_class.c, apply_table.c, apply_rule.c, apply_port.c: plan -> kernel ids, in this order */
int berm_gen_classes(struct generation *g);
uint32_t berm_gen_class_new(struct generation *g);
int berm_gen_tables(struct generation *g);
uint32_t berm_table_class(const struct applied_table *t,
			  const struct berm_addr *addr); /* or NONE */
struct applied_table *berm_table_find(const struct berm_apply *a, uint32_t id);
void berm_table_free(struct applied_table *t);
int berm_table_batch(const struct applied_table *t, struct batch *b);
int berm_gen_rules(struct generation *g);
int berm_gen_names(struct generation *g);
int berm_gen_ports(struct generation *g);
int berm_port_units(const spans_t *from, const spans_t *to, struct batch *b);
int berm_gen_port_merges(struct generation *g);

/* apply_flow.c */
struct applied_flows *berm_flow_table_find(const struct berm_apply *a, uint32_t id); /* or NULL */
struct applied_flows *berm_flow_table_new(size_t count);
void berm_flow_table_free(struct applied_flows *f);
int berm_gen_flows(struct generation *g); /* after the rules */
uint32_t berm_gen_flows_of(const struct generation *g, const struct berm_plan_set *p);
int berm_gen_leave_flows(struct generation *g, struct garbage *gb); /* after the sets */
int berm_garbage_flows(struct berm_apply *a, struct garbage *gb, struct berm_err *err);
int berm_applied_read_flows(struct berm_apply *a, struct batch *stray, struct berm_err *err);

/* apply_set.c */
uint32_t berm_set_row(const struct applied_set *s, uint32_t cls);
/* No set of the plan's: it goes, unless an endpoint that the plan does not judge (its pod is not known any
 * more) keeps it. */
bool berm_set_is_foreign(const struct applied_set *s);
int berm_set_row_put(struct applied_set *s, uint32_t cls, uint32_t row);
void berm_set_free(struct applied_set *s);
void berm_set_give_ids(struct berm_apply *a, const struct applied_set *s);
int berm_gen_match(struct generation *g);
int berm_gen_build(struct generation *g);
int berm_gen_rows(struct generation *g);
int berm_set_batch(struct generation *g, const struct applied_set *s);
int berm_gen_row(struct generation *g, struct applied_set *s, uint32_t cls, uint32_t row);
/* Row of a class after this generation, also of a class that is new. */
uint32_t berm_gen_set_row(const struct generation *g, const struct applied_set *s, uint32_t cls);
#define for_each_set(a, s)                                                                         \
	for (uint32_t id_ = BERM_SET_FIRST; id_ < BERM_MAX_SETS; id_++)                            \
		if (((s) = (a)->set[id_]) != NULL)

/* apply_endpoint.c */
void berm_gen_endpoints(struct generation *g);
void berm_gen_left(struct generation *g);
int berm_gen_switch(struct generation *g);
void berm_gen_bump(struct generation *g);
void berm_bump_foreign(struct berm_apply *a);

/* apply_move.c */
int berm_gen_changes(struct generation *g);
int berm_gen_view(struct generation *g, uint32_t table, uint32_t *ret);
void berm_gen_conflicts(struct generation *g);
int berm_gen_moves(struct generation *g);
int berm_gen_peers(struct generation *g);
void berm_gen_moved(struct generation *g);
int berm_gen_peers_undo(struct generation *g, struct berm_err *err);

/* apply_ns.c */
int berm_gen_namespaces(struct generation *g);
int berm_gen_namespaces_undo(struct generation *g, struct berm_err *err);

/* apply.c, apply_widen.c: room in all sets for port classes below `need`; changes no verdict */
int berm_gen_write_unseen(struct generation *g);
void berm_set_applying(struct berm_apply *a, bool on);
int berm_apply_widen(struct berm_apply *a, uint32_t need, struct berm_err *err);

/* apply_garbage.c */
int berm_gen_leave(struct generation *g);
int berm_garbage_step(struct berm_apply *a, struct berm_err *err);
void berm_garbage_free(struct garbage *gb);

#endif /* BERM_APPLIED_H */
