/* A layer below a program's libc calls that makes the disk below one folder fail as asked, and writes down every write.
 *
 * Loaded with LD_PRELOAD. HALLWATCH_DISK_FOLDER: the folder. HALLWATCH_DISK_CONTROL: a file of eight 64-bit numbers, shared
 * with whoever orders the faults:
 *   0  writes so far                      1  from this write on the disk is full (0: never)
 *   2  flushes of databases so far        3  this one of them fails with EIO, once (0: none)
 *   4  writes refused                     5  flushes failed
 *   6  what the wall clock is ahead by, microseconds (signed); the monotonic clock is never touched
 *   7  while it is not 0, no write comes back: the disk hangs; each that waits adds 1
 * HALLWATCH_DISK_LOG (optional): every change of a file, in order, with its bytes, and every flush: what a power cut may take
 * back is worked out from it (src/disk.rs has the reading side).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FILES 65536

enum { OPEN = 1, WRITE, TRUNCATE, FLUSH, RENAME, UNLINK, MKDIR };

static char folder[PATH_MAX];
static size_t folder_length;
static volatile uint64_t *control;
static int log_fd = -1;
static uint64_t handles[FILES]; /* descriptor -> handle in the log, 0: not below the folder */
static char database[FILES]; /* descriptor -> a database or its log */
static uint64_t next_handle = 1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    const char *where = getenv("HALLWATCH_DISK_FOLDER");
    const char *file = getenv("HALLWATCH_DISK_CONTROL");
    if (!where || !file) return;
    int fd = syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return;
    void *shared = mmap(NULL, 64, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (shared == MAP_FAILED) return;
    const char *log = getenv("HALLWATCH_DISK_LOG");
    if (log) log_fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    snprintf(folder, sizeof folder, "%s/", where);
    folder_length = strlen(folder);
    control = shared;
}

static int ours(const char *path) { return control && path && strncmp(path, folder, folder_length) == 0; }

static uint64_t handle_of(int fd) { return control && fd >= 0 && fd < FILES ? handles[fd] : 0; }

/* One record: kind, handle, offset, lengths, then path and bytes. Called with the lock held. */
static void note(uint32_t kind, uint64_t handle, int64_t offset, const char *path, const void *bytes, size_t length) {
    if (log_fd < 0) return;
    struct { uint32_t kind, path; uint64_t handle; int64_t offset; uint64_t length; } head =
        {kind, path ? strlen(path) : 0, handle, offset, length};
    struct iovec parts[3] = {{&head, sizeof head}, {(void *)path, head.path}, {(void *)bytes, bytes ? length : 0}};
    syscall(SYS_writev, log_fd, parts, 3);
}

static int full(void) {
    uint64_t number = __atomic_add_fetch(&control[0], 1, __ATOMIC_SEQ_CST);
    if (control[1] && number >= control[1]) {
        __atomic_add_fetch(&control[4], 1, __ATOMIC_SEQ_CST);
        errno = ENOSPC;
        return 1;
    }
    return 0;
}

