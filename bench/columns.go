package main

import (
	"fmt"
	"time"
)

// column is a figure of each result.
type column struct {
	head   string
	value  func(result) float64
	format func(float64) string
	ratio  bool // is shown also as a multiple of the baselines
}

var (
	rate        = column{"requests/s", func(r result) float64 { return r.Rate }, whole, true}
	p50         = column{"p50", func(r result) float64 { return float64(r.P50) }, duration, false}
	p99         = column{"p99", func(r result) float64 { return float64(r.P99) }, duration, false}
	nanos       = column{"ns/request", func(r result) float64 { return float64(r.Busy) / float64(max(r.Requests, 1)) }, whole, true}
	cycles      = column{"cycles/request", func(r result) float64 { return nanos.value(r) * mhz / 1000 }, whole, false}
	gbit        = column{"Gbit/s", func(r result) float64 { return r.Gbit }, decimals, true}
	cpuGbit     = column{"CPU s/Gbit", func(r result) float64 { return r.CPUGbit }, decimals, true}
	sendKB      = column{"of it sending", func(r result) float64 { return r.Send }, share, false}
	receiveKB   = column{"receiving", func(r result) float64 { return r.Receive }, share, false}
	nsKB        = column{"ns/KB", func(r result) float64 { return r.Busy.Seconds() / max(r.Gbit*r.Span.Seconds(), 1e-9) * 8192 }, whole, true}
	perConn     = column{"bytes/connection", func(r result) float64 { return r.PerConn }, whole, true}
	gcPause     = column{"GC pause", func(r result) float64 { return float64(r.Pause) }, duration, false}
	gcs         = column{"GCs", func(r result) float64 { return r.GCs }, whole, false}
	perCPU      = column{"requests/CPU s", func(r result) float64 { return r.PerCPU }, whole, false}
	crossed     = column{"crossed", func(r result) float64 { return r.Crossed }, thousandth, false}
	packetNanos = column{"ns/packet", func(r result) float64 { return r.Nanos }, whole, false}
	ofTwice     = column{"of N × one", func(r result) float64 { return r.Share }, share, false}
)

func whole(f float64) string      { return fmt.Sprintf("%.0f", f) }
func thousandth(f float64) string { return fmt.Sprintf("%.1f %%", 100*f) }
func decimals(f float64) string   { return fmt.Sprintf("%.3g", f) }
func duration(f float64) string   { return time.Duration(f).Round(100 * time.Nanosecond).String() }

func share(f float64) string {
	if f == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f %%", 100*f)
}
