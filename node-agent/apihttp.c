/* SPDX-License-Identifier: Apache-2.0 */
/* apihttp.c - libcurl's sockets and timer as handles of the loop. Retries nothing: that is reflector.c's business. */
#include "apihttp.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cleanup.h"

#define CONNECT_TIMEOUT_MS 10000L
#define MAX_BODY	   2047 /* of an error */
#define MAX_RETRY_AFTER_S  600
#define KEEPALIVE_S	   30L

struct berm_apihttp {
	uv_loop_t *loop;
	const struct berm_kubeconfig *config;
	CURLM *multi;
	uv_timer_t timer;
	struct berm_apiget *first;
	int64_t date_s;	  /* the server's clock, as its last answer had it; 0: it has not said */
	uint64_t date_ns; /* when that was (uv_hrtime) */
};

struct berm_apiget {
	struct berm_apihttp *http;
	struct berm_apiget *next;
	struct berm_apiget_opts opts;
	CURL *curl;
	struct curl_slist *headers;
	char *url;
	uv_timer_t *idle; /* outlives the request until the loop has closed it */
	char error[CURL_ERROR_SIZE];
	char body[MAX_BODY + 1];
	size_t body_size;
	bool is_enough; /* data() has asked for the end */
	bool is_stalled;
};

struct socket_watch {
	uv_poll_t poll;
	struct berm_apihttp *http;
	curl_socket_t fd;
};

/* ---- the end of a request --------------------------------------------------------------------------------- */

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle);
}

static void unlink_get(struct berm_apiget *get)
{
	struct berm_apiget **at = &get->http->first;

	while (*at && *at != get)
		at = &(*at)->next;
	if (*at)
		*at = get->next;
}

void berm_apiget_cancel(struct berm_apiget *get)
{
	if (!get)
		return;
	unlink_get(get);
	if (get->curl) {
		(void)curl_multi_remove_handle(get->http->multi, get->curl); /* it is in there */
		curl_easy_cleanup(get->curl);
	}
	if (get->idle)
		uv_close((uv_handle_t *)get->idle, on_timer_closed);
	curl_slist_free_all(get->headers);
	free(get->url);
	free(get);
}

/* What curl's own words leave open. */
static void describe(struct berm_apiget *get, CURLcode code, struct berm_apiend *end)
{
	const char *text = *get->error ? get->error : curl_easy_strerror(code);

	if (get->is_stalled)
		snprintf(end->error, sizeof(end->error),
			 "nothing was received for %u s: the connection is taken for dead",
			 (get->opts.idle_ms + 999) / 1000);
	else if (code != CURLE_OK && !get->is_enough)
		snprintf(end->error, sizeof(end->error), "%.*s", (int)sizeof(end->error) - 1, text);
}

static void finish(struct berm_apiget *get, CURLcode code)
{
	struct berm_apiend end = { .is_stalled = get->is_stalled };
	void (*fn)(const struct berm_apiend *, const char *, void *) = get->opts.end;
	char body[MAX_BODY + 1];
	void *ctx = get->opts.ctx;
	curl_off_t wait = 0;

	(void)curl_easy_getinfo(get->curl, CURLINFO_RESPONSE_CODE, &end.status); /* else 0 */
	(void)curl_easy_getinfo(get->curl, CURLINFO_RETRY_AFTER, &wait);
	end.retry_after_s = (unsigned int)(wait > MAX_RETRY_AFTER_S ? MAX_RETRY_AFTER_S : wait);
	describe(get, code, &end);
	memcpy(body, get->body, get->body_size);
	body[get->body_size] = '\0';
	berm_apiget_cancel(get);
	fn(&end, body, ctx);
}

static void take_finished(struct berm_apihttp *http)
{
	struct berm_apiget *get;
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(http->multi, &left))) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		get = NULL;
		(void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&get);
		if (get)
			finish(get, msg->data.result);
	}
}

static void on_idle(uv_timer_t *timer)
{
	struct berm_apiget *get = timer->data;

	get->is_stalled = true;
	finish(get, CURLE_OPERATION_TIMEDOUT);
}

/* ---- curl's sockets and its timer on the loop ---------------------------------------------------------------- */

static void on_socket_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void on_socket_event(uv_poll_t *poll, int status, int events)
{
	struct socket_watch *watch = poll->data;
	struct berm_apihttp *http = watch->http;
	int flags = 0, running;

	if (status < 0)
		flags = CURL_CSELECT_ERR;
	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	(void)curl_multi_socket_action(http->multi, watch->fd, flags, &running);
	take_finished(http);
}

static struct socket_watch *watch_new(struct berm_apihttp *http, curl_socket_t fd)
{
	struct socket_watch *watch = calloc(1, sizeof(*watch));

