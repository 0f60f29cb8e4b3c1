/* The compiled half of the crawler's hot path: what the parts offer each other.
 *
 * scan.c      one pass over a page: where its links and hints stand
 * skim.c      past what decides nothing
 * markup.c    the tokenizer's smaller machines: attributes, comments, raw text
 * tree.c      what of the tree builder decides: the head, tables
 * foreign.c   svg and math
 * refresh.c   the reference in a declarative refresh
 * decode.c    character references
 * resolve.c   a reference against a base URL
 * offer.c     what of a page's references is new
 * table.c     bounded memory of 64-bit hashes
 * seen.c      the set of fingerprints
 * blake2b.c   BLAKE2b with 64 bits of digest
 * answer.c    the head of a plain HTTP answer
 * line.c      a client's connection
 * arguments.c the arguments of a call
 * make.c      records, filled in one call
 * page.c, sets.c, fields.c, module.c   the Python types
 *
 * Nothing here keeps state outside of the objects that are passed in.
 */
#ifndef AIRLESS_SPEED_H
#define AIRLESS_SPEED_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
/* What the parts offer each other is not offered to others: the compiler may then inline it. */
#if defined(__GNUC__)
#pragma GCC visibility push(hidden)
#endif

/* ---- text -------------------------------------------------------------------------------------------- */

/* A piece of the page: an offset and a length. */
typedef struct {
    uint32_t at;
    uint32_t length;
} Span;

typedef struct {
    Span *items;
    uint32_t count;
    uint32_t room;
} Spans;

static inline bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r' && c != '\v');
}

static inline bool is_letter(uint8_t c)
{
    return (uint8_t)((c | 0x20) - 'a') < 26;
}

static inline bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') < 10;
}

static inline uint8_t lower(uint8_t c)
{
    return (uint8_t)(c - 'A') < 26 ? (uint8_t)(c | 0x20) : c;
}

/* Whether the text is `word` (which is in lower case) but for the case of ASCII letters. */
static inline bool same_word(const uint8_t *text, size_t length, const char *word)
{
    size_t i = 0;
    for (; i < length && word[i]; i++)
        if (lower(text[i]) != (uint8_t)word[i])
            return false;
    return i == length && !word[i];
}

/* Tells the processor that this will be read. */
static inline void prefetch(const void *at)
{
#if defined(__GNUC__)
    __builtin_prefetch(at);
#else
    (void)at;
#endif
}

/* ---- markup.c ---------------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *name;
    const uint8_t *value;
    uint32_t name_length;
    uint32_t value_length;
} Attribute;

typedef enum { ATTRIBUTE, TAG_END, TAG_END_SELF_CLOSING, INPUT_END } AttributeStep;

/* The next attribute of a tag, however it is written, or the tag's end. */
AttributeStep any_attribute(const uint8_t **at, const uint8_t *end, Attribute *attribute);

/* `at` follows "<!--"; the answer follows the comment. */
const uint8_t *skip_comment(const uint8_t *at, const uint8_t *end);

/* Past the next '>', for doctypes and bogus comments. */
const uint8_t *skip_to_gt(const uint8_t *at, const uint8_t *end);

/* Past the next "]]>". */
const uint8_t *skip_cdata(const uint8_t *at, const uint8_t *end);

/* The '<' of the end tag that ends raw text, or NULL. */
const uint8_t *find_end_tag(const uint8_t *at, const uint8_t *end, const char *name, size_t length);

/* The same for a script, whose text may hide end tags in "<!--<script>". */
const uint8_t *find_script_end(const uint8_t *at, const uint8_t *end);

/* Whether a white-space separated list holds `word`, which is in lower case. */
bool has_token(const uint8_t *text, size_t length, const char *word);

/* ---- scan.c ------------------------------------------------------------------------------------------ */

typedef struct {
    bool frames;
    bool images;
    bool next;
    bool refresh;
} ScanOptions;

/* What a page holds, as it is written there: nothing is decoded yet. */
typedef struct {
    Spans links;
    Spans canonicals;
    Spans metas; /* pairs: name, content */
    Span title;
    Span base;
    Span refresh;
    bool has_title;
    bool has_base;
    bool has_refresh;
    uint32_t longest; /* of the links */
    bool refreshed;   /* a valid refresh was met: later ones don't count */
} Findings;

typedef enum { SCANNED, DECLINED, OUT_OF_MEMORY } ScanResult;

ScanResult scan_page(const uint8_t *text, size_t size, const ScanOptions *options, Findings *found);
void free_findings(Findings *found);

