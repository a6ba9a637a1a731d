package main

import (
	"fmt"

	"github.com/fstack-go/fstack/internal/hugepages"
)

// system is a stack and the link to it.
type system struct {
	name string
	tcp  string // [stack] tcp; empty: the kernel's stack
	link string // "veth", "TAP", "virtio" or "memory"

	workers int // 0: one process
}

var (
	kernelVeth     = &system{name: "kernel, veth", tcp: "", link: "veth"}
	netstackTAP    = &system{name: "tcp=netstack, TAP", tcp: "netstack", link: "TAP"}
	fstackTAP      = &system{name: "tcp=fstack, TAP", tcp: "fstack", link: "TAP"}
	netstackVirtio = &system{name: "tcp=netstack, virtio", tcp: "netstack", link: "virtio"}
	fstackVirtio   = &system{name: "tcp=fstack, virtio", tcp: "fstack", link: "virtio"}
	netstackMemory = &system{name: "tcp=netstack, memory", tcp: "netstack", link: "memory"}
	fstackMemory   = &system{name: "tcp=fstack, memory", tcp: "fstack", link: "memory"}

	networked = []*system{kernelVeth, netstackTAP, fstackTAP, netstackVirtio, fstackVirtio}
	inProcess = []*system{netstackMemory, fstackMemory}
)

// load is a program and a way to ask it.
type load struct {
	name    string
	program string
	port    int
	mode    string // of load: keep-alive, connect, sink or source
}

var loads = []load{
	{"epoll, keep-alive", "epoll", 80, "keep-alive"},
	{"epoll, connect each", "epoll", 80, "connect"},
	{"net.Conn, keep-alive", "server", 81, "keep-alive"},
	{"net.Conn, connect each", "server", 81, "connect"},
	{"net/http, keep-alive", "server", 80, "keep-alive"},
	{"net/http, connect each", "server", 80, "connect"},
}

// row is one line of a table.
type row struct {
	load    load
	system  *system
	conns   int
	idle    int
	args    []string // of the program that measures
	measure func(*bench, *row) (result, error)
	results []result
	failed  string // why it could not be measured
}

func (r *row) String() string {
	s := r.load.name
	if r.idle > 0 {
		s += fmt.Sprintf(", %d idle", r.idle)
	}
	return fmt.Sprintf("%s, %d connections, %s", s, r.conns, r.system.name)
}

// baseline tells whether r is what other is compared with: the same over the kernel's stack, or over gVisor's TCP and
// the same link.
func (r *row) baseline(other *row, tcp string) bool {
	return r.system.tcp == tcp && r.load == other.load && r.conns == other.conns && r.idle == other.idle &&
		(tcp == "" || r.system.link == other.system.link)
}

// group is a table.
type group struct {
	title   string
	columns []column
	rows    []*row
	note    string
}

// add adds a row if it was chosen; quick ones are measured without any choice.
func (g *group) add(b *bench, quick bool, r *row) {
	if b.only != nil && !b.only.MatchString(g.title+": "+r.String()) || b.only == nil && !b.all && !quick {
		return
	}
	g.rows = append(g.rows, r)
}

// groups are the tables in their order, those that have a row.
func (b *bench) groups() (list []*group) {
	for _, g := range []*group{b.requests(), b.memory(), b.oneCPU(), b.streams(), b.idleConnections(), b.scaling(), b.crossing(), b.handOver()} {
		if len(g.rows) > 0 {
			list = append(list, g)
		}
	}
	return list
}

var connections = []int{1, 64, 256, 1024}

func (b *bench) requests() *group {
	g := &group{title: "requests", columns: []column{rate, p50, p99, nanos, cycles}, note: `"connect each": connections per second, and the time from SYN to the end of the answer. ns/request: time of the
loop's turns in which something happened, with the application; for the kernel CPU time of the process, without what
softirqs do on other processes' time (over virtio without the time that other programs had the CPU). Over TAP and veth wrk makes the load, and is the limit before the server is.`}
	for _, l := range loads {
		for _, n := range connections {
			for _, s := range networked {
				if s.tcp == "" && l.program == "epoll" {
					continue // package posix is for this stack
				}
				r := &row{load: l, system: s, conns: n, measure: (*bench).networked}
				g.add(b, n == 64 && (l.program != "server" || l.port == 81 || l.mode == "keep-alive"), r)
			}
		}
	}
	return g
}

func (b *bench) memory() *group {
	g := &group{title: "in process", columns: []column{nanos, cycles, rate, p50, p99}, note: `An event loop on package posix, without a device; the load generator runs in the same thread, so requests/s are of both,
and ns/request are the server's alone. All times are CPU time of the process, but with one connection.`}
	for _, mode := range []string{"keep-alive", "connect"} {
		for _, n := range connections {
			for _, s := range inProcess {
				l := load{name: "posix, " + map[string]string{"keep-alive": "keep-alive", "connect": "connect each"}[mode], mode: mode, port: 80}
				r := &row{load: l, system: s, conns: n, measure: (*bench).inside}
				if n > 1 { // a system call to read it
					r.args = []string{"-cpu-clock"}
				}
				g.add(b, n == 64, r)
			}
		}
	}
	return g
}

