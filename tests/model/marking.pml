/* SPDX-License-Identifier: MIT
 *
 * Passes of a concurrent collection's marking that two threads share (collector/reach.c): rows are
 * dealt out, each to one of them; words are read and written by both, each read and each write a
 * step of its own. Passes follow each other until as many words have been taken as made grey, or
 * one has visited nothing.
 *
 * Objects 0 to 3, two to a row; each refers to one, itself perhaps, in any graph; one in each row
 * may be held from outside. In the end all that is held has been visited, and what that refers
 * to.
 *
 * -DALL_ROWS:   rows are everybody's.
 * -DMARK_ONLY:  a word in another row is marked and not made grey.
 */
#define MARKED 1
#define GREY 2

#ifdef MARK_ONLY
#define FOUND MARKED
#else
#define FOUND (MARKED | GREY)
#endif

byte child[4];
bool held[4], visited[4];
byte word[4];
byte next_row, arrived, seen, phase;
byte done;
short grey;
bool roots = true, over;

/* What is grey, or a root, goes on the row's list. */
inline take(at) {
    w = word[at];
    if
    :: (w & GREY) != 0 || (roots && held[at] && w == 0) ->
        d_step { if :: (w & GREY) != 0 -> grey-- :: else fi }
        word[at] = MARKED;
        listed = listed | (1 << (at - first))
    :: else
    fi
}

inline visit(at) {
    atomic { to = child[at]; visited[at] = true; seen++ }
    w = word[to];
    if
    :: w == 0 && to / 2 == row -> word[to] = MARKED; listed = listed | (1 << (to - first))
    :: w == 0 && to / 2 != row -> word[to] = FOUND; d_step { grey++ }
    :: else
    fi
}

inline pass_row() {
    atomic { first = row * 2; listed = 0 }
    take(first);
    take(first + 1);
    do
    :: (listed & 1) != 0 -> listed = listed & 2; visit(first)
    :: (listed & 1) == 0 && (listed & 2) != 0 -> listed = 0; visit(first + 1)
    :: listed == 0 -> break
    od
}

proctype thread() {
    byte row, first, listed, w, to, mine;
    do
    :: over -> break
    :: else ->
#ifdef ALL_ROWS
        row = 0; pass_row();
        row = 1; pass_row();
#else
        do
        :: atomic { next_row < 2 -> row = next_row; next_row++ } pass_row()
        :: next_row == 2 -> break
        od;
#endif
        /* they meet; who comes last looks what the pass has done */
        atomic {
            mine = phase;
            arrived++;
            if
            :: arrived == 2 ->
                if
                :: seen == 0 -> grey = 0
                :: else
                fi;
                over = (grey <= 0);
                arrived = 0; seen = 0; next_row = 0; roots = false; phase = 1 - phase
            :: else
            fi
        }
        phase != mine
    od;
    done++
}

init {
    byte i;
    d_step { i = 0 }
    do
    :: i < 4 ->
        if
        :: child[i] = 0 :: child[i] = 1 :: child[i] = 2 :: child[i] = 3
        fi;
        if
        :: i == 0 || i == 2 -> held[i] = true
        :: held[i] = false
        fi;
        i++
    :: i == 4 -> break
    od;
    atomic { run thread(); run thread() }
    done == 2;
    d_step {
        i = 0;
        do
        :: i < 4 ->
            assert(!held[i] || visited[i]);
            assert(!visited[i] || visited[child[i]]);
            assert(!visited[i] || (word[i] & MARKED) != 0);
            i++
        :: i == 4 -> break
        od
    }
}
