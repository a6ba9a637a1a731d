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
	Errors   string        // empty: none
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

// parseLoad reads the line of JSON that load prints.
func parseLoad(out string) (r result, err error) {
	var says struct {
		Requests float64 `json:"requests_per_second"`
		Seconds  float64 `json:"seconds"`
		Idle     float64 `json:"idle_share"`
		Failures uint64  `json:"failures"`
		Latency  struct {
			P50 float64 `json:"p50"`
			P99 float64 `json:"p99"`
		} `json:"latency_us"`
	}
	if err := json.Unmarshal([]byte(out), &says); err != nil {
		return r, fmt.Errorf("load: %w in %q", err, out)
	}
	us := func(f float64) time.Duration { return time.Duration(f * 1e3).Round(100 * time.Nanosecond) }
	r = result{Requests: uint64(says.Requests * says.Seconds), Rate: says.Requests, P50: us(says.Latency.P50), P99: us(says.Latency.P99)}
	if says.Failures > 0 {
		r.Errors = fmt.Sprintf("%d failures", says.Failures)
	}
	if says.Idle < .05 {
		r.Errors += fmt.Sprintf(" (the load generator was busy %.0f %% of the time)", 100*(1-says.Idle))
	}
	return r, nil
}
