package diff

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"time"
)

// observer reads the segments that the hosts put on the wire, before any harm comes to them: it notes when, and checks
// what each TCP owes to the other whatever the wire does.
type observer struct {
	now    func() int64
	before func(port uint16, host int)   // called before a segment is noted
	fail   func(format string, a ...any) //
	trace  uint64                        // a hash of all segments and their times
	mu     sync.Mutex
	conns  map[uint16]*exchange // by the port of the end on host 0, and host
}

// observed is what the wire knows of one end. Numbers are relative to its SYN.
type observed struct {
	check  bool   // its rules
	stream uint64 // what it sends
	sent   int64  // when it last put a segment on the wire
	acked  int64  // when it last acknowledged something new
	since  int64  // when the oldest of what is in flight left, or something new was acknowledged
	slow   int64  // longest time without a new acknowledgment: a round trip that it may have measured

	open  bool
	isn   uint32
	scale uint8 // of its windows, 0 until both have asked for it
	most  int   // sequence number after all that it has sent
	fin   int   // of its FIN, 0: none
	ack   int   // all that it has acknowledged of the other
	edge  int   // right edge of the windows that it has offered
}

// exchange is both ends of a connection, by host.
type exchange [2]observed

// watch begins to note for the connection whose end on host 0 has that port.
func (o *observer) watch(port uint16, streams [2]uint64, check [2]bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.conns == nil {
		o.conns = make(map[uint16]*exchange)
	}
	o.conns[port] = &exchange{{stream: streams[0], check: check[0]}, {stream: streams[1], check: check[1]}}
}

// of is what is known of the end on a host.
func (o *observer) of(port uint16, host int) observed {
	o.mu.Lock()
	defer o.mu.Unlock()
	if c := o.conns[port]; c != nil {
		return c[host]
	}
	return observed{}
}

