package tcp

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fstack-go/fstack/stack/tcp/cc"
	"github.com/fstack-go/fstack/stack/tcp/recovery"
)

// sysctls are the settings of one TCP. Times are milliseconds. New connections take them over; those that are
// there keep what their options say.
type sysctls struct {
	sendSpace, recvSpace   int // initial limits of the queues, bytes
	sendMax, recvMax       int // limits of their growth
	sendAuto, recvAuto     int
	delayedAck, delackTime int
	rfc1323, sack, ecn     int
	tolerateNoStamp        int
	msl, finwait2          int
	keepIdle, keepIntvl    int
	keepCnt, keepInit      int
	alwaysKeepAlive        int
	syncookies             int
	syncookiesOnly         int
	synackRetries          int
	halfOpen               int
	retries                int
	rtoInitial, rtoMin     int
	rtoMax                 int
	idleRestart            int
	mssV4, mssV6, mssMin   int
	pmtud                  int
	blackhole              int
	dropSynFin             int
	insecureRST            int
	insecureSYN            int
	ackStretch             int
	sockBufMost            int
	pacing                 int
	ecnRetries             int
	dropOptions            int
	rtoSlop                int
	holes                  int // pmtud_blackhole_detection
	holeV4, holeV6         int // and its segment sizes
	timeWaitMost           int
	timeWaitRecycle        int
	orphanMost             int
	backlogMost            int
	warCount, warTime      int
	portFirst, portLast    int
	ttl                    int
	icmpMayReset           int
	congestion             string
	ccID                   cc.ID
}

// sysctl is one setting: where it lies and what it may be.
type sysctl struct {
	name     string
	help     string
	low, max int
	at       func(*sysctls) *int
}

// on and off.
func toggle(name, help string, at func(*sysctls) *int) sysctl { return sysctl{name, help, 0, 1, at} }

