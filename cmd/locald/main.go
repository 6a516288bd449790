// Locald runs containers for local development. It makes the bundle and hands it to locald-shim.
//
// The settings below switch off what the runtime does at its start for long-running servers: it looks for a
// CPU limit of its cgroup, keeps that file open and reads it again each second.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
package main

import (
	"os"
	"path/filepath"

	"github.com/locald/locald/internal/cli"
	"github.com/locald/locald/internal/files"
	"github.com/locald/locald/internal/first"
	"github.com/locald/locald/internal/hello"
	_ "github.com/locald/locald/internal/stack"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == files.Verb {
		os.Exit(files.Main(os.Args[2:]))
	}
	// In the rootfs of builtin:hello this binary is all there is, and it is called /hello.
	if len(os.Args) > 0 && filepath.Base(os.Args[0]) == "hello" {
		os.Exit(hello.Main(os.Args[1:], os.Stdout, os.Stderr))
	}
	if len(os.Args) > 0 && filepath.Base(os.Args[0]) == first.Name {
		os.Exit(first.Main(os.Args[1:]))
	}
	os.Exit(cli.Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
}
