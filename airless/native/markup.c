/* The smaller machines of the HTML tokenizer. Source: HTML standard §13.2.5. */

#include "speed.h"
#include "near.h"

static const uint8_t UNQUOTED_END[256] = {
    ['\t'] = 1, ['\n'] = 1, ['\f'] = 1, ['\r'] = 1, [' '] = 1, ['>'] = 1,
};

AttributeStep any_attribute(const uint8_t **at, const uint8_t *end, Attribute *attribute)
{
    const uint8_t *p = *at;
    for (;; p++) {
        if (p == end)
            return INPUT_END;
        if (*p == '>') {
            *at = p + 1;
            return TAG_END;
        }
        if (*p == '/') {
            if (end - p > 1 && p[1] == '>') {
                *at = p + 2;
                return TAG_END_SELF_CLOSING;
            }
        }
        else if (!is_space(*p))
            break;
    }
    attribute->name = p++; /* a '=' here belongs to the name */
    while (p < end && !NAME_END[*p])
        p++;
    attribute->name_length = (uint32_t)(p - attribute->name);
    attribute->value = p;
    attribute->value_length = 0;
    while (p < end && is_space(*p))
        p++;
    if (p == end)
        return INPUT_END;
    if (*p != '=') {
        *at = p;
        return ATTRIBUTE;
    }
    p++;
    while (p < end && is_space(*p))
        p++;
    if (p == end)
        return INPUT_END;
    if (*p == '"' || *p == '\'') {
        const uint8_t *quote = find_near(p + 1, end, *p);
        if (quote == NULL)
            return INPUT_END;
        attribute->value = p + 1;
        attribute->value_length = (uint32_t)(quote - p - 1);
        *at = quote + 1;
        return ATTRIBUTE;
    }
    attribute->value = p;
    while (p < end && !UNQUOTED_END[*p])
        p++;
    attribute->value_length = (uint32_t)(p - attribute->value);
    *at = p;
    return ATTRIBUTE;
}

const uint8_t *skip_to_gt(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *gt = memchr(at, '>', (size_t)(end - at));
    return gt == NULL ? end : gt + 1;
}

const uint8_t *skip_comment(const uint8_t *at, const uint8_t *end)
{
    if (at < end && *at == '>')
        return at + 1;
    if (end - at > 1 && at[0] == '-' && at[1] == '>')
        return at + 2;
    for (const uint8_t *gt = at; (gt = memchr(gt, '>', (size_t)(end - gt))) != NULL; gt++) {
        if (gt - at >= 2 && gt[-1] == '-' && gt[-2] == '-')
            return gt + 1;
        if (gt - at >= 3 && gt[-1] == '!' && gt[-2] == '-' && gt[-3] == '-')
            return gt + 1;
    }
    return end;
}

const uint8_t *skip_cdata(const uint8_t *at, const uint8_t *end)
{
    for (const uint8_t *gt = at; (gt = memchr(gt, '>', (size_t)(end - gt))) != NULL; gt++)
        if (gt - at >= 2 && gt[-1] == ']' && gt[-2] == ']')
            return gt + 1;
    return end;
}

/* Whether `at`, which follows "</", is an end tag of that name. */
static bool names(const uint8_t *at, const uint8_t *end, const char *name, size_t length)
{
    if ((size_t)(end - at) <= length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (lower(at[i]) != (uint8_t)name[i])
            return false;
    return is_space(at[length]) || at[length] == '/' || at[length] == '>';
}

const uint8_t *find_end_tag(const uint8_t *at, const uint8_t *end, const char *name, size_t length)
{
    for (; (at = memchr(at, '<', (size_t)(end - at))) != NULL; at++)
        if (end - at > 1 && at[1] == '/' && names(at + 2, end, name, length))
            return at;
    return NULL;
}

static bool ends_escape(const uint8_t *at, const uint8_t *end)
{
    return end - at > 2 && at[0] == '-' && at[1] == '-' && at[2] == '>';
}

/* The script data states from "script data escape start" on. `at` is the first '-' of "<!--"; the answer is
 * the '<' of the end tag, or NULL; where the escape ends before it, *resume is set to what follows. */
static const uint8_t *escaped_script(const uint8_t *at, const uint8_t *end, const uint8_t **resume)
{
    bool doubly = false;
    while (at < end) {
        if (ends_escape(at, end)) {
            *resume = at + 3;
            return NULL;
        }
        if (*at++ != '<' || at == end)
            continue;
        bool closing = *at == '/';
        if (closing && !doubly && names(at + 1, end, "script", 6))
            return at - 1;
        if (closing == doubly && names(at + closing, end, "script", 6)) {
            doubly = !doubly;
            at += closing + 7;
        }
    }
    *resume = end;
    return NULL;
}

const uint8_t *find_script_end(const uint8_t *at, const uint8_t *end)
{
    while ((at = memchr(at, '<', (size_t)(end - at))) != NULL) {
        if (end - at > 1 && at[1] == '/' && names(at + 2, end, "script", 6))
            return at;
        if (end - at > 3 && at[1] == '!' && at[2] == '-' && at[3] == '-') {
            const uint8_t *found = escaped_script(at + 2, end, &at);
            if (found != NULL)
                return found;
        }
        else
            at++;
    }
    return NULL;
}

bool has_token(const uint8_t *text, size_t length, const char *word)
{
    size_t i = 0;
    while (i < length) {
        while (i < length && is_space(text[i]))
            i++;
        size_t start = i;
        while (i < length && !is_space(text[i]))
            i++;
        if (i > start && same_word(text + start, i - start, word))
            return true;
    }
    return false;
}
