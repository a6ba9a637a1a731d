package tcp

import (
	"net/netip"
	"syscall"

	"github.com/fstack-go/fstack/stack"
	"github.com/fstack-go/fstack/stack/tcp/cc"
)

// Connect implements stack.Sockets. It returns EINPROGRESS when the SYN is on its way.
func (t *TCP) Connect(h stack.Handle, a netip.AddrPort) error {
	t.enter()
	defer t.leave()
	i, p, err := t.get(h)
	if err != nil {
		return err
	}
	if p.flags&flagConnecting != 0 {
		if p.state.in(statesHalf) {
			return syscall.EALREADY
		}
		p.flags &^= flagConnecting
		if p.state != stateClosed {
			return nil // the second call tells that the first one succeeded
		}
		if p.flags&flagDone == 0 {
			err := syscall.ECONNABORTED
			if p.err != 0 {
				err, p.err = syscall.Errno(p.err), 0
			}
			return err
		}
	}
	if p.state != stateClosed || p.flags&flagDone != 0 {
		return syscall.EISCONN
	}
	return t.connect(i, p, a)
}

func (t *TCP) connect(i uint32, p *pcb, a netip.AddrPort) error {
	w, err := t.placeOf(p, a)
	if err != nil {
		return err
	}
	remote := a.Addr().Unmap()
	switch {
	case w.any == anyIPv4: // as on Linux, this host
		remote = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case w.any != anyNot:
		remote = netip.IPv6Loopback()
	case remote.IsMulticast(), remote == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return syscall.ENETUNREACH
	}
	if remote.Is4() && p.flags&flagV6Only != 0 {
		return syscall.ENETUNREACH
	}
	var local netip.Addr
	if p.flags&flagBoundAddr != 0 {
		local = t.local(&p.key)
		if local.Is4() != remote.Is4() {
			return syscall.ENETUNREACH
		}
	}
	r, err := t.net.Route(local, remote)
	if err != nil {
		if errno, ok := err.(syscall.Errno); ok {
			return errno
		}
		return syscall.ENETUNREACH
	}
	k := key{scope: w.scope}
	k.rhi, k.rlo = split(remote)
	k.lhi, k.llo = split(r.Local)
	if isLinkLocal(k.lhi) && k.scope == 0 {
		k.scope = uint32(r.Port) + 1
	}
	var iss uint32
	if p.bind != 0 {
		k.ports = makePorts(p.localPort(), a.Port())
		if iss, err = t.vacate(&k); err != nil {
			t.counters.AddressInUse++
			return err
		}
		if t.binds.bound != nil {
			t.binds.bound(p.localPort(), true)
		}
	} else if iss, err = t.choosePort(p, &k, a, &r); err != nil {
		return err
	}
	p.key, p.hash = k, t.table.hash(&k)
	if !t.table.insert(i, p.hash) {
		return t.unconnect(p, syscall.ENOBUFS)
	}
	p.flags = p.flags&^(flagShutRd|flagShutWr|flagIPv6|flagLoopback) | flagInTable | flagActive | flagConnecting | flagSyn
	if remote.Is6() {
		p.flags |= flagIPv6
	}
	if r.Loopback {
		p.flags |= flagLoopback
	}
	t.counters.ConnectsStarted++
	p.state = stateSynSent
	p.err, p.soft = 0, 0
	p.gen, p.pmtu = 0, 0
	p.iss = iss
	p.rcvNxt, p.rcvAcked, p.rcvAdv = 0, 0, 0
	p.sndWnd, p.sndScale, p.rcvScale = 0, 0, 0
	p.progress, p.ackedAt, p.confirm = t.nowMS, t.nowMS, t.nowMS
	p.quick = quickAcks
	p.rcvMSS = uint16(t.sys.mssV4)
	t.rec.Init(&p.rec, p.iss)
	_, p.tsOffset = t.personal(&p.key)
	t.offer(p)
	if t.sys.ecn == ecnBoth || t.opts.at(p.opts).cc.Traits()&cc.NeedsECN != 0 {
		p.flags |= flagECN
	}
	t.mark(i, p)
	return syscall.EINPROGRESS
}

// unconnect undoes the port of a connect that fails at once.
func (t *TCP) unconnect(p *pcb, errno syscall.Errno) error {
	if p.flags&flagBound == 0 {
		t.unbind(p)
		p.key = key{}
	}
	return errno
}

// vacate sees to it that nobody has the 4-tuple, and gives the initial sequence number. A connection in TIME-WAIT is
// no hindrance if its timestamps keep the two apart (RFC 6191).
func (t *TCP) vacate(k *key) (iss uint32, err error) {
	iss = t.isn(k)
	i, p := t.table.find(k, t.table.hash(k))
	if i == 0 {
		return iss, nil
	}
	if p != nil || t.sys.timeWaitRecycle == 0 || !t.sys.stamps() {
		return 0, syscall.EADDRNOTAVAIL
	}
	w := t.waits.at(i &^ inTimeWait)
	if !w.has(flagStamp) || t.nowMS-w.tsRecentAt < 1000 {
		return 0, syscall.EADDRNOTAVAIL
	}
	t.counters.TimeWaitReused++
	if min := w.sndNxt + isnGap; before(iss, min) {
		iss = min
	}
	t.forget(i&^inTimeWait, w)
	return iss, nil
}

// portSearch is the state of the search for a local port: here so that it is not allocated.
type portSearch struct {
	key   key
	iss   uint32
	found bool
	try   func(port uint16) bool // tryPort
}

// tryPort returns whether the search is to go on.
func (t *TCP) tryPort(port uint16) bool {
	t.portCount++
	if t.binds.heads[port] != 0 && t.binds.taken(port) {
		return true
	}
	s := &t.search
	s.key.ports = makePorts(port, s.key.remotePort())
	iss, err := t.vacate(&s.key)
	s.iss, s.found = iss, err == nil
	return !s.found
}

// choosePort finds a local port such that the 4-tuple is free, by RFC 6056 §3.3.3: a keyed hash of the rest of the
// tuple says where to begin, so that ports to one place follow each other and nobody elsewhere can tell them.
func (t *TCP) choosePort(p *pcb, k *key, a netip.AddrPort, r *stack.Route) (iss uint32, err error) {
	k.ports = makePorts(0, a.Port())
	start := uint32(k.sip(&t.secret.port, 0)) + t.portCount
	s := &t.search
	s.key, s.found = *k, false
	if t.choose != nil && !r.Loopback {
		t.choose(r.Port, netip.AddrPortFrom(t.remote(k), a.Port()), t.local(k), uint16(t.sys.portFirst), uint16(t.sys.portLast), start)(s.try)
	} else {
		n := uint32(t.sys.portLast - t.sys.portFirst + 1)
		for j := uint32(0); j < n && t.tryPort(uint16(uint32(t.sys.portFirst)+(start+j)%n)); j++ {
		}
	}
	if !s.found {
		t.counters.PortsExhausted++
		return 0, syscall.EADDRNOTAVAIL
	}
	*k, iss = s.key, s.iss
	w := place{hi: k.lhi, lo: k.llo, scope: k.scope, port: k.localPort()}
	if p.bind = t.binds.hold(&w, sharingOf(p)); p.bind == 0 {
		return 0, syscall.ENOBUFS
	}
	return iss, nil
}
