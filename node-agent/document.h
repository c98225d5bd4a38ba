/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document.h - from text to checked objects: YAML/JSON -> cJSON with positions -> struct berm_policy,
 * berm_pod, berm_namespace. Used by the agent and by `bermctl lint`: the same code, no root, no kernel.
 */
#ifndef BERM_DOCUMENT_H
#define BERM_DOCUMENT_H

#include <stddef.h>

#include "err.h"
#include "model.h"
#include "policy.h"

enum berm_severity { BERM_WARNING, BERM_ERROR };

struct berm_problem { /* one line of lint output */
	enum berm_severity severity;
	char *source;	/* file, or "file key policy.yaml" for a document inside a ConfigMap */
	int line, column; /* in the file the user wrote (inside a ConfigMap's block too); 0 = unknown */
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
 * identity could be read is reported as `broken` so that the caller keeps the last good one.
 */
enum berm_object_kind { BERM_OBJ_NAMESPACE, BERM_OBJ_POD, BERM_OBJ_POLICY };

struct berm_object {
	enum berm_object_kind kind;
	enum berm_policy_kind policy_kind; /* for BERM_OBJ_POLICY */
	char *ns, *name;
	bool broken;
	/* exactly one, unless broken: */
	struct berm_namespace *namespace;
	struct berm_pod *pod;
	struct berm_policy *policy;
	/* of a broken policy, as far as it could be read (design/policy.md, "What an invalid document does") */
	struct berm_policy *isolation; /* subject and isolate only, no allows; NULL: could not be read */
	char *key;	/* identity of the chunk: "file#configmap/ns/name/key" */
	char *text;	/* the document as written, for the last-good store; NULL if broken */
};

struct berm_objects {
	struct berm_object *item;
	size_t count;
	char **unreadable; /* keys with a chunk that does not parse: every last good object of them stays */
	size_t unreadable_count;
};

/*
 * Parse a whole file: several documents (---), YAML or JSON, plain objects (Namespace, Pod, ConfigMap, NetworkPolicy, bare
 * SegmentationPolicy in namespace `berm-system` unless it says otherwise, List). Other Kubernetes kinds are
 * ignored silently (Service, Deployment...); an unknown kind inside a policy ConfigMap is an error.
 * Returns 0 also when documents are invalid: what is wrong is in problems. -ENOMEM, -E2BIG (> 8 MiB).
 */
int berm_document_parse(const char *source, const char *text, size_t size, struct berm_objects *out,
			struct berm_problems *problems, struct berm_err *err) must_check;

void berm_objects_clear(struct berm_objects *objects);
void berm_problems_clear(struct berm_problems *problems);
/* "shop.yaml:12:9: error: SegmentationPolicy shop/web: ingress[0].port: unknown field; did you mean 'ports'?" */
int berm_problem_format(const struct berm_problem *problem, char *out, size_t size);

#endif /* BERM_DOCUMENT_H */
