/* SPDX-License-Identifier: MIT
 *
 * neap: Python's memory model for multithreaded C and C++, without an interpreter and without a
 * global lock. One include for all topics. */
#ifndef NEAP_NEAP_H
#define NEAP_NEAP_H

#include <neap/status.h>
#include <neap/options.h>
#include <neap/runtime.h>
#include <neap/site.h>
#include <neap/thread.h>
#include <neap/wait.h>
#include <neap/type.h>
#include <neap/object.h>
#include <neap/slot.h>
#include <neap/discipline.h>
#include <neap/weak.h>
#include <neap/block.h>
#include <neap/string.h>
#include <neap/list.h>
#include <neap/map.h>
#include <neap/weak_map.h>
#include <neap/channel.h>
#include <neap/dynamic.h>
#include <neap/generator.h>
#include <neap/scope.h>
#include <neap/gc.h>
#include <neap/pressure.h>
#include <neap/lock.h>
#include <neap/stats.h>
#include <neap/trace.h>
#include <neap/profile.h>
#include <neap/line_profile.h>
#include <neap/stops.h>

#endif
