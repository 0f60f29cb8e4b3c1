/* The arguments of a call, without a tuple and a dict made for them: for what is called for each page. */

#include "speed.h"

static bool put_named(
    const char *function, PyObject *name, PyObject *value, const char *const *names, PyObject **values,
    Py_ssize_t given, Py_ssize_t room)
{
    for (Py_ssize_t i = 0; i < room; i++)
        if (*names[i] && PyUnicode_CompareWithASCIIString(name, names[i]) == 0) {
            if (i < given) {
                PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%s'", function, names[i]);
                return false;
            }
            values[i] = value;
            return true;
        }
    PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", function, name);
    return false;
}

bool read_arguments(
    const char *function, PyObject *const *args, Py_ssize_t given, PyObject *keywords,
    const char *const *names, PyObject **values, Py_ssize_t room, Py_ssize_t positional)
{
    if (given > positional) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %zd positional arguments (%zd given)", function,
                     positional, given);
        return false;
    }
    for (Py_ssize_t i = 0; i < given; i++)
        values[i] = args[i];
    Py_ssize_t named = keywords == NULL ? 0 : PyTuple_Size(keywords);
    for (Py_ssize_t i = 0; i < named; i++)
        if (!put_named(function, PyTuple_GetItem(keywords, i), args[given + i], names, values, given, room))
            return false;
    for (Py_ssize_t i = 0; i < room; i++)
        if (values[i] == NULL) {
            PyErr_Format(PyExc_TypeError, "%s() misses argument %zd", function, i + 1);
            return false;
        }
    return true;
}
