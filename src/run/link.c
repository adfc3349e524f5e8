/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Netlink questions and events. A question opens a socket, asks, reads until the answer is whole, and closes:
 * questions are asked when a port is armed and when a run is reconciled, never while frames are paced. */
#include "run/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>
#include <linux/if_addr.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* libmnl's attribute loops narrow a pointer difference to int. */
#pragma GCC diagnostic ignored "-Wconversion"

enum { ANSWER_BYTES = 32768, REQUEST_BYTES = 512, TRIES = 3 };

struct question {
    char buffer[REQUEST_BYTES];
    struct nlmsghdr *header;
    int bus; /* NETLINK_ROUTE or NETLINK_GENERIC */
    mnl_cb_t answer;
    void *context;
};

static struct nlmsghdr *question_begin(struct question *q, int bus, uint16_t type, uint16_t flags,
                                       mnl_cb_t answer, void *context)
{
    memset(q, 0, sizeof *q);
    q->bus = bus;
    q->answer = answer;
    q->context = context;
    q->header = mnl_nlmsg_put_header(q->buffer);
    q->header->nlmsg_type = type;
    q->header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    q->header->nlmsg_seq = 1;
    return q->header;
}

static int read_answer(struct mnl_socket *socket, const struct question *q)
{
    char buffer[ANSWER_BYTES];
    unsigned int port = mnl_socket_get_portid(socket);
    int more = 1;

    while (more > 0) {
        ssize_t bytes = mnl_socket_recvfrom(socket, buffer, sizeof buffer);
        if (bytes < 0)
            return -errno;
        more = mnl_cb_run(buffer, (size_t)bytes, 1, port, q->answer, q->context);
        if (more < 0)
            return -errno;
    }
    return 0;
}

static int ask_once(const struct question *q)
{
    struct mnl_socket *socket = mnl_socket_open2(q->bus, SOCK_CLOEXEC);
    if (socket == NULL)
        return -errno;
    struct timeval patience = {.tv_sec = 2};
    setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    int result = 0;
    if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
        mnl_socket_sendto(socket, q->header, q->header->nlmsg_len) < 0)
        result = -errno;
    else
        result = read_answer(socket, q);
    mnl_socket_close(socket);
    return result;
}

/* A dump that was interrupted by a change (EINTR) is asked again. */
static int ask(const struct question *q)
{
    int result = -EINTR;
    for (int i = 0; i < TRIES && result == -EINTR; i++)
        result = ask_once(q);
    return result;
}

/* ---- messages: nothing is read that is not there ---- */

static bool holds(const struct nlmsghdr *header, size_t bytes)
{
    return mnl_nlmsg_get_payload_len(header) >= bytes;
}

static uint32_t number_in(const struct nlattr *attribute)
{
    return mnl_attr_validate(attribute, MNL_TYPE_U32) == 0 ? mnl_attr_get_u32(attribute) : 0;
}

static const char *text_in(const struct nlattr *attribute)
{
    return mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) == 0 ? mnl_attr_get_str(attribute) : "";
}

/* ---- RTM_GETLINK ---- */

static int kind_attribute(const struct nlattr *attribute, void *context)
{
    struct link_facts *facts = context;
    if (mnl_attr_get_type(attribute) == IFLA_INFO_KIND)
        snprintf(facts->kind, sizeof facts->kind, "%s", text_in(attribute));
    return MNL_CB_OK;
}

static void take_stats(const struct nlattr *attribute, struct link_stats *stats)
{
    struct rtnl_link_stats64 s = {0};
    size_t bytes = mnl_attr_get_payload_len(attribute);
    memcpy(&s, mnl_attr_get_payload(attribute), bytes < sizeof s ? bytes : sizeof s);
    *stats = (struct link_stats){.tx_packets = s.tx_packets,
                                 .tx_bytes = s.tx_bytes,
                                 .tx_dropped = s.tx_dropped,
                                 .tx_errors = s.tx_errors,
                                 .rx_packets = s.rx_packets,
                                 .rx_bytes = s.rx_bytes,
                                 .rx_dropped = s.rx_dropped};
}

