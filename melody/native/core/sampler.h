// From logits to a token: temperature, top-k, nucleus and min-p, in this order, as in `melody.generation.sampling`.
#ifndef MELODY_SAMPLER_H
#define MELODY_SAMPLER_H
#include "kernels.h"
#include "vocabulary.h"

typedef struct {
  double temperature, top_p, min_p;  // temperature 0: greedy; top_p 1, min_p 0: off
  int32_t top_k;                     // 0: off
} Sampling;

typedef double (*NextDouble)(void *state);  // of numpy's bit generator, in [0, 1)

// The token drawn among those that the mask (TOKENS) leaves; exactly one number is used, unless the choice is greedy or
// there is none.
int choose(const float *logits, const uint8_t *mask, const Sampling *sampling, NextDouble next, void *state);

// -ln p of a token, of the lawful ones (TOKENS) alone.
double nats_of(const Kernels *kernels, const float *logits, const uint8_t *lawful, int token);

// ln of the sum of e^logits of the tokens in the mask.
double mass_of(const float *logits, const uint8_t *mask);

// e^x for x of 0 or less, the same on all processors; 0 below -700.
double exponential(double x);

// ln x for x of 1 or more, the same on all processors.
double logarithm(double x);

#endif
