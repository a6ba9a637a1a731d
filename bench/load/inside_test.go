package main

import (
	"runtime"
	"testing"
)

// TestInside has the server in the same process, over a link in memory.
func TestInside(t *testing.T) {
	for _, c := range []struct {
		tcp, mode string
		args      []string
	}{
		{"fstack", modeKeepAlive, []string{"-conns", "20", "-idle-conns", "3000"}},
		{"fstack", modeConnect, []string{"-conns", "20", "-cpu-clock"}},
		{"fstack", modeSink, []string{"-conns", "2"}},
		{"fstack", modeSink, []string{"-conns", "1", "-tso"}},
		{"fstack", modeSource, []string{"-conns", "2"}},
		{"netstack", modeKeepAlive, []string{"-conns", "5"}},
		{"netstack", modeConnect, []string{"-conns", "5"}},
	} {
		t.Run(c.tcp+" "+c.mode, func(t *testing.T) {
			args := append([]string{"-device", inMemory, "-tcp", c.tcp, "-mode", c.mode, "-from", "10.1.0.1", "-to", "10.0.0.1:80", "-window", "65536",
				"-time", "100ms", "-warmup", "20ms", "-timeout", "30s"}, c.args...)
			o, err := parse(args, t.Output())
			if err != nil {
				t.Fatal(err)
			}
			runtime.LockOSThread() // whose CPU time is told
			defer runtime.UnlockOSThread()
			clock := realClock()
			if o.cpuClock {
				clock = cpuClock()
			}
			s, err := newInside(&o, clock)
			if err != nil {
				t.Fatal(err)
			}
			l, err := newClient(o, s)
			if err != nil {
				t.Fatal(err)
			}
			l.look = 64
			l.touch()
			l.inside, s.empty = s, resident()
			r, err := l.run(clock, up, func() bool { runtime.Gosched(); return false })
			if err != nil || s.failed != nil {
				t.Fatal(err, s.failed)
			}
			if r.Failures != 0 || r.Server == nil || r.Server.Busy <= 0 {
				t.Errorf("%+v", r)
			}
			switch c.mode {
			case modeKeepAlive:
				if r.Requests < 100 || r.Server.Nanos <= 0 || r.Established != o.conns+o.idleConns {
					t.Errorf("%.0f requests/s, %v ns each, %d established", r.Requests, r.Server.Nanos, r.Established)
				}
				if o.idleConns > 0 && (r.Server.PerConn < 256 || r.Server.PerConn > 1<<18) {
					t.Errorf("%.0f bytes for a connection", r.Server.PerConn)
				}
			case modeConnect:
				if r.Connects < 50 {
					t.Errorf("%.0f connections/s", r.Connects)
				}
			case modeSink, modeSource:
				if r.Received+r.Sent < .01 {
					t.Errorf("%.3f and %.3f Gbit/s", r.Received, r.Sent)
				}
			}
		})
	}
}
