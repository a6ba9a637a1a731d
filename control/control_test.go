package control

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// serve serves a socket with a handler, for one test.
func serve(t *testing.T, h Handler) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	s, err := Listen(path, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return path
}

func echo(_ context.Context, r Request, say func(string)) (*Status, error) {
	switch r.Command {
	case CommandStatus:
		return &Status{PID: 7, Workers: []Worker{{Slot: 1, State: StateServing, Queues: []Queue{{Port: 0, Queue: 1}}}}}, nil
	case CommandReload:
		say("one")
		say("two")
		return nil, nil
	}
	return nil, errors.New("no")
}

func TestCall(t *testing.T) {
	path := serve(t, echo)
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("socket %v, %v; want mode 0660", st, err)
	}
	c, err := dial(path, "x")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2 { // requests one after another on a connection
		if s, err := c.Call(Request{CommandStatus}, nil); err != nil || s.PID != 7 || len(s.Workers) != 1 || s.Workers[0].Queues[0].Queue != 1 {
			t.Errorf("status %+v, %v", s, err)
		}
		var lines []string
		if _, err := c.Call(Request{CommandReload}, func(l string) { lines = append(lines, l) }); err != nil || fmt.Sprint(lines) != "[one two]" {
			t.Errorf("reload said %q, %v", lines, err)
		}
		if _, err := c.Call(Request{"dance"}, nil); err == nil || err.Error() != "dance: no" {
			t.Errorf("unknown command: %v", err)
		}
	}
}

// TestRubbish: a client that does not speak JSON, or too much of it, is answered and left.
func TestRubbish(t *testing.T) {
	path := serve(t, echo)
	for text, want := range map[string]string{
		"rubbish\n":                              "line of JSON",
		"[]\n":                                   "line of JSON",
		strings.Repeat("x", 2*requestMax) + "\n": "",
	} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		go c.Write([]byte(text))
		got, _ := bufio.NewReader(c).ReadString('\n')
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%.20q: answer %q, want %q", text, got, want)
		}
		c.Close()
	}
	c, err := dial(path, "x")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Call(Request{CommandStatus}, nil); err != nil {
		t.Error("after rubbish: ", err)
	}
}

// TestLeave: the context of a command ends when its client goes away, and all end with the server.
func TestLeave(t *testing.T) {
	var ended sync.WaitGroup
	began := make(chan struct{}, 2)
	path := filepath.Join(t.TempDir(), "s")
	s, err := Listen(path, func(ctx context.Context, _ Request, _ func(string)) (*Status, error) {
		defer ended.Done()
		began <- struct{}{}
		<-ctx.Done()
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ended.Add(2)
	first, _ := dial(path, "x")
	go first.Call(Request{CommandUpgrade}, nil)
	<-began
	first.Close()
	second, _ := dial(path, "x")
	result := make(chan error)
	go func() {
		_, err := second.Call(Request{CommandUpgrade}, nil)
		result <- err
	}()
	<-began
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	ended.Wait()
	if err := <-result; err == nil || !strings.Contains(err.Error(), "before it had answered") {
		t.Errorf("a command that the server's end cut: %v", err)
	}
}

func TestManyClients(t *testing.T) {
	path := serve(t, echo)
	var all []*Client
	for range clientsMax {
		c, err := dial(path, "x")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Call(Request{CommandStatus}, nil); err != nil { // it is served now
			t.Fatal(err)
		}
		all = append(all, c)
	}
	c, err := dial(path, "x")
	if err != nil {
		t.Fatal(err)
	}
	line, _ := c.in.ReadString('\n')
	if !strings.Contains(line, "clients are connected already") {
		t.Errorf("client %d was told %q", clientsMax+1, line)
	}
	c.Close()
	for _, c := range all {
		c.Close()
	}
}

func TestNobody(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("RUNTIME_DIRECTORY", dir)
	if got, want := Path("p"), filepath.Join(dir, "fstack", "p", "control.sock"); got != want {
		t.Errorf("path %s, want %s", got, want)
	}
	if _, err := Dial("p"); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "no program runs under file_prefix p") {
		t.Error(err)
	}
	if _, err := Dial(strings.Repeat("p", 100)); err == nil || !strings.Contains(err.Error(), "shorter file_prefix") {
		t.Error(err)
	}
	if _, err := Listen(Path("p"), echo); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestPrint(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := Status{PID: 10, Prefix: "p", Config: "c.ini", Since: now.Add(-time.Hour), Workers: []Worker{
		{Slot: 0, Lcore: 2, CPU: 1, PID: 11, State: StateServing, Since: now.Add(-1500 * time.Millisecond), Pinned: true, Queues: []Queue{{Port: 0, Queue: 0}, {Port: 1, Queue: -1, Via: "slot 1"}}, MbufsInUse: 5, MbufsTotal: 9},
		{Slot: 1, State: StateRestart, Restarts: 3, Error: "signal: killed"},
	}}
	var b bytes.Buffer
	if err := s.Print(&b, now); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"supervisor: pid 10, file_prefix p, config c.ini, up 1h0m0s", "port0:0 port1:by slot 1", "5/9", "1.5s", "restarting", "slot 1 ended last with: signal: killed"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
}
