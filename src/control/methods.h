/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the handlers of io.volleyd share: their context, how they pick streams and ports, how they fail.
 * Main thread; only control/ includes this. */
#ifndef CONTROL_METHODS_H
#define CONTROL_METHODS_H

#include "control/control.h"
#include "control/lease.h"

struct watch; /* a client that streams counters */

struct control {
    struct control_wishes wishes;
    struct volley *volley; /* borrowed */
    struct service service;
    struct lease lease;
    struct watch *watches;
    json_t *warnings;      /* owned: of the configuration in force */
    struct change *change; /* the Apply or Reload under way; NULL: none */
};

/* ---- picking ---- */

/* Streams by name, by pattern (`voice*`) and by the name that copies share; or one port; or all. */
struct picked {
    struct selection selection;
    const char **names; /* owned; borrowed from the plan */
};
/* From the parameters `streams` and `port`. When they name nothing, the call is answered and false returned.
 */
bool pick(struct call *call, const struct plan *plan, struct picked *out);
void picked_fini(struct picked *picked);

/* Page of the streams of a plan that the parameters streams, match, offset and limit choose. */
struct page {
    uint32_t *streams; /* owned: indices */
    size_t count;      /* on this page */
    size_t total;      /* on all */
};
bool page_pick(struct call *call, const struct plan *plan, int64_t default_limit, struct page *out);
void page_fini(struct page *page);

/* ---- failing ---- */

void fail_not_found(struct call *call, const char *name, const struct plan *plan);
void fail_invalid(struct call *call, const char *where, const char *text);
void fail_complaints(struct call *call, const struct complaints *complaints);
/* By err->code, as run.h gives it. */
void fail(struct call *call, const struct err *err);
json_t *complaints_view(const struct complaints *complaints, bool errors); /* else the warnings */

/* A volley_done: answers the call (context) with nothing, or with the failure. */
void reply_done(void *context, int result, const struct err *err);

/* ---- parameters, checked already ---- */

const char *text_of(const struct call *call, const char *name);               /* NULL when absent */
int64_t number_of(const struct call *call, const char *name, int64_t absent); /* absent: when it is */
bool flag_of(const struct call *call, const char *name);

/* ---- handlers, one file a group ---- */

void method_get_status(struct call *call, void *context); /* reading.c */
void method_counters(struct call *call, void *context);
void method_report(struct call *call, void *context);
void reading_fini(struct control *control); /* ends what is streamed */

void method_start(struct call *call, void *context); /* steering.c */
void method_stop(struct call *call, void *context);
void method_pause(struct call *call, void *context);
void method_resume(struct call *call, void *context);
void method_set_rate(struct call *call, void *context);

void method_apply(struct call *call, void *context); /* changing.c */
void method_reload(struct call *call, void *context);
void changing_fini(struct control *control);

#endif
