package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/fstack-go/fstack/bench/core"
	"github.com/fstack-go/fstack/stack"
)

// counters are what the client counts while it measures.
type counters struct {
	Requests        uint64 `help:"answers that came whole"`
	Connects        uint64 `help:"connections that were established"`
	Bytes           uint64 `help:"bytes of stream received"`
	BytesSent       uint64 `help:"bytes of stream sent and acknowledged"`
	Frames          uint64 `help:"frames received"`
	Resent          uint64 `help:"times something was sent again because it was not acknowledged"`
	Duplicates      uint64 `help:"segments received again"`
	Gaps            uint64 `help:"segments dropped because an earlier one was missing"`
	Strays          uint64 `help:"segments for no connection, answered with a reset"`
	Refused         uint64 `help:"connections that the server refused"`
	Resets          uint64 `help:"connections that the server reset"`
	Timeouts        uint64 `help:"connections given up because the server fell silent"`
	CutShort        uint64 `help:"connections that the server ended within an answer"`
	BadAnswers      uint64 `help:"connections given up because the answer was not understood"`
	BadStatus       uint64 `help:"answers whose status was not 2xx"`
	DropBadChecksum uint64 `help:"frames dropped because a checksum was wrong"`
	DropNotForUs    uint64 `help:"frames dropped because they were not IPv4 TCP from the server, or malformed"`
}

// failures are the counters that make a measurement doubtful.
func (c *counters) failures() uint64 {
	return c.Refused + c.Resets + c.Timeouts + c.CutShort + c.BadAnswers + c.BadStatus + c.DropBadChecksum
}

// report is the line that load prints.
type report struct {
	Mode        string            `json:"mode"`
	Device      string            `json:"device"`
	Driver      string            `json:"driver"`
	Hugepages   bool              `json:"hugepages"`
	Conns       int               `json:"conns"`
	IdleConns   int               `json:"idle_conns"`
	Seconds     float64           `json:"seconds"`
	Requests    float64           `json:"requests_per_second"`
	Connects    float64           `json:"connects_per_second"`
	Received    float64           `json:"received_gbit_per_second"`
	Sent        float64           `json:"sent_gbit_per_second"`
	IdleShare   float64           `json:"idle_share"` // of the time: turns that found no frame
	CPUShare    float64           `json:"cpu_share"`  // of the time: that the CPU was this program's; well below 1, others were measured, too
	BusyNanos   float64           `json:"busy_ns_per_request"`
	Established int               `json:"established"` // at the end
	Failures    uint64            `json:"failures"`
	Latency     latency           `json:"latency_us"`
	Counters    map[string]uint64 `json:"counters"`
	Server      *serverReport     `json:"server,omitempty"` // if it is in this process
}

// latency is in microseconds.
type latency struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

// measure begins to measure: what was counted before is forgotten.
func (l *client) measure() {
	l.counters, l.latency, l.idle = counters{}, histogram{}, 0
	if l.inside != nil {
		l.inside.begin()
	}
	l.cpu = core.ThreadTime()
}

// report sums up a measurement of d.
func (l *client) report(d time.Duration) report {
	c, h := &l.counters, &l.latency
	per := func(n uint64) float64 { return float64(n) / d.Seconds() }
	info := l.dev.Info()
	r := report{
		Mode: l.mode, Device: info.Name, Driver: info.Driver, Hugepages: !l.noHuge, Conns: l.options.conns, IdleConns: l.idleConns,
		Seconds: d.Seconds(), Requests: per(c.Requests), Connects: per(c.Connects),
		Received: per(c.Bytes) * 8 / 1e9, Sent: per(c.BytesSent) * 8 / 1e9,
		IdleShare:   float64(l.idle) / float64(d),
		CPUShare:    float64(core.ThreadTime()-l.cpu) / float64(d),
		Established: l.established, Failures: c.failures(), Counters: map[string]uint64{},
	}
	if c.Requests > 0 {
		r.BusyNanos = float64(int64(d)-l.idle) / float64(c.Requests)
	}
	if l.cpuClock {
		r.CPUShare = 1 // all of the time that is counted
	}
	if l.inside != nil {
		r.Server = l.inside.report(d, r.CPUShare, c.Requests, len(l.conns))
	}
	if h.count > 0 {
		us := func(ns int64) float64 { return float64(ns) / 1e3 }
		r.Latency = latency{us(h.sum) / float64(h.count), us(h.quantile(.5)), us(h.quantile(.9)), us(h.quantile(.99)), us(h.quantile(.999)), us(h.max)}
	}
	stack.EachCounter(c, func(name, _ string, value uint64) { r.Counters[name] = value })
	return r
}

func (r report) print(w io.Writer) error {
	line, err := json.Marshal(r)
	if err == nil {
		_, err = fmt.Fprintf(w, "%s\n", line)
	}
	return err
}
