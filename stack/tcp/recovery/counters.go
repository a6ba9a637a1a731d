package recovery

// Counters count the rules that fired, over all connections of an Engine.
type Counters struct {
	SegmentsResent      uint64 `help:"ranges sent again, probes included"`
	BytesResent         uint64 `help:"bytes sent again, probes included"`
	BytesLost           uint64 `help:"bytes marked lost"`
	BytesLostAgain      uint64 `help:"bytes marked lost whose retransmission was lost too"`
	FastRecoveries      uint64 `help:"fast recoveries begun"`
	ReorderTimeouts     uint64 `help:"expiries of RACK's reordering timer"`
	Timeouts            uint64 `help:"retransmission timeouts"`
	TimeoutsRepeated    uint64 `help:"retransmission timeouts without progress since the one before"`
	Probes              uint64 `help:"tail loss probes due"`
	ProbesRepaired      uint64 `help:"losses that a tail loss probe repaired"`
	ProbesSpurious      uint64 `help:"tail loss probes that were not needed, by DSACK"`
	DSACKs              uint64 `help:"duplicates that peers reported (DSACK)"`
	ReorderingSeen      uint64 `help:"connections in which reordering was seen for the first time"`
	UndoneByTimestamp   uint64 `help:"loss responses undone because the timestamp answered the first transmission (Eifel)"`
	UndoneByDSACK       uint64 `help:"loss responses undone because every retransmission was reported as a duplicate"`
	UndoneBeforeResent  uint64 `help:"loss responses undone because all that was thought lost arrived before it was sent again"`
	UndoneByFRTO        uint64 `help:"timeouts undone because data that was not sent again arrived (F-RTO)"`
	WindowsReducedByECN uint64 `help:"windows reduced because the peer echoed a congestion mark"`
	IdleRestarts        uint64 `help:"windows restarted after idle time"`
	Reneged             uint64 `help:"connections whose peer dropped data that it had acknowledged selectively"`
	SACKInvalid         uint64 `help:"SACK blocks ignored because they lie outside of what was sent"`
	SACKWorkLimit       uint64 `help:"ACKs whose SACK blocks were ignored in part because finding them took too long"`
	SACKSplitLimit      uint64 `help:"SACK block edges ignored because the connection has too many records"`
	NoRecords           uint64 `help:"segments not sent because the records of what is in flight ran out"`
}
