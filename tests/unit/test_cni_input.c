/* SPDX-License-Identifier: Apache-2.0 */
/* test_cni_input.c - what the plugin is given: CNI_ARGS, configuration, results of others. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "call.h"
#include "maps.h"
#include "result.h"
#include "test.h"

/* ---- CNI_ARGS ------------------------------------------------------------------------------------------ */

TEST(cni_args, "CNI_ARGS in any order, incomplete, doubled, hostile [cni.args_hostile]")
{
	static const struct {
		const char *name, *args;
		int rc;
		const char *ns, *pod, *uid;
	} cases[] = {
		{ "kubelet", "K8S_POD_UID=u1;K8S_POD_NAME=web;IgnoreUnknown=1;K8S_POD_NAMESPACE=shop", 0, "shop", "web", "u1" },
		{ "empty", "", 0, "", "", "" },
		{ "separators only", ";;;", 0, "", "", "" },
		{ "no namespace", "K8S_POD_NAME=web", 0, "", "web", "" },
		{ "empty value", "K8S_POD_NAMESPACE=;K8S_POD_NAME=web", 0, "", "web", "" },
		{ "no value", "K8S_POD_NAMESPACE;K8S_POD_NAME=web", 0, "", "web", "" },
		{ "unknown keys", "FOO=bar;=;x=;K8S_POD_NAME=web", 0, "", "web", "" },
		{ "prefix of a key", "K8S_POD_NAMESPACE2=x;K8S_POD_NAM=y", 0, "", "", "" },
		{ "podman's names", "K8S_POD_NAME=My_Pod.1", 0, "", "My_Pod.1", "" },
		{ "same twice", "K8S_POD_NAME=a;K8S_POD_NAME=a", 0, "", "a", "" },
		{ "different twice", "K8S_POD_NAME=a;K8S_POD_NAME=b", -EINVAL, NULL, NULL, NULL },
		{ "traversal", "K8S_POD_NAMESPACE=../../etc", -EINVAL, NULL, NULL, NULL },
		{ "line end", "K8S_POD_NAME=a\nlevel=info", -EINVAL, NULL, NULL, NULL },
		{ "control", "K8S_POD_NAME=\x1b[31m", -EINVAL, NULL, NULL, NULL },
		{ "quote", "K8S_POD_NAME=a\"b", -EINVAL, NULL, NULL, NULL },
		{ "begins with a dash", "K8S_POD_NAME=-rf", -EINVAL, NULL, NULL, NULL },
		{ "64 characters", "K8S_POD_NAMESPACE=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		  -EINVAL, NULL, NULL, NULL },
	}, *c;

	for_each_case(c, cases) {
		struct cni_pod got = { .uid = "untouched" };
		struct berm_err err = { 0 };

		EXPECT_EQ(cni_args_parse(c->args, &got, &err), c->rc);
		if (c->rc) {
			EXPECT_STR_EQ(got.uid, "untouched");
			EXPECT_STR_HAS(err.msg, "CNI_ARGS");
			continue;
		}
		EXPECT_STR_EQ(got.ns, c->ns);
		EXPECT_STR_EQ(got.name, c->pod);
		EXPECT_STR_EQ(got.uid, c->uid);
	}
}

/* ---- configuration --------------------------------------------------------------------------------------- */

static int parse(const char *text, struct cni_conf *conf, int *code, struct berm_err *err)
{
	return cni_conf_parse(strdup(text), strlen(text), conf, code, err);
}

TEST(conf_defaults)
{
	struct berm_err err = { 0 };
	struct cni_conf conf;
	int code = 0;

	ASSERT_OK(parse("{\"cniVersion\":\"1.0.0\"}", &conf, &code, &err), &err);
	EXPECT_EQ(conf.wait_ms, 2000);
	EXPECT_EQ(conf.fallback, CNI_ISOLATE_NAMESPACE);
	EXPECT_EQ(conf.boot_fallback, CNI_ISOLATE_NAMESPACE);
	EXPECT_EQ(conf.attach, BERM_ATTACH_AUTO);
	EXPECT_FALSE(conf.report_unsupported);
	EXPECT_STR_EQ(conf.agent_socket, "/run/berm/agent.sock");
	EXPECT_TRUE(cni_conf_is_exempt(&conf, "kube-system"));
	EXPECT_TRUE(cni_conf_is_exempt(&conf, "berm-system"));
	EXPECT_FALSE(cni_conf_is_exempt(&conf, "kube-system2"));
	EXPECT_TRUE(!conf.prev);
	cni_conf_clear(&conf);
}

TEST(conf_all_settings)
{
	struct berm_err err = { 0 };
	struct cni_conf conf;
	int code = 0;

	ASSERT_OK(parse(" {\"cniVersion\":\"0.3.1\",\"waitForPolicy\":\"1m\",\"fallback\":\"deny\",\"bootFallback\":\"hold\","
			"\"onUnsupported\":\"report\",\"attach\":\"clsact\",\"exemptNamespaces\":[],\"agentSocket\":\"/a\","
			"\"logFile\":\"/b\",\"capabilities\":{\"x\":true},\"unknown\":1e400,\"prevResult\":{}}\n",
			&conf, &code, &err),
		  &err);
	EXPECT_EQ(conf.wait_ms, 60000);
	EXPECT_EQ(conf.fallback, CNI_DENY);
	EXPECT_EQ(conf.boot_fallback, CNI_HOLD);
	EXPECT_EQ(conf.attach, BERM_ATTACH_CLSACT);
	EXPECT_TRUE(conf.report_unsupported);
	EXPECT_FALSE(cni_conf_is_exempt(&conf, "kube-system"));
	EXPECT_STR_EQ(conf.log_file, "/b");
	EXPECT_EQ(conf.prev_size, 2);
	cni_conf_clear(&conf);
}

TEST(conf_refused)
{
	static const struct {
		const char *name, *text;
		int code;
		const char *msg;
	} cases[] = {
		{ "nothing", "", CNI_DECODING_FAILURE, "not JSON" },
		{ "garbage", "\x01\x02", CNI_DECODING_FAILURE, "not JSON" },
		{ "cut off", "{\"cniVersion\":", CNI_DECODING_FAILURE, "not JSON" },
		{ "more behind", "{} {}", CNI_DECODING_FAILURE, "not JSON" },
		{ "list", "[]", CNI_DECODING_FAILURE, "not a JSON object" },
		{ "fallback", "{\"fallback\":\"maybe\"}", CNI_INVALID_CONFIG, "one of isolate-namespace allow deny hold" },
		{ "fallback type", "{\"fallback\":1}", CNI_INVALID_CONFIG, "'fallback'" },
		{ "wait text", "{\"waitForPolicy\":\"soon\"}", CNI_INVALID_CONFIG, "'waitForPolicy'" },
		{ "wait negative", "{\"waitForPolicy\":-1}", CNI_INVALID_CONFIG, "'waitForPolicy'" },
		{ "wait an hour", "{\"waitForPolicy\":\"60m\"}", CNI_INVALID_CONFIG, "at most one minute" },
		{ "socket", "{\"agentSocket\":\"agent.sock\"}", CNI_INVALID_CONFIG, "absolute path" },
		{ "exempt", "{\"exemptNamespaces\":\"kube-system\"}", CNI_INVALID_CONFIG, "a list" },
		{ "exempt entry", "{\"exemptNamespaces\":[1]}", CNI_INVALID_CONFIG, "a list" },
		{ "prevResult", "{\"prevResult\":[]}", CNI_INVALID_CONFIG, "'prevResult'" },
		{ "version", "{\"cniVersion\":1}", CNI_INVALID_CONFIG, "'cniVersion'" },
	}, *c;

	for_each_case(c, cases) {
		struct berm_err err = { 0 };
		struct cni_conf conf;
		int code = 0;

		EXPECT_NE(parse(c->text, &conf, &code, &err), 0);
		EXPECT_EQ(code, c->code);
		EXPECT_STR_HAS(err.msg, c->msg);
		cni_conf_clear(&conf);
	}
}

TEST(durations)
{
	static const struct {
		const char *name, *text;
		int rc, ms;
	} cases[] = {
		{ "seconds", "2s", 0, 2000 },	  { "milliseconds", "1500ms", 0, 1500 },
		{ "fraction", "0.5s", 0, 500 },	  { "sum", "1s500ms", 0, 1500 },
		{ "bare", "3", 0, 3000 },	  { "zero", "0s", 0, 0 },
		{ "empty", "", -EINVAL, 0 },	  { "unit only", "s", -EINVAL, 0 },
		{ "negative", "-1s", -EINVAL, 0 }, { "unknown unit", "1h", -EINVAL, 0 },
		{ "not a number", "nan", -EINVAL, 0 }, { "too long", "61s", -EINVAL, 0 },
		{ "space", "1 s", -EINVAL, 0 },	  { "infinite", "1e999s", -EINVAL, 0 },
	}, *c;

	for_each_case(c, cases) {
		int ms = 0;

		EXPECT_EQ(cni_duration_parse(c->text, &ms), c->rc);
		EXPECT_EQ(ms, c->ms);
	}
}

/* ---- results --------------------------------------------------------------------------------------------- */

TEST(raw_members)
{
	static const struct {
		const char *name, *text, *want; /* NULL: none */
	} cases[] = {
		{ "object", "{\"a\":1,\"k\":{\"x\": [1,2, \"}\"]} , \"z\":2}", "{\"x\": [1,2, \"}\"]}" },
		{ "string with quotes", "{\"k\":\"a\\\"b\\\\\"}", "\"a\\\"b\\\\\"" },
		{ "number", "{\"k\": 1.0e+5 }", "1.0e+5" },
		{ "white space", " \n{ \"k\"\t:\r\n true}", "true" },
		{ "deep", "{\"x\":{\"k\":1},\"k\":2}", "2" },
		{ "last of two", "{\"k\":1,\"k\":2}", "2" },
		{ "absent", "{\"kk\":1}", NULL },
		{ "empty object", "{}", NULL },
		{ "not an object", "[\"k\"]", NULL },
		{ "cut off", "{\"k\":{\"x\":", NULL },
		{ "open string", "{\"k\":\"x", NULL },
		{ "no value", "{\"k\":}", NULL },
		{ "nothing", "", NULL },
	}, *c;

	for_each_case(c, cases) {
		struct json_slice got = { 0 };
		bool found = json_member(c->text, strlen(c->text), "k", &got);

		EXPECT_EQ(found, c->want != NULL);
		if (!found || !c->want)
			continue;
		EXPECT_EQ(got.size, strlen(c->want));
		EXPECT_MEM_EQ(got.at, c->want, got.size);
	}
}

static char *printed(const char *result, const char *version)
{
	const struct json_slice slice = { result, strlen(result) };
	struct berm_err err = { 0 };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	EXPECT_OK(result_print(out, &slice, version, &err), &err);
	fclose(out);
	return text;
}

TEST(results_are_handed_on_byte_for_byte, "prevResult byte for byte [cni.prevresult_verbatim]")
{
	static const struct {
		const char *name, *in, *out;
	} cases[] = {
		{ "odd but valid", "{ \"cniVersion\" : \"0.4.0\",\"x\":1.50,\"big\":12345678901234567890,\"u\":\"\\u00e9\" }",
		  "{ \"cniVersion\" : \"0.4.0\",\"x\":1.50,\"big\":12345678901234567890,\"u\":\"\\u00e9\" }" },
		{ "version missing", "{ \"ips\":[]}", "{\"cniVersion\":\"1.0.0\", \"ips\":[]}" },
		{ "version missing, empty", "{ }", "{\"cniVersion\":\"1.0.0\" }" },
	}, *c;

	for_each_case(c, cases) {
		char *got = printed(c->in, "1.0.0");

		EXPECT_STR_EQ(got, c->out);
		free(got);
	}
}

TEST(addresses_of_results)
{
#define IFACES                                                                                     \
	"\"interfaces\":[{\"name\":\"cni0\"},{\"name\":\"veth1\",\"sandbox\":\"\"},{\"name\":\"eth0\",\"sandbox\":\"/n\"}]"
	static const struct {
		const char *name, *text, *want;
	} cases[] = {
		{ "by index", "{" IFACES ",\"ips\":[{\"interface\":2,\"address\":\"10.0.0.2/24\"}]}", "10.0.0.2 " },
		{ "index as float", "{" IFACES ",\"ips\":[{\"interface\":2.0,\"address\":\"10.0.0.2/24\"}]}", "10.0.0.2 " },
		{ "another interface's", "{" IFACES ",\"ips\":[{\"interface\":0,\"address\":\"10.0.0.1/24\"}]}", "" },
		{ "no index", "{" IFACES ",\"ips\":[{\"address\":\"fd00::2/64\"}]}", "fd00::2 " },
		{ "no interfaces", "{\"ips\":[{\"version\":\"4\",\"address\":\"10.0.0.2/24\"}]}", "10.0.0.2 " },
		{ "eth0 without sandbox", "{\"interfaces\":[{\"name\":\"eth0\"}],\"ips\":[{\"interface\":0,\"address\":\"10.0.0.2/24\"}]}",
		  "10.0.0.2 " },
		{ "index beyond", "{" IFACES ",\"ips\":[{\"interface\":9,\"address\":\"10.0.0.2/24\"}]}", "10.0.0.2 " },
		{ "garbage", "{\"ips\":[1,null,{\"address\":5},{\"address\":\"x/y\"},{\"address\":\"10.0.0.3\"}]}", "10.0.0.3 " },
		{ "both families", "{\"ips\":[{\"address\":\"10.0.0.2/24\"},{\"address\":\"fd00::2/64\"}]}", "10.0.0.2 fd00::2 " },
		{ "ips of another type", "{\"ips\":{}}", "" },
		{ "not JSON", "{", "" },
	}, *c;

	for_each_case(c, cases) {
		const struct json_slice slice = { c->text, strlen(c->text) };
		struct berm_addr addrs[BERM_MAX_ADDRS];
		char text[256] = "", one[BERM_ADDR_STRLEN];
		size_t n = result_addresses(&slice, "eth0", addrs, BERM_MAX_ADDRS);

		for (size_t i = 0; i < n; i++) {
			berm_addr_format(&addrs[i], one);
			strcat(strcat(text, one), " ");
		}
		EXPECT_STR_EQ(text, c->want);
	}
}

TEST(error_objects)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	error_print(out, "1.0.0", 101, "a \"bad\"\nthing", NULL);
	error_print(out, "0.4.0", 7, "m", "d");
	fclose(out);
	EXPECT_STR_EQ(text,
		      "{\"cniVersion\":\"1.0.0\",\"code\":101,\"msg\":\"a \\\"bad\\\"\\nthing\"}\n"
		      "{\"cniVersion\":\"0.4.0\",\"code\":7,\"msg\":\"m\",\"details\":\"d\"}\n");
	free(text);
}

TEST(versions)
{
	EXPECT_TRUE(cni_version_is_supported("0.3.0"));
	EXPECT_TRUE(cni_version_is_supported("1.1.0"));
	EXPECT_FALSE(cni_version_is_supported("0.2.0"));
	EXPECT_FALSE(cni_version_is_supported("1.2.0"));
	EXPECT_FALSE(cni_version_is_supported(""));
	EXPECT_TRUE(cni_version_at_least("1.1.0", "0.4.0"));
	EXPECT_FALSE(cni_version_at_least("0.3.1", "0.4.0"));
}
