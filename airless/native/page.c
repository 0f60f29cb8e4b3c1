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

/* How much of the base decides what a reference comes to: as little as is safe, so that a spelling that stands
 * on every page of a site is resolved once. */
enum { NOTHING, AUTHORITY, DIRECTORY, ALL };

typedef struct {
    Base base;
    uint64_t seeds[4]; /* of the spellings' hashes, by what of the base decides */
    HashMemory *memory;
    PyObject **origins;
    SeenHashes *seen;
    uint64_t twist;
    PyObject *entities;
    PyObject *sites;
    PyObject *fresh;
    PyObject *odd;
    bool sort_query;
    uint8_t *decoded;
    uint8_t *url;
    uint8_t *key;
    uint64_t *refused;
    Py_ssize_t refusals;
} Offer;

static int deciding(const uint8_t *reference, size_t length)
{
    while (length && *reference <= ' ') {
        reference++;
        length--;
    }
    if (length == 0 || *reference == '?' || *reference == '#' || *reference == '&')
        return ALL; /* a character reference may stand for any of them */
    if (*reference == '/')
        return AUTHORITY;
    if ((length > 7 && !memcmp(reference, "http://", 7)) || (length > 8 && !memcmp(reference, "https://", 8)))
        return NOTHING;
    for (size_t i = 0; i < length && reference[i] != '/' && reference[i] != '?'; i++)
        if (reference[i] == ':' || reference[i] == '&')
            return ALL; /* "http:?x" is relative, for all its scheme */
    return DIRECTORY;
}

static bool begin_offer(Offer *offer, const char *base, Py_ssize_t size)
{
    if (!parse_base(&offer->base, (const uint8_t *)base, (size_t)size)) {
        PyErr_Format(PyExc_ValueError, "%.200s is no canonical http(s) URL", base);
        return false;
    }
    const Base *parsed = &offer->base;
    uint64_t seed = offer->memory->seed;
    offer->seeds[NOTHING] = seed;
    offer->seeds[AUTHORITY] = hash_bytes(parsed->text, parsed->authority, ~seed);
    offer->seeds[DIRECTORY] = hash_bytes(parsed->text, parsed->directory, ~seed);
    offer->seeds[ALL] = ~hash_bytes(parsed->text, parsed->size, ~seed);
    return true;
}

/* The string of an origin: the same one where it was asked for lately, as that has its hash. */
static PyObject *origin_of(Offer *offer, const char *url, size_t length)
{
    uint64_t hash = hash_bytes((const uint8_t *)url, length, offer->memory->seed);
    PyObject **kept = &offer->origins[hash % ORIGINS];
    if (*kept != NULL) {
        Py_ssize_t size;
        const char *text = PyUnicode_AsUTF8AndSize(*kept, &size);
        if (text != NULL && (size_t)size == length && !memcmp(text, url, length))
            return Py_NewRef(*kept);
    }
    PyObject *origin = PyUnicode_DecodeASCII(url, (Py_ssize_t)length, NULL);
    if (origin != NULL) {
        PyObject *former = *kept;
        *kept = Py_NewRef(origin);
        Py_XDECREF(former);
    }
    return origin;
}

/* A URL that is new: refused where it has no site, else one more of the fresh. */
static bool offer_url(Offer *offer, size_t size, const uint8_t *key, size_t key_size)
{
    const char *url = (const char *)offer->url;
    const char *path = memchr(url + 8, '/', size - 8);
    PyObject *origin = origin_of(offer, url, (size_t)(path - url));
    PyObject *site = origin == NULL ? NULL : PyObject_GetItem(offer->sites, origin);
    Py_XDECREF(origin);
    if (site == NULL)
        return false;
    uint64_t mark = blake2b_64(key, key_size);
    if (site != Py_None) {
        PyObject *text = PyUnicode_DecodeASCII(url, (Py_ssize_t)size, NULL);
        bool fine = text != NULL
                    && append_new(offer->fresh, Py_BuildValue("(NKO)", text, (unsigned long long)mark, site));
        Py_DECREF(site);
        return fine;
    }
    Py_DECREF(site);
    offer->refused[offer->refusals++] = mark;
    seen_prefetch(offer->seen, mark);
    seen_prefetch(offer->seen, mark ^ offer->twist);
    return true;
}

/* Adds the marks of what was refused to the seen, and keeps those that are new: all at the end, when the
 * processor has fetched where they stand. */
static bool settle_refused(Offer *offer)
{
    Py_ssize_t kept = 0;
    for (Py_ssize_t i = 0; i < offer->refusals; i++) {
        if (seen_has(offer->seen, offer->refused[i]))
            continue;
        uint64_t mark = offer->refused[i] ^ offer->twist;
        int added = seen_add(offer->seen, mark);
        if (added < 0) {
            PyErr_NoMemory();
            return false;
        }
        if (added)
            offer->refused[kept++] = mark;
    }
    offer->refusals = kept;
    return true;
}

static bool offer_odd(Offer *offer, const uint8_t *reference, size_t length)
{
    return append_new(offer->odd, PyUnicode_DecodeUTF8((const char *)reference, (Py_ssize_t)length, "replace"));
}

static uint64_t spelling_of(const Offer *offer, const uint8_t *reference, size_t length)
{
    return hash_bytes(reference, length, offer->seeds[deciding(reference, length)]);
}

