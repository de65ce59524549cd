/* SPDX-License-Identifier: Apache-2.0 */
/* Stands before the definition of each function that several models of one program may bring along.
 *
 * Each model's folder has the kernels that it needs. Where a build system compiles the folders of
 * two models into one program, a linker takes the first of equal functions and drops the others. A
 * compiler that knows another word for this gets it by -DMICRONET_SHARED=..., and
 * -DMICRONET_SHARED= makes them common functions, for a program with one model. */
#ifndef MICRONET_SHARED_H
#define MICRONET_SHARED_H

#if !defined(MICRONET_SHARED)
#if defined(__GNUC__)
#define MICRONET_SHARED __attribute__((weak))
#else
#define MICRONET_SHARED
#endif
#endif

#endif
