/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workload that is timed: exec_probe CPU MILLISECONDS EXECS PROGRAM
 *
 * Pins itself to CPU, then starts PROGRAM by vfork and execve and waits for its end, EXECS times in
 * a batch, until the time is over. vfork, because a copy of the page tables would be most of what
 * is timed. Before that one batch that is not reported: it fills the caches and makes PROGRAM seen.
 *
 * Prints for each batch: exec, CPU ns for one start (getrusage of itself and its children, user and
 * system), wall ns for one start.
 */
#define _GNU_SOURCE
#include <err.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Time for an agent in user space to answer the first exec, so that it is not timed. */
#define SETTLE_MICROSECONDS 300000
#define MOST_BATCHES 10000

struct reading {
	double cpu;
	double wall;
};

static double cpu_of(int who)
{
	struct rusage usage;

	if (getrusage(who, &usage) != 0)
		err(1, "reading the CPU clock");
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e9 +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e3;
}

static struct reading now(void)
{
	struct timespec wall;

	if (clock_gettime(CLOCK_MONOTONIC, &wall) != 0)
		err(1, "reading the clock");
	return (struct reading){ .cpu = cpu_of(RUSAGE_SELF) + cpu_of(RUSAGE_CHILDREN),
				 .wall = wall.tv_sec * 1e9 + wall.tv_nsec };
}

static pid_t start(const char *program)
{
	char *const arguments[] = { (char *)program, NULL }, *const environment[] = { NULL };
	pid_t child = vfork();

	if (child == 0) {
		execve(program, arguments, environment);
		_exit(127);
	}
	return child;
}

static void repeat(const char *program, long count)
{
	for (long i = 0; i < count; i++) {
		pid_t child = start(program);
		int status;

		if (child < 0 || waitpid(child, &status, 0) != child)
			err(1, "%s", program);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			errx(1, "%s ended with %#x", program, status);
	}
}

static long positive(const char *text, const char *name, long least)
{
	char *end;
	long number = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0' || number < least)
		errx(2, "%s: expected a number of at least %ld, found '%s'", name, least, text);
	return number;
}

int main(int argc, char **argv)
{
	static struct reading readings[MOST_BATCHES];
	int batches = 0;
	cpu_set_t set;

	if (argc != 5)
		errx(2, "usage: exec_probe CPU MILLISECONDS EXECS PROGRAM");
	CPU_ZERO(&set);
	CPU_SET(positive(argv[1], "CPU", 0), &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		err(1, "pinning to CPU %s", argv[1]);

	double span = positive(argv[2], "MILLISECONDS", 1) * 1e6;
	long execs = positive(argv[3], "EXECS", 1);

	repeat(argv[4], execs);
	usleep(SETTLE_MICROSECONDS);
	for (double start = now().wall; batches < MOST_BATCHES && now().wall - start < span; batches++) {
		struct reading before = now();

		repeat(argv[4], execs);

		struct reading after = now();

		readings[batches] = (struct reading){ .cpu = (after.cpu - before.cpu) / execs,
						      .wall = (after.wall - before.wall) / execs };
	}
	for (int batch = 0; batch < batches; batch++)
		printf("exec %.2f %.2f\n", readings[batch].cpu, readings[batch].wall);
	return 0;
}
