/* SPDX-License-Identifier: MIT
 *
 * A weak upgrade against death (runtime/weak.c): the dying thread makes the header dead, then sets
 * the target to NULL, then frees the block, which is used again at once. The upgrader loads the
 * target, tries to retain, looks at the target again.
 *
 * The object is owned: its owner's last release finds it published and goes through the swap to
 * MERGED.
 *
 * -DBROKEN_ORDER: the block is freed and used again before the target is cleared.
 * -DBROKEN_PLAIN: the owner ignores the published bit and destroys without the swap.
 */
byte target = 1;
byte life = 1;
short cnt = 0;
bool merged = false, published = true;
byte upgraded = 0;

inline acquirable(c, m, p) { ok = ((m && c > 0) || (!m && (c > 0 || p))) }

inline destroy() {
#ifdef BROKEN_ORDER
    life = 2; atomic { cnt = 1; merged = true; published = true }
    target = 0
#else
    target = 0;
    life = 2; atomic { cnt = 1; merged = true; published = true } /* used again, by somebody else */
#endif
}

active proctype owner_thread() {
    bool dead;
#ifdef BROKEN_PLAIN
    destroy()
#else
    atomic { merged = true; dead = (cnt == 0) }
    if :: dead -> destroy() :: else fi
#endif
}

active [2] proctype upgrader() {
    bool ok, dead, m, p;
    short c;
    if
    :: target == 1 ->
       atomic { c = cnt; m = merged; p = published }
       acquirable(c, m, p);
       do
       :: ok ->
          if
          :: atomic { cnt == c && merged == m && published == p -> cnt++ }
             if
             :: target == 1 ->
                assert(life == 1);
                atomic { cnt--; dead = (merged && cnt == 0) }
                if :: dead -> destroy() :: else fi
             :: target == 0 -> /* not ours: undone */
                atomic { cnt--; assert(cnt >= 0) }
             fi;
             break
          :: atomic { cnt != c || merged != m || published != p ->
                      c = cnt; m = merged; p = published }
             acquirable(c, m, p)
          fi
       :: !ok -> break
       od
    :: else
    fi
}
