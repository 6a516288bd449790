#include "textflag.h"

// func prlimit(old *[2]uint64) (result uintptr)
TEXT ·prlimit(SB),NOSPLIT,$0-16
	MOVQ $0, DI
	MOVQ $7, SI
	MOVQ $0, DX
	MOVQ old+0(FP), R10
	MOVQ $302, AX
	SYSCALL
	MOVQ AX, result+8(FP)
	RET
