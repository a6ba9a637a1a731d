//go:build !nodpdk

// A pause: all processes stay outside of a port while the primary stops its device and starts it again. They need no
// more than a look at a word before they go inside, and one word to say that they are.
//
//	primary                            others, before each exchange
//	  paused = 1                         at = inside
//	  a barrier in all threads           (no barrier)
//	  wait until all are outside         paused? then at = outside, and nothing is done
//
// A thread's store of at may lag behind its look at paused, so that the primary would not see it. Behind the barrier,
// which membarrier(2) has each running thread pass, it does.

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include <linux/membarrier.h>
#include <sys/syscall.h>

#include "lend.h"

static void nap(long ns)
{
	nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

// fs_enter_within is enter for who can wait.
bool fs_enter_within(struct fs_end *e, uint32_t wait_ms)
{
	for (uint32_t i = 0; !enter(e); i++) {
		if (i > wait_ms)
			return false;
		nap(1000000);
	}
	return true;
}

// fs_port_pause returns when nobody is inside any more, and nobody comes in until fs_port_resume. -ETIMEDOUT: a process
// stays inside; there is no pause then.
int fs_port_pause(struct fs_port *p, uint32_t wait_ms)
{
	__atomic_store_n(&p->paused, 1, __ATOMIC_SEQ_CST);
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) != 0)
		nap(20000000); // no store lags for that long
	for (uint32_t x = 0; x < p->slots; x++)
		for (uint32_t i = 0; __atomic_load_n(&p->end[x].at, __ATOMIC_ACQUIRE) != FS_OUTSIDE; i++) {
			if (i > wait_ms * 10) {
				fs_port_resume(p);
				return -ETIMEDOUT;
			}
			nap(100000);
		}
	return 0;
}

// fs_port_resume ends a pause. Those that have gone to sleep meanwhile have not asked for interrupts, or of a ring that is
// no more: all look again.
void fs_port_resume(struct fs_port *p)
{
	static const uint64_t one = 1;

	__atomic_store_n(&p->paused, 0, __ATOMIC_SEQ_CST);
	for (uint32_t x = 0; x < p->slots; x++)
		if (fs_wake_fds[x] >= 0 && write(fs_wake_fds[x], &one, sizeof(one)) < 0)
			errno = 0; // EAGAIN: it is signalled already
}
