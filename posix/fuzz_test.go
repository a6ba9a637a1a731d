package posix

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

// FuzzCalls makes calls with arbitrary arguments: none may panic or block, and the table's lists stay whole.
func FuzzCalls(f *testing.F) {
	f.Add([]byte("\x00\x03\x01\x04\x05\x02\x06\x03\x04\x07\x03\x01"))
	f.Add([]byte{0, 0, 1, 2, 9, 0, 0, 3, 4, 0, 5, 1, 3, 3, 12, 3, 1, 13, 4, 8, 2, 3, 3, 0, 0, 9, 9, 9})
	f.Fuzz(func(t *testing.T, program []byte) {
		st := stack.New(func() int64 { return 0 })
		table := newTable(1<<10, st, newFake(t, st))
		table.Serve(func() error { return nil }, func(error) {}) // nothing blocks
		next := func() int {
			if len(program) == 0 {
				return 0
			}
			b := program[0]
			program = program[1:]
			return int(int8(b))
		}
		buf, events := make([]byte, 64), make([]EpollEvent, 4)
		any4 := func() Sockaddr { return &unix.SockaddrInet4{Port: next() & 3, Addr: inet4} }
		for len(program) > 0 {
			switch next() & 31 {
			case 0:
				table.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
			case 1:
				table.Socket(next(), next()<<8|next(), next())
			case 2:
				table.Bind(next(), any4())
			case 3:
				table.Listen(next(), next())
			case 4:
				table.Accept4(next(), next()<<11)
			case 5:
				table.Connect(next(), any4())
			case 6:
				table.Close(next())
			case 7:
				table.Dup3(next(), next(), 0)
			case 8:
				table.FcntlInt(uintptr(next()), next(), next())
			case 9, 10:
				table.EpollCreate1(0)
			case 11, 12, 13:
				table.EpollCtl(next(), next()&3, next(), &EpollEvent{Events: uint32(next())<<25 | uint32(next())})
			case 14, 15:
				table.EpollWait(next(), events[:next()&3], next())
			case 16:
				table.Read(next(), buf[:next()&63])
			case 17:
				table.Write(next(), buf[:next()&63])
			case 18:
				table.Readv(next(), [][]byte{buf[:3], nil, buf[:next()&63]})
			case 19:
				table.Writev(next(), [][]byte{buf[:3], nil, buf[:next()&63]})
			case 20:
				table.Recvfrom(next(), buf, next()<<4)
			case 21:
				table.Sendto(next(), buf, next()<<4, any4())
			case 22:
				table.Shutdown(next(), next())
			case 23:
				table.Eventfd(uint(next()), next())
			case 24:
				table.Poll([]PollFd{{Fd: int32(next()), Events: int16(next())}}, next())
			case 25:
				var r, w FdSet
				r.Set(next() & 127)
				w.Set(next() & 127)
				table.Select(next(), &r, &w, nil, &Timeval{Usec: int64(next())})
			case 26:
				table.SetsockoptTimeval(next(), unix.SOL_SOCKET, unix.SO_RCVTIMEO, &Timeval{Sec: int64(next()) << 56, Usec: int64(next())})
			case 27:
				table.GetsockoptInt(next(), next(), next())
			case 28:
				table.Setrlimit(unix.RLIMIT_NOFILE, &Rlimit{Cur: uint64(next()), Max: 1 << 10})
			case 29:
				table.Recvmsg(next(), buf, nil, next())
			case 30:
				(*tableSink)(table).Notify(uint32(next())<<24|uint32(next()&255), stack.Events(next()))
			case 31:
				table.Getpeername(next())
			}
		}
		table.checkLists(t)
		table.Destroy()
	})
}
