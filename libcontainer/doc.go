// Package libcontainer runs containers from OCI bundles on Linux. It is what locald-shim is made of, and
// it is a library: pure Go, no cgo, no helper process, no other program.
//
// # The way of a container
//
// A container goes through five steps, each of which hands the next a plain value:
//
//	Open      directory -> Bundle: the directory held open, config.json read once     (open_linux.go)
//	Validate  Spec -> []Problem: everything that is wrong, or not supported           (validate*.go)
//	LookHost  this machine and this process -> Host                                   (host*.go)
//	Compile   Spec and Host -> Program: the system calls to make, in order            (compile*.go)
//	Run       Program -> a running process; then Wait                                 (run_linux.go)
//
// Run's container dies with its maker. In place of Run, Create (of CompileCreate's Program) makes one that is on its
// own: Start lets it go, Load finds it again, Exec adds a process, Kill, Pause, Resume and Update do what they say,
// Delete removes it (start_linux.go, load_linux.go, exec_linux.go, control_linux.go, delete_linux.go).
//
// Compile is pure: the same config.json and Host give the same Program on any system. A Program is a list
// of system calls with their arguments, and prints itself (Program.String): that listing is the dry run,
// the golden test and what a security review reads. It has no branches and no loops. An op may keep a
// returned descriptor in a slot for later ops, may tolerate a few errors, and may demand an exact result; that
// is all. Every op knows the part of config.json that asked for it, so an error can name it:
//
//	mount tmpfs on /data (config.json /mounts/4): operation not permitted
//
// Run makes one child with clone3(2), in which no Go code but a short loop over raw system calls runs
// (child_unsafe_linux.go), until execve(2) turns it into the user's program. There is no second stage, no
// message protocol and no re-execution of this program. Its own file is for the program to protect: what the container
// executes may be a link to /proc/self/exe, and who can write that file inside can change it (CVE-2019-5736). Only a
// user namespace in which the file's owner has no id, or a file that cannot be written, keeps it; see locald-shim.
//
// # Descriptors, not paths
//
// What lies outside the container is opened once, with the caller's rights, and is a descriptor from
// then on; what lies inside is resolved by the kernel within the container's root (openat2(2) with
// RESOLVE_IN_ROOT and RESOLVE_NO_MAGICLINKS). No path is resolved twice.
//
// # Privilege
//
// The package knows nothing of set-user-ID. It runs with the rights of its process: root makes any
// container; anybody else makes one in a user namespace, within what the kernel allows. A set-user-ID program
// uses Container.Privilege to raise what a few steps need, for as long as they take.
//
// # What it will not do
//
// It writes no config.json and changes none. It has no logger and prints nothing. It does not skip what it
// cannot do: Validate refuses it. Capabilities that cannot be given are the one exception, which the specification
// demands: Program.Warnings names them. It needs Linux 5.14, and answers ErrPlatform elsewhere.
package libcontainer
