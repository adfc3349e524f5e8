// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes as the kernel's answers and events: nothing is read beyond the message. The file itself is
 * included: its readers of messages are nobody else's business. The first byte says who reads.
 * One message at a time: libmnl 1.0.4 takes lengths of 2^31 and more between messages for negative ones. */
#include <stdlib.h>

#include "run/link.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_change(void *context, const char *name, int ifindex)
{
    (void)context;
    (void)ifindex;
    if (strlen(name) >= IFNAMSIZ)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct link_facts facts = {0};
    struct link_abilities abilities = {0};
    uint16_t family = 0;
    char reason[128];
    struct refusal refusal = {.ifindex = 2, .reason = reason, .size = sizeof reason};
    struct link_watch watch = {.changed = on_change};
    const struct {
        mnl_cb_t read;
        void *context;
    } readers[] = {{take_link, &facts},    {take_address, &refusal},     {take_route, &refusal},
                   {take_family, &family}, {take_linkmodes, &abilities}, {take_features, &abilities},
                   {take_event, &watch}};
    uint32_t length = size < 1 ? 0 : (uint32_t)(size - 1) & ~UINT32_C(3); /* as the kernel pads them */
    if (length < sizeof(struct nlmsghdr))
        return 0;
    /* A buffer of its own, aligned as the kernel's are, and with its end where ASan watches. */
    char *message = malloc(length);
    if (message == NULL)
        return 0;
    memcpy(message, data + 1, length);
    memcpy(message, &length, sizeof length);
    size_t which = data[0] % (sizeof readers / sizeof *readers);
    mnl_cb_run(message, length, 0, 0, readers[which].read, readers[which].context);
    free(message);
    return 0;
}
