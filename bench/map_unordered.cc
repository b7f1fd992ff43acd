/* SPDX-License-Identifier: MIT
 *
 * A peer of the map benchmark (map.c): a mutex around a std::unordered_map of std::shared_ptr. */
#define PEER_NAME     "unordered"
#define PEER_ADD      map_add_unordered
#define PEER_ATTACHED false

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "bench/map.h"

enum { MAP_KEYS = 1000000 };

struct value {
    int64_t word = 0;
};

static std::vector<std::string> keys;
static std::unordered_map<std::string, std::shared_ptr<value>> *map;
static std::mutex mutex;

static void map_write(uint32_t i)
{
    auto fresh = std::make_shared<value>();
    std::lock_guard<std::mutex> held(mutex);
    (*map)[keys[i]].swap(fresh);
}

static int64_t map_read(uint32_t i)
{
    std::shared_ptr<value> found;
    {
        std::lock_guard<std::mutex> held(mutex);
        found = map->find(keys[i])->second;
    }
    return found->word;
}

static void map_init()
{
    map = new std::unordered_map<std::string, std::shared_ptr<value>>;
    keys.resize(MAP_KEYS);
    for (uint32_t i = 0; i < MAP_KEYS; i++) {
        keys[i] = "key:" + std::to_string(i);
        map_write(i);
    }
}

static void map_fini()
{
    delete map;
    keys.clear();
}

#define thread_enter() ((void)0)
#define thread_leave() ((void)0)
#define thread_poll()  ((void)0)

#include "bench/map_rows.h"
