package tcp

import (
	"encoding/binary"
	"syscall"

	"github.com/fstack-go/fstack/stack/tcp/cc"
)

// Pacing: segments leave at a rate instead of as fast as the windows permit. A connection is paced if its congestion
// control needs it (cc.NeedsPacing), if SO_MAX_PACING_RATE sets a limit, or if net.inet.tcp.pacing says so; the rate is
// the congestion control's, at most that limit. Data leaves in bursts, at the turns of the timer wheel: a burst is
// what the rate brings in a millisecond, and a turn that comes late makes up for no more than that. What is sent again
// is paced too; ACKs, probes of a window and a SYN are not.

const (
	burstShift = 10        // of a second: about a millisecond
	burstMost  = 64 << 10  // bytes: what a device cuts at once
	burstLate  = 1_000_000 // ns, the most that a late turn makes up for
	burstSlow  = 150_000   // bytes per second: below, a burst is one segment, else at least two (as BBR, draft-ietf-ccwg-bbr §4.6.3)
	noRate     = ^uint64(0)
)

// setPacing begins or ends pacing as the socket's options say now.
func (t *TCP) setPacing(i uint32, p *pcb) {
	if !p.state.in(statesSynced) {
		return // establish does it
	}
	o := t.opts.at(p.opts)
	if t.sys.pacing == 0 && o.maxPacing == 0 && o.cc.Traits()&cc.NeedsPacing == 0 {
		if p.flags&flagPaceWait != 0 {
			t.mark(i, p)
		}
		p.flags &^= flagPaced | flagPaceWait
		return
	}
	if x := t.extra(p); x != nil && p.flags&flagPaced == 0 {
		p.flags |= flagPaced
		x.next = t.now
	}
}

// pacingRate is in bytes per second, 0: unknown as yet.
func (t *TCP) pacingRate(p *pcb) uint64 {
	rate := p.rec.CC.PacingRate(p.rec.SRTT())
	if limit := t.opts.at(p.opts).maxPacing; limit != 0 && (rate == 0 || rate > limit) {
		rate = limit
	}
	return rate
}

// mayBurst begins a burst of a paced connection, or has it wait for its time. The burst lasts for this turn: t.burst
// is what is left of it.
func (t *TCP) mayBurst(i uint32, p *pcb) bool {
	x := t.extras.at(p.ext)
	if x.next > t.now {
		t.waitPace(i, p, x)
		return false
	}
	t.waited = p.flags&flagPaceWait != 0
	p.flags &^= flagPaceWait
	rate := t.pacingRate(p)
	t.burstRate, t.burst = rate, 1<<30
	if rate == 0 {
		return true
	}
	if p.rec.Una == p.rec.Nxt && !t.waited {
		x.next = t.now // time in which there was nothing to send is not made up for
	}
	late := uint64(min(t.now-x.next, burstLate))
	x.next = t.now - int64(late)
	size := min(max(rate>>burstShift, t.burstLeast(p, rate)), burstMost)
	t.burst = int(min(size+min(rate, 1<<40)*late/1e9, 1<<30))
	return true
}

// burstLeast is the least burst.
func (t *TCP) burstLeast(p *pcb, rate uint64) uint64 {
	if rate < burstSlow {
		return uint64(p.mss)
	}
	return 2 * uint64(p.mss)
}

// paced takes note that n bytes were sent, and returns whether more may follow in this burst.
func (t *TCP) paced(i uint32, p *pcb, n uint32) bool {
	if t.burstRate == 0 {
		return true
	}
	x := t.extras.at(p.ext)
	x.next += int64(uint64(n) * 1e9 / t.burstRate)
	t.burst -= int(n)
	if t.burst > 0 {
		return true
	}
	x.next = max(x.next, t.now+1)
	t.waitPace(i, p, x)
	return false
}

// charge takes note of n bytes that were sent past the pace: a tail loss probe.
func (t *TCP) charge(p *pcb, n uint32) {
	if rate := t.pacingRate(p); rate != 0 {
		x := t.extras.at(p.ext)
		x.next = max(x.next, t.now) + int64(uint64(n)*1e9/rate)
	}
}

func (t *TCP) waitPace(i uint32, p *pcb, x *extra) {
	t.counters.PacingWaits++
	p.flags |= flagPaceWait
	t.arm(i, p, x.next)
}

// firePace lets a paced connection go on when it is time.
func (t *TCP) firePace(i uint32, p *pcb) {
	if p.flags&flagPaceWait == 0 {
		return
	}
	if x := t.extras.at(p.ext); x.next <= t.now {
		p.flags &^= flagPaceWait
		t.mark(i, p)
	}
}

// paceAt is when the next burst is due, 0: none waits.
func (t *TCP) paceAt(p *pcb) int64 {
	if p.flags&flagPaceWait == 0 {
		return 0
	}
	return t.extras.at(p.ext).next
}

// setMaxPacing is SO_MAX_PACING_RATE: four or eight bytes, all ones for no limit, as on Linux.
func (t *TCP) setMaxPacing(i uint32, p *pcb, value []byte) error {
	var rate uint64
	switch {
	case len(value) >= 8:
		rate = binary.NativeEndian.Uint64(value)
	case len(value) >= intSize:
		if rate = uint64(binary.NativeEndian.Uint32(value)); rate == 1<<32-1 {
			rate = noRate
		}
	default:
		return syscall.EINVAL
	}
	if rate == noRate {
		rate = 0
	}
	if err := t.share(p, func(o *sockOptions) { o.maxPacing = rate }); err != nil {
		return err
	}
	t.setPacing(i, p)
	return nil
}

// maxPacing writes SO_MAX_PACING_RATE into value.
func maxPacing(o *sockOptions, value []byte) int {
	rate := o.maxPacing
	if rate == 0 {
		rate = noRate
	}
	var b [8]byte
	if len(value) >= 8 {
		binary.NativeEndian.PutUint64(b[:], rate)
		return copy(value, b[:])
	}
	binary.NativeEndian.PutUint32(b[:], uint32(min(rate, 1<<32-1)))
	return copy(value, b[:intSize])
}
