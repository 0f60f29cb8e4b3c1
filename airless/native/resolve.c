/* A reference against a base URL, for the plain ones: what needs escaping, IDNA or leniency is odd and left to
 * the URL library. Source: WHATWG URL §4.4 (the states named in comments), §4.5 (serialising).
 */

#include "speed.h"

/* Bytes that stand for themselves: in a host name, a path, a query; those of a scheme; upper case; and those that
 * mean nothing in a path. */
enum { HOST = 1, PATH = 2, QUERY = 4, SCHEME = 8, UPPER = 16, IDLE = 32 };

#define LETTER_LOWER HOST | PATH | QUERY | SCHEME | IDLE
#define LETTER_UPPER PATH | QUERY | SCHEME | UPPER | IDLE
#define SAFE PATH | QUERY | IDLE

static const uint8_t KIND[256] = {
    ['a'] = LETTER_LOWER, ['b'] = LETTER_LOWER, ['c'] = LETTER_LOWER, ['d'] = LETTER_LOWER,
    ['e'] = LETTER_LOWER, ['f'] = LETTER_LOWER, ['g'] = LETTER_LOWER, ['h'] = LETTER_LOWER,
    ['i'] = LETTER_LOWER, ['j'] = LETTER_LOWER, ['k'] = LETTER_LOWER, ['l'] = LETTER_LOWER,
    ['m'] = LETTER_LOWER, ['n'] = LETTER_LOWER, ['o'] = LETTER_LOWER, ['p'] = LETTER_LOWER,
    ['q'] = LETTER_LOWER, ['r'] = LETTER_LOWER, ['s'] = LETTER_LOWER, ['t'] = LETTER_LOWER,
    ['u'] = LETTER_LOWER, ['v'] = LETTER_LOWER, ['w'] = LETTER_LOWER, ['x'] = LETTER_LOWER,
    ['y'] = LETTER_LOWER, ['z'] = LETTER_LOWER, ['A'] = LETTER_UPPER, ['B'] = LETTER_UPPER,
    ['C'] = LETTER_UPPER, ['D'] = LETTER_UPPER, ['E'] = LETTER_UPPER, ['F'] = LETTER_UPPER,
    ['G'] = LETTER_UPPER, ['H'] = LETTER_UPPER, ['I'] = LETTER_UPPER, ['J'] = LETTER_UPPER,
    ['K'] = LETTER_UPPER, ['L'] = LETTER_UPPER, ['M'] = LETTER_UPPER, ['N'] = LETTER_UPPER,
    ['O'] = LETTER_UPPER, ['P'] = LETTER_UPPER, ['Q'] = LETTER_UPPER, ['R'] = LETTER_UPPER,
    ['S'] = LETTER_UPPER, ['T'] = LETTER_UPPER, ['U'] = LETTER_UPPER, ['V'] = LETTER_UPPER,
    ['W'] = LETTER_UPPER, ['X'] = LETTER_UPPER, ['Y'] = LETTER_UPPER, ['Z'] = LETTER_UPPER,
    ['0'] = LETTER_LOWER, ['1'] = LETTER_LOWER, ['2'] = LETTER_LOWER, ['3'] = LETTER_LOWER,
    ['4'] = LETTER_LOWER, ['5'] = LETTER_LOWER, ['6'] = LETTER_LOWER, ['7'] = LETTER_LOWER,
    ['8'] = LETTER_LOWER, ['9'] = LETTER_LOWER, ['-'] = LETTER_LOWER, ['.'] = HOST | PATH | QUERY | SCHEME,
    ['+'] = SAFE | SCHEME, ['_'] = SAFE | HOST, ['~'] = SAFE, ['!'] = SAFE, ['$'] = SAFE, ['&'] = SAFE,
    ['('] = SAFE, [')'] = SAFE, ['*'] = SAFE, [','] = SAFE, [';'] = SAFE, ['='] = SAFE, [':'] = SAFE,
    ['@'] = SAFE, ['/'] = SAFE, ['%'] = PATH | QUERY, ['\''] = PATH | IDLE, ['?'] = QUERY,
};

bool parse_base(Base *base, const uint8_t *text, size_t size)
{
    if (size > 8 && !memcmp(text, "https://", 8))
        base->scheme = 6;
    else if (size > 7 && !memcmp(text, "http://", 7))
        base->scheme = 5;
    else
        return false;
    const uint8_t *fragment = memchr(text, '#', size);
    if (fragment != NULL)
        size = (size_t)(fragment - text);
    for (size_t i = 0; i < size; i++)
        if (text[i] <= ' ' || text[i] >= 0x7F)
            return false;
    const uint8_t *query = memchr(text, '?', size);
    base->text = text;
    base->size = size;
    base->path = query == NULL ? size : (size_t)(query - text);
    size_t at = base->scheme + 2;
    while (at < base->path && text[at] != '/')
        at++;
    if (at == base->path || at == base->scheme + 2)
        return false;
    base->authority = at;
    base->directory = base->path;
    while (text[base->directory - 1] != '/')
        base->directory--;
    return true;
}

