package supervise

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestMain is also the worker of the tests below.
func TestMain(m *testing.M) {
	w, err := Inherited()
	switch {
	case err != nil:
		os.Stderr.WriteString(err.Error())
		os.Exit(3)
	case w == nil:
		os.Exit(m.Run())
	}
	w.Send(Message{Kind: Hello, Text: string(w.Config), Lines: []string{os.Getenv(Variable), strconv.Itoa(len(w.EventFDs))}})
	for {
		m, err := w.Receive()
		if err != nil {
			os.Exit(4)
		}
		switch m.Text {
		case "panic":
			panic("as it was asked to")
		case "exit":
			os.Exit(0)
		case "close": // and live on
			w.Close()
			select {}
		case "child": // must not hold the socket open
			exec.Command("sleep", "15").Start()
			os.Exit(0)
		case "where":
			m.Text = strconv.FormatBool(Mapped(libraries.From, libraries.To))
		case "kick":
			unix.Write(int(m.ID), []byte{1, 0, 0, 0, 0, 0, 0, 0})
		case "wake":
			unix.Write(w.EventFDs[2], []byte{1, 0, 0, 0, 0, 0, 0, 0})
		}
		w.Send(Message{Kind: Answer, ID: m.ID, Text: m.Text})
	}
}

// begin starts a worker.
func begin(t *testing.T) (*Process, []*os.File) {
	t.Helper()
	return beginAs(t, Part{Slot: 1, Slots: 4, Index: 1, Lcore: 1})
}

func beginAs(t *testing.T, part Part) (*Process, []*os.File) {
	t.Helper()
	b, err := OpenBinary("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	config, err := ConfigFile([]byte("[x]\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer config.Close()
	events, err := EventFiles(5)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, f := range events {
			f.Close()
		}
	})
	p, err := Start(b, part, config, events)
	if err != nil {
		t.Fatal(err)
	}
	return p, events
}

func TestWorker(t *testing.T) {
	for text, want := range map[string]string{"exit": "exit status 0", "panic": "exit status 2", "close": "signal: killed", "child": "exit status 0", "kill": "signal: killed"} {
		t.Run(text, func(t *testing.T) {
			p, _ := begin(t)
			m, err := p.Receive()
			if err != nil || m.Kind != Hello || m.Text != "[x]\n" || m.Lines[0] != "" || m.Lines[1] != "5" {
				t.Errorf("%+v, %v", m, err)
			}
			p.Send(Message{Kind: Tell, ID: 9, Text: "hello"})
			if m, err := p.Receive(); err != nil || m.ID != 9 || m.Text != "hello" {
				t.Errorf("%+v, %v", m, err)
			}
			if text == "kill" {
				p.Kill()
			} else {
				p.Send(Message{Kind: Tell, Text: text})
			}
			start := time.Now()
			if end := p.Watch(func(Message) {}); end != want {
				t.Errorf("it ended with %q, want %q", end, want)
			}
			if took := time.Since(start); took > 12*time.Second {
				t.Errorf("its end was seen after %v", took)
			}
		})
	}
}

// libraries is a part that shares addresses of which a process has some by chance: half of where the kernel puts
// libraries.
var libraries = Part{Slot: 1, Slots: 4, Index: 1, Lcore: 1, From: 0x7f8000000000, To: 0x7ff000000000}

// TestBeginAnew: a worker that has something where it will have the supervisor's memory begins once more, and is the
// same process with the same descriptors.
func TestBeginAnew(t *testing.T) {
	for range 8 {
		p, _ := beginAs(t, libraries)
		m, err := p.Receive()
		if err != nil || m.Kind != Hello || m.Text != "[x]\n" || m.Lines[0] != "" || m.Lines[1] != "5" {
			t.Fatalf("%+v, %v", m, err)
		}
		p.Send(Message{Kind: Tell, Text: "where"})
		if m, err := p.Receive(); err != nil || m.Text != "false" {
			t.Errorf("it has something there: %s, %v", m.Text, err)
		}
		p.Send(Message{Kind: Tell, Text: "exit"})
		if end := p.Watch(func(Message) {}); end != "exit status 0" {
			t.Errorf("it ended with %q", end)
		}
	}
}

func TestMapped(t *testing.T) {
	b, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	for _, tt := range []struct {
		from, to uintptr
		want     bool
	}{{at, at + 1, true}, {at - 1, at + 1, true}, {at + 1, at, false}, {0, 0, false}, {1, 2, false}} {
		if got := Mapped(tt.from, tt.to); got != tt.want {
			t.Errorf("from %#x to %#x: %t", tt.from, tt.to, got)
		}
	}
	if base := FreeBase(); base != 0 && Mapped(uintptr(base), uintptr(base)+512<<30) {
		t.Errorf("%#x is not free", base)
	}
	unix.Munmap(b)
}

