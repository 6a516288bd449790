/*
 * The C floor: what a container costs when a program does nothing but the system
 * calls. It reads no configuration and makes no decision; the child's calls come
 * from program.h, which the benchmark writes from the listing of locald-shim's own
 * Program for the benchmark's bundle, and the parent's are those of locald-shim's
 * for a root caller.
 *
 *	floor BUNDLE CGROUP_DIRECTORY
 *	cc -O2 -static -I DIR_OF_PROGRAM_H -o floor floor.c
 *
 * With -DTRACE the child prints, on standard output and before it executes the
 * program, how many nanoseconds each op took: "NUMBER NANOSECONDS" a line. The
 * parent's clone3 is op -1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "program.h"

static const char zeros[64];

/* A pointer as the register it is passed in. */
#define P(x) ((long)(x))

/* Debian 12's headers are older than these. */
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

static inline __attribute__((always_inline)) long call(long nr, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long r;

	__asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return r;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = nr, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c,
		      x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
#else
#error "no system call written for this architecture"
#endif
}

static void die(const char *what, long err)
{
	dprintf(2, "floor: %s: %s\n", what, strerror(err));
	_exit(125);
}

#ifdef TRACE
enum { MAX_OPS = 1024 };
static long long stamps[MAX_OPS]; /* [0] before clone3, [1] at the child's start, [n + 2] after op n */

static void stamp(int i)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	stamps[i < MAX_OPS ? i : MAX_OPS - 1] = t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* trace is asked before op n: the last chance to print is before execve. */
static void trace(long nr, int n)
{
	if (nr != SYS_execve)
		return;
	for (int i = 1; i < n + 2 && i < MAX_OPS; i++)
		dprintf(1, "%d %lld\n", i - 2, stamps[i] - stamps[i - 1]);
}
#define NUMBER(nr, ...) nr
#else
#define stamp(i) ((void)0)
#define trace(nr, n) ((void)0)
#endif

/* One op: the call, when its result is good, and where a descriptor goes. */
#define OP(number, keep, good, ...) \
	do { \
		long r; \
		trace(NUMBER(__VA_ARGS__), number); \
		r = call(__VA_ARGS__); \
		stamp(number + 2); \
		if (!(good)) \
			die("op " #number, -r); \
		keep; \
	} while (0);

/* A function of its own: with CLONE_VM it runs on the parent's stack, below the
 * frame that the parent comes back to. */
static __attribute__((noinline, noreturn)) void child(int bundle, int parent)
{
	long s[SLOTS];

	stamp(1);
	PROGRAM
	die("the program", ENOEXEC);
	_exit(125);
}

int main(int argc, char **argv)
{
	int bundle, cgroup, parent, pidfd = -1;
	siginfo_t info;
	sigset_t all, old;
	long pid;

	if (argc != 3)
		die("usage: floor BUNDLE CGROUP_DIRECTORY", EINVAL);
	bundle = open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (bundle < 0)
		die(argv[1], errno);
	parent = syscall(SYS_pidfd_open, getpid(), 0);
	if (parent < 0)
		die("pidfd_open", errno);
	if (mkdir(argv[2], 0755) < 0)
		die(argv[2], errno);
	cgroup = open(argv[2], O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (cgroup < 0)
		die(argv[2], errno);

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	{
		struct clone_args args = {
			.flags = CLONE_FLAGS | CLONE_PIDFD | CLONE_INTO_CGROUP | CLONE_CLEAR_SIGHAND,
			.pidfd = (__u64)(unsigned long)&pidfd,
			.exit_signal = SIGCHLD,
			.cgroup = cgroup,
		};

		stamp(0);
		pid = call(SYS_clone3, P(&args), sizeof args, 0, 0, 0, 0);
		if (pid == 0)
			child(bundle, parent);
	}
	if (pid < 0)
		die("clone3", -pid);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (waitid(P_PIDFD, pidfd, &info, WEXITED) < 0)
		die("waitid", errno);
	if (rmdir(argv[2]) < 0)
		die(argv[2], errno);
	return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}
