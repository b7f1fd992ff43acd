/* SPDX-License-Identifier: MIT
 *
 * A lazy reader: a file as a sequence of lines, in the memory of one. The file is closed at its
 * end, or when whoever reads has had enough. */
#include <neap/neap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int closed;

struct lines {
    struct neap_generator generator;
    FILE *file;
    char *text; /* getline's */
    size_t room;
};
NEAP_GENERATOR(lines, ())
{
    NEAP_BEGIN();
    while (getline(&self->text, &self->room, self->file) >= 0)
        NEAP_YIELD(neap_string_new(self->text, strcspn(self->text, "\n")));
    NEAP_END(fclose(self->file), free(self->text), closed++);
}

/* The lines of the file; NULL: it cannot be read, or there is no memory. */
static struct lines *lines_of(const char *path)
{
    FILE *file = fopen(path, "r");
    struct lines *lines = file != NULL ? neap_new(lines) : NULL;
    if (lines != NULL)
        lines->file = file;
    else if (file != NULL)
        fclose(file);
    return lines;
}

static int run(void)
{
    struct lines *lines = lines_of("/proc/self/status");
    if (lines == NULL)
        return -1;
    int count = 0;
    struct neap_string *line;
    while (count < 3 && (line = neap_next(lines)) != NULL) {
        printf("%s\n", neap_string_data(line));
        neap_release(line);
        count++;
    }
    neap_release(lines); /* half way: the file is closed all the same */
    return count;
}

int main(void)
{
    if (neap_init(NULL) != NEAP_OK)
        return 1;
    int count = run();
    return neap_shutdown(NULL) == 0 && count == 3 && closed == 1 ? 0 : 1;
}