/* ---- skim.c ------------------------------------------------------------------------------------------ */

/* In a body outside of templates and foreign content: the first '<' from which on something may be decided, or
 * the end. */
const uint8_t *skim(const uint8_t *at, const uint8_t *end);

/* ---- tree.c ------------------------------------------------------------------------------------------ */

typedef enum { BEFORE_HEAD, IN_HEAD, IN_HEAD_NOSCRIPT, AFTER_HEAD, BODY } HeadState;

HeadState head_after_start_tag(HeadState head, uint64_t tag);
HeadState head_after_end_tag(HeadState head, uint64_t tag);

#define TABLE_DEPTH 64

/* In what of a table its content stands; in the gaps between cells the tree moves content before the table. */
typedef enum { GAP, CELL_TD, CELL_TH, CAPTION } TablePlace;

/* The open tables, the outermost first. */
typedef struct {
    size_t depth;
    uint8_t places[TABLE_DEPTH];
} Tables;

bool is_moved(const Tables *tables);
bool table_start_tag(Tables *tables, uint64_t tag); /* false where they are too deep */
void table_end_tag(Tables *tables, uint64_t tag);

bool keeps_link_open(uint64_t tag);

/* ---- foreign.c --------------------------------------------------------------------------------------- */

#define FOREIGN_DEPTH 64

/* The open elements of svg or math content, the outermost first. */
typedef struct {
    struct {
        const uint8_t *name;
        uint32_t length;
        bool integration;
    } open[FOREIGN_DEPTH];
    int depth;
    bool math;
} Foreign;

/* False where only a tree builder knows what the tag does. */
bool foreign_start(Foreign *foreign, const uint8_t *name, uint32_t length, bool self_closing);
bool foreign_end(Foreign *foreign, const uint8_t *name, uint32_t length);

/* ---- refresh.c --------------------------------------------------------------------------------------- */

typedef enum { REFRESH_INVALID, REFRESH_VALID, REFRESH_UNSURE } RefreshResult;

RefreshResult refresh_target(const uint8_t *content, uint32_t length, uint32_t *at, uint32_t *target_length);

/* ---- decode.c ---------------------------------------------------------------------------------------- */

/* Bytes that decoding `length` bytes can make. */
#define DECODED_ROOM(length) (3 * (size_t)(length) + 16)

/* Whether a text reads as it is written, but for being UTF-8. */
bool is_literal(const uint8_t *text, size_t length);

/* Decodes into `out`; `entities` is html.entities.html5. The new length, or -1 with an exception set. */
Py_ssize_t decode_text(const uint8_t *text, size_t length, bool in_attribute, PyObject *entities, uint8_t *out);

/* ---- resolve.c --------------------------------------------------------------------------------------- */

/* A canonical http(s) URL and where its parts end. */
typedef struct {
    const uint8_t *text;
    size_t size;
    size_t scheme;    /* after "http:" */
    size_t authority; /* at the path's first '/' */
    size_t directory; /* after the path's last '/' */
    size_t path;      /* at the '?' or the end */
} Base;

typedef enum { RESOLVED, ODD, DROPPED } Resolution;

#define RESOLVED_ROOM(base, length) ((base)->size + (size_t)(length) + 16)

bool parse_base(Base *base, const uint8_t *text, size_t size);
Resolution resolve(const Base *base, const uint8_t *reference, size_t length, uint8_t *out, size_t *out_length);

/* The same for a reference whose first `origin` bytes are the beginning of a canonical URL, before its path. */
Resolution resolve_below(
    const uint8_t *reference, size_t length, size_t origin, uint8_t *out, size_t *out_length);

/* The key that deduplicates: the query's pairs sorted by name. False where there are too many of them. */
bool sorted_query(const uint8_t *url, size_t length, uint8_t *out);

/* ---- table.c ----------------------------------------------------------------------------------------- */

/* Hashes in buckets of a few: a full one, once the table is as large as it may be, forgets what it was not asked for
 * the longest. */
typedef struct {
    uint64_t *slots;
    void *block; /* what was allocated for them */
    size_t room; /* a power of two, or 0 */
    size_t count;
    size_t limit; /* half the room that there may be, or more */
    uint64_t seed;
} HashMemory;

uint64_t hash_bytes(const uint8_t *text, size_t length, uint64_t seed);

/* 1 if the hash was not there, 0 if it was, -1 without memory. */
int memory_add(HashMemory *memory, uint64_t hash);

