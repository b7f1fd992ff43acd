/* SPDX-License-Identifier: MIT
 *
 * Audit mode: slots reported twice, slots that own nothing, slots that are not reported; and
 * silence about types that do as they should. */
#include <neap/neap.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/death.h"
#include "tests/harness.h"

struct target {
    struct target *self;
};
NEAP_DEFINE_TYPE(target, (self));

struct honest {
    struct target *a, *b[3];
    uint64_t number;
};
NEAP_DEFINE_TYPE(honest, (a, b));

struct twice {
    struct target *a;
};
static void twice_visit(void *self, struct neap_visitor *visitor)
{
    neap_visit(visitor, &((struct twice *)self)->a);
}
NEAP_DEFINE_TYPE(twice, (a), .visit = twice_visit);

struct forgetful {
    uint64_t number;
    struct target *reported, *forgotten;
};
NEAP_DEFINE_TYPE(forgetful, (reported));

static void start(void)
{
    struct neap_options options = NEAP_OPTIONS_INIT;
    options.audit_visit = 1;
    if (neap_init(&options) != NEAP_OK)
        bail("neap_init");
}

static void report_twice(void *arg)
{
    (void)arg;
    start();
    struct twice *twice = neap_new(twice);
    twice->a = neap_new(target);
    (void)neap_retain(twice->a);
    (void)neap_retain(twice->a); /* counts that would hide it */
    (void)neap_collect(0);
}

/* What the collection says on standard error. */
static const char *heard(void)
{
    static char text[4096];
    FILE *file = tmpfile();
    if (file == NULL)
        bail("tmpfile");
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    (void)neap_collect(2);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

int main(void)
{
    plan_lazy();
    dies_with(report_twice, NULL, "twice at", "a slot that is reported twice");
    start();
    neap_gc_disable();
    struct target *target = neap_new(target);
    struct honest *honest = neap_new(honest);
    neap_set(&honest->a, target);
    neap_set(&honest->b[2], target);
    honest->number = 42;
    is_str(heard(), "", "nothing is said about a type that reports all its slots");
    struct forgetful *forgetful = neap_new(forgetful);
    forgetful->forgotten = neap_retain(target);
    const char *text = heard();
    ok(strstr(text, "forgetful has a pointer to a target at offset 16") != NULL,
       "a slot that is not reported is told: %s", text);
    is_str(heard(), "", "once");
    neap_release(forgetful->forgotten);
    neap_release(forgetful);
    neap_release(honest);
    neap_release(target);
    return harness_end();
}
