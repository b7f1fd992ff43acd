/* SPDX-License-Identifier: MIT
 *
 * CPython's part of the collect benchmark (collect_rows.h): a C type that takes part in garbage
 * collection, used through the C API only; no bytecode runs. Thresholds are CPython's defaults. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

static inline void node_burden(struct node *node, uint32_t bytes)
{
    PyObject *payload = PyBytes_FromStringAndSize(NULL, bytes);
    if (payload == NULL)
        abort();
    memset(PyBytes_AS_STRING(payload), 1, bytes);
    Py_XSETREF(node->sides[1], payload);
}

static PyObject *gc_module;

static void peer_collect_young(void)
{
    PyObject *found = PyObject_CallMethod(gc_module, "collect", "i", 0);
    if (found == NULL)
        abort();
    Py_DECREF(found);
}
#define peer_collect_young peer_collect_young

#define peer_thread_begin()      ((void)0)
#define peer_thread_end()        ((void)0)
#define PEER_THREADS             1
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

/* A class with __slots__, as a program would write it; the integer is an object of its own. */
static PyObject *slotted_class(void)
{
    PyObject *names = PyDict_New();
    if (names == NULL || PyDict_SetItemString(names, "__builtins__", PyEval_GetBuiltins()) != 0)
        abort();
    PyObject *made = PyRun_String("class node: __slots__ = ('left', 'right', 'value')\n",
                                  Py_file_input, names, names);
    PyObject *class = made != NULL ? PyDict_GetItemString(names, "node") : NULL;
    if (class == NULL)
        abort();
    Py_DECREF(made);
    Py_INCREF(class);
    Py_DECREF(names);
    return class;
}

static PyObject *new_slotted(PyObject *class, PyObject *chain, int number)
{
    PyObject *fresh = PyObject_CallNoArgs(class), *value = PyLong_FromLong(number);
    if (fresh == NULL || value == NULL || PyObject_SetAttrString(fresh, "left", chain) != 0 ||
        PyObject_SetAttrString(fresh, "right", Py_None) != 0 ||
        PyObject_SetAttrString(fresh, "value", value) != 0)
        abort();
    Py_DECREF(value);
    return fresh;
}

static void run_bytes_slots(struct bench_state *state, const void *unused)
{
    (void)unused;
    PyObject *class = slotted_class(), *chain = Py_None;
    uint64_t before = bench_resident_kib();
    Py_INCREF(chain);
    while (bench_keep_running(state, CHAIN))
        for (int i = 0; i < CHAIN; i++) {
            PyObject *fresh = new_slotted(class, chain, i + 1000);
            Py_DECREF(chain);
            chain = fresh;
        }
    tell_bytes(state, before);
    Py_DECREF(chain);
    Py_DECREF(class);
}

int main(int argc, char **argv)
{
    Py_InitializeEx(0);
    gc_module = PyImport_ImportModule("gc");
    if (gc_module == NULL || PyType_Ready(&node_type) != 0)
        abort();
    add_rows();
    bench_add(&(struct bench_case){
        .name = "collect/bytes_1m/python_slots", .run = run_bytes_slots, .iterations = CHAIN});
    int status = bench_main(argc, argv);
    Py_DECREF(gc_module);
    return Py_FinalizeEx() != 0 ? 1 : status;
}
