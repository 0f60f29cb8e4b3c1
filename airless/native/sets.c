/* Spellings and Seen: the native tables as Python types. */

#include "speed.h"

static void free_object(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

/* ---- Spellings --------------------------------------------------------------------------------------- */

/* A number that pages can't foresee: Python's hash of bytes is keyed by a secret of the process. */
static bool secret_seed(uint64_t *seed)
{
    PyObject *word = PyBytes_FromString("airless spellings");
    if (word == NULL)
        return false;
    Py_hash_t hash = PyObject_Hash(word);
    Py_DECREF(word);
    *seed = (uint64_t)hash;
    return hash != -1;
}

static PyObject *spellings_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"limit", NULL};
    Py_ssize_t limit;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "n:Spellings", names, &limit))
        return NULL;
    if (limit < 1) {
        PyErr_SetString(PyExc_ValueError, "limit must be at least 1");
        return NULL;
    }
    SpellingsObject *self = (SpellingsObject *)PyType_GenericAlloc(type, 0);
    if (self == NULL)
        return NULL;
    self->memory.limit = (size_t)limit;
    if (!secret_seed(&self->memory.seed)) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void spellings_dealloc(SpellingsObject *self)
{
    memory_free(&self->memory);
    for (int i = 0; i < ORIGINS; i++)
        Py_XDECREF(self->origins[i]);
    free_object((PyObject *)self);
}

static Py_ssize_t spellings_length(SpellingsObject *self)
{
    return (Py_ssize_t)self->memory.count;
}

static PyObject *spellings_nbytes(SpellingsObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromSize_t(memory_bytes(&self->memory));
}

static PyGetSetDef spellings_getset[] = {
    {"nbytes", (getter)spellings_nbytes, NULL, "Bytes of its tables.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot spellings_slots[] = {
    {Py_tp_new, spellings_new},
    {Py_tp_dealloc, spellings_dealloc},
    {Py_sq_length, spellings_length},
    {Py_tp_getset, spellings_getset},
    {Py_tp_doc, "Spellings(limit)\n--\n\nWhat was offered lately: at most twice `limit` hashes, rounded up to a power of two."},
    {0, NULL},
};

PyType_Spec spellings_spec = {
    .name = "airless._speed.Spellings",
    .basicsize = sizeof(SpellingsObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = spellings_slots,
};

/* ---- Seen -------------------------------------------------------------------------------------------- */

static PyObject *seen_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, ":Seen", names))
        return NULL;
    return PyType_GenericAlloc(type, 0);
}

static void seen_dealloc(SeenObject *self)
{
    seen_free(&self->seen);
    free_object((PyObject *)self);
}

static Py_ssize_t seen_length(SeenObject *self)
{
    return (Py_ssize_t)self->seen.count;
}

static bool as_fingerprint(PyObject *number, uint64_t *value)
{
    *value = PyLong_AsUnsignedLongLong(number);
    return !(*value == UINT64_MAX && PyErr_Occurred());
}

static PyObject *seen_add_one(SeenObject *self, PyObject *number)
{
    uint64_t value;
    if (!as_fingerprint(number, &value))
        return NULL;
    int added = seen_add(&self->seen, value);
    return added < 0 ? PyErr_NoMemory() : PyBool_FromLong(added);
}

static int seen_contains(SeenObject *self, PyObject *number)
{
    uint64_t value;
    return as_fingerprint(number, &value) ? seen_has(&self->seen, value) : -1;
}

static PyObject *seen_update(SeenObject *self, PyObject *data)
{
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    if (view.len % 8) {
        PyBuffer_Release(&view);
        PyErr_SetString(PyExc_ValueError, "fingerprints are eight bytes each");
        return NULL;
    }
    const uint8_t *bytes = view.buf;
    size_t before = self->seen.count;
    int added = 0;
    for (Py_ssize_t at = 0; at < view.len && added >= 0; at += 8) {
        uint64_t value = 0;
        for (int i = 8; i-- > 0;)
            value = value << 8 | bytes[at + i];
        added = seen_add(&self->seen, value);
    }
    PyBuffer_Release(&view);
    return added < 0 ? PyErr_NoMemory() : PyLong_FromSize_t(self->seen.count - before);
}

static PyObject *seen_pack(SeenObject *self, PyObject *ignored)
{
    (void)ignored;
    PyObject *packed = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(self->seen.count * 8));
    if (packed == NULL)
        return NULL;
    uint8_t *out = (uint8_t *)PyBytes_AsString(packed);
    if (self->seen.has_zero) {
        memset(out, 0, 8);
        out += 8;
    }
    for (int i = 0; i < SEEN_PARTS; i++)
        for (uint32_t slot = 0; slot < self->seen.parts[i].room; slot++)
            if (self->seen.parts[i].slots[slot])
                for (int byte = 0; byte < 8; byte++)
                    *out++ = (uint8_t)(self->seen.parts[i].slots[slot] >> 8 * byte);
    return packed;
}

static PyObject *seen_nbytes(SeenObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromSize_t(seen_bytes(&self->seen));
}

static PyGetSetDef seen_getset[] = {
    {"nbytes", (getter)seen_nbytes, NULL, "Bytes of its tables.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef seen_methods[] = {
    {"add", (PyCFunction)seen_add_one, METH_O, "True if it was not there before."},
    {"update", (PyCFunction)seen_update, METH_O,
     "Adds packed fingerprints, eight bytes each, little-endian. How many were new."},
    {"pack", (PyCFunction)seen_pack, METH_NOARGS, "All of them, eight bytes each, little-endian, in no order."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot seen_slots[] = {
    {Py_tp_new, seen_new},
    {Py_tp_dealloc, seen_dealloc},
    {Py_sq_length, seen_length},
    {Py_sq_contains, seen_contains},
    {Py_tp_methods, seen_methods},
    {Py_tp_getset, seen_getset},
    {Py_tp_doc, "Seen()\n--\n\nA set of integers below 2**64."},
    {0, NULL},
};

PyType_Spec seen_spec = {
    .name = "airless._speed.Seen",
    .basicsize = sizeof(SeenObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = seen_slots,
};