// The settings, by FreeBSD's names where it has them.
var sysctlTable = []sysctl{
	{"net.inet.tcp.sendspace", "initial limit of the send queue, bytes", 2048, 1 << 30, func(s *sysctls) *int { return &s.sendSpace }},
	{"net.inet.tcp.recvspace", "initial limit of the receive queue, bytes", 2048, 1 << 30, func(s *sysctls) *int { return &s.recvSpace }},
	{"net.inet.tcp.sendbuf_max", "limit of the growth of send queues, bytes", 2048, 1 << 30, func(s *sysctls) *int { return &s.sendMax }},
	{"net.inet.tcp.recvbuf_max", "limit of the growth of receive queues, bytes", 2048, 1 << 30, func(s *sysctls) *int { return &s.recvMax }},
	toggle("net.inet.tcp.sendbuf_auto", "let send queues grow with the congestion window", func(s *sysctls) *int { return &s.sendAuto }),
	toggle("net.inet.tcp.recvbuf_auto", "let receive queues grow with what is read in a round trip", func(s *sysctls) *int { return &s.recvAuto }),
	toggle("net.inet.tcp.delayed_ack", "delay acknowledgments so that data can carry them", func(s *sysctls) *int { return &s.delayedAck }),
	{"net.inet.tcp.delacktime", "longest delay of an acknowledgment, ms", 1, 500, func(s *sysctls) *int { return &s.delackTime }},
	{"net.inet.tcp.rfc1323", "window scaling and timestamps (RFC 7323): 0 neither, 1 both, 2 only scaling, 3 only timestamps", 0, 3, func(s *sysctls) *int { return &s.rfc1323 }},
	toggle("net.inet.tcp.sack.enable", "use selective acknowledgments (RFC 2018)", func(s *sysctls) *int { return &s.sack }),
	{"net.inet.tcp.ecn.enable", "use ECN (RFC 3168): 0 never, 1 always, 2 if the peer asks for it", 0, 2, func(s *sysctls) *int { return &s.ecn }},
	{"net.inet.tcp.ecn.maxretries", "retransmissions of a SYN that still ask for ECN", 0, 15, func(s *sysctls) *int { return &s.ecnRetries }},
	toggle("net.inet.tcp.tolerate_missing_ts", "take segments without timestamp although it was negotiated", func(s *sysctls) *int { return &s.tolerateNoStamp }),
	{"net.inet.tcp.ack_stretch", "full segments of one turn that one acknowledgment may answer; 2: each second one gets its own (RFC 9293 §3.8.6.3)", 2, 1 << 15, func(s *sysctls) *int { return &s.ackStretch }},
	{"net.inet.tcp.msl", "maximum segment lifetime, ms; TIME-WAIT lasts two", 1, 600_000, func(s *sysctls) *int { return &s.msl }},
	{"net.inet.tcp.finwait2_timeout", "longest FIN-WAIT-2 of a closed socket, ms", 1, 3_600_000, func(s *sysctls) *int { return &s.finwait2 }},
	{"net.inet.tcp.keepidle", "idle time before keep-alive probes, ms", 1, 1 << 31, func(s *sysctls) *int { return &s.keepIdle }},
	{"net.inet.tcp.keepintvl", "time between keep-alive probes, ms", 1, 1 << 31, func(s *sysctls) *int { return &s.keepIntvl }},
	{"net.inet.tcp.keepcnt", "keep-alive probes without answer before the connection is given up", 1, 127, func(s *sysctls) *int { return &s.keepCnt }},
	{"net.inet.tcp.keepinit", "longest time to wait for the answer to a SYN, ms", 1, 1 << 31, func(s *sysctls) *int { return &s.keepInit }},
	toggle("net.inet.tcp.always_keepalive", "keep-alive on all new sockets", func(s *sysctls) *int { return &s.alwaysKeepAlive }),
	toggle("net.inet.tcp.syncookies", "answer SYNs with cookies when there are too many half-open connections (RFC 4987)", func(s *sysctls) *int { return &s.syncookies }),
	toggle("net.inet.tcp.syncookies_only", "answer all SYNs with cookies", func(s *sysctls) *int { return &s.syncookiesOnly }),
	{"net.inet.tcp.syncache.rexmtlimit", "retransmissions of a SYN-ACK", 0, 15, func(s *sysctls) *int { return &s.synackRetries }},
	{"net.inet.tcp.syncache.cachelimit", "half-open connections in all", 1, 1 << 28, func(s *sysctls) *int { return &s.halfOpen }},
	{"net.inet.tcp.retries", "retransmission timeouts in a row before the connection is given up", 3, 63, func(s *sysctls) *int { return &s.retries }},
	{"net.inet.tcp.rexmit_initial", "retransmission timeout before the first round trip was measured, ms", 1, 120_000, func(s *sysctls) *int { return &s.rtoInitial }},
	{"net.inet.tcp.rexmit_min", "least allowance for variance in retransmission timeouts, ms", 1, 120_000, func(s *sysctls) *int { return &s.rtoMin }},
	{"net.inet.tcp.rexmit_slop", "added to each retransmission timeout but the initial one, ms", 0, 10_000, func(s *sysctls) *int { return &s.rtoSlop }},
	{"net.inet.tcp.rexmit_max", "longest retransmission timeout, ms", 1000, 1_000_000, func(s *sysctls) *int { return &s.rtoMax }},
	toggle("net.inet.tcp.slow_start_after_idle", "restart the congestion window after idle time (RFC 5681 §4.1)", func(s *sysctls) *int { return &s.idleRestart }),
	{"net.inet.tcp.mssdflt", "segment size towards IPv4 peers that announce none", 216, 65495, func(s *sysctls) *int { return &s.mssV4 }},
	{"net.inet.tcp.v6mssdflt", "segment size towards IPv6 peers that announce none", 216, 65475, func(s *sysctls) *int { return &s.mssV6 }},
	{"net.inet.tcp.minmss", "least segment size that a peer or a path can ask for", 88, 1220, func(s *sysctls) *int { return &s.mssMin }},
	toggle("net.inet.tcp.path_mtu_discovery", "take note of ICMP about too long packets (RFC 1191, 8201)", func(s *sysctls) *int { return &s.pmtud }),
	{"net.inet.tcp.blackhole", "give no RST to a SYN (1) or any segment (2) for a port where nobody listens", 0, 2, func(s *sysctls) *int { return &s.blackhole }},
	toggle("net.inet.tcp.pacing", "pace all connections, not only those whose congestion control or SO_MAX_PACING_RATE asks for it", func(s *sysctls) *int { return &s.pacing }),
	toggle("net.inet.tcp.drop_synfin", "drop segments with SYN and FIN", func(s *sysctls) *int { return &s.dropSynFin }),
	toggle("net.inet.tcp.insecure_rst", "believe any RST in the window (RFC 793), not only the very next number (RFC 5961 §3.2)", func(s *sysctls) *int { return &s.insecureRST }),
	toggle("net.inet.tcp.insecure_syn", "reset a connection by a SYN in the window (RFC 793) instead of a challenge (RFC 5961 §4.2)", func(s *sysctls) *int { return &s.insecureSYN }),
	toggle("net.inet.tcp.rexmit_drop_options", "send the fourth SYN and later ones without window scaling, timestamps and SACK", func(s *sysctls) *int { return &s.dropOptions }),
	{"net.inet.tcp.pmtud_blackhole_detection", "send shorter segments when full ones time out again and again (RFC 2923, 4821): 0 never, 1 always, 2 only IPv4, 3 only IPv6", 0, 3, func(s *sysctls) *int { return &s.holes }},
	{"net.inet.tcp.pmtud_blackhole_mss", "segment size that is tried first then, over IPv4", 88, 65495, func(s *sysctls) *int { return &s.holeV4 }},
	{"net.inet.tcp.v6pmtud_blackhole_mss", "segment size that is tried first then, over IPv6", 88, 65475, func(s *sysctls) *int { return &s.holeV6 }},
	{"net.inet.tcp.maxtcptw", "connections in TIME-WAIT; beyond, they end at once", 0, 1 << 28, func(s *sysctls) *int { return &s.timeWaitMost }},
	toggle("net.inet.tcp.tw_reuse", "let connect take over the ports of a connection in TIME-WAIT (RFC 6191)", func(s *sysctls) *int { return &s.timeWaitRecycle }),
	{"net.inet.tcp.maxorphans", "connections that go on after their socket was closed; beyond, they are reset", 0, 1 << 28, func(s *sysctls) *int { return &s.orphanMost }},
	{"kern.ipc.maxsockbuf", "most that SO_SNDBUF and SO_RCVBUF can ask for, bytes", 4096, 1<<32 - 1, func(s *sysctls) *int { return &s.sockBufMost }},
	{"kern.ipc.soacceptqueue", "longest accept queue", 1, 1 << 20, func(s *sysctls) *int { return &s.backlogMost }},
	{"kern.ipc.somaxconn", "the older name of kern.ipc.soacceptqueue", 1, 1 << 20, func(s *sysctls) *int { return &s.backlogMost }},
	{"net.inet.tcp.ack_war_cnt", "challenge ACKs of a connection in ack_war_timewindow (RFC 5961 §7)", 0, 255, func(s *sysctls) *int { return &s.warCount }},
	{"net.inet.tcp.ack_war_timewindow", "period of that limit, ms", 1, 60_000, func(s *sysctls) *int { return &s.warTime }},
	{"net.inet.ip.portrange.first", "lowest port given to a socket that asks for none", 1, 65535, func(s *sysctls) *int { return &s.portFirst }},
	{"net.inet.ip.portrange.last", "highest such port", 1, 65535, func(s *sysctls) *int { return &s.portLast }},
	{"net.inet.ip.ttl", "time to live or hop limit of new sockets' packets", 1, 255, func(s *sysctls) *int { return &s.ttl }},
	toggle("net.inet.tcp.icmp_may_rst", "let ICMP errors end a connect (RFC 5927)", func(s *sysctls) *int { return &s.icmpMayReset }),
}

