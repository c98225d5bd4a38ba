/* SPDX-License-Identifier: Apache-2.0 */
/* notify.h - tell a service manager that we are ready (sd_notify(3)'s protocol, without its library). */
#ifndef BERM_NOTIFY_H
#define BERM_NOTIFY_H

/* Does nothing where nobody asked for it ($NOTIFY_SOCKET). */
void berm_notify_ready(void);

#endif /* BERM_NOTIFY_H */
