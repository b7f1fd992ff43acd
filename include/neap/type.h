/* SPDX-License-Identifier: MIT
 *
 * neap: types. A type says where its references are; visiting, clearing and releasing follow from
 * it.
 *
 *     struct session {
 *         struct session *next, *prev;
 *         struct route *current;
 *         int fd;
 *     };
 *     static void session_dispose(void *self) { close(((struct session *)self)->fd); }
 *     NEAP_DEFINE_TYPE(session, (next, prev, NEAP_ATOMIC(current)), .dispose = session_dispose);
 *
 * Not for structs with references the type cannot reach from its own memory: give such a type a
 * visit.
 */
#ifndef NEAP_TYPE_H
#define NEAP_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <neap/export.h>

#ifdef __cplusplus
extern "C" {
#endif

enum neap_slot_kind {
    NEAP_SLOT_PLAIN = 0,   /* one thread or the caller's lock */
    NEAP_SLOT_ATOMIC = 1,  /* any thread, by neap_load and its like */
    NEAP_SLOT_TRAILING = 2 /* added to the kind: the flexible array at the end */
};

struct neap_slot {
    uint32_t offset; /* bytes from the object's start */
    uint32_t count;  /* pointers in a row; 0 for the trailing array */
    uint32_t kind;   /* enum neap_slot_kind */
};

enum neap_type_flags {
    NEAP_POOLED = 1,           /* pools of its own, at its exact size */
    NEAP_PEEKABLE = 2,         /* may be peeked; dies after a peek grace period */
    NEAP_IMMUTABLE_SLOTS = 4,  /* slots are written before the object is shared, never after */
    NEAP_PROMPT = 8,           /* ignores the release budget, merges at once */
    NEAP_CONCURRENT_VISIT = 16 /* visit may run beside threads that use the object */
};

struct neap_visitor;

struct neap_type {
    const char *name;
    uint32_t size;      /* bytes of the struct, header not counted */
    uint32_t alignment; /* of the struct, at most 16 */
    const struct neap_slot *slots;
    uint32_t slot_count;
    uint32_t flags; /* enum neap_type_flags */
    /* Frees what is not managed. Runs once, while every slot still points to intact memory. May not
     * revive. */
    void (*dispose)(void *self);
    /* Runs once before death and may store self somewhere: it lives on then. */
    void (*finalize)(void *self);
    /* Calls neap_visit once per owned slot that `slots` does not list. Pure: on any thread, in
     * parallel. */
    void (*visit)(void *self, struct neap_visitor *visitor);
    /* For types where setting the visited slots to NULL is not enough to break a cycle. */
    void (*clear)(void *self);
    void *user;           /* the program's */
    uint32_t index;       /* the runtime's: 0 until the first object */
    uint16_t class_index; /* the runtime's: size class of one plain object, 0xFFFF: large */
    uint64_t birth;       /* the runtime's: gc and flags bits of a new object's header */
    uint16_t traits;      /* the runtime's */
    uint32_t
        cache_offset; /* the runtime's: of its magazine in neap_cache; 0: ask neap_object_new */
    const char *slot_text; /* the slot list as written, for names in heap snapshots; or NULL */
};

/* Visits one owned slot. Only inside a type's visit.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC void neap_visit(struct neap_visitor *visitor, void *slot);

/* How neap_type_create is told what NEAP_DEFINE_TYPE says. Everything is copied. */
struct neap_type_spec {
    size_t struct_size; /* sizeof(struct neap_type_spec) */
    const char *name;
    size_t size, alignment;
    const struct neap_slot *slots;
    size_t slot_count;
    void (*dispose)(void *self);
    void (*finalize)(void *self);
    void (*visit)(void *self, struct neap_visitor *visitor);
    void (*clear)(void *self);
    uint32_t flags;
    void *user;
};

/* A type made at run time; it lives as long as the process. NULL for a size, alignment or slot out
 * of range too.
 * refs: none | user code: no | point: none | threads: any | fails: NULL, memory or bad spec */
NEAP_PUBLIC struct neap_type *neap_type_create(const struct neap_type_spec *spec);

/* The name given at definition.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC const char *neap_type_name(const struct neap_type *type);

/* NEAP_DECLARE_TYPE(T); in a header: other files may make and test objects of struct T. */
#define NEAP_DECLARE_TYPE(T) extern struct neap_type neap_typeof_##T

/* NEAP_DEFINE_TYPE(T, (slot, slot, ...), .dispose = ..., .flags = ...); in one .c file. A slot is a
 * pointer member, an array of pointers, a dotted member of those, NEAP_ATOMIC(member), or
 * NEAP_TRAILING(member) for the flexible array that neap_new_extra sizes; () for none. */
#define NEAP_DEFINE_TYPE(T, slot_list, ...) \
    NEAP_DECLARE_TYPE(T); \
    _Static_assert(_Alignof(struct T) <= 16, "neap: struct " #T " is aligned to more than 16"); \
    static const struct neap_slot neap_slots_of_##T[] = { \
        NEAP_EACH_(NEAP_SLOT_, T, NEAP_STRIP_ slot_list){0, 0, 0}}; \
    struct neap_type neap_typeof_##T = { \
        .name = #T, \
        .size = sizeof(struct T), \
        .alignment = _Alignof(struct T), \
        .slots = neap_slots_of_##T, \
        .slot_count = sizeof neap_slots_of_##T / sizeof neap_slots_of_##T[0] - 1, \
        .slot_text = #slot_list, \
        __VA_ARGS__}