static int link_attribute(const struct nlattr *attribute, void *context)
{
    struct link_facts *facts = context;
    switch (mnl_attr_get_type(attribute)) {
    case IFLA_IFNAME:
        snprintf(facts->name, sizeof facts->name, "%s", text_in(attribute));
        break;
    case IFLA_MTU:
        facts->mtu = number_in(attribute);
        break;
    case IFLA_ADDRESS:
        if (mnl_attr_get_payload_len(attribute) == sizeof facts->mac)
            memcpy(facts->mac, mnl_attr_get_payload(attribute), sizeof facts->mac);
        break;
    case IFLA_CARRIER:
        facts->carrier = mnl_attr_validate(attribute, MNL_TYPE_U8) == 0 && mnl_attr_get_u8(attribute) != 0;
        break;
    case IFLA_MASTER:
        facts->master = (int)number_in(attribute);
        break;
    case IFLA_NUM_TX_QUEUES:
        facts->tx_queues = number_in(attribute);
        break;
    case IFLA_STATS64:
        take_stats(attribute, &facts->stats);
        break;
    case IFLA_LINKINFO:
        return mnl_attr_parse_nested(attribute, kind_attribute, facts);
    default:
        break;
    }
    return MNL_CB_OK;
}

static int take_link(const struct nlmsghdr *header, void *context)
{
    struct link_facts *facts = context;
    const struct ifinfomsg *info = mnl_nlmsg_get_payload(header);
    if (!holds(header, sizeof *info))
        return MNL_CB_STOP;
    facts->ifindex = info->ifi_index;
    facts->hardware = info->ifi_type;
    facts->up = (info->ifi_flags & IFF_UP) != 0;
    mnl_attr_parse(header, sizeof *info, link_attribute, facts);
    return MNL_CB_STOP;
}

int link_read(const char *name, struct link_facts *facts, struct err *err)
{
    struct link_facts read = {0};
    struct question q;
    struct nlmsghdr *header = question_begin(&q, NETLINK_ROUTE, RTM_GETLINK, 0, take_link, &read);
    struct ifinfomsg *info = mnl_nlmsg_put_extra_header(header, sizeof *info);
    info->ifi_family = AF_UNSPEC;
    mnl_attr_put_strz(header, IFLA_IFNAME, name);

    int result = strlen(name) < IFNAMSIZ ? ask(&q) : -ENODEV;
    if (result == -ENODEV) {
        memset(facts, 0, sizeof *facts);
        return 0;
    }
    if (result < 0)
        return err_set(err, result, "cannot ask the kernel about %s: %s", name, strerror(-result));
    *facts = read;
    return 0;
}

/* ---- why an interface should be left alone ---- */

struct refusal {
    int ifindex;
    char *reason;
    size_t size;
    bool found;
};

static int take_address(const struct nlmsghdr *header, void *context)
{
    struct refusal *refusal = context;
    const struct ifaddrmsg *message = mnl_nlmsg_get_payload(header);
    struct nlattr *attribute;
    if (!holds(header, sizeof *message) || (int)message->ifa_index != refusal->ifindex || refusal->found ||
        (message->ifa_family == AF_INET6 && message->ifa_scope == RT_SCOPE_LINK))
        return MNL_CB_OK;
    mnl_attr_for_each(attribute, header, sizeof *message)
    {
        char text[INET6_ADDRSTRLEN];
        if (mnl_attr_get_type(attribute) == IFA_ADDRESS &&
            mnl_attr_get_payload_len(attribute) >= (message->ifa_family == AF_INET ? 4 : 16) &&
            inet_ntop(message->ifa_family, mnl_attr_get_payload(attribute), text, sizeof text) != NULL) {
            refusal->found = true;
            snprintf(refusal->reason, refusal->size, "it has the address %s", text);
        }
    }
    return MNL_CB_OK;
}

static int take_route(const struct nlmsghdr *header, void *context)
{
    struct refusal *refusal = context;
    const struct rtmsg *route = mnl_nlmsg_get_payload(header);
    struct nlattr *attribute;
    if (!holds(header, sizeof *route) || route->rtm_dst_len != 0 || route->rtm_type != RTN_UNICAST)
        return MNL_CB_OK;
    mnl_attr_for_each(attribute, header, sizeof *route)
    {
        if (mnl_attr_get_type(attribute) == RTA_OIF && (int)number_in(attribute) == refusal->ifindex) {
            refusal->found = true;
            snprintf(refusal->reason, refusal->size, "it carries the default route");
        }
    }
    return MNL_CB_OK;
}

static int dump(uint16_t type, mnl_cb_t take, struct refusal *refusal)
{
    struct question q;
    struct nlmsghdr *header = question_begin(&q, NETLINK_ROUTE, type, NLM_F_DUMP, take, refusal);
    struct rtmsg *family =
        mnl_nlmsg_put_extra_header(header, sizeof *family); /* as long as ifaddrmsg, or longer */
    family->rtm_family = AF_UNSPEC;
    return ask(&q);
}

