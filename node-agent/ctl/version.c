/* SPDX-License-Identifier: Apache-2.0 */
/* version.c - `bermctl version`: versions of this program, of the agent and of the border to the kernel. */
#include <sys/utsname.h>

#include "source.h"

static cJSON *describe(const struct ctl_options *options)
{
	cJSON *doc = cJSON_CreateObject(), *agent = NULL;
	struct berm_err err = { 0 };
	struct utsname kernel;

	cJSON_AddStringToObject(doc, "bermctl", BERM_VERSION);
	cJSON_AddNumberToObject(doc, "abi", BERM_ABI_VERSION);
	if (!uname(&kernel))
		cJSON_AddStringToObject(doc, "kernel", kernel.release);
	if (!ctl_agent_get(options, "/v1/status", &agent, &err)) /* no agent is no failure here */
		cJSON_AddStringToObject(doc, "agent", ctl_string_at(agent, "version"));
	cJSON_Delete(agent);
	return doc;
}

static void print(const cJSON *doc)
{
	const char *agent = ctl_string_at(doc, "agent");

	printf("bermctl  %s\n", ctl_string_at(doc, "bermctl"));
	printf("agent    %s\n", *agent ? agent : "not running, or not ours to ask");
	printf("abi      %d\n", (int)ctl_number_at(doc, "abi"));
	printf("kernel   %s\n", ctl_string_at(doc, "kernel"));
}

static int run(const struct ctl_command *cmd, int argc, char **argv, struct ctl_options *options)
{
	struct ctl_args args = { options };
	cJSON *doc;

	ctl_parse(cmd, argc, argv, &args);
	doc = describe(options);
	if (options->format == CTL_JSON || options->format == CTL_YAML)
		ctl_document_print(options, doc, stdout);
	else if (options->format == CTL_NAME)
		printf("%s\n", ctl_string_at(doc, "bermctl"));
	else
		print(doc);
	cJSON_Delete(doc);
	return CTL_OK;
}

static const struct argp argp = {
	.parser = ctl_parse_nothing,
	.children = ctl_common_children,
	.doc = "The versions of this program, of the running agent, and of the border to the kernel.\v"
	       "Example:\n  bermctl version -o json",
};

const struct ctl_command ctl_version = { "version",
					 "versions of program, agent and kernel interface", &argp,
					 run };
