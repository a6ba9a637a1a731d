package tcp

// Counters count what the TCP did and every rule by which it dropped something.
type Counters struct {
	RxSegments uint64 `help:"segments received"`
	TxSegments uint64 `help:"segments sent"`

	ConnectsStarted uint64 `help:"connections begun by connect"`
	RxSYNs          uint64 `help:"SYNs received for a listening socket"`
	Established     uint64 `help:"connections established from either side"`
	Accepted        uint64 `help:"connections accepted"`

	RxUnwrapped        uint64 `help:"segments received that netstack had to unwrap: IP options, fragments, extension headers"`
	RxOutOfOrder       uint64 `help:"segments received beyond a gap"`
	RxOld              uint64 `help:"segments received with only known bytes"`
	RxOldBytes         uint64 `help:"bytes of segments with only known bytes"`
	RxPartlyOld        uint64 `help:"segments received with some known bytes"`
	RxBeyondWindow     uint64 `help:"segments cut because they reached beyond the window"`
	RxWindowProbes     uint64 `help:"segments received while our window was closed"`
	RxDuplicateSYN     uint64 `help:"SYNs received again"`
	RxDuplicateAcks    uint64 `help:"duplicate acknowledgments received"`
	RxOldAcks          uint64 `help:"acknowledgments received that a later one had overtaken"`
	RxDSACKs           uint64 `help:"acknowledgments received that report a duplicate"`
	RxCongestion       uint64 `help:"data segments received that had met congestion (ECN)"`
	RxCongestionEchoes uint64 `help:"times the peer reported congestion (ECN)"`
	RxResets           uint64 `help:"RSTs received and believed"`
	RxUrgent           uint64 `help:"urgent pointers received"`
	RxICMPErrors       uint64 `help:"ICMP errors received about our segments"`
	SimultaneousOpens  uint64 `help:"connections where both sides sent a SYN"`

	SimultaneousCloses uint64 `help:"connections where both sides sent a FIN before they had the other's"`

	TxPureAcks             uint64 `help:"acknowledgments sent without data"`
	TxDuplicateAcks        uint64 `help:"acknowledgments sent at once because a segment was out of place"`
	TxDSACKs               uint64 `help:"duplicates reported to the peer"`
	TxRetransmitted        uint64 `help:"segments sent again"`
	TxRetransmittedBytes   uint64 `help:"bytes sent again"`
	TxRetransmittedSYNs    uint64 `help:"SYNs and SYN-ACKs sent again"`
	TxResets               uint64 `help:"RSTs sent"`
	TxChallengeAcks        uint64 `help:"challenge ACKs sent"`
	TxSuperSegments        uint64 `help:"segments handed to the device to cut"`
	TxQueueFull            uint64 `help:"times a port had no frame left for a segment, which waited"`
	PacingWaits            uint64 `help:"times a paced connection waited for its next burst"`
	DelayedAcks            uint64 `help:"acknowledgments whose delay ran out"`
	WindowUpdates          uint64 `help:"acknowledgments sent because the application read"`
	WindowProbes           uint64 `help:"probes sent of a closed window"`
	KeepAliveProbes        uint64 `help:"keep-alive probes sent"`
	TailLossProbes         uint64 `help:"tail loss probes"`
	RetransmissionTimeouts uint64 `help:"retransmission timeouts"`
	FastRecoveries         uint64 `help:"fast recoveries begun"`
	SpuriousRecoveries     uint64 `help:"recoveries undone because nothing had been lost"`
	WaitedForNeighbour     uint64 `help:"times a connection had to wait for a neighbour's link address"`

	CookiesSent  uint64 `help:"SYNs answered with a cookie"`
	CookiesRight uint64 `help:"connections made from a cookie"`
	CookiesWrong uint64 `help:"acknowledgments to a listening socket that were no valid cookie"`

	ChallengedRST       uint64 `help:"RSTs within the window but not at its edge"`
	ChallengedSYN       uint64 `help:"SYNs on a connection"`
	ChallengedACK       uint64 `help:"acknowledgments of what was never sent or long ago"`
	ChallengesWithheld  uint64 `help:"challenge ACKs not sent because of their limit"`
	TimeWaitRSTs        uint64 `help:"RSTs ignored in TIME-WAIT"`
	TimeWaitReused      uint64 `help:"connections that took the place of one in TIME-WAIT"`
	TimeWaitOverflow    uint64 `help:"connections that ended without TIME-WAIT because there were too many"`
	TimeWaitsExhausted  uint64 `help:"connections that ended without TIME-WAIT because there was no memory for it"`
	FinWait2Timeouts    uint64 `help:"closed connections ended because the peer did not close"`
	GaveUp              uint64 `help:"connections given up because the peer did not answer"`
	KeepAliveDrops      uint64 `help:"connections given up because keep-alive probes were not answered"`
	ICMPHardErrors      uint64 `help:"connects ended by an ICMP error"`
	ICMPSoftErrors      uint64 `help:"ICMP errors noted for later"`
	PathMTUsReduced     uint64 `help:"path MTUs reduced"`
	BlackHolesSuspected uint64 `help:"paths whose segments were made shorter because full ones timed out again and again"`
	BlackHolesMinimal   uint64 `help:"paths whose segments were made as short as can be for that reason"`
	BlackHolesDismissed uint64 `help:"paths where shorter segments timed out too, and which are as before"`
	BadOptions          uint64 `help:"segments with options of impossible length"`

	ResetDataAfterClose uint64 `help:"connections reset because data came after the socket was closed"`
	ResetUnreadData     uint64 `help:"connections reset because the socket was closed with unread data"`
	ResetLinger         uint64 `help:"connections reset because SO_LINGER was zero"`
	ResetNotAccepted    uint64 `help:"connections reset because the listening socket was closed"`
	ResetSYNInWindow    uint64 `help:"connections reset by a SYN in the window because net.inet.tcp.insecure_syn is set"`
	ResetTooManyOrphans uint64 `help:"connections reset because too many closed ones were still sending"`

	SocketsExhausted uint64 `help:"sockets refused because there were too many"`
	PortsExhausted   uint64 `help:"connects refused because all local ports to that peer were in use"`
	AddressInUse     uint64 `help:"binds, listens and connects refused because the address was in use"`
	RecordsExhausted uint64 `help:"segments held back because there was no record to remember them"`
	ExtrasExhausted  uint64 `help:"connections not paced, or whose limits were not timed, because there was no memory for it"`
	SendNoMemory     uint64 `help:"writes cut short because memory for queues ran short"`

	DropBadChecksum          uint64 `help:"segments dropped with a wrong checksum"`
	DropSegmentTooShort      uint64 `help:"segments dropped shorter than a header"`
	DropBadHeaderLength      uint64 `help:"segments dropped with an impossible header length"`
	DropNotForUs             uint64 `help:"segments dropped with addresses that belong on no wire"`
	DropNoListener           uint64 `help:"segments dropped for a port where nobody listens"`
	DropNoConnection         uint64 `help:"segments dropped for a listening socket that belong to no connection"`
	DropStrayRST             uint64 `help:"RSTs dropped that belong to no connection"`
	DropNoSYN                uint64 `help:"segments dropped where only a SYN can be"`
	DropSynFin               uint64 `help:"segments dropped with SYN and FIN"`
	DropNoAck                uint64 `help:"segments dropped without ACK on a connection"`
	DropHandshakeAck         uint64 `help:"segments dropped because they acknowledge no SYN of ours"`
	DropOutsideWindow        uint64 `help:"segments dropped outside of the window"`
	DropOutsideRST           uint64 `help:"RSTs dropped outside of the window"`
	DropAfterFIN             uint64 `help:"segments dropped with data behind the peer's FIN"`
	DropPAWS                 uint64 `help:"segments dropped with an old timestamp"`
	DropNoTimestamp          uint64 `help:"segments dropped without the timestamp that was negotiated"`
	DropAcceptQueueFull      uint64 `help:"handshakes held up because the accept queue was full"`
	DropTooManyHalfOpen      uint64 `help:"SYNs dropped because there were too many half-open connections"`
	DropNoMemoryForSYN       uint64 `help:"SYNs dropped because there was no memory for a connection"`
	DropNoMemory             uint64 `help:"segments dropped because there was no memory for their data"`
	DropOutOfOrder           uint64 `help:"segments dropped because too much was out of order"`
	DropNoRoute              uint64 `help:"segments held up because there was no route"`
	DropNeighbourUnreachable uint64 `help:"segments held up because the neighbour did not answer"`
	DropReplyQueueFull       uint64 `help:"answers without connection dropped because the port had no frame left"`
	DropReplyNoRoute         uint64 `help:"answers without connection dropped because there was no route"`
	DropBadICMP              uint64 `help:"ICMP errors dropped with a wrong checksum"`
	DropICMPOutsideWindow    uint64 `help:"ICMP errors dropped because they quote nothing that is in flight"`
	DropICMPBadMTU           uint64 `help:"ICMP errors dropped because their MTU is no news"`
}

