/* Character references, carriage returns and NULs in text and attribute values.
 *
 * Source: HTML standard §13.2.5.72 and following; §13.2.3.5 for newlines. The names are looked up in Python's
 * html.entities.html5, the common ones are known here.
 */

#include "speed.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define LONGEST_NAME 32

/* Windows-1252's reading of 0x80 to 0x9F; 0 where the number stands for itself. */
static const uint16_t C1[32] = {
    0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178,
};

static bool is_literal_byte(uint8_t c)
{
    return c > '&' || (c != '&' && c != '\r' && c != 0);
}

bool is_literal(const uint8_t *text, size_t length)
{
#if defined(__SSE2__)
    for (; length >= 16; text += 16, length -= 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)text);
        __m128i other = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('&'));
        other = _mm_or_si128(other, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\r')));
        other = _mm_or_si128(other, _mm_cmpeq_epi8(bytes, _mm_setzero_si128()));
        if (_mm_movemask_epi8(other))
            return false;
    }
#endif
    while (length && is_literal_byte(*text)) {
        text++;
        length--;
    }
    return length == 0;
}

static uint8_t *put_utf8(uint8_t *out, uint32_t code)
{
    if (code < 0x80)
        *out++ = (uint8_t)code;
    else if (code < 0x800) {
        *out++ = (uint8_t)(0xC0 | code >> 6);
        *out++ = (uint8_t)(0x80 | (code & 0x3F));
    }
    else if (code < 0x10000) {
        *out++ = (uint8_t)(0xE0 | code >> 12);
        *out++ = (uint8_t)(0x80 | (code >> 6 & 0x3F));
        *out++ = (uint8_t)(0x80 | (code & 0x3F));
    }
    else {
        *out++ = (uint8_t)(0xF0 | code >> 18);
        *out++ = (uint8_t)(0x80 | (code >> 12 & 0x3F));
        *out++ = (uint8_t)(0x80 | (code >> 6 & 0x3F));
        *out++ = (uint8_t)(0x80 | (code & 0x3F));
    }
    return out;
}

static int digit_of(uint8_t c, bool hexadecimal)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return hexadecimal && c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* `text` begins with "&#". How much of it is the reference, 0 if it is none. */
static size_t numeric(const uint8_t *text, size_t length, uint32_t *code)
{
    size_t at = 2;
    bool hexadecimal = at < length && (text[at] | 0x20) == 'x';
    at += hexadecimal;
    size_t start = at;
    uint32_t value = 0;
    for (int digit; at < length && (digit = digit_of(text[at], hexadecimal)) >= 0; at++)
        if (value < 0x110000)
            value = value * (hexadecimal ? 16 : 10) + (uint32_t)digit;
    if (at == start)
        return 0;
    if (at < length && text[at] == ';')
        at++;
    if (value == 0 || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))
        value = 0xFFFD;
    else if (value >= 0x80 && value < 0xA0 && C1[value - 0x80])
        value = C1[value - 0x80];
    *code = value;
    return at;
}

/* Appends what the entity stands for: 1, 0 if there is none of that name, -1 with an exception set. */
static int put_entity(PyObject *entities, const uint8_t *name, size_t length, uint8_t **out)
{
    PyObject *key = PyUnicode_DecodeLatin1((const char *)name, (Py_ssize_t)length, NULL);
    if (key == NULL)
        return -1;
    PyObject *value = PyDict_GetItemWithError(entities, key);
    Py_DECREF(key);
    if (value == NULL)
        return PyErr_Occurred() ? -1 : 0;
    Py_ssize_t size;
    const char *utf8 = PyUnicode_AsUTF8AndSize(value, &size);
    if (utf8 == NULL)
        return -1;
    memcpy(*out, utf8, (size_t)size);
    *out += size;
    return 1;
}

/* `text` begins with '&'. How much of it is a named reference, 0 if none is, -1 with an exception set. */
static Py_ssize_t named(
    const uint8_t *text, size_t length, bool in_attribute, PyObject *entities, uint8_t **out)
{
    static const struct {
        char name[6];
        uint8_t length;
        char stands_for;
    } common[] = {{"amp;", 4, '&'}, {"lt;", 3, '<'}, {"gt;", 3, '>'}, {"quot;", 5, '"'}};
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        if (length > common[i].length && !memcmp(text + 1, common[i].name, common[i].length)) {
            *(*out)++ = (uint8_t)common[i].stands_for;
            return common[i].length + 1;
        }
    const uint8_t *name = text + 1;
    size_t run = 0;
    while (run + 1 < length && run <= LONGEST_NAME && (is_letter(name[run]) || is_digit(name[run])))
        run++;
    if (run < 2 || (run > LONGEST_NAME && in_attribute))
        return 0;
    uint8_t next = run + 1 < length ? name[run] : 0;
    if (in_attribute) {
        if (next == '=')
            return 0;
        size_t size = run + (next == ';');
        int put = put_entity(entities, name, size, out);
        return put > 0 ? (Py_ssize_t)size + 1 : put;
    }
    for (size_t size = run + (next == ';'); size >= 2; size--) {
        int put = put_entity(entities, name, size, out);
        if (put)
            return put > 0 ? (Py_ssize_t)size + 1 : -1;
    }
    return 0;
}

Py_ssize_t decode_text(const uint8_t *text, size_t length, bool in_attribute, PyObject *entities, uint8_t *out)
{
    uint8_t *start = out;
    for (size_t i = 0; i < length;) {
        uint8_t c = text[i];
        if (is_literal_byte(c)) {
            *out++ = c;
            i++;
            continue;
        }
        if (c == '&' && i + 1 < length) {
            uint32_t code;
            Py_ssize_t used;
            if (text[i + 1] == '#') {
                used = (Py_ssize_t)numeric(text + i, length - i, &code);
                if (used)
                    out = put_utf8(out, code);
            }
            else
                used = named(text + i, length - i, in_attribute, entities, &out);
            if (used < 0)
                return -1;
            if (used) {
                i += (size_t)used;
                continue;
            }
        }
        if (c == '\r') {
            *out++ = '\n';
            i += i + 1 < length && text[i + 1] == '\n' ? 2 : 1;
            continue;
        }
        if (c == 0)
            out = put_utf8(out, 0xFFFD);
        else
            *out++ = c;
        i++;
    }
    return out - start;
}
