/* SPDX-License-Identifier: GPL-2.0-or-later */
/* src/run/worker.c: while the main thread rebinds the engine, the worker does not touch it; a stop that reaches
 * a parked worker is answered after the unparking, and no frame of it leaves after the answer.
 * Steps left out by name: NO_ACKNOWLEDGE (main rebinds without waiting for the answer to PARK), NO_DEFER (a
 * parked worker obeys a stop), NO_WITHDRAW (PARK leaves frames on the ring), NO_DRAIN (a stop is answered at
 * once). */
mtype = { PARK, UNPARK, STOP, QUIT };
chan orders = [4] of { mtype };
chan answers = [4] of { mtype };

bool rebinding, touching, running = true;
byte on_ring;        /* frames committed that the kernel has not begun */
byte begun;          /* frames in the device: nobody can take them back */
bool stop_answered;
bool rebound_with_frames;

inline hold_engine()
{
    touching = true;
    assert(!rebinding)
}

inline leave_engine()
{
    touching = false
}

active proctype main_thread()
{
    bool stop_sent;
    orders ! PARK;
    if
    :: orders ! STOP; stop_sent = true
    :: skip
    fi;
#ifndef NO_ACKNOWLEDGE
    answers ?? PARK;
#endif
    rebinding = true;
    assert(!touching);
    rebound_with_frames = on_ring > 0;
    assert(!rebound_with_frames);
    rebinding = false;
    orders ! UNPARK;
    if
    :: stop_sent
    :: !stop_sent -> orders ! STOP
    fi;
    answers ?? STOP;
    stop_answered = true;
    assert(on_ring == 0 && begun == 0);
    orders ! QUIT
}

active proctype worker()
{
    bool parked, deferred, stopping;
    mtype order;
    do
    :: orders ? order ->
        if
        :: order == PARK ->
#ifndef NO_WITHDRAW
            hold_engine();
            on_ring = 0;
            leave_engine();
#endif
            parked = true;
            answers ! PARK
        :: order == UNPARK ->
            parked = false;
            if
            :: deferred -> deferred = false; running = false; stopping = true
            :: else
            fi
        :: order == STOP ->
            if
#ifndef NO_DEFER
            :: parked -> deferred = true
            :: !parked ->
#else
            :: true ->
#endif
                hold_engine(); /* to withdraw */
                on_ring = 0;
                leave_engine();
                running = false;
                stopping = true
            fi
        :: order == QUIT -> break
        fi
    :: !parked && running && on_ring + begun < 2 -> /* a slice commits a frame */
        hold_engine();
        on_ring++;
        leave_engine();
        assert(!stop_answered)
    :: !parked && on_ring > 0 -> /* a kick */
        hold_engine();
        on_ring--;
        begun++;
        leave_engine()
    :: begun > 0 -> begun-- /* the device: whatever the worker does */
#ifdef NO_DRAIN
    :: stopping ->
#else
    :: !parked && stopping && on_ring == 0 && begun == 0 ->
#endif
        stopping = false;
        answers ! STOP
    od
}