// Usage is what is in use.
type Usage struct {
	PCBs       int // sockets and connections, TIME-WAIT left out
	Chunks     int // of 2 KiB, in queues
	OutOfOrder int // connections with a gap
	Ranges     int // beyond gaps
	Records    int // of segments in flight
	Flights    int // connections with data in flight
	Bindings   int // local addresses and ports
	Options    int // sets of socket options besides the default one
	Extras     int // connections that are paced or were held back by a window or a full queue
	Listeners  int
	Entries    int // of the table of connections
	Timers     int // PCBs on the timer wheel
	HalfOpen   int
	TimeWaits  int
	Orphans    int
}

// Counters returns a copy of the counters.
func (t *TCP) Counters() Counters {
	t.st.Lock()
	defer t.st.Unlock()
	return t.counters
}

// Usage tells what is in use.
func (t *TCP) Usage() Usage {
	t.st.Lock()
	defer t.st.Unlock()
	records, flights := t.rec.Used()
	return Usage{
		PCBs: int(t.pcbs.used), Chunks: int(t.chunks.used), OutOfOrder: int(t.ooo.used), Ranges: int(t.ranges.used),
		Records: records, Flights: flights, Bindings: int(t.binds.used), Options: int(t.opts.used) - 1,
		Extras:    int(t.extras.used),
		Listeners: int(t.listens.used), Entries: int(t.table.count), Timers: t.wheel.armed,
		HalfOpen: int(t.halfOpen), TimeWaits: int(t.waits.used), Orphans: int(t.orphans),
	}
}
