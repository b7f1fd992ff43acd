/* SPDX-License-Identifier: MIT
 *
 * The smallest program of a runtime, for the rows `processes` (processes.c): starts the runtime,
 * makes an object, ends it. With an argument it says "ready" in between, and waits there for its
 * input to end, as a server without work does: attached, in a blocking region. Compiled once per
 * runtime; with none it is plain C. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined ALONE_NEAP

#    define NEAP_INLINE
#    include <neap/neap.h>

struct thing {
    struct thing *other;
};
NEAP_DEFINE_TYPE(thing, (other));
static struct thing *made;

static void begin(void)
{
    if (neap_init(NULL) != NEAP_OK)
        abort();
    made = neap_new(thing);
}

static void end(void)
{
    neap_release(made);
    if (neap_shutdown(NULL) != 0)
        abort();
}

#    define WAIT(call) NEAP_BLOCKED(call)

#elif defined ALONE_BOEHM

#    include <gc.h>

static void *made;

static void begin(void)
{
    GC_INIT();
    made = GC_MALLOC(24);
}

static void end(void)
{
    made = NULL;
}

#    define WAIT(call) (call)

#elif defined ALONE_PYTHON

#    define PY_SSIZE_T_CLEAN
#    include <Python.h>

static PyObject *made;

static void begin(void)
{
    Py_InitializeEx(0);
    made = PyList_New(0);
}

static void end(void)
{
    Py_XDECREF(made);
    Py_Finalize();
}

/* Py_BEGIN_ALLOW_THREADS is a block. */
static ssize_t python_read(char *byte)
{
    ssize_t got;
    Py_BEGIN_ALLOW_THREADS got = read(0, byte, 1);
    Py_END_ALLOW_THREADS return got;
}
#    define WAIT(call) python_read(&byte)

#else

static void *made;

static void begin(void)
{
    made = malloc(24);
}

static void end(void)
{
    free(made);
}

#    define WAIT(call) (call)

#endif

int main(int argc, char **argv)
{
    char byte;
    (void)argv;
    begin();
    if (made == NULL)
        return 1;
    if (argc > 1) {
        if (write(1, "ready\n", 6) != 6 || WAIT(read(0, &byte, 1)) != 0)
            return 1;
    }
    end();
    return 0;
}
