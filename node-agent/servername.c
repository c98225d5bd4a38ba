/* SPDX-License-Identifier: Apache-2.0 */
/* servername.c - see servername.h. Every read goes through a piece that knows where it ends. */
#include "servername.h"

#include <string.h>
#include <strings.h>

struct piece {
	const uint8_t *at;
	size_t len;
};

/* The next `len` bytes. */
static bool take(struct piece *from, size_t len, struct piece *ret)
{
	if (from->len < len)
		return false;
	*ret = (struct piece){ from->at, len };
	from->at += len;
	from->len -= len;
	return true;
}

/* A number of `size` bytes, most significant first. */
static bool number(struct piece *from, size_t size, size_t *ret)
{
	struct piece bytes;

	if (!take(from, size, &bytes))
		return false;
	*ret = 0;
	for (size_t i = 0; i < size; i++)
		*ret = *ret << 8 | bytes.at[i];
	return true;
}

/* What a length of `size` bytes stands in front of. */
static bool vector(struct piece *from, size_t size, struct piece *ret)
{
	size_t len;

	return number(from, size, &len) && take(from, len, ret);
}

static bool is_name_byte(uint8_t c, const char *also)
{
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
		return true;
	return c && strchr(also, c);
}

static bool put_name(const struct piece *name, const char *also, char out[BERM_SERVERNAME_MAX])
{
	if (!name->len || name->len >= BERM_SERVERNAME_MAX)
		return false;
	for (size_t i = 0; i < name->len; i++) {
		uint8_t c = name->at[i];

		if (c >= 'A' && c <= 'Z')
			c = (uint8_t)(c - 'A' + 'a');
		if (!is_name_byte(c, also))
			return false;
		out[i] = (char)c;
	}
	out[name->len] = '\0';
	return true;
}

/* ---- TLS (RFC 8446, 4.1.2; RFC 6066, 3) ---------------------------------------------------------------- */

#define EXTENSION_SERVER_NAME 0
#define NAME_TYPE_HOST	      0

/* Up to its extensions; they may end where the sample ends. */
static bool hello_extensions(struct piece hello, struct piece *ret)
{
	struct piece skipped;
	size_t len;

	if (!take(&hello, 2 + 32, &skipped) || !vector(&hello, 1, &skipped) ||
	    !vector(&hello, 2, &skipped) || !vector(&hello, 1, &skipped) ||
	    !number(&hello, 2, &len))
		return false;
	if (hello.len > len)
		hello.len = len;
	*ret = hello;
	return true;
}

static bool server_name_of(struct piece extension, char out[BERM_SERVERNAME_MAX])
{
	struct piece list, name;
	size_t type;

	return vector(&extension, 2, &list) && !extension.len && number(&list, 1, &type) &&
	       type == NAME_TYPE_HOST && vector(&list, 2, &name) && !list.len &&
	       put_name(&name, "-._", out);
}

bool berm_servername_tls(const uint8_t *data, size_t len, char out[BERM_SERVERNAME_MAX])
{
	struct piece all = { data, len }, head, extensions, extension;
	size_t size, type;

	if (!take(&all, 3, &head) || head.at[0] != 22 || !number(&all, 2, &size))
		return false;
	if (all.len > size) /* more records; a ClientHello over two of them is not put together */
		all.len = size;
	if (!number(&all, 1, &type) || type != 1 || !number(&all, 3, &size))
		return false;
	if (all.len > size)
		all.len = size;
	if (!hello_extensions(all, &extensions))
		return false;
	while (number(&extensions, 2, &type) && vector(&extensions, 2, &extension))
		if (type == EXTENSION_SERVER_NAME)
			return server_name_of(extension, out);
	return false;
}

/* ---- HTTP/1 (RFC 9112, 3.2) ----------------------------------------------------------------------------- */

/* The next line without its end, which must be there. */
static bool line_of(struct piece *from, struct piece *ret)
{
	const uint8_t *end = from->len ? memchr(from->at, '\n', from->len) : NULL;
	struct piece feed;

	if (!end || !take(from, (size_t)(end - from->at), ret) || !take(from, 1, &feed))
		return false;
	if (ret->len && ret->at[ret->len - 1] == '\r')
		ret->len--;
	return true;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static bool host_of(struct piece line, struct piece *ret)
{
	struct piece name;

	if (!take(&line, 5, &name) || strncasecmp((const char *)name.at, "host:", 5) != 0)
		return false;
	while (line.len && is_blank(line.at[0]))
		take(&line, 1, &name);
	while (line.len && is_blank(line.at[line.len - 1]))
		line.len--;
	*ret = line;
	return true;
}

bool berm_servername_http(const uint8_t *data, size_t len, char out[BERM_SERVERNAME_MAX])
{
	struct piece all = { data, len }, line, host, found = { NULL, 0 };

	if (!line_of(&all, &line))
		return false;
	while (line_of(&all, &line) && line.len) {
		if (!host_of(line, &host))
			continue;
		if (found.at) /* two of them: who knows which one the server believes */
			return false;
		found = host;
	}
	return found.at && put_name(&found, "-._:[]", out);
}
