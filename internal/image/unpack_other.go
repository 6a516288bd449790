//go:build !linux

package image

// UnpackMain runs in a container, of which there are none here.
func UnpackMain([]string, Decompressor) int { return 1 }
