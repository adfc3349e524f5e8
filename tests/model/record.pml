/* SPDX-License-Identifier: GPL-2.0-or-later */
/* src/run/counters.c: a reader never gets words of two publications.
 * Steps that the property needs, each left out by its name: NO_ODD, NO_EVEN_CHECK, NO_SECOND_LOOK. */
#define PUBLICATIONS 3
#define READS 2

byte sequence, word[2];

active proctype writer()
{
    byte value = 1;
    do
    :: value <= PUBLICATIONS ->
#ifndef NO_ODD
        sequence = sequence + 1;
#endif
        word[0] = value;
        word[1] = value;
#ifdef NO_ODD
        sequence = sequence + 2;
#else
        sequence = sequence + 1;
#endif
        value++
    :: else -> break
    od
}

active proctype reader()
{
    byte before, first, second, last, reads;
    do
    :: reads < READS ->
        before = sequence;
#ifndef NO_EVEN_CHECK
        if
        :: before % 2 == 1 -> goto again
        :: else
        fi;
#endif
        first = word[0];
        second = word[1];
#ifndef NO_SECOND_LOOK
        if
        :: sequence != before -> goto again
        :: else
        fi;
#endif
        assert(first == second);
        assert(first >= last);
        last = first;
        reads++;
again:
        skip
    :: else -> break
    od
}