func (b *bench) oneCPU() *group {
	g := &group{title: "one stream, both ends on one CPU", columns: []column{gbit, cpuGbit, sendKB, receiveKB}, note: `One process with both ends, pinned. Neither link copies frames or sums checksums. What differs: the kernel's calls are
system calls, and it allocates its buffers; here both are in the process, and the link is a ring without a qdisc.`}
	for _, c := range []struct{ name, arg string }{{"up to 64 KB at a time", ""}, {"1500 bytes at a time", "-mtu"}} {
		for _, s := range []*system{{name: "kernel, loopback", link: "loopback"}, {name: "kernel, veth", link: "veth"}, {name: "tcp=fstack, memory", tcp: "fstack", link: "memory"}} {
			args := []string{"-pair", s.link}
			if c.arg != "" {
				args = append(args, c.arg)
			}
			g.add(b, true, &row{load: load{name: c.name}, system: s, conns: 1, args: args, measure: (*bench).pair})
		}
	}
	return g
}

func (b *bench) streams() *group {
	g := &group{title: "one stream to or from another CPU", columns: []column{gbit, nsKB}, note: `Over TAP and veth the kernel is at the other end, over virtio the load generator, which sends 1500 bytes at a time and
wants no checksums.`}
	for _, l := range []load{{"net.Conn, receives", "server", 82, "source"}, {"net.Conn, sends", "server", 83, "sink"}} {
		for _, s := range networked {
			g.add(b, s.link == "virtio" || s.link == "veth", &row{load: l, system: s, conns: 1, measure: (*bench).networked})
		}
	}
	return g
}

func (b *bench) idleConnections() *group {
	g := &group{title: "idle connections", columns: []column{perConn, rate, p50, p99, nanos, gcPause, gcs}, note: `bytes/connection: growth of the process's resident memory by all connections, with their descriptors and registrations
in an epoll. The garbage collector runs five times a second; the pause is the longest one, of the whole process. All other times
are CPU time of the process, the collector's included.`}
	for _, idle := range []int{0, 10_000, 100_000, 1_000_000} {
		for _, s := range inProcess {
			switch {
			case idle > 10_000 && s.tcp == "netstack": // gigabytes
			case idle == 1_000_000 && !b.million:
			default:
				l := load{name: "posix, keep-alive", mode: "keep-alive", port: 80}
				r := &row{load: l, system: s, conns: 1000, idle: idle, args: []string{"-gc", "200ms", "-cpu-clock"}, measure: (*bench).inside}
				g.add(b, s.tcp == "fstack" && idle != 100_000 || idle == 10_000, r)
			}
		}
	}
	return g
}

func (b *bench) scaling() *group {
	g := &group{title: "scaling", columns: []column{rate, perCPU, ofTwice}, note: `Two processes that share nothing, each with its stack and its load in memory, pinned to a CPU of its own: no packet crosses
from one to the other, and no cache line is shared. "of twice one" is what two workers can reach at best on this machine.`}
	for _, n := range []int{1, 2} {
		s := &system{name: fmt.Sprintf("%d processes, memory", n), tcp: "fstack", link: "memory"}
		g.add(b, true, &row{load: load{name: "posix, keep-alive", mode: "keep-alive", port: 80}, system: s, conns: 64, measure: func(b *bench, r *row) (result, error) {
			return b.processes(r, n)
		}})
	}
	return g
}

func (b *bench) crossing() *group {
	g := &group{title: "packets of another worker", columns: []column{crossed, rate}, note: `Two workers on one CPU share a device of two queues, the load is on the other CPU. crossed: the share of the received packets
that went to the other worker by a ring. "RSS": the load generator puts each packet on the queue that a card would; "any
queue": on one that has nothing to do with its connection's worker. The kernel's TAP puts a flow where it last sent from.`}
	for _, c := range []struct {
		system *system
		args   []string
	}{
		{&system{name: "2 workers, virtio, RSS", tcp: "fstack", link: "virtio", workers: 2}, []string{"-rss"}},
		{&system{name: "2 workers, virtio, any queue", tcp: "fstack", link: "virtio", workers: 2}, nil},
		{&system{name: "2 workers, TAP", tcp: "fstack", link: "TAP", workers: 2}, nil},
	} {
		for _, l := range loads[:2] {
			g.add(b, l.mode == "keep-alive" || c.system.link == "virtio", &row{load: l, system: c.system, conns: 64, args: c.args, measure: func(b *bench, r *row) (result, error) {
				back, err := hugepages.Reserve(workersMB + 96)
				if err != nil {
					return result{}, err
				}
				defer back()
				return b.networked(r)
			}})
		}
	}
	return g
}

func (b *bench) handOver() *group {
	g := &group{title: "hand-over", columns: []column{packetNanos}, note: `What a packet costs that goes to another worker by pointer, in bursts of up to 32: handed over, received, given back and freed.
Both ends on one CPU: the work of both. On two: the time from one packet to the next, with the misses of the caches and the
device's part.`}
	for _, c := range []struct {
		name string
		args []string
	}{{"both ends on one CPU", nil}, {"on two", []string{"-two"}}} {
		s := &system{name: c.name, tcp: "fstack", link: "memory"}
		g.add(b, true, &row{load: load{name: "64 bytes"}, system: s, conns: 1, args: c.args, measure: (*bench).hand})
	}
	return g
}
