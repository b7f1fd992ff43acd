/* SPDX-License-Identifier: MIT
 *
 * neap: scopes, for C. What is entered is left on every way out of a block: its end, return, break,
 * continue, goto. (C++ has destructors: <neap/neap.hpp>.)
 *
 *     NEAP_AUTO struct session *s = neap_new(session);      released when the scope ends
 *     if (!start(s))
 *         return NULL;
 *     return NEAP_STEAL(s);      unless it is taken out of it
 *
 *     NEAP_WITH(FILE *, f, fopen(path, "r"), close_file)
 *     {
 *         first = fgetc(f);      closed on every way out
 *     }
 *
 * longjmp over a scope leaves nothing.
 */
#ifndef NEAP_SCOPE_H
#define NEAP_SCOPE_H

#include <stddef.h>
#include <stdint.h>

#include <neap/object.h>
#include <neap/thread.h>

#ifdef __cplusplus
extern "C" {
#endif

static inline void neap_auto_release_(void *variable)
{
    neap_release(*(void *const *)variable);
}

/* Before the declaration of a pointer to an object: the variable's reference, unless it is NULL, is
 * released when the scope ends; of several the last declared first. Initialise it. */
#define NEAP_AUTO __attribute__((unused, cleanup(neap_auto_release_)))

/* The value of a variable, whose reference becomes the taker's: the variable is NULL afterwards. */
#define NEAP_STEAL(variable) \
    __extension__({ \
        __auto_type neap_stolen_ = (variable); \
        (variable) = NULL; \
        neap_stolen_; \
    })

/* Machinery of NEAP_WITH: how leave takes its argument. */
enum neap_with_kind_ { NEAP_WITH_ADDRESS_, NEAP_WITH_POINTER_, NEAP_WITH_INTEGER_ };
struct neap_with_ {
    void *value;
    void (*leave)(void);
    enum neap_with_kind_ kind;
    unsigned bytes;
    int once;
};

static inline void neap_with_leave_(struct neap_with_ *with)
{
    void *value = with->value;
    if (with->kind == NEAP_WITH_ADDRESS_)
        ((void (*)(void *))with->leave)(value);
    else if (with->kind == NEAP_WITH_POINTER_)
        ((void (*)(void *))with->leave)(*(void **)value);
    else
        ((void (*)(intptr_t))with->leave)(with->bytes == 8   ? (intptr_t) * (int64_t *)value
                                          : with->bytes == 4 ? (intptr_t) * (int32_t *)value
                                          : with->bytes == 2 ? (intptr_t) * (int16_t *)value
                                                             : (intptr_t) * (int8_t *)value);
}

/* NEAP_WITH(type, name, enter, leave) { ... }: name, of that type, is what the expression enter
 * gives; leave(name) is called on every way out of the block. type is a pointer or an integer, and
 * leave a function of it; or any type, and leave a function of its address. The block runs whatever
 * enter gives: test name inside, and let leave accept what a failed enter gives. break and continue
 * end the block only. */
#define NEAP_WITH(type, name, enter, leave) \
    NEAP_WITH_2_(type, name, enter, leave, NEAP_JOIN_(neap_with_, __COUNTER__))
#define NEAP_WITH_2_(type, name, enter, leave, id) \
    for (int id = 1; id; id = 0) \
        for (__typeof__(type) name = (enter); id; id = 0) \
            for (struct neap_with_ NEAP_JOIN_(id, _guard) __attribute__((cleanup( \
                     neap_with_leave_))) = {(void *)&name, (void (*)(void))(leave), \
                                            NEAP_WITH_KIND_(type, name, leave), sizeof name, 1}; \
                 NEAP_JOIN_(id, _guard).once; NEAP_JOIN_(id, _guard).once = 0)
#define NEAP_WITH_KIND_(type, name, leave) \
    (__builtin_types_compatible_p(__typeof__(&(leave)), void (*)(__typeof__(type) *)) || \
             __builtin_types_compatible_p(__typeof__(&(leave)), int (*)(__typeof__(type) *)) \
         ? NEAP_WITH_ADDRESS_ \
     : __builtin_classify_type(name) == 5 ? NEAP_WITH_POINTER_ \
                                          : NEAP_WITH_INTEGER_)

#ifdef __cplusplus
}
#endif

#endif
