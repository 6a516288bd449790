/*
 * spawn starts a program, waits for it and reports what it cost.
 *
 *	spawn [-n TOTAL] [-j PARALLEL] PROGRAM [ARG...]
 *
 * In every ARG "{slot}" becomes the number of the slot (0..PARALLEL-1) and
 * "{seq}" the number of the run (0..TOTAL-1). On descriptor 3 it writes one line
 * per run, in the order in which they ended,
 *
 *	NANOSECONDS WAIT_STATUS MAXRSS_KB MINOR_FAULTS CPU_MICROSECONDS
 *
 * and, with -n, a last line "total NANOSECONDS".
 *
 * It is a program of its own, and small, for two reasons. vfork from a large
 * process is cheap, but the peak memory that wait4 reports for the child starts at
 * the parent's resident size (exec_mmap folds the old mm's high water mark into
 * signal->maxrss), so a Go parent would hide what a small child uses. And no
 * runtime, collector or scheduler runs between the two readings of the clock.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SLOTS = 64, MAX_ARGS = 64, MAX_ARG = 512, REPORT = 3 };

struct slot {
	pid_t pid;
	long long start;
	char *argv[MAX_ARGS + 1];
	char text[MAX_ARGS][MAX_ARG];
};

static struct slot slots[MAX_SLOTS];

static void die(const char *what)
{
	dprintf(2, "spawn: %s: %s\n", what, strerror(errno));
	exit(125);
}

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* fill writes the arguments of one run into its slot: before the clock starts. */
static void fill(struct slot *s, int slot, int seq, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		const char *in = argv[i];
		size_t n = 0;

		while (*in && n < MAX_ARG - 12) {
			if (!strncmp(in, "{slot}", 6)) {
				n += sprintf(s->text[i] + n, "%d", slot);
				in += 6;
			} else if (!strncmp(in, "{seq}", 5)) {
				n += sprintf(s->text[i] + n, "%d", seq);
				in += 5;
			} else {
				s->text[i][n++] = *in++;
			}
		}
		if (*in) {
			errno = E2BIG;
			die(argv[i]);
		}
		s->text[i][n] = 0;
		s->argv[i] = s->text[i];
	}
	s->argv[argc] = NULL;
}

static void start(struct slot *s)
{
	extern char **environ;
	pid_t pid;

	s->start = now();
	pid = vfork();
	if (pid < 0)
		die("vfork");
	if (pid == 0) {
		execve(s->argv[0], s->argv, environ);
		_exit(127);
	}
	s->pid = pid;
}

/* finish waits for any run, reports it and returns its slot. */
static int finish(int parallel)
{
	struct rusage u;
	int status;
	pid_t pid = wait4(-1, &status, 0, &u);
	long long end = now();

	if (pid < 0)
		die("wait4");
	for (int i = 0; i < parallel; i++) {
		if (slots[i].pid != pid)
			continue;
		slots[i].pid = 0;
		dprintf(REPORT, "%lld %d %ld %ld %lld\n", end - slots[i].start, status, u.ru_maxrss, u.ru_minflt,
			(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000LL + u.ru_utime.tv_usec + u.ru_stime.tv_usec);
		return i;
	}
	errno = ECHILD;
	die("an unknown child ended");
	return -1;
}

int main(int argc, char **argv)
{
	int total = 1, parallel = 1, summary = 0, opt, begun = 0;
	long long begin;

	while ((opt = getopt(argc, argv, "+n:j:")) != -1) {
		if (opt == 'n') {
			total = atoi(optarg);
			summary = 1;
		} else if (opt == 'j') {
			parallel = atoi(optarg);
		} else {
			return 125;
		}
	}
	argc -= optind;
	argv += optind;
	if (argc < 1 || argc > MAX_ARGS || total < 1 || parallel < 1 || parallel > MAX_SLOTS) {
		errno = EINVAL;
		die("usage: spawn [-n TOTAL] [-j PARALLEL] PROGRAM [ARG...]");
	}
	if (fcntl(REPORT, F_SETFD, FD_CLOEXEC) < 0)
		die("descriptor 3");

	begin = now();
	for (; begun < parallel && begun < total; begun++) {
		fill(&slots[begun], begun, begun, argc, argv);
		start(&slots[begun]);
	}
	for (int ended = 0; ended < total; ended++) {
		int i = finish(parallel);

		if (begun < total) {
			fill(&slots[i], i, begun++, argc, argv);
			start(&slots[i]);
		}
	}
	if (summary)
		dprintf(REPORT, "total %lld\n", now() - begin);
	return 0;
}
