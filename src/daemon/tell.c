/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/tell.h"

#include <string.h>

#include "base/log.h"

static const struct kind {
    const char *event;
    int level;
    enum log_event id;
} kinds[] = {
    {"change", LOG_NOTICE, EVENT_CONTROL_CHANGE},   {"lease", LOG_WARNING, EVENT_LEASE_EXPIRED},
    {"run-started", LOG_NOTICE, EVENT_RUN_STARTED}, {"run-ended", LOG_NOTICE, EVENT_RUN_ENDED},
    {"port-state", LOG_NOTICE, EVENT_PORT_STATE},   {"port-refused", LOG_WARNING, EVENT_PORT_REFUSED},
    {"port-failed", LOG_ERR, EVENT_PORT_FAILED},    {"link-lost", LOG_WARNING, EVENT_LINK_LOST},
    {"link-regained", LOG_NOTICE, EVENT_LINK_BACK},
};

void tell(void *context, const char *event, const char *text)
{
    (void)context;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].event, event) != 0)
            continue;
        log_write(kinds[i].level, kinds[i].id, "%s", text);
        return;
    }
    log_write(LOG_INFO, EVENT_NONE, "%s", text);
}
