/* What of the tree builder is followed: whether the head is still open, where in a table its content stands.
 * Source: HTML standard §13.2.6.4.
 */

#include "speed.h"
#include "tags.h"

/* ---- the head ---------------------------------------------------------------------------------------- */

HeadState head_after_start_tag(HeadState head, uint64_t tag)
{
    if (tag == TAG_HTML)
        return head;
    if (head == BEFORE_HEAD)
        head = IN_HEAD;
    switch (tag) {
    case TAG_HEAD:
    case TAG_BASEFONT:
    case TAG_BGSOUND:
    case TAG_LINK:
    case TAG_META:
    case TAG_NOFRAMES:
    case TAG_STYLE:
        return head;
    case TAG_BASE:
    case TAG_TITLE:
    case TAG_SCRIPT:
    case TAG_TEMPLATE:
        if (head == IN_HEAD_NOSCRIPT)
            head = IN_HEAD;
        return head;
    case TAG_NOSCRIPT:
        if (head == IN_HEAD)
            head = IN_HEAD_NOSCRIPT;
        else if (head == AFTER_HEAD)
            head = BODY;
        return head;
    default:
        return BODY;
    }
}

HeadState head_after_end_tag(HeadState head, uint64_t tag)
{
    bool ends_head = tag == TAG_BODY || tag == TAG_HTML || tag == TAG_BR;
    if (head == IN_HEAD_NOSCRIPT) {
        if (tag == TAG_NOSCRIPT)
            head = IN_HEAD;
        else if (tag == TAG_BR)
            head = BODY;
    }
    else if (ends_head)
        head = BODY;
    else if (tag == TAG_HEAD)
        head = AFTER_HEAD;
    return head;
}

/* ---- tables ------------------------------------------------------------------------------------------ */

/* What is found in a gap of a table has another place in the tree than in the text. */
bool is_moved(const Tables *tables)
{
    return tables->depth && tables->places[tables->depth - 1] == GAP;
}

bool table_start_tag(Tables *tables, uint64_t tag)
{
    if (tag == TAG_TABLE) {
        if (is_moved(tables))
            tables->depth--; /* a table in a gap of another ends that */
        if (tables->depth == TABLE_DEPTH)
            return false;
        tables->places[tables->depth++] = GAP;
    }
    else if (tables->depth) {
        TablePlace place = GAP;
        if (tag == TAG_TD)
            place = CELL_TD;
        else if (tag == TAG_TH)
            place = CELL_TH;
        else if (tag == TAG_CAPTION)
            place = CAPTION;
        tables->places[tables->depth - 1] = (uint8_t)place;
    }
    return true;
}

void table_end_tag(Tables *tables, uint64_t tag)
{
    if (tables->depth == 0)
        return;
    uint8_t *place = &tables->places[tables->depth - 1];
    switch (tag) {
    case TAG_TABLE:
        tables->depth--;
        break;
    case TAG_TD:
        if (*place == CELL_TD)
            *place = GAP;
        break;
    case TAG_TH:
        if (*place == CELL_TH)
            *place = GAP;
        break;
    case TAG_CAPTION:
        if (*place == CAPTION)
            *place = GAP;
        break;
    case TAG_TR:
    case TAG_TBODY:
    case TAG_THEAD:
    case TAG_TFOOT:
        if (*place != CAPTION)
            *place = GAP; /* where it is ignored this is too careful, no more */
        break;
    default:
        break;
    }
}

/* ---- templates --------------------------------------------------------------------------------------- */

/* Whether the tag lets a link that is open in a template outlive it: formatting elements before a marker stay
 * in their list, and out of scope an end tag is ignored. Source: HTML standard §13.2.4.3. */
bool keeps_link_open(uint64_t tag)
{
    switch (tag) {
    case TAG_APPLET:
    case TAG_CAPTION:
    case TAG_MARQUEE:
    case TAG_OBJECT:
    case TAG_TABLE:
    case TAG_TD:
    case TAG_TEMPLATE:
    case TAG_TH:
        return true;
    default:
        return false;
    }
}
