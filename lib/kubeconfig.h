/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kubeconfig.h - where the API server is and how to prove who we are: from a kubeconfig file, or from what
 * Kubernetes puts into a pod. Opens no connection.
 *
 * Taken of a kubeconfig: server, certificate-authority(-data), token, tokenFile, client-certificate(-data),
 * client-key(-data). What would change whom we trust or who we are and is not supported (exec, auth-provider,
 * user and password, impersonation, proxy-url, tls-server-name) is refused, not passed over.
 */
#ifndef BERM_KUBECONFIG_H
#define BERM_KUBECONFIG_H

#include <stdbool.h>

#include "err.h"

#define BERM_SERVICEACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

/* If set to 1, insecure-skip-tls-verify is taken: for tests of our own, said in the log. */
#define BERM_ENV_INSECURE "BERM_TEST_INSECURE_TLS"

enum berm_kube_file { BERM_KUBE_CA, BERM_KUBE_CERT, BERM_KUBE_KEY, BERM_KUBE_FILES };

struct berm_kubeconfig {
	char *server;		     /* "https://10.0.0.1:6443", no slash at the end */
	char *file[BERM_KUBE_FILES]; /* PEM; NULL: none. Data of the kubeconfig is in a memory file */
	int memory[BERM_KUBE_FILES]; /* its fd, or -1 */
	char *token;		     /* fixed; NULL: none */
	char *token_file;	     /* read again for every request: it rotates; NULL: none */
	bool is_insecure;	     /* the server's certificate is not verified */
};

/* context NULL: current-context. Paths in the file are relative to it. -EINVAL: names the field. */
int berm_kubeconfig_load(const char *path, const char *context, struct berm_kubeconfig *ret,
			 struct berm_err *err) must_check;
/* KUBERNETES_SERVICE_HOST and _PORT, token and ca.crt in dir. */
int berm_kubeconfig_in_cluster(const char *dir, struct berm_kubeconfig *ret,
			       struct berm_err *err) must_check;
void berm_kubeconfig_clear(struct berm_kubeconfig *config); /* of one that was loaded, or zeroed */

/* The token as it is now, malloc'ed; *ret NULL: there is none. */
int berm_kubeconfig_token(const struct berm_kubeconfig *config, char **ret,
			  struct berm_err *err) must_check;

#endif /* BERM_KUBECONFIG_H */
