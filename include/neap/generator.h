/* SPDX-License-Identifier: MIT
 *
 * neap: generators, for C: lazy sequences of objects. A generator is an object whose body runs up
 * to the next value each time it is asked for one, so a sequence of any length takes the memory of
 * one element, and generators chain.
 *
 *     struct evens {
 *         struct neap_generator generator;
 *         int next, end;
 *     };
 *     NEAP_GENERATOR(evens, ())
 *     {
 *         NEAP_BEGIN();
 *         for (; self->next < self->end; self->next += 2)
 *             NEAP_YIELD(neap_string_format("%d", self->next));
 *         NEAP_END();
 *     }
 *
 *     while ((number = neap_next(numbers)) != NULL) {
 *         count++;
 *         neap_release(number);
 *     }
 *
 * Arguments and state are members: a local variable does not survive a yield, and none with a
 * clean-up (NEAP_AUTO) may be alive across one. One thread's at a time, or under the caller's lock.
 */
#ifndef NEAP_GENERATOR_H
#define NEAP_GENERATOR_H

#include <neap/object.h>
#include <neap/thread.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The first member of a generator's struct. */
struct neap_generator {
    void *at; /* where the body goes on; NULL: at its beginning */
    bool running;
};

/* The next value; NULL at the end, and when the body yields NULL, for want of memory as a rule.
 * Panics if the generator is running already.
 * refs: new | user code: yes | point: none | threads: attached | fails: NULL, at the end */
NEAP_PUBLIC NEAP_NODISCARD void *neap_next(void *generator);

/* Has the body ended?
 * refs: none | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC bool neap_generator_is_done(const void *generator);

/* Ends the body where it is: its clean-up runs, its plain slots are released, and there are no more
 * values. The generator's death does the same. Harmless when repeated.
 * refs: none | user code: yes | point: none | threads: attached | fails: no */
NEAP_PUBLIC void neap_generator_close(void *generator);

/* What neap_type.user of a generator's type points to. */
struct neap_generator_body_ {
    void *(*next)(void *generator);
};
#define NEAP_GENERATOR_TYPE_ (1u << 28)
#define NEAP_GENERATOR_DONE_ ((void *)1)
#define NEAP_GENERATOR_END_  ((void *)2)

/* NEAP_GENERATOR(T, (slot, ...)) { body }: defines the type of struct T, whose first member is the
 * struct neap_generator, and its body, in which `self` is the generator. The body begins with
 * NEAP_BEGIN(), ends with NEAP_END(clean-up statements), and yields in between. */
#define NEAP_GENERATOR(T, slot_list) \
    static void *neap_body_of_##T(struct T *self); \
    static void *neap_next_of_##T(void *generator) \
    { \
        return neap_body_of_##T((struct T *)generator); \
    } \
    static const struct neap_generator_body_ neap_generator_of_##T = {neap_next_of_##T}; \
    NEAP_DEFINE_TYPE(T, slot_list, .dispose = neap_generator_close, .flags = NEAP_GENERATOR_TYPE_, \
                     .user = (void *)&neap_generator_of_##T); \
    static void *neap_body_of_##T(struct T *self)

/* The first statement of a generator's body. */
#define NEAP_BEGIN() \
    do { \
        if (self->generator.at == NEAP_GENERATOR_END_) \
            goto neap_generator_end_; \
        if (self->generator.at != NULL) \
            __extension__({ goto * self->generator.at; }); \
    } while (0)

/* Gives a value, whose reference goes to who asked, and goes on behind it the next time. */
#define NEAP_YIELD(value) NEAP_YIELD_(value, NEAP_JOIN_(neap_yield_, __COUNTER__))
#define NEAP_YIELD_(value, label) \
    do { \
        void *neap_at_ = __extension__ && label; \
        __asm__("" : "+r"(neap_at_)); /* a label's address stays good: gcc's warning is wrong */ \
        self->generator.at = neap_at_; \
        return (value); \
    label:; \
    } while (0)

/* Ends the body early, by way of its clean-up. */
#define NEAP_FINISH() goto neap_generator_end_

/* The statements run when the body ends here, is closed, or dies half way. */
#define NEAP_END(...) \
neap_generator_end_: \
    self->generator.at = NEAP_GENERATOR_DONE_; \
    __VA_ARGS__; \
    return NULL

#ifdef __cplusplus
}
#endif

#endif
