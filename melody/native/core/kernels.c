#include "kernels.h"

#include <stddef.h>

#if defined(__x86_64__) || defined(_M_X64)
#include <cpuid.h>

static uint64_t enabled_registers(void) {  // that the system saves
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

// By hand: what compilers offer for it does not know AVX-VNNI everywhere.
static int find(const Kernels **found) {
  unsigned a, b, c, d, a7, b7, c7, d7, vnni = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 27)) return 0;  // no OSXSAVE
  if (!__get_cpuid_count(7, 0, &a7, &b7, &c7, &d7)) return 0;
  if (a7 >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) vnni = a & 1u << 4;
  uint64_t saved = enabled_registers();
  unsigned wide = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;  // AVX-512 F, DQ, BW, VL
  int count = 0;
  if ((saved & 0xe6) == 0xe6 && (b7 & wide) == wide && (c7 & 1u << 11)) found[count++] = &avx512_kernels;
  if ((saved & 6) == 6 && (b7 & 1u << 5)) {
    if (vnni) found[count++] = &avxvnni_kernels;
    found[count++] = &avx2_kernels;
  }
  return count;
}
#elif defined(__aarch64__)
static int find(const Kernels **found) {
  found[0] = &neon_kernels;
  return 1;
}
#elif defined(__wasm_simd128__)
static int find(const Kernels **found) {
  found[0] = &wasm_kernels;
  return 1;
}
#else
static int find(const Kernels **found) {
  (void)found;
  return 0;
}
#endif

const Kernels *const *kernels_here(void) {
  static const Kernels *found[5];
  if (found[0]) return found;  // to ask the processor takes long where it is a virtual one
  const Kernels *own[5] = {NULL};
  own[find(own)] = &plain_kernels;
  for (int i = 4; i >= 0; i--) found[i] = own[i];  // the first last: it says that all are there
  return found;
}
