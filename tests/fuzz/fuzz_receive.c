// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes as received frames: truncated at any length, foreign, or signed and then damaged. Nothing is read
 * beyond what was captured, a whole signature is found as it was written, and the account of any sequence of
 * numbers balances.
 *
 *   data: captured share, flags, then the frame; its words are the numbers that the sequence takes. */
#include <stdlib.h>
#include <string.h>

#include "analysis/sequence.h"
#include "base/bytes.h"
#include "packet/signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NONCE = 0x5eed, HEAD = 2 };

static void must(int holds)
{
    if (!holds)
        abort();
}

static void find(const uint8_t *bytes, uint32_t length, uint32_t captured)
{
    struct signature found = {.stream = 77};
    uint8_t *frame = malloc(captured > 0 ? captured : 1); /* its end is where ASan watches */
    must(frame != NULL);
    memcpy(frame, bytes, captured);
    if (!signature_find(frame, captured, length, NONCE, &found))
        must(found.stream == 77);
    free(frame);
}

/* An unknown EtherType, so that the signature stands at the frame's very end. */
static void find_signed(const uint8_t *bytes, uint32_t length)
{
    const struct signature_stamp stamp = {.nonce = NONCE, .stream = 5, .sequence = length, .time_ns = 1600};
    struct signature found;
    uint8_t *frame = malloc(length);
    must(frame != NULL);
    memcpy(frame, bytes, length);
    store_be16(frame + 12, 0x88b5);
    signature_write(frame + length - SIGNATURE_BYTES, &stamp);
    must(signature_find(frame, length, length, NONCE, &found));
    must(found.stream == 5 && found.sequence == length && found.time_16ns == 100);
    must(!signature_find(frame, length - 1, length, NONCE, &found));
    free(frame);
}

static void take_numbers(const uint8_t *data, size_t size, bool near)
{
    static struct sequence sequence;
    struct sequence_result result;
    uint64_t copies = 0, taken = 0;
    sequence_init(&sequence);
    for (size_t i = 0; i + 4 <= size; i += 4) {
        uint32_t number = load_be32(data + i);
        taken++;
        copies += sequence_take(&sequence, near ? number % 512 : number, taken * 1000);
    }
    for (int final = 0; final < 2; final++) {
        sequence_result(&sequence, near ? 512 : UINT64_C(1) << 32, final, &result);
        must(result.received + result.duplicates + result.stale <= taken);
        must(result.reordered <= result.received);
        if (near) {
            must(result.received == copies && result.received <= 512);
            must(!final || result.received + result.lost == 512);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD)
        return 0;
    const uint8_t *bytes = data + HEAD;
    uint32_t length = (uint32_t)(size - HEAD), captured = (uint32_t)((uint64_t)length * data[0] / 255);
    find(bytes, length, captured);
    find(bytes, length + data[1], captured);
    if (length >= 60)
        find_signed(bytes, length);
    take_numbers(bytes, length, data[1] & 1);
    return 0;
}
