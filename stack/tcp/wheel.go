package tcp

import (
	"math/bits"

	"github.com/fstack-go/fstack/stack"
)

// wheel is a hierarchical timer wheel over PCBs. Level l has 64 slots of 64^l ticks; a PCB lies on the level of the
// highest digit in which its deadline differs from the wheel's time, so the first occupied slot of the lowest
// occupied level is always the next to fire. A slot fires when its time begins: who is not due yet goes to a finer
// level. That is also how a deadline that has moved back meanwhile is met: nothing is touched until then.
type wheel struct {
	pcbs  *slab[pcb]
	now   uint64 // ticks
	busy  [wheelLevels]uint64
	slots [wheelLevels][64]uint32 // heads of lists through pcb.wheelNext and pcb.wheelPrev
	armed int
}

const (
	tickBits    = 14 // a tick is 16.4 µs
	wheelLevels = 8  // of six bits: more than a hundred years
	atHead      = 1 << 31
)

// arm sees to it that the PCB fires at the time at or before.
func (w *wheel) arm(i uint32, p *pcb, at int64) {
	if p.wheelAt != 0 {
		if at >= p.wheelAt {
			return
		}
		w.disarm(i, p)
	}
	p.wheelAt = max(at, 1)
	w.put(i, p)
}

func (w *wheel) put(i uint32, p *pcb) {
	tick := uint64(p.wheelAt+1<<tickBits-1) >> tickBits // never early
	if tick <= w.now {
		tick = w.now + 1
	}
	level := uint(bits.Len64(tick^w.now)-1) / 6
	slot := uint(tick>>(6*level)) & 63
	head := &w.slots[level][slot]
	p.wheelNext, p.wheelPrev = *head, atHead|uint32(level<<6|slot)
	if *head != 0 {
		w.pcbs.at(*head).wheelPrev = i
	}
	*head = i
	w.busy[level] |= 1 << slot
	w.armed++
}

// disarm takes the PCB off the wheel.
func (w *wheel) disarm(i uint32, p *pcb) {
	if p.wheelAt == 0 {
		return
	}
	if p.wheelPrev&atHead != 0 {
		level, slot := p.wheelPrev>>6&^(atHead>>6), p.wheelPrev&63
		w.slots[level][slot] = p.wheelNext
		if p.wheelNext == 0 {
			w.busy[level] &^= 1 << slot
		}
	} else {
		w.pcbs.at(p.wheelPrev).wheelNext = p.wheelNext
	}
	if p.wheelNext != 0 {
		w.pcbs.at(p.wheelNext).wheelPrev = p.wheelPrev
	}
	p.wheelAt = 0
	w.armed--
}

// next is when the next slot begins, stack.Never if none is occupied.
func (w *wheel) next() int64 {
	if tick, _, ok := w.first(); ok {
		return int64(tick << tickBits)
	}
	return stack.Never
}

func (w *wheel) first() (tick uint64, level uint, ok bool) {
	for level := range uint(wheelLevels) {
		if b := w.busy[level]; b != 0 {
			slot := uint64(bits.TrailingZeros64(b))
			return w.now>>(6*level+6)<<(6*level+6) | slot<<(6*level), level, true
		}
	}
	return 0, 0, false
}

// advance moves the wheel to the time now and calls fire for each PCB that is due. fire may arm and disarm any.
func (w *wheel) advance(now int64, fire func(i uint32, p *pcb)) {
	target := uint64(now) >> tickBits
	if target <= w.now {
		return
	}
	for {
		tick, level, ok := w.first()
		if !ok || tick > target {
			w.now = target
			return
		}
		w.now = tick
		head := &w.slots[level][tick>>(6*level)&63]
		for *head != 0 {
			i := *head
			p := w.pcbs.at(i)
			at := p.wheelAt
			w.disarm(i, p)
			if at > now {
				p.wheelAt = at
				w.put(i, p)
			} else {
				fire(i, p)
			}
		}
	}
}
