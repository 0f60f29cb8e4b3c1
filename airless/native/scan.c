/* One pass over a page, from which the links and hints of the finished tree can be told.
 *
 * The tokenizer decides nearly everything: a link is a start tag outside of templates. What the tree builder
 * adds is followed as far as it is cheap: whether the head is still open, whether a table's content is in a
 * cell, what is svg or math. Where it moves, drops or renames elements otherwise the page is declined.
 * Source: HTML standard §13.2.5 (tokenization), §13.2.6 (tree construction).
 */

#include "speed.h"
#include "near.h"
#include "tags.h"

typedef struct {
    const uint8_t *text;
    const uint8_t *at;
    const uint8_t *end;
    const ScanOptions *options;
    Findings *found;
    HeadState head;
    size_t templates;
    bool open_link; /* in the innermost template an <a> isn't closed */
    Tables tables;
    Foreign foreign;
} Scanner;

typedef enum { GO_ON, DONE, DECLINE, NO_MEMORY } Step;

/* ---- what is found ----------------------------------------------------------------------------------- */

static Span span_of(const Scanner *s, const uint8_t *text, uint32_t length)
{
    return (Span){(uint32_t)(text - s->text), length};
}

static bool append(Spans *spans, Span span)
{
    if (spans->count == spans->room) {
        uint32_t room = spans->room ? spans->room * 2 : 64;
        Span *items = PyMem_Realloc(spans->items, room * sizeof(Span));
        if (items == NULL)
            return false;
        spans->items = items;
        spans->room = room;
    }
    spans->items[spans->count++] = span;
    return true;
}

void free_findings(Findings *found)
{
    PyMem_Free(found->links.items);
    PyMem_Free(found->canonicals.items);
    PyMem_Free(found->metas.items);
}

static Step add_link(Scanner *s, const uint8_t *value, uint32_t length)
{
    if (is_moved(&s->tables))
        return DECLINE;
    if (length > s->found->longest)
        s->found->longest = length;
    return append(&s->found->links, span_of(s, value, length)) ? GO_ON : NO_MEMORY;
}

/* ---- tags with attributes that matter ---------------------------------------------------------------- */

typedef struct {
    const char *text;
    uint32_t length;
} Name;

static inline bool is_named(const Attribute *attribute, const Name *name)
{
    return attribute->name_length == name->length && same_word(attribute->name, name->length, name->text);
}

/* Reads a tag's attributes and keeps the first of each name that is asked for: absent ones have no value. */
static inline AttributeStep read_attributes(Scanner *s, const Name *names, Attribute *kept, size_t count)
{
    for (size_t i = 0; i < count; i++)
        kept[i].value = NULL;
    const uint8_t *at = s->at;
    for (;;) {
        Attribute attribute;
        AttributeStep step = next_attribute(&at, s->end, &attribute);
        if (step != ATTRIBUTE) {
            s->at = at;
            return step;
        }
        for (size_t i = 0; i < count; i++)
            if (kept[i].value == NULL && is_named(&attribute, &names[i]))
                kept[i] = attribute;
    }
}

static inline Step one_reference(Scanner *s, Name name, bool counts, bool empty_counts)
{
    Attribute reference;
    if (read_attributes(s, &name, &reference, 1) == INPUT_END)
        return DONE;
    if (!counts || s->templates || reference.value == NULL || !(reference.value_length || empty_counts))
        return GO_ON;
    return add_link(s, reference.value, reference.value_length);
}

static Step base_tag(Scanner *s)
{
    static const Name names[] = {{"href", 4}};
    Attribute href;
    if (read_attributes(s, names, &href, 1) == INPUT_END)
        return DONE;
    if (s->templates || href.value == NULL)
        return GO_ON;
    if (is_moved(&s->tables))
        return DECLINE;
    if (s->found->has_base)
        return GO_ON;
    s->found->has_base = true;
    s->found->base = span_of(s, href.value, href.value_length);
    return GO_ON;
}

static Step link_tag(Scanner *s)
{
    static const Name names[] = {{"rel", 3}, {"href", 4}};
    Attribute kept[2];
    if (read_attributes(s, names, kept, 2) == INPUT_END)
        return DONE;
    if (s->templates || kept[0].value == NULL || kept[1].value == NULL)
        return GO_ON;
    if (memchr(kept[0].value, '&', kept[0].value_length) != NULL)
        return DECLINE;
    if (s->head != BODY && kept[1].value_length && has_token(kept[0].value, kept[0].value_length, "canonical")
        && !append(&s->found->canonicals, span_of(s, kept[1].value, kept[1].value_length)))
        return NO_MEMORY;
    if (s->options->next && has_token(kept[0].value, kept[0].value_length, "next"))
        return add_link(s, kept[1].value, kept[1].value_length);
    return GO_ON;
}

