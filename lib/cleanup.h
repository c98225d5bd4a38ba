/* SPDX-License-Identifier: Apache-2.0 */
/* cleanup.h - scope-bound ownership: declare it, forget it, or hand it over. */
#ifndef BERM_CLEANUP_H
#define BERM_CLEANUP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void berm_freep(void *p)
{
	free(*(void **)p);
}

static inline void berm_closep(const int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void berm_fclosep(FILE **f)
{
	int saved = errno;

	if (*f)
		fclose(*f);
	errno = saved;
}

#define auto_free   __attribute__((cleanup(berm_freep)))
#define auto_close  __attribute__((cleanup(berm_closep)))
#define auto_fclose __attribute__((cleanup(berm_fclosep)))

/* Ownership leaves the scope:  *out = TAKE_FD(fd); */
#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) p_ = (p);                                                            \
		(p) = NULL;                                                                        \
		p_;                                                                                \
	})
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int fd_ = (fd);                                                                    \
		(fd) = -1;                                                                         \
		fd_;                                                                               \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif /* BERM_CLEANUP_H */
