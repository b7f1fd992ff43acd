/* SPDX-License-Identifier: MIT
 *
 * A chained hash table over an array of records in reserved memory. Index 0 is no trace; the last
 * index stands for all that found no room. */
#include "observe/trace_table.h"

#include <pthread.h>
#include <string.h>

#include "base/atomics.h"
#include "base/os.h"

enum { BUCKETS = 1 << 16, FRAMES_ROOM = NP_TRACES_MOST * 16 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct table {
    struct np_trace traces[NP_TRACES_MOST];
    uint32_t buckets[BUCKETS];
    const void *frames[FRAMES_ROOM];
    char labels[NP_LABELS_MOST][NP_LABEL_BYTES];
};
static struct table *table; /* (c) once reserved */
static uint32_t count;      /* (L) written; read relaxed as a bound */
static size_t frames_used;  /* (L) */
static uint32_t label_count;

static size_t table_bytes(void)
{
    size_t page = np_os_page_bytes();
    return (sizeof(struct table) + page - 1) & ~(page - 1);
}

int np_trace_table_init(void)
{
    if (table == NULL)
        table = np_os_reserve(table_bytes(), 1);
    return table != NULL ? 0 : -1;
}

void np_trace_table_clear(void)
{
    pthread_mutex_lock(&lock);
    if (table != NULL)
        np_os_give_back(table, table_bytes());
    np_store_relaxed(&count, 0u); /* relaxed: nobody else uses it */
    frames_used = 0;
    label_count = 1;
    pthread_mutex_unlock(&lock);
}

bool np_trace_is_like(uint32_t index, const struct np_trace *key)
{
    const struct np_trace *trace = &table->traces[index];
    return trace->hash == key->hash && trace->site == key->site &&
           trace->type_index == key->type_index && trace->label == key->label &&
           trace->asked == key->asked && trace->block_bytes == key->block_bytes &&
           trace->frame_count == key->frame_count &&
           (key->frame_count == 0 ||
            memcmp(trace->frames, key->frames, key->frame_count * sizeof *key->frames) == 0);
}

static uint32_t append_locked(const struct np_trace *key, uint32_t *bucket)
{
    uint32_t index = count + 1;
    bool full = index >= NP_TRACES_MOST - 1 || frames_used + key->frame_count > FRAMES_ROOM;
    if (full)
        index = NP_TRACES_MOST - 1;
    struct np_trace *trace = &table->traces[index];
    if (full && count == index)
        return index;
    if (full) {
        *trace = (struct np_trace){.weight = key->weight};
        np_store_relaxed(&count, index); /* relaxed: a bound */
        return index;
    }
    *trace = *key;
    trace->frames = &table->frames[frames_used];
    if (key->frame_count > 0)
        memcpy(trace->frames, key->frames, key->frame_count * sizeof *key->frames);
    frames_used += key->frame_count;
    trace->next = *bucket;
    *bucket = index;
    np_store_relaxed(&count, index); /* relaxed: a bound */
    return index;
}

uint32_t np_trace_find(const struct np_trace *key)
{
    pthread_mutex_lock(&lock);
    uint32_t *bucket = &table->buckets[key->hash >> 32 & (BUCKETS - 1)], index = *bucket;
    while (index != 0 && !np_trace_is_like(index, key))
        index = table->traces[index].next;
    if (index == 0)
        index = append_locked(key, bucket);
    pthread_mutex_unlock(&lock);
    return index;
}

const struct np_trace *np_trace_at(uint32_t index)
{
    return &table->traces[index];
}

uint32_t np_trace_count(void)
{
    pthread_mutex_lock(&lock); /* so that their records are seen */
    uint32_t result = count;
    pthread_mutex_unlock(&lock);
    return result;
}

uint32_t np_label_find(const char *name)
{
    uint32_t label = 0;
    if (name[0] == '\0')
        return label;
    pthread_mutex_lock(&lock);
    for (label = 1; label < label_count; label++)
        if (strncmp(table->labels[label], name, NP_LABEL_BYTES) == 0)
            break;
    if (label == label_count && label < NP_LABELS_MOST) {
        strncpy(table->labels[label], name, NP_LABEL_BYTES - 1);
        label_count++;
    }
    pthread_mutex_unlock(&lock);
    return label < NP_LABELS_MOST ? label : 0;
}

void np_label_copy(uint32_t label, char ret_name[NP_LABEL_BYTES])
{
    pthread_mutex_lock(&lock);
    memcpy(ret_name, table->labels[label], NP_LABEL_BYTES);
    pthread_mutex_unlock(&lock);
}

void np_trace_table_lock(void)
{
    pthread_mutex_lock(&lock);
}

void np_trace_table_unlock(void)
{
    pthread_mutex_unlock(&lock);
}
