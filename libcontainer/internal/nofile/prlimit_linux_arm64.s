#include "textflag.h"

// func prlimit(old *[2]uint64) (result uintptr)
TEXT ·prlimit(SB),NOSPLIT,$0-16
	MOVD $0, R0
	MOVD $7, R1
	MOVD $0, R2
	MOVD old+0(FP), R3
	MOVD $261, R8
	SVC
	MOVD R0, result+8(FP)
	RET
