/* SPDX-License-Identifier: Apache-2.0 */
/* install.c - program first, then the list that names it: a runtime must never look for what is not there. */
#include <errno.h>
#include <time.h>

#include "conflist.h"
#include "log.h"
#include "node.h"
#include "program.h"

#define RETRY_MS 50

long long node_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void node_pause_ms(int ms)
{
	const struct timespec pause = { ms / 1000, (ms % 1000) * 1000000L };

	nanosleep(&pause, NULL); /* a signal may end it early */
}

static int install_program(const struct node_opts *opts, struct berm_err *err)
{
	bool changed = false;
	int rc = berm_program_install(opts->plugin, opts->bin_dir, BERM_CNI_TYPE, &changed, err);

	if (!rc)
		berm_log(BERM_LOG_INFO, changed ? "plugin-installed" : "plugin-is-there",
			 "file=%s/%s", opts->bin_dir, BERM_CNI_TYPE);
	return rc;
}

static void tell_conflist(const struct node_opts *opts, const struct berm_confdir_report *report)
{
	if (report->unusable.code)
		berm_log(BERM_LOG_WARNING, "conf-unusable",
			 "error=\"%s\" effect=\"some runtimes use no network while it is there\"",
			 report->unusable.msg);
	berm_log(BERM_LOG_INFO, report->is_changed ? "conflist-changed" : "conflist-is-right",
		 "file=%s/%s", opts->conf.path, report->file);
}

/* Somebody may be writing, or the cluster's own plugin may still be on its way. */
static int install_conflist(const struct node_opts *opts, struct berm_err *err)
{
	long long deadline = node_now_ms() + opts->wait_s * 1000LL;
	struct berm_confdir_report report;
	int rc;

	for (;;) {
		rc = berm_confdir_insert(&opts->conf, &report, err);
		if ((rc != -EAGAIN && rc != -ENOENT) || node_now_ms() >= deadline)
			break;
		node_pause_ms(RETRY_MS);
	}
	if (!rc)
		tell_conflist(opts, &report);
	return rc;
}

int node_install(const struct node_opts *opts, struct berm_err *err)
{
	int rc = install_program(opts, err);

	if (rc)
		return rc;
	rc = install_conflist(opts, err);
	if (opts->later && (rc == -EAGAIN || rc == -ENOENT)) {
		berm_log(BERM_LOG_WARNING, "conflist-later",
			 "error=\"%s\" effect=\"the agent watches for it\"", err->msg);
		return 0;
	}
	return rc;
}

int node_check_installed(const struct node_opts *opts, struct berm_err *err)
{
	struct berm_confdir_report report;
	int rc;

	if (!berm_program_is_there(opts->bin_dir, BERM_CNI_TYPE))
		return berm_refuse(err, -ENOENT, "%s/%s is not there", opts->bin_dir,
				   BERM_CNI_TYPE);
	rc = berm_confdir_look(&opts->conf, &report, err);
	if (rc)
		return rc;
	if (report.is_changed)
		return berm_refuse(err, -ENOENT, "the network configuration in %s %s",
				   opts->conf.path,
				   report.file[0] ? "has another entry of " BERM_CNI_TYPE
						  : "does not have " BERM_CNI_TYPE);
	return 0;
}
