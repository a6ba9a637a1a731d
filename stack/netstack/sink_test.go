package netstack

import (
	"maps"
	"sync"

	"github.com/fstack-go/fstack/stack"
)

// recorder is a sink that keeps what it is told, by tag.
type recorder struct {
	mu   sync.Mutex
	news map[uint32]stack.Events
}

func (r *recorder) Notify(tag uint32, ev stack.Events) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.news == nil {
		r.news = map[uint32]stack.Events{}
	}
	r.news[tag] |= ev
}

// take returns the news since the last call.
func (r *recorder) take() map[uint32]stack.Events {
	r.mu.Lock()
	defer r.mu.Unlock()
	news := maps.Clone(r.news)
	clear(r.news)
	return news
}
