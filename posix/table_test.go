package posix

import (
	"reflect"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fstack-go/fstack/stack"
)

func TestSignaturesAreThoseOfPackageUnix(t *testing.T) {
	for name, f := range map[string][2]any{
		"Accept": {Accept, unix.Accept}, "Accept4": {Accept4, unix.Accept4}, "Bind": {Bind, unix.Bind},
		"Close": {Close, unix.Close}, "CloseOnExec": {CloseOnExec, unix.CloseOnExec}, "Connect": {Connect, unix.Connect},
		"Dup": {Dup, unix.Dup}, "Dup2": {Dup2, unix.Dup2}, "Dup3": {Dup3, unix.Dup3},
		"EpollCreate": {EpollCreate, unix.EpollCreate}, "EpollCreate1": {EpollCreate1, unix.EpollCreate1},
		"EpollCtl": {EpollCtl, unix.EpollCtl}, "EpollWait": {EpollWait, unix.EpollWait},
		"Eventfd": {Eventfd, unix.Eventfd}, "FcntlInt": {FcntlInt, unix.FcntlInt},
		"Getpeername": {Getpeername, unix.Getpeername}, "Getsockname": {Getsockname, unix.Getsockname},
		"Getrlimit": {Getrlimit, unix.Getrlimit}, "Setrlimit": {Setrlimit, unix.Setrlimit},
		"GetsockoptInt":     {GetsockoptInt, unix.GetsockoptInt},
		"GetsockoptLinger":  {GetsockoptLinger, unix.GetsockoptLinger},
		"GetsockoptString":  {GetsockoptString, unix.GetsockoptString},
		"GetsockoptTCPInfo": {GetsockoptTCPInfo, unix.GetsockoptTCPInfo},
		"GetsockoptTimeval": {GetsockoptTimeval, unix.GetsockoptTimeval},
		"Listen":            {Listen, unix.Listen}, "Poll": {Poll, unix.Poll}, "Read": {Read, unix.Read},
		"Readv": {Readv, unix.Readv}, "Recvfrom": {Recvfrom, unix.Recvfrom}, "Recvmsg": {Recvmsg, unix.Recvmsg},
		"RecvmsgBuffers": {RecvmsgBuffers, unix.RecvmsgBuffers}, "Select": {Select, unix.Select},
		"Send": {Send, unix.Send}, "Sendmsg": {Sendmsg, unix.Sendmsg}, "SendmsgN": {SendmsgN, unix.SendmsgN},
		"SendmsgBuffers": {SendmsgBuffers, unix.SendmsgBuffers}, "Sendto": {Sendto, unix.Sendto},
		"SetNonblock":       {SetNonblock, unix.SetNonblock},
		"SetsockoptByte":    {SetsockoptByte, unix.SetsockoptByte},
		"SetsockoptInt":     {SetsockoptInt, unix.SetsockoptInt},
		"SetsockoptLinger":  {SetsockoptLinger, unix.SetsockoptLinger},
		"SetsockoptString":  {SetsockoptString, unix.SetsockoptString},
		"SetsockoptTimeval": {SetsockoptTimeval, unix.SetsockoptTimeval},
		"Shutdown":          {Shutdown, unix.Shutdown}, "Socket": {Socket, unix.Socket},
		"Write": {Write, unix.Write}, "Writev": {Writev, unix.Writev},
	} {
		if got, want := reflect.TypeOf(f[0]), reflect.TypeOf(f[1]); got != want {
			t.Errorf("%s is %v, in package unix %v", name, got, want)
		}
	}
}

func TestFunctionsBeforeUse(t *testing.T) {
	if fd, err := Socket(AF_INET, SOCK_STREAM, 0); fd != -1 || err != EPROTONOSUPPORT {
		t.Errorf("Socket: %d, %v", fd, err)
	}
	if n, err := Read(3, make([]byte, 1)); n != -1 || err != EBADF {
		t.Errorf("Read: %d, %v", n, err)
	}
}

