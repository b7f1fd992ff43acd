/* SPDX-License-Identifier: MIT
 *
 * CPython's part of the collect benchmark (collect_rows.h): a C type that takes part in garbage
 * collection, used through the C API only; no bytecode runs. Thresholds are CPython's defaults. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>

#include "bench/shim.h"

#define PEER_NAME     "python"
#define PEER_ATTACHED false

struct node {
    PyObject_HEAD PyObject *sides[2];
    int64_t value;
};

static int node_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(((struct node *)self)->sides[0]);
    Py_VISIT(((struct node *)self)->sides[1]);
    return 0;
}

static int node_clear(PyObject *self)
{
    Py_CLEAR(((struct node *)self)->sides[0]);
    Py_CLEAR(((struct node *)self)->sides[1]);
    return 0;
}

static void node_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    Py_TRASHCAN_BEGIN(self, node_dealloc)(void) node_clear(self);
    PyObject_GC_Del(self);
    Py_TRASHCAN_END
}

static PyTypeObject node_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "bench.node",
    .tp_basicsize = sizeof(struct node),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = node_traverse,
    .tp_clear = node_clear,
    .tp_dealloc = node_dealloc,
};

static inline struct node *node_new(struct node *left, struct node *right)
{
    struct node *fresh = PyObject_GC_New(struct node, &node_type);
    if (fresh == NULL)
        abort();
    fresh->sides[0] = (PyObject *)left;
    fresh->sides[1] = (PyObject *)right;
    fresh->value = 0;
    PyObject_GC_Track((PyObject *)fresh);
    return fresh;
}

static inline void node_link(struct node *node, uint32_t side, struct node *to)
{
    PyObject *old = node->sides[side];
    Py_INCREF((PyObject *)to);
    node->sides[side] = (PyObject *)to;
    Py_XDECREF(old);
}

static inline struct node *node_side(const struct node *node, uint32_t side)
{
    return (struct node *)node->sides[side];
}

#define node_drop(node)          Py_DECREF((PyObject *)(node))
#define peer_collect()           PyGC_Collect()
#define peer_poll()              ((void)0)
#define peer_tell(state)         ((void)(state))
#define peer_storage(bytes)      calloc(1, (bytes))
#define peer_storage_free(bytes) free(bytes)

/* PyGC_Collect does nothing while automatic collection is off, and the rows collect themselves:
 * thresholds of 0 let both be. CPython has no C call for that. */
static void peer_automatic(bool on)
{
    if (PyRun_SimpleString(on ? "import gc; gc.set_threshold(700, 10, 10)"
                              : "import gc; gc.set_threshold(0, 0, 0)") != 0)
        abort();
}

#include "bench/collect_rows.h"

int main(int argc, char **argv)
{
    Py_InitializeEx(0);
    if (PyType_Ready(&node_type) != 0)
        abort();
    add_rows();
    int status = bench_main(argc, argv);
    return Py_FinalizeEx() != 0 ? 1 : status;
}
