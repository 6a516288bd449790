package cgroup

import "golang.org/x/sys/unix"

// V2 is the cgroup2 tree of the host, held open, for a look at one cgroup after another. Close it.
type V2 struct{ root int }

// OpenV2 opens the tree whose mount point is mount or a directory of it, as Look finds it. Where it cannot be opened,
// nothing is in it.
func OpenV2(mount string) V2 {
	root, err := openRoot(LookV2(mount))
	if err != nil {
		return V2{-1}
	}
	return V2{root}
}

// Close lets go of the tree.
func (t V2) Close() {
	if t.root >= 0 {
		unix.Close(t.root)
	}
}

// Frozen is Cgroup.Frozen for the cgroup of a path.
func (t V2) Frozen(path string) bool {
	if t.root < 0 || CheckPath(path) != "" {
		return false
	}
	return frozen(t.root, path[1:]+"/")
}
