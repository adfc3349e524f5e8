/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a request to its handler, with every refusal on the way; and org.varlink.service, which every Varlink
 * server has. Main thread. */
#ifndef CONTROL_DISPATCH_H
#define CONTROL_DISPATCH_H

#include "control/server.h"
#include "control/varlink.h"

/* The method that request names, in service's interface or org.varlink.service; NULL, and the error's name
 * and parameters (a new reference), when there is none. */
const struct method *dispatch_find(const struct service *service, const struct varlink_request *request,
                                   const char **error, json_t **parameters);

/* Checks role, length and parameters, asks service->admit, runs the handler. The call is answered, or will
 * be.
 */
void dispatch_run(const struct service *service, struct call *call, size_t request_bytes);

/* {complaints: [{where, text}]}, the parameters of io.volleyd.Invalid. */
json_t *dispatch_complaint(const char *where, const char *text);

#endif
