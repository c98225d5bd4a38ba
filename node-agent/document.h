/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document.h - from text to checked objects: YAML/JSON -> cJSON with positions -> struct berm_policy,
 * berm_pod, berm_namespace, berm_service and its kin. Used by the agent and by `bermctl lint`: the same code, no root, no kernel.
 */
#ifndef BERM_DOCUMENT_H
#define BERM_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "model.h"
#include "place.h"
#include "policy.h"

enum berm_severity { BERM_WARNING, BERM_ERROR };

/*
 * What kind of problem it is: X(id, name, help). Names are stable: people write them into scripts, and docs/policy.md lists
 * them (`bermctl lint --codes`).
 */
#define BERM_PROBLEM_CODES(X)                                                                      \
	X(INVALID, "invalid-value", "the value is of the right type and makes no sense there")     \
	X(SYNTAX, "syntax", "not the YAML or JSON that is read")                                   \
	X(UNKNOWN_FIELD, "unknown-field", "no field has this name there")                          \
	X(MISSING_FIELD, "missing-field", "a field that must be there is not")                     \
	X(WRONG_TYPE, "wrong-type", "a text, number, list or mapping where another is wanted")     \
	X(UNSUPPORTED, "unsupported", "a field, value or kind of another version")                 \
	X(UNKNOWN_KIND, "unknown-kind", "no such kind, or not of this API")                        \
	X(DUPLICATE, "duplicate", "documents or rules of one name, or flows about one connection") \
	X(TENANCY, "tenancy", "more than the namespace of the document may say")                   \
	X(BAD_CIDR, "bad-cidr", "no address block, or one with bits beyond its prefix")            \
	X(BAD_EXCEPT, "bad-except", "an exception that is no real part of its block")              \
	X(BAD_RANGE, "bad-range", "a range of ports, or a window of time, that holds nothing")     \
	X(BAD_ADDRESS, "bad-address", "no IP address, or that of the other end too")               \
	X(BAD_TIME, "bad-time", "no time of RFC 3339 with an offset, or a day of no calendar")     \
	X(BAD_EXPECT, "bad-expect", "an expectation that contradicts itself")                      \
	X(MORE, "more", "the document has more problems than are shown")                           \
	X(DOUBTFUL, "doubtful", "it is read, but perhaps not as it was meant")                     \
	X(FAILS_CLOSED, "fails-closed", "a rule that this version can read only in part")          \
	X(SHADOWED, "shadowed-rule", "another rule decides first all that this one could")         \
	X(NO_POD, "selects-nothing", "no pod that is known now is selected")                       \
	X(NO_PORT, "no-such-port", "no pod that it could mean has a port of this name")            \
	X(COVERED, "essential-covered", "an essential allows the same already")                    \
	X(CUTS_DNS, "cuts-dns", "isolated towards the outside, and nothing allows DNS")            \
	X(CUTS_APISERVER, "cuts-apiserver", "likewise, and nothing allows the API server")         \
	X(OVERLAP, "cidr-overlap", "a block lies in another of the same rule")                     \
	X(EXCEPT_UNDONE, "except-undone", "an exception that another block of the rule allows")    \
	X(OPENS, "opens-isolated", "it opens pods that a policy of another kind isolates")         \
	X(QUOTA, "near-limit", "near a limit of the compiler, or over it")                         \
	X(NO_IPSET, "no-such-ipset", "a rule names an IPSet that is not there")                    \
	X(EXPECTATION, "expectation-fails", "what a document expects does not hold")               \
	X(EXPIRED, "expired-rule", "a rule or document whose time is over: it does nothing")       \
	X(SCHEDULE, "doubtful-schedule",                                                           \
	  "a schedule without effect, or one that opens what is isolated")                         \
	X(UNCHECKED, "not-checked", "too many rules to compare all with all")                      \
	X(UNCONFIRMED, "unconfirmed", "a version that somebody must confirm in time")              \
	X(ROLLED_BACK, "rolled-back", "nobody has confirmed the version in time")

enum berm_problem_code {
#define X(id, name, help) BERM_CODE_##id,
	BERM_PROBLEM_CODES(X)
#undef X
		BERM_CODE_COUNT
};

struct berm_problem { /* one line of lint output */
	enum berm_severity severity;
	enum berm_problem_code code;
	char *source; /* file */
	int line,
		column; /* in that file, from 1, in characters (inside a ConfigMap's block too); 0 = unknown */
	char *field;	/* "ingress[0].ports[1].port" */
	char *message;	/* what is wrong */
	char *hint;	/* what to do, "did you mean ..."; may be NULL */
	char *document; /* "SegmentationPolicy shop/web" if that much could be read */
};

struct berm_problems {
	struct berm_problem *item;
	size_t count;
};

/*
 * One object that a source should put, or one that is there but broken. A policy that is invalid but whose
 * identity could be read is reported as `broken`: lastgood.h says what takes its place. A broken pod,
 * namespace, Service and so on has no object; what the model has of it stays.
 */
enum berm_object_kind {
	BERM_OBJ_NAMESPACE,
	BERM_OBJ_POD,
	BERM_OBJ_POLICY,
	BERM_OBJ_SERVICE,
	BERM_OBJ_SLICE,
	BERM_OBJ_SERVICE_CIDR,
};

