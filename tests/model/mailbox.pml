/* SPDX-License-Identifier: GPL-2.0-or-later */
/* src/run/mailbox.h under an ev_async, as src/run/worker.c uses them: every letter arrives once, in order, and
 * the receiver does not sleep on one. The wake-up is a flag that coalesces.
 * Steps left out by name: NO_COMPARE (store instead of compare and exchange), NO_REVERSE,
 * WAKE_FIRST (before the letter is in), CLEAR_LAST (the flag is cleared after the letters are taken). */
#define LETTERS 4 /* 1 … LETTERS */

byte newest;            /* 0: empty */
byte next[LETTERS + 1]; /* of each letter */
bool wake;
byte arrived;

active proctype sender()
{
    byte letter = 1, seen;
    do
    :: letter <= LETTERS ->
#ifdef WAKE_FIRST
        wake = true;
#endif
again:
        seen = newest;
        next[letter] = seen;
#ifdef NO_COMPARE
        newest = letter;
#else
        atomic {
            if
            :: newest == seen -> newest = letter
            :: else -> goto again
            fi
        }
#endif
#ifndef WAKE_FIRST
        wake = true;
#endif
        letter++
    :: else -> break
    od
}

active proctype receiver()
{
    byte taken, oldest, following;
    do
    :: arrived < LETTERS ->
        wake; /* sleeps */
#ifndef CLEAR_LAST
        wake = false;
#endif
        atomic { taken = newest; newest = 0 }
#ifdef CLEAR_LAST
        wake = false;
#endif
        oldest = 0;
#ifdef NO_REVERSE
        oldest = taken;
#else
        do
        :: taken != 0 ->
            following = next[taken];
            next[taken] = oldest;
            oldest = taken;
            taken = following
        :: else -> break
        od;
#endif
        do
        :: oldest != 0 ->
            assert(oldest == arrived + 1);
            arrived = oldest;
            oldest = next[oldest]
        :: else -> break
        od
    :: else -> break
    od
}
