package dpdk

import "log/slog"

// ProcType is the part that a process plays among those that share a file prefix.
type ProcType string

// The parts. A primary owns the hugepages and the ports' configuration, secondaries attach to it.
const (
	Primary   ProcType = "primary"
	Secondary ProcType = "secondary"
)

// Config is what EAL is started with.
type Config struct {
	Lcores       []int    // CPUs of this process; the first is the main lcore
	MemoryMB     int      // memory to reserve at the start; 0: as it is needed (64 MB with NoHuge)
	NoHuge       bool     // use ordinary pages
	InMemory     bool     // leave no files: no hugetlbfs mount needed, no secondaries possible
	FilePrefix   string   // names the processes that share memory; "": rte
	Channels     int      // memory channels; 0: EAL's own guess
	BaseVirtaddr uint64   // where to map memory, so that secondaries find it free; 0: EAL's own choice
	Allow        []string // PCI devices to probe; none listed: all that are bound to a DPDK driver
	NoPCI        bool     // do not look for PCI devices
	LogLevel     int      // 1 (emergency) to 8 (debug); 0: 5 (warning)
	Proc         ProcType // "": Primary
	Args         []string // further EAL arguments, as they are

	// Log receives DPDK's log lines, from a goroutine of its own. nil: slog.Default.
	Log func(level slog.Level, line string)
}

// PortConfig says how a port is to be set up. Zero values ask for the defaults.
type PortConfig struct {
	ID          int    // port, as AddVdev or Ports gave it
	Queues      int    // queue pairs; 0: 1
	RxDesc      int    // receive descriptors per queue; 0: 1024. Fitted to the device's limits
	TxDesc      int    // transmit descriptors per queue; 0: 1024. Fitted to the device's limits
	MTU         int    // bytes of IP packet; 0: what the device has
	Promiscuous bool   // take frames for other stations too
	NoChecksum  bool   // leave out checksum offload both ways
	TSO         bool   // offer TCP segmentation where the device has it
	LRO         bool   // take coalesced TCP segments, in chains, where the device has them
	RSSKey      []byte // Toeplitz key, used with several queues on a device with RSS; nil: the driver's. Its length is the device's
	Mbufs       int    // mbufs per memory pool; 0: computed from queues and descriptors
	Lcores      []int  // lcore of each queue pair; nil: the process's, in order

	// SymmetricRSS takes a key under which both directions of a flow have one hash, unless RSSKey is set.
	SymmetricRSS bool
	// Mesh has processes share the port: see Port.SlotQueue. nil: one process, or one queue pair for each.
	Mesh *Mesh
}
