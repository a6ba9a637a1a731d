package main

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// result is what one run of a load generator found.
type result struct {
	Requests uint64        // in all
	Rate     float64       // per second
	P50, P99 time.Duration // latency of a request
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
