// SPDX-License-Identifier: Apache-2.0
/* crowd.c - makes the same cluster every time. Measures nothing. */
#include <stdio.h>

#include "crowd.h"
#include "objects.h"
#include "test.h"

static const char *const tiers[] = { "web", "api", "db", "cache", "jobs" };

static void make_pods(struct berm_model *m, unsigned int ns, const struct crowd *crowd)
{
	char name[64], labels[256], addrs[64];

	for (unsigned int i = 0; i < crowd->pods; i++) {
		unsigned int n = ns * crowd->pods + i;

		snprintf(name, sizeof(name), "team-%u/%s-%u", ns, tiers[i % 5], i);
		snprintf(labels, sizeof(labels),
			 "app=shop-%u tier=%s version=v%u pod-template-hash=%x app.kubernetes.io/managed-by=Helm",
			 ns % 50, tiers[i % 5], i % 3, n * 2654435761u);
		snprintf(addrs, sizeof(addrs), "10.%u.%u.%u fd00::%x:%x", n >> 16 & 255,
			 n >> 8 & 255, n & 255, n >> 16, n & 0xffff);
		objects_container_port(objects_pod(m, name, labels, addrs),
				       i % 2 ? "http=tcp:8080" : "http=tcp:80");
	}
}

static struct berm_policy *policy(struct berm_model *m, unsigned int ns, unsigned int i,
				  const char *pods)
{
	enum berm_policy_kind kind = i % 2 ? BERM_KIND_NETWORK : BERM_KIND_SEGMENTATION;
	char name[64];
	struct berm_policy *p;

	snprintf(name, sizeof(name), "team-%u/policy-%u", ns, i);
	p = objects_policy(m, kind, name, pods);
	p->isolate = i % 5 == 4 ? 3 : 1 << BERM_INGRESS;
	return p;
}

static void make_policy(struct berm_model *m, unsigned int ns, unsigned int i)
{
	char subject[64], peer[64];
	struct berm_policy *p;
	struct berm_policy_rule *r;

	snprintf(subject, sizeof(subject), i % 5 == 3 ? "" : "tier=%s", tiers[i % 5]);
	snprintf(peer, sizeof(peer), "tier=%s", tiers[(i + 1) % 5]);
	p = policy(m, ns, i, subject);
	r = objects_rule(p, BERM_INGRESS, BERM_RULE_ALLOW, "peers");
	objects_peer_pods(r, NULL, peer);
	objects_port(r, i % 5 == 1 ? "tcp:http" : "tcp:5432");
	if (i % 5 < 2) {
		r = objects_rule(p, BERM_INGRESS, BERM_RULE_ALLOW, "blocks");
		snprintf(peer, sizeof(peer), "172.%u.%u.0/24", ns % 16, ns / 16);
		objects_peer_block(r, peer, NULL);
		objects_peer_block(r, "192.168.0.0/16", "192.168.7.0/24");
		objects_port(r, "tcp:8000-8100");
	}
	if (i % 5 == 4) {
		r = objects_rule(p, BERM_EGRESS, BERM_RULE_ALLOW, "out");
		objects_peer_pods(r, "kubernetes.io/metadata.name=team-0|team-1", "tier=api");
		objects_port(r, "tcp:http");
	}
}

static void make_cluster_wide(struct berm_model *m, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		char name[64], labels[64];
		struct berm_policy *p;
		struct berm_policy_rule *r;

		snprintf(name, sizeof(name), BERM_SYSTEM_NAMESPACE "/guard-%u", i);
		snprintf(labels, sizeof(labels), "app=shop-%u", i);
		p = objects_policy(m, BERM_KIND_SEGMENTATION, name, i ? labels : "");
		p->tier = BERM_TIER_ADMIN;
		r = objects_rule(p, BERM_EGRESS, BERM_RULE_DENY, "metadata");
		objects_peer_block(r, "169.254.169.254/32", NULL);
		r = objects_rule(p, BERM_INGRESS, BERM_RULE_DENY, "others");
		objects_peer_pods(r, "env=test", NULL);
	}
}

static void make_endpoints(struct berm_model *m, const struct crowd *crowd)
{
	char name[512];

	for (unsigned int i = 0; i < crowd->local; i++) {
		const struct berm_pod *pod = m->pods[(size_t)i * m->pod_count / crowd->local];

		snprintf(name, sizeof(name), "%s/%s", pod->ns, pod->name);
		objects_endpoint(m, i + 1, name);
	}
}

void crowd_make(struct berm_model *m, const struct crowd *crowd)
{
	for (unsigned int ns = 0; ns < crowd->namespaces; ns++) {
		char name[64];

		snprintf(name, sizeof(name), "team-%u", ns);
		objects_namespace(m, name, ns % 10 ? "env=prod" : "env=test");
		make_pods(m, ns, crowd);
		for (unsigned int i = 0; i < crowd->policies; i++)
			make_policy(m, ns, i);
	}
	make_cluster_wide(m, 20);
	make_endpoints(m, crowd);
	objects_node_addrs(m, "192.0.2.10 fd00:ffff::10 127.0.0.1 ::1");
}

/* ---- what happens ------------------------------------------------------------------------------------------- */

/* A pod of another node gets the labels of its neighbour, and then its own back. */
void crowd_relabel_pod(struct berm_model *m, unsigned int number)
{
	const struct berm_pod *pod = m->pods[(size_t)(number / 2) * 37 % m->pod_count];
	const struct berm_pod *like = m->pods[((size_t)(number / 2) * 37 + 1) % m->pod_count];
	char name[512], labels[256], addrs[64];

	snprintf(name, sizeof(name), "%s/%s", pod->ns, pod->name);
	snprintf(labels, sizeof(labels), "app=%s tier=%s version=v1",
		 berm_labels_get(&like->labels, "app"), tiers[(number / 2 + number % 2) % 5]);
	snprintf(addrs, sizeof(addrs), "10.9.%u.%u", number / 2 >> 8 & 255, number / 2 & 255);
	(void)objects_pod(m, name, labels, addrs);
}

/* Its peers are pods, and every fourth time a block with an except. */
static void put_edited(struct berm_model *m, const char *ns, unsigned int number, const char *pods)
{
	char name[512], peer[64];
	struct berm_policy_rule *r;
	struct berm_policy *p;

	snprintf(name, sizeof(name), "%s/edited", ns);
	p = objects_policy(m, BERM_KIND_SEGMENTATION, name, pods);
	p->isolate = 1 << BERM_INGRESS;
	r = objects_rule(p, BERM_INGRESS, BERM_RULE_ALLOW, "in");
	snprintf(peer, sizeof(peer), "version=v%u", number % 3);
	objects_peer_pods(r, number % 8 < 4 ? "env=prod" : NULL, peer);
	if (number % 4 == 1)
		objects_peer_block(r, "10.0.0.0/8", "10.0.7.0/24");
	objects_port(r, "tcp:9000");
}

/* It comes, is edited twice, and goes. */
static void edit(struct berm_model *m, const char *ns, unsigned int number, const char *pods)
{
	if (number % 4 < 3)
		put_edited(m, ns, number, pods);
	else
		ASSERT_EQ(berm_model_remove_policy(m, BERM_KIND_SEGMENTATION, ns, "edited"), 0);
}

void crowd_edit_policy(struct berm_model *m, unsigned int number)
{
	edit(m, m->pods[(size_t)(number / 4) * 91 % m->pod_count]->ns, number, "tier=db");
}

void crowd_edit_local_policy(struct berm_model *m, unsigned int number)
{
	edit(m, m->endpoints[number / 4 * 7 % m->endpoint_count].ns, number, "");
}
