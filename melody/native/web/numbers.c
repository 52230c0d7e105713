// What the core needs in a browser besides itself: random numbers as numpy draws them, and memory for what comes in.
//
// Philox 4x64 of ten rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") as numpy's `Philox`
// counts it: the counter goes up by one before each four numbers.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../core/export.h"
#include "../core/sampler.h"

typedef struct {
  uint64_t counter[4], key[2], made[4];
  uint32_t half;  // the second half of a number of which the first was used
  int used, has_half;
} Numbers;

static void multiply(uint64_t a, uint64_t b, uint64_t *high, uint64_t *low) {
  unsigned __int128 product = (unsigned __int128)a * b;
  *high = (uint64_t)(product >> 64);
  *low = (uint64_t)product;
}

static void make_four(Numbers *numbers) {
  uint64_t x[4], key[2], high[2], low[2];
  for (int i = 0; i < 4 && ++numbers->counter[i] == 0; i++) continue;
  memcpy(x, numbers->counter, sizeof x);
  memcpy(key, numbers->key, sizeof key);
  for (int round = 0; round < 10; round++) {
    multiply(0xD2E7470EE14C6C93u, x[0], &high[0], &low[0]);
    multiply(0xCA5A826395121157u, x[2], &high[1], &low[1]);
    x[0] = high[1] ^ x[1] ^ key[0];
    x[2] = high[0] ^ x[3] ^ key[1];
    x[1] = low[1];
    x[3] = low[0];
    key[0] += 0x9E3779B97F4A7C15u;
    key[1] += 0xBB67AE8584CAA73Bu;
  }
  memcpy(numbers->made, x, sizeof x);
  numbers->used = 0;
}

static uint64_t next_word(Numbers *numbers) {
  if (numbers->used == 4) make_four(numbers);
  return numbers->made[numbers->used++];
}

static uint32_t next_half(Numbers *numbers) {
  if (numbers->has_half) {
    numbers->has_half = 0;
    return numbers->half;
  }
  uint64_t word = next_word(numbers);
  numbers->has_half = 1;
  numbers->half = (uint32_t)(word >> 32);
  return (uint32_t)word;
}

// The numbers of a take, as `melody.generation.seeds` has them; the seed in two halves.
EXPORT Numbers *numbers_new(uint32_t seed_low, uint32_t seed_high, uint32_t take, uint32_t stream) {
  Numbers *numbers = calloc(1, sizeof *numbers);
  if (!numbers) return NULL;
  numbers->counter[3] = stream;
  numbers->key[0] = (uint64_t)seed_high << 32 | seed_low;
  numbers->key[1] = take;
  numbers->used = 4;
  return numbers;
}

// A number in [0, 1).
EXPORT double numbers_next(void *state) { return (double)(next_word(state) >> 11) * (1.0 / 9007199254740992.0); }

// A whole number below `count` (1 to 2^32 - 1), without bias: Lemire 2019, "Fast random integer generation".
EXPORT uint32_t numbers_below(Numbers *numbers, uint32_t count) {
  if (count == 1) return 0;
  uint64_t product = (uint64_t)next_half(numbers) * count;
  uint32_t least = (0u - count) % count;
  while ((uint32_t)product < least) product = (uint64_t)next_half(numbers) * count;
  return (uint32_t)(product >> 32);
}

// A whole number up to `most`, without bias, as numpy's `permutation` draws where it swaps: masked, and drawn again.
EXPORT uint32_t numbers_up_to(Numbers *numbers, uint32_t most) {
  uint32_t mask = most, value;
  for (int shift = 1; shift < 32; shift *= 2) mask |= mask >> shift;
  if (!most) return 0;
  do value = next_half(numbers) & mask;
  while (value > most);
  return value;
}

EXPORT NextDouble numbers_function(void) { return numbers_next; }

EXPORT void *room_new(uint32_t bytes) { return calloc(1, bytes); }

EXPORT void room_free(void *room) { free(room); }
