// SPDX-License-Identifier: GPL-2.0-or-later
/* A fuzzer's main for AFL++, which gives each input on standard input. */
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(void)
{
    enum { MOST = 1 << 16 };
    uint8_t *data = malloc(MOST);
    size_t size = 0;
    ssize_t n;
    if (data == NULL)
        return EXIT_FAILURE;
    while (size < MOST && (n = read(STDIN_FILENO, data + size, MOST - size)) > 0)
        size += (size_t)n;
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return EXIT_SUCCESS;
}
