package sys

// open(2) flags whose values differ between architectures (x86: asm-generic/fcntl.h).
const (
	O_DIRECTORY = 0x10000
	O_NOFOLLOW  = 0x20000
)
