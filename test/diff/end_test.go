package diff

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/posix"
)

// end is one side of a connection as its script has it. Events and its own pauses drive it, nothing else.
type end struct {
	app    *app
	peer   *end
	script *script
	fd     int
	port   uint16 // of the side on host 0
	stream uint64 // name of what it sends

	established bool
	closed      bool
	next        int // write to do
	done        int // bytes of it that are done
	written     int // bytes in all
	ended       bool
	got         int
	sawEnd      bool
	err         error

	writeAt, readAt int64 // not before
	pausedFor       int   // the write whose pause has been begun, plus one
	sinceRead       int   // bytes, since the last pause
	lastWrite       int64
	progress        int64 // when it last got something new
	resumed         int64 // when it last began to read again
	touched         int64 // when anything last happened
}

func (e *end) now() int64 { return e.app.pair.now() }

// open is an end that still takes and gives.
func (e *end) open() bool { return e.established && !e.closed }

// reading tells whether the end takes what comes.
func (e *end) reading() bool { return e.open() && !e.sawEnd && e.readAt <= e.now() }

// connected is called when the connection stands.
func (e *end) connected() {
	e.established, e.progress, e.touched = true, e.now(), e.now()
	if e.script.nodelay {
		e.app.must(e.app.table.SetsockoptInt(e.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	}
}

// pump does all that can be done now.
func (e *end) pump() {
	if e.closed {
		return
	}
	if !e.established {
		n, err := e.app.table.GetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		e.app.must(err)
		if n != 0 {
			e.fail(syscall.Errno(n))
			return
		}
		p := []posix.PollFd{{Fd: int32(e.fd), Events: unix.POLLOUT}}
		if n, _ := e.app.table.Poll(p, 0); n == 0 {
			return
		}
		e.connected()
	}
	e.write()
	e.read()
	if e.closed || !e.written0() {
		return
	}
	if !e.ended {
		e.finish()
	}
	if e.sawEnd && !e.closed {
		e.close()
	}
}

func (e *end) written0() bool { return e.next == len(e.script.writes) }

func (e *end) write() {
	for !e.closed && e.next < len(e.script.writes) {
		w := e.script.writes[e.next]
		if w.pause > 0 && e.pausedFor != e.next+1 {
			e.pausedFor = e.next + 1
			e.writeAt = e.now() + int64(w.pause)
			e.app.wakeIn(w.pause)
		}
		if e.writeAt > e.now() {
			return
		}
		p := e.app.buf[:min(w.size-e.done, len(e.app.buf))]
		fill(p, e.stream, e.written)
		n, err := e.app.table.Write(e.fd, p)
		if err == syscall.EAGAIN {
			return
		}
		if err != nil {
			e.fail(err)
			return
		}
		e.written += n
		e.lastWrite, e.touched = e.now(), e.now()
		if e.done += n; e.done == w.size {
			e.next, e.done = e.next+1, 0
		}
	}
}

func (e *end) read() {
	for !e.closed && !e.sawEnd && e.readAt <= e.now() {
		p := e.app.buf[:e.script.readSize]
		n, err := e.app.table.Read(e.fd, p)
		if err == syscall.EAGAIN {
			return
		}
		if err != nil {
			e.fail(err)
			return
		}
		e.touched, e.progress = e.now(), e.now()
		if n == 0 {
			e.sawEnd = true
			return
		}
		want := e.app.want[:n]
		fill(want, e.peer.stream, e.got)
		for i := range want {
			if p[i] != want[i] {
				e.app.pair.t.Fatalf("byte %d from host %d of connection %d is %#x, want %#x", e.got+i, e.peer.app.index, e.port, p[i], want[i])
			}
		}
		e.got += n
		if e.sinceRead += n; e.script.readSome > 0 && e.sinceRead >= e.script.readSome {
			e.sinceRead = 0
			e.readAt = e.now() + int64(e.script.readPause)
			e.resumed = e.readAt
			e.app.wakeIn(e.script.readPause)
		}
	}
}

// finish is the script's ending.
func (e *end) finish() {
	switch e.script.end {
	case endShutdown:
		e.ended = true
		e.lastWrite = e.now()
		if err := e.app.table.Shutdown(e.fd, unix.SHUT_WR); err != nil {
			e.fail(err)
		}
	case endWait:
		if e.sawEnd {
			e.ended = true
		}
	case endClose:
		e.ended = true
		e.close()
	case endReset:
		e.ended = true
		e.app.must(e.app.table.SetsockoptLinger(e.fd, unix.SOL_SOCKET, unix.SO_LINGER, &posix.Linger{Onoff: 1}))
		e.close()
	}
}

func (e *end) fail(err error) {
	e.err = err
	e.close()
}

func (e *end) close() {
	e.closed, e.lastWrite = true, e.now()
	delete(e.app.ends, e.fd)
	e.app.must(e.app.table.Close(e.fd))
}

// tick is what an end does by itself as time passes.
func (e *end) tick() {
	if e.closed || e.fd == 0 {
		return
	}
	if (e.app.hasty || e.peer.script.rude() && e.peer.closed || e.peer.err != nil) && e.now()-e.touched > int64(e.app.pair.patience) {
		e.fail(syscall.ETIMEDOUT)
		return
	}
	if e.established && (e.writeAt <= e.now() || e.readAt <= e.now()) {
		e.pump()
	}
}
