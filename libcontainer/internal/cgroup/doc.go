// Package cgroup creates a container's cgroup, limits it, freezes and kills what is in it and removes it,
// by directory descriptor.
//
// The way of the data is short. [Look] finds where the controllers are and returns a plain value.
// [Compile] turns linux.resources of config.json into a list of [Write]s for that value; it is pure,
// so that the list can be printed and checked on any system. [Create] makes the cgroup and does the
// writes; the [Cgroup] it returns is the container's, until [Cgroup.Remove]. The device list takes a way
// of its own: [CompileDevices] makes a program of it, and [Cgroup.FilterDevices] puts it into force.
// [CompileUpdate] and [Cgroup.Update] do the same for a cgroup that is in use, which [Open] finds by its path.
//
// cgroup v2 is the target. On a host where the controllers are still in cgroup v1 (hybrid and legacy
// hosts) the container's processes are tracked and killed in the v2 tree, which every kernel has,
// and only the limits go to v1 cgroups of the same path.
//
// Paths are taken apart once, name by name, and each name is resolved below a descriptor with
// openat2(2): no symbolic link, no other mount, nothing above the directory it starts from.
//
// The package knows nothing of systemd, of who the caller is, or of processes that it did not find
// in the cgroup. A program that shares its cgroups with a systemd unit wants a delegated directory
// first, and then [CreateAt].
package cgroup
