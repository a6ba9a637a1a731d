package netstack

import (
	"sync"
	"syscall"

	"github.com/fstack-go/fstack/stack"
)

// table gives sockets their handles. Its lock is not held while gVisor is called.
type table struct {
	mu    sync.RWMutex
	slots []*socket
	free  []stack.Handle
}

func (t *table) add(s *socket) stack.Handle {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.free); n > 0 {
		h := t.free[n-1]
		t.free = t.free[:n-1]
		t.slots[h] = s
		return h
	}
	t.slots = append(t.slots, s)
	return stack.Handle(len(t.slots) - 1)
}

func (t *table) get(h stack.Handle) (*socket, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if int(h) >= len(t.slots) || t.slots[h] == nil {
		return nil, syscall.EBADF
	}
	return t.slots[h], nil
}

func (t *table) remove(h stack.Handle) (*socket, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if int(h) >= len(t.slots) || t.slots[h] == nil {
		return nil, syscall.EBADF
	}
	s := t.slots[h]
	t.slots[h] = nil
	t.free = append(t.free, h)
	return s, nil
}

func (t *table) closeAll() {
	t.mu.Lock()
	slots := t.slots
	t.slots, t.free = nil, nil
	t.mu.Unlock()
	for _, s := range slots {
		if s != nil {
			s.watch.end(s)
			s.ep.Abort()
		}
	}
}
