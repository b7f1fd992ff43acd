/* SPDX-License-Identifier: MIT
 *
 * Handing over and adopting (runtime/owner.c) against a stale reader of the block's address.
 *
 * A giver makes an object in a block that was used before, hands it over through plain memory; the
 * taker adopts it, uses it and releases it. A reader read the address from a slot in the block's
 * earlier life and stalls before its compare-and-swap; its second look always fails (the slot holds
 * something else by now), so it undoes.
 *
 * Right: handed is a value of `owner`, shared stays 0 and not published, adopting is one swap on
 * owner. -DBROKEN_STORES: handed is MERGED|1 in shared, and adopting stores shared = 0, owner,
 * local plainly.
 */
#define NONE 0
#define GIVER 1
#define TAKER 2
#define HANDED 9

byte owner = GIVER;
short loc = 1, cnt = 0;
bool merged = false, published = false, queued = false;
bool passed = false, freed = false, held = true, queue = false;

active proctype giver() {
#ifdef BROKEN_STORES
    owner = NONE; loc = 0;
    atomic { merged = true; cnt = 1 }
#else
    assert(loc == 1 && cnt == 0 && !merged && !published);
    owner = HANDED;
#endif
    passed = true
}

active proctype taker() {
    passed;
#ifdef BROKEN_STORES
    if
    :: merged && cnt == 1 -> /* looks exclusive */
       atomic { cnt = 0; merged = false; published = false; queued = false }
       owner = TAKER; loc = 1
    :: else -> goto end_shared
    fi;
#else
    atomic { owner == HANDED -> owner = TAKER }
#endif
    /* uses it while a merge request may arrive */
    if
    :: queue -> /* a poll: somebody queued a reference */
       queue = false; cnt = cnt + loc - 1; loc = 0; owner = NONE; merged = true;
       if :: cnt == 0 -> freed = true :: else fi
    :: true
    fi;
    assert(!freed); /* freed while held */
    held = false;
end_shared:
    skip
}

active proctype stale_reader() {
    short c; bool m, p, q, got = false;
    atomic { c = cnt; m = merged; p = published; q = queued }
    if
    :: (m && c > 0) || (!m && (c > 0 || p || q)) ->
       if
       :: atomic { cnt == c && merged == m && published == p && queued == q ->
                   cnt++; published = true; got = true }
       :: atomic { cnt != c || merged != m || published != p || queued != q -> skip }
       fi
    :: else
    fi;
    /* the slot holds something else: undo */
    if
    :: got ->
       if
       :: atomic { !merged && !queued && cnt <= 0 -> queued = true; queue = true }
       :: atomic { merged || queued || cnt > 0 -> cnt-- }
       fi
    :: else
    fi
}
