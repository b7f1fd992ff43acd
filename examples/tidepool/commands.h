/* SPDX-License-Identifier: MIT
 *
 * tidepool: the table of commands, one row each, grouped by the file that implements them.
 * X(name, function, arity, flags, first key, last key, step); see struct command. */
#ifndef TIDEPOOL_COMMANDS_H
#define TIDEPOOL_COMMANDS_H

#define W COMMAND_WRITE
#define R COMMAND_READONLY
#define F COMMAND_FAST
#define A COMMAND_ADMIN
#define L COMMAND_LOADING
#define K COMMAND_ALL_KEYS
#define S COMMAND_SCANS
#define O COMMAND_AT_ONCE
#define P COMMAND_LISTENS
#define N COMMAND_NO_AUTH
#define G COMMAND_GROWS

#define COMMANDS_CONNECTION(X) \
    X("ping", ping, -1, F | L | P, 0, 0, 0) \
    X("echo", echo, 2, F | L, 0, 0, 0) \
    X("select", select_database, 2, F | L, 0, 0, 0) \
    X("quit", quit, -1, F | L | O | P | N, 0, 0, 0) \
    X("reset", reset, 1, F | L | O | P | N, 0, 0, 0) \
    X("auth", auth, -2, F | L | O | N, 0, 0, 0) \
    X("hello", hello, -1, F | L | N, 0, 0, 0) \
    X("client", client, -2, L, 0, 0, 0)

#define COMMANDS_SERVER(X) \
    X("command", command, -1, L, 0, 0, 0) \
    X("config", config, -2, A | L, 0, 0, 0) \
    X("info", info, -1, L, 0, 0, 0) \
    X("dbsize", dbsize, 1, R | F, 0, 0, 0) \
    X("flushall", flushall, -1, W | K, 0, 0, 0) \
    X("flushdb", flushall, -1, W | K, 0, 0, 0) \
    X("shutdown", shutdown, -1, A | L, 0, 0, 0)

#define COMMANDS_KEYS(X) \
    X("del", del, -2, W, 1, -1, 1) \
    X("unlink", del, -2, W | F, 1, -1, 1) \
    X("exists", exists, -2, R | F, 1, -1, 1) \
    X("touch", exists, -2, R | F, 1, -1, 1) \
    X("type", type, 2, R | F, 1, 1, 1) \
    X("rename", rename, 3, W, 1, 2, 1) \
    X("renamenx", renamenx, 3, W | F, 1, 2, 1) \
    X("copy", copy, -3, W | G, 1, 2, 1) \
    X("expire", expire, -3, W | F, 1, 1, 1) \
    X("pexpire", pexpire, -3, W | F, 1, 1, 1) \
    X("expireat", expireat, -3, W | F, 1, 1, 1) \
    X("pexpireat", pexpireat, -3, W | F, 1, 1, 1) \
    X("ttl", ttl, 2, R | F, 1, 1, 1) \
    X("pttl", pttl, 2, R | F, 1, 1, 1) \
    X("expiretime", expiretime, 2, R | F, 1, 1, 1) \
    X("pexpiretime", pexpiretime, 2, R | F, 1, 1, 1) \
    X("persist", persist, 2, W | F, 1, 1, 1) \
    X("keys", keys, 2, R | S, 0, 0, 0) \
    X("scan", scan, -2, R | S, 0, 0, 0) \
    X("randomkey", randomkey, 1, R | S, 0, 0, 0)

