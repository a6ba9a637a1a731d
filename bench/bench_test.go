package main

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

const wrkSays = `Running 2s test @ http://10.10.1.2:80/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.51ms    1.02ms  15.63ms   83.16%
    Req/Sec    25.77k     1.31k   27.94k    70.00%
  Latency Distribution
     50%    2.32ms
     75%    2.71ms
     90%    3.50ms
     99%  970.00us
  51266 requests in 2.00s, 31.20MB read
  Socket errors: connect 0, read 3, write 0, timeout 0
Requests/sec:  25616.38
Transfer/sec:     15.59MB
`

func TestParseWrk(t *testing.T) {
	r, err := parseWrk(wrkSays)
	want := result{Requests: 51266, Rate: 25616.38, P50: 2320 * time.Microsecond, P99: 970 * time.Microsecond, Errors: "Socket errors: connect 0, read 3, write 0, timeout 0"}
	if err != nil || r != want {
		t.Errorf("%+v, %v; want %+v", r, err, want)
	}
	if _, err := parseWrk("unable to connect"); err == nil {
		t.Error("a failed run was taken for a result")
	}
	if _, err := parseWrk(strings.Replace(wrkSays, "99%", "xx", 1)); err == nil {
		t.Error("missing latencies were not noticed")
	}
}

func TestParseLoad(t *testing.T) {
	r, err := parseLoad(`{"requests_per_second":1000.5,"seconds":2,"idle_share":0.01,"failures":3,"latency_us":{"p50":12.5,"p99":80}}`)
	if err != nil || r.Requests != 2001 || r.P50 != 12500*time.Nanosecond || r.P99 != 80*time.Microsecond {
		t.Errorf("%+v, %v", r, err)
	}
	if !strings.Contains(r.Errors, "3 failures") || !strings.Contains(r.Errors, "99 %") {
		t.Errorf("a doubtful measurement goes as %q", r.Errors)
	}
	if _, err := parseLoad("load: no"); err == nil {
		t.Error("a failed run was taken for a result")
	}
}

func TestParseLoadOfAServerInside(t *testing.T) {
	r, err := parseLoad(`{"requests_per_second":1000,"seconds":2,"idle_share":0,"cpu_share":0.5,"server":{"ns_per_request":400,"bytes_per_connection":536,"gcs":3,"gc_pause_max_us":40.5}}`)
	if err != nil || r.Busy != 800*time.Microsecond || r.PerConn != 536 || r.GCs != 3 || r.Pause != 40500*time.Nanosecond || r.PerCPU != 2000 {
		t.Errorf("%+v, %v", r, err)
	}
	if !strings.Contains(r.Errors, "others had the CPU for 50 %") {
		t.Errorf("a measurement on half a CPU goes as %q", r.Errors)
	}
}

func TestParseBulk(t *testing.T) {
	r, err := parseBulk(`{"gbit_per_second":28.5,"cpu_seconds_per_gbit":0.035,"cpu_share":1,"send_ns_per_kb":150,"receive_ns_per_kb":50}`)
	if want := (result{Gbit: 28.5, CPUGbit: .035, Send: .75, Receive: .25}); err != nil || r != want {
		t.Errorf("%+v, %v; want %+v", r, err, want)
	}
	if _, err := parseBulk("bulk: no"); err == nil {
		t.Error("a failed run was taken for a result")
	}
}

func TestTable(t *testing.T) {
	busy := func(ns ...time.Duration) (all []result) {
		for i, n := range ns {
			all = append(all, result{Requests: 10, Busy: 10 * n, Rate: float64(100 * (i + 1))})
		}
		return all
	}
	l := loads[2]
	g := group{title: "requests", columns: []column{rate, nanos, p50}, note: "Said below.", rows: []*row{
		{system: kernelVeth, load: l, conns: 64, results: busy(30, 20, 10)},
		{system: netstackTAP, load: l, conns: 64, results: busy(15)},
		{system: fstackTAP, load: l, conns: 64, results: busy(5, 5, 5, 5, 5, 5, 5)},
		{system: fstackTAP, load: l, conns: 256, results: busy(5)},
		{system: fstackVirtio, load: l, conns: 64, failed: "no vhost"},
	}}
	var out strings.Builder
	g.print(&out)
	lines := strings.Split(out.String(), "\n")
	for i, want := range map[int][]string{
		0: nil, 3: {"÷ kernel", "÷ netstack"}, 4: {"200 (100–300)", "20 (10–30)"}, 5: {"0.50", "0.75"},
		6: {"400 (100–700)", "2.00", "4.00", " 5 ", "0.25", "0.33"}, 8: {"(no vhost)"}, 10: {"Said below."},
	} {
		for _, s := range want {
			if !strings.Contains(lines[i], s) {
				t.Errorf("no %q in line %d of\n%s", s, i, out.String())
			}
		}
	}
	if strings.Count(lines[7], ".") > 1 { // that of net.Conn
		t.Errorf("%q has a ratio to rows with another number of connections", lines[7])
	}
}

func TestRows(t *testing.T) {
	b := &bench{}
	if err := b.check("("); err == nil {
		t.Error("a broken -only was accepted")
	}
	count := func(b *bench) (n int) {
		for _, g := range b.groups() {
			n += len(g.rows)
		}
		return n
	}
	quick, all, million := count(b), count(&bench{all: true}), count(&bench{million: true})
	if quick < 20 || quick > 60 || all < 2*quick || million != quick+1 {
		t.Errorf("%d rows, %d with -all, %d with -million", quick, all, million)
	}
	b.only = regexp.MustCompile("^requests: net/http, keep-alive, 256 .*TAP")
	groups := b.groups()
	if len(groups) != 1 || len(groups[0].rows) != 2 || groups[0].rows[0].system.tcp != "netstack" || groups[0].rows[1].system.tcp != "fstack" {
		t.Errorf("-only chose %v", groups)
	}
}

func TestParseHand(t *testing.T) {
	if r, err := parseHand(`{"ns_per_packet":52.5,"packets":1000,"cpu_share":1}`); err != nil || r.Nanos != 52.5 || r.Errors != "" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := parseHand(`{"ns_per_packet":520,"packets":1000,"cpu_share":0.6}`); err != nil || !strings.Contains(r.Errors, "40 %") {
		t.Errorf("a measurement on a part of a CPU goes as %+v, %v", r, err)
	}
	if _, err := parseHand("hand: no"); err == nil {
		t.Error("a failed run was taken for a result")
	}
}

func TestCountersOfAllWorkers(t *testing.T) {
	p := &process{}
	p.Write([]byte(`slot=0 where="port 0" name=RxPackets value=1000 what="x"
slot=0 where="port 0" name=HandedOut value=30 what="x"
slot=0 where=netstack name=RxPackets value=3 what="x"
slot=1 where="port 0" name=RxPackets value=1000 what="x"
slot=1 where="port 0" name=HandedOut value=20 what="x"
`))
	if got := p.crossed(2); got != .05 {
		t.Errorf("%v of the packets crossed, want 0.05", got)
	}
}
