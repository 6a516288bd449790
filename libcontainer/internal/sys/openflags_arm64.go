package sys

// open(2) flags whose values differ between architectures (arch/arm64/include/uapi/asm/fcntl.h).
const (
	O_DIRECTORY = 0x4000
	O_NOFOLLOW  = 0x8000
)
