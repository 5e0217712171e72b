/*
 * What .NET's own program starter does on Linux (dotnet/runtime, src/native/corehost/corehost.cpp), for
 * the machine has none: it comes with the SDK. Next to libhostfxr.so it starts a self-contained
 * application. With files bundled at its end it extracts them first, as the one of .NET Core 3 does
 * (src/installer/corehost/cli/apphost/bundle of 3.1), below $DOTNET_BUNDLE_EXTRACT_BASE_DIR.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static volatile uint8_t marker[40] = {
	0, 0, 0, 0, 0, 0, 0, 0,
	0x8b, 0x12, 0x02, 0xb9, 0x6a, 0x61, 0x20, 0x38, 0x72, 0x7b, 0x93, 0x02, 0x14, 0xd7, 0xa0, 0x32,
	0x13, 0xf5, 0xb9, 0xe6, 0xef, 0xae, 0x33, 0x18, 0xee, 0x3b, 0x2d, 0xce, 0x24, 0xb3, 0x6a, 0xae,
};

typedef int (*start_t)(int, const char **, const char *, const char *, const char *);

static void text(FILE *file, char *into)
{
	int length = 0, shift = 0, byte;

	do {
		byte = fgetc(file);
		length |= (byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	if (length >= PATH_MAX || fread(into, 1, length, file) != (size_t)length)
		exit(3);
	into[length] = 0;
}

static void copy(FILE *from, int64_t offset, int64_t size, const char *path)
{
	static char buffer[1 << 16];
	FILE *to = fopen(path, "wb");

	fseek(from, offset, SEEK_SET);
	while (to && size > 0) {
		size_t part = fread(buffer, 1, size < (int64_t)sizeof buffer ? size : sizeof buffer, from);

		if (!part || fwrite(buffer, 1, part, to) != part)
			exit(4);
		size -= part;
	}
	if (!to || fclose(to))
		exit(5);
}

static void extract(const char *program, const char *name, int64_t header, char *folder)
{
	static char id[PATH_MAX], path[PATH_MAX], target[3 * PATH_MAX];
	const char *base = getenv("DOTNET_BUNDLE_EXTRACT_BASE_DIR");
	FILE *file = fopen(program, "rb");
	uint32_t version[2];
	int32_t count;

	fseek(file, header, SEEK_SET);
	if (fread(version, 4, 2, file) != 2 || fread(&count, 4, 1, file) != 1)
		exit(6);
	text(file, id);
	mkdir(base, 0700);
	snprintf(folder, PATH_MAX, "%s/%s", base, name);
	mkdir(folder, 0700);
	snprintf(folder, PATH_MAX, "%s/%s/%s", base, name, id);
	mkdir(folder, 0700);
	while (count--) {
		int64_t place[2];
		long next;

		if (fread(place, 8, 2, file) != 2 || fgetc(file) < 0)
			exit(7);
		text(file, path);
		next = ftell(file);
		snprintf(target, sizeof target, "%s/%s", folder, path);
		copy(file, place[0], place[1], target);
		fseek(file, next, SEEK_SET);
	}
	fclose(file);
}

int main(int count, char **arguments)
{
	static char program[PATH_MAX], folder[PATH_MAX], name[PATH_MAX], application[2 * PATH_MAX],
		library[2 * PATH_MAX];
	const char *root = getenv("DOTNET_ROOT");
	const char *host = getenv("DOTNET_HOST_LIBRARY");
	int64_t header = 0;
	start_t start;
	void *handle;

	if (readlink("/proc/self/exe", program, sizeof program - 1) < 0)
		return 1;
	strcpy(folder, program);
	strcpy(name, basename(folder));
	strcpy(folder, program);
	strcpy(folder, dirname(folder));
	for (int index = 7; index >= 0; index--)
		header = header << 8 | marker[index];
	if (header)
		extract(program, name, header, folder);
	snprintf(application, sizeof application, "%s/%s.dll", folder, name);
	snprintf(library, sizeof library, "%s/libhostfxr.so", folder);
	handle = dlopen(host ? host : library, RTLD_NOW);
	start = handle ? (start_t)dlsym(handle, "hostfxr_main_startupinfo") : NULL;
	if (!start) {
		fprintf(stderr, "%s\n", dlerror());
		return 2;
	}
	return start(count, (const char **)arguments, program, root ? root : folder, application);
}
