package main

import (
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

func TestTable(t *testing.T) {
	kernel, own := &system{name: "kernel", kernel: true}, &system{name: "own"}
	var rows []*row
	for _, l := range loads {
		rows = append(rows,
			&row{kernel, l, []result{{Rate: 100}, {Rate: 90}, {Rate: 110}}, []float64{10, 20, 30}},
			&row{own, l, []result{{Rate: 150}, {Rate: 250}, {Rate: 200}}, []float64{5, 5, 5}})
	}
	var out strings.Builder
	print(&out, &run{conns: 64, span: time.Second}, rows)
	if n := strings.Count(out.String(), "(2.00)"); n != len(loads) {
		t.Errorf("the rate of 200 to 100 stands %d times as (2.00), want %d:\n%s", n, len(loads), out.String())
	}
	if n := strings.Count(out.String(), "(0.25)"); n != len(loads) {
		t.Errorf("the cost of 5 to 20 stands %d times as (0.25), want %d:\n%s", n, len(loads), out.String())
	}
}
