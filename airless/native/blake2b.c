/* BLAKE2b with a digest of eight bytes and no key. Source: RFC 7693 §3 (the names are its). */

#include "speed.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define FOUR_AT_ONCE
#include <immintrin.h>
#endif

#define BLOCK BLAKE2B_BLOCK
/* The first word of the parameter block: no key, a digest of eight bytes. */
#define PARAMETERS (0x01010000 ^ 8)

static const uint64_t IV[8] = {
    UINT64_C(0x6A09E667F3BCC908), UINT64_C(0xBB67AE8584CAA73B), UINT64_C(0x3C6EF372FE94F82B),
    UINT64_C(0xA54FF53A5F1D36F1), UINT64_C(0x510E527FADE682D1), UINT64_C(0x9B05688C2B3E6C1F),
    UINT64_C(0x1F83D9ABFB41BD6B), UINT64_C(0x5BE0CD19137E2179),
};

static const uint8_t SIGMA[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

static inline uint64_t rotate_right(uint64_t value, int bits)
{
    return value >> bits | value << (64 - bits);
}

/* Written out, as compilers know this for one load. */
static inline uint64_t little_endian(const uint8_t *at)
{
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24
           | (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56;
}

/* A digest's eight bytes, read as a big-endian number. */
static inline uint64_t big_endian(uint64_t word)
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number = number << 8 | (word >> 8 * i & 0xFF);
    return number;
}

static inline void G(uint64_t *a, uint64_t *b, uint64_t *c, uint64_t *d, uint64_t x, uint64_t y)
{
    *a = *a + *b + x;
    *d = rotate_right(*d ^ *a, 32);
    *c = *c + *d;
    *b = rotate_right(*b ^ *c, 24);
    *a = *a + *b + y;
    *d = rotate_right(*d ^ *a, 16);
    *c = *c + *d;
    *b = rotate_right(*b ^ *c, 63);
}

static void F(uint64_t *h, const uint8_t *block, uint64_t offset, bool last)
{
    uint64_t m[16];
    for (int i = 0; i < 16; i++)
        m[i] = little_endian(block + 8 * i);
    /* No array, and unrolled, so that the compiler knows all places and keeps what it can in registers: a
     * quarter less time. */
    uint64_t v0 = h[0], v1 = h[1], v2 = h[2], v3 = h[3], v4 = h[4], v5 = h[5], v6 = h[6], v7 = h[7];
    uint64_t v8 = IV[0], v9 = IV[1], v10 = IV[2], v11 = IV[3], v12 = IV[4] ^ offset, v13 = IV[5];
    uint64_t v14 = last ? ~IV[6] : IV[6], v15 = IV[7];
#pragma GCC unroll 12
    for (int round = 0; round < 12; round++) {
        const uint8_t *s = SIGMA[round % 10];
        G(&v0, &v4, &v8, &v12, m[s[0]], m[s[1]]);
        G(&v1, &v5, &v9, &v13, m[s[2]], m[s[3]]);
        G(&v2, &v6, &v10, &v14, m[s[4]], m[s[5]]);
        G(&v3, &v7, &v11, &v15, m[s[6]], m[s[7]]);
        G(&v0, &v5, &v10, &v15, m[s[8]], m[s[9]]);
        G(&v1, &v6, &v11, &v12, m[s[10]], m[s[11]]);
        G(&v2, &v7, &v8, &v13, m[s[12]], m[s[13]]);
        G(&v3, &v4, &v9, &v14, m[s[14]], m[s[15]]);
    }
    h[0] ^= v0 ^ v8;
    h[1] ^= v1 ^ v9;
    h[2] ^= v2 ^ v10;
    h[3] ^= v3 ^ v11;
    h[4] ^= v4 ^ v12;
    h[5] ^= v5 ^ v13;
    h[6] ^= v6 ^ v14;
    h[7] ^= v7 ^ v15;
}

uint64_t blake2b_64(const uint8_t *text, size_t length)
{
    uint64_t h[8];
    memcpy(h, IV, sizeof h);
    h[0] ^= PARAMETERS;
    uint64_t offset = 0;
    for (; length - offset > BLOCK; offset += BLOCK)
        F(h, text + offset, offset + BLOCK, false);
    uint8_t last[BLOCK] = {0};
    memcpy(last, text + offset, length - offset);
    F(h, last, length, true);
    return big_endian(h[0]);
}

#if defined(FOUR_AT_ONCE)

#define TARGET __attribute__((target("avx2")))

typedef struct {
    __m256i by_24;
    __m256i by_16;
} Rotations;

TARGET static inline void G4(
    const Rotations *rotations, __m256i *a, __m256i *b, __m256i *c, __m256i *d, __m256i x, __m256i y)
{
    *a = _mm256_add_epi64(_mm256_add_epi64(*a, *b), x);
    *d = _mm256_shuffle_epi32(_mm256_xor_si256(*d, *a), _MM_SHUFFLE(2, 3, 0, 1));
    *c = _mm256_add_epi64(*c, *d);
    *b = _mm256_shuffle_epi8(_mm256_xor_si256(*b, *c), rotations->by_24);
    *a = _mm256_add_epi64(_mm256_add_epi64(*a, *b), y);
    *d = _mm256_shuffle_epi8(_mm256_xor_si256(*d, *a), rotations->by_16);
    *c = _mm256_add_epi64(*c, *d);
    *b = _mm256_xor_si256(*b, *c);
    *b = _mm256_or_si256(_mm256_srli_epi64(*b, 63), _mm256_add_epi64(*b, *b));
}

/* Words `word` to `word + 3` of the four texts: into each vector one word of all of them. */
TARGET static inline void load_words(const Blake2bTexts *texts, int word, __m256i *m)
{
    __m256i row[4];
    for (int i = 0; i < 4; i++)
        row[i] = _mm256_loadu_si256((const __m256i *)(texts->blocks[i] + 8 * word));
    __m256i low01 = _mm256_unpacklo_epi64(row[0], row[1]), high01 = _mm256_unpackhi_epi64(row[0], row[1]);
    __m256i low23 = _mm256_unpacklo_epi64(row[2], row[3]), high23 = _mm256_unpackhi_epi64(row[2], row[3]);
    m[word] = _mm256_permute2x128_si256(low01, low23, 0x20);
    m[word + 1] = _mm256_permute2x128_si256(high01, high23, 0x20);
    m[word + 2] = _mm256_permute2x128_si256(low01, low23, 0x31);
    m[word + 3] = _mm256_permute2x128_si256(high01, high23, 0x31);
}

/* F of the last, and only, block of four texts. */
TARGET static void digest_four(const Blake2bTexts *texts, uint64_t *digests)
{
    const Rotations rotations = {
        _mm256_setr_epi8(3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10,
                         3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10),
        _mm256_setr_epi8(2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9,
                         2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9)};
    __m256i m[16], v[16];
    for (int word = 0; word < 16; word += 4)
        load_words(texts, word, m);
    for (int i = 0; i < 8; i++)
        v[i] = v[i + 8] = _mm256_set1_epi64x((long long)IV[i]);
    const __m256i first = v[0] = _mm256_xor_si256(v[0], _mm256_set1_epi64x(PARAMETERS));
    v[12] = _mm256_xor_si256(v[12], _mm256_loadu_si256((const __m256i *)texts->lengths));
    v[14] = _mm256_xor_si256(v[14], _mm256_set1_epi64x(-1));
#pragma GCC unroll 12
    for (int round = 0; round < 12; round++) {
        const uint8_t *s = SIGMA[round % 10];
        G4(&rotations, &v[0], &v[4], &v[8], &v[12], m[s[0]], m[s[1]]);
        G4(&rotations, &v[1], &v[5], &v[9], &v[13], m[s[2]], m[s[3]]);
        G4(&rotations, &v[2], &v[6], &v[10], &v[14], m[s[4]], m[s[5]]);
        G4(&rotations, &v[3], &v[7], &v[11], &v[15], m[s[6]], m[s[7]]);
        G4(&rotations, &v[0], &v[5], &v[10], &v[15], m[s[8]], m[s[9]]);
        G4(&rotations, &v[1], &v[6], &v[11], &v[12], m[s[10]], m[s[11]]);
        G4(&rotations, &v[2], &v[7], &v[8], &v[13], m[s[12]], m[s[13]]);
        G4(&rotations, &v[3], &v[4], &v[9], &v[14], m[s[14]], m[s[15]]);
    }
    uint64_t h[4];
    _mm256_storeu_si256((__m256i *)h, _mm256_xor_si256(first, _mm256_xor_si256(v[0], v[8])));
    for (int i = 0; i < 4; i++)
        digests[i] = big_endian(h[i]);
}

#endif

void blake2b_add(Blake2bTexts *texts, const uint8_t *text, size_t length)
{
    uint8_t *block = texts->blocks[texts->count];
    memcpy(block, text, length);
    memset(block + length, 0, BLOCK - length);
    texts->lengths[texts->count++] = length;
}

void blake2b_64_all(Blake2bTexts *texts, uint64_t *digests)
{
    size_t count = texts->count;
#if defined(FOUR_AT_ONCE)
    if (count > 1 && __builtin_cpu_supports("avx2")) {
        uint64_t four[4];
        for (size_t i = count; i < 4; i++)
            blake2b_add(texts, texts->blocks[0], 0);
        texts->count = 0;
        digest_four(texts, four);
        memcpy(digests, four, count * sizeof *four);
        return;
    }
#endif
    texts->count = 0;
    for (size_t i = 0; i < count; i++)
        digests[i] = blake2b_64(texts->blocks[i], texts->lengths[i]);
}
