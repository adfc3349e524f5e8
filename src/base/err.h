/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The story of a failure: a negative errno for the program, a sentence for the person.
 * Functions that can fail return 0 or -errno and tell the story into a struct err that the caller owns.
 * Pure; any thread. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

struct err {
    int code; /* 0, or a negative errno */
    char text[480];
};

/* Sets code and text; returns code, so that `return err_set(err, -EINVAL, "…")` reads well. err may be NULL.
 */
__attribute__((format(printf, 3, 4))) int err_set(struct err *err, int code, const char *format, ...);

/* Puts "context: " before the text of a story that is told already; returns its code. */
__attribute__((format(printf, 2, 3))) int err_within(struct err *err, const char *format, ...);

#endif
