// locald-shim executes OCI bundles. It is meant to be installed set-user-ID root: for a caller who is
// not root it does what internal/privilege lists, in that order, and is an ordinary process of the
// caller's from then on. It never writes a config.json and knows no workload.
//
//	locald-shim bundle run --bundle DIR --id ID [--pid-file FILE] [--console-socket PATH] [--status-fd N] [--dry-run]
//	locald-shim --version
//
// The settings below switch off what the runtime does at its start for long-running servers: it looks for a CPU
// limit of its cgroup, keeps that file open and reads it again each second.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
package main

import (
	"os"
)

// version is set by the linker.
var version = "0.1.0-dev"

func main() { os.Exit(run(os.Args)) }

// Exit codes when the container's process did not run (docker's convention).
const (
	exitNotRun    = 125 // this program, the bundle or the host is in the way
	exitNotExec   = 126 // found, but it cannot be executed
	exitNotFound  = 127
	exitUsageHint = "usage: locald-shim bundle run --bundle DIR --id ID [--pid-file FILE] [--console-socket PATH] [--status-fd N] [--dry-run]"
)
