package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// result is what one measurement found.
type result struct {
	Requests uint64        // in all
	Rate     float64       // per second
	P50, P99 time.Duration // latency of a request
	Busy     time.Duration // of the server, in all
	Span     time.Duration // that was measured
	Errors   string        // empty: none

	Gbit          float64 // per second
	CPUGbit       float64 // CPU seconds for one
	Send, Receive float64 // shares of that

	PerConn float64       // bytes of memory
	Pause   time.Duration // the garbage collector's longest
	GCs     float64

	PerCPU float64 // requests per CPU second
	Share  float64 // of as many times what one process does

	Crossed float64 // share of the packets that another worker got
	Nanos   float64 // for a packet
}

var (
	wrkTotal  = regexp.MustCompile(`(?m)^ *(\d+) requests in`)
	wrkRate   = regexp.MustCompile(`(?m)^Requests/sec: +([\d.]+)`)
	wrkP50    = regexp.MustCompile(`(?m)^ +50% +([\d.]+)(us|ms|s)$`)
	wrkP99    = regexp.MustCompile(`(?m)^ +99% +([\d.]+)(us|ms|s)$`)
	wrkErrors = regexp.MustCompile(`(?m)^ *(Socket errors: .*|Non-2xx .*)$`)
)

// parseWrk reads what wrk --latency prints.
func parseWrk(out string) (r result, err error) {
	total, rate := wrkTotal.FindStringSubmatch(out), wrkRate.FindStringSubmatch(out)
	if total == nil || rate == nil {
		return r, fmt.Errorf("wrk: no totals in what it printed:\n%s", out)
	}
	r.Requests, _ = strconv.ParseUint(total[1], 10, 64)
	r.Rate, _ = strconv.ParseFloat(rate[1], 64)
	for re, at := range map[*regexp.Regexp]*time.Duration{wrkP50: &r.P50, wrkP99: &r.P99} {
		m := re.FindStringSubmatch(out)
		if m == nil {
			return r, fmt.Errorf("wrk: no latencies in what it printed:\n%s", out)
		}
		if *at, err = time.ParseDuration(m[1] + m[2]); err != nil {
			return r, fmt.Errorf("wrk: %w", err)
		}
	}
	if m := wrkErrors.FindStringSubmatch(out); m != nil {
		r.Errors = m[1]
	}
	return r, nil
}

// loadSays is the line of JSON that load prints, as far as it is of interest here.
type loadSays struct {
	Requests float64 `json:"requests_per_second"`
	Received float64 `json:"received_gbit_per_second"`
	Sent     float64 `json:"sent_gbit_per_second"`
	Seconds  float64 `json:"seconds"`
	Idle     float64 `json:"idle_share"`
	CPU      float64 `json:"cpu_share"`
	Failures uint64  `json:"failures"`
	Latency  struct {
		P50 float64 `json:"p50"`
		P99 float64 `json:"p99"`
	} `json:"latency_us"`
	Server *struct {
		Nanos   float64 `json:"ns_per_request"`
		PerConn float64 `json:"bytes_per_connection"`
		GCs     float64 `json:"gcs"`
		Pause   float64 `json:"gc_pause_max_us"`
	} `json:"server"`
}

// parseLoad reads what load prints.
func parseLoad(out string) (r result, err error) {
	var says loadSays
	if err := json.Unmarshal([]byte(out), &says); err != nil {
		return r, fmt.Errorf("load: %w in %q", err, out)
	}
	us := func(f float64) time.Duration { return time.Duration(f * 1e3).Round(100 * time.Nanosecond) }
	r = result{
		Requests: uint64(says.Requests * says.Seconds), Rate: says.Requests, P50: us(says.Latency.P50), P99: us(says.Latency.P99),
		Gbit: says.Received + says.Sent, Span: time.Duration(says.Seconds * 1e9),
	}
	if says.CPU > 0 {
		r.PerCPU = says.Requests / says.CPU
	}
	if says.Failures > 0 {
		r.Errors = fmt.Sprintf("%d failures", says.Failures)
	}
	if s := says.Server; s != nil {
		r.Busy = time.Duration(s.Nanos * float64(r.Requests))
		r.PerConn, r.GCs, r.Pause = s.PerConn, s.GCs, us(s.Pause)
		if says.CPU < .9 {
			r.Errors += fmt.Sprintf(" (others had the CPU for %.0f %% of the time)", 100*(1-says.CPU))
		}
		return r, nil
	}
	if says.Idle < .05 {
		r.Errors += fmt.Sprintf(" (the load generator was busy %.0f %% of the time)", 100*(1-says.Idle))
	}
	if says.CPU > 0 && says.CPU < .9 {
		r.Errors += fmt.Sprintf(" (others had the load generator's CPU for %.0f %% of the time)", 100*(1-says.CPU))
	}
	return r, nil
}

// parseBulk reads the line of JSON that bulk prints.
func parseBulk(out string) (r result, err error) {
	var says struct {
		Gbit    float64 `json:"gbit_per_second"`
		CPU     float64 `json:"cpu_seconds_per_gbit"`
		Share   float64 `json:"cpu_share"`
		Send    float64 `json:"send_ns_per_kb"`
		Receive float64 `json:"receive_ns_per_kb"`
	}
	if err := json.Unmarshal([]byte(out), &says); err != nil {
		return r, fmt.Errorf("bulk: %w in %q", err, out)
	}
	r = result{Gbit: says.Gbit, CPUGbit: says.CPU}
	if says.Share < .9 && says.Share > 0 && says.CPU > 0 {
		r.Errors = fmt.Sprintf("(had the CPU for %.0f %% of the time)", 100*says.Share)
	}
	if all := says.Send + says.Receive; all > 0 {
		r.Send, r.Receive = says.Send/all, says.Receive/all
	}
	return r, nil
}
