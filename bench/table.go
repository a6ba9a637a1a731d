package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// print writes the machine and the table: medians, and in brackets the ratio to the kernel's row of the same load.
func (b *bench) print(out io.Writer, rows []*row) {
	model, mhz := cpu()
	fmt.Fprintf(out, "%s, %d CPUs, %.0f MHz, %s, %d connections, medians of %d × %v, (kernel = 1)\n\n", model, runtime.NumCPU(), mhz, runtime.Version(), b.conns, b.rounds, b.span)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "load\tsystem\trequests/s\t      p50\t      p99\tns/request\tcycles/request")
	var rate1, busy1 float64
	for i, r := range rows {
		if i == 0 || rows[i-1].load.name != r.load.name {
			rate1, busy1 = 0, 0
		}
		if len(r.results) == 0 {
			fmt.Fprintf(w, "%s\t%s\t(%s)\n", r.load.name, r.system.name, r.skipped)
			continue
		}
		rate := median(r.results, func(x result) float64 { return x.Rate })
		busy := median(r.results, func(x result) float64 { return float64(x.Busy) / float64(max(x.Requests, 1)) })
		if r.system.tcp == "" {
			rate1, busy1 = rate, busy
		}
		p50 := time.Duration(median(r.results, func(x result) float64 { return float64(x.P50) }))
		p99 := time.Duration(median(r.results, func(x result) float64 { return float64(x.P99) }))
		fmt.Fprintf(w, "%s\t%s\t%9.0f%s\t%9v\t%9v\t%8.0f\t%8.0f%s%s\n", r.load.name, r.system.name, rate, ratio(rate, rate1), p50, p99, busy, busy*mhz/1000, ratio(busy, busy1), faults(r))
	}
	w.Flush()
	fmt.Fprintln(out, "\nconnect each: requests/s are connections/s. ns/request: time of the loop's turns in which something happened, with the")
	fmt.Fprintln(out, "application; for the kernel CPU time of the process, without what softirqs do on other processes' time.")
}

func ratio(x, to float64) string {
	if to == 0 {
		return ""
	}
	return fmt.Sprintf(" (%.2f)", x/to)
}

func median[T any](of []T, value func(T) float64) float64 {
	var all []float64
	for _, x := range of {
		all = append(all, value(x))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// faults is a column of what went wrong, nothing if nothing did.
func faults(r *row) (all string) {
	for _, x := range r.results {
		if x.Errors != "" {
			all += "\t" + x.Errors
		}
	}
	if r.skipped != "" {
		all += "\t" + r.skipped
	}
	return all
}

// cpu is the processor's name and frequency.
func cpu() (model string, mhz float64) {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown processor", 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		name, value, _ := strings.Cut(s.Text(), ":")
		switch strings.TrimSpace(name) {
		case "model name":
			model = strings.TrimSpace(value)
		case "cpu MHz":
			mhz, _ = strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return cmp.Or(model, runtime.GOARCH), mhz
}