/* Inside the slot list: a slot that threads read and write at once, by neap_load and its like. */
#define NEAP_ATOMIC(member) (NEAP_SLOT_IS_ATOMIC_, member)
/* Inside the slot list: the flexible array member, every element of which is a slot; how many there
 * are follows from the bytes that neap_new_extra was asked for. */
#define NEAP_TRAILING(member) (NEAP_SLOT_IS_TRAILING_, member)

/* Machinery: a macro applied to each of up to 256 arguments; a slot told from a tagged slot. */
#define NEAP_PARENS_       ()
#define NEAP_STRIP_(...)   __VA_ARGS__
#define NEAP_EXPAND_(...)  NEAP_EXPAND1_(NEAP_EXPAND1_(NEAP_EXPAND1_(NEAP_EXPAND1_(__VA_ARGS__))))
#define NEAP_EXPAND1_(...) NEAP_EXPAND2_(NEAP_EXPAND2_(NEAP_EXPAND2_(NEAP_EXPAND2_(__VA_ARGS__))))
#define NEAP_EXPAND2_(...) NEAP_EXPAND3_(NEAP_EXPAND3_(NEAP_EXPAND3_(NEAP_EXPAND3_(__VA_ARGS__))))
#define NEAP_EXPAND3_(...) NEAP_EXPAND4_(NEAP_EXPAND4_(NEAP_EXPAND4_(NEAP_EXPAND4_(__VA_ARGS__))))
#define NEAP_EXPAND4_(...) __VA_ARGS__

#define NEAP_EACH_(...) NEAP_EACH_START_(__VA_ARGS__)
#define NEAP_EACH_START_(macro, T, ...) \
    __VA_OPT__(NEAP_EXPAND_(NEAP_EACH_STEP_(macro, T, __VA_ARGS__)))
#define NEAP_EACH_STEP_(macro, T, first, ...) \
    macro(T, first) __VA_OPT__(NEAP_EACH_AGAIN_ NEAP_PARENS_(macro, T, __VA_ARGS__))
#define NEAP_EACH_AGAIN_() NEAP_EACH_STEP_

#define NEAP_SLOT_(T, slot) NEAP_SECOND_(NEAP_SLOT_PROBE_ slot, NEAP_SLOT_IS_PLAIN_, ~)(T, slot)

#define NEAP_SLOT_PROBE_(...)             ~, NEAP_SLOT_IS_TAGGED_
#define NEAP_SECOND_(...)                 NEAP_SECOND2_(__VA_ARGS__)
#define NEAP_SECOND2_(a, b, ...)          b
#define NEAP_SLOT_IS_TAGGED_(T, slot)     NEAP_SLOT_UNTAG_(T, NEAP_STRIP_ slot)
#define NEAP_SLOT_UNTAG_(...)             NEAP_SLOT_UNTAG2_(__VA_ARGS__)
#define NEAP_SLOT_UNTAG2_(T, tag, member) tag(T, member)
#define NEAP_SLOT_IS_PLAIN_(T, member)    NEAP_SLOT_ROW_(T, member, NEAP_SLOT_PLAIN)
#define NEAP_SLOT_IS_ATOMIC_(T, member)   NEAP_SLOT_ROW_(T, member, NEAP_SLOT_ATOMIC)
#define NEAP_SLOT_IS_TRAILING_(T, member) {offsetof(struct T, member), 0, NEAP_SLOT_TRAILING},
#define NEAP_SLOT_ROW_(T, member, kind) \
    {offsetof(struct T, member), sizeof(((struct T *)0)->member) / sizeof(void *), kind},

#ifdef __cplusplus
}
#endif

#endif
