/* SPDX-License-Identifier: Apache-2.0 */
/* Short sequences whose cycles were counted by hand: test_cortex_m4.py has the numbers. Each is
 * called once, with r0 the address of a word that holds its own address, and with a stack. */
  .syntax unified
  .thumb
  .text

  .macro fragment name
  .balign 4
  .global fragment_\name
  .type fragment_\name, %function
  .thumb_func
fragment_\name:
  .endm

  .macro fragment_end name
  .size fragment_\name, . - fragment_\name
  .endm

fragment data_processing
  add r1, r2, r3
  mul r1, r2, r3
  smlad r1, r2, r3, r1
  smull r1, r2, r3, r0
  ssat16 r1, 8, r2
  bx lr
fragment_end data_processing

fragment load
  ldr r1, [r0]
  bx lr
fragment_end load

fragment loads_in_a_row
  ldr r1, [r0]
  ldrb r2, [r0]
  ldr r3, [r0, #4]
  bx lr
fragment_end loads_in_a_row

fragment load_from_loaded_address
  ldr r1, [r0]
  ldr r2, [r1]
  bx lr
fragment_end load_from_loaded_address

fragment load_between_others
  ldr r1, [r0]
  nop
  ldr r2, [r0]
  bx lr
fragment_end load_between_others

fragment pairs
  ldrd r1, r2, [r0]
  strd r1, r2, [r0]
  bx lr
fragment_end pairs

fragment multiple
  ldm r0, {r1, r2, r3}
  stm r0, {r1, r2, r3}
  push {r1, r2}
  pop {r1, r2}
  bx lr
fragment_end multiple

fragment stores
  ldr r1, [r0]
  str r1, [r0]
  str r1, [r0]
  bx lr
fragment_end stores

fragment register_offset_store
  movs r2, #0
  str r0, [r0, r2]
  bx lr
fragment_end register_offset_store

fragment register_offset_store_behind_load
  movs r2, #0
  nop
  ldr r1, [r0, r2]
  str r1, [r0, r2]
  bx lr
fragment_end register_offset_store_behind_load

fragment load_behind_store
  str r0, [r0]
  ldr r1, [r0]
  bx lr
fragment_end load_behind_store

fragment computed_address
  add r1, r0, #0
  ldr r2, [r1]
  add r1, r0, #0
  str r2, [r1]
  bx lr
fragment_end computed_address

fragment compared_address
  cmp r0, #0
  ldr r2, [r0]
  bx lr
fragment_end compared_address

/* The wide load stands at 2 of 4. */
fragment misplaced_load
  ldr r1, [r0]
  ldr.w r2, [r0, #4]
  bx lr
fragment_end misplaced_load

fragment well_placed_load
  nop
  ldr r1, [r0]
  ldr.w r2, [r0, #4]
  bx lr
fragment_end well_placed_load

fragment unaligned_access
  ldr.w r1, [r0, #1]
  nop
  ldrh.w r1, [r0, #3]
  bx lr
fragment_end unaligned_access

fragment taken_branch
  b 1f
  nop
1:
  bx lr
fragment_end taken_branch

fragment branch_not_taken
  cmp r0, #0
  beq 1f
  cbz r0, 1f
1:
  bx lr
fragment_end branch_not_taken

fragment loop
  movs r1, #5
1:
  subs r1, #1
  bne 1b
  bx lr
fragment_end loop

/* The target stands at 2 of 4 and has 32 bits. */
fragment misplaced_target
  b 1f
  nop
  nop
1:
  add.w r8, r0, #0
  bx lr
fragment_end misplaced_target

fragment call
  push {r4, lr}
  bl fragment_callee
  pop {r4, lr}
  bx lr
fragment_end call

/* As compilers call what they have made of a part of a function. */
  .balign 4
  .thumb_func
fragment_call.part.0:
  bx lr

fragment callee
  bx lr
fragment_end callee

fragment indirect_branch
  adr r1, 1f
  adds r1, #1
  bx r1
  nop
  .balign 4
1:
  bx lr
fragment_end indirect_branch

fragment popped_branch
  adr r1, 1f
  adds r1, #1
  push {r0, r1}
  pop {r2, pc}
  nop
  .balign 4
1:
  bx lr
fragment_end popped_branch

fragment table_branch
  movs r1, #0
  nop
  tbb [pc, r1]
2:
  .byte (1f - 2b) / 2
  .byte 0
1:
  bx lr
fragment_end table_branch

fragment conditional
  cmp r0, #0
  ite ne
  movne r1, #1
  moveq r1, #2
  bx lr
fragment_end conditional

fragment division
  udiv r1, r0, r0
  bx lr
fragment_end division

fragment floating_point
  vldr s0, [r0]
  nop
  vadd.f32 s2, s0, s0
  vmla.f32 s2, s0, s0
  vdiv.f32 s3, s0, s0
  vldmia r0, {s4-s7}
  bx lr
fragment_end floating_point

/* A wide instruction that two pages of the emulator share. */
  .balign 1024
  .space 1016
fragment across_pages
  nop
  nop
  nop
  add.w r8, r0, #0
  nop
  bx lr
fragment_end across_pages
