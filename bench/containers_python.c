/* SPDX-License-Identifier: MIT
 *
 * CPython's part of the containers benchmark (containers.c): instances of a class with __slots__
 * and of one with dictionaries, made and read through the C API, names interned. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "bench/containers.h"

static PyObject *with_slots, *with_dict, *shared, *names[3];

static void begin(void)
{
    static const char *const texts[] = {"first", "second", "third"};
    for (int i = 0; i < 3; i++)
        names[i] = PyUnicode_InternFromString(texts[i]);
    shared = PyLong_FromLong(1000000);
}

static void end(void)
{
    for (int i = 0; i < 3; i++)
        Py_CLEAR(names[i]);
    Py_CLEAR(shared);
}

static void *make(PyObject *class)
{
    PyObject *one = PyObject_CallNoArgs(class);
    for (int i = 0; i < 3; i++)
        if (one == NULL || PyObject_SetAttr(one, names[i], shared) != 0)
            abort();
    return one;
}

static void *make_slots(void)
{
    return make(with_slots);
}

static void *make_dict(void)
{
    return make(with_dict);
}

static int64_t get(void *one)
{
    PyObject *value = PyObject_GetAttr(one, names[1]);
    int64_t number = PyLong_AsLong(value);
    Py_DECREF(value);
    return number;
}

static void drop(void *one)
{
    Py_DECREF((PyObject *)one);
}

int main(int argc, char **argv)
{
    static const struct containers_peer slots = {make_slots,      get,  drop, begin, end,
                                                 CONTAINERS_MANY, false},
                                        dict = {make_dict,       get,  drop, begin, end,
                                                CONTAINERS_MANY, false};
    Py_InitializeEx(0);
    if (PyRun_SimpleString("class Slots:\n    __slots__ = ('first', 'second', 'third')\n"
                           "class Dict:\n    pass\n") != 0)
        return 1;
    PyObject *module = PyImport_AddModule("__main__"); /* borrowed */
    with_slots = PyObject_GetAttrString(module, "Slots");
    with_dict = PyObject_GetAttrString(module, "Dict");
    if (with_slots == NULL || with_dict == NULL)
        return 1;
    containers_add("python_slots", &slots);
    containers_add("python_dict", &dict);
    int status = bench_main(argc, argv);
    Py_CLEAR(with_slots);
    Py_CLEAR(with_dict);
    return Py_FinalizeEx() == 0 ? status : 1;
}
