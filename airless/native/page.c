/* Page: what one pass found, decoded and resolved when it is asked for. */

#include "speed.h"

PyObject *page_new(ModuleState *state, PyObject *body, const ScanOptions *options)
{
    char *text;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(body, &text, &size) < 0)
        return NULL;
    Findings found;
    ScanResult result = scan_page((const uint8_t *)text, (size_t)size, options, &found);
    if (result == SCANNED) {
        PageObject *page = (PageObject *)PyType_GenericAlloc((PyTypeObject *)state->page_type, 0);
        if (page != NULL) {
            page->body = Py_NewRef(body);
            page->found = found;
            return (PyObject *)page;
        }
        free_findings(&found);
        return NULL;
    }
    free_findings(&found);
    return result == DECLINED ? Py_NewRef(Py_None) : PyErr_NoMemory();
}

static void page_dealloc(PageObject *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    free_findings(&self->found);
    Py_XDECREF(self->body);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyObject *decoded(PageObject *self, Span span, bool in_attribute)
{
    const uint8_t *text = text_at(self, span);
    if (is_literal(text, span.length))
        return PyUnicode_DecodeUTF8((const char *)text, span.length, "replace");
    uint8_t *out = PyMem_Malloc(DECODED_ROOM(span.length));
    if (out == NULL)
        return PyErr_NoMemory();
    Py_ssize_t length = decode_text(text, span.length, in_attribute, state_of(self)->entities, out);
    PyObject *result = length < 0 ? NULL : PyUnicode_DecodeUTF8((const char *)out, length, "replace");
    PyMem_Free(out);
    return result;
}

bool append_new(PyObject *list, PyObject *item)
{
    if (item == NULL)
        return false;
    int failed = PyList_Append(list, item);
    Py_DECREF(item);
    return !failed;
}

static PyObject *decoded_all(PageObject *self, const Spans *spans)
{
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list != NULL && i < spans->count; i++)
        if (!append_new(list, decoded(self, spans->items[i], true)))
            Py_CLEAR(list);
    return list;
}

/* ---- hints ------------------------------------------------------------------------------------------- */

/* Whether splitting a text and joining it with spaces gives the same, as far as that can be seen of its bytes. */
static bool is_collapsed(const uint8_t *text, uint32_t length)
{
    bool spaced = true; /* before, or at the beginning */
    for (uint32_t i = 0; i < length; i++) {
        bool space = text[i] == ' ';
        if (text[i] < ' ' || text[i] > '~' || (space && spaced))
            return false;
        spaced = space;
    }
    return !spaced;
}

static PyObject *page_title(PageObject *self, void *closure)
{
    (void)closure;
    if (!self->found.has_title)
        Py_RETURN_NONE;
    const uint8_t *written = text_at(self, self->found.title);
    uint32_t length = self->found.title.length;
    if (is_collapsed(written, length) && is_literal(written, length))
        return PyUnicode_DecodeASCII((const char *)written, length, NULL);
    PyObject *title = NULL;
    PyObject *text = decoded(self, self->found.title, false);
    PyObject *words = text == NULL ? NULL : PyUnicode_Split(text, NULL, -1);
    PyObject *space = words == NULL ? NULL : PyUnicode_FromString(" ");
    if (space != NULL)
        title = PyList_Size(words) ? PyUnicode_Join(space, words) : Py_NewRef(Py_None);
    Py_XDECREF(space);
    Py_XDECREF(words);
    Py_XDECREF(text);
    return title;
}

static PyObject *page_base(PageObject *self, void *closure)
{
    (void)closure;
    return self->found.has_base ? decoded(self, self->found.base, true) : Py_NewRef(Py_None);
}

static PyObject *page_refresh(PageObject *self, void *closure)
{
    (void)closure;
    return self->found.has_refresh ? decoded(self, self->found.refresh, true) : Py_NewRef(Py_None);
}

static PyObject *page_canonicals(PageObject *self, void *closure)
{
    (void)closure;
    return decoded_all(self, &self->found.canonicals);
}

static PyObject *page_canonical(PageObject *self, void *closure)
{
    (void)closure;
    return self->found.canonicals.count ? decoded(self, self->found.canonicals.items[0], true)
                                        : Py_NewRef(Py_None);
}

static PyObject *page_metas(PageObject *self, void *closure)
{
    (void)closure;
    const Spans *metas = &self->found.metas;
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list != NULL && i + 1 < metas->count; i += 2) {
        PyObject *name = decoded(self, metas->items[i], true);
        PyObject *content = name == NULL ? NULL : decoded(self, metas->items[i + 1], true);
        PyObject *pair = content == NULL ? NULL : PyTuple_Pack(2, name, content);
        Py_XDECREF(name);
        Py_XDECREF(content);
        if (!append_new(list, pair))
            Py_CLEAR(list);
    }
    return list;
}

static PyObject *page_links(PageObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLong(self->found.links.count);
}

static PyObject *page_hrefs(PageObject *self, PyObject *ignored)
{
    (void)ignored;
    return decoded_all(self, &self->found.links);
}

/* ---- the type ---------------------------------------------------------------------------------------- */

static PyGetSetDef page_getset[] = {
    {"title", (getter)page_title, NULL, "The title, white space collapsed, or None.", NULL},
    {"base", (getter)page_base, NULL, "The href of the first base that has one, or None.", NULL},
    {"canonical", (getter)page_canonical, NULL, "The first of `canonicals`, or None.", NULL},
    {"canonicals", (getter)page_canonicals, NULL,
     "The hrefs, none empty, of the head's links rel=canonical: the first that can be resolved counts.", NULL},
    {"metas", (getter)page_metas, NULL, "Name and content of each meta that has both.", NULL},
    {"refresh", (getter)page_refresh, NULL, "The content of the first meta refresh, or None.", NULL},
    {"links", (getter)page_links, NULL, "How many references the page holds, each counted.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef page_methods[] = {
    {"hrefs", (PyCFunction)page_hrefs, METH_NOARGS, "The references as they are written, in the page's order."},
    {"new_urls", (PyCFunction)(void (*)(void))page_new_urls, METH_FASTCALL | METH_KEYWORDS,
     "new_urls(base_url, spellings, sites, seen, /, sort_query, twist, *, offered=0, known=None)\n--\n\n"
     "What the page's references come to that was not offered to `spellings` before, and is not known."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot page_slots[] = {
    {Py_tp_dealloc, page_dealloc},
    {Py_tp_getset, page_getset},
    {Py_tp_methods, page_methods},
    {Py_tp_doc, "What one pass over a page found."},
    {0, NULL},
};

PyType_Spec page_spec = {
    .name = "airless._speed.Page",
    .basicsize = sizeof(PageObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = page_slots,
};
