package probe

// int80 makes a system call of i386.
func int80(number, a, b, c uintptr) int32
