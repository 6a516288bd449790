#include "textflag.h"

// The kernel enters with the signal's number in R0 and the address of its own return in R30.
TEXT ·onSignal(SB),NOSPLIT|NOFRAME,$0
	SUB  $16, RSP
	MOVD R0, (RSP)
	MOVD ·pipe(SB), R0
	MOVD RSP, R1
	MOVD $1, R2
	MOVD $64, R8 // write
	SVC
	ADD  $16, RSP
	RET

TEXT ·restore(SB),NOSPLIT|NOFRAME,$0
	MOVD $139, R8 // rt_sigreturn
	SVC
	BRK

TEXT ·handlerAddress(SB),NOSPLIT,$0-8
	MOVD $·onSignal(SB), R0
	MOVD R0, ret+0(FP)
	RET

TEXT ·restoreAddress(SB),NOSPLIT,$0-8
	MOVD $·restore(SB), R0
	MOVD R0, ret+0(FP)
	RET
