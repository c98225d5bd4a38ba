/* SPDX-License-Identifier: Apache-2.0 */
/* paths.h - where things live on a node. Tests use namespaces of their own instead of other paths. */
#ifndef BERM_PATHS_H
#define BERM_PATHS_H

#include "abi.h"

#define BERM_TEXT(number)  #number
#define BERM_TEXT_OF(name) BERM_TEXT(name)

#define BERM_BPFFS    "/sys/fs/bpf"
#define BERM_PIN_DIR  BERM_BPFFS "/berm"
#define BERM_PIN_ABI  BERM_PIN_DIR "/v" BERM_TEXT_OF(BERM_ABI_VERSION) /* lib/version.h */
#define BERM_PIN_MAPS BERM_PIN_ABI "/maps" /* berm_<name>, see BERM_MAPS in abi.h */
#define BERM_PIN_OLD_SESSIONS                                                                      \
	BERM_PIN_MAPS "/berm_sessions_old"   /* while its sessions move to another (lib/resize.h) */
#define BERM_PIN_PROGS BERM_PIN_ABI "/progs" /* from_pod, to_pod, sweep */
#define BERM_PIN_BUILD                                                                             \
	BERM_PIN_PROGS "/build"		     /* a link that points nowhere: which build made them */
#define BERM_PIN_LINKS BERM_PIN_DIR "/links" /* <ifindex>_in, <ifindex>_out (tcx only) */
#define BERM_PIN_UPLINK                                                                            \
	BERM_PIN_DIR "/uplink" /* <ifindex>: link of the block list (lib/uplink.h) */

#define BERM_RUN_DIR   "/run/berm"
#define BERM_LOCK      BERM_RUN_DIR "/lock" /* flock: taking and freeing slots (microseconds) */
#define BERM_LOAD_LOCK BERM_RUN_DIR "/load.lock" /* flock: making maps and programs (a second) */
#define BERM_OWNER_DIR                                                                             \
	BERM_RUN_DIR "/owners" /* <ifindex> -> file name of the record that owns it */
#define BERM_RECORD_DIR BERM_RUN_DIR "/endpoints" /* one JSON file per attachment (lib/record.h) */
#define BERM_LEFT_DIR	BERM_RUN_DIR "/left"	  /* DELs that could not wait for BERM_LOCK */
#define BERM_NAMES	BERM_RUN_DIR "/rules"	  /* rule id -> name (lib/names.h) */
#define BERM_APPLIED                                                                               \
	BERM_RUN_DIR "/applied" /* what the agent remembers of the maps (apply_memo.c) */
#define BERM_AGENT_SOCKET BERM_RUN_DIR "/agent.sock"

#define BERM_STATE_DIR "/var/lib/berm" /* last good documents */
#define BERM_LOG_DIR   "/var/log/berm"

#endif /* BERM_PATHS_H */
