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
func print(out io.Writer, b *run, rows []*row) {
	model, mhz := cpu()
	fmt.Fprintf(out, "%s, %d CPUs, %.0f MHz, %s, %d connections, medians of %d × %v, kernel = 1\n\n", model, runtime.NumCPU(), mhz, runtime.Version(), b.conns, len(rows[0].results), b.span)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "load\tsystem\trequests/s\t      p50\t      p99\tns/request\tcycles/request")
	for _, l := range loads {
		var kernelRate, kernelBusy float64
		for _, r := range rows {
			if r.load.name != l.name {
				continue
			}
			rate := median(r.results, func(x result) float64 { return x.Rate })
			busy := median(r.busy, func(x float64) float64 { return x })
			if r.system.kernel {
				kernelRate, kernelBusy = rate, busy
			}
			p50 := time.Duration(median(r.results, func(x result) float64 { return float64(x.P50) }))
			p99 := time.Duration(median(r.results, func(x result) float64 { return float64(x.P99) }))
			fmt.Fprintf(w, "%s\t%s\t%9.0f (%.2f)\t%9v\t%9v\t%8.0f\t%8.0f (%.2f)%s\n", l.name, r.system.name, rate, rate/kernelRate, p50, p99, busy, busy*mhz/1000, busy/kernelBusy, faults(r.results))
		}
	}
	w.Flush()
	fmt.Fprintln(out, "\nconnect each: requests/s are connections/s. ns/request: turns of the loop in which something happened, with the application;")
	fmt.Fprintln(out, "kernel: CPU time of the process, without what its softirqs do on other threads' time.")
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
func faults(results []result) (all string) {
	for _, r := range results {
		if r.Errors != "" {
			all += "\t" + r.Errors
		}
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
