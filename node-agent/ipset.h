/* SPDX-License-Identifier: Apache-2.0 */
/* ipset.h - an IPSet: a list of address blocks with a name, for the peers of policies. Knows no policy. */
#ifndef BERM_IPSET_H
#define BERM_IPSET_H

#include <stddef.h>
#include <stdint.h>

#include "cidr.h"

#define BERM_MAX_IPSET 16384 /* blocks: what a namespace may have of them at all */

struct berm_ipset {
	char *ns, *name;
	struct berm_cidr *cidr; /* sorted, each once */
	size_t count;
	uint64_t digest; /* of namespace, name and blocks */
	char *source;	 /* for messages */
	int line;
};

void berm_ipset_sort(struct berm_ipset *set); /* and fills in the digest */
void berm_ipset_free(struct berm_ipset *set); /* accepts NULL */

#endif /* BERM_IPSET_H */
