/* SPDX-License-Identifier: Apache-2.0 */
/* test_kubeconfig.c - what is taken of a kubeconfig, and what is refused in which words. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "kubeconfig.h"
#include "test.h"

#define HEAD                                                                                       \
	"current-context: a\ncontexts:\n- {name: a, context: {cluster: k, user: u}}\n"             \
	"- {name: b, context: {cluster: k, user: w}}\n- {name: c, context: {cluster: none, user: u}}\n"
#define CLUSTER                                                                                    \
	"clusters: [{name: k, cluster: {server: 'https://h:1//', certificate-authority: ca.crt}}]\n"
#define USERS                                                                                      \
	"users: [{name: u, user: {token: abc}}, {name: w, user: {tokenFile: tok, token: abc}}]\n"

static void expect_file(const char *path, const char *want)
{
	char got[64] = "";
	int fd = open(path, O_RDONLY);

	ASSERT_TRUE(fd >= 0);
	EXPECT_TRUE(read(fd, got, sizeof(got) - 1) >= 0);
	close(fd);
	EXPECT_STR_EQ(got, want);
}

TEST(token_and_context)
{
	const char *path = test_file("kc", HEAD CLUSTER USERS);
	struct berm_kubeconfig config;
	struct berm_err err = { 0 };
	char *token = NULL;

	test_file("ca.crt", "CA");
	ASSERT_OK(berm_kubeconfig_load(path, NULL, &config, &err), &err);
	EXPECT_STR_EQ(config.server, "https://h:1");
	expect_file(config.file[BERM_KUBE_CA], "CA"); /* beside the kubeconfig */
	EXPECT_FALSE(config.is_insecure);
	ASSERT_OK(berm_kubeconfig_token(&config, &token, &err), &err);
	EXPECT_STR_EQ(token, "abc");
	free(token);
	berm_kubeconfig_clear(&config);

	test_file("tok", "first\n");
	ASSERT_OK(berm_kubeconfig_load(path, "b", &config, &err), &err);
	ASSERT_OK(berm_kubeconfig_token(&config, &token, &err), &err);
	EXPECT_STR_EQ(token, "first"); /* the file goes before the token */
	free(token);
	test_file("tok", "second");
	ASSERT_OK(berm_kubeconfig_token(&config, &token, &err), &err);
	EXPECT_STR_EQ(token, "second");
	free(token);
	test_file("tok", "two\nlines: evil");
	EXPECT_EQ(berm_kubeconfig_token(&config, &token, &err), -EINVAL);
	test_file("tok", "");
	EXPECT_EQ(berm_kubeconfig_token(&config, &token, &err), -EINVAL);
	berm_kubeconfig_clear(&config);
}

TEST(data_goes_to_memory)
{
	const char *path = test_file(
		"kc", HEAD
		"clusters: [{name: k, cluster: {server: 'https://h', certificate-authority-data: Q0E=}}]\n"
		"users: [{name: u, user: {client-certificate-data: Q0VSVA==, client-key-data: 'S0VZ\n Cg=='}}]\n");
	struct berm_kubeconfig config;
	struct berm_err err = { 0 };
	char *token = (char *)"untouched";

	ASSERT_OK(berm_kubeconfig_load(path, NULL, &config, &err), &err);
	expect_file(config.file[BERM_KUBE_CA], "CA");
	expect_file(config.file[BERM_KUBE_CERT], "CERT");
	expect_file(config.file[BERM_KUBE_KEY], "KEY\n");
	EXPECT_OK(berm_kubeconfig_token(&config, &token, &err), &err);
	EXPECT_TRUE(token == NULL);
	berm_kubeconfig_clear(&config);
}

TEST(refused)
{
	static const struct {
		const char *name, *context, *text, *error;
	} cases[] = {
		{ "no such context", "z", HEAD CLUSTER USERS, "there is no context 'z'" },
		{ "no such cluster", "c", HEAD CLUSTER USERS, "there is no cluster 'none'" },
		{ "no current context", NULL, CLUSTER USERS, "no current-context" },
		{ "not YAML", NULL, "{", "kc:1:" },
		{ "a list", NULL, "- a\n", "no current-context" },
		{ "empty", NULL, "", "no current-context" },
		{ "plain text", NULL, HEAD "clusters: [{name: k, cluster: {server: 'http://h'}}]\n" USERS, "does not begin with https://" },
		{ "no server", NULL, HEAD "clusters: [{name: k, cluster: {}}]\n" USERS, "has no server" },
		{ "insecure", NULL, HEAD "clusters: [{name: k, cluster: {server: 'https://h', insecure-skip-tls-verify: true}}]\n" USERS,
		  "insecure-skip-tls-verify is refused" },
		{ "proxy", NULL, HEAD "clusters: [{name: k, cluster: {server: 'https://h', proxy-url: x}}]\n" USERS,
		  "cluster.proxy-url is not supported" },
		{ "exec", NULL, HEAD CLUSTER "users: [{name: u, user: {exec: {command: x}}}]\n", "user.exec is not supported" },
		{ "password", NULL, HEAD CLUSTER "users: [{name: u, user: {username: x, password: y}}]\n", "is not supported" },
		{ "half a certificate", NULL, HEAD CLUSTER "users: [{name: u, user: {client-key-data: QQ==}}]\n", "belong together" },
		{ "not base64", NULL, HEAD CLUSTER "users: [{name: u, user: {client-key-data: 'Q!=='}}]\n", "client-key-data is not base64" },
		{ "no such file", NULL, HEAD CLUSTER "users: [{name: u, user: {client-key: gone}}]\n", "client-key: " },
	}, *c;

	unsetenv(BERM_ENV_INSECURE);
	test_file("ca.crt", "CA");
	for_each_case(c, cases) {
		struct berm_kubeconfig config;
		struct berm_err err = { 0 };

		EXPECT_LT(berm_kubeconfig_load(test_file("kc", c->text), c->context, &config, &err),
			  0);
		EXPECT_STR_HAS(err.msg, c->error);
	}
}

TEST(in_cluster)
{
	const char *token = test_file("sa/token", "abc");
	struct berm_kubeconfig config;
	struct berm_err err = { 0 };
	char dir[512];

	snprintf(dir, sizeof(dir), "%.*s", (int)(strlen(token) - strlen("/token")), token);
	unsetenv("KUBERNETES_SERVICE_HOST");
	EXPECT_LT(berm_kubeconfig_in_cluster(dir, &config, &err), 0);
	EXPECT_STR_HAS(err.msg, "this is no pod");
	setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	EXPECT_LT(berm_kubeconfig_in_cluster(dir, &config, &err), 0);
	EXPECT_STR_HAS(err.msg, "ca.crt");
	test_file("sa/ca.crt", "CA");
	ASSERT_OK(berm_kubeconfig_in_cluster(dir, &config, &err), &err);
	EXPECT_STR_EQ(config.server, "https://[fd00::1]:443");
	berm_kubeconfig_clear(&config);
}
