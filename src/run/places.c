/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "run/places.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/schema.h"

/* Threads on this CPU and its siblings, which share a core: topology/thread_siblings is a mask in hex, such
 * as "00000000,00000003" (Documentation/ABI/stable/sysfs-devices-system-cpu). */
static unsigned int threads_of_core(const struct places *places, int cpu)
{
    char path[sizeof "/sys/devices/system/cpu/cpu/topology/thread_siblings" + 11], mask[512] = "";
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings", cpu);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return places->threads[cpu];
    bool read = fgets(mask, sizeof mask, file) != NULL;
    fclose(file);
    unsigned int threads = 0;
    int sibling = 0;
    for (size_t i = read ? strlen(mask) : 0; i-- > 0;) {
        static const char digits[] = "0123456789abcdef";
        const char *digit = mask[i] != 0 ? strchr(digits, mask[i]) : NULL;
        if (digit == NULL)
            continue;
        for (int bit = 0; bit < 4; bit++, sibling++)
            if (((digit - digits) >> bit & 1) != 0 && sibling < CPU_SETSIZE)
                threads += places->threads[sibling];
    }
    return threads;
}

static bool is_on_node(int cpu, int node)
{
    char path[sizeof "/sys/devices/system/cpu/cpu/node" + 22];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/node%d", cpu, node);
    return node < 0 || access(path, F_OK) == 0;
}

/* Less is better. */
static uint64_t cost_of(const struct places *places, int cpu, int node)
{
    return (uint64_t)places->threads[cpu] << 32 | (uint64_t)threads_of_core(places, cpu) << 1 |
           (is_on_node(cpu, node) ? 0 : 1);
}

static int choose(const struct places *places, int node)
{
    cpu_set_t allowed;
    int best = -1;
    uint64_t least = UINT64_MAX;
    if (sched_getaffinity(0, sizeof allowed, &allowed) < 0)
        return -1;
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
        uint64_t cost = CPU_ISSET((size_t)cpu, &allowed) ? cost_of(places, cpu, node) : UINT64_MAX;
        if (cost < least) {
            least = cost;
            best = cpu;
        }
    }
    return best;
}

int places_take(struct places *places, int asked, int node)
{
    int cpu = asked == CPU_AUTO ? choose(places, node) : asked == CPU_ANY ? -1 : asked;
    if (cpu >= 0 && cpu < CPU_SETSIZE)
        places->threads[cpu]++;
    return cpu;
}

void places_give(struct places *places, int cpu)
{
    if (cpu >= 0 && cpu < CPU_SETSIZE)
        places->threads[cpu]--;
}
