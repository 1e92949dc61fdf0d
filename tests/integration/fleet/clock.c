// SPDX-License-Identifier: Apache-2.0
// Preloaded into a process of clock_test: the time of day (CLOCK_REALTIME and what is made of it) is as far off as the eight bytes in
// the file that CROSSFADE_CLOCK names say, in nanoseconds, and jumps when these change. Clocks that only go on are left alone, as they
// are by an administrator or NTP. Waits until a time of day are until that time by this clock.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t* off;
static int (*timedwait)(pthread_cond_t*, pthread_mutex_t*, const struct timespec*);

__attribute__((constructor)) static void Map(void) {
  *(void**)&timedwait = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
  const char* path = getenv("CROSSFADE_CLOCK");
  const int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  void* mapped = mmap(NULL, sizeof *off, PROT_READ, MAP_SHARED, fd, 0);
  if (mapped != MAP_FAILED) off = mapped;
  close(fd);
}

int clock_gettime(clockid_t clock, struct timespec* ts) {
  const int result = (int)syscall(SYS_clock_gettime, clock, ts);
  if (result != 0 || off == NULL || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return result;
  const int64_t now = ts->tv_sec * 1000000000LL + ts->tv_nsec + *off;
  ts->tv_sec = now / 1000000000LL;
  ts->tv_nsec = now % 1000000000LL;
  return 0;
}

int gettimeofday(struct timeval* restrict tv, void* restrict zone) {
  (void)zone;
  struct timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  tv->tv_sec = ts.tv_sec;
  tv->tv_usec = ts.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* out) {
  struct timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  if (out != NULL) *out = ts.tv_sec;
  return ts.tv_sec;
}

int pthread_cond_timedwait(pthread_cond_t* restrict cond, pthread_mutex_t* restrict mutex, const struct timespec* restrict until) {
  struct timespec real = *until;
  if (off != NULL && until->tv_sec > 1000000000LL && until->tv_sec < 5000000000LL) {  // less: a clock that only goes on; more: for ever
    const int64_t then = until->tv_sec * 1000000000LL + until->tv_nsec - *off;
    real.tv_sec = then / 1000000000LL;
    real.tv_nsec = then % 1000000000LL;
  }
  return timedwait(cond, mutex, &real);
}
