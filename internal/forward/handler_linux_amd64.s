#include "textflag.h"

// The kernel enters with the signal's number in DI and, on the stack, the address of restore.
TEXT ·onSignal(SB),NOSPLIT|NOFRAME,$0
	PUSHQ DI
	MOVQ  ·pipe(SB), DI
	MOVQ  SP, SI
	MOVL  $1, DX
	MOVL  $1, AX // write
	SYSCALL
	POPQ  DI
	RET

TEXT ·restore(SB),NOSPLIT|NOFRAME,$0
	MOVL $15, AX // rt_sigreturn
	SYSCALL
	INT  $3

TEXT ·handlerAddress(SB),NOSPLIT,$0-8
	LEAQ ·onSignal(SB), AX
	MOVQ AX, ret+0(FP)
	RET

TEXT ·restoreAddress(SB),NOSPLIT,$0-8
	LEAQ ·restore(SB), AX
	MOVQ AX, ret+0(FP)
	RET
