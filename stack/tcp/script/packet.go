package script

import (
	"net/netip"
)

// Packet is a TCP segment or an ICMP message: as a script wrote it, or as the stack sent it in the script's terms.
type Packet struct {
	Out bool // > and not <
	IP  IPInfo

	SrcPort, DstPort uint16 // 0 in a script: the connection's
	Flags            uint16 // of the TCP header, with AE as bit 8
	ACE              bool   // the script gave AE, CWR and ECE as one number
	Seq              uint32
	Len              int    // bytes of payload
	Ack              uint32 //
	Window           int    // as on the wire, -1: not checked
	Urgent           uint16
	Options          []TCPOption
	AnyOptions       bool // <...>: not checked

	ICMP *ICMP // nil: a TCP segment

	payload  []byte     // of a packet that was sent
	src, dst netip.Addr // likewise
	at       int64      // likewise: when
	problem  string     // likewise: a wrong checksum or length
	joined   bool       // likewise: several segments
}

// TCP flags in the order of their bits.
const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	flagPSH
	flagACK
	flagURG
	flagECE
	flagCWR
	flagAE
)

// flagLetters are tcpdump's letters in the order in which a script has them.
var flagLetters = []struct {
	letter byte
	flag   uint16
}{
	{'F', flagFIN}, {'S', flagSYN}, {'R', flagRST}, {'P', flagPSH}, {'U', flagURG},
	{'E', flagECE}, {'W', flagCWR}, {'A', flagAE}, {'.', flagACK},
}

// IPInfo is what a script says of the IP header.
type IPInfo struct {
	Check     TOSCheck
	TOS       uint8
	TTL       uint8  // 0: not said
	FlowLabel uint32 // 0: not said
}

// TOSCheck says which bits of the type of service a script names.
type TOSCheck uint8

// What IPInfo.TOS holds.
const (
	TOSUnchecked TOSCheck = iota
	TOSECN                // the ECN bits
	TOSECT01              // nothing: either of ECT(0) and ECT(1)
	TOSAll                // all of it
)

// ICMP is an ICMP error about a segment of the connection.
type ICMP struct {
	Type, Code string // names, or type_N and code_N
	MTU        int64  // -1: not said
	Quotes     bool   // whether a segment was named
	Seq        uint32 // the quoted segment
	Len        int
}