struct berm_object {
	enum berm_object_kind kind;
	enum berm_policy_kind policy_kind; /* for BERM_OBJ_POLICY */
	char *ns, *name;
	bool broken;
	/* exactly one, unless broken: */
	struct berm_namespace *namespace;
	struct berm_pod *pod;
	struct berm_policy *policy;
	struct berm_service *service;
	struct berm_slice *slice;
	struct berm_service_cidr *service_cidr;
	/* of a broken policy, as far as it could be read (design/policy.md, "What an invalid document does") */
	struct berm_policy
		*isolation; /* subject and isolate only, no allows; NULL: could not be read */
	char *key; /* identity of the chunk: "file#configmap/ns/name/key", "file" of a plain object */
	char *carrier; /* namespace of the ConfigMap it came in; NULL: a plain object */
	char *text;    /* of a policy, as written, for the last-good store; NULL if broken */
	int line;      /* of the document in the file; 0 = unknown */
	enum berm_guarding {
		BERM_NOT_GUARDED,
		BERM_GUARD_WAITING, /* its ConfigMap's version has not been confirmed yet */
		BERM_GUARD_BACK, /* it has been in force before, and is again: whatever it expects */
	} guarding;
	/* of a good policy: where text stands in the file; borrows what was parsed. Unknown to an item of a List */
	struct berm_place place;
	bool has_place;
};

/* A chunk that does not parse, or does not say what it is: whatever it was, its last good version stays. */
struct berm_unreadable {
	char *key; /* as in berm_object; "file#configmap/ns/name" if the whole ConfigMap is meant */
	char *ns;  /* of a tenant's ConfigMap; NULL: nobody's or the system's */
	struct berm_policy
		*isolation; /* if that much of a nameless document could be read, else NULL */
};

#define BERM_GUARD_DIGEST 17 /* 16 hex digits and a NUL */

/* A ConfigMap with the annotation berm.dev/confirm-within. */
struct berm_guard {
	char *key; /* "file#configmap/ns/name" */
	char *ns, *name;
	int64_t within_s;
	int64_t written_s; /* the data, by the server's clock; 0: a file, which does not say */
	int64_t created_s, guarded_s; /* the object, the annotation; 0 unknown */
	char digest[BERM_GUARD_DIGEST];
	bool is_confirmed; /* berm.dev/confirmed is that digest */
	int line;	   /* of the annotation */
};

struct berm_objects {
	struct berm_object *item;
	size_t count;
	struct berm_unreadable *unreadable; /* one per chunk */
	size_t unreadable_count;
	struct berm_guard *guard;
	size_t guard_count;
};

/*
 * Parse a whole file: several documents (---), YAML or JSON, plain objects (Namespace, Pod, Service, EndpointSlice,
 * ServiceCIDR, ConfigMap, NetworkPolicy, ClusterNetworkPolicy, bare SegmentationPolicy in namespace `berm-system` unless it says otherwise, List). Other Kubernetes kinds are
 * ignored silently (Deployment...); an unknown kind inside a policy ConfigMap is an error.
 * Returns 0 also when documents are invalid: what is wrong is in problems (appended). A document that is
 * defined twice in one file counts once: the first. -ENOMEM, -E2BIG (> 8 MiB).
 */
int berm_document_parse(const char *source, const char *text, size_t size, struct berm_objects *out,
			struct berm_problems *problems, struct berm_err *err) must_check;

/*
 * One object as an API server sends it: JSON, whose kind is known whatever it says of it itself (items of a list do not
 * say it, and namespaces come as PartialObjectMetadata). Positions in it mean nothing to users and are left out,
 * but for those in the documents of a ConfigMap: their source is "configmap shop/x key policy.yaml".
 * Else like berm_document_parse().
 */
struct berm_document {
	const char *source; /* "configmap shop/x" */
	const char *kind;
	const char *text;
	size_t size;
};
int berm_document_parse_object(const struct berm_document *document, struct berm_objects *out,
			       struct berm_problems *problems, struct berm_err *err) must_check;

/*
 * One document again, from what the last-good store kept of it: carrier, key and text of a berm_object, and
 * the line it had. *ret is the policy; -EINVAL: this version does not take it (err says why).
 */
int berm_document_parse_kept(const char *source, const struct berm_object *kept,
			     struct berm_policy **ret, struct berm_err *err) must_check;

void berm_objects_clear(struct berm_objects *objects);
void berm_object_clear(struct berm_object *object); /* what it holds, not itself */
void berm_unreadable_clear(struct berm_unreadable *unreadable);
void berm_guard_clear(struct berm_guard *guard);
void berm_problems_clear(struct berm_problems *problems);
/* Copies the problem; control characters in its texts become '?'. -ENOMEM: nothing is added. */
int berm_problems_add(struct berm_problems *problems,
		      const struct berm_problem *problem) must_check;
const char *berm_problem_code_name(enum berm_problem_code code);
const char *berm_problem_code_help(enum berm_problem_code code);
/* Writes a line without a newline, cut to size; returns its length.
 * "shop.yaml:12:9: error: SegmentationPolicy shop/web: ingress[0].port: unknown field; did you mean 'ports'?" */
int berm_problem_format(const struct berm_problem *problem, char *out, size_t size);

#endif /* BERM_DOCUMENT_H */
