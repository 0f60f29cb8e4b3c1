/* Fields: header fields in wire form, of which one is looked up without the others being decoded. */

#include "speed.h"

#include <structmember.h>

typedef struct {
    PyObject_HEAD
    PyObject *wire;  /* bytes: names and values in turn, a line feed before each; or NULL, or None */
    PyObject *known; /* what they were decoded to, by the subclass */
} FieldsObject;

static PyObject *fields_from_wire(PyObject *type, PyObject *wire)
{
    if (!PyBytes_Check(wire))
        return PyErr_Format(PyExc_TypeError, "from_wire() takes bytes, not %R", wire);
    FieldsObject *self = (FieldsObject *)PyType_GenericAlloc((PyTypeObject *)type, 0);
    if (self != NULL)
        self->wire = Py_NewRef(wire);
    return (PyObject *)self;
}

static void fields_dealloc(FieldsObject *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    Py_XDECREF(self->wire);
    Py_XDECREF(self->known);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static PyObject *value_of(const char *value, const char *end)
{
    while (value < end && is_blank(*value))
        value++;
    while (value < end && is_blank(end[-1]))
        end--;
    PyObject *text = PyUnicode_DecodeUTF8(value, end - value, NULL);
    if (text == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        PyErr_Clear();
        text = PyUnicode_DecodeLatin1(value, end - value, NULL);
    }
    return text;
}

/* Whether the two are one name but for the case of ASCII letters. */
static bool same_name(const char *one, const char *other, Py_ssize_t size)
{
    for (Py_ssize_t i = 0; i < size; i++)
        if (one[i] != other[i] && lower((uint8_t)one[i]) != lower((uint8_t)other[i]))
            return false;
    return true;
}

/* The value of the first field of that name, NULL where there is none: a name stands after an even number of line
 * feeds. */
static const char *find_value(const char *at, const char *end, const char *name, Py_ssize_t size, const char **stop)
{
    while (at < end) {
        const char *field = at + 1;
        const char *value = memchr(field, '\n', (size_t)(end - field));
        if (value == NULL)
            return NULL;
        const char *next = memchr(value + 1, '\n', (size_t)(end - value - 1));
        if (next == NULL)
            next = end;
        if (value - field == size && same_name(field, name, size)) {
            *stop = next;
            return value + 1;
        }
        at = next;
    }
    return NULL;
}

static bool is_ascii(const char *text, Py_ssize_t size)
{
    for (Py_ssize_t i = 0; i < size; i++)
        if ((uint8_t)text[i] >= 0x80)
            return false;
    return true;
}

static PyObject *fields_get(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    static const char *const parameters[] = {"", "default"};
    PyObject *values[] = {NULL, Py_None};
    if (!read_arguments("get", args, count, names, parameters, values, 2, 2))
        return NULL;
    FieldsObject *self = (FieldsObject *)object;
    char *wire;
    const char *name;
    Py_ssize_t size, name_size;
    if (self->wire == NULL || self->wire == Py_None)
        return PyObject_CallMethod(object, "_find", "OO", values[0], values[1]);
    if (PyBytes_AsStringAndSize(self->wire, &wire, &size) < 0)
        return NULL;
    name = PyUnicode_AsUTF8AndSize(values[0], &name_size);
    if (name == NULL)
        return NULL;
    PyObject *lowered = NULL; /* outside of ASCII only Python knows how */
    if (!is_ascii(name, name_size)) {
        lowered = PyObject_CallMethod(values[0], "lower", NULL);
        if (lowered == NULL || (name = PyUnicode_AsUTF8AndSize(lowered, &name_size)) == NULL) {
            Py_XDECREF(lowered);
            return NULL;
        }
    }
    const char *stop;
    const char *value = find_value(wire, wire + size, name, name_size, &stop);
    Py_XDECREF(lowered);
    return value == NULL ? Py_NewRef(values[1]) : value_of(value, stop);
}

static PyMemberDef fields_members[] = {
    {"_wire", T_OBJECT, offsetof(FieldsObject, wire), 0, NULL},
    {"_known", T_OBJECT, offsetof(FieldsObject, known), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef fields_methods[] = {
    {"from_wire", fields_from_wire, METH_O | METH_CLASS,
     "from_wire(fields, /)\n--\n\nHeaders as they came, decoded when they are first looked at."},
    {"get", (PyCFunction)(void (*)(void))fields_get, METH_FASTCALL | METH_KEYWORDS,
     "get(name, /, default=None)\n--\n\nThe first value of a field, or the default where there is none."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot fields_slots[] = {
    {Py_tp_dealloc, fields_dealloc},
    {Py_tp_members, fields_members},
    {Py_tp_methods, fields_methods},
    {Py_tp_doc, "Header fields in wire form: names and values in turn, a line feed before each."},
    {0, NULL},
};

PyType_Spec fields_spec = {
    .name = "airless._speed.Fields",
    .basicsize = sizeof(FieldsObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = fields_slots,
};
