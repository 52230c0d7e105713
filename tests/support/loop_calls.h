// What the core exports and no header of it declares.
#include <stdint.h>

#include "../../melody/native/core/reader.h"
#include "../../melody/native/core/rules.h"
#include "../../melody/native/core/sampler.h"
#include "../../melody/native/core/step.h"

typedef struct Loop Loop;
int vocabulary_fill(void);
Model *model_new(int kernels, int width, int layers, int channels, int vocabulary, int places, const int32_t *table,
                 const int32_t *place, const int32_t *first);
int model_matrix(Model *model, int which, int outputs, int blocks, int bits, const uint8_t *values,
                 const float *scales, const float *bias);
int model_intervals(Model *model, int references, int pitches, int first_pitch, const int32_t *columns,
                    const int32_t *first, const int16_t *places, int values);
const char *model_kernels(const Model *model);
int reader_replan(Reader *reader, const FormPlan *form, const Chords *chords);
int loop_read(const Model *model, Reader *reader, const int32_t *tokens, int count, float *carry, float *states,
              int16_t *contexts, float *logits);
Loop *loop_new(const Model *model, const Rule *rules, int rule_count, const Sampling *sampling, Ask ask, int rows,
               const Reader *const *readers, const float *carries, const float *logits, void *const *next,
               void *const *states);
int loop_run(Loop *loop, int steps, int until_note, int32_t *tokens, double *nats);
int loop_goes_on(const Loop *loop);
void *numbers_new(uint32_t seed_low, uint32_t seed_high, uint32_t take, uint32_t stream);
NextDouble numbers_function(void);
