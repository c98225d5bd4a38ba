/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoints.h - the pods of this node that carry our programs: what the kernel says (slots), joined with what
 * the plugin wrote down (records), brought into the model. No attaching here (reconcile.h), no policy.
 *
 * The kernel is the truth: a slot whose record is lost or unreadable stays an endpoint, and a record
 * without a slot is none.
 */
#ifndef BERM_ENDPOINTS_H
#define BERM_ENDPOINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "maps.h"
#include "model.h"
#include "record.h"

struct berm_endpoints;

struct berm_endpoint_view { /* borrowed, valid until the next change */
	uint32_t slot, ifindex;
	const struct berm_record *record;	 /* NULL: lost, or ADD is still at work */
	const struct berm_local_endpoint *local; /* as it stands in the model; NULL: not yet */
	bool fallback;				 /* the kernel says that nobody has judged it */
	const char *problem;			 /* NULL: none. Set by berm_endpoints_problem */
};

/* node: name of this node, to tell its pods from others (copied). */
int berm_endpoints_new(struct berm_maps *maps, struct berm_model *model, const char *node,
		       struct berm_endpoints **ret, struct berm_err *err) must_check;
void berm_endpoints_free(struct berm_endpoints *eps); /* accepts NULL */

/* A record was written or is gone. */
int berm_endpoints_put(struct berm_endpoints *eps, const struct berm_record *rec) must_check;
void berm_endpoints_drop(struct berm_endpoints *eps, const char *container_id, const char *ifname);
void berm_endpoints_drop_all(struct berm_endpoints *eps);
const struct berm_record *berm_endpoints_record(const struct berm_endpoints *eps,
						const char *container_id, const char *ifname);
/* The next record after prev (NULL: the first), in no particular order. Dropping the one that was returned
 * last is allowed only after its successor has been asked for. */
const struct berm_record *berm_endpoints_next(const struct berm_endpoints *eps,
					      const struct berm_record *prev);
size_t berm_endpoints_record_count(const struct berm_endpoints *eps);

/*
 * Compares slots, records and model and puts what is new or changed, removes what is gone. settled: nobody is
 * in the middle of an ADD as far as the caller can tell, so an endpoint without a record may be named by
 * its address. Returns the number of changes, or -ENOMEM.
 */
int berm_endpoints_sync(struct berm_endpoints *eps, bool settled, struct berm_err *err) must_check;

/* false: no endpoint in this slot. */
bool berm_endpoints_view(const struct berm_endpoints *eps, uint32_t slot,
			 struct berm_endpoint_view *out);

/* What an operator must know about it; "" clears. Returns true if that is news. */
bool berm_endpoints_problem(struct berm_endpoints *eps, uint32_t slot, const char *text);

/* The pod of this node that has the address according to the documents, or NULL. */
const struct berm_pod *berm_endpoints_pod_at(const struct berm_endpoints *eps,
					     const struct berm_addr *addr);

#endif /* BERM_ENDPOINTS_H */
