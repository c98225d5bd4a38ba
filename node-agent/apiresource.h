/* SPDX-License-Identifier: Apache-2.0 */
/* apiresource.h - what is watched at an API server, and how each request for it is written. No I/O. */
#ifndef BERM_APIRESOURCE_H
#define BERM_APIRESOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

struct berm_apiresource {
	const char *plural; /* "networkpolicies", as users write it */
	const char *kind;   /* "NetworkPolicy"; NULL: not for the model */
	const char *word;   /* of the sources' names: "networkpolicy" */
	const char *version;
	const char *path;
	const char *label_selector; /* not escaped; NULL: none */
	const char *field_selector;
	bool is_metadata_only; /* as PartialObjectMetadata */
	bool is_node;	       /* the own one, by name */
	bool is_service;       /* watched only while a policy asks where a Service leads to */
	bool keeps_uid;	       /* of its objects, for what refers to them */
	bool is_optional;      /* servers without this resource (404) have none of it */
	bool is_announcement;  /* its objects say that an optional resource has come */
	bool is_filtered; /* field_selector may be dropped, because the reader of the items knows how */
};

enum berm_apirequest {
	BERM_API_LIST,	 /* from the server's cache, nothing older than `version` */
	BERM_API_RELIST, /* from its storage: the cache is older than what we know */
	BERM_API_STREAM, /* a watch that begins with what there is */
	BERM_API_WATCH,	 /* on from a resourceVersion */
};

struct berm_apiquery {
	const struct berm_apiresource *resource;
	enum berm_apirequest request;
	const char *version;	    /* resourceVersion; NULL: a LIST takes what there is */
	const char *node;	    /* name of the own node */
	unsigned int timeout_s;	    /* of a watch */
	bool has_no_field_selector; /* the server does not know it */
};

extern const struct berm_apiresource berm_apiresources[];
extern const size_t berm_apiresource_count;

/* Path and query, malloc'ed; NULL: no memory. */
char *berm_apiquery_path(const struct berm_apiquery *query);
const char *berm_apiquery_accept(const struct berm_apiquery *query);

#endif /* BERM_APIRESOURCE_H */
