/* Foreign content: svg and math inside of HTML. Source: HTML standard §13.2.6.5.
 *
 * An icon is walked through with a stack of its names. What would need the tree (links in it, HTML in it, tags
 * that break out of it, end tags that don't match) is declined.
 */

#include "speed.h"

/* Start tags that break out, that hold what counts in HTML, or that switch what surrounds them. */
static const char *const DECIDED_BY_THE_TREE[] = {
    "a",      "annotation-xml", "area",  "b",      "base",   "big",   "blockquote", "body",     "br",
    "center", "code",           "dd",    "div",    "dl",     "dt",    "em",         "embed",    "font",
    "frame",  "frameset",       "h1",    "h2",     "h3",     "h4",    "h5",         "h6",       "head",
    "hr",     "html",           "i",     "iframe", "img",    "li",    "link",       "listing",  "malignmark",
    "menu",   "meta",           "mglyph", "nobr",  "noembed", "noframes", "noscript", "ol",     "p",
    "plaintext", "pre",         "ruby",  "s",      "script", "small", "span",       "strike",   "strong",
    "sub",    "sup",            "table", "template", "textarea", "tt", "u",         "ul",       "var",
    "xmp",
};

static const char *const INTEGRATION_POINTS[] = {
    "desc", "foreignobject", "mi", "mn", "mo", "ms", "mtext", "title",
};

static bool listed(const uint8_t *name, uint32_t length, const char *const *words, size_t count)
{
    uint8_t first = lower(*name);
    for (size_t i = 0; i < count; i++)
        if ((uint8_t)*words[i] == first && same_word(name, length, words[i]))
            return true;
    return false;
}

bool foreign_start(Foreign *foreign, const uint8_t *name, uint32_t length, bool self_closing)
{
    if (foreign->depth == 0)
        foreign->math = length == 4;
    else if (foreign->open[foreign->depth - 1].integration
             || listed(name, length, DECIDED_BY_THE_TREE, sizeof DECIDED_BY_THE_TREE / sizeof(char *))
             || (foreign->math && same_word(name, length, "title")))
        return false;
    if (self_closing)
        return true;
    if (foreign->depth == FOREIGN_DEPTH)
        return false;
    foreign->open[foreign->depth].name = name;
    foreign->open[foreign->depth].length = length;
    foreign->open[foreign->depth].integration =
        listed(name, length, INTEGRATION_POINTS, sizeof INTEGRATION_POINTS / sizeof(char *));
    foreign->depth++;
    return true;
}

static bool same_name(const uint8_t *one, const uint8_t *other, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        if (lower(one[i]) != lower(other[i]))
            return false;
    return true;
}

bool foreign_end(Foreign *foreign, const uint8_t *name, uint32_t length)
{
    for (int depth = foreign->depth; depth-- > 0;)
        if (foreign->open[depth].length == length && same_name(foreign->open[depth].name, name, length)) {
            foreign->depth = depth;
            return true;
        }
    return false;
}
