/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What cppcheck is told (.ci/run), as it reads no header of the system: the loops of jansson. */
#define json_array_foreach(array, index, value) \
    for (index = 0; (value = json_array_get(array, index)) != NULL; index++)
#define json_object_foreach(object, key, value)                                        \
    for (key = json_first_key(object); (value = json_object_get(object, key)) != NULL; \
         key = json_next_key(key))
