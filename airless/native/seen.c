/* The set of fingerprints: 256 tables of open addressing that grow each by itself, so that no step of growth
 * moves more than a 256th of the set. A table is between 54 % and 75 % full once it holds a few: at most 15
 * bytes an element. */

#include "speed.h"

#define LEAST_ROOM 8

/* Spreads values that crowd together; the top byte chooses the part, 32 bits below it the slot. */
static uint64_t spread(uint64_t value)
{
    value ^= value >> 32;
    value *= UINT64_C(0x9E3779B97F4A7C15);
    return value ^ value >> 31;
}

static uint32_t slot_of(uint64_t mixed, uint32_t room)
{
    return (uint32_t)((mixed >> 24 & UINT32_MAX) * room >> 32);
}

static uint32_t find(const uint64_t *slots, uint32_t room, uint64_t value)
{
    uint32_t at = slot_of(spread(value), room);
    while (slots[at] && slots[at] != value)
        at = at + 1 == room ? 0 : at + 1;
    return at;
}

static bool grow(SeenPart *part)
{
    if (part->room > UINT32_MAX / 2)
        return false;
    uint32_t room = part->room ? part->room + part->room / 8 * 3 : LEAST_ROOM;
    uint64_t *slots = PyMem_Calloc(room, sizeof(uint64_t));
    if (slots == NULL)
        return false;
    for (uint32_t i = 0; i < part->room; i++)
        if (part->slots[i])
            slots[find(slots, room, part->slots[i])] = part->slots[i];
    PyMem_Free(part->slots);
    part->slots = slots;
    part->room = room;
    return true;
}

bool seen_has(const SeenHashes *seen, uint64_t value)
{
    if (value == 0)
        return seen->has_zero;
    const SeenPart *part = &seen->parts[spread(value) >> 56];
    return part->room && part->slots[find(part->slots, part->room, value)] == value;
}

int seen_add(SeenHashes *seen, uint64_t value)
{
    if (value == 0) {
        bool is_new = !seen->has_zero;
        seen->has_zero = true;
        seen->count += is_new;
        return is_new;
    }
    SeenPart *part = &seen->parts[spread(value) >> 56];
    uint32_t at = 0;
    if (part->room) {
        at = find(part->slots, part->room, value);
        if (part->slots[at] == value)
            return 0;
    }
    if (((uint64_t)part->count + 1) * 4 > (uint64_t)part->room * 3) {
        if (!grow(part))
            return -1;
        at = find(part->slots, part->room, value);
    }
    part->slots[at] = value;
    part->count++;
    seen->count++;
    return 1;
}

void seen_prefetch(const SeenHashes *seen, uint64_t value)
{
    uint64_t mixed = spread(value);
    const SeenPart *part = &seen->parts[mixed >> 56];
    if (part->room)
        prefetch(&part->slots[slot_of(mixed, part->room)]);
}

void seen_free(SeenHashes *seen)
{
    for (int i = 0; i < SEEN_PARTS; i++)
        PyMem_Free(seen->parts[i].slots);
}

size_t seen_bytes(const SeenHashes *seen)
{
    size_t bytes = sizeof *seen;
    for (int i = 0; i < SEEN_PARTS; i++)
        bytes += seen->parts[i].room * sizeof(uint64_t);
    return bytes;
}