// TestEvents: all slots' eventfds are the same objects here and there.
func TestEvents(t *testing.T) {
	p, events := begin(t)
	p.Receive()
	p.Send(Message{Kind: Tell, Text: "wake"})
	p.Receive()
	var b [8]byte
	if n, err := unix.Read(int(events[2].Fd()), b[:]); n != 8 || b[0] != 1 {
		t.Errorf("eventfd 2 says %v, %v", b, err)
	}
	p.Kill()
	p.Watch(func(Message) {})
}

// TestByHand starts workers without a supervisor, with and without what looks like an inheritance.
func TestByHand(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for _, text := range []string{"", "1", "{}", "null", `{"slot":-1,"slots":4,"events":5}`, `{"slot":0,"slots":4,"events":5}`, `{"slot":0,"slots":4,"events":5000}`, `{"slot":0,"slots":4,"events":5,"supervisor":` + strconv.Itoa(os.Getpid()) + `}`} {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), Variable+"="+text)
		cmd.ExtraFiles = []*os.File{r, w, w, w, w, w, w, w}
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.Contains(string(out), "not started by hand") {
			t.Errorf("%q: %v\n%s", text, err, out)
		}
	}
}

func TestBinaryIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	text, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(path, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := OpenBinary(path)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	os.Remove(path)
	os.WriteFile(path, []byte("another version"), 0o755)
	config, _ := ConfigFile(nil)
	defer config.Close()
	events, _ := EventFiles(3)
	p, err := Start(b, Part{Slots: 2}, config, events)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := p.Receive(); err != nil || m.Kind != Hello {
		t.Errorf("%+v, %v", m, err)
	}
	p.Kill()
	p.Watch(func(Message) {})
	if _, err := OpenBinary(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestRunDir(t *testing.T) {
	t.Setenv("RUNTIME_DIRECTORY", t.TempDir())
	d, err := Claim("p")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Claim("p"); !errors.Is(err, unix.EADDRINUSE) || !strings.Contains(err.Error(), "pid "+strconv.Itoa(os.Getpid())) {
		t.Errorf("a second claim: %v", err)
	}
	other, err := Claim("q")
	if err != nil {
		t.Error("another prefix: ", err)
	} else if err := other.Close(); err != nil {
		t.Error(err)
	}
	slot, err := LockSlot("p", 1, 5)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LockSlot("p", 1, 5); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("a slot's second lock: %v", err)
	}
	stale, _ := LockSlot("p", 2, 6)
	stale.file.Close() // as if its process had died
	d.lock.Close()     // and the supervisor, too
	var o *Orphans
	if _, err := Claim("p"); !errors.As(err, &o) || len(o.PIDs) != 1 || o.PIDs[0] != os.Getpid() || o.Lcores[0] != 5 {
		t.Fatalf("a claim while a worker serves: %v", err)
	}
	if want := "`kill " + strconv.Itoa(os.Getpid()) + "`"; !strings.Contains(o.Error(), want) {
		t.Errorf("%q does not say %s", o, want)
	}
	if err := slot.Close(); err != nil {
		t.Error(err)
	}
	d, err = Claim("p")
	if err != nil {
		t.Fatal("a claim after a crash: ", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(os.Getenv("RUNTIME_DIRECTORY") + "/*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestBackoff(t *testing.T) {
	var b Backoff
	var got []time.Duration
	for range 12 {
		got = append(got, b.Died(time.Second))
	}
	if got[0] != backoffFirst || got[1] != 2*backoffFirst || got[11] != backoffMost || b.Deaths() != 12 {
		t.Errorf("pauses %v", got)
	}
	if p := b.Died(Healthy); p != backoffFirst || b.Deaths() != 1 {
		t.Errorf("after a healthy life: %v", p)
	}
}

// TestDriversEvents: an eventfd that a driver has opened, to be closed on exec, has its number in the worker too, and
// none of the numbers that workers inherit under.
func TestDriversEvents(t *testing.T) {
	release, err := ReserveNumbers(5)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(theirs)
	release()
	if theirs <= numbersUpTo(5) {
		t.Fatalf("a driver got the number %d", theirs)
	}
	if fds, err := ShareEvents(5); err != nil || !slices.Contains(fds, theirs) {
		t.Fatalf("shared %v, %v; want %d among them", fds, err, theirs)
	}
	p, _ := begin(t)
	p.Receive()
	p.Send(Message{Kind: Tell, Text: "kick", ID: uint64(theirs)})
	p.Receive()
	var b [8]byte
	if n, err := unix.Read(theirs, b[:]); n != 8 || b[0] != 1 {
		t.Errorf("the driver's eventfd says %v, %v", b, err)
	}
	p.Kill()
	p.Watch(func(Message) {})
}
