/* SPDX-License-Identifier: MIT
 *
 * tidepool's parser of requests. Oracle: whatever pieces the bytes come in, the requests are the
 * same, and every argument lies in the bytes that were there; each piece is memory of its exact
 * size. (The limit of a line is out of reach: as in Redis, a line that comes at once may be longer
 * than one that comes in pieces.) A tilde stands for a line end, so that a corpus can be text. */
#include <string.h>

#include "examples/tidepool/resp.h"
#include "tests/fuzz/fuzz.h"

enum { MOST = 4096 };

static const struct resp_limits limits = {
    .line_bytes = 10000, .bulk_bytes = 1000, .argument_count = 50, .request_bytes = 20000};

struct outcome {
    uint64_t hash;
    size_t requests, arguments;
    char error[64];
    bool failed;
};

static void add(struct outcome *outcome, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        outcome->hash = (outcome->hash ^ (uint8_t)bytes[i]) * 0x100000001B3u;
    outcome->hash = (outcome->hash ^ 0x100) * 0x100000001B3u;
}

static void take(struct outcome *outcome, const struct resp_parser *parser, size_t have)
{
    fuzz_check(parser->consumed > 0 && parser->consumed <= have, "%zu of %zu bytes consumed",
               parser->consumed, have);
    for (size_t i = 0; i < parser->count; i++)
        add(outcome, parser->argument[i].bytes, parser->argument[i].length);
    outcome->requests++;
    outcome->arguments += parser->count;
}

static struct outcome parse(const char *bytes, size_t length, size_t piece)
{
    struct outcome outcome = {.hash = 14695981039346656037u};
    struct resp_parser parser;
    resp_init(&parser, &limits);
    size_t begin = 0, have = 0;
    for (;;) {
        char *data = malloc(have == 0 ? 1 : have);
        fuzz_check(data != NULL, "no memory");
        memcpy(data, bytes + begin, have);
        enum resp_result result = resp_parse(&parser, data, have);
        if (result == RESP_READY) {
            take(&outcome, &parser, have);
            begin += parser.consumed;
            have -= parser.consumed;
        }
        free(data);
        if (result == RESP_ERROR) {
            outcome.failed = true;
            memcpy(outcome.error, parser.error, sizeof outcome.error);
            fuzz_check(memchr(outcome.error, '\0', sizeof outcome.error) != NULL, "endless error");
            break;
        }
        if (result == RESP_READY)
            continue;
        if (begin + have == length)
            break;
        have += length - begin - have < piece ? length - begin - have : piece;
    }
    resp_fini(&parser);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char bytes[2 * MOST];
    size_t length = 0;
    for (size_t i = 0; i < size && i < MOST; i++) {
        if (data[i] == '~')
            bytes[length++] = '\r';
        bytes[length++] = data[i] == '~' ? '\n' : (char)data[i];
    }
    struct outcome whole = parse(bytes, length, MOST);
    for (size_t piece = 1; piece <= 7; piece += 3) {
        struct outcome pieces = parse(bytes, length, piece);
        fuzz_check(pieces.hash == whole.hash && pieces.requests == whole.requests &&
                       pieces.arguments == whole.arguments && pieces.failed == whole.failed,
                   "in pieces of %zu: %zu requests, error %d \"%s\"; at once: %zu, %d \"%s\"",
                   piece, pieces.requests, pieces.failed, pieces.error, whole.requests,
                   whole.failed, whole.error);
    }
    return 0;
}
