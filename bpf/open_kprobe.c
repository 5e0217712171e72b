/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Opens, by a kprobe: where the kernel has no trampolines, as on arm64 before about 6.4. */
#include "file_open.h"

int on_open_kprobe(void *ctx)
{
	return on_file_open(ctx, CONTEXT64(ctx, REGS_FIRST_ARGUMENT));
}
