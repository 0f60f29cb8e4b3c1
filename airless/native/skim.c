/* Past what decides nothing: text, and tags that the scanner would only tokenize.
 *
 * Most of a page is that. The scanner takes over at everything that may decide something or isn't written
 * plainly, and would find the same if nothing were skipped. The loops over names go byte by byte because names
 * are short and repeat: the processor foresees their ends, which a search by blocks would make it wait for.
 */

#include "speed.h"
#include "near.h"

#define OF(length) (1u << (length))
#define LONGEST_DECIDING 9

/* The lengths of the names that may decide something in a body, by their first letter. */
static const uint16_t DECIDING[32] = {
    ['a' & 31] = OF(1) | OF(4),         /* a, area */
    ['b' & 31] = OF(4),                 /* base */
    ['c' & 31] = OF(3) | OF(7) | OF(8), /* col, caption, colgroup */
    ['f' & 31] = OF(8),                 /* frameset */
    ['i' & 31] = OF(3) | OF(5) | OF(6), /* img, image, iframe */
    ['l' & 31] = OF(4),                 /* link */
    ['m' & 31] = OF(4),                 /* math, meta */
    ['n' & 31] = OF(7) | OF(8),         /* noembed, noframes */
    ['p' & 31] = OF(9),                 /* plaintext */
    ['s' & 31] = OF(3) | OF(5) | OF(6), /* svg, style, script */
    ['t' & 31] = OF(2) | OF(5) | OF(8), /* td, th, tr; table, tbody, thead, tfoot, title; template, textarea */
    ['x' & 31] = OF(3),                 /* xmp */
};

/* Past a tag from the end of its name on; NULL where its attributes aren't plain. */
static inline const uint8_t *past_tag(const uint8_t *at, const uint8_t *end)
{
    Attribute ignored;
    while (at != NULL && at < end && *at != '>')
        at = past_plain_attribute(at, end, &ignored);
    return at == NULL || at == end ? NULL : at + 1;
}

/* The end of the name that begins before `at`. */
static inline const uint8_t *past_name(const uint8_t *at, const uint8_t *end)
{
    while (at < end && !TAG_NAME_END[*at])
        at++;
    return at;
}

const uint8_t *skim(const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        if (*at != '<' && (at = find_near(at, end, '<')) == NULL)
            return end;
        if (end - at < 4)
            return at;
        const uint8_t *stop;
        if (at[1] == '/') {
            uint8_t first = lower(at[2]);
            if (!is_letter(first) || first == 't' || first == 'c')
                return at; /* of the end tags those of a table decide */
            stop = past_name(at + 3, end);
        }
        else {
            if (!is_letter(at[1]))
                return at;
            stop = past_name(at + 2, end);
            size_t length = (size_t)(stop - at) - 1;
            if (length <= LONGEST_DECIDING && DECIDING[at[1] & 31] >> length & 1)
                return at;
        }
        const uint8_t *next = past_tag(stop, end);
        if (next == NULL)
            return at;
        at = next;
    }
    return end;
}
