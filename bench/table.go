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
)

var model, mhz = cpu()

// printMachine writes what was measured on, and how.
func (b *bench) printMachine(out io.Writer) {
	fmt.Fprintf(out, "%s, %d CPUs, %.0f MHz, Linux %s, %s; medians of %d × %v (least–greatest)\n", model, runtime.NumCPU(), mhz, kernel(), runtime.Version(), b.rounds, b.span)
}

// print writes the table: medians, how far they are spread, and multiples of the kernel's and of gVisor's figures.
func (g *group) print(out io.Writer) {
	fmt.Fprintf(out, "\n%s\n\n", strings.ToUpper(g.title[:1])+g.title[1:])
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "load\tsystem\t")
	against := g.baselines()
	for _, c := range g.columns {
		fmt.Fprintf(w, "%s\t", c.head)
		if c.ratio {
			for _, tcp := range against {
				fmt.Fprintf(w, "÷ %s\t", cmp.Or(tcp, "kernel"))
			}
		}
	}
	fmt.Fprintln(w)
	for _, r := range g.rows {
		name := fmt.Sprintf("%s, %d", r.load.name, r.conns)
		if r.idle > 0 {
			name += fmt.Sprintf(" + %d idle", r.idle)
		}
		fmt.Fprintf(w, "%s\t%s\t", name, r.system.name)
		if len(r.results) == 0 {
			fmt.Fprintf(w, "(%s)\n", cmp.Or(r.failed, "not measured"))
			continue
		}
		for _, c := range g.columns {
			fmt.Fprintf(w, "%s\t", c.cell(r.results))
			if c.ratio {
				for _, tcp := range against {
					fmt.Fprintf(w, "%s\t", g.ratio(r, tcp, c))
				}
			}
		}
		fmt.Fprintf(w, "%s\n", faults(r))
	}
	w.Flush()
	if g.note != "" {
		fmt.Fprintf(out, "\n%s\n", g.note)
	}
}

// baselines are the stacks that rows of the table are compared with.
func (g *group) baselines() (list []string) {
	for _, tcp := range []string{"", "netstack"} {
		if slices.ContainsFunc(g.rows, func(r *row) bool { return r.system.tcp == tcp }) {
			list = append(list, tcp)
		}
	}
	return list
}

// ratio is a figure of a row as a multiple of its baseline's; of several, the first one's.
func (g *group) ratio(r *row, tcp string, c column) string {
	if r.system.tcp == tcp {
		return ""
	}
	for _, base := range g.rows {
		if base.baseline(r, tcp) && len(base.results) > 0 {
			if m := median(base.results, c.value); m != 0 {
				return fmt.Sprintf("%.2f", median(r.results, c.value)/m)
			}
		}
	}
	return ""
}

// cell is the median, and how far apart the least and the greatest are if that can be seen.
func (c column) cell(results []result) string {
	var all []float64
	for _, r := range results {
		all = append(all, c.value(r))
	}
	slices.Sort(all)
	middle := c.format(all[len(all)/2])
	least, greatest := c.format(all[0]), c.format(all[len(all)-1])
	if least == greatest {
		return middle
	}
	return fmt.Sprintf("%s (%s–%s)", middle, least, greatest)
}

func median[T any](of []T, value func(T) float64) float64 {
	var all []float64
	for _, x := range of {
		all = append(all, value(x))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// faults are what went wrong, nothing if nothing did; what differs in numbers alone is told once.
func faults(r *row) string {
	var all []string
	told := map[string]bool{}
	for _, x := range r.results {
		kind := strings.Map(func(c rune) rune {
			if c >= '0' && c <= '9' {
				return -1
			}
			return c
		}, x.Errors)
		if x.Errors != "" && !told[kind] {
			told[kind] = true
			all = append(all, strings.TrimSpace(x.Errors))
		}
	}
	if r.failed != "" {
		all = append(all, r.failed)
	}
	return strings.Join(all, "; ")
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

// kernel is the kernel's release.
func kernel() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "of unknown release"
	}
	return strings.TrimSpace(string(b))
}
