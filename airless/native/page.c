/* Page: what one pass found, decoded and resolved when it is asked for. */

#include "speed.h"

typedef struct {
    PyObject_HEAD
    PyObject *body;
    Findings found;
} PageObject;

#define STACK_ROOM 16384

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

static ModuleState *state_of(PageObject *self)
{
    return PyType_GetModuleState(Py_TYPE((PyObject *)self));
}

static const uint8_t *text_at(PageObject *self, Span span)
{
    return (const uint8_t *)PyBytes_AsString(self->body) + span.at;
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

static bool append_new(PyObject *list, PyObject *item)
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

static PyObject *page_title(PageObject *self, void *closure)
{
    (void)closure;
    if (!self->found.has_title)
        Py_RETURN_NONE;
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

/* ---- new URLs ---------------------------------------------------------------------------------------- */

typedef struct {
    Base base;
    HashMemory *memory;
    PyObject *entities;
    PyObject *fresh;
    PyObject *odd;
    bool sort_query;
    uint8_t *decoded;
    uint8_t *url;
    uint8_t *key;
} Offer;

/* How much of the base decides what an odd reference comes to: as little as is safe, so that one that stands
 * on every page of a site is handed out once. */
static size_t deciding(const Base *base, const uint8_t *reference, size_t length)
{
    while (length && *reference <= ' ') {
        reference++;
        length--;
    }
    if (length && *reference == '/')
        return base->authority;
    if ((length > 7 && !memcmp(reference, "http://", 7)) || (length > 8 && !memcmp(reference, "https://", 8)))
        return 0;
    return length && *reference != '?' && *reference != '#' ? base->directory : base->size;
}

static bool offer_odd(Offer *offer, const uint8_t *reference, size_t length)
{
    const Base *base = &offer->base;
    uint64_t seed = hash_bytes(base->text, deciding(base, reference, length), ~offer->memory->seed);
    int added = memory_add(offer->memory, hash_bytes(reference, length, seed));
    if (added < 0) {
        PyErr_NoMemory();
        return false;
    }
    if (!added)
        return true;
    return append_new(offer->odd, PyUnicode_DecodeUTF8((const char *)reference, (Py_ssize_t)length, "replace"));
}

static bool offer_reference(Offer *offer, const uint8_t *reference, size_t length)
{
    if (!is_literal(reference, length)) {
        Py_ssize_t size = decode_text(reference, length, true, offer->entities, offer->decoded);
        if (size < 0)
            return false;
        reference = offer->decoded;
        length = (size_t)size;
    }
    size_t size;
    Resolution resolution = resolve(&offer->base, reference, length, offer->url, &size);
    if (resolution == DROPPED)
        return true;
    if (resolution == ODD)
        return offer_odd(offer, reference, length);
    const uint8_t *key = offer->url;
    if (offer->sort_query && memchr(key, '&', size) != NULL) {
        if (!sorted_query(key, size, offer->key))
            return offer_odd(offer, reference, length);
        key = offer->key;
    }
    int added = memory_add(offer->memory, hash_bytes(key, size, offer->memory->seed));
    if (added < 0) {
        PyErr_NoMemory();
        return false;
    }
    return !added || append_new(offer->fresh, PyUnicode_DecodeASCII((const char *)offer->url, (Py_ssize_t)size, NULL));
}

static PyObject *page_new_urls(PageObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"", "", "sort_query", NULL};
    const char *base;
    Py_ssize_t base_size;
    PyObject *spellings;
    int sort_query = -1;
    ModuleState *state = state_of(self);
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s#O!|$p:new_urls", names, &base, &base_size,
                                     (PyTypeObject *)state->spellings_type, &spellings, &sort_query))
        return NULL;
    if (sort_query < 0) {
        PyErr_SetString(PyExc_TypeError, "new_urls() misses the keyword argument 'sort_query'");
        return NULL;
    }
    Offer offer = {.memory = &((SpellingsObject *)spellings)->memory,
                   .entities = state->entities,
                   .sort_query = sort_query};
    if (!parse_base(&offer.base, (const uint8_t *)base, (size_t)base_size)) {
        PyErr_Format(PyExc_ValueError, "%.200s is no canonical http(s) URL", base);
        return NULL;
    }
    size_t decoded_room = DECODED_ROOM(self->found.longest);
    size_t url_room = RESOLVED_ROOM(&offer.base, decoded_room);
    uint8_t on_stack[STACK_ROOM];
    uint8_t *room = on_stack;
    if (decoded_room + 2 * url_room > STACK_ROOM && (room = PyMem_Malloc(decoded_room + 2 * url_room)) == NULL)
        return PyErr_NoMemory();
    offer.decoded = room;
    offer.url = room + decoded_room;
    offer.key = offer.url + url_room;
    offer.fresh = PyList_New(0);
    offer.odd = PyList_New(0);
    bool fine = offer.fresh != NULL && offer.odd != NULL;
    const uint8_t *text = (const uint8_t *)PyBytes_AsString(self->body);
    for (uint32_t i = 0; fine && i < self->found.links.count; i++) {
        Span span = self->found.links.items[i];
        fine = offer_reference(&offer, text + span.at, span.length);
    }
    if (room != on_stack)
        PyMem_Free(room);
    PyObject *result = fine ? PyTuple_Pack(2, offer.fresh, offer.odd) : NULL;
    Py_XDECREF(offer.fresh);
    Py_XDECREF(offer.odd);
    return result;
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
    {"new_urls", (PyCFunction)(void (*)(void))page_new_urls, METH_VARARGS | METH_KEYWORDS,
     "new_urls(base_url, spellings, /, *, sort_query)\n--\n\n"
     "The URLs and the odd references that were not offered to `spellings` before."},
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
