/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workload that is timed: open_probe CPU MILLISECONDS OPENS CALLS OTHER SEEN
 *
 * Pins itself to CPU, then in turn, until the time is over: OPENS times open+close of OTHER, OPENS
 * times open+close of SEEN, CALLS times getppid. Taking turns spreads a slow moment of the machine
 * over all three; a fixed time exposes slow and fast tools to the same number of such moments.
 * Before that one batch of each that is not reported: it fills the caches and makes SEEN seen.
 *
 * Prints at the end, so that no write of its own is timed, one line for each batch and case:
 * name, CPU ns for one operation (getrusage, user and system), wall ns for one operation.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Time for an agent in user space to answer the first open, so that it is not timed. */
#define SETTLE_MICROSECONDS 300000
#define KINDS 3
#define MOST_TURNS 10000

struct reading {
	double cpu;
	double wall;
};

struct workload {
	const char *name;
	const char *path; /* NULL: getppid */
	long count;
};

static struct reading now(void)
{
	struct rusage usage;
	struct timespec wall;

	if (getrusage(RUSAGE_SELF, &usage) != 0 || clock_gettime(CLOCK_MONOTONIC, &wall) != 0)
		err(1, "reading the clocks");
	return (struct reading){
		.cpu = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e9 +
		       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e3,
		.wall = wall.tv_sec * 1e9 + wall.tv_nsec,
	};
}

static void repeat(const struct workload *work)
{
	for (long i = 0; i < work->count; i++) {
		if (!work->path) {
			syscall(SYS_getppid); /* the C library might answer without a call */
			continue;
		}
		int fd = open(work->path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			err(1, "%s", work->path);
		close(fd);
	}
}

static struct reading timed(const struct workload *work)
{
	struct reading start = now();

	repeat(work);

	struct reading end = now();

	return (struct reading){ .cpu = (end.cpu - start.cpu) / work->count,
				 .wall = (end.wall - start.wall) / work->count };
}

static long positive(const char *text, const char *name, long least)
{
	char *end;
	long number = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0' || number < least)
		errx(2, "%s: expected a number of at least %ld, found '%s'", name, least, text);
	return number;
}

static void pin(long cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		err(1, "pinning to CPU %ld", cpu);
}

int main(int argc, char **argv)
{
	if (argc != 7)
		errx(2, "usage: open_probe CPU MILLISECONDS OPENS CALLS OTHER SEEN");
	pin(positive(argv[1], "CPU", 0));
	double span = positive(argv[2], "MILLISECONDS", 1) * 1e6;
	long opens = positive(argv[3], "OPENS", 1);
	const struct workload works[KINDS] = {
		{ "open_other", argv[5], opens },
		{ "open_seen", argv[6], opens },
		{ "other_syscall", NULL, positive(argv[4], "CALLS", 1) },
	};
	static struct reading readings[MOST_TURNS][KINDS];
	int turns = 0;

	for (int kind = 0; kind < KINDS; kind++)
		repeat(&works[kind]);
	usleep(SETTLE_MICROSECONDS);
	for (double start = now().wall; turns < MOST_TURNS && now().wall - start < span; turns++)
		for (int kind = 0; kind < KINDS; kind++)
			readings[turns][kind] = timed(&works[kind]);
	for (int turn = 0; turn < turns; turn++)
		for (int kind = 0; kind < KINDS; kind++)
			printf("%s %.2f %.2f\n", works[kind].name, readings[turn][kind].cpu,
			       readings[turn][kind].wall);
	return 0;
}