	if (!watch || uv_poll_init_socket(http->loop, &watch->poll, fd)) {
		free(watch);
		return NULL;
	}
	watch->poll.data = watch;
	watch->http = http;
	watch->fd = fd;
	(void)curl_multi_assign(http->multi, fd, watch); /* fd is one of curl's */
	return watch;
}

static int on_curl_socket(CURL *curl, curl_socket_t fd, int what, void *ctx, void *of_socket)
{
	struct socket_watch *watch = of_socket;
	int events = 0;

	(void)curl;
	if (what == CURL_POLL_REMOVE) {
		if (!watch)
			return 0;
		(void)curl_multi_assign(((struct berm_apihttp *)ctx)->multi, fd, NULL);
		uv_poll_stop(&watch->poll);
		uv_close((uv_handle_t *)&watch->poll, on_socket_closed);
		return 0;
	}
	if (!watch)
		watch = watch_new(ctx, fd);
	if (!watch)
		return -1;
	if (what & CURL_POLL_IN)
		events |= UV_READABLE;
	if (what & CURL_POLL_OUT)
		events |= UV_WRITABLE;
	return uv_poll_start(&watch->poll, events, on_socket_event) ? -1 : 0;
}

static void on_timeout(uv_timer_t *timer)
{
	struct berm_apihttp *http = timer->data;
	int running;

	(void)curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	take_finished(http);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *ctx)
{
	struct berm_apihttp *http = ctx;

	(void)multi;
	if (timeout_ms < 0)
		return uv_timer_stop(&http->timer);
	return uv_timer_start(&http->timer, on_timeout, (uint64_t)timeout_ms, 0);
}

/* ---- requests --------------------------------------------------------------------------------------------- */

static size_t on_body(char *text, size_t one, size_t size, void *ctx)
{
	struct berm_apiget *get = ctx;
	size_t room = MAX_BODY - get->body_size, kept = size < room ? size : room;
	long status = 0;

	(void)one; /* is 1 */
	uv_update_time(get->http->loop);
	uv_timer_again(get->idle);
	(void)curl_easy_getinfo(get->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200 || status == 201) {
		get->is_enough = get->opts.data(text, size, get->opts.ctx) != 0;
		return get->is_enough ? 0 : size;
	}
	memcpy(get->body + get->body_size, text, kept);
	get->body_size += kept;
	return size;
}

/* Each line of the head; the empty one ends it. */
static void read_date(struct berm_apihttp *http, const char *text, size_t size)
{
	static const char name[] = "Date:";
	char value[64];
	time_t date;

	if (size < sizeof(name) || size - sizeof(name) + 1 >= sizeof(value) ||
	    strncasecmp(text, name, sizeof(name) - 1) != 0)
		return;
	memcpy(value, text + sizeof(name) - 1, size - sizeof(name) + 1);
	value[size - sizeof(name) + 1] = '\0';
	date = curl_getdate(value, NULL);
	if (date <= 0)
		return;
	http->date_s = date;
	http->date_ns = uv_hrtime();
}

int64_t berm_apihttp_now_s(const struct berm_apihttp *http)
{
	uint64_t since_ns = uv_hrtime() - http->date_ns;

	return http->date_s ? http->date_s + (int64_t)(since_ns / 1000000000) : 0;
}

static size_t on_head(char *text, size_t one, size_t size, void *ctx)
{
	struct berm_apiget *get = ctx;
	long status = 0;

	(void)one; /* is 1 */
	read_date(get->http, text, size);
	(void)curl_easy_getinfo(get->curl, CURLINFO_RESPONSE_CODE, &status);
	if (get->opts.opened && status == 200 && size && (*text == '\r' || *text == '\n'))
		get->opts.opened(get->opts.ctx);
	return size;
}

static int add_header(struct berm_apiget *get, const char *name, const char *value)
{
	struct curl_slist *list;
	auto_free char *line = NULL;

	if (asprintf(&line, "%s: %s", name, value) < 0) {
		line = NULL;
		return -ENOMEM;
	}
	list = curl_slist_append(get->headers, line);
	if (!list)
		return -ENOMEM;
	get->headers = list;
	return 0;
}

static int add_token(struct berm_apiget *get, struct berm_err *err)
{
	auto_free char *token = NULL, *value = NULL;
	int rc = berm_kubeconfig_token(get->http->config, &token, err);

	if (rc || !token)
		return rc;
	if (asprintf(&value, "Bearer %s", token) < 0) {
		value = NULL;
		return berm_fail(err, -ENOMEM, "request %s", get->opts.path);
	}
	rc = add_header(get, "Authorization", value);
	return rc ? berm_fail(err, rc, "request %s", get->opts.path) : 0;
}

