/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list is what libev (poll, eventfd), a timerfd, a kick and the end of a thread need. Memory may be
 * mapped, because libev's arrays may grow and the allocator gives back, but never to be executed. sendmsg()
 * is not let through: a filter cannot see whether it carries an address. */
#include "run/confine.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>

static const int let_through[] = {
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(sched_yield),
    SCMP_SYS(futex),
    SCMP_SYS(recvfrom),   /* frames longer than a receive ring's slot */
    SCMP_SYS(getsockopt), /* socket errors, PACKET_STATISTICS */
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask), /* the C library, at the end of a thread */
    SCMP_SYS(sigaltstack),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

enum { SENDTO_ADDRESS = 4, MMAP_PROTECTION = 2 };

static int allow_listed(scmp_filter_ctx filter)
{
    for (size_t i = 0; i < sizeof let_through / sizeof *let_through; i++) {
        int code = seccomp_rule_add(filter, SCMP_ACT_ALLOW, let_through[i], 0);
        if (code != 0)
            return code;
    }
    return 0;
}

static int allow_memory(scmp_filter_ctx filter)
{
    static const int calls[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        int code = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 1,
                                    SCMP_CMP(MMAP_PROTECTION, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
        if (code != 0)
            return code;
    }
    return 0;
}

static int allow_kick(scmp_filter_ctx filter, bool addressed)
{
    if (addressed)
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 0);
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1,
                            SCMP_CMP(SENDTO_ADDRESS, SCMP_CMP_EQ, 0, 0));
}

int confine_thread(bool addressed, struct err *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == NULL)
        return err_set(err, -ENOMEM, "no memory for a system call filter");
    int code = allow_listed(filter);
    if (code == 0)
        code = allow_memory(filter);
    if (code == 0)
        code = allow_kick(filter, addressed);
    if (code == 0)
        code = seccomp_load(filter);
    seccomp_release(filter);
    if (code != 0)
        return err_set(err, code, "cannot confine a sending thread: %s", strerror(-code));
    return 0;
}