#define COMMANDS_STRINGS(X) \
    X("get", get, 2, R | F, 1, 1, 1) \
    X("set", set, -3, W | G, 1, 1, 1) \
    X("setnx", setnx, 3, W | G | F, 1, 1, 1) \
    X("setex", setex, 4, W | G, 1, 1, 1) \
    X("psetex", psetex, 4, W | G, 1, 1, 1) \
    X("getset", getset, 3, W | G | F, 1, 1, 1) \
    X("getdel", getdel, 2, W | F, 1, 1, 1) \
    X("getex", getex, -2, W | F, 1, 1, 1) \
    X("mget", mget, -2, R | F, 1, -1, 1) \
    X("mset", mset, -3, W | G, 1, -1, 2) \
    X("msetnx", msetnx, -3, W | G, 1, -1, 2) \
    X("strlen", strlen, 2, R | F, 1, 1, 1) \
    X("append", append, 3, W | G | F, 1, 1, 1) \
    X("setrange", setrange, 4, W | G, 1, 1, 1) \
    X("getrange", getrange, 4, R, 1, 1, 1) \
    X("substr", getrange, 4, R, 1, 1, 1) \
    X("incr", incr, 2, W | G | F, 1, 1, 1) \
    X("decr", decr, 2, W | G | F, 1, 1, 1) \
    X("incrby", incrby, 3, W | G | F, 1, 1, 1) \
    X("decrby", decrby, 3, W | G | F, 1, 1, 1) \
    X("incrbyfloat", incrbyfloat, 3, W | G | F, 1, 1, 1)

#define COMMANDS_LISTS(X) \
    X("lpush", lpush, -3, W | G | F, 1, 1, 1) \
    X("rpush", rpush, -3, W | G | F, 1, 1, 1) \
    X("lpushx", lpushx, -3, W | G | F, 1, 1, 1) \
    X("rpushx", rpushx, -3, W | G | F, 1, 1, 1) \
    X("lpop", lpop, -2, W | F, 1, 1, 1) \
    X("rpop", rpop, -2, W | F, 1, 1, 1) \
    X("llen", llen, 2, R | F, 1, 1, 1) \
    X("lrange", lrange, 4, R, 1, 1, 1) \
    X("lindex", lindex, 3, R, 1, 1, 1) \
    X("lset", lset, 4, W | G, 1, 1, 1) \
    X("linsert", linsert, 5, W | G, 1, 1, 1) \
    X("lrem", lrem, 4, W, 1, 1, 1) \
    X("ltrim", ltrim, 4, W, 1, 1, 1) \
    X("lpos", lpos, -3, R, 1, 1, 1) \
    X("lmove", lmove, 5, W | G, 1, 2, 1) \
    X("rpoplpush", rpoplpush, 3, W | G, 1, 2, 1)

#define COMMANDS_SETS(X) \
    X("sadd", sadd, -3, W | G | F, 1, 1, 1) \
    X("srem", srem, -3, W | F, 1, 1, 1) \
    X("scard", scard, 2, R | F, 1, 1, 1) \
    X("sismember", sismember, 3, R | F, 1, 1, 1) \
    X("smismember", smismember, -3, R | F, 1, 1, 1) \
    X("smove", smove, 4, W | G | F, 1, 2, 1) \
    X("smembers", smembers, 2, R, 1, 1, 1) \
    X("sscan", sscan, -3, R, 1, 1, 1) \
    X("spop", spop, -2, W | F, 1, 1, 1) \
    X("srandmember", srandmember, -2, R, 1, 1, 1) \
    X("sinter", sinter, -2, R, 1, -1, 1) \
    X("sunion", sunion, -2, R, 1, -1, 1) \
    X("sdiff", sdiff, -2, R, 1, -1, 1) \
    X("sinterstore", sinterstore, -3, W | G, 1, -1, 1) \
    X("sunionstore", sunionstore, -3, W | G, 1, -1, 1) \
    X("sdiffstore", sdiffstore, -3, W | G, 1, -1, 1)

#define COMMANDS_HASHES(X) \
    X("hset", hset, -4, W | G | F, 1, 1, 1) \
    X("hmset", hmset, -4, W | G | F, 1, 1, 1) \
    X("hsetnx", hsetnx, 4, W | G | F, 1, 1, 1) \
    X("hdel", hdel, -3, W | F, 1, 1, 1) \
    X("hincrby", hincrby, 4, W | G | F, 1, 1, 1) \
    X("hincrbyfloat", hincrbyfloat, 4, W | G | F, 1, 1, 1) \
    X("hget", hget, 3, R | F, 1, 1, 1) \
    X("hmget", hmget, -3, R | F, 1, 1, 1) \
    X("hexists", hexists, 3, R | F, 1, 1, 1) \
    X("hlen", hlen, 2, R | F, 1, 1, 1) \
    X("hstrlen", hstrlen, 3, R | F, 1, 1, 1) \
    X("hgetall", hgetall, 2, R, 1, 1, 1) \
    X("hkeys", hkeys, 2, R, 1, 1, 1) \
    X("hvals", hvals, 2, R, 1, 1, 1) \
    X("hscan", hscan, -3, R, 1, 1, 1)