static void set_tls(CURL *curl, const struct berm_kubeconfig *config)
{
	if (config->is_insecure) {
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (config->file[BERM_KUBE_CA]) { /* this one and no other */
		curl_easy_setopt(curl, CURLOPT_CAINFO, config->file[BERM_KUBE_CA]);
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	}
	if (config->file[BERM_KUBE_CERT]) {
		curl_easy_setopt(curl, CURLOPT_SSLCERT, config->file[BERM_KUBE_CERT]);
		curl_easy_setopt(curl, CURLOPT_SSLKEY, config->file[BERM_KUBE_KEY]);
	}
}

static int set_body(struct berm_apiget *get)
{
	const struct berm_apiget_opts *opts = &get->opts;

	if (opts->method)
		curl_easy_setopt(get->curl, CURLOPT_CUSTOMREQUEST, opts->method);
	if (!opts->send)
		return 0;
	if (add_header(get, "Content-Type",
		       opts->send_type) || /* and no waiting for "100 Continue": */
	    add_header(get, "Expect", "") ||
	    curl_easy_setopt(get->curl, CURLOPT_COPYPOSTFIELDS, opts->send))
		return -ENOMEM;
	get->opts.send = NULL;
	return 0;
}

static void set_options(struct berm_apiget *get)
{
	CURL *curl = get->curl;

	curl_easy_setopt(curl, CURLOPT_PRIVATE, get);
	curl_easy_setopt(curl, CURLOPT_URL, get->url);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, get->headers);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "berm-agent");
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_head);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, get);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, get);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, get->error);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* not even that of the environment */
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_S);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_S);
	set_tls(curl, get->http->config);
}

static int prepare(struct berm_apiget *get, struct berm_err *err)
{
	int rc;

	if (asprintf(&get->url, "%s%s", get->http->config->server, get->opts.path) < 0)
		get->url = NULL;
	get->curl = curl_easy_init();
	if (!get->url || !get->curl || add_header(get, "Accept", get->opts.accept))
		return berm_fail(err, -ENOMEM, "request %s", get->opts.path);
	if (set_body(get))
		return berm_fail(err, -ENOMEM, "request %s", get->opts.path);
	rc = add_token(get, err);
	if (!rc)
		set_options(get);
	return rc;
}

static int start_idle(struct berm_apiget *get, struct berm_err *err)
{
	get->idle = malloc(sizeof(*get->idle));
	if (!get->idle)
		return berm_fail(err, -ENOMEM, "request %s", get->opts.path);
	uv_timer_init(get->http->loop, get->idle);
	get->idle->data = get;
	uv_update_time(get->http->loop);
	uv_timer_start(get->idle, on_idle, get->opts.idle_ms, get->opts.idle_ms);
	return 0;
}

static int add_to_multi(struct berm_apiget *get, struct berm_err *err)
{
	CURLMcode code = curl_multi_add_handle(get->http->multi, get->curl);

	return code ? berm_refuse(err, -EINVAL, "request %s: %s", get->opts.path,
				  curl_multi_strerror(code))
		    : 0;
}

int berm_apiget_start(struct berm_apihttp *http, const struct berm_apiget_opts *opts,
		      struct berm_apiget **ret, struct berm_err *err)
{
	struct berm_apiget *get = calloc(1, sizeof(*get));
	int rc;

	if (!get)
		return berm_fail(err, -ENOMEM, "request %s", opts->path);
	get->http = http;
	get->opts = *opts;
	rc = prepare(get, err);
	if (!rc)
		rc = start_idle(get, err);
	if (!rc)
		rc = add_to_multi(get, err);
	if (rc) {
		berm_apiget_cancel(get);
		return rc;
	}
	get->next = http->first;
	http->first = get;
	*ret = get;
	return 0;
}

void berm_apiget_set_idle(struct berm_apiget *get, unsigned int idle_ms)
{
	get->opts.idle_ms = idle_ms;
	uv_timer_start(get->idle, on_idle, idle_ms, idle_ms);
}

/* ---- open and close ---------------------------------------------------------------------------------------- */

int berm_apihttp_open(uv_loop_t *loop, const struct berm_kubeconfig *config,
		      struct berm_apihttp **ret, struct berm_err *err)
{
	struct berm_apihttp *http = calloc(1, sizeof(*http));

	if (!http || curl_global_init(CURL_GLOBAL_DEFAULT) || !(http->multi = curl_multi_init())) {
		free(http);
		return berm_fail(err, -ENOMEM, "start libcurl");
	}
	http->loop = loop;
	http->config = config;
	uv_timer_init(loop, &http->timer);
	http->timer.data = http;
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	*ret = http;
	return 0;
}

void berm_apihttp_stop(struct berm_apihttp *http)
{
	if (!http || !http->multi)
		return;
	while (http->first)
		berm_apiget_cancel(http->first);
	curl_multi_cleanup(
		http->multi); /* closes the connections, and with them the sockets' handles */
	http->multi = NULL;
	uv_close((uv_handle_t *)&http->timer, NULL);
}

void berm_apihttp_free(struct berm_apihttp *http)
{
	free(http);
}
