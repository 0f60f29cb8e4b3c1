/* What is mostly near: the next '<', the closing quote, the end of a name. Included after speed.h. */
#ifndef AIRLESS_SPEED_NEAR_H
#define AIRLESS_SPEED_NEAR_H

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* memchr for what is mostly near. */
static inline const uint8_t *find_near(const uint8_t *at, const uint8_t *end, uint8_t c)
{
#if defined(__SSE2__)
    const __m128i wanted = _mm_set1_epi8((char)c);
    for (; end - at >= 16; at += 16) {
        int found = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)at), wanted));
        if (found)
            return at + __builtin_ctz((unsigned)found);
    }
#endif
    return memchr(at, c, (size_t)(end - at));
}

/* Ends of a tag's name: white space, '/' and '>'. */
static const uint8_t TAG_NAME_END[256] = {
    ['\t'] = 1, ['\n'] = 1, ['\f'] = 1, ['\r'] = 1, [' '] = 1, ['/'] = 1, ['>'] = 1,
};

/* Ends of an attribute's name: those and '='. */
static const uint8_t NAME_END[256] = {
    ['\t'] = 1, ['\n'] = 1, ['\f'] = 1, ['\r'] = 1, [' '] = 1, ['/'] = 1, ['>'] = 1, ['='] = 1,
};

/* Past an attribute that is written ` name="value"`, in either quotes; NULL where it is written otherwise. */
static inline const uint8_t *past_plain_attribute(const uint8_t *at, const uint8_t *end, Attribute *attribute)
{
    if (end - at < 2 || *at != ' ' || NAME_END[at[1]])
        return NULL;
    const uint8_t *equals = at + 2;
    while (equals < end && !NAME_END[*equals])
        equals++;
    if (end - equals < 2 || *equals != '=' || (equals[1] != '"' && equals[1] != '\''))
        return NULL;
    const uint8_t *quote = find_near(equals + 2, end, equals[1]);
    if (quote == NULL)
        return NULL;
    attribute->name = at + 1;
    attribute->name_length = (uint32_t)(equals - at - 1);
    attribute->value = equals + 2;
    attribute->value_length = (uint32_t)(quote - equals - 2);
    return quote + 1;
}

/* As `any_attribute`, sooner for what is written plainly. */
static inline AttributeStep next_attribute(const uint8_t **at, const uint8_t *end, Attribute *attribute)
{
    if (*at < end && **at == '>') {
        ++*at;
        return TAG_END;
    }
    const uint8_t *past = past_plain_attribute(*at, end, attribute);
    if (past == NULL)
        return any_attribute(at, end, attribute);
    *at = past;
    return ATTRIBUTE;
}

/* Past the attributes of a tag: TAG_END, TAG_END_SELF_CLOSING or INPUT_END. */
static inline AttributeStep skip_attributes(const uint8_t **at, const uint8_t *end)
{
    Attribute ignored;
    AttributeStep step;
    do
        step = next_attribute(at, end, &ignored);
    while (step == ATTRIBUTE);
    return step;
}

#endif
