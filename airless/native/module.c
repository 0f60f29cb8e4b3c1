/* The module airless._speed. */

#include "speed.h"

static PyObject *scan(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    static const char *const options[] = {"", "frames", "images", "next", "refresh"};
    PyObject *values[] = {NULL, Py_False, Py_False, Py_True, Py_True};
    if (!read_arguments("scan", args, count, names, options, values, 5, 5))
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

/* NULL without an exception where the URL isn't of printable ASCII, or has a fragment. */
static PyObject *head_of(const uint8_t *target, size_t size, const char *rest, Py_ssize_t rest_size)
{
    for (size_t i = 0; i < size; i++)
        if (target[i] <= ' ' || target[i] > '~' || target[i] == '#')
            return NULL;
    PyObject *head = PyBytes_FromStringAndSize(NULL, 4 + (Py_ssize_t)size + rest_size);
    if (head == NULL)
        return NULL;
    char *out = PyBytes_AsString(head);
    memcpy(out, "GET ", 4);
    memcpy(out + 4, target, size);
    memcpy(out + 4 + size, rest, (size_t)rest_size);
    return head;
}

static PyObject *request_head(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    (void)module;
    Py_ssize_t size, cut, rest_size;
    char *rest;
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "request_head() takes 3 arguments");
        return NULL;
    }
    const char *url = PyUnicode_AsUTF8AndSize(args[0], &size);
    if (url == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
            return NULL;
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    if ((cut = PyLong_AsSsize_t(args[1])) == -1 && PyErr_Occurred())
        return NULL;
    if (PyBytes_AsStringAndSize(args[2], &rest, &rest_size) < 0)
        return NULL;
    if (cut < 0 || cut >= size)
        Py_RETURN_NONE;
    PyObject *head = head_of((const uint8_t *)url + cut, (size_t)(size - cut), rest, rest_size);
    if (head == NULL && !PyErr_Occurred())
        Py_RETURN_NONE;
    return head;
}

static PyMethodDef functions[] = {
    {"scan", (PyCFunction)(void (*)(void))scan, METH_FASTCALL | METH_KEYWORDS,
     "scan(body, /, frames=False, images=False, next=True, refresh=True)\n--\n\n"
     "What a page in UTF-8 holds, or None where only the DOM can tell."},
    {"fingerprint", fingerprint, METH_O, "fingerprint(key, /)\n--\n\nBLAKE2b-64 of a key, as of a GET."},
    {"request_head", (PyCFunction)(void (*)(void))request_head, METH_FASTCALL,
     "request_head(url, cut, rest, /)\n--\n\nA GET of what follows the cut, or None where that can't be sent as it is."},
    {"maker", new_maker, METH_VARARGS,
     "maker(type, slots, values, /)\n--\n\n"
     "A function that makes records from the values of their first slots; the last get those that are given here."},
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
        || !add_type(module, &seen_spec, &state->seen_type)
        || !add_type(module, &line_spec, &state->line_type)
        || !add_type(module, &fields_spec, &state->fields_type))
        return -1;
    if (PyModule_AddIntConstant(module, "api", 8) < 0)
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
    Py_VISIT(state->line_type);
    Py_VISIT(state->fields_type);
    Py_VISIT(state->entities);
    return 0;
}

static int clear(PyObject *module)
{
    ModuleState *state = PyModule_GetState(module);
    Py_CLEAR(state->page_type);
    Py_CLEAR(state->spellings_type);
    Py_CLEAR(state->seen_type);
    Py_CLEAR(state->line_type);
    Py_CLEAR(state->fields_type);
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