static int opened(int fd, const char *path, int flags) {
    if (fd < 0 || fd >= FILES) return fd;
    pthread_mutex_lock(&lock);
    handles[fd] = 0;
    if (ours(path)) {
        handles[fd] = next_handle++;
        database[fd] = strstr(path, ".sqlite") != NULL || strstr(path, ".db") != NULL;
        note(OPEN, handles[fd], flags, path, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

static int open_at(int directory, const char *path, int flags, mode_t mode) {
    if (ours(path) && (flags & O_CREAT)) {
        struct stat there;
        if (syscall(SYS_newfstatat, AT_FDCWD, path, &there, 0) != 0 && full()) return -1;
    }
    return opened(syscall(SYS_openat, directory, path, flags, mode), path, flags);
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return open_at(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return open_at(at, path, flags, mode); }

int close(int fd) {
    if (handle_of(fd)) handles[fd] = 0;
    return syscall(SYS_close, fd);
}

/* Not with the lock held: only what writes hangs. */
static void hang(void) {
    if (!control[7]) return;
    __atomic_add_fetch(&control[7], 1, __ATOMIC_SEQ_CST);
    while (control[7]) usleep(10000);
}

static ssize_t written(int fd, const void *bytes, size_t length, off_t at, int placed) {
    hang();
    pthread_mutex_lock(&lock);
    if (full()) {
        pthread_mutex_unlock(&lock);
        return -1;
    }
    if (!placed) {
        int flags = syscall(SYS_fcntl, fd, F_GETFL);
        at = syscall(SYS_lseek, fd, 0, flags & O_APPEND ? SEEK_END : SEEK_CUR);
    }
    ssize_t done = placed ? syscall(SYS_pwrite64, fd, bytes, length, at) : syscall(SYS_write, fd, bytes, length);
    if (done > 0) note(WRITE, handles[fd], at, NULL, bytes, done);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    return handle_of(fd) ? written(fd, bytes, length, 0, 0) : syscall(SYS_write, fd, bytes, length);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    return handle_of(fd) ? written(fd, bytes, length, at, 1) : syscall(SYS_pwrite64, fd, bytes, length, at);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) { return pwrite(fd, bytes, length, at); }

int ftruncate(int fd, off_t length) {
    if (!handle_of(fd)) return syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&lock);
    struct stat now;
    int grows = syscall(SYS_fstat, fd, &now) == 0 && length > now.st_size;
    int done = grows && full() ? -1 : syscall(SYS_ftruncate, fd, length);
    if (done == 0) note(TRUNCATE, handles[fd], length, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
int ftruncate64(int fd, off_t length) { return ftruncate(fd, length); }

static int flushed(int fd, long call) {
    if (!handle_of(fd)) return syscall(call, fd);
    if (database[fd] && __atomic_add_fetch(&control[2], 1, __ATOMIC_SEQ_CST) >= control[3] && control[3]) {
        __atomic_add_fetch(&control[5], 1, __ATOMIC_SEQ_CST);
        control[3] = 0; /* Once: the kernel forgets too, and who tries again is told that all is well. */
        errno = EIO;
        return -1;
    }
    /* The lock is not held over a flush; what is written meanwhile counts as not flushed. */
    pthread_mutex_lock(&lock);
    uint64_t handle = handles[fd];
    off_t place = log_fd < 0 ? 0 : syscall(SYS_lseek, log_fd, 0, SEEK_END);
    pthread_mutex_unlock(&lock);
    int done = syscall(call, fd);
    if (done == 0) {
        pthread_mutex_lock(&lock);
        note(FLUSH, handle, place, NULL, NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    return done;
}
int fsync(int fd) { return flushed(fd, SYS_fsync); }
int fdatasync(int fd) { return flushed(fd, SYS_fdatasync); }

int rename(const char *from, const char *to) {
    if (!ours(from)) return syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
    pthread_mutex_lock(&lock);
    int done = full() ? -1 : syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
    if (done == 0) note(RENAME, 0, 0, from, to, strlen(to));
    pthread_mutex_unlock(&lock);
    return done;
}

int unlink(const char *path) {
    pthread_mutex_lock(&lock);
    int done = syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (done == 0 && ours(path)) note(UNLINK, 0, 0, path, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int mkdir(const char *path, mode_t mode) {
    pthread_mutex_lock(&lock);
    int done = syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    if (done == 0 && ours(path)) note(MKDIR, 0, 0, path, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int done = syscall(SYS_clock_gettime, clock, now);
    if (done == 0 && control && clock == CLOCK_REALTIME && control[6]) {
        int64_t ahead = (int64_t)control[6];
        now->tv_sec += ahead / 1000000;
        now->tv_nsec += ahead % 1000000 * 1000;
        if (now->tv_nsec >= 1000000000) now->tv_nsec -= 1000000000, now->tv_sec++;
        if (now->tv_nsec < 0) now->tv_nsec += 1000000000, now->tv_sec--;
    }
    return done;
}
