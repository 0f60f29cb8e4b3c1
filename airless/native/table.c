/* Bounded memory of 64-bit hashes. A hash that was forgotten reads as new, one that is held never does. */

#include "speed.h"

#define LEAST_ROOM 64

#if defined(__linux__)
#include <sys/mman.h>
#define HUGE_PAGE ((size_t)1 << 21)
#endif

static uint64_t mix(uint64_t value)
{
    value ^= value >> 32;
    value *= UINT64_C(0x9FB21C651E98DF25);
    return value ^ value >> 29;
}

uint64_t hash_bytes(const uint8_t *text, size_t length, uint64_t seed)
{
    uint64_t one = seed ^ length * UINT64_C(0x9E3779B97F4A7C15);
    uint64_t other = ~seed;
    uint64_t word[2];
    for (; length >= 16; text += 16, length -= 16) {
        memcpy(word, text, 16);
        one = (one ^ word[0]) * UINT64_C(0xD6E8FEB86659FD93);
        other = (other ^ word[1]) * UINT64_C(0xCA9B0C7EBA1DA115);
        one ^= one >> 32;
        other ^= other >> 32;
    }
    word[0] = word[1] = 0;
    if (length >= 8) { /* the two overlap, which takes no loop; the length is in the hash already */
        memcpy(&word[0], text, 8);
        memcpy(&word[1], text + length - 8, 8);
    }
    else if (length >= 4) {
        memcpy(&word[0], text, 4);
        memcpy(&word[1], text + length - 4, 4);
    }
    else if (length) {
        word[0] = text[0];
        word[1] = (uint64_t)text[length / 2] << 8 | text[length - 1];
    }
    return mix(mix(one ^ word[0]) + mix(mix(other) ^ word[1]) * UINT64_C(0x9E3779B97F4A7C15));
}

static bool has(const Generation *generation, uint64_t hash)
{
    if (generation->room == 0)
        return false;
    for (size_t at = hash & (generation->room - 1);; at = (at + 1) & (generation->room - 1)) {
        if (generation->slots[at] == hash)
            return true;
        if (generation->slots[at] == 0)
            return false;
    }
}

static void place(uint64_t *slots, size_t room, uint64_t hash)
{
    size_t at = hash & (room - 1);
    while (slots[at])
        at = (at + 1) & (room - 1);
    slots[at] = hash;
}

/* Free slots, of which a large table is looked up all over: in huge pages the processor finds them sooner. */
static uint64_t *new_slots(size_t room)
{
    uint64_t *slots = PyMem_Calloc(room, sizeof(uint64_t));
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (slots != NULL && room * sizeof(uint64_t) >= HUGE_PAGE) {
        uintptr_t from = ((uintptr_t)slots + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
        uintptr_t to = (uintptr_t)(slots + room) & ~(uintptr_t)(HUGE_PAGE - 1);
        if (to > from)
            (void)madvise((void *)from, to - from, MADV_HUGEPAGE); /* where it is refused nothing is lost */
    }
#endif
    return slots;
}

static bool grow(Generation *generation)
{
    size_t room = generation->room ? generation->room * 2 : LEAST_ROOM;
    uint64_t *slots = new_slots(room);
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < generation->room; i++)
        if (generation->slots[i])
            place(slots, room, generation->slots[i]);
    PyMem_Free(generation->slots);
    generation->slots = slots;
    generation->room = room;
    return true;
}

int memory_add(HashMemory *memory, uint64_t hash)
{
    hash += hash == 0; /* 0 marks a free slot */
    if (has(&memory->young, hash))
        return 0;
    bool known = has(&memory->old, hash);
    if (memory->young.count >= memory->limit) {
        PyMem_Free(memory->old.slots);
        memory->old = memory->young;
        memory->young = (Generation){NULL, 0, 0};
    }
    Generation *young = &memory->young;
    if ((young->count + 1) * 4 > young->room * 3 && !grow(young))
        return -1;
    place(young->slots, young->room, hash);
    young->count++;
    return !known;
}

static void prefetch(const Generation *generation, uint64_t hash)
{
#if defined(__GNUC__)
    if (generation->room)
        __builtin_prefetch(&generation->slots[hash & (generation->room - 1)]);
#else
    (void)generation;
    (void)hash;
#endif
}

void memory_prefetch(const HashMemory *memory, uint64_t hash)
{
    prefetch(&memory->young, hash);
    prefetch(&memory->old, hash);
}

void memory_free(HashMemory *memory)
{
    PyMem_Free(memory->young.slots);
    PyMem_Free(memory->old.slots);
    memory->young = memory->old = (Generation){NULL, 0, 0};
}

size_t memory_bytes(const HashMemory *memory)
{
    return (memory->young.room + memory->old.room) * sizeof(uint64_t);
}