// recovery is what package recovery is to know of it.
func (s *sysctls) recovery() recovery.Config {
	return recovery.Config{
		RTOInitial: uint32(s.rtoInitial) * 1000, RTOMin: uint32(s.rtoMin) * 1000, RTOMax: uint32(s.rtoMax) * 1000, RTOSlop: uint32(s.rtoSlop) * 1000, NoIdleRestart: s.idleRestart == 0,
	}
}

func (s *sysctls) stamps() bool  { return s.rfc1323 == 1 || s.rfc1323 == 3 }
func (s *sysctls) scaling() bool { return s.rfc1323 == 1 || s.rfc1323 == 2 }

func defaultSysctls() sysctls {
	return sysctls{
		sendSpace: 64 << 10, recvSpace: 64 << 10, sendMax: 4 << 20, recvMax: 6 << 20, sendAuto: 1, recvAuto: 1,
		delayedAck: 1, delackTime: 40, rfc1323: 1, sack: 1, ecn: ecnAnswer, msl: 30_000, finwait2: 60_000,
		keepIdle: 7_200_000, keepIntvl: 75_000, keepCnt: 9, keepInit: 180_000,
		syncookies: 1, synackRetries: 5, halfOpen: 65536, retries: 15, rtoInitial: 1000, rtoMin: 200, rtoMax: 120_000, idleRestart: 1, mssV4: 536, mssV6: 1220, mssMin: 216,
		pmtud: 1, dropSynFin: 1, timeWaitMost: 262_144, timeWaitRecycle: 1, orphanMost: 65536, backlogMost: 4096,
		ackStretch: 44, sockBufMost: 6 << 20, holeV4: 1200, holeV6: 1220,
		warCount: 1, warTime: 500, portFirst: 32768, portLast: 60999, ttl: 64, icmpMayReset: 1, congestion: "cubic",
	}
}

