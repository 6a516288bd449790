// Package container keeps containers that are on their own: a directory for each, what is known of it in two files,
// and a small process beside it, the monitor, which keeps its log and its exit status. There is no daemon: whoever
// finds a container without its monitor starts another one.
//
//	containers/.lock           held while a name is given or a container goes
//	containers/<id>/
//	  container.json           Record, written once
//	  state.json               State, replaced by the monitor
//	  config.json              the bundle is this directory
//	  lock                     held by the monitor; its death frees it
//	  stop                     there when somebody asked for the end
//	  stdout, stderr           named pipes that the container itself holds open
//	  log, log.1, log.2        one JSON object a line
package container
