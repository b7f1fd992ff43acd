/* SPDX-License-Identifier: MIT
 *
 * The type table: descriptors by index, in chunks that never move and are never freed. A type takes
 * its index once, under a lock, and keeps it for the life of the process, over neap_shutdown too:
 * headers and static descriptors outlive a runtime. The library that holds a descriptor is pinned.
 *
 * Concurrency: registration under `lock`; readers go by index, which they have from a header or
 * from the descriptor, and see the entry through MM-type-1 or MM-type-2.
 */
#include "runtime/type.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "alloc/heap.h"
#include "base/check.h"
#include "base/fault.h"
#include "runtime/fork.h"
#include "runtime/plan.h"

enum { CHUNK_ENTRIES = 1 << NP_TYPE_CHUNK_LOG2, INDEX_LIMIT = NP_TYPE_CHUNKS * CHUNK_ENTRIES };

const struct neap_type **np_type_chunks[NP_TYPE_CHUNKS]; /* (x) */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t count; /* (L) written; read as a hint */

/* Loading it again with NODELETE keeps a library for good; the program itself needs no pin. */
static void pin_library(const struct neap_type *type)
{
    Dl_info info;
    if (dladdr(type, &info) != 0 && info.dli_fname != NULL)
        (void)dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

void np_type_before_fork(void)
{
    pthread_mutex_lock(&lock);
}

void np_type_after_fork(void)
{
    pthread_mutex_unlock(&lock);
}

static uint16_t traits_of(const struct neap_type *type)
{
    uint16_t traits = 0;
    if (type->slot_count > 0 || type->visit != NULL)
        traits |= NP_TRAIT_SLOTS;
    if (type->dispose != NULL || type->finalize != NULL)
        traits |= NP_TRAIT_HOOKS;
    if ((traits & NP_TRAIT_HOOKS) && !(type->flags & NP_TYPE_INTERNAL))
        traits |= NP_TRAIT_USER;
    for (uint32_t i = 0; i < type->slot_count; i++)
        if (type->slots[i].kind & NEAP_SLOT_TRAILING)
            traits |= NP_TRAIT_TRAILING;
    return traits;
}

static uint16_t class_of(const struct neap_type *type, uint32_t index)
{
    size_t bytes = sizeof(struct neap_header) + (type->size == 0 ? 1 : type->size);
    bytes = bytes < NP_OBJECT_MIN ? NP_OBJECT_MIN : bytes;
    if (bytes > NP_SMALL_MAX || (type->traits & NP_TRAIT_TRAILING))
        return NP_CLASS_GENERAL;
    if (type->flags & NEAP_POOLED) {
        size_t step = type->alignment <= 8 ? 8 : 16;
        int pooled = np_class_for_pooled(index, (bytes + step - 1) & ~(step - 1));
        if (pooled >= 0)
            return (uint16_t)pooled;
    }
    return (uint16_t)(np_class_of(bytes) + np_class_offset(type));
}

static uint32_t register_locked(struct neap_type *type)
{
    if (type->index != 0)
        return type->index;
    uint32_t index = count + 1;
    if (index >= INDEX_LIMIT)
        return 0;
    const struct neap_type **chunk = np_type_chunks[index >> NP_TYPE_CHUNK_LOG2];
    if (chunk == NULL) {
        chunk = np_fault_calloc(CHUNK_ENTRIES, sizeof *chunk);
        if (chunk == NULL)
            return 0;
    }
    chunk[index & (CHUNK_ENTRIES - 1)] = type;
    /* [MM-type-1] release: publishes the entry (and a new chunk's zeroes); pairs with np_type_at */
    np_store_release(&np_type_chunks[index >> NP_TYPE_CHUNK_LOG2], chunk);
    pin_library(type);
    type->traits = traits_of(type);
    type->class_index = class_of(type, index);
    if (type->traits & NP_TRAIT_SLOTS)
        type->birth = (uint64_t)NP_GC_TRACKED << 48;
    else if (!(type->traits & NP_TRAIT_HOOKS))
        type->birth = (uint64_t)NP_FLAG_BARE << 56;
    /* [MM-type-4] release: what is written above is seen by who counts this type too; pairs with
     * np_type_count */
    np_store_release(&count, index);
    /* [MM-type-2] release: publishes traits and class; pairs with the acquire in object.c */
    np_store_release(&type->index, index);
    if (type->class_index != NP_CLASS_GENERAL) {
        /* [MM-type-3] release: publishes the index and all before it; pairs with neap_new_header_
         */
        np_store_release(&type->cache_offset,
                         (uint32_t)(type->class_index * sizeof(struct neap_magazine)));
    }
    return index;
}

uint32_t np_type_register(const struct neap_type *type)
{
    np_check(type->alignment <= 16 && type->name != NULL,
             "type %s: not made by NEAP_DEFINE_TYPE or neap_type_create",
             type->name != NULL ? type->name : "?");
    pthread_mutex_lock(&lock);
    /* the descriptor's last fields are the runtime's: NEAP_DEFINE_TYPE's object is not const */
    uint32_t index = register_locked((struct neap_type *)(uintptr_t)type);
    np_plan_update(); /* under the lock, which a fork takes: never half done in a child */
    pthread_mutex_unlock(&lock);
    return index;
}

uint32_t np_type_count(void)
{
    /* [MM-type-4] acquire: the descriptors up to it are complete; pairs with register_locked */
    return np_load_acquire(&count);
}

static bool spec_is_good(const struct neap_type_spec *spec)
{
    if (spec == NULL || spec->struct_size < sizeof *spec || spec->name == NULL ||
        spec->size > UINT32_MAX || spec->slot_count > UINT32_MAX || spec->alignment > 16 ||
        (spec->alignment & (spec->alignment - 1)) != 0 ||
        (spec->slot_count > 0 && spec->slots == NULL))
        return false;
    for (size_t i = 0; i < spec->slot_count; i++) {
        const struct neap_slot *slot = &spec->slots[i];
        uint64_t end = slot->offset + (uint64_t)slot->count * sizeof(void *);
        bool trailing = (slot->kind & NEAP_SLOT_TRAILING) != 0;
        if (slot->offset % sizeof(void *) != 0 || end > spec->size ||
            slot->kind > (NEAP_SLOT_ATOMIC | NEAP_SLOT_TRAILING) ||
            (trailing ? slot->count != 0 : slot->count == 0))
            return false;
    }
    return true;
}

struct neap_type *neap_type_create(const struct neap_type_spec *spec)
{
    if (!spec_is_good(spec))
        return NULL;
    size_t slots_bytes = spec->slot_count * sizeof *spec->slots;
    size_t name_bytes = strlen(spec->name) + 1;
    char *memory = np_fault_calloc(1, sizeof(struct neap_type) + slots_bytes + name_bytes);
    if (memory == NULL)
        return NULL;
    struct neap_type *type = (struct neap_type *)(void *)memory;
    struct neap_slot *slots = (struct neap_slot *)(void *)(memory + sizeof *type);
    char *name = memory + sizeof *type + slots_bytes;
    if (slots_bytes > 0)
        memcpy(slots, spec->slots, slots_bytes);
    memcpy(name, spec->name, name_bytes);
    *type = (struct neap_type){
        .name = name,
        .size = (uint32_t)spec->size,
        .alignment = spec->alignment == 0 ? 8 : (uint32_t)spec->alignment,
        .slots = slots,
        .slot_count = (uint32_t)spec->slot_count,
        .flags = spec->flags & ~(uint32_t)NP_TYPE_OURS,
        .dispose = spec->dispose,
        .finalize = spec->finalize,
        .visit = spec->visit,
        .clear = spec->clear,
        .user = spec->user,
    };
    if (np_type_register(type) == 0) {
        free(memory);
        return NULL;
    }
    return type;
}

const char *neap_type_name(const struct neap_type *type)
{
    return type->name;
}
