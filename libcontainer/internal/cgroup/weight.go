package cgroup

import "math"

// cpuWeight converts cpu.shares of cgroup v1 (2 to 262144, by default 1024) to cpu.weight of v2 (1 to
// 10000, by default 100).
//
// Both are logarithmic in use: what counts is the ratio between two cgroups. The conversion is the
// parabola through log(2) -> log(1), log(1024) -> log(100) and log(262144) -> log(10000), so that
// the ends and the defaults of both scales meet. With L = log2(shares) it is
//
//	log10(weight) = (L² + 125 L) / 612 - 7/34
//
// rounded up. runc (since 1.3.2) and crun (since 1.23) use the same curve.
func cpuWeight(shares uint64) uint64 {
	switch {
	case shares <= 2:
		return 1
	case shares >= 1<<18:
		return 10000
	}
	l := math.Log2(float64(shares))
	w := math.Pow(10, (l*l+125*l)/612-7.0/34)
	// 1024 is 100 exactly; the last bit of the logarithm, which differs between architectures, must not make it 101.
	return uint64(math.Ceil(w - 1e-6))
}

// ioWeight converts blkio.weight of cgroup v1 (10 to 1000) to io.weight of v2 (1 to 10000), in a
// straight line.
func ioWeight(weight uint16) uint64 {
	return 1 + (uint64(weight)-10)*9999/990
}