// frame is the wire's hook Drop. It drops all but TCP: routers and listeners are asked for at random times, which would
// change what happens to the segments after them.
func (o *observer) frame(host int, frame []byte) bool {
	const eth = 14
	if len(frame) < eth+40 {
		return true
	}
	header, end := 0, 0
	switch t := binary.BigEndian.Uint16(frame[12:]); {
	case t == 0x0800 && frame[eth+9] == 6:
		header, end = int(frame[eth]&15)*4, eth+int(binary.BigEndian.Uint16(frame[eth+2:]))
	case t == 0x86dd && frame[eth+6] == 6:
		header, end = 40, eth+40+int(binary.BigEndian.Uint16(frame[eth+4:]))
	default:
		return true
	}
	if end > len(frame) || eth+header+20 > end {
		return true
	}
	segment := frame[eth+header : end]
	port := binary.BigEndian.Uint16(segment[2*host:]) // host 0's is the source of what it sends
	if o.before != nil {
		o.before(port, host)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, b := range segment {
		o.trace = (o.trace ^ uint64(b)) * 0x100000001b3
	}
	o.trace ^= uint64(o.now())
	if c := o.conns[port]; c != nil {
		if os.Getenv("DIFF_PORT") == fmt.Sprint(port) {
			fmt.Println(c.describe(host, o.now(), segment))
		}
		if fault := c.take(host, o.now(), segment); fault != "" && c[host].check {
			c[0].check, c[1].check = false, false // once is enough
			o.fail("host %d, connection %d, at %v: %s\n%s", host, port-basePort, time.Duration(o.now())-time.Hour, fault,
				c.describe(host, o.now(), segment))
		}
	}
	return false
}

const (
	fin = 1 << iota
	syn
	rst
	_
	ackFlag
)

// take notes a segment and returns what is wrong with it.
func (c *exchange) take(host int, now int64, segment []byte) (fault string) {
	e, peer := &c[host], &c[1-host]
	flags, size := segment[13], int(segment[12]>>4)*4
	payload := segment[size:]
	e.sent = now
	if flags&syn != 0 && !e.open {
		e.open, e.isn = true, binary.BigEndian.Uint32(segment[4:])
		e.scale = scaleOf(segment[20:size])
		if flags&ackFlag != 0 && (e.scale == noScale || peer.scale == noScale) { // RFC 7323 §1.3: both or neither
			e.scale, peer.scale = 0, 0
		}
	}
	if flags&syn != 0 && e.isn != binary.BigEndian.Uint32(segment[4:]) {
		e.check, peer.check = false, false // a cookie after an answer that was lost: who knows which one counts
	}
	if !e.open {
		return "" // of a connection that had the same port
	}
	seq := int(int32(binary.BigEndian.Uint32(segment[4:]) - e.isn))
	end := seq + len(payload) + int(flags&syn/syn) + int(flags&fin)
	switch {
	case flags&rst != 0: // it is over, or an answer to what came late
		e.check, peer.check = false, false
		return ""
	case end > peer.edge+1 && flags&syn == 0: // one more: the probe of a closed window
		fault = fmt.Sprintf("sends up to %d, the peer has offered %d", end, peer.edge)
	case e.fin != 0 && end > e.fin+1:
		fault = fmt.Sprintf("sends up to %d, beyond its FIN at %d", end, e.fin)
	}
	if flags&syn == 0 && len(payload) > 0 && seq >= 1 && fault == "" {
		want := make([]byte, len(payload))
		if fill(want, e.stream, seq-1); string(want) != string(payload) {
			fault = fmt.Sprintf("the bytes at %d are not those of the stream", seq)
		}
	}
	if end > e.most && peer.ack == e.most {
		e.since = now
	}
	e.most = max(e.most, end)
	if flags&fin != 0 {
		if at := end - 1; e.fin == 0 {
			e.fin = at
		} else if at != e.fin && fault == "" {
			fault = fmt.Sprintf("its FIN was at %d and is at %d", e.fin, at)
		}
	}
	if flags&ackFlag == 0 || !peer.open {
		return fault
	}
	ack := int(int32(binary.BigEndian.Uint32(segment[8:]) - peer.isn))
	if ack > peer.most && fault == "" {
		fault = fmt.Sprintf("acknowledges %d, the peer has sent %d", ack, peer.most)
	}
	if ack > e.ack || e.acked == 0 {
		e.ack, e.acked = ack, now
		peer.slow, peer.since = max(peer.slow, now-peer.since), now
	}
	window := int(binary.BigEndian.Uint16(segment[14:]))
	if flags&syn == 0 {
		window <<= e.scale
	}
	// RFC 9293 §3.8.6: a receiver should not take back what it has offered. Less than a unit of the scale is rounding.
	if edge := ack + window; edge+1<<e.scale <= e.edge && ack >= e.ack && fault == "" {
		fault = fmt.Sprintf("takes its window back from %d to %d", e.edge, edge)
	} else {
		e.edge = max(e.edge, edge)
	}
	return fault
}

const noScale = 0xff

// scaleOf is the window scale among the options of a SYN.
func scaleOf(options []byte) uint8 {
	for len(options) > 1 && options[0] != 0 {
		switch n := int(options[1]); {
		case options[0] == 1:
			options = options[1:]
		case n < 2 || n > len(options):
			return noScale
		case options[0] == 3 && n == 3:
			return options[2]
		default:
			options = options[n:]
		}
	}
	return noScale
}

func (c *exchange) describe(host int, now int64, segment []byte) string {
	size := int(segment[12]>>4) * 4
	return fmt.Sprintf("%v host %d: seq %d ack %d len %d win %d flags %#x options %x", time.Duration(now)-time.Hour, host,
		int32(binary.BigEndian.Uint32(segment[4:])-c[host].isn), int32(binary.BigEndian.Uint32(segment[8:])-c[1-host].isn),
		len(segment)-size, int(binary.BigEndian.Uint16(segment[14:]))<<(c[host].scale&15), segment[13], segment[20:size])
}
