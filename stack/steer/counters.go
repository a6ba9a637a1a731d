package steer

// Counters are what one slot's steering has decided.
type Counters struct {
	Asked       uint64 `help:"frames about which it was asked whose they are"`
	Here        uint64 `help:"frames that stayed on this lcore"`
	ToOwner     uint64 `help:"frames handed to the lcore that has their flow"`
	ToListener  uint64 `help:"frames handed to the lcore that has a socket for them, instead of the one that has their flow"`
	ToFormer    uint64 `help:"segments of unknown connections handed to an lcore that had their flow before"`
	Fragments   uint64 `help:"fragments handed to the lcore that reassembles them"`
	Errors      uint64 `help:"ICMP errors handed to the lcore whose packet they quote"`
	Datagrams   uint64 `help:"reassembled or unwrapped datagrams handed to the lcore that has their flow"`
	Copies      uint64 `help:"copies of broadcasts, multicasts and news of neighbours handed to other lcores"`
	DropHand    uint64 `help:"frames lost because they could not be handed over: the ring was full or the lcore gone"`
	DropNobody  uint64 `help:"frames dropped because no worker serves"`
	DropTooLong uint64 `help:"datagrams dropped because they are longer than IP allows"`
}
