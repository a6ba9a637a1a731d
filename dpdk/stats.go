package dpdk

// QueueCounters are what a queue pair counts itself; the layout is that of fs_counters in exchange.h.
type QueueCounters struct {
	TxRetries           uint64 `help:"times the device took only a part of a burst and the rest waited for the next turn"`
	DropTxBadLength     uint64 `help:"frames not sent because they were shorter than an Ethernet header or longer than the MTU allows"`
	DropTxBadOffload    uint64 `help:"frames not sent because their offload request contradicted itself"`
	DropTxRefused       uint64 `help:"frames not sent because the driver refused to prepare them"`
	NoMbufForTx         uint64 `help:"transmit slots left without an mbuf because the pool was empty"`
	DropRxTooManyPieces uint64 `help:"received frames dropped because they came in more pieces than a burst has slots"`
	HandedOut           uint64 `help:"frames handed over to other lcores"`
	HandedIn            uint64 `help:"frames that other lcores handed over"`
	CameBack            uint64 `help:"mbufs that other lcores gave back"`
	SentByOther         uint64 `help:"frames sent by way of another lcore"`
	SentForOther        uint64 `help:"frames sent for other lcores"`
	ReturnsWaited       uint64 `help:"times an mbuf of another lcore waited for room in the ring that leads back"`
	DropHandRingFull    uint64 `help:"frames not handed over because the ring to the other lcore was full"`
	DropHandNobody      uint64 `help:"frames not handed over because nobody is at the other end"`
	DropHandNoMbuf      uint64 `help:"frames not handed over because the pool had no mbuf for a copy"`
	DropHandLentTooMany uint64 `help:"frames not handed over because too many mbufs were with other lcores, and the queue needs the rest"`
	DropHandPaused      uint64 `help:"datagrams not handed over because the device was just being started anew"`
	DropTxNobodySends   uint64 `help:"frames not sent because the lcore that sends for this one is gone"`
	DropTxQueueGaveUp   uint64 `help:"frames that the device had not taken when the queue went to another lcore"`
	DropSentForOther    uint64 `help:"frames of other lcores not sent because the device did not take them or the pool had no mbuf for a copy"`
	DropRingWord        uint64 `help:"words from a ring dropped because they named no mbuf that was lent to its other end"`
}

// Stats are the device's basic statistics (rte_eth_stats).
type Stats struct {
	RxPackets uint64 `help:"packets received"`
	TxPackets uint64 `help:"packets sent"`
	RxBytes   uint64 `help:"bytes received"`
	TxBytes   uint64 `help:"bytes sent"`
	RxMissed  uint64 `help:"packets the device dropped because the receive queue was full"`
	RxErrors  uint64 `help:"packets received with errors"`
	TxErrors  uint64 `help:"packets that could not be sent"`
	RxNoMbuf  uint64 `help:"packets dropped because no mbuf was free to receive them"`
}

// XStat is one of the device's extended statistics.
type XStat struct {
	Name  string
	Value uint64
}

// Link is the state of a port's link.
type Link struct {
	Up         bool
	Speed      uint32 // Mbit/s; LinkSpeedUnknown: the device does not tell
	FullDuplex bool
}

// LinkSpeedUnknown is the speed of a device that has none (RTE_ETH_SPEED_NUM_UNKNOWN).
const LinkSpeedUnknown = 0xffffffff
