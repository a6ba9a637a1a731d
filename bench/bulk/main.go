// Command bulk streams bytes over one TCP connection, and prints one line of JSON.
//
//	bulk -pair memory    both ends are this stack, on one CPU, over a link in memory
//	bulk -pair loopback  both ends are the kernel's, on one CPU
//	bulk -pair veth      likewise, over a pair of veth devices in network namespaces of their own
//	bulk -to 10.0.0.1:82 -mode source    the kernel's end of a stream to a server that reads
//	bulk -to 10.0.0.1:83 -mode sink      of a stream from a server that writes
//
// Both pairs move frames by reference and leave checksums out; with -mtu nothing is sent that is longer than the link's
// MTU of 1500 bytes, else up to 64 KB at a time. The ends of a pair take turns in one thread: one writes until there
// is no room, the other reads until there is nothing.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"
	"time"

	"github.com/fstack-go/fstack/bench/core"
)

const chunk = 64 << 10 // bytes of a write or read

// report is the line that bulk prints.
type report struct {
	Gbit     float64 `json:"gbit_per_second"`
	CPU      float64 `json:"cpu_seconds_per_gbit"` // of this process
	CPUShare float64 `json:"cpu_share"`            // of the time
	Send     float64 `json:"send_ns_per_kb"`       // of CPU time, where the ends can be told apart
	Receive  float64 `json:"receive_ns_per_kb"`
}

// stream is a connection, or a pair of its ends: turn moves what can be moved and returns how many bytes arrived.
type stream interface {
	turn() (int, error)
	close()
}

func main() {
	log.SetFlags(0)
	pair := flag.String("pair", "", "`link` between two ends in this process: memory, loopback or veth")
	to := flag.String("to", "", "`address` of a server to stream to or from")
	mode := flag.String("mode", "source", "with -to: source or sink")
	mtu := flag.Bool("mtu", false, "with -pair: send no more than the MTU at a time")
	cpu := flag.Int("cpu", -1, "`CPU` to run on")
	span := flag.Duration("time", 2*time.Second, "how long to measure")
	flag.Parse()
	if flag.NArg() > 0 || *span <= 0 || (*pair == "") == (*to == "") {
		log.Fatal("bulk: needs either -pair or -to, a -time above zero, and no arguments; -h lists the flags")
	}
	runtime.LockOSThread()
	r, err := run(*pair, *to, *mode, *mtu, *cpu, *span)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(r)
	}
	if err != nil {
		log.Fatal("bulk: ", err)
	}
}

func run(pair, to, mode string, mtu bool, cpu int, span time.Duration) (r report, err error) {
	if cpu >= 0 {
		if err := core.Pin(cpu); err != nil {
			return r, fmt.Errorf("-cpu: %w", err)
		}
	}
	var s stream
	switch {
	case pair == "memory":
		s, err = newMemoryPair(!mtu)
	case pair == "loopback":
		s, err = newLoopbackPair(mtu)
	case pair == "veth":
		s, err = newVethPair(mtu)
	case pair != "":
		err = fmt.Errorf("-pair %s: must be memory, loopback or veth", pair)
	case mode == "source" || mode == "sink":
		s, err = connect(to, mode == "sink")
	default:
		err = fmt.Errorf("-mode %s: must be source or sink", mode)
	}
	if err != nil {
		return r, err
	}
	defer s.close()
	return measure(s, span)
}

// measure warms up for a tenth of the time and then counts.
func measure(s stream, span time.Duration) (r report, err error) {
	if _, err := until(s, time.Now().Add(span/10)); err != nil {
		return r, err
	}
	m, _ := s.(*memoryPair)
	if m != nil {
		m.spent = [2]int64{}
	}
	cpu, begin := core.ProcessTime(), time.Now()
	n, err := until(s, begin.Add(span))
	wall, spent := time.Since(begin), core.ProcessTime()-cpu
	if err == nil && n == 0 {
		err = errors.New("nothing arrived")
	}
	gbit := float64(n) * 8 / 1e9
	r = report{Gbit: gbit / wall.Seconds(), CPU: spent.Seconds() / gbit, CPUShare: spent.Seconds() / wall.Seconds()}
	if m != nil {
		share := min(r.CPUShare, 1) / float64(n) * 1024
		r.Send, r.Receive = float64(m.spent[0])*share, float64(m.spent[1])*share
	}
	return r, err
}

// until turns a stream until that time.
func until(s stream, end time.Time) (n int, err error) {
	for i := 0; err == nil && (i%16 != 0 || time.Now().Before(end)); i++ {
		var k int
		k, err = s.turn()
		n += k
	}
	return n, err
}
