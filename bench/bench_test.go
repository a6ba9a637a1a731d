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

func TestTable(t *testing.T) {
	kernel, own := &system{name: "kernel"}, &system{name: "own", tcp: "fstack"}
	busy := func(ns ...time.Duration) (all []result) {
		for i, n := range ns {
			all = append(all, result{Requests: 10, Busy: 10 * n, Rate: float64(100 * (i + 1))})
		}
		return all
	}
	rows := []*row{
		{system: kernel, load: loads[0], results: busy(30, 20, 10)},
		{system: own, load: loads[0], results: busy(5, 5, 5, 5, 5, 5, 5)},
		{system: own, load: loads[3], skipped: "no free hugepages"},
	}
	var out strings.Builder
	(&bench{conns: 64, span: time.Second, rounds: 3}).print(&out, rows)
	for _, want := range []string{"400 (2.00)", " 5 ", "(0.25)", "(no free hugepages)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestRows(t *testing.T) {
	b := &bench{}
	if err := b.check("("); err == nil {
		t.Error("a broken -only was accepted")
	}
	b.only = regexp.MustCompile("^net/http.*TAP")
	rows := b.rows()
	if len(rows) != 2 || rows[0].system.tcp != "netstack" || rows[1].system.tcp != "fstack" {
		t.Errorf("%d rows", len(rows))
	}
}
