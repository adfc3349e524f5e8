/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "run/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "run/confine.h"

static void *run(void *argument)
{
    struct thread *thread = argument;
    if (thread->wishes.confine)
        thread->result = confine_thread(thread->wishes.addressed, &thread->err);
    bool runs = thread->result == 0;
    sem_post(&thread->ready);
    if (runs)
        ev_run(thread->loop, 0);
    return NULL;
}

static int pin(pthread_attr_t *attributes, int cpu)
{
    cpu_set_t cpus;
    if (cpu < 0)
        return 0;
    if (cpu >= CPU_SETSIZE)
        return -EINVAL;
    CPU_ZERO(&cpus);
    CPU_SET((size_t)cpu, &cpus);
    return -pthread_attr_setaffinity_np(attributes, sizeof cpus, &cpus);
}

/* The new thread inherits a mask that blocks every signal. */
static int create(struct thread *thread)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int code = -pthread_attr_init(&attributes);
    if (code != 0)
        return code;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    code = pin(&attributes, thread->wishes.cpu);
    if (code == 0)
        code = -pthread_create(&thread->id, &attributes, run, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return code;
}

int thread_start(struct thread *thread, struct ev_loop *loop, const struct thread_wishes *wishes,
                 struct err *err)
{
    *thread = (struct thread){.loop = loop, .wishes = *wishes};
    sem_init(&thread->ready, 0, 0);
    int code = create(thread);
    if (code != 0 && wishes->cpu >= 0)
        return err_set(err, code, "cannot start a thread on CPU %d: %s", wishes->cpu, strerror(-code));
    if (code != 0)
        return err_set(err, code, "cannot start a thread: %s", strerror(-code));
    thread->started = true;
    pthread_setname_np(thread->id, wishes->name);
    while (sem_wait(&thread->ready) != 0)
        continue;
    sem_destroy(&thread->ready);
    thread->wishes.name = NULL; /* was borrowed */
    thread->runs = thread->result == 0;
    return thread->runs ? 0 : err_set(err, thread->result, "%s", thread->err.text);
}

bool thread_join(struct thread *thread, uint64_t timeout_ns)
{
    struct timespec until;
    if (!thread->started)
        return true;
    if (timeout_ns == UINT64_MAX) {
        pthread_join(thread->id, NULL);
    } else {
        uint64_t at_ns = clock_realtime_ns() + timeout_ns;
        until.tv_sec = (time_t)(at_ns / NS_PER_SECOND);
        until.tv_nsec = (long)(at_ns % NS_PER_SECOND);
        if (pthread_timedjoin_np(thread->id, NULL, &until) != 0)
            return false;
    }
    thread->started = thread->runs = false;
    return true;
}
