/* SPDX-License-Identifier: GPL-2.0-or-later */
/* src/run/receive_worker.c: rows change hands with the answer and come back with rows_free; they are never
 * written while the main thread copies them, and no snapshot waits for ever.
 * Steps left out by name: NO_FREE_CHECK, FREE_FIRST (given back before the copy), NO_POKE. */
#define SNAPSHOTS 3

bool rows_free = true, writing, copying, wake;
byte asked, answered, delivered;

active proctype main_thread()
{
    do
    :: asked < SNAPSHOTS ->
        asked++;
        wake = true
    :: delivered < answered ->
#ifdef FREE_FIRST
        rows_free = true;
#endif
        copying = true;
        assert(!writing);
        copying = false;
        delivered++;
#ifndef FREE_FIRST
        rows_free = true;
#endif
#ifndef NO_POKE
        wake = true
#endif
    :: delivered == SNAPSHOTS -> break
    od
}

active proctype worker()
{
    byte taken;
    do
    :: wake ->
        wake = false;
        do
#ifdef NO_FREE_CHECK
        :: taken < asked ->
#else
        :: taken < asked && rows_free ->
#endif
            writing = true;
            assert(!copying);
            writing = false;
            rows_free = false;
            taken++;
            answered++
        :: else -> break
        od
    :: taken == SNAPSHOTS -> break
    od
}