/* Tells the processor that the hash will be asked for: large tables are not in its caches. */
void memory_prefetch(const HashMemory *memory, uint64_t hash);
void memory_free(HashMemory *memory);
size_t memory_bytes(const HashMemory *memory);

/* ---- seen.c ------------------------------------------------------------------------------------------ */

#define SEEN_PARTS 256

typedef struct {
    uint64_t *slots;
    uint32_t room;
    uint32_t count;
} SeenPart;

typedef struct {
    SeenPart parts[SEEN_PARTS];
    size_t count;
    bool has_zero; /* 0 marks a free slot */
} SeenHashes;

/* 1 if it was not there, 0 if it was, -1 without memory. */
int seen_add(SeenHashes *seen, uint64_t value);
bool seen_has(const SeenHashes *seen, uint64_t value);

/* Tells the processor that the value will be asked for. */
void seen_prefetch(const SeenHashes *seen, uint64_t value);
void seen_free(SeenHashes *seen);
size_t seen_bytes(const SeenHashes *seen);

/* ---- blake2b.c --------------------------------------------------------------------------------------- */

/* The eight bytes of BLAKE2b-64, read as a big-endian number. */
uint64_t blake2b_64(const uint8_t *text, size_t length);

#define BLAKE2B_BLOCK 128

/* Up to four texts of at most a block, whose digests are computed together: half the work for each, where the
 * processor has AVX2. */
typedef struct {
    uint8_t blocks[4][BLAKE2B_BLOCK];
    uint64_t lengths[4];
    size_t count;
} Blake2bTexts;

/* One more, where there are less than four. */
void blake2b_add(Blake2bTexts *texts, const uint8_t *text, size_t length);

/* The digests of all, in their order; no text is left. */
void blake2b_64_all(Blake2bTexts *texts, uint64_t *digests);

/* ---- answer.c ---------------------------------------------------------------------------------------- */

#define PLAIN_HEAD_BYTES 16384

typedef struct {
    long status;
    long long length; /* of the body */
    bool coded;       /* there is a Content-Encoding */
    size_t head_size;
    size_t fields_size;
    uint8_t fields[PLAIN_HEAD_BYTES]; /* names and values in turn, a line feed before each */
} PlainAnswer;

bool plain_answer(const uint8_t *text, size_t size, PlainAnswer *answer);

/* ---- arguments.c ------------------------------------------------------------------------------------- */

/* Puts a call's arguments into `values`, by the names of the parameters: one without a name is positional only,
 * those from `positional` on are keywords only, one whose value stays NULL is missed. False with TypeError. */
bool read_arguments(
    const char *function, PyObject *const *args, Py_ssize_t given, PyObject *keywords,
    const char *const *names, PyObject **values, Py_ssize_t room, Py_ssize_t positional);

/* ---- make.c ------------------------------------------------------------------------------------------ */

PyObject *new_maker(PyObject *module, PyObject *args);

/* ---- the Python types -------------------------------------------------------------------------------- */

typedef struct {
    PyObject *page_type;
    PyObject *spellings_type;
    PyObject *seen_type;
    PyObject *line_type;
    PyObject *fields_type;
    PyObject *entities; /* html.entities.html5 */
} ModuleState;

#define ORIGINS 64

typedef struct {
    PyObject_HEAD
    HashMemory memory;
    PyObject *origins[ORIGINS]; /* strings that were asked of `sites` lately, by their hash: they repeat */
} SpellingsObject;

typedef struct {
    PyObject_HEAD
    SeenHashes seen;
} SeenObject;

typedef struct {
    PyObject_HEAD
    PyObject *body;
    Findings found;
} PageObject;

static inline const uint8_t *text_at(PageObject *page, Span span)
{
    return (const uint8_t *)PyBytes_AsString(page->body) + span.at;
}

static inline ModuleState *state_of(PageObject *page)
{
    return PyType_GetModuleState(Py_TYPE((PyObject *)page));
}

/* Takes the reference to `item`, which may be NULL. */
bool append_new(PyObject *list, PyObject *item);

/* ---- offer.c ----------------------------------------------------------------------------------------- */

/* Page.new_urls */
PyObject *page_new_urls(PageObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names);

extern PyType_Spec page_spec;
extern PyType_Spec spellings_spec;
extern PyType_Spec seen_spec;
extern PyType_Spec line_spec;
extern PyType_Spec fields_spec;

PyObject *page_new(ModuleState *state, PyObject *body, const ScanOptions *options);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
