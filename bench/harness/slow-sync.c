/*
 * Adds SLOW_SYNC_MICROS microseconds to every call that makes bytes durable, in the thread that makes it: a slower disk, for figures that are
 * given twice. Preloaded (LD_PRELOAD) by slow-sync.ts; strace could do the same, but it slows all of the thread.
 *
 * Not seen: writes to descriptors opened with O_SYNC or O_DSYNC, and whoever makes system calls without the C library.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>

static long delay_micros(void) {
  static long micros = -1;
  if (micros < 0) {
    const char *text = getenv("SLOW_SYNC_MICROS");
    micros = text == NULL ? 0 : atol(text);
  }
  return micros;
}

/* The caller finds errno as the real call left it. */
static void wait_longer(void) {
  int error = errno;
  long micros = delay_micros();
  struct timespec rest = {micros / 1000000, micros % 1000000 * 1000};
  while (nanosleep(&rest, &rest) != 0 && errno == EINTR) {
  }
  errno = error;
}

/* The next definition of a name: the C library's. */
static void *next_of(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (found == NULL) abort();
  return found;
}

int fsync(int descriptor) {
  static int (*real)(int);
  if (real == NULL) real = next_of("fsync");
  int result = real(descriptor);
  wait_longer();
  return result;
}

int fdatasync(int descriptor) {
  static int (*real)(int);
  if (real == NULL) real = next_of("fdatasync");
  int result = real(descriptor);
  wait_longer();
  return result;
}

int msync(void *address, size_t length, int flags) {
  static int (*real)(void *, size_t, int);
  if (real == NULL) real = next_of("msync");
  int result = real(address, length, flags);
  wait_longer();
  return result;
}

int sync_file_range(int descriptor, off64_t offset, off64_t bytes, unsigned int flags) {
  static int (*real)(int, off64_t, off64_t, unsigned int);
  if (real == NULL) real = next_of("sync_file_range");
  int result = real(descriptor, offset, bytes, flags);
  wait_longer();
  return result;
}
