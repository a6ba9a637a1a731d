package netstack

// Counters are what netstack's own code has seen; gVisor's are in Stats.
type Counters struct {
	RxPackets              uint64 `help:"packets passed to netstack"`
	RxNews                 uint64 `help:"requests for link addresses that another lcore answers, learned from"`
	TxFrames               uint64 `help:"frames that netstack sent"`
	DuplicateAddresses     uint64 `help:"IPv6 addresses not used because another host has them"`
	DropRxBadIPChecksum    uint64 `help:"received frames dropped because the device found the IPv4 header checksum wrong"`
	DropRxBadL4Checksum    uint64 `help:"received frames dropped because the device found the TCP or UDP checksum wrong"`
	DropRxRunt             uint64 `help:"received frames dropped because they hold no more than an Ethernet header"`
	DropRxOtherHost        uint64 `help:"received frames dropped because their destination MAC address is another host's"`
	DropRxVLAN             uint64 `help:"received frames dropped because they are tagged for a VLAN"`
	DropRxUnknownEtherType uint64 `help:"received frames dropped because their EtherType is neither IPv4, IPv6 nor ARP"`
	DropRxPortClosed       uint64 `help:"received frames dropped because their port was closed"`
	DropTxQueueFull        uint64 `help:"packets dropped because the queue of those that wait for the device was full"`
	DropTxTooBig           uint64 `help:"packets dropped because all of the device's empty queue could not hold them"`
	DropSegmentsQueueFull  uint64 `help:"unwrapped TCP segments dropped because too many waited for the TCP layer"`
	DropSegmentsNoTaker    uint64 `help:"unwrapped TCP segments dropped because no TCP layer wants them"`
}

// Counters returns a copy of the counters. It takes the stack's lock.
func (n *Netstack) Counters() Counters {
	n.st.Lock()
	defer n.st.Unlock()
	c := n.counters
	for _, l := range n.links {
		if l != nil {
			l.mu.Lock()
			c.DropTxQueueFull += l.full
			l.mu.Unlock()
		}
	}
	n.segments.mu.Lock()
	c.DropSegmentsQueueFull, c.DropSegmentsNoTaker = n.segments.full, n.segments.noTaker
	n.segments.mu.Unlock()
	n.routers.mu.Lock()
	c.DuplicateAddresses = n.routers.duplicates
	n.routers.mu.Unlock()
	return c
}
