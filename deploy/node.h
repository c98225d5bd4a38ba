/* SPDX-License-Identifier: Apache-2.0 */
/* node.h - what berm-install does to a node, and with which settings. */
#ifndef BERM_NODE_H
#define BERM_NODE_H

#include <stdbool.h>

#include "confdir.h"
#include "err.h"

struct node_opts {
	struct berm_confdir conf;
	const char *bin_dir;
	const char *plugin; /* the program to be installed */
	int wait_s;	    /* for a usable configuration, for an agent to end */
	int reload_s;	    /* for the runtime to read its configuration again; 0: not asked for */
	bool later;	    /* no configuration yet is fine: the agent watches for it */
	bool keep_plugin;   /* uninstall leaves the program: this runtime remembers old lists */
	bool stay;	    /* uninstall stays and keeps the node clean until it is told to end */
	bool clean;	    /* check that nothing is there, not that all is */
};

int node_install(const struct node_opts *opts, struct berm_err *err) must_check;
int node_uninstall(const struct node_opts *opts, struct berm_err *err) must_check;

/* 0, or -ENOENT and what is missing. */
int node_check_installed(const struct node_opts *opts, struct berm_err *err) must_check;
/* 0, or -EEXIST and what is left. */
int node_check_clean(const struct node_opts *opts, struct berm_err *err) must_check;

/* After the configuration has changed: returns once somebody, most likely the runtime, has read it again.
 * -ETIMEDOUT: nobody has. Nothing to wait for if there is no usable configuration. */
int node_confirm_reload(const struct node_opts *opts, struct berm_err *err) must_check;

/* Milliseconds of a clock that only goes forward. */
long long node_now_ms(void);
void node_pause_ms(int ms);

#endif /* BERM_NODE_H */
