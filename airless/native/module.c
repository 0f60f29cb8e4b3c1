/* The module airless._speed. */

#include "speed.h"

static PyObject *scan(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    static const char *const options[] = {"", "frames", "images", "next", "refresh"};
    PyObject *values[] = {NULL, Py_False, Py_False, Py_True, Py_True};
    if (!read_arguments("scan", args, count, names, options, values, 5, 1))
        return NULL;
    if (!PyBytes_Check(values[0])) {
        PyErr_SetString(PyExc_TypeError, "scan() argument 1 must be bytes");
        return NULL;
    }
    int chosen[5];
    for (int i = 1; i < 5; i++)
        if ((chosen[i] = PyObject_IsTrue(values[i])) < 0)
            return NULL;
    ScanOptions wanted = {.frames = chosen[1], .images = chosen[2], .next = chosen[3], .refresh = chosen[4]};
    return page_new(PyModule_GetState(module), values[0], &wanted);
}

static PyObject *fingerprint(PyObject *module, PyObject *key)
{
    (void)module;
    char *text;
    Py_ssize_t size;
    if (PyUnicode_Check(key)) {
        text = (char *)PyUnicode_AsUTF8AndSize(key, &size);
        if (text == NULL)
            return NULL;
    }
    else if (PyBytes_AsStringAndSize(key, &text, &size) < 0)
        return NULL;
    return PyLong_FromUnsignedLongLong(blake2b_64((const uint8_t *)text, (size_t)size));
}

static PyObject *read_plain_answer(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *buffer;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "On:plain_answer", &buffer, &size))
        return NULL;
    Py_buffer view;
    if (PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    PlainAnswer answer;
    PyObject *found = NULL;
    if (size < 0 || size > view.len || !plain_answer(view.buf, (size_t)size, &answer))
        found = Py_NewRef(Py_None);
    else
        found = Py_BuildValue("(ly#Ly#O)", answer.status, (const char *)answer.fields,
                              (Py_ssize_t)answer.fields_size, answer.length,
                              (const char *)view.buf + answer.head_size, size - (Py_ssize_t)answer.head_size,
                              answer.coded ? Py_True : Py_False);
    PyBuffer_Release(&view);
    return found;
}

/* The value of a field whose name, in lower case, stands after an even number of line feeds. */
static PyObject *header_field(PyObject *module, PyObject *args)
{
    (void)module;
    const char *wire, *name;
    Py_ssize_t size, name_size;
    if (!PyArg_ParseTuple(args, "y#s#:header_field", &wire, &size, &name, &name_size))
        return NULL;
    const char *at = wire, *end = wire + size;
    while (at < end) {
        const char *field = at + 1;
        const char *stop = memchr(field, '\n', (size_t)(end - field));
        if (stop == NULL)
            break;
        const char *value = stop + 1;
        const char *next = memchr(value, '\n', (size_t)(end - value));
        if (next == NULL)
            next = end;
        bool same = stop - field == name_size;
        for (Py_ssize_t i = 0; same && i < name_size; i++)
            same = lower((uint8_t)field[i]) == (uint8_t)name[i];
        if (same)
            return PyBytes_FromStringAndSize(value, next - value);
        at = next;
    }
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"scan", (PyCFunction)(void (*)(void))scan, METH_FASTCALL | METH_KEYWORDS,
     "scan(body, /, *, frames=False, images=False, next=True, refresh=True)\n--\n\n"
     "What a page in UTF-8 holds, or None where only the DOM can tell."},
    {"fingerprint", fingerprint, METH_O, "fingerprint(key, /)\n--\n\nBLAKE2b-64 of a key, as of a GET."},
    {"header_field", header_field, METH_VARARGS,
     "header_field(fields, name, /)\n--\n\nThe first value of a field of an answer, or None."},
    {"plain_answer", read_plain_answer, METH_VARARGS,
     "plain_answer(buffer, size, /)\n--\n\n"
     "Status, fields and length of the body of an answer that is plain, what of the body is there, and whether it is "
     "coded."},
    {NULL, NULL, 0, NULL},
};

static bool add_type(PyObject *module, PyType_Spec *spec, PyObject **type)
{
    *type = PyType_FromModuleAndSpec(module, spec, NULL);
    return *type != NULL && PyModule_AddType(module, (PyTypeObject *)*type) == 0;
}

static int execute(PyObject *module)
{
    ModuleState *state = PyModule_GetState(module);
    if (!add_type(module, &page_spec, &state->page_type)
        || !add_type(module, &spellings_spec, &state->spellings_type)
        || !add_type(module, &seen_spec, &state->seen_type))
        return -1;
    if (PyModule_AddIntConstant(module, "api", 5) < 0)
        return -1;
    PyObject *entities = PyImport_ImportModule("html.entities");
    if (entities == NULL)
        return -1;
    state->entities = PyObject_GetAttrString(entities, "html5");
    Py_DECREF(entities);
    return state->entities == NULL ? -1 : 0;
}

static int traverse(PyObject *module, visitproc visit, void *arg)
{
    ModuleState *state = PyModule_GetState(module);
    Py_VISIT(state->page_type);
    Py_VISIT(state->spellings_type);
    Py_VISIT(state->seen_type);
    Py_VISIT(state->entities);
    return 0;
}

static int clear(PyObject *module)
{
    ModuleState *state = PyModule_GetState(module);
    Py_CLEAR(state->page_type);
    Py_CLEAR(state->spellings_type);
    Py_CLEAR(state->seen_type);
    Py_CLEAR(state->entities);
    return 0;
}

static void free_module(void *module)
{
    clear(module);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
    {0, NULL},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "airless._speed",
    .m_doc = "The crawler's hot path, compiled: what pages hold, and what of it is new.",
    .m_size = sizeof(ModuleState),
    .m_methods = functions,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
    .m_free = free_module,
};

PyMODINIT_FUNC PyInit__speed(void)
{
    return PyModuleDef_Init(&definition);
}
