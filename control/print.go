package control

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Print writes a status for a reader, as it was at the time now.
func (s *Status) Print(w io.Writer, now time.Time) error {
	what := "supervisor"
	if len(s.Workers) == 1 && s.Workers[0].PID == s.PID {
		what = "one process"
	}
	fmt.Fprintf(w, "%s: pid %d, file_prefix %s, config %s, up %s, version %s, %s\n\n",
		what, s.PID, s.Prefix, s.Config, age(s.Since, now), s.Version, s.DPDK)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SLOT\tLCORE\tCPU\tPID\tSTATE\tFOR\tRESTARTS\tGENERATION\tPINNED\tQUEUES\tMBUFS\tVERSION")
	for _, x := range s.Workers {
		pid := "-"
		if x.PID != 0 {
			pid = strconv.Itoa(x.PID)
		}
		pinned := "no"
		if x.Pinned {
			pinned = "yes"
		}
		fmt.Fprintf(t, "%d\t%d\t%d\t%s\t%s\t%s\t%d\t%d\t%s\t%s\t%d/%d\t%s\n", x.Slot, x.Lcore, x.CPU, pid, x.State, age(x.Since, now),
			x.Restarts, x.Generation, pinned, queues(x.Queues), x.MbufsInUse, x.MbufsTotal, x.Version)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, x := range s.Workers {
		if x.Error != "" {
			fmt.Fprintf(w, "slot %d ended last with: %s\n", x.Slot, x.Error)
		}
	}
	return nil
}

func queues(all []Queue) string {
	var s []string
	for _, q := range all {
		if q.Via != "" {
			s = append(s, fmt.Sprintf("port%d:by %s", q.Port, q.Via))
		} else {
			s = append(s, fmt.Sprintf("port%d:%d", q.Port, q.Queue))
		}
	}
	if s == nil {
		return "-"
	}
	return strings.Join(s, " ")
}

func age(t, now time.Time) string {
	d := now.Sub(t)
	if t.IsZero() || d < 0 {
		return "-"
	}
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
