/* Bounded memory of 64-bit hashes. A hash that was forgotten reads as new, one that is held never does.
 *
 * Each has one bucket, a line of the processor's caches, where the last to come stands first: to look a hash up is to
 * wait for one line, which can be asked for ahead, and to forget one is to push it out. */

#include "speed.h"

#define WAYS 8
#define LINE_BYTES (WAYS * sizeof(uint64_t))
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

/* The bucket in which a hash stands, if it does. */
static uint64_t *bucket_of(const HashMemory *memory, uint64_t hash)
{
    return memory->slots + (hash & (memory->room / WAYS - 1)) * WAYS;
}

/* Where it stands there, or WAYS: without a branch for each place, since any is as likely. */
static unsigned find(const uint64_t *bucket, uint64_t hash)
{
    unsigned found = 1u << WAYS;
    for (unsigned i = 0; i < WAYS; i++)
        found |= (unsigned)(bucket[i] == hash) << i;
#if defined(__GNUC__)
    return (unsigned)__builtin_ctz(found);
#else
    unsigned at = 0;
    while (!(found >> at & 1))
        at++;
    return at;
#endif
}

/* Puts a hash in front of the first `before` of a bucket. */
static void put_first(uint64_t *bucket, uint64_t hash, unsigned before)
{
    memmove(bucket + 1, bucket, before * sizeof *bucket);
    bucket[0] = hash;
}

/* Free slots, a bucket in a line of the processor's caches. They are looked up all over: in huge pages the processor
 * finds them sooner. */
static bool allocate(HashMemory *memory, size_t room)
{
    size_t bytes = room * sizeof(uint64_t);
    memory->block = PyMem_Calloc(1, bytes + LINE_BYTES);
    if (memory->block == NULL)
        return false;
    memory->slots = (uint64_t *)(((uintptr_t)memory->block + LINE_BYTES - 1) & ~(uintptr_t)(LINE_BYTES - 1));
    memory->room = room;
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (bytes >= HUGE_PAGE) {
        uintptr_t from = ((uintptr_t)memory->slots + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
        uintptr_t to = (uintptr_t)(memory->slots + room) & ~(uintptr_t)(HUGE_PAGE - 1);
        if (to > from)
            (void)madvise((void *)from, to - from, MADV_HUGEPAGE); /* where it is refused nothing is lost */
    }
#endif
    return true;
}

/* Twice the buckets: what stood in one stands in one of two, in the same order. */
static bool grow(HashMemory *memory)
{
    HashMemory former = *memory;
    if (!allocate(memory, former.room ? former.room * 2 : LEAST_ROOM)) {
        *memory = former;
        return false;
    }
    for (size_t i = former.room; i-- > 0;)
        if (former.slots[i])
            put_first(bucket_of(memory, former.slots[i]), former.slots[i], WAYS - 1);
    PyMem_Free(former.block);
    return true;
}

int memory_add(HashMemory *memory, uint64_t hash)
{
    hash += hash == 0; /* 0 marks a free slot */
    if (memory->room == 0 && !grow(memory))
        return -1;
    uint64_t *bucket = bucket_of(memory, hash);
    unsigned at = find(bucket, hash);
    if (at < WAYS) {
        if (at >= WAYS / 2) /* it was not asked for lately, and would be forgotten soon */
            put_first(bucket, hash, at);
        return 0;
    }
    while (bucket[WAYS - 1] && memory->room / 2 < memory->limit) {
        if (!grow(memory))
            return -1;
        bucket = bucket_of(memory, hash);
    }
    memory->count += !bucket[WAYS - 1];
    put_first(bucket, hash, WAYS - 1);
    return 1;
}

void memory_prefetch(const HashMemory *memory, uint64_t hash)
{
    if (memory->room)
        prefetch(bucket_of(memory, hash));
}

void memory_free(HashMemory *memory)
{
    PyMem_Free(memory->block);
    memory->block = NULL;
    memory->slots = NULL;
    memory->room = memory->count = 0;
}

size_t memory_bytes(const HashMemory *memory)
{
    return memory->room * sizeof(uint64_t);
}
