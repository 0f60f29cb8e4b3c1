/* What of a page's references is new: each is looked up as it is spelled, resolved, and marked. */

#include "speed.h"

#define STACK_ROOM 16384

/* References that are looked at before the first of them is needed. */
#define AHEAD 8

/* Sets of marks, besides the page's own, in which URLs are looked up. */
#define KNOWN 2

/* URLs that are resolved before the first of them is looked up. */
#define TOGETHER 16

/* How much of the base decides what a reference comes to: as little as is safe, so that a spelling that stands
 * on every page of a site is resolved once. */
enum { NOTHING, AUTHORITY, DIRECTORY, ALL };

/* A URL that was not met as it was spelled. */
typedef struct {
    PyObject *origin; /* NULL where it was not met lately */
    const uint8_t *url;
    const uint8_t *key;
    size_t size; /* of both */
    uint64_t hash; /* of the key */
    bool met;      /* the key is how it was spelled, and was met this very moment */
} Resolved;

typedef struct {
    Base base;
    uint64_t seeds[4]; /* of the spellings' hashes, by what of the base decides */
    HashMemory *memory;
    PyObject **origins;
    SeenHashes *seen;
    const SeenHashes *known[KNOWN]; /* besides */
    int known_count;
    uint64_t twist;
    uint64_t offered; /* turned over stands for what was offered to another; 0 for none */
    PyObject *entities;
    PyObject *sites;
    PyObject *fresh;
    PyObject *odd;
    bool sort_query;
    uint8_t *decoded;
    uint8_t *texts; /* of what was resolved: URLs, and their keys where these differ */
    uint8_t *texts_end;
    uint8_t *free_text;
    Resolved resolved[TOGETHER];
    size_t count; /* of them */
    uint64_t *refused;
    Py_ssize_t refusals;
    Blake2bTexts unmarked; /* the keys of refusals whose marks are still to be computed */
    Py_ssize_t places[4];  /* of those marks */
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

/* Where the string of an origin is kept that was met lately: it has its hash, and is canonical. */
static PyObject **place_of_origin(Offer *offer, const uint8_t *text, size_t length)
{
    return &offer->origins[hash_bytes(text, length, offer->memory->seed) % ORIGINS];
}

static bool is_origin(PyObject *kept, const uint8_t *text, size_t length)
{
    Py_ssize_t size;
    const char *known = kept == NULL ? NULL : PyUnicode_AsUTF8AndSize(kept, &size);
    return known != NULL && (size_t)size == length && !memcmp(known, text, length);
}

static PyObject *origin_of(Offer *offer, const uint8_t *url, size_t length)
{
    PyObject **kept = place_of_origin(offer, url, length);
    if (is_origin(*kept, url, length))
        return Py_NewRef(*kept);
    PyObject *origin = PyUnicode_DecodeASCII((const char *)url, (Py_ssize_t)length, NULL);
    if (origin != NULL) {
        PyObject *former = *kept;
        *kept = Py_NewRef(origin);
        Py_XDECREF(former);
    }
    return origin;
}

/* The origin that an absolute reference begins with, and its length, where it was met lately: nothing is to be
 * checked of it then. Else NULL. */
static PyObject *known_origin(Offer *offer, const uint8_t *reference, size_t length, size_t *origin_length)
{
    if (length < 9 || memcmp(reference, "http", 4))
        return NULL;
    size_t host = reference[4] == 's' ? 8 : 7;
    if (memcmp(reference + host - 3, "://", 3))
        return NULL;
    const uint8_t *path = memchr(reference + host, '/', length - host);
    if (path == NULL)
        return NULL;
    *origin_length = (size_t)(path - reference);
    PyObject *kept = *place_of_origin(offer, reference, *origin_length);
    return is_origin(kept, reference, *origin_length) ? Py_NewRef(kept) : NULL;
}

static void put_mark(Offer *offer, Py_ssize_t place, uint64_t mark)
{
    offer->refused[place] = mark;
    seen_prefetch(offer->seen, mark);
    seen_prefetch(offer->seen, mark ^ offer->twist);
}

static void compute_marks(Offer *offer)
{
    uint64_t marks[4];
    size_t count = offer->unmarked.count;
    blake2b_64_all(&offer->unmarked, marks);
    for (size_t i = 0; i < count; i++)
        put_mark(offer, offer->places[i], marks[i]);
}

static void refuse(Offer *offer, const uint8_t *key, size_t size)
{
    Py_ssize_t place = offer->refusals++;
    if (size > BLAKE2B_BLOCK) {
        put_mark(offer, place, blake2b_64(key, size));
        return;
    }
    offer->places[offer->unmarked.count] = place;
    blake2b_add(&offer->unmarked, key, size);
    if (offer->unmarked.count == 4)
        compute_marks(offer);
}

static bool has(const Offer *offer, const SeenHashes *seen, uint64_t mark)
{
    return seen_has(seen, mark) || (offer->offered && seen_has(seen, mark ^ offer->offered));
}

/* Whether a page is known, or was offered to whom it belongs. */
static bool is_known(const Offer *offer, uint64_t mark)
{
    bool known = has(offer, offer->seen, mark);
    for (int i = 0; !known && i < offer->known_count; i++)
        known = has(offer, offer->known[i], mark);
    return known;
}

/* A URL that was not met: refused where it has no site, else one more of the fresh. */
static bool offer_url(Offer *offer, PyObject *origin, const Resolved *each)
{
    PyObject *site = PyObject_GetItem(offer->sites, origin);
    if (site == NULL)
        return false;
    if (site != Py_None) {
        uint64_t mark = blake2b_64(each->key, each->size);
        if (is_known(offer, mark)) {
            Py_DECREF(site);
            return true;
        }
        PyObject *text = PyUnicode_DecodeASCII((const char *)each->url, (Py_ssize_t)each->size, NULL);
        bool fine = text != NULL
                    && append_new(offer->fresh, Py_BuildValue("(NKO)", text, (unsigned long long)mark, site));
        Py_DECREF(site);
        return fine;
    }
    Py_DECREF(site);
    refuse(offer, each->key, each->size);
    return true;
}

/* Adds the marks of what was refused to the seen, and keeps those that are new: all at the end, when the
 * processor has fetched where they stand. */
static bool settle_refused(Offer *offer)
{
    compute_marks(offer);
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

/* What was resolved is looked up, when the processor has fetched where it would stand; only let go of after a failure,
 * which is when it isn't `fine`. */
static bool offer_resolved(Offer *offer, bool fine)
{
    for (size_t i = 0; i < offer->count; i++) {
        Resolved *each = &offer->resolved[i];
        int added = !fine ? 0 : each->met ? 1 : memory_add(offer->memory, each->hash);
        if (added < 0)
            PyErr_NoMemory();
        if (added > 0 && each->origin == NULL) {
            const uint8_t *path = memchr(each->url + 8, '/', each->size - 8);
            each->origin = origin_of(offer, each->url, (size_t)(path - each->url));
        }
        fine = fine && added >= 0 && (!added || (each->origin != NULL && offer_url(offer, each->origin, each)));
        Py_XDECREF(each->origin);
    }
    offer->count = 0;
    offer->free_text = offer->texts;
    return fine;
}

/* Takes the reference to `origin`, which may be NULL. False where the query has too many pairs for a key. */
static bool add_resolved(Offer *offer, PyObject *origin, size_t size, uint64_t spelling)
{
    const uint8_t *url = offer->free_text, *key = url;
    offer->free_text += size;
    if (offer->sort_query && memchr(url, '&', size) != NULL) {
        if (!sorted_query(url, size, offer->free_text)) {
            Py_XDECREF(origin);
            return false;
        }
        key = offer->free_text;
        offer->free_text += size;
    }
    uint64_t hash = hash_bytes(key, size, offer->memory->seed);
    offer->resolved[offer->count++] = (Resolved){origin, url, key, size, hash, hash == spelling};
    memory_prefetch(offer->memory, hash);
    return true;
}

/* Room for the URL and the key of a reference, once decoded. */
static size_t texts_room(const Offer *offer, size_t length)
{
    return 2 * RESOLVED_ROOM(&offer->base, DECODED_ROOM(length));
}

static bool offer_reference(Offer *offer, const uint8_t *reference, size_t length, uint64_t spelling)
{
    int added = memory_add(offer->memory, spelling);
    if (added < 0)
        PyErr_NoMemory();
    if (added <= 0)
        return !added;
    bool full = offer->count == TOGETHER
                || (size_t)(offer->texts_end - offer->free_text) < texts_room(offer, length);
    if (full && !offer_resolved(offer, true))
        return false;
    if (!is_literal(reference, length)) {
        Py_ssize_t size = decode_text(reference, length, true, offer->entities, offer->decoded);
        if (size < 0)
            return false;
        reference = offer->decoded;
        length = (size_t)size;
    }
    size_t size, origin_length;
    PyObject *origin = known_origin(offer, reference, length, &origin_length);
    Resolution resolution = origin == NULL
                                ? resolve(&offer->base, reference, length, offer->free_text, &size)
                                : resolve_below(reference, length, origin_length, offer->free_text, &size);
    if (resolution == RESOLVED && add_resolved(offer, origin, size, spelling))
        return true;
    if (resolution != RESOLVED)
        Py_XDECREF(origin);
    return resolution == DROPPED || offer_odd(offer, reference, length);
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

static bool read_known(Offer *offer, PyObject *sets, PyObject *seen_type)
{
    offer->known_count = 0;
    if (sets == Py_None)
        return true;
    Py_ssize_t count = PyTuple_Check(sets) ? PyTuple_Size(sets) : -1;
    if (count < 0 || count > KNOWN) {
        PyErr_Format(PyExc_TypeError, "new_urls() takes a tuple of at most %d sets there, not %R", KNOWN, sets);
        return false;
    }
    for (; offer->known_count < count; offer->known_count++) {
        PyObject *each = PyTuple_GetItem(sets, offer->known_count);
        if (!is_a(each, seen_type, "Seen"))
            return false;
        offer->known[offer->known_count] = &((SeenObject *)each)->seen;
    }
    return true;
}

PyObject *page_new_urls(PageObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    static const char *const parameters[] = {"", "", "", "", "sort_query", "twist", "offered", "known"};
    PyObject *values[8] = {[6] = Py_False, [7] = Py_None};
    if (!read_arguments("new_urls", args, count, names, parameters, values, 8, 6))
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
    unsigned long long offered = PyLong_AsUnsignedLongLongMask(values[6]);
    if (PyErr_Occurred())
        return NULL;
    Offer offer;
    if (!read_known(&offer, values[7], state->seen_type))
        return NULL;
    offer.offered = offered;
    offer.memory = &((SpellingsObject *)spellings)->memory;
    offer.origins = ((SpellingsObject *)spellings)->origins;
    offer.seen = &((SeenObject *)seen)->seen;
    offer.twist = twist;
    offer.entities = state->entities;
    offer.sites = sites;
    offer.sort_query = sort_query;
    offer.refusals = 0;
    offer.unmarked.count = 0;
    if (!begin_offer(&offer, base, base_size))
        return NULL;
    uint32_t links = self->found.links.count;
    size_t marks_room = links * sizeof(uint64_t);
    size_t decoded_room = DECODED_ROOM(self->found.longest);
    size_t least = 2 * marks_room + decoded_room + texts_room(&offer, self->found.longest);
    uint64_t on_stack[STACK_ROOM / sizeof(uint64_t)];
    uint8_t *room = (uint8_t *)on_stack;
    if (least > STACK_ROOM && (room = PyMem_Malloc(least)) == NULL)
        return PyErr_NoMemory();
    offer.refused = (uint64_t *)room;
    uint64_t *spelled = offer.refused + links;
    offer.decoded = room + 2 * marks_room;
    offer.texts = offer.free_text = offer.decoded + decoded_room;
    offer.texts_end = room + (least > STACK_ROOM ? least : STACK_ROOM);
    offer.count = 0;
    offer.fresh = PyList_New(0);
    offer.odd = PyList_New(0);
    bool fine = offer.fresh != NULL && offer.odd != NULL;
    const uint8_t *text = (const uint8_t *)PyBytes_AsString(self->body);
    const Span *spans = self->found.links.items;
    for (uint32_t i = 0; i < links; i++) {
        prefetch(text + spans[i + AHEAD < links ? i + AHEAD : i].at);
        spelled[i] = spelling_of(&offer, text + spans[i].at, spans[i].length);
        memory_prefetch(offer.memory, spelled[i]);
    }
    for (uint32_t i = 0; fine && i < links; i++)
        fine = offer_reference(&offer, text + spans[i].at, spans[i].length, spelled[i]);
    fine = offer_resolved(&offer, fine) && settle_refused(&offer);
    PyObject *refused = fine ? little_endian(offer.refused, offer.refusals) : NULL;
    if (room != (uint8_t *)on_stack)
        PyMem_Free(room);
    PyObject *result = refused == NULL ? NULL : PyTuple_Pack(3, offer.fresh, offer.odd, refused);
    Py_XDECREF(refused);
    Py_XDECREF(offer.fresh);
    Py_XDECREF(offer.odd);
    return result;
}
