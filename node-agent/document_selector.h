/* SPDX-License-Identifier: Apache-2.0 */
/* document_selector.h - labels, label selectors and names as Kubernetes writes and checks them. */
#ifndef BERM_DOCUMENT_SELECTOR_H
#define BERM_DOCUMENT_SELECTOR_H

#include <stdbool.h>

#include "field.h"
#include "selector.h"

/* meta/v1 LabelSelector, in normal form. False: a problem was added, *out holds what was readable. */
bool berm_read_selector(const struct berm_field *field, struct berm_selector *out);
/* A mapping of texts: metadata.labels. */
bool berm_read_labels(const struct berm_field *field, struct berm_labels *out);

/* RFC 1123: a label has at most 63, a subdomain at most 253 characters. */
bool berm_is_dns_label(const char *text);
bool berm_is_dns_subdomain(const char *text);
/* [prefix/]name of a label, as apimachinery's IsQualifiedName. */
bool berm_is_label_key(const char *text);
bool berm_is_label_value(const char *text);

#endif /* BERM_DOCUMENT_SELECTOR_H */
