// Package stack makes room on the main goroutine's stack, once, before anything else runs there. A stack that grows
// in steps of twice the size is copied each time, and each size brings pool memory of its own: some forty page
// faults, which are a good part of what a short program costs. A program imports it for that effect alone.
package stack

func init() { grow(false) }

const room = 48 << 10

// grow has a large frame, for which the runtime makes room at the call.
//
//go:noinline
func grow(use bool) {
	if use { // never
		var frame [room]byte
		touch(&frame)
	}
}

//go:noinline
func touch(frame *[room]byte) { frame[0]++ }
