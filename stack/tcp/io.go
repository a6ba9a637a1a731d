package tcp

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// Recv implements stack.Sockets.
func (t *TCP) Recv(h stack.Handle, b []byte, flags int) (int, error) {
	t.st.Lock()
	i, p, err := t.get(h)
	if err != nil {
		t.st.Unlock()
		return 0, err
	}
	if p.rcv.len > 0 && flags == 0 && p.urg == urgNone && p.state != stateListen { // nearly always
		n := t.chunks.read(&p.rcv, b)
		kick := t.afterRead(i, p, uint32(n))
		t.st.Unlock()
		if kick {
			t.st.Kick()
		}
		return n, nil
	}
	n, err := t.recv(i, p, b, flags)
	kick := n > 0 && flags&unix.MSG_PEEK == 0 && t.afterRead(i, p, uint32(n))
	t.st.Unlock()
	if kick {
		t.st.Kick()
	}
	return n, err
}

// RecvFrom implements stack.Sockets. As on Linux, a stream tells no address.
func (t *TCP) RecvFrom(h stack.Handle, b []byte, flags int) (int, netip.AddrPort, error) {
	n, err := t.Recv(h, b, flags)
	return n, netip.AddrPort{}, err
}

func (t *TCP) recv(i uint32, p *pcb, b []byte, flags int) (int, error) {
	if p.state == stateListen {
		return 0, syscall.ENOTCONN
	}
	if flags&unix.MSG_OOB != 0 {
		return t.recvUrgent(p, b, flags)
	}
	avail := p.rcv.len
	if p.urg != urgNone {
		avail = t.upToMark(p)
	}
	if avail == 0 {
		switch {
		case p.flags&flagPeerFin != 0: // the end comes before what may have happened after it
			return 0, nil
		case p.err != 0:
			return 0, p.takeError()
		case p.flags&flagShutRd != 0:
			return 0, nil
		case p.state == stateClosed:
			if p.flags&flagDone != 0 {
				return 0, nil
			}
			return 0, syscall.ENOTCONN
		}
		if len(b) == 0 && p.state.in(statesSynced) {
			return 0, nil
		}
		return 0, syscall.EAGAIN
	}
	b = b[:min(len(b), int(avail))]
	switch {
	case flags&unix.MSG_PEEK != 0:
		return t.chunks.peek(&p.rcv, 0, b), nil
	case flags&unix.MSG_TRUNC != 0: // thrown away instead of copied
		t.chunks.drop(&p.rcv, uint32(len(b)))
		return len(b), nil
	}
	return t.chunks.read(&p.rcv, b), nil
}

// takeError returns the pending error and clears it.
func (p *pcb) takeError() error {
	if p.err == 0 {
		return nil
	}
	err := syscall.Errno(p.err)
	p.err = 0
	return err
}

// afterRead grows the queue if that helps and tells the peer about room. It returns whether the loop has work.
func (t *TCP) afterRead(i uint32, p *pcb, n uint32) bool {
	read := p.tuneRead()
	*read += n
	if *read >= p.rcvBuf/4 && p.flags&flagRcvLocked == 0 {
		t.tuneReceive(p)
	}
	if p.state.in(statesReceive) && p.window() <= p.rcvBuf/2 && t.opened(p) {
		t.counters.WindowUpdates++
		p.flags |= flagAckNow
		t.mark(i, p)
		return true
	}
	return false
}

// Send implements stack.Sockets.
func (t *TCP) Send(h stack.Handle, b []byte, flags int) (int, error) {
	t.st.Lock()
	i, p, err := t.get(h)
	if err != nil {
		t.st.Unlock()
		return 0, err
	}
	n, err := t.send(i, p, b, flags)
	t.st.Unlock()
	if n > 0 {
		t.st.Kick()
	}
	return n, err
}

// SendTo implements stack.Sockets. As on Linux, the address does not count on a connection.
func (t *TCP) SendTo(h stack.Handle, b []byte, _ netip.AddrPort, flags int) (int, error) {
	return t.Send(h, b, flags)
}

func (t *TCP) send(i uint32, p *pcb, b []byte, flags int) (int, error) {
	if !p.state.in(statesSend) || p.err != 0 || p.flags&flagShutWr != 0 {
		switch {
		case p.err != 0:
			return 0, p.takeError()
		case p.state.in(statesHalf):
			p.flags |= flagWantWrite
			return 0, syscall.EAGAIN
		}
		return 0, syscall.EPIPE
	}
	if len(b) == 0 {
		return 0, nil
	}
	room := 0
	if p.snd.len < p.sndBuf && t.belowNotSent(p) {
		room = int(p.sndBuf - p.snd.len)
	}
	if room == 0 {
		p.flags |= flagWantWrite
		return 0, syscall.EAGAIN
	}
	if t.pressed() && p.snd.len > 0 {
		room = min(room, chunkData)
	}
	if p.snd.len == 0 {
		p.busySince = t.nowMS
	}
	n := t.chunks.append(&p.snd, b[:min(len(b), room)])
	if n < len(b) {
		p.flags |= flagWantWrite
		if n < min(len(b), room) {
			t.counters.SendNoMemory++
			if p.flags&flagWantMem == 0 {
				p.flags |= flagWantMem
				t.starved = append(t.starved, i)
			}
		}
	}
	if n == 0 {
		return 0, syscall.EAGAIN
	}
	if flags&unix.MSG_OOB != 0 && n == len(b) {
		p.sndUp = p.sndEnd()
		p.flags |= flagUrgent
	}
	if flags&unix.MSG_MORE != 0 && n == len(b) {
		p.flags |= flagMore
	} else {
		p.flags &^= flagMore
	}
	t.mark(i, p)
	return n, nil
}

// belowNotSent is TCP_NOTSENT_LOWAT: whether there is little enough unsent to write more.
func (t *TCP) belowNotSent(p *pcb) bool {
	low := t.opts.at(p.opts).notSentLow
	return low == 0 || p.unsent() < low
}
