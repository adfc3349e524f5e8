/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The protocol table and its look-ups. The rows themselves stand in proto_link.c, proto_ip.c,
 * proto_control.c, proto_transport.c and proto_tunnel.c. */
#include "packet/proto.h"

#include <string.h>

#include "config/tree.h"
#include "packet/proto_rows.h"

const struct proto *const protos[] = {&proto_ethernet,
                                      &proto_llc,
                                      &proto_snap,
                                      &proto_vlan,
                                      &proto_mpls,
                                      &proto_pppoe,
                                      &proto_ppp,
                                      &proto_arp,
                                      &proto_lldp,
                                      &proto_stp,
                                      &proto_rstp,
                                      &proto_pause,
                                      &proto_pfc,
                                      &proto_ptp,
                                      &proto_ipv4,
                                      &proto_ipv6,
                                      &proto_hop_by_hop,
                                      &proto_routing,
                                      &proto_fragment,
                                      &proto_destination_options,
                                      &proto_ah,
                                      &proto_esp,
                                      &proto_icmp,
                                      &proto_icmpv6,
                                      &proto_neighbor_solicitation,
                                      &proto_neighbor_advertisement,
                                      &proto_router_solicitation,
                                      &proto_router_advertisement,
                                      &proto_igmp,
                                      &proto_igmpv3_query,
                                      &proto_igmpv3_report,
                                      &proto_igmp_record,
                                      &proto_mld,
                                      &proto_mldv2_query,
                                      &proto_mldv2_report,
                                      &proto_mld_record,
                                      &proto_udp,
                                      &proto_tcp,
                                      &proto_sctp,
                                      &proto_sctp_data,
                                      &proto_sctp_chunk,
                                      &proto_gre,
                                      &proto_vxlan,
                                      &proto_geneve,
                                      &proto_gtpu,
                                      &proto_l2tp,
                                      &proto_l2tpv3,
                                      &proto_raw,
                                      NULL};

enum { PROTOS = sizeof protos / sizeof protos[0] - 1 };

const struct proto *proto_find(const char *name)
{
    for (size_t i = 0; i < PROTOS; i++)
        if (strcmp(protos[i]->name, name) == 0)
            return protos[i];
    return NULL;
}

int proto_field(const struct proto *proto, const char *name)
{
    for (int i = 0; i < proto->field_count; i++)
        if (strcmp(proto->fields[i].name, name) == 0)
            return i;
    return -1;
}

const struct carried *proto_carried(const struct proto *proto, enum space in)
{
    for (size_t i = 0; i < sizeof proto->in / sizeof proto->in[0]; i++)
        if (in != SPACE_NONE && proto->in[i].space == in)
            return &proto->in[i];
    return NULL;
}

const char *proto_nearest(const char *wrong)
{
    const char *names[PROTOS];
    for (size_t i = 0; i < PROTOS; i++)
        names[i] = protos[i]->name;
    return nearest_name(wrong, names, PROTOS);
}

const char *proto_nearest_field(const struct proto *proto, const char *wrong)
{
    const char *names[PROTO_FIELDS_MAX];
    for (size_t i = 0; i < proto->field_count; i++)
        names[i] = proto->fields[i].name;
    return nearest_name(wrong, names, proto->field_count);
}
