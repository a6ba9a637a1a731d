package main

import (
	"net"
	"testing"
	"time"

	"github.com/fstack-go/fstack/stack"
)

// echo is a device whose other end is a responder, without a wire: what is sent is answered by the next exchange.
type echo struct {
	queue, far stack.Queue
	r          *responder
	epoch      time.Time
}

// farEnd is the responder's view of an echo.
type farEnd struct{ *echo }

const echoSlots = 256

func frames() []stack.Frame {
	f := make([]stack.Frame, echoSlots)
	for i := range f {
		f[i] = stack.MakeFrame(make([]byte, 1518), 0)
	}
	return f
}

func newEcho(t testing.TB, args ...string) (*client, *echo) {
	t.Helper()
	o, err := parse(append([]string{"-device", "echo"}, args...), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{epoch: time.Now()}
	e.queue, e.far = stack.MakeQueue(frames()), stack.MakeQueue(frames())
	e.r = newResponder(farEnd{e}, 650)
	l, err := newClient(o, e)
	if err != nil {
		t.Fatal(err)
	}
	return l, e
}

func (e *echo) clock() int64 { return int64(time.Since(e.epoch)) }

func (e *echo) Queue() *stack.Queue { return &e.queue }

func (e *echo) Exchange() {
	e.far.Rx = e.queue.Taken()
	for i := range e.far.Rx {
		e.r.deliver(e.far.Rx[i].Bytes())
	}
	e.queue.Sent(len(e.queue.Taken()))
	e.queue.Rx = e.far.Taken()
	for i := range e.queue.Rx {
		e.queue.Rx[i].Flags = stack.RxIPCsumGood | stack.RxL4CsumGood
	}
	e.far.Sent(len(e.far.Taken()))
}

func (e *echo) Flush()       {}
func (e *echo) Close() error { return nil }

func (e *echo) Info() stack.DeviceInfo {
	return stack.DeviceInfo{Name: "echo", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, MTU: 1500, Offloads: stack.TxTCPCsum}
}

func (f farEnd) Queue() *stack.Queue { return &f.far }

// BenchmarkRequest is what a request costs the generator, with the responder that answers it in the same loop.
func BenchmarkRequest(b *testing.B) {
	for _, mode := range []string{modeKeepAlive, modeConnect} {
		b.Run(mode, func(b *testing.B) {
			l, e := newEcho(b, "-mode", mode, "-conns", "64")
			b.ReportAllocs()
			for l.counters.Requests < uint64(b.N) {
				l.turn(e.clock)
			}
			b.ReportMetric(float64(l.counters.Requests)/b.Elapsed().Seconds(), "requests/s")
			if l.counters.failures() > 0 {
				b.Errorf("%+v", l.counters)
			}
		})
	}
}
