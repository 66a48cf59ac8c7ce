/* simd.h - kernels that the compiler vectorises: one source, built for the x86-64 baseline and for AVX2, chosen at load
 * time. SIMD_KERNEL stands before each function that touches every sample.
 *
 * Off where the choice at load time can't work: under sanitizers (the resolver runs before their runtime), with compilers
 * without target_clones, on other processors. AVX2 brings no fused multiply-add, so that both give the same bits.
 */
#ifndef PIXFS_SIMD_H
#define PIXFS_SIMD_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SIMD_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SIMD_SANITIZED 1
#endif
#endif

#if defined(__x86_64__) && defined(__has_attribute) && !defined(SIMD_SANITIZED) && defined(__gnu_linux__)
#if __has_attribute(target_clones)
#define SIMD_KERNEL __attribute__((target_clones("avx2", "default")))
#endif
#endif
#ifndef SIMD_KERNEL
#define SIMD_KERNEL
#endif

/* Where intrinsics are had, for functions with a target of their own: ask __builtin_cpu_supports before the call. */
#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define SIMD_X86 1
#endif

/* gcc vectorises fully at -O3 only, branches of floats only where no trap is asked for, and (14) choices that follow each other
 * only where it doesn't thread them into paths of their own; clang at -O2. Stands after the includes of a file of kernels. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__) && !defined(SIMD_SANITIZED)
#define SIMD_OPTIMIZE _Pragma("GCC optimize (\"O3\", \"no-trapping-math\", \"no-thread-jumps\")")
#else
#define SIMD_OPTIMIZE
#endif

#endif