static Step refresh_tag(Scanner *s, const Attribute *content)
{
    if (!s->found->has_refresh) {
        s->found->has_refresh = true;
        s->found->refresh = span_of(s, content->value, content->value_length);
    }
    if (!s->options->refresh || s->found->refreshed)
        return GO_ON;
    uint32_t at, length;
    RefreshResult result = refresh_target(content->value, content->value_length, &at, &length);
    if (result == REFRESH_UNSURE)
        return DECLINE;
    if (result == REFRESH_INVALID)
        return GO_ON;
    s->found->refreshed = true;
    return length ? add_link(s, content->value + at, length) : GO_ON;
}

static Step meta_tag(Scanner *s)
{
    static const Name names[] = {{"content", 7}, {"name", 4}, {"http-equiv", 10}};
    Attribute kept[3];
    if (read_attributes(s, names, kept, 3) == INPUT_END)
        return DONE;
    if (s->templates || kept[0].value == NULL)
        return GO_ON;
    if (is_moved(&s->tables))
        return DECLINE;
    if (kept[1].value != NULL
        && !(append(&s->found->metas, span_of(s, kept[1].value, kept[1].value_length))
             && append(&s->found->metas, span_of(s, kept[0].value, kept[0].value_length))))
        return NO_MEMORY;
    if (kept[2].value == NULL)
        return GO_ON;
    if (memchr(kept[2].value, '&', kept[2].value_length) != NULL)
        return DECLINE;
    return same_word(kept[2].value, kept[2].value_length, "refresh") ? refresh_tag(s, &kept[0]) : GO_ON;
}

/* ---- raw text ---------------------------------------------------------------------------------------- */

/* Past a raw text element whose start tag's attributes are read; `last` is set to where its text ends. */
static Step skip_raw(Scanner *s, const char *name, size_t length, const uint8_t **last)
{
    const uint8_t *stop = name[0] == 's' && name[1] == 'c' ? find_script_end(s->at, s->end)
                                                           : find_end_tag(s->at, s->end, name, length);
    *last = stop == NULL ? s->end : stop;
    if (stop == NULL)
        return DONE;
    s->at = stop + 2 + length;
    return skip_attributes(&s->at, s->end) == INPUT_END ? DONE : GO_ON;
}

static Step raw_tag(Scanner *s, const char *name, size_t length)
{
    const uint8_t *last;
    return skip_attributes(&s->at, s->end) == INPUT_END ? DONE : skip_raw(s, name, length, &last);
}

static Step title_tag(Scanner *s)
{
    if (skip_attributes(&s->at, s->end) == INPUT_END)
        return DONE;
    const uint8_t *start = s->at;
    const uint8_t *last;
    Step step = skip_raw(s, "title", 5, &last);
    if (s->templates)
        return step;
    if (is_moved(&s->tables))
        return DECLINE;
    if (s->found->has_title)
        return step;
    s->found->has_title = true;
    s->found->title = span_of(s, start, (uint32_t)(last - start));
    return step;
}

/* ---- tags -------------------------------------------------------------------------------------------- */

/* Text before the body: white space is nothing, anything else opens the body. */
static Step head_text(Scanner *s)
{
    for (; s->at < s->end && *s->at != '<'; s->at++) {
        if (*s->at == '&' || *s->at == 0)
            return DECLINE; /* a reference may be to white space, a NUL may be dropped */
        if (!is_space(*s->at)) {
            s->head = BODY;
            return GO_ON;
        }
    }
    return GO_ON;
}

static uint64_t read_name(Scanner *s, uint32_t *length)
{
    const uint8_t *start = s->at;
    uint64_t packed = 0;
    while (s->at < s->end && !TAG_NAME_END[*s->at])
        packed = packed << 8 | (uint8_t)(*s->at++ | 0x20);
    *length = (uint32_t)(s->at - start);
    if (*length <= 8)
        return packed;
    return *length == 9 && lower(*start) == 'p' && packed == TAG_LAINTEXT ? TAG_LAINTEXT : 0;
}

static Step foreign_tag(Scanner *s, const uint8_t *name, uint32_t length)
{
    AttributeStep step = skip_attributes(&s->at, s->end);
    if (step == INPUT_END)
        return DONE;
    return foreign_start(&s->foreign, name, length, step == TAG_END_SELF_CLOSING) ? GO_ON : DECLINE;
}

static Step skip_tag(Scanner *s)
{
    return skip_attributes(&s->at, s->end) == INPUT_END ? DONE : GO_ON;
}

