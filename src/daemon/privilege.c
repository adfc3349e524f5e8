/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { DESCRIPTORS_WANTED = 8192, DESCRIPTORS_NEEDED = 128 };
enum { KERNEL_MAJOR = 4, KERNEL_MINOR = 9 };

int privilege_open_stdio(struct err *err)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        /* open() takes the lowest free number: this one. */
        if (open("/dev/null", fd == STDIN_FILENO ? O_RDONLY : O_WRONLY) != fd)
            return err_set(err, -errno, "/dev/null: %s", strerror(errno));
    }
    return 0;
}

int privilege_check_system(struct err *err)
{
    struct utsname kernel;
    int major = 0, minor = 0;
    if (uname(&kernel) < 0 || sscanf(kernel.release, "%d.%d", &major, &minor) != 2)
        return err_set(err, -ENOSYS, "the kernel does not tell its version");
    if (major < KERNEL_MAJOR || (major == KERNEL_MAJOR && minor < KERNEL_MINOR))
        return err_set(err, -ENOSYS, "the kernel is %s; volleyd needs %d.%d or newer", kernel.release,
                       KERNEL_MAJOR, KERNEL_MINOR);
    if (access("/proc/self/stat", R_OK) < 0)
        return err_set(err, -errno, "/proc is not there (/proc/self/stat: %s); mount it", strerror(errno));
    return 0;
}

int privilege_raise_limits(struct err *err)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return err_set(err, -errno, "RLIMIT_NOFILE: %s", strerror(errno));
    if (limit.rlim_cur < DESCRIPTORS_WANTED) {
        limit.rlim_cur = limit.rlim_max < DESCRIPTORS_WANTED ? limit.rlim_max : DESCRIPTORS_WANTED;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            return err_set(err, -errno, "RLIMIT_NOFILE: %s", strerror(errno));
    }
    if (limit.rlim_cur < DESCRIPTORS_NEEDED)
        return err_set(err, -EMFILE, "only %ju descriptors are allowed; volleyd needs %d (LimitNOFILE=)",
                       (uintmax_t)limit.rlim_cur, DESCRIPTORS_NEEDED);
    return 0;
}

int privilege_find_account(const char *user, struct account *out, struct err *err)
{
    struct account account = {.uid = getuid(), .gid = getgid()};
    if (user != NULL) {
        errno = 0;
        const struct passwd *entry = getpwnam(user);
        if (entry == NULL)
            return err_set(err, errno == 0 ? -ENOENT : -errno, "there is no user `%s`", user);
        account = (struct account){.uid = entry->pw_uid, .gid = entry->pw_gid, .change = true};
        snprintf(account.name, sizeof account.name, "%s", user);
    }
    *out = account;
    return 0;
}

int privilege_find_group(const char *group, gid_t *out, struct err *err)
{
    errno = 0;
    const struct group *entry = getgrnam(group);
    if (entry == NULL)
        return err_set(err, errno == 0 ? -ENOENT : -errno, "there is no group `%s` (control.group)", group);
    *out = entry->gr_gid;
    return 0;
}

static const unsigned kept[] = {CAP_NET_RAW, CAP_NET_ADMIN};
enum { KEPT = sizeof kept / sizeof *kept };

/* Whether there is anything to give up. Under the systemd unit there is not: it does not let us call
 * capset(). */
static bool has_more_than_kept(void)
{
    for (unsigned capability = 0; capability <= CAP_LAST_CAP; capability++) {
        bool keep = false;
        for (size_t i = 0; i < KEPT; i++)
            keep |= kept[i] == capability;
        if (!keep && capng_have_capability(CAPNG_PERMITTED, capability) != 0)
            return true;
    }
    return false;
}

/* The sets we end with: what we need and have. Nothing that a program started by us would inherit. */
static void choose_capabilities(void)
{
    bool have[KEPT];
    for (size_t i = 0; i < KEPT; i++)
        have[i] = capng_have_capability(CAPNG_EFFECTIVE, kept[i]) != 0;
    capng_clear(CAPNG_SELECT_ALL);
    for (size_t i = 0; i < KEPT; i++)
        if (have[i])
            capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, kept[i]);
}

static int give_up(const struct account *account, bool change)
{
    /* Only who may set capabilities can clear the bounding set. */
    bool may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) != 0;
    if (!change && !has_more_than_kept())
        return 0;
    choose_capabilities();
    return change ? capng_change_id((int)account->uid, (int)account->gid,
                                    CAPNG_INIT_SUPP_GRP | (may_bound ? CAPNG_CLEAR_BOUNDING : 0))
                  : capng_apply(may_bound ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS);
}

int privilege_drop(const struct account *account, struct err *err)
{
    if (capng_get_caps_process() < 0)
        return err_set(err, -EIO, "cannot read our capabilities");
    bool change = account->change && account->uid != getuid();
    if (change && capng_have_capability(CAPNG_EFFECTIVE, CAP_SETUID) == 0)
        return err_set(err, -EPERM, "cannot become user `%s`: start as root, or without --user",
                       account->name);
    int r = give_up(account, change);
    if (r != 0)
        return err_set(err, -EPERM, "cannot drop privileges%s%s (libcap-ng: %d)", change ? " to user " : "",
                       account->name, r);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(err, -errno, "no_new_privs: %s", strerror(errno));
    return 0;
}

bool privilege_can_send(void)
{
    return capng_get_caps_process() == 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_RAW) != 0;
}
