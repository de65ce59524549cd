/* SPDX-License-Identifier: Apache-2.0 */
/* Lets GCC compile a kernel with -O2 whatever the project's own level is: with -O0 a model takes 20
 * times the instructions else, with -Og 2.3 times (benchmarks/optimization_levels.py).
 * "inline" is said besides, because -O0 keeps to it otherwise. Loops begin at multiples of 4 bytes,
 * which a Cortex-M4 fetches at once: 1.3% of the cycles of MicroNet-M2. The bytes of results are
 * the same.
 *
 * Only .c files of kernels include it, before all else: no code of a user is behind the pragma.
 * -DMICRONET_KEEP_OPTIMIZATION leaves the project's level to the kernels, as to step through them.
 * Other compilers are not asked: clang has no such pragma. */
#ifndef MICRONET_OPTIMIZE_H
#define MICRONET_OPTIMIZE_H

#if defined(__GNUC__) && !defined(__clang__) && !defined(MICRONET_KEEP_OPTIMIZATION)
#pragma GCC optimize("O2,inline,align-loops=4")
#endif

#endif