int link_reason_to_refuse(const struct link_facts *facts, char *reason, size_t size)
{
    struct refusal refusal = {.ifindex = facts->ifindex, .reason = reason, .size = size};
    if (facts->master != 0) {
        char name[IFNAMSIZ];
        const char *master = if_indextoname((unsigned int)facts->master, name);
        snprintf(reason, size, "it is a member of %s", master != NULL ? master : "a bridge or bond");
        return 1;
    }
    int result = dump(RTM_GETROUTE, take_route, &refusal);
    if (result == 0 && !refusal.found)
        result = dump(RTM_GETADDR, take_address, &refusal);
    return result < 0 ? result : refusal.found;
}

int link_taps(int ifindex)
{
    FILE *file = fopen("/proc/net/packet", "re");
    char line[256];
    int taps = 0;
    if (file == NULL)
        return -errno;
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned int protocol;
        int iface;
        /* sk RefCnt Type Proto Iface R Rmem User Inode */
        if (sscanf(line, "%*s %*s %*s %x %d", &protocol, &iface) == 2 && protocol == ETH_P_ALL &&
            (iface == ifindex || iface == 0))
            taps++;
    }
    fclose(file);
    return taps;
}

/* The first line of one of the interface's files in /sys; empty where there is none. */
static void read_sys(const char *name, const char *attribute, char *line, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "/sys/class/net/%s/%s", name, attribute);
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(line, (int)size, file) == NULL)
        line[0] = 0;
    if (file != NULL)
        fclose(file);
}

bool link_picks_queue_by_cpu(const char *name)
{
    char mask[256];
    read_sys(name, "queues/tx-0/xps_cpus", mask, sizeof mask);
    return strpbrk(mask, "123456789abcdef") != NULL; /* else "0", or "00,00000000" */
}

int link_node(const char *name)
{
    char number[16];
    int node;
    read_sys(name, "device/numa_node", number, sizeof number);
    return sscanf(number, "%d", &node) == 1 ? node : -1;
}

/* ---- ethtool netlink ---- */

static int take_family(const struct nlmsghdr *header, void *context)
{
    struct nlattr *attribute;
    mnl_attr_for_each(attribute, header, sizeof(struct genlmsghdr))
    {
        if (mnl_attr_get_type(attribute) == CTRL_ATTR_FAMILY_ID &&
            mnl_attr_validate(attribute, MNL_TYPE_U16) == 0)
            *(uint16_t *)context = mnl_attr_get_u16(attribute);
    }
    return MNL_CB_STOP;
}

static struct nlmsghdr *generic_begin(struct question *q, uint16_t family, uint8_t command, mnl_cb_t answer,
                                      void *context)
{
    struct nlmsghdr *header = question_begin(q, NETLINK_GENERIC, family, 0, answer, context);
    struct genlmsghdr *generic = mnl_nlmsg_put_extra_header(header, sizeof *generic);
    generic->cmd = command;
    generic->version = 1;
    return header;
}

static uint16_t ethtool_family(void)
{
    uint16_t family = 0;
    struct question q;
    struct nlmsghdr *header = generic_begin(&q, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, take_family, &family);
    mnl_attr_put_strz(header, CTRL_ATTR_FAMILY_NAME, ETHTOOL_GENL_NAME);
    return ask(&q) == 0 ? family : 0;
}

static int take_linkmodes(const struct nlmsghdr *header, void *context)
{
    struct link_abilities *abilities = context;
    struct nlattr *attribute;
    mnl_attr_for_each(attribute, header, sizeof(struct genlmsghdr))
    {
        if (mnl_attr_get_type(attribute) == ETHTOOL_A_LINKMODES_SPEED) {
            uint32_t mbit = number_in(attribute);
            abilities->speed_bit = mbit == UINT32_MAX ? 0 : (uint64_t)mbit * 1000000;
        }
    }
    return MNL_CB_STOP;
}

static void take_feature(const struct nlattr *bit, struct link_abilities *abilities)
{
    const struct nlattr *attribute;
    mnl_attr_for_each_nested(attribute, bit)
    {
        if (mnl_attr_get_type(attribute) != ETHTOOL_A_BITSET_BIT_NAME)
            continue;
        const char *name = text_in(attribute);
        if (strcmp(name, "tx-scatter-gather") == 0)
            abilities->fragments = true;
        if (strcmp(name, "tx-udp-segmentation") == 0)
            abilities->udp_segmentation = true;
    }
}

