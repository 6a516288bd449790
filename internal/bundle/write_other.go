//go:build !linux

package bundle

import "os"

// openInRoot refuses an absolute symbolic link where Linux follows it inside rootfs; os.Root has no more.
func openInRoot(rootfs, name string) (*os.File, error) {
	root, err := os.OpenRoot(rootfs)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Open(name)
}
