//go:build !unix

package image

import "os"

func (s *Store) lock(string, bool) (func(), error) { return func() {}, nil }

func holdDir(string, bool) (func(), error) { return func() {}, nil }

func wait(*os.File) error { return nil }