#define COMMANDS_SORTED_SETS(X) \
    X("zadd", zadd, -4, W | G | F, 1, 1, 1) \
    X("zincrby", zincrby, 4, W | G | F, 1, 1, 1) \
    X("zrem", zrem, -3, W | F, 1, 1, 1) \
    X("zcard", zcard, 2, R | F, 1, 1, 1) \
    X("zscore", zscore, 3, R | F, 1, 1, 1) \
    X("zmscore", zmscore, -3, R | F, 1, 1, 1) \
    X("zrank", zrank, 3, R | F, 1, 1, 1) \
    X("zrevrank", zrevrank, 3, R | F, 1, 1, 1) \
    X("zpopmin", zpopmin, -2, W | F, 1, 1, 1) \
    X("zpopmax", zpopmax, -2, W | F, 1, 1, 1) \
    X("zscan", zscan, -3, R, 1, 1, 1) \
    X("zrange", zrange, -4, R, 1, 1, 1) \
    X("zrevrange", zrevrange, -4, R, 1, 1, 1) \
    X("zrangebyscore", zrangebyscore, -4, R, 1, 1, 1) \
    X("zrevrangebyscore", zrevrangebyscore, -4, R, 1, 1, 1) \
    X("zrangebylex", zrangebylex, -4, R, 1, 1, 1) \
    X("zrevrangebylex", zrevrangebylex, -4, R, 1, 1, 1) \
    X("zcount", zcount, 4, R | F, 1, 1, 1) \
    X("zlexcount", zlexcount, 4, R | F, 1, 1, 1) \
    X("zremrangebyrank", zremrangebyrank, 4, W, 1, 1, 1) \
    X("zremrangebyscore", zremrangebyscore, 4, W, 1, 1, 1) \
    X("zremrangebylex", zremrangebylex, 4, W, 1, 1, 1)

#define COMMANDS_TRANSACTIONS(X) \
    X("multi", multi, 1, F | L | O, 0, 0, 0) \
    X("exec", exec, 1, L | O, 0, 0, 0) \
    X("discard", discard, 1, F | L | O, 0, 0, 0) \
    X("watch", watch, -2, F | L | O, 1, -1, 1) \
    X("unwatch", unwatch, 1, F | L, 0, 0, 0)

#define COMMANDS_PUBSUB(X) \
    X("publish", publish, 3, F | L, 0, 0, 0) \
    X("subscribe", subscribe, -2, L | P, 0, 0, 0) \
    X("psubscribe", psubscribe, -2, L | P, 0, 0, 0) \
    X("unsubscribe", unsubscribe, -1, L | P, 0, 0, 0) \
    X("punsubscribe", punsubscribe, -1, L | P, 0, 0, 0) \
    X("pubsub", pubsub, -2, L, 0, 0, 0)

#define COMMANDS_ADMIN(X) \
    X("time", time, 1, F | L, 0, 0, 0) \
    X("object", object, -2, R, 2, 2, 1) \
    X("memory", memory, -2, R, 2, 2, 1) \
    X("debug", debug, -2, A | L, 0, 0, 0) \
    X("slowlog", slowlog, -2, A | L, 0, 0, 0) \
    X("neap", neap, -2, A | L, 0, 0, 0)

#define COMMANDS(X) \
    COMMANDS_CONNECTION(X) \
    COMMANDS_SERVER(X) \
    COMMANDS_KEYS(X) \
    COMMANDS_STRINGS(X) \
    COMMANDS_LISTS(X) \
    COMMANDS_SETS(X) \
    COMMANDS_HASHES(X) \
    COMMANDS_SORTED_SETS(X) \
    COMMANDS_TRANSACTIONS(X) \
    COMMANDS_PUBSUB(X) \
    COMMANDS_ADMIN(X)

#include "call.h"

/* A function may stand in several rows. */
#define COMMANDS_DECLARE(name, function, ...) void command_##function(struct call *call);
COMMANDS(COMMANDS_DECLARE)
#undef COMMANDS_DECLARE

#endif
