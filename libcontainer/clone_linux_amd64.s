#include "textflag.h"

// func clone3(args *cloneArgs, size uintptr, state *childState) (result uintptr)
//
// The parent gets the pid or a negative errno. The child never returns to Go: it calls childMain on
// its own stack when args has one (CLONE_VM), else on its copy of this one.
TEXT ·clone3(SB),NOSPLIT,$16-32
	MOVQ args+0(FP), DI
	MOVQ size+8(FP), SI
	MOVQ state+16(FP), R12
	MOVQ $435, AX
	SYSCALL
	TESTQ AX, AX
	JZ   child
	MOVQ AX, result+24(FP)
	RET

child:
	ANDQ $~15, SP
	SUBQ $32, SP
	MOVQ R12, 0(SP)
	CALL ·childMain(SB)
	INT  $3