/* Whether this is an IPv4 address as the host serialiser writes it: four decimal bytes. */
static bool is_ipv4(const uint8_t *text, size_t length)
{
    int parts = 0;
    for (size_t at = 0; at <= length; at++) {
        size_t start = at;
        unsigned value = 0;
        while (at < length && is_digit(text[at]) && at - start < 4)
            value = value * 10 + (unsigned)(text[at++] - '0');
        if (at == start || value > 255 || (at - start > 1 && text[start] == '0'))
            return false;
        if (at < length && text[at] != '.')
            return false;
        parts++;
    }
    return parts == 4;
}

/* Whether a host of plain bytes serialises as it is written (the host parser has nothing to map or to refuse). */
static bool is_plain_host(const uint8_t *text, size_t length)
{
    if (length == 0 || length > 253)
        return false;
    size_t label = 0;
    for (size_t at = 0; at <= length; at++)
        if (at == length || text[at] == '.') {
            size_t size = at - label;
            if (size == 0 || size > 63 || (size > 3 && text[label + 2] == '-' && text[label + 3] == '-'))
                return false;
            if (text[label] == '-' || text[at - 1] == '-')
                return false;
            if (at < length)
                label = at + 1;
        }
    /* A last label that begins with a digit may be a number, which makes the host an address. */
    return !is_digit(text[label]) || is_ipv4(text, length);
}