func TestLimitOfDescriptors(t *testing.T) {
	table, f := newFakeTable(t)
	r := &transcript{calls: table, t: t}
	l, sa := r.listener(unix.AF_INET)
	var rl Rlimit
	if err := table.Getrlimit(unix.RLIMIT_NOFILE, &rl); err != nil || rl.Max != maxFiles || rl.Cur != maxFiles {
		t.Fatalf("Getrlimit: %+v, %v", rl, err)
	}
	c := r.socket(unix.AF_INET, unix.SOCK_STREAM)
	rl.Cur = uint64(c) + 1
	if err := table.Setrlimit(unix.RLIMIT_NOFILE, &rl); err != nil {
		t.Fatal(err)
	}
	if err := table.Connect(c, sa); err != nil {
		t.Fatal(err)
	}
	full := func(what string, fd int, err error) {
		t.Helper()
		if fd != -1 || err != syscall.EMFILE {
			t.Errorf("%s: %d, %v, want EMFILE", what, fd, err)
		}
	}
	nfd, err := table.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	full("Socket", nfd, err)
	nfd, err = table.EpollCreate1(0)
	full("EpollCreate1", nfd, err)
	nfd, err = table.Eventfd(0, 0)
	full("Eventfd", nfd, err)
	nfd, err = table.Dup(c)
	full("Dup", nfd, err)
	for range 2 {
		nfd, _, err = table.Accept4(l, 0)
		full("Accept4", nfd, err)
	}
	if f.opened-f.closed != 2 {
		t.Errorf("%d sockets open, want 2: those that found no descriptor are closed", f.opened-f.closed)
	}
	rl.Cur++
	if err := table.Setrlimit(unix.RLIMIT_NOFILE, &rl); err != nil {
		t.Fatal(err)
	}
	if fd, _, err := table.Accept4(l, 0); fd != c+1 || err != nil {
		t.Errorf("the connection that waited for a descriptor: %d, %v", fd, err)
	}
	rl.Cur = rl.Max + 1
	if err := table.Setrlimit(unix.RLIMIT_NOFILE, &rl); err != syscall.EINVAL {
		t.Errorf("more than there is room for: %v, want EINVAL", err)
	}
	rl.Max++
	if err := table.Setrlimit(unix.RLIMIT_NOFILE, &rl); err != syscall.EPERM {
		t.Errorf("more room: %v, want EPERM", err)
	}
	if err := table.Setrlimit(unix.RLIMIT_CORE, &rl); err != syscall.EINVAL {
		t.Errorf("another resource: %v, want EINVAL", err)
	}
}

func TestNumbersStartAfterTheStandardStreams(t *testing.T) {
	table, _ := newFakeTable(t)
	for want := 3; want < 10; want++ {
		if fd, err := table.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); fd != want || err != nil {
			t.Errorf("Socket: %d, %v, want %d", fd, err, want)
		}
	}
	table.Close(5)
	table.Close(7)
	for _, want := range []int{5, 7, 10} {
		if fd, _ := table.EpollCreate1(0); fd != want {
			t.Errorf("EpollCreate1: %d, want %d, the lowest free", fd, want)
		}
	}
	if fd, err := table.FcntlInt(3, unix.F_DUPFD, 0); fd != 11 || err != nil {
		t.Errorf("F_DUPFD from 0 on: %d, %v, want 11", fd, err)
	}
}

func TestNotificationsOfAnEarlierFileAreIgnored(t *testing.T) {
	table, _ := newFakeTable(t)
	r := &transcript{calls: table, t: t}
	_, s := r.pair()
	ep, _ := table.EpollCreate1(0)
	in := &EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET}
	r.must(table.EpollCtl(ep, unix.EPOLL_CTL_ADD, s, in))
	tag := table.state(s).tag(table.file(s))
	r.must(table.Close(s))
	s2 := r.socket(unix.AF_INET, unix.SOCK_STREAM)
	if f := table.file(s2); f != tag&fileMask {
		t.Fatalf("file %d, want %d to be used again", f, tag&fileMask)
	}
	r.must(table.EpollCtl(ep, unix.EPOLL_CTL_ADD, s2, &EpollEvent{Events: unix.EPOLLOUT | unix.EPOLLET}))
	events := make([]EpollEvent, 4)
	if n, _ := table.EpollWait(ep, events, 0); n != 1 {
		t.Fatalf("%d events of the new socket, want 1", n)
	}
	(*tableSink)(table).Notify(tag, stack.EventOut|stack.EventIn)
	if n, _ := table.EpollWait(ep, events, 0); n != 0 {
		t.Errorf("news of the earlier file made an event: %+v", events[0])
	}
	(*tableSink)(table).Notify(table.state(s2).tag(tag&fileMask), stack.EventOut)
	if n, _ := table.EpollWait(ep, events, 0); n != 1 {
		t.Errorf("%d events by news of the file, want 1", n)
	}
	for _, tag := range []uint32{0, fileMask, 1 << fileBits, 12345} { // never given out
		(*tableSink)(table).Notify(tag, ^stack.Events(0))
	}
}

func TestMillionDescriptors(t *testing.T) {
	const many = 1 << 20
	if maxFiles < many {
		t.Skip("there is less room with the race detector")
	}
	st := stack.New(func() int64 { return 0 })
	table := New(st, nothing{})
	ep, _ := table.EpollCreate1(0)
	for i := range many {
		fd, err := table.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil || fd != i+4 {
			t.Fatalf("Socket: %d, %v, want %d", fd, err, i+4)
		}
		if err := table.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.Close(ep); err != nil {
		t.Fatal(err)
	}
	if table.files[table.file(100)].items != 0 {
		t.Error("a closed epoll left a registration")
	}
	for fd := 4; fd < many+4; fd++ {
		if err := table.Close(fd); err != nil {
			t.Fatal(err)
		}
	}
	if fd, _ := table.EpollCreate1(0); fd != 3 {
		t.Errorf("lowest free number %d, want 3", fd)
	}
	table.Destroy()
}
