#include "textflag.h"

// func clone3(args *cloneArgs, size uintptr, state *childState) (result uintptr)
//
// The parent gets the pid or a negative errno. The child never returns to Go: it calls childMain on
// its own stack when args has one (CLONE_VM), else on its copy of this one.
TEXT ·clone3(SB),NOSPLIT,$16-32
	MOVD args+0(FP), R0
	MOVD size+8(FP), R1
	MOVD state+16(FP), R19
	MOVD $435, R8
	SVC
	CBZ  R0, child
	MOVD R0, result+24(FP)
	RET

child:
	SUB  $32, RSP
	MOVD R19, 8(RSP)
	CALL ·childMain(SB)
	BRK
