/* The head of a plain HTTP/1.1 answer: one whose body is counted by a Content-Length.
 *
 * Anything else, and anything in the least odd, is left to the full parser. Source: RFC 9112 §4, §5, §6.
 */

#include "speed.h"

#define MOST_FIELDS 256

/* RFC 9110 §5.6.2, but for letters and digits. */
static const uint8_t TOKEN[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1, ['+'] = 1,
    ['-'] = 1, ['.'] = 1, ['^'] = 1, ['_'] = 1, ['`'] = 1,  ['|'] = 1, ['~'] = 1,
};

static bool is_token(uint8_t c)
{
    return is_letter(c) || is_digit(c) || TOKEN[c];
}

/* Past the line feed of a line that ends with CR LF, or NULL. Only text may stand in it. */
static const uint8_t *end_of_line(const uint8_t *at, const uint8_t *end)
{
    while (at < end && (*at >= ' ' || *at == '\t') && *at != 0x7F)
        at++;
    return end - at >= 2 && at[0] == '\r' && at[1] == '\n' ? at + 2 : NULL;
}

static bool read_status(const uint8_t **at, const uint8_t *end, long *status)
{
    const uint8_t *text = *at;
    if (end - text < 13 || memcmp(text, "HTTP/1.1 ", 9))
        return false;
    for (int i = 9; i < 12; i++)
        if (!is_digit(text[i]))
            return false;
    *status = (text[9] - '0') * 100 + (text[10] - '0') * 10 + (text[11] - '0');
    if (text[12] != ' ' || *status < 200 || *status == 204 || *status == 304)
        return false;
    *at = end_of_line(text + 12, end);
    return *at != NULL;
}

static bool read_length(const uint8_t *text, size_t size, long long *length)
{
    if (size == 0 || size > 15 || *length >= 0)
        return false;
    *length = 0;
    for (size_t i = 0; i < size; i++) {
        if (!is_digit(text[i]))
            return false;
        *length = *length * 10 + (text[i] - '0');
    }
    return true;
}

/* Whether a field leaves the answer plain. */
static bool is_plain(
    const uint8_t *name, size_t size, const uint8_t *value, size_t value_size, PlainAnswer *answer)
{
    switch (size) {
    case 7:
        return !same_word(name, size, "upgrade") && !same_word(name, size, "trailer");
    case 10:
        return !same_word(name, size, "connection") || same_word(value, value_size, "keep-alive");
    case 14:
        return !same_word(name, size, "content-length") || read_length(value, value_size, &answer->length);
    case 16:
        if (!same_word(name, size, "content-encoding"))
            return true;
        if (answer->coded)
            return false; /* several codings */
        answer->coded = true;
        return true;
    case 17:
        return !same_word(name, size, "transfer-encoding");
    default:
        return true;
    }
}

bool plain_answer(const uint8_t *text, size_t size, PlainAnswer *answer)
{
    const uint8_t *at = text, *end = text + (size < PLAIN_HEAD_BYTES ? size : PLAIN_HEAD_BYTES);
    answer->length = -1;
    answer->coded = false;
    if (!read_status(&at, end, &answer->status))
        return false;
    uint8_t *out = answer->fields;
    for (int fields = 0; fields <= MOST_FIELDS; fields++) {
        if (end - at >= 2 && at[0] == '\r' && at[1] == '\n') {
            answer->fields_size = (size_t)(out - answer->fields);
            answer->head_size = (size_t)(at + 2 - text);
            return answer->length >= 0;
        }
        const uint8_t *name = at;
        while (at < end && is_token(*at))
            at++;
        size_t name_size = (size_t)(at - name);
        if (name_size == 0 || at == end || *at != ':')
            return false;
        for (at++; at < end && (*at == ' ' || *at == '\t');)
            at++;
        const uint8_t *value = at;
        at = end_of_line(value, end);
        if (at == NULL)
            return false;
        size_t value_size = (size_t)(at - 2 - value);
        while (value_size && (value[value_size - 1] == ' ' || value[value_size - 1] == '\t'))
            value_size--;
        if (!is_plain(name, name_size, value, value_size, answer))
            return false;
        *out++ = '\n';
        memcpy(out, name, name_size);
        out += name_size;
        *out++ = '\n';
        memcpy(out, value, value_size);
        out += value_size;
    }
    return false;
}
