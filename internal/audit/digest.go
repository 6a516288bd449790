package audit

import (
	"encoding/binary"
	"math/bits"
)

// digest is SHA-256 (FIPS 180-4). The standard library's brings a self-test that runs at the start of every program that is
// linked with it, and the helper starts for every container.
func digest(text []byte) (sum [32]byte) {
	state, k := initial()
	for rest := text; len(rest) >= 64; rest = rest[64:] {
		block(&state, &k, rest)
	}
	var last [128]byte
	n := copy(last[:], text[len(text)&^63:])
	last[n] = 0x80
	end := 64
	if n >= 56 {
		end = 128
	}
	binary.BigEndian.PutUint64(last[end-8:], uint64(len(text))*8)
	for at := 0; at < end; at += 64 {
		block(&state, &k, last[at:])
	}
	for i, w := range state {
		binary.BigEndian.PutUint32(sum[4*i:], w)
	}
	return sum
}

// initial are the first 32 bits of the fractional parts of the square roots of the first 8 primes, and of the cube roots
// of the first 64: computed, because a table of them could hold a mistake that nobody sees.
func initial() (state [8]uint32, k [64]uint32) {
	n := 0
	for p := uint64(2); n < len(k); p++ {
		if !prime(p) {
			continue
		}
		if n < len(state) {
			state[n] = fraction(func(x uint64) bool { return notMore(p, x, 2) })
		}
		k[n] = fraction(func(x uint64) bool { return notMore(p, x, 3) })
		n++
	}
	return state, k
}

func prime(p uint64) bool {
	for d := uint64(2); d*d <= p; d++ {
		if p%d == 0 {
			return false
		}
	}
	return true
}

// fraction is the part below the point of the largest x/2^32 that fits.
func fraction(fits func(x uint64) bool) uint32 {
	x := uint64(0)
	for bit := uint64(1) << 36; bit > 0; bit >>= 1 {
		if fits(x | bit) {
			x |= bit
		}
	}
	return uint32(x)
}

// notMore says whether (x/2^32)^power is at most p.
func notMore(p, x uint64, power int) bool {
	hi, lo := bits.Mul64(x, x) // less than 2^74
	if power == 2 {
		return hi < p || hi == p && lo == 0
	}
	high, low := bits.Mul64(lo, x)
	high += hi * x // x^3 = high*2^64 + low, to be compared with p*2^96
	return high>>32 < p || high>>32 == p && high&0xffffffff == 0 && low == 0
}

// block is one round of 64 bytes.
func block(state *[8]uint32, k *[64]uint32, text []byte) {
	var w [64]uint32
	for i := range 16 {
		w[i] = binary.BigEndian.Uint32(text[4*i:])
	}
	for i := 16; i < 64; i++ {
		a, b := w[i-15], w[i-2]
		w[i] = w[i-16] + w[i-7] + (bits.RotateLeft32(a, -7) ^ bits.RotateLeft32(a, -18) ^ a>>3) + (bits.RotateLeft32(b, -17) ^ bits.RotateLeft32(b, -19) ^ b>>10)
	}
	a, b, c, d, e, f, g, h := state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7]
	for i := range 64 {
		t := h + (bits.RotateLeft32(e, -6) ^ bits.RotateLeft32(e, -11) ^ bits.RotateLeft32(e, -25)) + (e&f ^ ^e&g) + k[i] + w[i]
		u := (bits.RotateLeft32(a, -2) ^ bits.RotateLeft32(a, -13) ^ bits.RotateLeft32(a, -22)) + (a&b ^ a&c ^ b&c)
		a, b, c, d, e, f, g, h = t+u, a, b, c, d+t, e, f, g
	}
	for i, v := range [8]uint32{a, b, c, d, e, f, g, h} {
		state[i] += v
	}
}
