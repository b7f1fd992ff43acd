/* SPDX-License-Identifier: MIT
 *
 * What the parts of the map benchmark register (map.c tells what it asks). */
#ifndef BENCH_MAP_H
#define BENCH_MAP_H

#ifdef __cplusplus
extern "C" {
#endif

void map_add_neap(void);
void map_add_unordered(void);
void map_add_lfht(void);

#ifdef __cplusplus
}
#endif

#endif
