package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"
)

// The modes.
const (
	modeKeepAlive = "keep-alive"
	modeConnect   = "connect"
	modeSink      = "sink"
	modeSource    = "source"
)

// options are what the command line says.
type options struct {
	device     string // name,arguments
	queues     int
	rss        bool
	hold       bool
	lcore      int
	memory     int // MB
	noHuge     bool
	prefix     string
	ealArgs    string
	verbose    bool
	from, via  netip.Addr
	to         netip.AddrPort
	mode       string
	conns      int
	idleConns  int
	span       time.Duration
	warmup     time.Duration
	timeout    time.Duration
	window     int
	mtu        int
	path, host string
	request    []byte

	tcp string // of a server inMemory
	tso bool
	gc  time.Duration

	cpuClock bool
}

// inMemory is the device that has its server in this process.
const inMemory = "memory"

const usage = `load asks an HTTP server over a DPDK device as fast as it answers, and prints one line of JSON.

	load -device net_vhost0,iface=/run/vhost.sock -from 192.168.1.1 -to 192.168.1.2:80 -conns 64

With -device memory it asks a server in this process, and tells that one's part of the time:

	load -device memory -from 10.1.0.1 -to 10.0.0.1:80 -conns 1000 -idle-conns 1000000

Modes:
	keep-alive  each connection asks again and again; latency from request to end of answer
	connect     a connection for each request; latency from SYN to end of answer
	sink        receives what the server sends without being asked
	source      sends without end, for a server that reads and discards

Flags:
`

// parse reads the command line. flag.ErrHelp: the usage was printed.
func parse(args []string, out io.Writer) (o options, err error) {
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.SetOutput(out)
	f.Usage = func() { io.WriteString(out, usage); f.PrintDefaults() }
	var from, to, via string
	f.StringVar(&o.device, "device", "", "device and its `arguments`, as net_vhost0,iface=/run/vhost.sock or virtio_user0,path=/run/vhost.sock,queue_size=1024")
	f.IntVar(&o.queues, "queues", 1, "queue pairs of the device; the server has a process for each")
	f.BoolVar(&o.rss, "rss", false, "with -queues, put frames on the queue that a card with RSS would choose; else the client's port says which")
	f.BoolVar(&o.hold, "hold", false, "open no connection before standard input ends: the server may have to get ready")
	f.StringVar(&o.tcp, "tcp", "fstack", "with -device memory, the server's TCP: fstack or netstack")
	f.BoolVar(&o.tso, "tso", false, "with -device memory, frames of up to 64 KB")
	f.DurationVar(&o.gc, "gc", 0, "with -device memory, how often to collect garbage (0: never)")
	f.BoolVar(&o.cpuClock, "cpu-clock", false, "with -device memory, tell the time by the CPU time of this process: what others take does not count")
	f.IntVar(&o.lcore, "lcore", 1, "CPU to run on")
	f.IntVar(&o.memory, "memory", 256, "memory in MB")
	f.BoolVar(&o.noHuge, "no-huge", false, "do without hugepages; else they are used when enough are free")
	f.StringVar(&o.prefix, "prefix", "", "file prefix of EAL (default load-PID)")
	f.StringVar(&o.ealArgs, "eal-args", "", "further EAL arguments, parted by spaces")
	f.BoolVar(&o.verbose, "verbose", false, "show DPDK's log from level info on")
	f.StringVar(&from, "from", "192.168.1.1", "own IPv4 `address`; many connections need those that follow it, too")
	f.StringVar(&to, "to", "192.168.1.2:80", "IPv4 `address:port` of the server")
	f.StringVar(&via, "via", "", "IPv4 `address` of the next hop (default the server)")
	f.StringVar(&o.mode, "mode", modeKeepAlive, "keep-alive, connect, sink or source")
	f.IntVar(&o.conns, "conns", 64, "connections that ask")
	f.IntVar(&o.idleConns, "idle-conns", 0, "connections that are opened and then left alone")
	f.DurationVar(&o.span, "time", 5*time.Second, "how long to measure")
	f.DurationVar(&o.warmup, "warmup", 500*time.Millisecond, "how long to run before, once all connections are open")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "how long to wait for the device's link, the connections to open, and each answer")
	f.IntVar(&o.window, "window", 1<<20, "receive window of a connection in bytes; with source also the most that is under way")
	f.IntVar(&o.mtu, "mtu", 0, "MTU (default the device's)")
	f.StringVar(&o.path, "path", "/", "path to ask for")
	f.StringVar(&o.host, "host", "", "Host header (default the server's address)")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("argument %q: all arguments are flags (-h lists them)", f.Arg(0))
	}
	if o.from, err = parseIPv4("-from", from); err != nil {
		return o, err
	}
	if o.to, err = netip.ParseAddrPort(to); err != nil || !o.to.Addr().Is4() || o.to.Port() == 0 {
		return o, fmt.Errorf("-to %s: must be an IPv4 address and a port, as 192.168.1.2:80", to)
	}
	if o.via = o.to.Addr(); via != "" {
		if o.via, err = parseIPv4("-via", via); err != nil {
			return o, err
		}
	}
	return o, o.check()
}

func parseIPv4(name, s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() || a.IsUnspecified() || a.IsMulticast() {
		return a, fmt.Errorf("%s %s: must be an IPv4 address of a host", name, s)
	}
	return a, nil
}

// check looks at the values and fills in what depends on others.
func (o *options) check() error {
	if o.host == "" {
		o.host = o.to.Addr().String()
	}
	switch o.mode {
	case modeKeepAlive:
		o.request = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", o.path, o.host)
	case modeConnect:
		o.request = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", o.path, o.host)
	case modeSink, modeSource:
	default:
		return fmt.Errorf("-mode %s: must be keep-alive, connect, sink or source", o.mode)
	}
	switch {
	case o.tcp != "fstack" && o.tcp != "netstack":
		return fmt.Errorf("-tcp %s: must be fstack or netstack", o.tcp)
	case o.gc < 0:
		return fmt.Errorf("-gc %v: must not be negative", o.gc)
	case o.device != inMemory && (o.gc > 0 || o.tso || o.cpuClock):
		return errors.New("-gc, -tso and -cpu-clock: are for -device memory")
	case o.queues < 1 || o.queues > 64 || o.device == inMemory && o.queues > 1:
		return fmt.Errorf("-queues %d: must be 1 to 64, and 1 with -device memory", o.queues)
	case o.rss && o.queues == 1:
		return errors.New("-rss: needs several -queues to choose from")
	case o.device == "":
		return errors.New("-device is missing: which device is the link to the server? (-h shows an example)")
	case o.from == o.to.Addr():
		return fmt.Errorf("-from %v: is the server's address", o.from)
	case o.lcore < 0:
		return fmt.Errorf("-lcore %d: must not be negative", o.lcore)
	case o.conns < 1 || o.idleConns < 0 || o.conns+o.idleConns > 1<<24:
		return fmt.Errorf("-conns %d -idle-conns %d: must be 1 or more, and 0 or more, and %d at most in all", o.conns, o.idleConns, 1<<24)
	case o.span <= 0 || o.warmup < 0 || o.timeout <= 0:
		return errors.New("-time, -warmup and -timeout: must be positive (-warmup may be 0)")
	case o.window < 1024 || o.window > 1<<30:
		return fmt.Errorf("-window %d: must be 1024 to %d", o.window, 1<<30)
	case !strings.HasPrefix(o.path, "/") || strings.ContainsAny(o.path+o.host, " \r\n"):
		return fmt.Errorf("-path %q, -host %q: the path must begin with /, and neither may hold blanks", o.path, o.host)
	}
	return nil
}
