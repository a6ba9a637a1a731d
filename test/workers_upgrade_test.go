//go:build !nodpdk

package test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fstack-go/fstack/control"
)

// replaceable has the program run from a copy, which can be replaced.
func replaceable(t *testing.T, p *process) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "program")
	b, err := os.ReadFile(p.cmd.Path)
	if err == nil {
		err = os.WriteFile(path, b, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(path, p.cmd.Args[1:]...)
	return path
}

// replace puts another program in the place of one that may run.
func replace(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", text, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// traffic is a client that holds connections and uses them, and one that opens new ones all the time.
type traffic struct {
	wrong  atomic.Int64
	opened atomic.Int64
	used   atomic.Int64
	said   sync.Map // what went wrong
	stop   context.CancelFunc
	going  sync.WaitGroup
}

func (x *traffic) fails(format string, args ...any) {
	x.wrong.Add(1)
	x.said.Store(fmt.Sprintf(format, args...), true)
}

// begin opens n echo connections, which it uses until stop, and opens others of HTTP.
func (p *process) begin(t *testing.T, n int) *traffic {
	t.Helper()
	x := new(traffic)
	ctx, stop := context.WithCancel(context.Background())
	x.stop = stop
	t.Cleanup(stop)
	for i := range n {
		c, err := p.dial("tcp", addr4+":7")
		if err != nil {
			t.Fatal(err)
		}
		x.going.Go(func() { x.echo(ctx, c, i%2 == 0) })
	}
	for range 4 {
		x.going.Go(func() {
			for ctx.Err() == nil {
				if _, _, err := p.who(); err != nil {
					x.fails("new connection: %v", err)
				}
				x.opened.Add(1)
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	return x
}

// echo uses a connection: all the time, or with pauses.
func (x *traffic) echo(ctx context.Context, c net.Conn, busy bool) {
	defer c.Close()
	for i := 0; ctx.Err() == nil; i++ {
		c.SetDeadline(time.Now().Add(10 * time.Second))
		want := bytes.Repeat([]byte{byte(i)}, 1+i%3000)
		if _, err := c.Write(want); err != nil {
			x.fails("held connection: write: %v", err)
			return
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
			x.fails("held connection: read: %v", err)
			return
		}
		x.used.Add(1)
		if busy {
			time.Sleep(time.Millisecond)
		} else {
			time.Sleep(150 * time.Millisecond)
		}
	}
	c.(*net.TCPConn).CloseWrite()
	if _, err := io.Copy(io.Discard, c); err != nil {
		x.fails("held connection: close: %v", err)
	}
}

// end stops the clients and reports what went wrong.
func (x *traffic) end(t *testing.T) {
	t.Helper()
	x.stop()
	x.going.Wait()
	t.Logf("%d connections opened, %d exchanges on those that were held, %d failures", x.opened.Load(), x.used.Load(), x.wrong.Load())
	x.said.Range(func(k, _ any) bool { t.Error(k); return true })
	if x.opened.Load() == 0 || x.used.Load() == 0 {
		t.Error("nothing was tested")
	}
}

// TestUpgrade: the new version takes over from the old one, twice, with no failure of a client that holds connections and
// of one that opens new ones. The old one ends when its connections have.
func TestUpgrade(t *testing.T) {
	needsHuge(t, 200)
	p := prepare(t, "server", "tcp=fstack", "no_huge=0", "lcore_mask=3")
	path := replaceable(t, p)
	program, _ := os.ReadFile(path)
	p.start(t)
	first := p.serving(t, 2)
	for generation := 1; generation <= 2; generation++ {
		x := p.begin(t, 20)
		time.Sleep(300 * time.Millisecond)
		replace(t, path, program)
		start := time.Now()
		if generation == 1 {
			said, err := p.command(control.CommandUpgrade)
			if err != nil {
				t.Fatalf("upgrade: %v\n%s", err, said)
			}
			t.Logf("%s", said)
		} else {
			p.cmd.Process.Signal(syscall.SIGUSR2)
			for !strings.Contains(p.out.String(), "generation 2 serves") {
				if time.Since(start) > 20*time.Second {
					t.Fatal("no upgrade at SIGUSR2")
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
		t.Logf("the new generation serves after %v", time.Since(start))
		s, err := p.status()
		if err != nil {
			t.Fatal(err)
		}
		states := map[string]int{}
		for _, w := range s.Workers {
			states[w.State]++
			if (w.State == control.StateServing) != (w.Generation == generation) {
				t.Errorf("worker %+v", w)
			}
		}
		if states[control.StateServing] != 2 || states[control.StateDraining] != 2 || s.Generation != generation {
			t.Errorf("states %v, generation %d", states, s.Generation)
		}
		if _, err := p.command(control.CommandUpgrade); err == nil || !strings.Contains(err.Error(), "still finishes its connections") {
			t.Errorf("an upgrade while the last one drains: %v", err)
		}
		old := map[int]bool{}
		for _, w := range s.Workers {
			old[w.PID] = w.State == control.StateDraining
		}
		for range 50 { // new connections go to the new generation
			if _, pid, err := p.who(); err != nil || old[pid] {
				t.Errorf("a new connection was served by process %d, %v", pid, err)
			}
		}
		time.Sleep(500 * time.Millisecond)
		x.end(t)
		p.serving(t, 2)
		if count := p.shares(t, 200); !fair(count, 2) {
			t.Errorf("connections by worker: %v", count)
		}
		p.settle(t, first)
	}
}

// TestUpgradeDeadline: connections that do not end are closed when [stack] drain has passed.
func TestUpgradeDeadline(t *testing.T) {
	needsHuge(t, 200)
	p := workers(t, 2, "idle=adaptive\ndrain=1")
	c, err := p.dial("tcp", addr4+":7")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if said, err := p.command(control.CommandUpgrade); err != nil {
		t.Fatal(err, said)
	}
	start := time.Now()
	c.SetDeadline(time.Now().Add(15 * time.Second))
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Errorf("the connection ended with %v", err)
	}
	if took := time.Since(start); took < 800*time.Millisecond || took > 6*time.Second {
		t.Errorf("it ended after %v", took)
	}
	p.serving(t, 2)
}

// TestUpgradeFails: versions that do not come up, or do not fit, change nothing for clients.
func TestUpgradeFails(t *testing.T) {
	needsHuge(t, 200)
	p := prepare(t, "server", "tcp=fstack", "no_huge=0", "lcore_mask=3")
	path := replaceable(t, p)
	p.start(t)
	first := p.serving(t, 2)
	other := filepath.Join(t.TempDir(), "other")
	if out, err := exec.Command("go", "build", "-ldflags", "-X github.com/fstack-go/fstack.protocol=other", "-o", other, "./server").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	another, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	no, err := os.ReadFile("/bin/false")
	if err != nil {
		t.Skip("needs /bin/false")
	}
	x := p.begin(t, 10)
	for _, tt := range []struct {
		name string
		text []byte
		want string
	}{
		{"ends at once", no, "exit status 1"},
		{"is no program", []byte("rubbish"), "exec format error"},
		{"speaks another language", another, `speaks version "other"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			replace(t, path, tt.text)
			said, err := p.command(control.CommandUpgrade)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v\n%s", err, said)
			}
			s := p.serving(t, 2)
			for i, w := range s.Workers {
				if w.PID != first.Workers[i].PID || w.Generation != 0 {
					t.Errorf("worker %+v", w)
				}
			}
		})
	}
	os.Remove(path)
	if _, err := p.command(control.CommandUpgrade); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a program that is gone: %v", err)
	}
	// A worker that dies is started again from the binary that it was, whatever is there now.
	syscall.Kill(first.Workers[1].PID, syscall.SIGSTOP) // its connections are not to be counted as failures
	syscall.Kill(first.Workers[1].PID, syscall.SIGCONT)
	x.end(t)
	syscall.Kill(first.Workers[1].PID, syscall.SIGKILL)
	time.Sleep(100 * time.Millisecond)
	p.serving(t, 2)
	if count := p.shares(t, 100); !fair(count, 2) {
		t.Errorf("connections by worker: %v", count)
	}
}

// TestReload: what can change at run time does, in all processes; what cannot is named; a broken file changes nothing.
func TestReload(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *process{
		"one process": func(t *testing.T) *process {
			needs(t)
			return serve(t, "server", "tcp=fstack")
		},
		"two workers": func(t *testing.T) *process {
			needsHuge(t, 200)
			return workers(t, 2)
		},
	} {
		t.Run(name, func(t *testing.T) { testReload(t, start(t)) })
	}
}

func testReload(t *testing.T, p *process) {
	path := p.cmd.Args[2]
	original, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(old, new string) {
		t.Helper()
		if !strings.Contains(string(original), old) {
			t.Fatalf("no %q in the config", old)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(original), old, new, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	reach := func(addr string) error {
		var err error
		for range 4 { // by both workers, if there are two
			var c net.Conn
			if c, err = p.dial("tcp", net.JoinHostPort(addr, "80")); err != nil {
				return err
			}
			_, _, err = askWho(c)
			c.Close()
		}
		return err
	}
	c, err := p.dial("tcp", addr4+":7")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	edit("addr="+addr4, "vip_addr=192.168.1.77\naddr="+addr4+"\nmtu=1400\nlcore_list=0")
	said, err := p.command(control.CommandReload)
	if err != nil || !strings.Contains(said, "changed: [port0] vip_addr\n") || !strings.Contains(said, "needs a restart: [port0] lcore_list, [port0] mtu\n") {
		t.Errorf("%q, %v", said, err)
	}
	if err := reach("192.168.1.77"); err != nil {
		t.Errorf("a new address: %v", err)
	}
	fmt.Fprint(c, "still here")
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadFull(c, make([]byte, 10)); err != nil {
		t.Errorf("a connection to the old address: %v", err)
	}
	for text, want := range map[string]string{
		"addr=" + addr4 + "\nrubbish": "key-value delimiter",
		"addr=1":                      "must be an IPv4 address",
		"addr=" + addr4 + "\n[freebsd.sysctl]\nnet.inet.tcp.sendspace=no\n[port0]": "",
	} {
		edit("addr="+addr4, text)
		if _, err := p.command(control.CommandReload); err == nil || !strings.Contains(err.Error(), "nothing has changed") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
		if err := reach("192.168.1.77"); err != nil {
			t.Errorf("after a broken file: %v", err)
		}
	}
	before := strings.Count(p.out.String(), "config read again")
	if err := os.WriteFile(path, original, 0o644); err != nil { // and back, by the signal
		t.Fatal(err)
	}
	p.cmd.Process.Signal(syscall.SIGHUP)
	processes := strings.Count(p.out.String(), "starting workers")*2 + 1
	for start := time.Now(); strings.Count(p.out.String(), "config read again") != before+processes; time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > 5*time.Second {
			t.Fatal("no reload at SIGHUP")
		}
	}
	if conn, err := p.dialWithin("tcp", "192.168.1.77:80", time.Second); err == nil {
		conn.Close()
		t.Error("an address that was removed is still served")
	}
}
