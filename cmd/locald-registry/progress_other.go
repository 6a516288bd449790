//go:build !linux

package main

import (
	"os"

	"github.com/locald/locald/internal/registry"
)

func progress(*os.File) registry.Progress { return nil }
