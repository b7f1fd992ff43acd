/* SPDX-License-Identifier: MIT
 *
 * The panic message is built on the stack and written with one write(2): it works out of memory,
 * under any lock and in a forked child. */
#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void np_panic_at(const char *function, const char *format, ...)
{
    char text[1024];
    int used = snprintf(text, sizeof text, "neap: panic: %s: ", function);
    if (used < 0)
        used = 0;
    va_list args;
    va_start(args, format);
    int more = vsnprintf(text + used, sizeof text - (size_t)used, format, args);
    va_end(args);
    size_t length = (size_t)used + (more > 0 ? (size_t)more : 0);
    if (length > sizeof text - 2)
        length = sizeof text - 2;
    text[length++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, text, length);
    (void)ignored;
    abort();
}