static int take_features(const struct nlmsghdr *header, void *context)
{
    const struct nlattr *set, *bits, *bit;
    mnl_attr_for_each(set, header, sizeof(struct genlmsghdr))
    {
        if (mnl_attr_get_type(set) != ETHTOOL_A_FEATURES_ACTIVE)
            continue;
        mnl_attr_for_each_nested(bits, set)
        {
            if (mnl_attr_get_type(bits) != ETHTOOL_A_BITSET_BITS)
                continue;
            mnl_attr_for_each_nested(bit, bits)
            {
                take_feature(bit, context);
            }
        }
    }
    return MNL_CB_STOP;
}

static void ask_ethtool(uint16_t family, uint8_t command, uint16_t request_header, int ifindex,
                        mnl_cb_t answer, struct link_abilities *abilities)
{
    struct question q;
    struct nlmsghdr *header = generic_begin(&q, family, command, answer, abilities);
    struct nlattr *nest = mnl_attr_nest_start(header, request_header);
    mnl_attr_put_u32(header, ETHTOOL_A_HEADER_DEV_INDEX, (uint32_t)ifindex);
    mnl_attr_nest_end(header, nest);
    (void)ask(&q); /* a device that does not say leaves zeros */
}

void link_read_abilities(int ifindex, struct link_abilities *abilities)
{
    memset(abilities, 0, sizeof *abilities);
    uint16_t family = ethtool_family();
    if (family == 0)
        return;
    ask_ethtool(family, ETHTOOL_MSG_LINKMODES_GET, ETHTOOL_A_LINKMODES_HEADER, ifindex, take_linkmodes,
                abilities);
    ask_ethtool(family, ETHTOOL_MSG_FEATURES_GET, ETHTOOL_A_FEATURES_HEADER, ifindex, take_features,
                abilities);
}

/* ---- events ---- */

struct link_watch {
    struct ev_loop *loop;
    struct mnl_socket *socket;
    ev_io readable;
    link_changed *changed;
    void *context;
};

static int take_event(const struct nlmsghdr *header, void *context)
{
    struct link_watch *watch = context;
    const struct ifinfomsg *info = mnl_nlmsg_get_payload(header);
    if ((header->nlmsg_type != RTM_NEWLINK && header->nlmsg_type != RTM_DELLINK) ||
        !holds(header, sizeof *info))
        return MNL_CB_OK;
    struct link_facts facts = {0};
    mnl_attr_parse(header, sizeof *info, link_attribute, &facts);
    watch->changed(watch->context, facts.name, info->ifi_index);
    return MNL_CB_OK;
}

/* Events that the kernel had no room for (ENOBUFS) may concern any interface: name "" and index 0 say so. */
static void on_events(struct ev_loop *loop, ev_io *io, int revents)
{
    struct link_watch *watch = io->data;
    char buffer[ANSWER_BYTES];
    (void)loop;
    (void)revents;
    for (;;) {
        ssize_t bytes = recv(io->fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (bytes < 0 && errno == ENOBUFS) {
            watch->changed(watch->context, "", 0);
            continue;
        }
        if (bytes <= 0)
            return;
        mnl_cb_run(buffer, (size_t)bytes, 0, 0, take_event, watch);
    }
}

int link_watch_new(struct ev_loop *loop, link_changed *changed, void *context, struct link_watch **out,
                   struct err *err)
{
    struct link_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    *watch = (struct link_watch){.loop = loop, .changed = changed, .context = context};
    watch->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (watch->socket == NULL || mnl_socket_bind(watch->socket, RTMGRP_LINK, MNL_SOCKET_AUTOPID) < 0) {
        int code = -errno;
        link_watch_free(watch);
        return err_set(err, code, "cannot watch for link changes (rtnetlink): %s", strerror(-code));
    }
    ev_io_init(&watch->readable, on_events, mnl_socket_get_fd(watch->socket), EV_READ);
    watch->readable.data = watch;
    ev_io_start(loop, &watch->readable);
    *out = watch;
    return 0;
}

void link_watch_free(struct link_watch *watch)
{
    if (watch == NULL)
        return;
    ev_io_stop(watch->loop, &watch->readable);
    if (watch->socket != NULL)
        mnl_socket_close(watch->socket);
    free(watch);
}
