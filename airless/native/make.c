/* Records that are made for each page: allocated and filled in one call, without a call of their type. */

#include "speed.h"

/* Where the parts of a plan stand, which is the bound object of the function that makes. */
enum { TYPE, SLOTS, VALUES, PARTS };

/* `make(*values)`: the first slots get the values that are given, the others the plan's, an empty list a new one. */
static PyObject *make(PyObject *plan, PyObject *const *args, Py_ssize_t count)
{
    PyObject *slots = PyTuple_GetItem(plan, SLOTS), *values = PyTuple_GetItem(plan, VALUES);
    Py_ssize_t size = PyTuple_Size(slots), given = size - PyTuple_Size(values);
    if (count != given)
        return PyErr_Format(PyExc_TypeError, "make() takes %zd values (%zd given)", given, count);
    PyObject *record = PyType_GenericAlloc((PyTypeObject *)PyTuple_GetItem(plan, TYPE), 0);
    descrsetfunc set = (descrsetfunc)PyType_GetSlot(&PyMemberDescr_Type, Py_tp_descr_set);
    for (Py_ssize_t i = 0; record != NULL && i < size; i++) {
        PyObject *value = Py_NewRef(i < given ? args[i] : PyTuple_GetItem(values, i - given));
        if (i >= given && PyList_CheckExact(value)) {
            Py_DECREF(value);
            value = PyList_New(0);
        }
        if (value == NULL || set(PyTuple_GetItem(slots, i), record, value) < 0)
            Py_CLEAR(record);
        Py_XDECREF(value);
    }
    return record;
}

static PyMethodDef make_definition = {"make", (PyCFunction)(void (*)(void))make, METH_FASTCALL, NULL};

PyObject *new_maker(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *type, *slots, *values;
    if (!PyArg_ParseTuple(args, "O!O!O!:maker", &PyType_Type, &type, &PyTuple_Type, &slots, &PyTuple_Type, &values))
        return NULL;
    bool fine = PyTuple_Size(values) <= PyTuple_Size(slots);
    for (Py_ssize_t i = 0; fine && i < PyTuple_Size(slots); i++)
        fine = Py_IS_TYPE(PyTuple_GetItem(slots, i), &PyMemberDescr_Type);
    if (!fine) {
        PyErr_SetString(PyExc_TypeError, "maker() takes a class, slots of it, and values for the last of them");
        return NULL;
    }
    PyObject *plan = PyTuple_Pack(PARTS, type, slots, values);
    PyObject *maker = plan == NULL ? NULL : PyCFunction_New(&make_definition, plan);
    Py_XDECREF(plan);
    return maker;
}
