// locald-shim executes OCI bundles. It is meant to be installed set-user-ID root: for a caller who is
// not root it does what internal/privilege lists, in that order, and is an ordinary process of the
// caller's from then on. It never writes a config.json of its own and knows no workload.
//
//	locald-shim bundle run --bundle DIR --id ID [--pid-file FILE] [--console-socket PATH] [--status-fd N] [--dry-run]
//	locald-shim [GLOBAL FLAGS] create|start|state|kill|delete|run|exec|list|ps|pause|resume|update|events|features|spec …
//	locald-shim --version
//
// The first is locald's, with its own way of telling errors (status.go). The others are the command line of OCI
// runtimes, for podman, containerd and Docker (command.go).
//
// The settings below switch off what the runtime does at its start for long-running servers: it looks for a CPU
// limit of its cgroup, keeps that file open and reads it again each second.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
package main

import (
	"os"

	_ "github.com/locald/locald/internal/stack"
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

const usage = `see locald-shim --help`

const help = `locald-shim runs containers from OCI bundles.

  locald-shim create  [--bundle DIR] [--pid-file FILE] [--console-socket PATH] ID
  locald-shim start   ID
  locald-shim run     [--bundle DIR] [--detach] [--keep] ID
  locald-shim exec    [--process FILE | --cwd DIR --env K=V --user UID[:GID] …] [--detach] ID [COMMAND…]
  locald-shim kill    [--all] ID [SIGNAL]
  locald-shim delete  [--force] ID
  locald-shim state   ID
  locald-shim list    [--format table|json] [--quiet]
  locald-shim ps      [--format table|json] ID
  locald-shim pause   ID
  locald-shim resume  ID
  locald-shim events  [--stats] [--interval 5s] ID
  locald-shim features
  locald-shim spec    [--rootless] > config.json
  locald-shim update  [--resources FILE|- | --memory 512M --pids-limit N …] ID

  locald-shim bundle run --bundle DIR --id ID [--pid-file FILE] [--console-socket PATH] [--status-fd N] [--dry-run]

Flags before the command: --root DIR, --log FILE, --log-format text|json, --debug, --version.

An example, with a config.json and a rootfs in the current directory:

  locald-shim run web; locald-shim list

The man page locald-shim(8) has all of it.
`