static Step start_tag(Scanner *s)
{
    const uint8_t *name = s->at;
    uint32_t length;
    uint64_t tag = read_name(s, &length);
    if (s->foreign.depth)
        return foreign_tag(s, name, length);
    if (s->head != BODY && !s->templates)
        s->head = head_after_start_tag(s->head, tag);
    if (s->templates) {
        if (s->open_link && keeps_link_open(tag))
            return DECLINE;
        s->open_link |= tag == TAG_A;
    }
    if (tag == TAG_A) /* before the others, as most that come here are links */
        return one_reference(s, (Name){"href", 4}, true, true);
    Step step;
    switch (tag) {
    case TAG_AREA:
        return one_reference(s, (Name){"href", 4}, true, true);
    case TAG_IMG:
    case TAG_IMAGE:
        return one_reference(s, (Name){"src", 3}, s->options->images, false);
    case TAG_IFRAME: {
        const uint8_t *last;
        step = one_reference(s, (Name){"src", 3}, s->options->frames, false);
        return step == GO_ON ? skip_raw(s, "iframe", 6, &last) : step;
    }
    case TAG_BASE:
        return base_tag(s);
    case TAG_LINK:
        return link_tag(s);
    case TAG_META:
        return meta_tag(s);
    case TAG_TITLE:
        return title_tag(s);
    case TAG_SCRIPT:
        return raw_tag(s, "script", 6);
    case TAG_STYLE:
        return raw_tag(s, "style", 5);
    case TAG_XMP:
        return raw_tag(s, "xmp", 3);
    case TAG_NOEMBED:
        return raw_tag(s, "noembed", 7);
    case TAG_NOFRAMES:
        return raw_tag(s, "noframes", 8);
    case TAG_TEXTAREA:
        return raw_tag(s, "textarea", 8);
    case TAG_LAINTEXT:
        step = skip_tag(s);
        return step == GO_ON && length == 9 ? DONE : step;
    case TAG_SVG:
    case TAG_MATH:
        return foreign_tag(s, name, length);
    case TAG_FRAMESET:
        return DECLINE; /* it may replace the body */
    case TAG_TEMPLATE:
        step = skip_tag(s);
        if (step == GO_ON)
            s->templates++;
        return step;
    case TAG_TABLE:
    case TAG_CAPTION:
    case TAG_COL:
    case TAG_COLGROUP:
    case TAG_TBODY:
    case TAG_THEAD:
    case TAG_TFOOT:
    case TAG_TR:
    case TAG_TD:
    case TAG_TH:
        step = skip_tag(s);
        if (step != GO_ON)
            return step;
        if (s->templates)
            return tag == TAG_COL ? DECLINE : GO_ON; /* after a col a template ignores most tags */
        return table_start_tag(&s->tables, tag) ? GO_ON : DECLINE;
    default:
        return skip_tag(s);
    }
}

static Step end_tag(Scanner *s)
{
    const uint8_t *name = s->at;
    uint32_t length;
    uint64_t tag = read_name(s, &length);
    if (skip_attributes(&s->at, s->end) == INPUT_END)
        return DONE;
    if (s->foreign.depth)
        return foreign_end(&s->foreign, name, length) ? GO_ON : DECLINE;
    if (s->templates) {
        if (tag == TAG_TEMPLATE)
            s->templates--;
        if (tag == TAG_TEMPLATE || tag == TAG_A)
            s->open_link = false;
        return GO_ON;
    }
    if (s->head != BODY)
        s->head = head_after_end_tag(s->head, tag);
    else
        table_end_tag(&s->tables, tag);
    return GO_ON;
}

/* What begins with '<', at which the scanner stands. */
static Step markup(Scanner *s)
{
    size_t left = (size_t)(s->end - s->at);
    if (left < 2)
        return DONE;
    uint8_t next = s->at[1];
    if (is_letter(next)) {
        s->at++;
        return start_tag(s);
    }
    if (next == '/') {
        if (left < 3)
            return DONE;
        s->at += 2;
        if (is_letter(*s->at))
            return end_tag(s);
        s->at = skip_to_gt(s->at, s->end);
        return GO_ON;
    }
    if (next == '!') {
        if (left >= 4 && s->at[2] == '-' && s->at[3] == '-')
            s->at = skip_comment(s->at + 4, s->end);
        else if (s->foreign.depth && left >= 9 && !memcmp(s->at + 2, "[CDATA[", 7))
            s->at = skip_cdata(s->at + 9, s->end);
        else
            s->at = skip_to_gt(s->at + 2, s->end);
        return GO_ON;
    }
    if (next == '?') {
        s->at = skip_to_gt(s->at + 2, s->end);
        return GO_ON;
    }
    if (!s->templates)
        s->head = BODY; /* a '<' that is text */
    s->at++;
    return GO_ON;
}

ScanResult scan_page(const uint8_t *text, size_t size, const ScanOptions *options, Findings *found)
{
    memset(found, 0, sizeof *found);
    if (size >= UINT32_MAX)
        return DECLINED;
    Scanner s;
    s.text = s.at = text;
    s.end = text + size;
    s.options = options;
    s.found = found;
    s.head = BEFORE_HEAD;
    s.templates = s.tables.depth = 0;
    s.open_link = false;
    s.foreign.depth = 0;
    Step step = GO_ON;
    while (step == GO_ON && s.at < s.end) {
        if (s.head != BODY && !s.templates)
            step = head_text(&s);
        if (s.head == BODY && !s.templates && !s.foreign.depth)
            s.at = skim(s.at, s.end);
        else if (step == GO_ON && s.at < s.end && *s.at != '<') {
            const uint8_t *next = find_near(s.at, s.end, '<');
            s.at = next == NULL ? s.end : next;
        }
        if (step == GO_ON && s.at < s.end)
            step = markup(&s);
    }
    return step == DECLINE ? DECLINED : step == NO_MEMORY ? OUT_OF_MEMORY : SCANNED;
}
