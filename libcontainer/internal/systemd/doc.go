// Package systemd has systemd make a container's cgroup: a transient scope unit, in a slice, which shows up in
// systemctl(1) and systemd-cgls(1) and takes part in the slice's limits. It asks over D-Bus, with a client of its
// own that knows as much of the protocol as that takes and needs no other program or library.
//
// The way of the data: [ParsePath] reads linux.cgroupsPath, [Properties] translates limits into properties of
// the unit and [Annotations] those that config.json names by itself, all pure. [Connect] reaches the manager of the
// machine or of the user, and [Conn.StartScope] makes the scope and says where its cgroup is. What systemd has no
// property for is written there by package cgroup, as everywhere.
//
// systemd makes a scope around processes that exist, and ends it with the last of them. It needs systemd 247,
// which is older than the kernel that this library needs.
//
// The D-Bus specification is at dbus.freedesktop.org/doc/dbus-specification.html, the manager's interface in
// org.freedesktop.systemd1(5).
package systemd