const (
	sysctlCC     = "net.inet.tcp.cc.algorithm"
	sysctlCCList = "net.inet.tcp.cc.available"
	sysctlPurge  = "net.inet.tcp.hostcache.purgenow"
)

// fixedSysctls are settings of what is not here: they have the value that is true, and cannot be given another.
var fixedSysctls = []struct{ name, help, why string }{
	{"net.inet.tcp.fastopen.client_enable", "TCP Fast Open (RFC 7413) of connects: there is none", "there is no TCP Fast Open"},
	{"net.inet.tcp.fastopen.server_enable", "TCP Fast Open (RFC 7413) of listening sockets: there is none", "there is no TCP Fast Open"},
	{"net.inet.tcp.udp_tunneling_overhead", "bytes that TCP in UDP takes from each segment: there is none", "there is no TCP in UDP"},
	{"net.inet.tcp.udp_tunneling_port", "UDP port for TCP in UDP: there is none", "there is no TCP in UDP"},
}

// Sysctls lists the names of the settings, sorted.
func Sysctls() []string {
	names := []string{sysctlCC, sysctlCCList, sysctlPurge}
	for i := range fixedSysctls {
		names = append(names, fixedSysctls[i].name)
	}
	for i := range sysctlTable {
		names = append(names, sysctlTable[i].name)
	}
	slices.Sort(names)
	return names
}

// SysctlHelp is one sentence about a setting, or "" for a name that is not there.
func SysctlHelp(name string) string {
	switch name {
	case sysctlCC:
		return "congestion control of new sockets"
	case sysctlCCList:
		return "congestion controls that there are"
	case sysctlPurge:
		return "1: forget the routes and path MTUs that were learnt of each peer"
	}
	for i := range fixedSysctls {
		if fixedSysctls[i].name == name {
			return fixedSysctls[i].help
		}
	}
	for i := range sysctlTable {
		if sysctlTable[i].name == name {
			return sysctlTable[i].help
		}
	}
	return ""
}

// Sysctl returns the value of a setting.
func (t *TCP) Sysctl(name string) (string, error) {
	t.st.Lock()
	defer t.st.Unlock()
	switch name {
	case sysctlCC:
		return t.sys.congestion, nil
	case sysctlCCList:
		return strings.Join(cc.Names(), " "), nil
	case sysctlPurge:
		return "0", nil
	}
	for i := range fixedSysctls {
		if fixedSysctls[i].name == name {
			return "0", nil
		}
	}
	for i := range sysctlTable {
		if s := &sysctlTable[i]; s.name == name {
			return strconv.Itoa(*s.at(&t.sys)), nil
		}
	}
	return "", fmt.Errorf("sysctl: no setting %q in TCP", name)
}

// SetSysctl changes a setting for what begins later.
func (t *TCP) SetSysctl(name, value string) error {
	t.st.Lock()
	defer t.st.Unlock()
	switch name {
	case sysctlCC:
		id, err := cc.Lookup(value)
		if err != nil {
			return fmt.Errorf("sysctl %s: %w", name, err)
		}
		t.sys.congestion, t.sys.ccID = value, id
		return t.opts.setDefault(func(o *sockOptions) { o.cc = id })
	case sysctlCCList:
		return fmt.Errorf("sysctl %s: it can only be read", name)
	case sysctlPurge:
		if value != "0" && value != "1" {
			return fmt.Errorf("sysctl %s: %q is not 0 or 1", name, value)
		}
		if value == "1" {
			t.dests.purge()
		}
		return nil
	}
	for i := range fixedSysctls {
		if f := &fixedSysctls[i]; f.name == name {
			if value != "0" {
				return fmt.Errorf("sysctl %s: %q: %s, it can only be 0", name, value, f.why)
			}
			return nil
		}
	}
	for i := range sysctlTable {
		s := &sysctlTable[i]
		if s.name != name {
			continue
		}
		v, err := strconv.Atoi(value)
		if err != nil || v < s.low || v > s.max {
			return fmt.Errorf("sysctl %s: %q is not a number from %d to %d", name, value, s.low, s.max)
		}
		next := t.sys
		*s.at(&next) = v
		if next.portFirst > next.portLast {
			return fmt.Errorf("sysctl %s: the range of ports would be %d to %d", name, next.portFirst, next.portLast)
		}
		if next.rtoMin > next.rtoMax || next.rtoInitial > next.rtoMax {
			return fmt.Errorf("sysctl %s: the longest retransmission timeout would be %d ms, shorter than the others", name, next.rtoMax)
		}
		t.sys = next
		t.rec.Tune(t.sys.recovery())
		return nil
	}
	return fmt.Errorf("sysctl: no setting %q in TCP", name)
}
