//go:build !nodpdk

package dpdk

/*
#include <rte_memory.h>

struct fs_span {
	uintptr_t from, to;
};

static int fs_widen(const struct rte_memseg_list *l, void *arg)
{
	struct fs_span *s = arg;
	uintptr_t base = (uintptr_t)l->base_va;

	if (l->external)
		return 0;
	if (s->to == 0 || base < s->from)
		s->from = base;
	if (base + l->len > s->to)
		s->to = base + l->len;
	return 0;
}

static struct fs_span fs_span(void)
{
	struct fs_span s = {0, 0};

	rte_memseg_list_walk(fs_widen, &s);
	return s;
}
*/
import "C"

// AddressSpace is where the memory lies that processes of one file prefix share, with what has been reserved for more and
// what EAL has around it: a secondary must have it at the same addresses. Without hugepages it is empty.
func AddressSpace() (from, to uintptr) {
	const around = 1 << 30 // EAL's own tables are before it, the registers of devices behind it
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if !eal.started {
		return 0, 0
	}
	s := C.fs_span()
	if s.to == 0 {
		return 0, 0
	}
	return uintptr(s.from) - min(uintptr(s.from), around), uintptr(s.to) + around
}
