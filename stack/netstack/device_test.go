package netstack

import (
	"net"
	"net/netip"
	"testing"

	"github.com/fstack-go/fstack/stack"
)

// fake is a device in memory: it keeps what is sent, and receives what a test gives it.
type fake struct {
	queue stack.Queue
	info  stack.DeviceInfo
	sent  [][]byte // frames, joined where they lay in several slots
	flags []stack.FrameFlags
	first []stack.Frame // the first slot of each
	stuck bool          // takes nothing
	in    []stack.Frame
}

var mac = net.HardwareAddr{2, 0, 0, 0, 0, 9}

func newFake(slots, size int, offloads stack.FrameFlags) *fake {
	tx := make([]stack.Frame, slots)
	for i := range tx {
		tx[i] = stack.MakeFrame(make([]byte, size), 0)
	}
	return &fake{queue: stack.MakeQueue(tx), info: stack.DeviceInfo{Name: "fake", MAC: mac, MTU: 1500, Offloads: offloads}}
}

func (d *fake) Queue() *stack.Queue    { return &d.queue }
func (d *fake) Info() stack.DeviceInfo { return d.info }
func (d *fake) Close() error           { return nil }

func (d *fake) Exchange() {
	d.Flush()
	d.queue.Rx, d.in = d.in, nil
}

func (d *fake) Flush() {
	if d.stuck {
		return
	}
	taken := d.queue.Taken()
	var b []byte
	for i := range taken {
		f := &taken[i]
		if b == nil {
			d.flags = append(d.flags, f.Flags&^stack.More)
			d.first = append(d.first, *f)
		}
		b = append(b, f.Bytes()...)
		if f.Flags&stack.More == 0 {
			d.sent = append(d.sent, b)
			b = nil
		}
	}
	d.queue.Sent(len(taken))
}

// receive gives the device a frame in pieces of at most piece bytes.
func (d *fake) receive(flags stack.FrameFlags, piece int, frame []byte) {
	for {
		n := min(piece, len(frame))
		f := stack.MakeFrame(append(make([]byte, 0, max(n, 1)), frame[:n]...), 0)
		f.Flags = flags
		frame = frame[n:]
		if len(frame) > 0 {
			f.Flags |= stack.More
		}
		d.in = append(d.in, f)
		if len(frame) == 0 {
			return
		}
	}
}

// solo is a host on a fake device, with neighbours b4 and b6 at a known link address.
type solo struct {
	*host
	dev *fake
	now int64
}

var peerMAC = [6]byte{2, 0, 0, 0, 0, 2}

func newSolo(t testing.TB, dev *fake, cfg Config) *solo {
	t.Helper()
	s := &solo{dev: dev, now: 1}
	st := stack.New(func() int64 { return s.now })
	port := st.AddPort(dev)
	n, err := New(st, cfg)
	if err != nil {
		t.Fatal(err)
	}
	st.AddLayer(n)
	t.Cleanup(n.Destroy)
	s.host = &host{n, t, st}
	s.ok(n.AddPort(port, PortConfig{Addrs: []netip.Prefix{netip.PrefixFrom(a4, 24), netip.PrefixFrom(a6, 64)}}))
	s.ok(n.AddNeighbour(port, b4, peerMAC))
	s.ok(n.AddNeighbour(port, b6, peerMAC))
	s.turn()
	return s
}

// turn turns the loop until it is at rest.
func (s *solo) turn() {
	for range 100 {
		s.now += 1000
		work := s.st.Poll(s.now)
		s.Settle()
		if work == 0 && !s.Pending() {
			return
		}
	}
}

// take returns the frames sent since the last call.
func (s *solo) take() (frames [][]byte, flags []stack.FrameFlags) {
	s.turn()
	frames, flags = s.dev.sent, s.dev.flags
	s.dev.sent, s.dev.flags, s.dev.first = nil, nil, nil
	return frames, flags
}
