/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Putting streams in force: apply, reload and send end here. */
#ifndef CLI_APPLY_H
#define CLI_APPLY_H

#include "cli/session.h"

/* Calls Apply or Reload (takes over parameters) and tells what changed, with the warnings. */
int apply_tell(struct session *session, const char *method, json_t *parameters);

#endif