/* Whether ":port" serialises as it is written. */
static bool is_plain_port(const uint8_t *text, size_t length, bool secure)
{
    if (length < 2 || length > 6 || text[1] == '0')
        return false;
    unsigned port = 0;
    for (size_t i = 1; i < length; i++) {
        if (!is_digit(text[i]))
            return false;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    return port <= 65535 && port != (secure ? 443 : 80);
}

/* "Path state" from a '/' that is written already: copies segments, removing dots. `floor` is where the path
 * begins; *size is how much there is, and is set to where a query, a fragment or the end is. The new end of the
 * output, or NULL for what is odd. */
static uint8_t *put_path(const uint8_t *path, size_t *size, uint8_t *floor, uint8_t *out)
{
    bool dots = false;
    size_t length = *size;
    for (size_t i = 0; i < length; i++) {
        uint8_t c = path[i];
        if (KIND[c] & IDLE)
            continue;
        if (!(KIND[c] & PATH)) {
            if (c != '?' && c != '#')
                return NULL;
            length = i;
            break;
        }
        if (c == '.')
            dots |= i == 0 || path[i - 1] == '/';
        else if (c == '%' && length - i > 2 && path[i + 1] == '2' && (path[i + 2] | 0x20) == 'e')
            return NULL; /* an escaped dot is a dot */
    }
    *size = length;
    if (!dots) {
        memcpy(out, path, length);
        return out + length;
    }
    for (size_t at = 0; at < length;) {
        const uint8_t *slash = memchr(path + at, '/', length - at);
        size_t segment = slash == NULL ? length - at : (size_t)(slash - path) - at;
        if (segment == 2 && path[at] == '.' && path[at + 1] == '.') {
            if (out - floor > 1) {
                uint8_t *last = out - 1;
                for (out--; out[-1] != '/'; out--)
                    continue;
                if (last - out == 2 && out[1] == ':' && is_letter(out[0]))
                    return NULL; /* the URL library keeps what looks like a drive letter */
            }
        }
        else if (!(segment == 1 && path[at] == '.')) {
            memcpy(out, path + at, segment + (slash != NULL));
            out += segment + (slash != NULL);
        }
        at += segment + (slash != NULL);
    }
    return out;
}

/* What begins with a '?', a '#' or is empty, up to the fragment. */
static uint8_t *put_query(const uint8_t *query, size_t length, uint8_t *out)
{
    for (size_t i = 0; i < length; i++)
        if (!(KIND[query[i]] & QUERY)) {
            if (query[i] != '#')
                return NULL;
            length = i;
        }
    memcpy(out, query, length);
    return out + length;
}

static uint8_t *put_base(const Base *base, size_t length, uint8_t *out)
{
    memcpy(out, base->text, length);
    return out + length;
}

static size_t index_of(const uint8_t *text, size_t length, uint8_t c)
{
    const uint8_t *found = memchr(text, c, length);
    return found == NULL ? length : (size_t)(found - text);
}

/* What follows an authority, which is written already up to `out`. */
static Resolution below_authority(
    const uint8_t *rest, size_t length, uint8_t *start, uint8_t *out, size_t *out_length)
{
    uint8_t *floor = out;
    *out++ = '/';
    size_t stop = 0;
    if (length && rest[0] == '/') {
        stop = length - 1;
        out = put_path(rest + 1, &stop, floor, out);
        stop++;
    }
    if (out != NULL)
        out = put_query(rest + stop, length - stop, out);
    if (out == NULL)
        return ODD;
    *out_length = (size_t)(out - start);
    return RESOLVED;
}

/* What follows "scheme:" and begins with "//": the authority up to the path. `out` stands after "scheme:". */
static Resolution with_authority(
    const uint8_t *rest, size_t length, bool secure, uint8_t *start, uint8_t *out, size_t *out_length)
{
    size_t host = 2;
    unsigned kinds = 0;
    for (; host < length && KIND[rest[host]] & (HOST | UPPER); host++)
        kinds |= KIND[rest[host]];
    size_t stop = host;
    if (stop < length && rest[stop] == ':')
        for (stop++; stop < length && is_digit(rest[stop]);)
            stop++;
    if (stop < length && rest[stop] != '/' && rest[stop] != '?' && rest[stop] != '#')
        return ODD;
    if (stop > host && !is_plain_port(rest + host, stop - host, secure))
        return ODD;
    memcpy(out, rest, stop);
    if (kinds & UPPER)
        for (size_t i = 2; i < host; i++)
            out[i] = lower(out[i]);
    if (!is_plain_host(out + 2, host - 2))
        return ODD;
    return below_authority(rest + stop, length - stop, start, out + stop, out_length);
}

/* How long the scheme is that a reference begins with, 0 if there is none. */
static size_t scheme_of(const uint8_t *text, size_t length)
{
    if (length == 0 || !is_letter(text[0]))
        return 0;
    size_t at = 1;
    while (at < length && KIND[text[at]] & SCHEME)
        at++;
    return at < length && text[at] == ':' ? at : 0;
}

Resolution resolve(const Base *base, const uint8_t *reference, size_t length, uint8_t *out, size_t *out_length)
{
    while (length && reference[0] <= ' ') {
        reference++;
        length--;
    }
    while (length && reference[length - 1] <= ' ')
        length--;
    size_t scheme = scheme_of(reference, length);
    uint8_t *start = out;
    if (scheme) {
        bool secure = scheme == 5 && same_word(reference, 5, "https");
        if (!secure && !(scheme == 4 && same_word(reference, 4, "http")))
            return DROPPED;
        if (length < scheme + 3 || reference[scheme + 1] != '/' || reference[scheme + 2] != '/')
            return ODD;
        memcpy(out, secure ? "https:" : "http:", scheme + 1);
        return with_authority(
            reference + scheme + 1, length - scheme - 1, secure, start, out + scheme + 1, out_length);
    }
    if (length > 1 && reference[0] == '/' && reference[1] == '/') {
        out = put_base(base, base->scheme, out);
        return with_authority(reference, length, base->scheme == 6, start, out, out_length);
    }
    size_t query = 0;
    if (length == 0 || reference[0] == '#')
        out = put_base(base, base->size, out);
    else if (reference[0] == '?')
        out = put_base(base, base->path, out);
    else {
        bool absolute = reference[0] == '/';
        out = put_base(base, absolute ? base->authority + 1 : base->directory, out);
        query = length - absolute;
        out = put_path(reference + absolute, &query, start + base->authority, out);
        query += absolute;
    }
    if (out != NULL)
        out = put_query(reference + query, length - query, out);
    if (out == NULL)
        return ODD;
    *out_length = (size_t)(out - start);
    return RESOLVED;
}

Resolution resolve_below(
    const uint8_t *reference, size_t length, size_t origin, uint8_t *out, size_t *out_length)
{
    while (reference[length - 1] <= ' ')
        length--;
    memcpy(out, reference, origin);
    return below_authority(reference + origin, length - origin, out, out + origin, out_length);
}

#define MOST_PAIRS 64

static bool is_before(const uint8_t *one, size_t one_length, const uint8_t *other, size_t other_length)
{
    size_t shared = one_length < other_length ? one_length : other_length;
    int order = memcmp(one, other, shared);
    return order < 0 || (order == 0 && one_length < other_length);
}

bool sorted_query(const uint8_t *url, size_t length, uint8_t *out)
{
    struct {
        const uint8_t *text;
        size_t length;
        size_t name;
    } pairs[MOST_PAIRS];
    size_t at = index_of(url, length, '?');
    at += at < length;
    memcpy(out, url, at);
    out += at;
    size_t count = 0;
    while (at <= length) {
        if (count == MOST_PAIRS)
            return false;
        size_t size = index_of(url + at, length - at, '&');
        size_t name = index_of(url + at, size, '=');
        size_t place = count++;
        for (; place && is_before(url + at, name, pairs[place - 1].text, pairs[place - 1].name); place--)
            pairs[place] = pairs[place - 1];
        pairs[place].text = url + at;
        pairs[place].length = size;
        pairs[place].name = name;
        at += size + 1;
    }
    for (size_t i = 0; i < count; i++) {
        if (i)
            *out++ = '&';
        memcpy(out, pairs[i].text, pairs[i].length);
        out += pairs[i].length;
    }
    return true;
}
