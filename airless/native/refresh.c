/* A declarative refresh. Source: HTML standard, "shared declarative refresh steps".
 *
 * The content is read undecoded; where a character reference could matter to the parsing, the answer is that
 * this isn't sure.
 */

#include "speed.h"

static uint32_t skip_spaces(const uint8_t *text, uint32_t length, uint32_t at)
{
    while (at < length && is_space(text[at]))
        at++;
    return at;
}

/* Where the reference begins, or `length + 1` if there is no valid time before it. */
static uint32_t after_time(const uint8_t *text, uint32_t length)
{
    uint32_t at = skip_spaces(text, length, 0);
    if (at == length || !(is_digit(text[at]) || text[at] == '.'))
        return length + 1;
    while (at < length && (is_digit(text[at]) || text[at] == '.'))
        at++;
    if (at < length && !is_space(text[at]) && text[at] != ';' && text[at] != ',')
        return length + 1;
    at = skip_spaces(text, length, at);
    if (at < length && (text[at] == ';' || text[at] == ','))
        at++;
    return skip_spaces(text, length, at);
}

/* Whether a reference in the target reads as a quote, which ends it, or stands where white space would. */
static bool matters(const uint8_t *text, uint32_t length, uint32_t at, uint32_t target)
{
    if (at <= target || at + 1 == length)
        return at <= target;
    uint8_t next = lower(text[at + 1]);
    return next == '#' || next == 'q' || (next == 'a' && !(length - at > 4 && !memcmp(text + at, "&amp;", 5)));
}

RefreshResult refresh_target(const uint8_t *content, uint32_t length, uint32_t *at, uint32_t *target_length)
{
    uint32_t start = after_time(content, length);
    uint32_t stop = length;
    bool valid = start <= length;
    if (valid) {
        if (length - start >= 3 && same_word(content + start, 3, "url")) {
            uint32_t equals = skip_spaces(content, length, start + 3);
            if (equals < length && content[equals] == '&')
                return REFRESH_UNSURE;
            if (equals < length && content[equals] == '=')
                start = skip_spaces(content, length, equals + 1);
        }
        if (start < length && (content[start] == '"' || content[start] == '\'')) {
            const uint8_t *quote = memchr(content + start + 1, content[start], length - start - 1);
            if (quote != NULL)
                stop = (uint32_t)(quote - content);
            start++;
        }
    }
    else
        start = length;
    for (uint32_t i = 0; i < length; i++)
        if (content[i] == '&' && matters(content, length, i, start))
            return REFRESH_UNSURE;
    if (!valid)
        return REFRESH_INVALID;
    *at = start;
    *target_length = stop - start;
    return REFRESH_VALID;
}
