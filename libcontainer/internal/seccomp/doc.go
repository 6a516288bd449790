// Package seccomp compiles linux.seccomp of the runtime specification to a filter for seccomp(2): a program of
// classic BPF that sees the number, the architecture and the six arguments of a system call, and answers with
// an action.
//
// It is pure: no system call is made and no host is looked at. The filters are tested by running them.
//
// Where the specification leaves a question open, the answer is that of libseccomp, to whose header it refers,
// since that is what profiles have been written for:
//
//   - the machine's own architecture is always among the allowed ones; a call of any other than those listed kills
//     the process;
//   - of the rules for one call, one without arguments beats those with arguments, and the first beats the others;
//   - a rule whose action is the default action says nothing;
//   - if two conditions of one rule look at the same argument, each condition is a rule of its own;
//   - names that no architecture has are skipped: profiles name calls of newer kernels;
//   - a program of 32 bits passes arguments of 32 bits, whatever lies in the upper halves of the registers.
//
// Three answers are our own. Of several rules with arguments that match, the least permissive one applies, as
// with several filters (seccomp(2)); libseccomp leaves that to its own order. The calls that share socketcall(2) or
// ipc(2) on some architectures are found in there as well, by their number, unless the profile speaks of those two
// by name; as the other arguments are in memory, which no filter reads, a rule with arguments applies to all calls
// of its kind when it is stricter than the default action, and to none when it is more permissive. And when
// the default action refuses, calls that are newer than every one that the profile names get ENOSYS, as in runc:
// programs that try a new call first then fall back to an old one, which EPERM would keep them from.
//
// The files in reading order: profile.go checks the words of a profile, arch.go knows the architectures, tables.go their
// system calls, compile.go decides what happens to each number, and emit.go writes that down as a search tree.
package seccomp