static bool offer_reference(Offer *offer, const uint8_t *reference, size_t length, uint64_t spelling)
{
    int added = memory_add(offer->memory, spelling);
    if (added == 0)
        return true;
    if (added > 0 && !is_literal(reference, length)) {
        Py_ssize_t size = decode_text(reference, length, true, offer->entities, offer->decoded);
        if (size < 0)
            return false;
        reference = offer->decoded;
        length = (size_t)size;
    }
    size_t size = 0;
    Resolution resolution = added < 0 ? DROPPED : resolve(&offer->base, reference, length, offer->url, &size);
    if (resolution == ODD)
        return offer_odd(offer, reference, length);
    const uint8_t *key = offer->url;
    if (resolution == RESOLVED) {
        if (offer->sort_query && memchr(key, '&', size) != NULL) {
            if (!sorted_query(key, size, offer->key))
                return offer_odd(offer, reference, length);
            key = offer->key;
        }
        uint64_t hash = hash_bytes(key, size, offer->memory->seed);
        /* A canonical URL is its own key, which was met this very moment. */
        added = hash == spelling ? 1 : memory_add(offer->memory, hash);
    }
    if (added < 0) {
        PyErr_NoMemory();
        return false;
    }
    return resolution == DROPPED || !added || offer_url(offer, size, key, size);
}

static PyObject *little_endian(const uint64_t *numbers, Py_ssize_t count)
{
    PyObject *packed = PyBytes_FromStringAndSize(NULL, count * 8);
    if (packed == NULL)
        return NULL;
    uint8_t *out = (uint8_t *)PyBytes_AsString(packed);
    for (Py_ssize_t i = 0; i < count; i++)
        for (int byte = 0; byte < 8; byte++)
            *out++ = (uint8_t)(numbers[i] >> 8 * byte);
    return packed;
}

static bool is_a(PyObject *value, PyObject *type, const char *name)
{
    if (PyObject_TypeCheck(value, (PyTypeObject *)type))
        return true;
    PyErr_Format(PyExc_TypeError, "new_urls() takes a %s there, not %R", name, value);
    return false;
}

static PyObject *page_new_urls(PageObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    static const char *const parameters[] = {"", "", "", "", "sort_query", "twist"};
    PyObject *values[6] = {NULL};
    if (!read_arguments("new_urls", args, count, names, parameters, values, 6, 6))
        return NULL;
    ModuleState *state = state_of(self);
    PyObject *spellings = values[1], *sites = values[2], *seen = values[3];
    Py_ssize_t base_size;
    const char *base = PyUnicode_AsUTF8AndSize(values[0], &base_size);
    if (base == NULL || !is_a(spellings, state->spellings_type, "Spellings")
        || !is_a(seen, state->seen_type, "Seen"))
        return NULL;
    int sort_query = PyObject_IsTrue(values[4]);
    if (sort_query < 0)
        return NULL;
    unsigned long long twist = PyLong_AsUnsignedLongLongMask(values[5]);
    if (PyErr_Occurred())
        return NULL;
    Offer offer = {.memory = &((SpellingsObject *)spellings)->memory,
                   .origins = ((SpellingsObject *)spellings)->origins,
                   .seen = &((SeenObject *)seen)->seen,
                   .twist = twist,
                   .entities = state->entities,
                   .sites = sites,
                   .sort_query = sort_query};
    if (!begin_offer(&offer, base, base_size))
        return NULL;
    uint32_t links = self->found.links.count;
    size_t marks_room = links * sizeof(uint64_t);
    size_t decoded_room = DECODED_ROOM(self->found.longest);
    size_t url_room = RESOLVED_ROOM(&offer.base, decoded_room);
    size_t whole = 2 * marks_room + decoded_room + 2 * url_room;
    uint64_t on_stack[STACK_ROOM / sizeof(uint64_t)];
    uint8_t *room = (uint8_t *)on_stack;
    if (whole > STACK_ROOM && (room = PyMem_Malloc(whole)) == NULL)
        return PyErr_NoMemory();
    offer.refused = (uint64_t *)room;
    uint64_t *spelled = offer.refused + links;
    offer.decoded = room + 2 * marks_room;
    offer.url = offer.decoded + decoded_room;
    offer.key = offer.url + url_room;
    offer.fresh = PyList_New(0);
    offer.odd = PyList_New(0);
    bool fine = offer.fresh != NULL && offer.odd != NULL;
    const uint8_t *text = (const uint8_t *)PyBytes_AsString(self->body);
    const Span *spans = self->found.links.items;
    for (uint32_t i = 0; i < links; i++) {
        spelled[i] = spelling_of(&offer, text + spans[i].at, spans[i].length);
        memory_prefetch(offer.memory, spelled[i]);
    }
    for (uint32_t i = 0; fine && i < links; i++)
        fine = offer_reference(&offer, text + spans[i].at, spans[i].length, spelled[i]);
    fine = fine && settle_refused(&offer);
    PyObject *refused = fine ? little_endian(offer.refused, offer.refusals) : NULL;
    if (room != (uint8_t *)on_stack)
        PyMem_Free(room);
    PyObject *result = refused == NULL ? NULL : PyTuple_Pack(3, offer.fresh, offer.odd, refused);
    Py_XDECREF(refused);
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
    {"new_urls", (PyCFunction)(void (*)(void))page_new_urls, METH_FASTCALL | METH_KEYWORDS,
     "new_urls(base_url, spellings, sites, seen, /, sort_query, twist)\n--\n\n"
     "What the page's references come to that was not offered to `spellings` before."},
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
