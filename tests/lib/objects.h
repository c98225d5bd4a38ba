/* SPDX-License-Identifier: Apache-2.0 */
/*
 * objects.h - model objects from terse text, for tests. Stops the test on text that makes no sense.
 *
 *	objects_pod(&m, "shop/web-1", "app=web tier=front", "10.0.0.1 fd00::1");
 *	p = objects_policy(&m, BERM_KIND_NETWORK, "shop/db-in", "app=db");
 *	r = objects_rule(p, BERM_INGRESS, BERM_RULE_ALLOW, "web");
 *	objects_peer_pods(r, NULL, "app=web");
 *	objects_port(r, "tcp:5432");
 *
 * A rule is finished before the next one is begun: the array may move.
 * Selectors: words "k=v", "k=v|w" (In), "k!=v|w" (NotIn), "k" (Exists), "!k" (DoesNotExist); "" selects all.
 */
#ifndef BERM_TEST_OBJECTS_H
#define BERM_TEST_OBJECTS_H

#include "model.h"

void objects_namespace(struct berm_model *m, const char *name, const char *labels);
/* "shop/web-1"; addresses may be NULL. Returns the pod in the model, to change it further. */
struct berm_pod *objects_pod(struct berm_model *m, const char *name, const char *labels,
			     const char *addrs);
/* "http=tcp:8080" */
void objects_container_port(struct berm_pod *pod, const char *port);
/* "tcp:8080" of every address of the node leads to the number of "tcp:80" */
void objects_host_port(struct berm_pod *pod, const char *port, uint16_t host_port,
		       const char *host_addr);
/* "shop/web" with ClusterIPs and other addresses, which may be NULL; to change further. */
struct berm_service *objects_service(struct berm_model *m, const char *name, const char *cluster,
				     const char *external);
/* "http=tcp:80", "=udp:53" */
void objects_service_port(struct berm_service *s, const char *port, uint16_t node_port);
/* Slice "shop/web-1" of the Service "web"; one port as above; endpoints are addresses, nodes NULL or a name of
 * all of them. */
struct berm_slice *objects_slice(struct berm_model *m, const char *name, const char *service,
				 const char *port, const char *addrs, const char *node);
void objects_service_cidr(struct berm_model *m, const char *name, const char *cidr);
/* The pod gets an endpoint in this slot, with its own addresses. */
void objects_endpoint(struct berm_model *m, uint32_t slot, const char *pod);
void objects_node_addrs(struct berm_model *m, const char *addrs);

/* Enforced as it stands: tier application (NetworkPolicy; admin and "/name" for ClusterNetworkPolicy), isolates nothing yet. The policy is in the
 * model already; its further parts are added to it. */
struct berm_policy *objects_policy(struct berm_model *m, enum berm_policy_kind kind,
				   const char *name, const char *pods);
void objects_subject_namespaces(struct berm_policy *p, const char *selector);
struct berm_policy_rule *objects_rule(struct berm_policy *p, uint8_t dir, uint8_t action,
				      const char *name);
void objects_peer_pods(struct berm_policy_rule *r, const char *namespaces,
		       const char *pods); /* NULL: not given */
void objects_peer_block(struct berm_policy_rule *r, const char *cidr, const char *excepts);
void objects_peer_any(struct berm_policy_rule *r);
void objects_peer_unsupported(struct berm_policy_rule *r);
/* "tcp:80", "udp:53-60", "sctp", "icmp:8/0", "other:47", "tcp:http" */
void objects_port(struct berm_policy_rule *r, const char *port);

/* "tcp 10.0.0.1:45000 10.0.0.2:80", "udp [fd00::1]:1 [fd00::2]:53": from, to; name may be NULL */
void objects_flow(struct berm_policy *p, uint8_t dir, uint8_t action, const char *name,
		  const char *text);

struct berm_addr objects_addr(const char *text);
struct berm_cidr objects_cidr(const char *text);

#endif /* BERM_TEST_OBJECTS_H */
